"""The fuse of each phase where a battery may not rest, stands on the only phase, or has no partner."""

from __future__ import annotations

import pytest

from controller.dispatch.limits import Range
from tests.unit.dispatch.test_phases import FIVE_KW, a_config, a_site, rooms_of

BUSY = Range(1000.0, 5000.0)
"""A battery that must give at least 1 kW."""
IDLE = Range(-5000.0, -1000.0)
"""A battery that must take at least 1 kW."""


def test_on_one_phase_it_does_not_matter_which_one_the_site_file_names() -> None:
    site = a_site((), 0.0, pcc_import_w=5000.0)
    for phase in (None, 1, 2):
        assert rooms_of(a_config(phase, of=1), site, FIVE_KW) == (Range(3000.0, 5000.0),)


def test_on_two_phases_a_battery_helps_its_own_only() -> None:
    assert rooms_of(a_config(2, of=2), a_site((0.0, 5000.0), 0.0), FIVE_KW) == (Range(3000.0, 5000.0),)
    assert rooms_of(a_config(2, of=2), a_site((5000.0, 0.0), 0.0), FIVE_KW) == (Range(-2000.0, 2000.0),)


@pytest.mark.parametrize(
    ("load_w", "one", "first", "second"),
    [
        # At most -1000 W in all: 1000 W that must be given, and 40 % of what can be taken.
        (-3000.0, BUSY, Range(1000.0, 1000.0), Range(-5000.0, -2000.0)),
        # From 3000 to 7000 W in all: 2000 to 6000 W more than at rest, as 4 to 5.
        (5000.0, BUSY, Range(1000 + 8000 / 9, 1000 + 8000 / 3), Range(10_000 / 9, 10_000 / 3)),
        (3000.0, IDLE, Range(-1000.0, -1000.0), Range(2000.0, 5000.0)),
        (-5000.0, IDLE, Range(-1000 - 8000 / 3, -1000 - 8000 / 9), Range(-10_000 / 3, -10_000 / 9)),
    ],
)
@pytest.mark.parametrize("phases", [1, 3])
def test_a_battery_that_may_not_rest_is_counted_with_what_it_must_do(
    phases: int, load_w: float, one: Range, first: Range, second: Range
) -> None:
    if phases == 1:
        config, site = a_config(None, None, of=1), a_site((), 0.0, 0.0, pcc_import_w=load_w)
    else:
        config, site = a_config(1, 1), a_site((load_w, 0.0, 0.0), 0.0, 0.0)
    for found, expected in zip(rooms_of(config, site, one, FIVE_KW), (first, second), strict=True):
        assert (found.lower_w, found.upper_w) == pytest.approx((expected.lower_w, expected.upper_w))


def edges_w(*rooms: Range) -> list[float]:
    return [edge_w for room in rooms for edge_w in (room.lower_w, room.upper_w)]


def test_a_battery_on_all_phases_that_may_not_rest_is_counted_with_what_it_must_do() -> None:
    # 2000 W on each phase, 6000 W in all: 5000 W more than at rest, of the 9000 W that both have.
    found = rooms_of(a_config(None, None), a_site((0.0, 0.0, 0.0), 0.0, 0.0), BUSY, FIVE_KW)
    assert edges_w(*found) == pytest.approx([1000.0, 1000 + 20_000 / 9, -5000.0, 25_000 / 9])


def test_what_a_battery_must_give_on_its_phase_is_counted_beside_one_on_all_phases() -> None:
    # L1 takes from 400 to 4400 W: with 1000 W there at rest, 36 % of the 5000/3 W to full charge, and 60 % of
    # the 17000/3 W to full discharge. The battery on L1 has what the even one leaves there.
    found = rooms_of(a_config(None, 1), a_site((2400.0, 0.0, 0.0), 0.0, 0.0), FIVE_KW, BUSY)
    assert edges_w(*found) == pytest.approx([-1800.0, 3000.0, 1000.0, 3400.0])


def test_batteries_that_may_not_discharge_rest_on_a_phase_that_exports_what_its_fuse_carries() -> None:
    kept = Range(-5000.0, 0.0)
    found = rooms_of(a_config(1, 1), a_site((-2000.0, 0.0, 0.0), 0.0, 0.0), kept, kept)
    assert found == (Range(-2000.0, 0.0), Range(-2000.0, 0.0))


def test_batteries_that_must_give_just_what_a_phase_needs_may_go_on_to_what_it_takes() -> None:
    # From 2000 to 6000 W: half of the 8000 W between what they must and what they can.
    found = rooms_of(a_config(1, 1), a_site((4000.0, 0.0, 0.0), 0.0, 0.0), BUSY, BUSY)
    assert found == (Range(1000.0, 3000.0), Range(1000.0, 3000.0))


def test_more_or_fewer_rooms_than_batteries_are_refused() -> None:
    config, site = a_config(1, 1, None), a_site((0.0, 0.0, 0.0), 0.0, 0.0, 0.0)
    for count, said in ((2, "shorter"), (4, "longer")):
        with pytest.raises(ValueError, match=f"is {said} than"):
            rooms_of(config, site, *[FIVE_KW] * count)
