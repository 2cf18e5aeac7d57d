"""PV caps by themselves: when one is written, widened, kept and lifted, and how it is shared."""

from __future__ import annotations

import pytest

from controller.dispatch.curtailment import Caps, closed_loop, open_loop
from tests.unit.dispatch.policy_sites import a_site

INFINITE_W = float("inf")
RATED_W = (5000.0,)


def caps(generation_w: float | None, takes_w: float, before: Caps = (None,), rated_w: Caps = RATED_W) -> Caps:
    """The caps of a site whose house takes so much, with a battery that is full and no export."""
    net_load_w = 0.0 if generation_w is None else takes_w - generation_w
    site = a_site(net_load_w, pv_generation_w=generation_w, pv_rated_w=rated_w)
    return closed_loop(site, 0.0, 0.0, before)


def test_house_battery_and_export_limit_take_together() -> None:
    site = a_site(-2500.0, pv_generation_w=3000.0, pv_rated_w=RATED_W)
    assert closed_loop(site, 300.0, 400.0, (None,)) == (1200.0,)
    assert closed_loop(site, None, 0.0, (None,)) == (None,)


def test_a_cap_is_written_from_nine_tenths_of_what_can_be_taken() -> None:
    assert caps(900.0, 1000.0) == (1000.0,)
    assert caps(899.0, 1000.0) == (None,)
    assert caps(0.0, 0.0) == (None,), "in the night nothing is capped"
    assert caps(0.5, 0.0) == (0.0,)


def test_a_cap_stays_while_it_binds_or_the_sun_gives_seven_tenths() -> None:
    assert caps(3800.0, 6000.0, (4000.0,), (8000.0,)) == (6000.0,)
    assert caps(3759.0, 6000.0, (4000.0,), (8000.0,)) == (None,)
    assert caps(700.0, 1000.0, (1000.0,)) == (1000.0,)
    assert caps(699.0, 1000.0, (1000.0,)) == (None,)


def test_a_cap_stays_where_the_inverter_may_be_too_coarse_to_give_it() -> None:
    # 3 % of 9 kW are 270 W: one with steps of 1 %, or 2 % off, gives nothing at 93 W in full sun.
    assert caps(0.0, 93.0, (93.0,), (9000.0,)) == (93.0,)
    assert caps(730.0, 2000.0, (1000.0,), (9000.0,)) == (2000.0,)
    assert caps(729.0, 2000.0, (1000.0,), (9000.0,)) == (None,)
    assert caps(0.0, 93.0, (93.0,), (None,)) == (None,), "nobody knows the rating"


def test_caps_are_ordered_lower_by_what_the_inverters_give_too_much() -> None:
    site = a_site(-2500.0, pv_generation_w=3000.0, pv_rated_w=RATED_W)
    assert closed_loop(site, 300.0, 400.0, (None,), -50.0) == (1150.0,)
    assert closed_loop(site, 300.0, 400.0, (1150.0,), -50.0) == (1150.0,)
    assert closed_loop(site, 0.0, -450.0, (None,), -100.0) == (0.0,)


def test_a_cap_is_widened_from_twenty_watts_on_and_narrowed_at_once() -> None:
    assert caps(1000.0, 1020.0, (1000.0,)) == (1000.0,)
    assert caps(1000.0, 1020.5, (1000.0,)) == (1020.5,)
    assert caps(1000.0, 1000.5, (1000.0,)) == (1000.0,)
    assert caps(1000.0, 999.5, (1000.0,)) == (999.5,)


def test_a_cap_at_the_rating_is_no_cap() -> None:
    assert caps(5000.0, 5000.0) == (None,)
    assert caps(5000.0, 4999.0) == (4999.0,)
    assert caps(5000.0, 6000.0, (None,), (None,)) == (None,)
    assert caps(5500.0, 6000.0, (None,), (None,)) == (6000.0,), "nobody knows the rating"


def test_nothing_negative_is_ever_a_cap() -> None:
    assert caps(1000.0, -500.0) == (0.0,)
    assert open_loop(-500.0, RATED_W) == (0.0,)


def test_several_caps_are_one_by_rating_and_together_what_is_held() -> None:
    two = (3000.0, 1000.0)
    assert caps(2000.0, 2000.0, (None, None), two) == (1500.0, 500.0)
    assert caps(2000.0, 2010.0, (1500.0, 500.0), two) == (1500.0, 500.0)
    assert caps(2000.0, 2010.0, (2000.0, None), two) == (2000.0, None)
    assert caps(1300.0, 2010.0, (1500.0, 500.0), two) == (None, None)


def test_without_knowing_the_generation_the_export_limit_is_the_cap() -> None:
    assert caps(None, 0.0) == (0.0,)


@pytest.mark.parametrize(
    ("rated_w", "split_w"),
    [
        ((3000.0, 1000.0), (600.0, 200.0)),
        ((3000.0, None), (400.0, 400.0)),
        ((0.0, 0.0), (400.0, 400.0)),
        ((0.0, 1000.0), (0.0, 800.0)),
        ((0.25, 0.75), (200.0, 600.0)),
    ],
)
def test_without_readings_all_together_keep_the_export_limit(rated_w: Caps, split_w: Caps) -> None:
    assert open_loop(800.0, rated_w) == split_w


def test_without_inverters_or_a_limit_nothing_is_capped() -> None:
    assert open_loop(800.0, ()) == ()
    assert open_loop(None, RATED_W) == (None,)
