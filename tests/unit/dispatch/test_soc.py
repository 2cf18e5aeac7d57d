"""A SoC that jumps without a current, or stands still beside one, is not trusted with the reserve (B14)."""

from __future__ import annotations

import pytest

from controller.dispatch.decision import Decision, Memory
from controller.dispatch.settings import BatterySettings, DispatchConfig
from controller.dispatch.site import Snapshot
from controller.dispatch.soc import Charge, believed, counted, doubts, follow_soc
from controller.dispatch.step import step
from drivers.device import BatteryReading, MeterReading
from tests.unit.dispatch.sites import FIVE_KW, RUNNING, TWO_KW, a_config

TEN_KWH = BatterySettings("bat1", 10_000.0, max_charge_w=40_000.0, max_discharge_w=40_000.0)
"""Of 40 kW, so that seconds move its SoC: up to 50 W it is idle, and more than 52.5 kW it cannot do."""


def told(*rows: tuple[float, float, float | None]) -> Charge | None:
    """The charge after rows of (time, discharge W, SoC told)."""
    charge: Charge | None = None
    for now_s, discharge_w, soc_pct in rows:
        charge = counted(TEN_KWH, charge, BatteryReading(now_s, discharge_w, soc_pct))
    return charge


def test_a_value_that_moves_with_the_current_is_believed() -> None:
    # 3.6 kW for 10 s are 10 Wh, 0.1 % of 10 kWh.
    charge = told((0.0, 3600.0, 50.0), (10.0, 3600.0, 49.9), (20.0, 3600.0, 49.8))
    assert charge == Charge(20.0, 49.8, 49.8)
    assert charge.lower_pct == charge.higher_pct == 49.8


def test_a_coarse_value_is_counted_on_between_its_steps() -> None:
    charge = told((0.0, 3600.0, 50.0), (10.0, 3600.0, 50.0), (20.0, -3600.0, 50.0), (30.0, 3600.0, 50.0))
    assert charge is not None
    assert charge.counted_pct == pytest.approx(49.9)
    assert charge.lower_pct == 50.0


def test_a_jump_of_more_than_ten_percent_counts_as_the_lower_value_for_five_minutes() -> None:
    up = told((0.0, 0.0, 50.0), (1.0, 0.0, 60.1))
    assert up == Charge(1.0, 60.1, 50.0, 1.0)
    assert (up.lower_pct, up.higher_pct) == (50.0, 60.1)
    down = told((0.0, 0.0, 50.0), (1.0, 0.0, 39.9))
    assert down is not None
    assert (down.lower_pct, down.higher_pct) == (39.9, 50.0)
    assert told((0.0, 0.0, 50.0), (1.0, 0.0, 60.0)) == Charge(1.0, 60.0, 60.0), "ten percent is no jump"
    assert told((0.0, 0.0, 50.0), (1.0, 0.0, 40.0)) == Charge(1.0, 40.0, 40.0), "nor downwards"
    rows = [(1000.0, 0.0, 50.0), *[(1001.0 + 50.0 * number, 0.0, 70.0) for number in range(7)]]
    assert told(*rows[:-1]) == Charge(1251.0, 70.0, 50.0, 1001.0)
    assert told(*rows) == Charge(1301.0, 70.0, 70.0)


def test_a_value_that_stands_still_while_energy_flows_is_doubted_until_it_moves() -> None:
    # 35 kW on 10 kWh are 0.0972 % a second: 10 % are passed after 103 s, with 10.01 %.
    rows = [(float(second), 35_000.0, 50.0) for second in range(104)]
    standing = told(*rows)
    assert standing is not None
    assert (standing.doubted_since_s, standing.stands) == (103.0, True)
    assert standing.lower_pct == pytest.approx(39.986, abs=1e-3)
    long = told(*rows, *[(103.0 + 50.0 * number, 0.0, 50.0) for number in range(1, 10)])
    assert long is not None
    assert long.stands, "it is not right by standing a few minutes"
    assert told(*rows, (104.0, 0.0, 40.0)) == Charge(104.0, 40.0, 40.0)
    assert told(*rows, (104.0, 0.0, 55.0)) == Charge(104.0, 55.0, standing.counted_pct, 104.0)


