"""PV caps by themselves: when one is written, widened, kept and lifted, and how it is shared."""

from __future__ import annotations

import pytest

from controller.dispatch.curtailment import Caps, closed_loop, open_loop
from tests.unit.dispatch.policy_sites import a_site

INFINITE_W = float("inf")
RATED_W = (5000.0,)


def caps(generation_w: float, takes_w: float, before: Caps = (None,), rated_w: Caps = RATED_W) -> Caps:
    """The caps of a site whose house takes so much, with a battery that is full and no export."""
    site = a_site(takes_w - generation_w, pv_generation_w=generation_w, pv_rated_w=rated_w)
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
    # Where nobody knows the rating it binds from 95 % on.
    assert caps(950.0, 6000.0, (1000.0,), (None,)) == (6000.0,)
    assert caps(949.0, 6000.0, (1000.0,), (None,)) == (None,)


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
    assert caps(4000.0, 5000.0, (4000.0,)) == (None,)
    assert caps(4000.0, 4999.0, (4000.0,)) == (4999.0,)
    assert caps(5000.0, 6000.0, (None,), (None,)) == (None,)
    assert caps(5500.0, 6000.0, (None,), (None,)) == (6000.0,), "nobody knows the rating"


def test_nothing_negative_is_ever_a_cap() -> None:
    assert caps(1000.0, -500.0) == (0.0,)
    assert caps(1000.0, -500.0, (1000.0,)) == (0.0,)
    # 150 W may be given where 100 W are, but the inverter gives 300 W too much.
    site = a_site(-50.0, pv_generation_w=100.0, pv_rated_w=RATED_W)
    assert closed_loop(site, 0.0, 3000.0, (100.0,), -300.0, opens_to_w=150.0) == (0.0,)
    assert open_loop(-500.0, RATED_W) == (0.0,)


def two_caps(
    given_w: tuple[float, float],
    takes_w: float,
    before: Caps = (None, None),
    rated_w: Caps = (3000.0, 1000.0),
) -> Caps:
    """The same with two inverters."""
    together_w = sum(given_w)
    site = a_site(takes_w - together_w, pv_generation_w=together_w, pv_rated_w=rated_w, pv_each_w=given_w)
    return closed_loop(site, 0.0, 0.0, before)


def test_several_caps_are_one_by_rating_and_together_what_is_held() -> None:
    assert two_caps((1500.0, 500.0), 2000.0) == (1500.0, 500.0)
    assert two_caps((1500.0, 500.0), 2010.0, (1500.0, 500.0)) == (1500.0, 500.0)
    assert two_caps((900.0, 400.0), 2010.0, (1500.0, 500.0)) == (None, None)


def test_what_an_inverter_in_the_shade_leaves_another_in_the_sun_may_give() -> None:
    both = (5000.0, 5000.0)
    # 100 W keep a tenth, 1.2 x 3 % of 5 kW, and 20 W: 310 W; the other has the rest.
    assert two_caps((100.0, 1000.0), 2000.0, (1000.0, 1000.0), both) == (310.0, 1690.0)
    assert two_caps((100.0, 1690.0), 2000.0, (310.0, 1690.0), both) == (310.0, 1690.0), "and so it stays"
    assert two_caps((310.0, 1690.0), 2000.0, (310.0, 1690.0), both) == (310.0, 1690.0), (
        "both are at their cap"
    )
    # Nobody knows the ratings: a tenth, and 20 W.
    assert two_caps((100.0, 1000.0), 2000.0, (1000.0, 1000.0), (None, None)) == (130.0, 1870.0)
    # Likewise when caps are written first: 1500 W have 150 + 180 + 20 W to spare, 100 W have 210 W.
    assert two_caps((1500.0, 100.0), 1700.0, (None, None), both) == pytest.approx((1390.0, 310.0))
    assert two_caps((1500.0, 100.0), 1700.0, (), both) == pytest.approx((1390.0, 310.0)), "in the first cycle"
    # When the load moves all is shared anew: the first may come back to its half, as it is at its cap.
    assert two_caps((310.0, 1690.0), 2400.0, (310.0, 1690.0), both) == (1200.0, 1200.0)


def test_one_inverter_at_its_cap_is_enough_for_caps_to_stay() -> None:
    both = (5000.0, 5000.0)
    # 1100 W are less than 0.7 of 2000 W, but the second would give 4500 W if it were let.
    assert None not in two_caps((100.0, 1000.0), 2000.0, (1000.0, 1000.0), both)
    assert two_caps((100.0, 800.0), 2000.0, (1000.0, 1000.0), both) == (None, None)


