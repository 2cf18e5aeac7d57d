"""Meters that lie: nonsense, contradiction, frozen, reversed, ten times too much."""

from __future__ import annotations

from dataclasses import replace
from math import pi, sin

import pytest

from controller.dispatch.decision import Decision, Memory
from controller.dispatch.modes import Mode
from controller.dispatch.orders import NO_ORDERS, Order, Orders
from controller.dispatch.plausible import NO_DOUBT, Doubt, asks_w, judge, nonsense
from controller.dispatch.response import NOTHING_HEARD, Response
from controller.dispatch.settings import DispatchConfig, MeterSettings
from controller.dispatch.site import Snapshot
from controller.dispatch.step import step
from drivers.device import BatteryReading, MeterReading
from tests.unit.dispatch.sites import FIVE_KW, TWO_KW, a_config

RATED_W = 5000.0
CONFIG = DispatchConfig((), fuse_a=25.0)


@pytest.mark.parametrize("power_w", [float("nan"), float("inf"), float("-inf")])
def test_no_number_is_nonsense(power_w: float) -> None:
    assert nonsense(CONFIG, MeterReading(0.0, power_w)) == "the meter at the PCC shows no number"


def test_more_than_five_times_the_fuses_is_nonsense() -> None:
    # 5 x 25 A x 230 V x 3 phases.
    assert nonsense(CONFIG, MeterReading(0.0, 86_250.0)) == ""
    assert nonsense(CONFIG, MeterReading(0.0, -86_250.0)) == ""
    assert "86251 W, more than this connection can carry" in nonsense(CONFIG, MeterReading(0.0, 86_251.0))
    assert "-86251 W" in nonsense(CONFIG, MeterReading(0.0, -86_251.0))


def test_without_a_fuse_ten_megawatts_are_nonsense() -> None:
    assert nonsense(DispatchConfig(()), MeterReading(0.0, 10e6)) == ""
    assert nonsense(DispatchConfig(()), MeterReading(0.0, 10e6 + 1)) != ""


def test_phases_that_contradict_the_whole_are_nonsense() -> None:
    def told(whole_w: float, *phases_w: float) -> str:
        return nonsense(CONFIG, MeterReading(0.0, whole_w, phases_w))

    assert told(1000.0, 300.0, 300.0, 400.0) == ""
    assert told(1000.0, 0.0, 0.0, 0.0) != ""
    assert told(500.0, 0.0, 0.0, 0.0) == ""
    assert told(2000.0, 1000.0, 0.0, 0.0) == ""
    assert told(2001.0, 1000.0, 0.0, 0.0) == ("the meter at the PCC shows 2001 W, its phases together 1000 W")
    assert told(-1000.0, 1000.0, 0.0, 0.0) != ""
    assert told(9000.0, 1.0) == "", "a meter that shows one phase of three says nothing about the whole"


def test_phases_all_below_a_fifth_of_their_voltage_have_no_grid_behind_them() -> None:
    # A fifth of 230 V are 46 V.
    dark = MeterReading(0.0, 0.0, phase_voltage_v=(0.0, 45.9, 0.0))
    assert nonsense(CONFIG, dark) == "the meter at the PCC shows no voltage on any phase"
    assert nonsense(CONFIG, replace(dark, phase_voltage_v=(0.0, 46.0, 0.0))) == "", "a brown-out"


def value(pcc_w: float, battery_w: float, at_s: float, before: Response = NOTHING_HEARD) -> Response:
    return Response(
        samples=(*before.samples, (at_s, battery_w)),
        value=MeterReading(at_s, pcc_w),
        seen_at_s=at_s,
        polled_at_s=at_s,
        battery_then_w=battery_w,
        values=(*before.values, (at_s, pcc_w)),
    )


def doubt_after(*values: tuple[float, float], start: Doubt = NO_DOUBT) -> tuple[Doubt, str]:
    """The doubt after a row of (PCC, battery), all news."""
    doubt, wrong = start, ""
    before = value(*values[0], 0.0)
    for second, one in enumerate(values[1:], start=1):
        after = value(*one, float(second), before)
        doubt, wrong = judge(CONFIG, doubt, before, after, True, RATED_W)
        before = after
    return doubt, wrong


def test_a_meter_that_falls_when_the_battery_rises_is_believed() -> None:
    assert doubt_after((2000.0, 0.0), (1000.0, 1000.0), (0.0, 2000.0), (500.0, 1500.0)) == (NO_DOUBT, "")