def test_after_a_gap_or_a_step_back_in_time_what_it_says_is_all_there_is() -> None:
    assert told((0.0, 0.0, 50.0), (60.0, 0.0, 80.0)) == Charge(60.0, 80.0, 50.0, 60.0)
    assert told((0.0, 0.0, 50.0), (60.5, 0.0, 80.0)) == Charge(60.5, 80.0, 80.0)
    assert told((10.0, 0.0, 50.0), (5.0, 0.0, 80.0)) == Charge(5.0, 80.0, 80.0)
    assert told((0.0, 0.0, 50.0), (1.0, 0.0, None)) is None


def test_the_same_reading_is_counted_once() -> None:
    first = Charge(1.0, 50.0, 50.0)
    assert counted(TEN_KWH, first, BatteryReading(1.0, 9000.0, 90.0)) is first


def test_the_count_ends_at_empty_and_full() -> None:
    empty = told((0.0, 9e6, 5.0), (60.0, 9e6, 5.0))
    full = told((0.0, -9e6, 95.0), (60.0, -9e6, 95.0))
    assert empty is not None
    assert full is not None
    assert (empty.counted_pct, full.counted_pct) == (0.0, 100.0)
    assert told((0.0, 0.0, 5.0), (50.0, 36_000.0, 5.0)) == Charge(50.0, 5.0, 0.0), "just empty is empty"
    # 36 kW on 10 kWh are 0.1 % a second, 3.6 kW 0.01 %.
    near = [told((0.0, 0.0, 5.0), (45.0, 36_000.0, 5.0)), told((0.0, 0.0, 95.0), (50.5, -36_000.0, 95.0))]
    assert [one and one.counted_pct for one in near] == pytest.approx([0.5, 100.0])


def test_a_silent_battery_keeps_its_charge_and_the_others_are_counted() -> None:
    both = (BatteryReading(1.0, 0.0, 50.0), BatteryReading(1.0, 0.0, 70.0))
    first, doubted = follow_soc((FIVE_KW, TWO_KW), (), Snapshot(1.0, None, both))
    assert first == (Charge(1.0, 50.0, 50.0), Charge(1.0, 70.0, 70.0))
    assert doubted is False
    assert doubts((FIVE_KW, TWO_KW), first) == ""
    later = Snapshot(2.0, None, (None, BatteryReading(2.0, 0.0, 90.0)))
    after, doubted = follow_soc((FIVE_KW, TWO_KW), first, later)
    assert after == (first[0], Charge(2.0, 90.0, 70.0, 2.0))
    assert doubted is True
    assert believed(later, after).batteries == (None, BatteryReading(2.0, 0.0, 70.0))
    silent = Snapshot(3.0, None, (None, None))
    assert follow_soc((FIVE_KW, TWO_KW), after, silent) == (after, True), "silence ends no doubt"
    two = (Charge(2.0, 20.0, 50.0, 2.0, True), Charge(2.0, 90.0, 70.0, 2.0))
    assert doubts((FIVE_KW, TWO_KW), two) == (
        "bat1: its SoC stands still, counting on 20 %; bat2: its SoC jumped, counting on 70 %"
    )


def test_a_battery_without_a_soc_has_nothing_to_doubt() -> None:
    mixed = Snapshot(1.0, None, (BatteryReading(1.0, 0.0, None), BatteryReading(1.0, 0.0, 70.0)))
    doubted = (None, Charge(1.0, 90.0, 70.0, 1.0))
    assert believed(mixed, doubted).batteries == (mixed.batteries[0], mixed.batteries[1])
    assert doubts((FIVE_KW, TWO_KW), doubted) == "bat2: its SoC jumped, counting on 70 %"


