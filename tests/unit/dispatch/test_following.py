"""What a battery does not do, or does too much, the others make up for, and it is tried again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.dispatch.following import (
    FOLLOWS,
    Following,
    Followings,
    follow_orders,
    short_note,
    within_ceiling,
)
from controller.dispatch.limits import Range
from controller.dispatch.modes import Mode
from controller.dispatch.settings import DispatchConfig
from controller.dispatch.site import BatterySite, Site
from controller.dispatch.step import step
from controller.dispatch.trim import EXACT, Trim, Trims, beyond_trim
from drivers.device import BatteryReading
from tests.unit.dispatch.sites import FIVE_KW, RUNNING, TWO_KW, a_config, a_snapshot

PAIR = DispatchConfig((FIVE_KW, TWO_KW))
"""Short is more than 500 W below the order for the first, 200 W for the second."""


def at(now_s: float, *batteries: BatterySite) -> Site:
    return Site(now_s, now_s, True, 0.0, 0.0, batteries, 0.0, ())


def seen(before: Followings, order_w: float, given_w: float, now_s: float) -> Followings:
    """The first battery ordered and giving this, while the second rests."""
    batteries = (BatterySite(0, given_w, 50.0, 5000.0, 5000.0), BatterySite(1, 0.0, 50.0, 2000.0, 2000.0))
    return follow_orders(PAIR, before, (order_w, 0.0), at(now_s, *batteries))


def after(*looks: tuple[float, float, float], before: Followings = ()) -> Followings:
    """After these (time, order, given)."""
    for now_s, order_w, given_w in looks:
        before = seen(before, order_w, given_w, now_s)
    return before


@pytest.mark.parametrize(
    ("order_w", "given_w"), [(2000.0, 1500.0), (-2000.0, -1500.0), (2000.0, 2500.0), (0.0, -500.0)]
)
def test_what_is_off_by_no_more_than_a_tenth_of_the_rating_follows(order_w: float, given_w: float) -> None:
    assert after((0.0, order_w, given_w), (60.0, order_w, given_w)) == ()


@pytest.mark.parametrize("side", [1, -1])
def test_one_that_stands_still_short_of_its_order_for_four_seconds_can_do_what_it_does(side: int) -> None:
    looks = [(float(second), side * 2000.0, side * 800.0) for second in range(5)]
    assert after(*looks[:4]) == (Following(0.0, 800.0, side), FOLLOWS)
    assert after(*looks) == (Following(None, 0.0, side, 800.0, 4.0, 60.0), FOLLOWS)


def test_dead_time_and_three_time_constants_are_waited_for() -> None:
    slow = replace(FIVE_KW, dead_time_s=2.0, time_constant_s=1.0)
    batteries = (BatterySite(0, 0.0, 50.0, 5000.0, 5000.0),)
    pair, found = DispatchConfig((slow, TWO_KW)), ()
    held_at_s = []
    for second in range(12):
        found = follow_orders(pair, found, (2000.0, 0.0), at(float(second), *batteries))
        held_at_s += [second] if found[0].ceiling_w is not None else []
    assert held_at_s[0] == 9, "4 s, 2 s and three times 1 s"


def test_one_that_still_comes_closer_is_only_slow() -> None:
    # 2 % of 5000 W are 100 W: by more than that it comes closer each second.
    looks = [(float(second), 5000.0, 101.0 * second) for second in range(20)]
    (found, _) = after(*looks)
    assert (found.ceiling_w, found.short_since_s) == (None, 19.0)
    (still, _) = after(*[(float(second), 5000.0, 10.0 * second) for second in range(5)])
    assert still.ceiling_w == 40.0


def test_a_ceiling_that_is_not_reached_either_is_lowered_after_two_seconds_and_never_below_zero() -> None:
    held = (Following(None, 0.0, 1, 1200.0, 4.0, 60.0), FOLLOWS)
    lower = after((5.0, 1200.0, 600.0), (6.0, 1200.0, 600.0), (7.0, 1200.0, 600.0), before=held)
    assert lower[0] == Following(None, 0.0, 1, 600.0, 4.0, 60.0)
    wrong_way = after((5.0, 1200.0, -50.0), (7.0, 1200.0, -50.0), before=held)
    assert wrong_way[0].ceiling_w == 0.0
    reached = after((5.0, 1200.0, 600.0), (6.0, 1200.0, 1190.0), before=held)
    assert reached[0] == held[0]


def test_it_is_tried_again_after_a_minute_then_after_two_up_to_a_quarter_of_an_hour() -> None:
    found: Followings = (Following(None, 0.0, 1, 0.0, 4.0, 60.0), FOLLOWS)
    assert seen(found, 0.0, 0.0, 63.9) == found
    again = seen(found, 0.0, 0.0, 64.0)
    assert again == (Following(hold_s=120.0), FOLLOWS)
    held = after((65.0, 2000.0, 0.0), (69.0, 2000.0, 0.0), before=again)
    assert held[0] == Following(None, 0.0, 1, 0.0, 69.0, 120.0)
    longest = (Following(None, 0.0, 1, 0.0, 4.0, 900.0), FOLLOWS)
    assert seen(longest, 0.0, 0.0, 904.0)[0].hold_s == 900.0


def test_one_that_does_what_is_ordered_again_is_like_any_other() -> None:
    tried = (Following(hold_s=120.0), FOLLOWS)
    assert seen(tried, 400.0, 390.0, 70.0) == tried, "so little says nothing"
    assert seen(tried, 2000.0, 1990.0, 70.0) == ()


def test_a_ceiling_is_of_one_direction() -> None:
    held = (Following(None, 0.0, 1, 300.0, 4.0, 60.0), FOLLOWS)
    assert within_ceiling(Range(-5000.0, 5000.0), held[0]) == Range(-5000.0, 300.0)
    assert within_ceiling(Range(-5000.0, 5000.0), replace(held[0], side=-1)) == Range(-300.0, 5000.0)
    assert within_ceiling(Range(-5000.0, 5000.0), FOLLOWS) == Range(-5000.0, 5000.0)
    turned = seen(held, -2000.0, 0.0, 10.0)
    assert turned[0] == Following(10.0, 0.0, -1, None, 4.0, 60.0)


def test_one_battery_alone_has_nobody_to_leave_it_to() -> None:
    alone = (BatterySite(0, 0.0, 50.0, 5000.0, 5000.0),)
    assert follow_orders(DispatchConfig((FIVE_KW,)), (), (5000.0,), at(100.0, *alone)) == ()


def test_a_silent_battery_is_left_as_it_was_known() -> None:
    held = (FOLLOWS, Following(None, 0.0, 1, 0.0, 4.0, 60.0))
    first = (BatterySite(0, 1000.0, 50.0, 5000.0, 5000.0),)
    assert follow_orders(PAIR, held, (1000.0, 0.0), at(10.0, *first)) == held
    assert follow_orders(PAIR, (), (), at(10.0, *first)) == ()


AT_END = (Trim(charge_factor=1.08), EXACT)
"""The first is ordered as much more as may be, and still lacks something."""


def pressed(
    given_w: float, seconds: int, trims: Trims = AT_END, order_w: float = -2000.0, **limits: float
) -> Followings:
    """The first battery ordered to charge at 2 kW, while more is exported by what it does not take."""
    config, found = replace(PAIR, **limits), ()
    batteries = (BatterySite(0, given_w, 50.0, 5000.0, 5000.0), BatterySite(1, 0.0, 50.0, 2000.0, 2000.0))
    for second in range(seconds):
        site = replace(at(float(second), *batteries), pcc_import_w=order_w - given_w, net_load_w=order_w)
        found = follow_orders(config, found, (order_w, 0.0), site, trims)
    return found


def test_while_a_limit_is_exceeded_fifty_watts_are_short_enough() -> None:
    assert pressed(-1900.0, 5) == (), "without a limit a tenth of the rating is nothing"
    assert pressed(-1900.0, 5, export_limit_w=100.0) == ()
    assert pressed(-1949.0, 5, export_limit_w=0.0)[0].ceiling_w == 1949.0
    assert pressed(-1950.0, 5, export_limit_w=0.0) == ()
    assert pressed(-1951.0, 5, export_limit_w=0.0) == ()
    assert pressed(-1900.0, 5, import_limit_w=0.0) == (), "that it charges less is no harm to that limit"


def test_a_tenth_of_the_rating_is_short_whatever_the_trim_may_still_make_up_for() -> None:
    # 600 W of 4500 W are less than 15 %, but more than a tenth of 5 kW.
    assert pressed(-3900.0, 5, trims=(), order_w=-4500.0, export_limit_w=0.0)[0].ceiling_w == 3900.0
    assert pressed(-4010.0, 5, trims=(), order_w=-4500.0, export_limit_w=0.0) == ()


def test_what_may_be_imprecision_is_left_to_the_trim_first() -> None:
    assert pressed(-1900.0, 5, trims=(), export_limit_w=0.0) == ()
    assert pressed(-1701.0, 5, trims=(), export_limit_w=0.0) == ()
    assert pressed(-1699.0, 5, trims=(), export_limit_w=0.0)[0].ceiling_w == 1699.0


@pytest.mark.parametrize(
    ("changes", "rated_w", "factor", "is_beyond"),
    [
        ({}, 5000.0, 1.0, False),
        ({"obeys": False}, 5000.0, 1.0, True),
        ({}, 5000.0, 1.071, False),
        ({}, 5000.0, 1.073, True),
        ({}, 2000.0, 1.0, True),
        ({}, 2090.0, 1.05, True),
    ],
)
def test_no_trim_helps_one_that_has_no_more_to_give(
    changes: dict[str, bool], rated_w: float, factor: float, is_beyond: bool
) -> None:
    for side, trim in ((1.0, Trim(discharge_factor=factor)), (-1.0, Trim(charge_factor=factor))):
        assert beyond_trim(replace(FIVE_KW, **changes), trim, rated_w, side * 2000.0, 100.0) is is_beyond


def test_one_on_probation_is_given_two_seconds() -> None:
    tried = (Following(hold_s=120.0), FOLLOWS)
    looks = [(60.0, 2000.0, 0.0), (61.9, 2000.0, 0.0)]
    assert after(*looks, before=tried)[0].ceiling_w is None
    assert after(*looks, (62.0, 2000.0, 0.0), before=tried)[0].ceiling_w == 0.0


def test_one_that_does_more_than_it_was_taken_to_be_able_to_is_like_any_other() -> None:
    held = (Following(None, 0.0, 1, 300.0, 4.0, 60.0), FOLLOWS)
    assert seen(held, 2000.0, 1990.0, 10.0) == ()
    assert seen(held, 510.0, 500.0, 10.0) == held, "200 W more could be an error of its reading"


def test_what_the_others_cannot_do_is_asked_of_the_deaf_battery_all_the_same() -> None:
    config = a_config(FIVE_KW, TWO_KW)
    deaf = (Following(None, 0.0, 1, 0.0, 9.0), Following(None, 0.0, 1, 0.0, 9.0))
    readings = (BatteryReading(10.0, 0.0, 50.0), BatteryReading(10.0, 0.0, 50.0))

    def setpoints_w(load_w: float, followings: Followings) -> tuple[float | None, ...]:
        memory = replace(RUNNING, followings=followings, battery_setpoints_w=(0.0, 0.0))
        return step(config, memory, a_snapshot(load_w, batteries=readings))[1].battery_setpoints_w

    assert setpoints_w(1500.0, (deaf[0], FOLLOWS)) == (0.0, 1500.0)
    assert setpoints_w(3000.0, (deaf[0], FOLLOWS)) == (1000.0, 2000.0)
    assert setpoints_w(3500.0, deaf) == (2500.0, 1000.0), "by what each could do"


def test_what_a_deaf_battery_leaves_is_done_by_the_other_one_and_said() -> None:
    config = a_config(FIVE_KW, TWO_KW)
    memory, given_w = RUNNING, 0.0
    for second in range(10, 20):
        readings = (BatteryReading(float(second), given_w, 50.0), BatteryReading(float(second), 0.0, 50.0))
        snapshot = a_snapshot(3000.0 - given_w, now_s=float(second), batteries=readings)
        memory, decision = step(config, memory, snapshot)
        given_w = decision.battery_setpoints_w[0] or 0.0
    assert decision.battery_setpoints_w == (3000.0, 0.0)
    assert "bat2 does no more than 0 W of what it is ordered" in decision.reason
    assert short_note(PAIR.batteries, ()) == ""
    deaf = after(*[(float(second), -2000.0, 0.0) for second in range(5)])
    assert short_note(PAIR.batteries, deaf) == "bat1 does no more than 0 W of what it is ordered"
    little = (Following(None, 0.0, 1, 0.9, stands=True), Following(None, 0.0, -1, 0.0, stands=True))
    assert short_note(PAIR.batteries, little) == (
        "bat1 discharges 1 W whatever it is ordered; bat2 discharges 0 W whatever it is ordered"
    )
    both = (Following(None, 0.0, 1, 5.0), Following(None, 0.0, -1, 0.0))
    assert short_note(PAIR.batteries, both) == (
        "bat1 does no more than 5 W of what it is ordered; bat2 does no more than 0 W of what it is ordered"
    )


def test_short_is_measured_by_the_rating_of_its_direction() -> None:
    # It may charge at 5000 W and discharge at 2000 W: short by 400 W is much for the one, not for the other.
    def found(order_w: float, given_w: float) -> Followings:
        one = BatterySite(0, given_w, 50.0, 5000.0, 2000.0)
        return follow_orders(PAIR, (), (order_w, 0.0), at(10.0, one))

    assert found(1000.0, 600.0) == (Following(10.0, 600.0, 1), FOLLOWS)
    assert found(-1000.0, -600.0) == ()
    # The same of what is too much.
    assert found(600.0, 1000.0) == (Following(10.0, -1000.0, -1), FOLLOWS)
    assert found(-600.0, -1000.0) == ()


def test_coming_closer_by_just_two_hundredths_is_standing_still() -> None:
    before = (Following(0.0, 800.0, 1), FOLLOWS)
    assert seen(before, 2000.0, 900.0, 1.0) == before
    assert seen(before, 2000.0, 900.5, 1.0)[0].short_since_s == 1.0


def test_at_rest_one_that_is_tried_again_is_not_yet_trusted() -> None:
    tried = (Following(hold_s=120.0), FOLLOWS)
    assert seen(tried, 0.0, 0.0, 70.0) == tried
    assert seen(tried, 500.0, 500.0, 70.0) == tried, "no more than what would not count as short"
    assert seen(tried, 501.0, 501.0, 70.0) == ()


def test_a_ceiling_that_is_reached_again_holds_as_long_as_before() -> None:
    short = (Following(5.0, 600.0, 1, 1200.0, 4.0, 240.0), FOLLOWS)
    assert seen(short, 1200.0, 1190.0, 6.0) == (Following(None, 0.0, 1, 1200.0, 4.0, 240.0), FOLLOWS)


def test_holding_keeps_who_does_not_follow_and_how_far_the_ramp_has_come() -> None:
    held = (FOLLOWS, Following(None, 0.0, 1, 0.0, 4.0, 60.0))
    before = replace(RUNNING, followings=held, ramped_w=300.0, battery_setpoints_w=(300.0, 0.0))
    snapshot = a_snapshot(now_s=10.0, batteries=(BatteryReading(10.0, 0.0, 50.0),) * 2)
    config = a_config(FIVE_KW, TWO_KW)
    stale = replace(snapshot, now_s=10.0 + config.stale_after_s + 0.1)
    memory, decision = step(config, before, stale)
    assert decision.mode is Mode.HOLDING
    assert (memory.followings, memory.ramped_w) == (held, 300.0)


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(
    ("order_w", "given_w"),
    [
        (250.0, 3000.0),
        (0.0, 3000.0),
        (-2000.0, 3000.0),
        (-2000.0, 2000.0),
        (0.0, 501.0),
        # Charging is missed by far, and 51 W of discharge are more than an error of the reading.
        (-2000.0, 51.0),
    ],
)
def test_what_stands_still_beyond_its_order_or_on_the_other_side_is_taken_as_given(
    order_w: float, given_w: float, side: int
) -> None:
    looks = [(float(second), side * order_w, side * given_w) for second in range(5)]
    assert after(*looks[:4])[0].ceiling_w is None
    (found, other) = after(*looks)
    assert found == Following(None, 0.0, -side, -given_w, 4.0, 60.0, stands=True)
    assert other == FOLLOWS
    as_given = Range(side * given_w, side * given_w)
    assert within_ceiling(Range(-5000.0, 5000.0), found) == as_given
    assert within_ceiling(Range(-40.0, 40.0), found) == Range(side * 40.0, side * 40.0), "a limit is stronger"
    does = "discharges" if side > 0 else "charges"
    assert short_note(PAIR.batteries, (found, other)) == f"bat1 {does} {given_w:.0f} W whatever it is ordered"


def test_one_that_still_comes_closer_from_beyond_its_order_is_only_slow() -> None:
    (found, _) = after(*[(float(second), 0.0, 4000.0 - 101.0 * second) for second in range(20)])
    assert (found.ceiling_w, found.short_since_s) == (None, 19.0)


STANDS = (Following(None, 0.0, -1, -3000.0, 4.0, 60.0, stands=True), FOLLOWS)
"""The first discharges 3000 W whatever it is ordered."""


def test_what_stands_and_then_moves_by_itself_is_taken_as_given_after_two_seconds() -> None:
    assert after((5.0, 3000.0, 2510.0), (9.0, 3000.0, 3490.0), before=STANDS) == STANDS
    less = after((5.0, 3000.0, 2000.0), (6.9, 3000.0, 2000.0), before=STANDS)
    assert within_ceiling(Range(-5000.0, 5000.0), less[0]) == Range(3000.0, 3000.0)
    less = seen(less, 3000.0, 2000.0, 7.0)
    assert less[0] == Following(None, 0.0, 1, 2000.0, 4.0, 60.0, stands=True)
    assert within_ceiling(Range(-5000.0, 5000.0), less[0]) == Range(2000.0, 2000.0)
    more = after((8.0, 2000.0, 4000.0), (10.0, 2000.0, 4000.0), before=less)
    assert more[0] == Following(None, 0.0, -1, -4000.0, 4.0, 60.0, stands=True)


def test_what_stands_is_tried_again_and_trusted_once_it_does_what_is_ordered() -> None:
    again = seen(STANDS, 3000.0, 3000.0, 64.0)
    assert again == (Following(hold_s=120.0), FOLLOWS)
    still = after((65.0, 250.0, 3000.0), (67.0, 250.0, 3000.0), before=again)
    assert still[0] == Following(None, 0.0, -1, -3000.0, 67.0, 120.0, stands=True)
    assert seen(again, 2000.0, 2000.0, 65.0) == ()


def test_what_stands_and_is_asked_for_less_by_need_and_does_it_is_like_any_other() -> None:
    assert seen(STANDS, 2800.0, 2800.0, 10.0) == STANDS
    assert seen(STANDS, 2799.0, 2799.0, 10.0) == ()


def test_while_a_limit_is_exceeded_fifty_watts_too_much_are_enough_once_no_trim_helps() -> None:
    config, batteries = replace(PAIR, export_limit_w=0.0), (BatterySite(0, 2100.0, 50.0, 5000.0, 5000.0),)
    site = replace(at(0.0, *batteries), pcc_import_w=-100.0, net_load_w=2000.0)

    def found(factor: float, **changes: float) -> Followings:
        seen_now = replace(site, **changes)
        return follow_orders(config, (), (2000.0, 0.0), seen_now, (Trim(discharge_factor=factor), EXACT))

    assert found(0.929) == (), "the trim may still make up for it"
    assert found(0.927)[0].short_since_s == 0.0
    assert found(0.927, pcc_import_w=0.0, net_load_w=2100.0) == ()


def test_what_one_battery_does_too_much_the_other_takes_and_it_is_said() -> None:
    # Load 500 W, nothing may be exported, and bat2 discharges 1500 W for ever: bat1 has to charge 1000 W.
    config = a_config(FIVE_KW, TWO_KW, export_limit_w=0.0)
    memory, given_w = RUNNING, 0.0
    for second in range(10, 20):
        readings = (BatteryReading(float(second), given_w, 50.0), BatteryReading(float(second), 1500.0, 50.0))
        snapshot = a_snapshot(500.0 - given_w - 1500.0, now_s=float(second), batteries=readings)
        memory, decision = step(config, memory, snapshot)
        given_w = decision.battery_setpoints_w[0] or 0.0
    assert decision.battery_setpoints_w == (-1000.0, 1500.0)
    assert "bat2 discharges 1500 W whatever it is ordered" in decision.reason
