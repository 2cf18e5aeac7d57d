"""Batteries that cannot hold little: as few share as it takes for none to be asked for less than it can."""

from __future__ import annotations

import pytest

from controller.dispatch.limits import Range
from controller.dispatch.share import in_few
from tests.unit.dispatch.test_share import FIVE_KW, shared

Watts = tuple[float, ...]
MUST = Range(100.0, 5000.0)
"""A battery that has to give at least 100 W."""


def among_few(total_w: float, least_w: Watts, last_w: Watts = (), rooms: tuple[Range, ...] = ()) -> Watts:
    """Equal batteries, half full, that rested before where nothing else is said."""
    all_rooms = rooms or (FIVE_KW,) * len(least_w)

    def share_of(preferred: tuple[Range, ...]) -> Watts:
        return shared(total_w, *all_rooms, preferred=preferred)

    return in_few(share_of, all_rooms, last_w or (0.0,) * len(least_w), least_w)


@pytest.mark.parametrize("side", [1.0, -1.0])
@pytest.mark.parametrize(
    ("total_w", "least_w", "last_w", "expected_w"),
    [
        # 200 W each can be held, 199 W cannot.
        (400.0, (200.0, 200.0), (0.0, 0.0), (200.0, 200.0)),
        (398.0, (200.0, 200.0), (0.0, 0.0), (0.0, 398.0)),
        # The one that works goes on.
        (300.0, (200.0, 200.0), (150.0, 0.0), (300.0, 0.0)),
        (300.0, (200.0, 200.0), (0.0, 150.0), (0.0, 300.0)),
        # The last one works, however little it is.
        (2.0, (200.0, 200.0), (0.0, 0.0), (0.0, 2.0)),
        # 200 W each are 80 % of what the outer ones can hold and 40 % of what the middle one can.
        (600.0, (250.0, 500.0, 250.0), (0.0, 0.0, 0.0), (300.0, 0.0, 300.0)),
        # One that rested is left out before one that is further from its least, ...
        (600.0, (250.0, 500.0, 250.0), (0.0, 200.0, 200.0), (0.0, 0.0, 600.0)),
        # ... and none that can hold its part is, although it rested.
        (600.0, (200.0, 250.0, 200.0), (0.0, 200.0, 0.0), (300.0, 0.0, 300.0)),
        # One after the other, until each has enough.
        (600.0, (500.0, 500.0, 500.0), (0.0, 0.0, 0.0), (0.0, 0.0, 600.0)),
    ],
)
def test_no_battery_is_asked_for_less_than_it_can_hold_while_fewer_can_do_it(
    total_w: float, least_w: Watts, last_w: Watts, expected_w: Watts, side: float
) -> None:
    assert among_few(side * total_w, least_w, last_w) == tuple([side * one_w for one_w in expected_w])


def test_one_that_must_give_a_little_gives_that_and_the_others_do_the_rest() -> None:
    # 100 W and half of the other 50 W each; 125 and 25 W are 62.5 % of what they can hold.
    assert among_few(150.0, (200.0, 40.0), rooms=(MUST, FIVE_KW)) == (100.0, 50.0)
    assert among_few(150.0, (40.0, 200.0), rooms=(FIVE_KW, MUST)) == (0.0, 150.0)
    assert among_few(300.0, (200.0, 200.0), rooms=(MUST, FIVE_KW)) == (300.0, 0.0)