def test_a_meter_that_rises_with_the_battery_three_times_is_reversed() -> None:
    doubt, wrong = doubt_after((0.0, 0.0), (500.0, 500.0), (1000.0, 1000.0))
    assert (doubt.reversed_strikes, wrong) == (2, "")
    doubt, wrong = doubt_after((0.0, 0.0), (500.0, 500.0), (1000.0, 1000.0), (1600.0, 1600.0))
    assert (
        wrong == "the meter at the PCC follows the battery the wrong way round; is its sign or a CT reversed?"
    )
    assert doubt.distrusted_at_s == 3.0


def test_one_right_answer_clears_the_strikes() -> None:
    doubt, _ = doubt_after((0.0, 0.0), (500.0, 500.0), (1000.0, 1000.0), (500.0, 1500.0), (1000.0, 2000.0))
    assert doubt.reversed_strikes == 1


def test_the_edges_of_a_reversed_answer() -> None:
    for ratio, strikes in ((0.79, 0), (0.8, 1), (1.2, 1), (1.21, 0), (-0.5, 0), (-1.5, 0)):
        doubt, _ = doubt_after((0.0, 0.0), (1000.0 * ratio, 1000.0))
        assert doubt.reversed_strikes == strikes, ratio


def test_a_meter_ten_times_too_much_or_too_little_has_the_wrong_scale() -> None:
    for factor in (10.0, 0.1, 8.0, 12.0, 0.08, 0.12):
        row = [(-factor * watts, watts) for watts in (0.0, 500.0, 1000.0, 1500.0)]
        doubt, wrong = doubt_after(*row)
        assert "ten times too much or too little" in wrong, factor
        assert doubt.scale_strikes == 3
    for factor in (7.9, 12.1, 0.07, 0.13):
        doubt, _ = doubt_after((0.0, 0.0), (-factor * 1000.0, 1000.0))
        assert doubt.scale_strikes == 0, factor


def test_a_small_movement_of_the_battery_says_nothing() -> None:
    # Five percent of 5 kW are 250 W.
    assert doubt_after((0.0, 0.0), (249.0, 249.0))[0].reversed_strikes == 0
    assert doubt_after((0.0, 0.0), (250.0, 250.0))[0].reversed_strikes == 1
    assert doubt_after((0.0, 0.0), (249.0, 249.0))[0] is NO_DOUBT
    assert doubt_after((0.0, 0.0), (249.0, 249.0), start=Doubt(2, 0))[0].reversed_strikes == 2


def test_a_load_that_moves_between_the_strikes_acquits_the_meter() -> None:
    # 500 W each time, and 100 W of load: a meter that lies follows the battery to 3 %.
    struck = (0.0, 0.0), (500.0, 500.0), (1000.0, 1000.0)
    assert "wrong way round" in doubt_after(*struck, (1500.0, 1500.0))[1]
    assert doubt_after(*struck, (1100.0, 1000.0), (1600.0, 1500.0))[1] == ""
    assert "wrong way round" in doubt_after(*struck, (1010.0, 1000.0), (1510.0, 1500.0))[1]


def test_the_first_strike_of_a_row_counts_like_the_others_and_none_before_it() -> None:
    # 575 W for 500 W is 15 % more than the other two.
    assert doubt_after((0.0, 0.0), (575.0, 500.0), (1075.0, 1000.0), (1575.0, 1500.0))[1] == ""
    assert doubt_after((0.0, 0.0), (-5750.0, 500.0), (-10_750.0, 1000.0), (-15_750.0, 1500.0))[1] == ""
    # Ten times too much and then three times reversed is a row of three; so is the other way round.
    turned_first = (0.0, 0.0), (500.0, 500.0), (-4500.0, 1000.0), (-9500.0, 1500.0), (-14_500.0, 2000.0)
    assert doubt_after(*turned_first[:-1])[1] == ""
    assert "ten times too much" in doubt_after(*turned_first)[1]
    scaled_first = (0.0, 0.0), (-5000.0, 500.0), (-4500.0, 1000.0), (-4000.0, 1500.0), (-3500.0, 2000.0)
    assert doubt_after(*scaled_first[:-1])[1] == ""
    assert "wrong way round" in doubt_after(*scaled_first)[1]


def test_six_strikes_in_a_row_are_enough_although_the_loads_move_as_well() -> None:
    # By 85 % and 115 % in turn: 15 % is no exact factor.
    row, pcc_w = [(0.0, 0.0)], 0.0
    for number in range(1, 7):
        pcc_w += 850.0 if number % 2 else 1150.0
        row.append((pcc_w, 1000.0 * number))
    assert doubt_after(*row[:-1])[1] == ""
    assert "wrong way round" in doubt_after(*row)[1]