def test_what_an_inverter_shows_at_rest_says_nothing_about_the_soc() -> None:
    # 0.5 % of 10 kWh in an hour; 50 W for 36 s are 0.5 Wh, 0.005 % of 10 kWh.
    for watts, counted_pct in ((49.9, 50.0), (-49.9, 50.0), (50.0, 49.995), (-50.0, 50.005)):
        charge = told((0.0, 0.0, 50.0), (36.0, watts, 50.0))
        assert charge is not None
        assert charge.counted_pct == pytest.approx(counted_pct, abs=1e-6), watts


def test_a_battery_that_shows_twenty_watts_at_rest_is_never_doubted() -> None:
    # 20 W for 100 hours would be 20 % of 10 kWh.
    charge = told(*[(50.0 * number, 20.0, 80.0) for number in range(7200)])
    assert charge == Charge(359_950.0, 80.0, 80.0)


def test_no_more_is_counted_than_the_battery_can_do() -> None:
    # 52.5 kW for 1 s are 0.1458 % of 10 kWh.
    for watts, counted_pct in ((3e14, 49.854167), (-3e14, 50.145833)):
        charge = told((0.0, 0.0, 50.0), (1.0, watts, 50.0))
        assert charge is not None
        assert charge.counted_pct == pytest.approx(counted_pct, abs=1e-6)
        assert charge.doubted_since_s is None


def test_a_soc_that_stood_beside_a_current_is_believed_again_after_six_hours_at_rest() -> None:
    doubted = Charge(0.0, 50.0, 20.0, 0.0, True)

    def rested(*rows: tuple[float, float]) -> Charge | None:
        charge: Charge | None = doubted
        for now_s, discharge_w in rows:
            charge = counted(TEN_KWH, charge, BatteryReading(now_s, discharge_w, 50.0))
        return charge

    minutes = [(60.0 * number, 0.0) for number in range(1, 361)]
    assert rested(*minutes[:-1]) == Charge(21_540.0, 50.0, 20.0, 0.0, True)
    assert rested(*minutes) == Charge(21_600.0, 50.0, 50.0)
    busy = rested(*minutes[:-1], (21_570.0, -3600.0), (21_600.0, 0.0))
    assert busy is not None, "a current begins the wait anew"
    assert (busy.doubted_since_s, busy.stands) == (21_570.0, True)


def after(config: DispatchConfig, *rows: tuple[float, float, float]) -> Decision:
    """The decision after rows of (time, PCC, SoC), the battery at rest."""
    memory: Memory = RUNNING
    for now_s, pcc_w, soc_pct in rows:
        reading = BatteryReading(now_s, 0.0, soc_pct)
        memory, decision = step(config, memory, Snapshot(now_s, MeterReading(now_s, pcc_w), (reading,)))
    return decision


def test_a_jump_up_does_not_open_the_reserve() -> None:
    config = a_config(FIVE_KW, reserve_pct=30.0)
    decision = after(config, (10.0, 900.0, 25.0), (11.0, 901.0, 60.0))
    assert (decision.setpoint_w, decision.limited_by) == (0.0, "reserve")
    assert decision.note == "bat1: its SoC jumped, counting on 25 %"


def test_a_jump_down_stops_the_discharge_at_once() -> None:
    config = a_config(FIVE_KW, reserve_pct=30.0)
    assert after(config, (10.0, 900.0, 60.0), (11.0, 901.0, 25.0)).setpoint_w == 0.0


def test_a_battery_that_says_full_is_not_charged_whatever_was_counted() -> None:
    decision = after(a_config(FIVE_KW), (10.0, -900.0, 50.0), (11.0, -901.0, 100.0))
    assert (decision.setpoint_w, decision.limited_by) == (0.0, "full")
    decision = after(a_config(FIVE_KW), (10.0, -900.0, 100.0), (11.0, -901.0, 50.0))
    assert decision.setpoint_w == 0.0, "it was full a second ago"