def test_what_nobody_can_use_of_the_caps_is_shared_by_rating() -> None:
    both = (5000.0, 5000.0)
    # Neither was capped: each has 90 + 180 + 20 W to spare, and no use for them.
    assert two_caps((900.0, 900.0), 2000.0, (None, None), both) == (1000.0, 1000.0)
    assert two_caps((700.0, 700.0), 2000.0, (1000.0, 1000.0), both) == (1000.0, 1000.0)
    # 6000 and 2000 W rated, 1500 and 350 W given: with what is to spare 1886 and 477 W of 2500 W. A quarter
    # of the 137 W left is for the second.
    uneven = (6000.0, 2000.0)
    assert two_caps((1500.0, 350.0), 2500.0, (1700.0, 600.0), uneven) == pytest.approx((1988.75, 511.25))
    # 0.4 W are left of 2363.4 W.
    assert two_caps((1500.0, 350.0), 2363.4, (1700.0, 600.0), uneven) == pytest.approx((1886.3, 477.1))


def test_caps_open_only_as_far_as_they_may() -> None:
    site = a_site(-500.0, pv_generation_w=1000.0, pv_rated_w=RATED_W)
    assert closed_loop(site, 0.0, 3000.0, (1000.0,), opens_to_w=1250.0) == (1250.0,)
    assert closed_loop(site, 0.0, 3000.0, (1000.0,), opens_to_w=900.0) == (1000.0,), "they do not close by it"
    assert closed_loop(site, 0.0, 3000.0, (None,), opens_to_w=1250.0) == (None,), (
        "the sun as it is, is no opening"
    )
    assert closed_loop(site, 0.0, 9000.0, (1000.0,), opens_to_w=1250.0) == (1250.0,), (
        "nor to the rating at once"
    )
    as_wide = a_site(40.0, pv_generation_w=960.0, pv_rated_w=RATED_W)
    assert closed_loop(as_wide, 0.0, 0.0, (1000.0,), opens_to_w=970.0) == (1000.0,), "1000 W is all they take"


def test_what_an_inverter_in_the_shade_leaves_of_its_cap_keeps_no_other_one_closed() -> None:
    # 4000 W of a cap of 5000 W, and 200 W of 200 W: 4500 W may be given now, 300 W more.
    site = a_site(1800.0, pv_generation_w=4200.0, pv_rated_w=(5000.0, 5000.0), pv_each_w=(4000.0, 200.0))
    # They are for the second; the first has 400 + 180 + 20 W to spare.
    assert closed_loop(site, 0.0, 0.0, (5000.0, 200.0), opens_to_w=4500.0) == pytest.approx((4600.0, 500.0))
    assert closed_loop(site, 0.0, 0.0, (5000.0, 200.0), opens_to_w=4200.0) == (5000.0, 200.0), "not yet"


def test_a_little_that_an_inverter_in_the_shade_leaves_is_not_worth_a_write() -> None:
    both = (5000.0, 5000.0)
    # It has 210 W to spare, and 315 W are not much more; 316 W are.
    assert two_caps((100.0, 1000.0), 1415.0, (415.0, 1000.0), both) == (415.0, 1000.0)
    assert two_caps((100.0, 1000.0), 1416.0, (416.0, 1000.0), both) == pytest.approx((310.0, 1106.0))
    assert two_caps((4000.0, 900.0), 7000.0, (5000.0, 2000.0), (8000.0, 8000.0)) == (5000.0, 2000.0), (
        "none binds"
    )


def test_what_is_to_spare_is_no_reason_to_open_step_by_step() -> None:
    site = a_site(1100.0, pv_generation_w=4200.0, pv_rated_w=(5000.0, 5000.0), pv_each_w=(4000.0, 200.0))
    # 4800 W may be given and 600 W are to spare: up to 5400 W are shared as ever.
    assert closed_loop(site, 0.0, 0.0, (5000.0, 200.0), opens_to_w=4800.0) == (2650.0, 2650.0)
    assert closed_loop(site, 0.0, 100.0, (5000.0, 200.0), opens_to_w=4800.0) == (2700.0, 2700.0)


def test_caps_that_no_inverter_needs_open_to_what_is_given_and_to_spare() -> None:
    # The sun gives 4000 W of 5000 W: 400 + 180 + 20 W are to spare, whatever else may be given.
    site = a_site(1600.0, pv_generation_w=4000.0, pv_rated_w=RATED_W)
    assert closed_loop(site, 0.0, 0.0, (4300.0,), opens_to_w=4100.0) == pytest.approx((4600.0,))


def test_caps_that_open_are_lower_by_what_the_inverters_give_too_much() -> None:
    site = a_site(-500.0, pv_generation_w=1000.0, pv_rated_w=RATED_W)
    assert closed_loop(site, 0.0, 3000.0, (1000.0,), -50.0, opens_to_w=1250.0) == (1200.0,)


def test_no_cap_is_above_the_rating_of_its_inverter() -> None:
    # 420 W for the one in the shade; 5580 W are left for one that is rated 2000 W.
    assert two_caps((200.0, 2000.0), 6000.0, (4285.0, 1715.0), (5000.0, 2000.0)) == pytest.approx(
        (420.0, 2000.0)
    )
    site = a_site(-500.0, pv_generation_w=4800.0, pv_rated_w=RATED_W)
    assert closed_loop(site, 0.0, 9000.0, (4800.0,), opens_to_w=5300.0) == (5000.0,)


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