def test_the_battery_is_looked_at_when_the_meter_measured() -> None:
    # Three seconds late: the meter shows today what the battery did then.
    late = DispatchConfig((), meter=MeterSettings(delay_s=3.0))
    gives_w = [0.0, 0.0, 0.0, 0.0, 500.0, 1000.0, 1500.0, 2000.0, 2500.0, 3000.0, 3500.0]
    for sign, accused in ((-1.0, False), (1.0, True)):
        doubt, wrong, before = NO_DOUBT, "", value(0.0, 0.0, 0.0)
        for second in range(1, 11):
            pcc_w = sign * gives_w[max(second - 3, 0)]
            after = value(pcc_w, gives_w[second], float(second), before)
            doubt, wrong = judge(late, doubt, before, after, True, RATED_W)
            before = after
        assert bool(wrong) is accused


def test_an_honest_meter_beside_a_load_that_swings_is_not_accused() -> None:
    """Loads of 2.5 kW that swing by 2.3 kW each way, and a battery with a time constant of 1 or 2 s."""
    for period_s, follows in ((20.0, 0.63), (24.0, 0.63), (30.0, 0.39)):
        memory, given_w = Memory(), 0.0
        for second in range(600):
            now_s = float(second)
            pcc_w = 2500.0 + 2300.0 * sin(2.0 * pi * second / period_s) - given_w
            snapshot = Snapshot(now_s, MeterReading(now_s, pcc_w), (BatteryReading(now_s, given_w, 50.0),))
            memory, decision = step(a_config(FIVE_KW), memory, snapshot)
            assert decision.missing == ""
            given_w += ((decision.battery_setpoints_w[0] or 0.0) - given_w) * follows


def test_a_distrusted_meter_gets_another_chance_after_five_minutes() -> None:
    distrusted = Doubt(3, 0, None, 100.0)
    soon, later = value(0.0, 0.0, 399.0), value(0.0, 0.0, 400.0)
    assert judge(CONFIG, distrusted, soon, soon, False, RATED_W)[1] != ""
    assert judge(CONFIG, distrusted, soon, later, False, RATED_W) == (NO_DOUBT, "")


def test_the_first_reading_is_not_judged() -> None:
    assert judge(CONFIG, NO_DOUBT, NOTHING_HEARD, value(0.0, 0.0, 0.0), True, RATED_W) == (NO_DOUBT, "")


def unseen(seconds: float, moved_w: float, config: DispatchConfig = CONFIG, cadence_s: float = 0.0) -> str:
    """What is said of a meter that has shown the same while the battery moved at 1 s, so long after."""
    doubt = NO_DOUBT
    for at_s in (1.0, 1.0 + seconds):
        now = Response(
            ((0.0, 0.0), (at_s, moved_w)), 0.0, 0, MeterReading(0.0, 300.0), 0.0, at_s, 0.0, cadence_s
        )
        doubt, wrong = judge(config, doubt, now, now, False, RATED_W)
    return wrong


def test_a_meter_that_does_not_see_the_battery_move_for_four_seconds_is_frozen() -> None:
    assert unseen(3.9, 40.0) == ""
    assert "is it frozen?" in unseen(4.0, 40.0)
    assert "is it frozen?" in unseen(4.0, -40.0)
    assert unseen(60.0, 39.0) == "", "0.8 % of 5 kW are 40 W"


def test_a_slow_or_late_meter_is_given_the_time_it_needs() -> None:
    slow = DispatchConfig((), meter=MeterSettings(delay_s=3.0, period_s=10.0))
    assert unseen(26.9, 100.0, slow) == ""
    assert "frozen" in unseen(27.0, 100.0, slow)
    assert unseen(23.9, 100.0, cadence_s=10.0) == ""
    assert "frozen" in unseen(24.0, 100.0, cadence_s=10.0)


def asked_w(
    response: Response,
    now_s: float,
    doubt: Doubt = NO_DOUBT,
    rated_w: float = RATED_W,
    deadband_w: float = 10.0,
) -> float:
    return asks_w(CONFIG.meter, response, doubt, now_s, rated_w, deadband_w)


def test_a_meter_that_shows_nothing_new_for_half_a_minute_is_asked() -> None:
    assert asked_w(value(0.0, 0.0, 10.0), 39.9) == 0.0
    assert asked_w(value(0.0, 0.0, 10.0), 40.0) == 75.0
    assert asked_w(value(0.0, 0.0, 10.0), 40.0, rated_w=1000.0) == 40.0
    assert asked_w(value(0.0, 0.0, 10.0), 40.0, rated_w=1000.0, deadband_w=200.0) == 201.0
    assert asked_w(NOTHING_HEARD, 40.0) == 0.0


