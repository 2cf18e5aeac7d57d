"""What the charger of a battery that is due leaves as it tapers: to whom it goes."""

from __future__ import annotations

import pytest

from controller.dispatch.care import CareWish, due_first
from controller.dispatch.limits import Range
from tests.unit.dispatch.cared import a_battery

FREE = Range(-4000.0, 4000.0)
DUE, AT_EASE = CareWish(5.0, 3000.0), CareWish(5.0)


@pytest.mark.parametrize(
    ("power_w", "own_w", "kept_w"),
    [
        # All of the charging is the policy's own: what the charger leaves is for the other one.
        (-3000.0, -3000.0, 200.0),
        (-3000.0, -9000.0, 200.0),
        # Only 1 kW of it is: 800 W are for the other one, none is filled for care.
        (-3000.0, -1000.0, 2200.0),
        (-3000.0, -200.0, 3000.0),
        (-3000.0, 500.0, 3000.0),
        (-150.0, -150.0, 150.0),
    ],
)
def test_what_a_charger_leaves_as_it_tapers_is_for_the_others_as_far_as_the_policy_wants_it(
    power_w: float, own_w: float, kept_w: float
) -> None:
    tapering = Range(-200.0, 4000.0)  # no more than it is known to take
    batteries = (a_battery(index=0), a_battery(index=1))
    rooms = ((tapering, FREE), (FREE, FREE))
    preferred, allowed = due_first(power_w, own_w, rooms, (DUE, AT_EASE), batteries)
    assert allowed == (Range(-4000.0, -kept_w), FREE)
    assert preferred == (allowed[0] if kept_w == min(3000.0, -power_w) else Range(-kept_w, -kept_w), FREE)


def test_the_second_battery_that_is_due_comes_before_those_that_are_not() -> None:
    rooms = ((Range(-200.0, 4000.0), FREE), (FREE, FREE))
    batteries = (a_battery(index=0), a_battery(index=1))
    _, allowed = due_first(-2500.0, -2500.0, rooms, (DUE, DUE), batteries)
    assert allowed == (Range(-4000.0, -200.0), Range(-4000.0, -2300.0))
