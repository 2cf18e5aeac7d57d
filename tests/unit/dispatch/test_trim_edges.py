"""Which errors of an inverter tell something: each edge from both sides."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.dispatch.limits import Range
from controller.dispatch.settings import DispatchConfig
from controller.dispatch.site import BatterySite, Site
from controller.dispatch.trim import Trim, Trims, beyond_trim, learn, trimmed_w
from tests.unit.dispatch.sites import FIVE_KW, TWO_KW
from tests.unit.dispatch.test_trim import WHOLE, after

ONE_WAY = DispatchConfig((FIVE_KW,))


def seen(now_s: float, done_w: tuple[float, ...], charge_w: float, discharge_w: float) -> Site:
    batteries = tuple(
        BatterySite(index, one, 50.0, charge_w, discharge_w) for index, one in enumerate(done_w)
    )
    return Site(now_s, now_s, True, 0.0, sum(done_w), batteries, 0.0, ())


def stood(meant_w: float, done_w: float, charge_w: float = 5000.0, discharge_w: float = 5000.0) -> Trims:
    """What is known of one battery after it has stood so for ten seconds."""
    known: Trims = ()
    for second in (0.0, 10.0):
        known = learn(ONE_WAY, known, (meant_w,), seen(second, (done_w,), charge_w, discharge_w))
    return known


def test_one_that_does_what_is_meant_keeps_nothing_from_the_next() -> None:
    config = DispatchConfig((FIVE_KW, TWO_KW))
    known: Trims = ()
    for second in (0.0, 10.0):
        known = learn(config, known, (1000.0, 1000.0), seen(second, (1000.0, 950.0), 2000.0, 2000.0))
    assert [one.discharge_factor for one in known] == [1.0, pytest.approx(1.035)]


@pytest.mark.parametrize("done_w", [480.0, 490.0, 520.0])
def test_twenty_watts_are_nothing_also_to_a_small_battery(done_w: float) -> None:
    assert stood(500.0, done_w, 1000.0, 1000.0) == ()


@pytest.mark.parametrize(
    ("meant_w", "done_w", "tells"), [(499.0, 470.0, False), (-400.0, -370.0, True), (500.0, 450.0, True)]
)
def test_a_tenth_is_of_the_rating_in_that_direction(meant_w: float, done_w: float, tells: bool) -> None:
    """1 kW of charging, 5 kW of discharging."""
    known = stood(meant_w, done_w, charge_w=1000.0)
    assert (known != ()) is tells


def test_fifteen_percent_is_still_imprecise() -> None:
    assert stood(2000.0, 1700.0)[0].discharge_factor == 1.08


def test_a_move_of_one_percent_of_the_rating_is_standing_still() -> None:
    (found,) = after((0.0, 2000.0, 1900.0), (10.0, 2050.0, 1950.0))
    assert found.discharge_factor > 1.0


def test_ten_seconds_are_counted_from_when_it_began_to_stand_still() -> None:
    (found,) = after((100.0, 2000.0, 1900.0), (109.0, 2000.0, 1900.0))
    assert (found.discharge_factor, found.still_since_s) == (1.0, 100.0)


def test_what_is_learnt_of_one_direction_leaves_the_other_as_it_was() -> None:
    known = (Trim(charge_factor=1.05, discharge_factor=1.02),)
    (found,) = after((0.0, 2000.0, 1900.0), (10.0, 2000.0, 1900.0), before=known)
    assert (found.charge_factor, found.discharge_factor) == (1.05, pytest.approx(1.02 * 1.035))
    (found,) = after((0.0, -2000.0, -1900.0), (10.0, -2000.0, -1900.0), before=known)
    assert (found.charge_factor, found.discharge_factor) == (1.08, 1.02)


def test_at_its_rating_a_battery_that_charges_cannot_be_ordered_more_but_less() -> None:
    assert stood(-5000.0, -4800.0) == ()
    assert stood(-5000.0, -5200.0)[0].charge_factor < 1.0


def test_a_battery_ordered_up_to_its_rating_already_tells_nothing() -> None:
    known = (Trim(discharge_factor=1.05),)
    assert after((0.0, 4900.0, 4700.0), (10.0, 4900.0, 4700.0), before=known) == known


@pytest.mark.parametrize(
    ("trim", "meant_w", "short_w", "beyond"),
    [
        (Trim(), 2000.0, 300.0, False),
        (Trim(), 2000.0, 301.0, True),
        (Trim(discharge_factor=1.0 + 0.9 * 0.08), 2000.0, 100.0, False),
        (Trim(discharge_factor=1.073), 2000.0, 100.0, True),
        (Trim(discharge_factor=1.073), 2000.0, 0.5, True),
        (Trim(charge_factor=1.073), 2000.0, 100.0, False),
        (Trim(), 5000.0, 100.0, True),
        (Trim(discharge_factor=1.05), 4800.0, 100.0, True),  # 5040 W are ordered
        (Trim(discharge_factor=1.05), 4700.0, 100.0, False),
        # It does 100 W too much, though it is ordered 7.1 or 7.3 % less.
        (Trim(discharge_factor=0.929), 2000.0, -100.0, False),
        (Trim(discharge_factor=1.0 - 0.9 * 0.08), 2000.0, -100.0, False),
        (Trim(discharge_factor=0.927), 2000.0, -100.0, True),
        (Trim(charge_factor=0.927), -2000.0, -100.0, True),
    ],
)
def test_what_no_trim_makes_up_for_is_short_for_another_reason(
    trim: Trim, meant_w: float, short_w: float, beyond: bool
) -> None:
    assert beyond_trim(FIVE_KW, trim, 5000.0, meant_w, short_w) is beyond


def test_an_inverter_with_a_law_of_its_own_is_short_for_another_reason() -> None:
    assert beyond_trim(replace(FIVE_KW, obeys=False), Trim(), 5000.0, 2000.0, 1.0)


def test_an_order_as_low_as_an_inverter_can_hold_is_held() -> None:
    assert trimmed_w(Trim(discharge_factor=0.8), 250.0, WHOLE, 200.0) == 200.0
    assert trimmed_w(Trim(discharge_factor=1.2), 1.0, WHOLE, 0.0) == 1.2, "where it can hold one watt"
    assert trimmed_w(Trim(discharge_factor=1.2), 1000.0, Range(-1000.0, 1100.0), 0.0) == 1100.0