def test_a_meter_whose_power_stays_the_same_is_asked_once_it_should_have_shown_that_the_battery_moved() -> (
    None
):
    stands, moved = value(0.0, 0.0, 10.0), Doubt(stood_w=1500.0, moved_at_s=8.0)
    assert asked_w(stands, 11.0, Doubt(stood_w=1500.0)) == 0.0
    assert asked_w(stands, 11.0, moved) == 75.0
    assert asked_w(stands, 11.0, Doubt(moved_at_s=8.0)) == 0.0, "no value yet"
    # Its values last 0.9 s: from 9.8 s on it must show what was at 8 s. Or it is 2 s late.
    for meter, due in ((MeterSettings(period_s=0.9), True), (MeterSettings(period_s=1.0), False)):
        assert asks_w(meter, stands, moved, 11.0, RATED_W, 10.0) == (75.0 if due else 0.0)
    assert asks_w(MeterSettings(delay_s=1.9), stands, moved, 11.0, RATED_W, 10.0) == 75.0
    assert asks_w(MeterSettings(delay_s=2.0), stands, moved, 11.0, RATED_W, 10.0) == 0.0


def test_a_late_meter_has_its_delay_once_more_to_show_that_it_was_asked() -> None:
    late, before = DispatchConfig((), meter=MeterSettings(delay_s=3.0)), value(300.0, 500.0, 0.0)
    doubt = Doubt(stood_w=460.0, moved_at_s=0.0)
    for at_s, says in ((9.9, ""), (10.0, "frozen")):
        assert says in judge(late, doubt, before, value(300.0, 500.0, at_s, before), True, RATED_W)[1]
    assert judge(late, doubt, before, value(300.0, 500.0, 9.9, before), True, RATED_W)[1] == ""


def test_a_value_that_is_new_but_for_its_power_begins_the_wait_anew() -> None:
    before = value(300.0, 500.0, 0.0)
    now = value(300.0, 500.0, 1.0, before)
    assert judge(CONFIG, Doubt(moved_at_s=0.5), before, now, True, RATED_W) == (Doubt(stood_w=500.0), "")


def test_what_is_said_of_a_meter_that_is_not_believed_is_a_whole_sentence() -> None:
    turned = Doubt(reversed_strikes=3, distrusted_at_s=0.0)
    scaled = Doubt(scale_strikes=3, distrusted_at_s=0.0)
    now = value(0.0, 0.0, 1.0)
    assert judge(CONFIG, turned, now, now, True, RATED_W)[1] == (
        "the meter at the PCC follows the battery the wrong way round; is its sign or a CT reversed?"
    )
    assert judge(CONFIG, scaled, now, now, True, RATED_W)[1] == (
        "the meter at the PCC follows the battery ten times too much or too little; is its scale right?"
    )
    assert unseen(60.0, 100.0) == (
        "the meter at the PCC shows the same values although the battery has moved; is it frozen?"
    )


def test_a_battery_seen_neither_turned_nor_ten_times_clears_the_meter() -> None:
    still = value(0.0, 0.0, 0.0)

    def cleared(pcc_w: float) -> bool:
        struck = Doubt(2, 2)
        return judge(CONFIG, struck, still, value(pcc_w, 1000.0, 1.0, still), True, RATED_W)[0] is NO_DOUBT

    assert [cleared(one) for one in (-499.0, -500.0, -1000.0, -1500.0)] == [True] * 4
    # Neither clear nor against the meter: the strikes in a row end, too.
    assert judge(CONFIG, Doubt(2, 2), still, value(-1501.0, 1000.0, 1.0, still), True, RATED_W) == (
        Doubt(0, 0),
        "",
    )


def test_a_small_movement_keeps_the_strikes_and_ends_the_wait_for_the_battery_to_be_seen() -> None:
    before = value(0.0, 0.0, 0.0)
    now = value(-240.0, 200.0, 1.0, before)
    kept = Doubt(1, 2, None, None, 40_000.0, -48_000.0, 57_600.0)
    assert judge(CONFIG, Doubt(1, 2, 0.5), before, now, True, RATED_W) == (kept, "")
    assert judge(CONFIG, Doubt(0, 0, 0.5), before, now, True, RATED_W) == (NO_DOUBT, "")


