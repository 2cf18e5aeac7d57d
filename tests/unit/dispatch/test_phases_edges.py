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