def test_waiting_for_the_battery_to_be_seen_keeps_the_strikes() -> None:
    now = Response(((0.0, 500.0), (5.0, 600.0)), 0.0, 0, MeterReading(0.0, 1.0), 0.0, 5.0, 500.0)
    assert judge(CONFIG, Doubt(1, 2), now, now, False, RATED_W) == (Doubt(1, 2, 5.0), "")
    still = Response(((0.0, 500.0), (5.0, 510.0)), 0.0, 0, MeterReading(0.0, 1.0), 0.0, 5.0, 500.0)
    kept = Doubt(1, 2)
    assert judge(CONFIG, kept, still, still, False, RATED_W)[0] is kept


def safe_and_frozen(now_s: float, *readings: BatteryReading, orders: Orders = NO_ORDERS) -> Decision:
    """A meter that shows what it showed at 0 s, beside batteries that gave 300 W then and nothing since."""
    config = a_config(FIVE_KW, TWO_KW, reserve_pct=10.0)
    then = Response(((0.0, 300.0), (9.0, 0.0)), 800.0, 0, MeterReading(0.0, 500.0), 0.0, now_s - 1.0, 300.0)
    memory = Memory(
        mode=Mode.SAFE, response=then, doubt=Doubt(moved_at_s=10.0), fresh_at_s=0.0, decided_at_s=now_s - 1.0
    )
    batteries = tuple([replace(one, taken_at_s=now_s) for one in readings])
    snapshot = Snapshot(now_s, MeterReading(now_s, 500.0), batteries, orders=orders)
    return step(config, memory, snapshot)[1]


HALF_FULL = BatteryReading(0.0, 0.0, 50.0)
FULL = BatteryReading(0.0, 0.0, 100.0)
AT_RESERVE = BatteryReading(0.0, 0.0, 10.0, max_charge_w=0.0)


def test_a_meter_that_seems_frozen_is_asked_every_other_half_minute() -> None:
    # 1.5 % of 7 kW.
    asked = [safe_and_frozen(now_s, HALF_FULL, HALF_FULL).battery_setpoints_w for now_s in (39.9, 40.0, 69.9)]
    assert asked == [(0.0, 0.0), (-105.0, 0.0), (-105.0, 0.0)]
    assert safe_and_frozen(70.0, HALF_FULL, HALF_FULL).battery_setpoints_w == (0.0, 0.0)
    assert safe_and_frozen(100.0, HALF_FULL, HALF_FULL).battery_setpoints_w == (-105.0, 0.0)
    assert safe_and_frozen(40.0, HALF_FULL, HALF_FULL).mode is Mode.SAFE


@pytest.mark.parametrize(
    ("batteries", "expected_w"),
    [
        ((FULL, HALF_FULL), (105.0, 0.0)),
        ((AT_RESERVE, HALF_FULL), (0.0, -105.0)),
        ((AT_RESERVE, AT_RESERVE), (0.0, 0.0)),
        ((replace(HALF_FULL, soc_pct=None), HALF_FULL), (0.0, -105.0)),
        ((replace(HALF_FULL, max_charge_w=105.0), HALF_FULL), (-105.0, 0.0)),
        ((replace(HALF_FULL, max_charge_w=104.0), HALF_FULL), (105.0, 0.0)),
        ((replace(FULL, max_discharge_w=105.0), HALF_FULL), (105.0, 0.0)),
        ((replace(FULL, max_discharge_w=104.0), HALF_FULL), (0.0, -105.0)),
    ],
)
def test_it_is_asked_by_the_first_battery_that_has_room(
    batteries: tuple[BatteryReading, ...], expected_w: tuple[float, float]
) -> None:
    assert safe_and_frozen(40.0, *batteries).battery_setpoints_w == expected_w


def test_nothing_is_asked_against_an_order() -> None:
    ordered = Orders(max_charge_w=Order(0.0, 100.0))
    assert safe_and_frozen(40.0, HALF_FULL, HALF_FULL, orders=ordered).battery_setpoints_w == (0.0, 0.0)


def test_a_silent_battery_is_not_asked_to_move() -> None:
    config = a_config(FIVE_KW, TWO_KW)
    then = Response(((0.0, 300.0), (9.0, 0.0)), 800.0, 0, MeterReading(0.0, 500.0), 0.0, 39.0, 300.0)
    memory = Memory(mode=Mode.SAFE, response=then, doubt=Doubt(moved_at_s=10.0), decided_at_s=39.0)
    batteries = (replace(HALF_FULL, taken_at_s=38.0), replace(HALF_FULL, taken_at_s=40.0))
    _, decision = step(config, memory, Snapshot(40.0, MeterReading(40.0, 500.0), batteries))
    assert decision.battery_setpoints_w == (0.0, -40.0)
    _, alone = step(config, memory, Snapshot(40.0, MeterReading(40.0, 500.0), (None, batteries[1])))
    assert alone.battery_setpoints_w == (0.0, -40.0)
