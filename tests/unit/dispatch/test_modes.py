"""The life of a site: starting, losing its readings, finding them again."""

from __future__ import annotations

from dataclasses import replace

from controller.dispatch.decision import Memory
from controller.dispatch.islanding import IslandState
from controller.dispatch.modes import NEXT_MODE, Mode, Signal
from controller.dispatch.settings import LoadSettings, PvSettings
from controller.dispatch.site import Snapshot
from controller.dispatch.step import step
from drivers.device import BatteryReading, MeterReading
from tests.unit.dispatch.sites import RUNNING, a_config, a_snapshot


def modes_over(memory: Memory, snapshots: list[Snapshot]) -> list[str]:
    config = a_config()
    found = []
    for snapshot in snapshots:
        memory, decision = step(config, memory, snapshot)
        found.append(decision.mode.value)
    return found


def seconds(first: int, last: int, **changes: object) -> list[Snapshot]:
    return [a_snapshot(now_s=float(now), **changes) for now in range(first, last + 1)]


def lost_at(taken_at_s: float, first: int, last: int) -> list[Snapshot]:
    old = MeterReading(taken_at_s, 500.0)
    return [replace(one, meter=old) for one in seconds(first, last)]


def test_two_seconds_of_good_readings_start_the_site() -> None:
    assert modes_over(Memory(), seconds(0, 3)) == ["STARTING", "STARTING", "RUNNING", "RUNNING"]


def test_a_site_without_a_meter_stays_starting_at_zero_watts() -> None:
    _, decision = step(a_config(), Memory(), a_snapshot(meter=None))
    assert (decision.mode, decision.battery_setpoints_w) == (Mode.STARTING, (0.0,))
    assert decision.reason.endswith("no reading of the meter at the PCC yet")


def test_a_site_without_any_battery_says_so() -> None:
    _, decision = step(a_config(), Memory(), a_snapshot(batteries=(None,)))
    assert decision.reason.endswith("no reading of any battery yet")


def test_one_missed_reading_changes_nothing_two_hold_three_make_it_safe() -> None:
    assert modes_over(RUNNING, lost_at(10.0, 11, 14)) == ["RUNNING", "HOLDING", "SAFE", "SAFE"]


def test_a_lost_battery_is_as_bad_as_a_lost_meter_when_it_is_the_only_one() -> None:
    gone = [replace(one, batteries=(BatteryReading(10.0, 0.0, 50.0),)) for one in seconds(11, 13)]
    assert modes_over(RUNNING, gone) == ["RUNNING", "HOLDING", "SAFE"]


def test_holding_keeps_the_last_setpoint() -> None:
    memory = replace(
        RUNNING, setpoint_w=700.0, wanted_w=700.0, battery_setpoints_w=(700.0,), orders_w=(721.0,)
    )
    _, decision = step(a_config(), memory, lost_at(10.0, 12, 12)[0])
    assert (decision.mode, decision.battery_setpoints_w) == (Mode.HOLDING, (721.0,))


def test_safe_is_left_after_ten_seconds_of_good_readings_and_not_before() -> None:
    found = modes_over(Memory(mode=Mode.SAFE), seconds(100, 111))
    assert found == ["SAFE"] * 10 + ["RUNNING"] * 2


def test_a_gap_in_the_good_readings_starts_the_proof_again() -> None:
    snapshots = seconds(100, 108) + lost_at(108.0, 110, 110) + seconds(111, 121)
    assert modes_over(Memory(mode=Mode.SAFE), snapshots) == ["SAFE"] * 20 + ["RUNNING"]


def test_holding_is_left_after_two_seconds_of_good_readings() -> None:
    found = modes_over(replace(RUNNING, mode=Mode.HOLDING, fresh_since_s=None), seconds(20, 22))
    assert found == ["HOLDING", "HOLDING", "RUNNING"]


def test_a_meter_that_answers_one_poll_in_three_does_not_prolong_holding() -> None:
    flickering = [
        one for now in range(10, 40, 3) for one in (*seconds(now, now), *lost_at(now, now + 1, now + 2))
    ]
    # Held from 12 s on; the first gap after 4 s of that, at 18 s, finds it lost, never to be proven again.
    assert modes_over(RUNNING, flickering) == ["RUNNING"] * 2 + ["HOLDING"] * 6 + ["SAFE"] * 22


def test_a_single_gap_is_held_over_and_proven_again() -> None:
    snapshots = [*lost_at(10.0, 11, 12), *seconds(13, 16)]
    assert modes_over(RUNNING, snapshots) == [
        "RUNNING",
        "HOLDING",
        "HOLDING",
        "HOLDING",
        "RUNNING",
        "RUNNING",
    ]


def test_readings_that_come_and_go_are_held_over_for_five_seconds() -> None:
    held = replace(RUNNING, mode=Mode.HOLDING, fresh_since_s=None, fresh_at_s=13.5, held_since_s=10.0)
    for now_s, mode in ((15.0, "HOLDING"), (15.25, "SAFE")):
        assert modes_over(held, [a_snapshot(now_s=now_s, meter=MeterReading(13.25, 500.0))]) == [mode]


def test_an_island_that_is_over_without_a_meter_waits_at_rest_with_its_loads_back() -> None:
    config = a_config(
        export_limit_w=0.0, pvs=(PvSettings("roof"),), loads=(LoadSettings("boiler", 1000.0, 95.0, 98.0),)
    )
    over = IslandState(
        islanded_since_s=-1000.0, grid_back_since_s=-300.0, loads_closed=(False,), switched_at_s=(-900.0,)
    )
    there = (BatteryReading(0.0, 0.0, 50.0, grid_present=True),)
    blind = a_snapshot(now_s=0.0, meter=None, batteries=there, pv_generation_w=500.0)
    _, decision = step(config, Memory(mode=Mode.ISLANDED, island=over), blind)
    assert decision.mode is Mode.STARTING
    assert (decision.battery_setpoints_w, decision.pv_caps_w, decision.loads_closed) == (
        (0.0,),
        (0.0,),
        (True,),
    )


def test_an_island_that_is_over_goes_on_at_once_with_a_meter_that_was_good_for_as_long_as_the_grid() -> None:
    island = Memory(mode=Mode.ISLANDED, island=IslandState(islanded_since_s=-1000.0), fresh_since_s=None)
    back = [
        a_snapshot(now_s=float(now), batteries=(BatteryReading(float(now), 0.0, 50.0, grid_present=True),))
        for now in range(301)
    ]
    assert modes_over(island, back)[-2:] == ["ISLANDED", "RUNNING"]


def test_the_grid_must_be_back_for_five_minutes_before_the_island_ends() -> None:
    island = Memory(mode=Mode.ISLANDED, island=IslandState(islanded_since_s=-1000.0))
    back = [
        a_snapshot(now_s=float(now), batteries=(BatteryReading(float(now), 0.0, 50.0, grid_present=True),))
        for now in (0, 299, 300, 301)
    ]
    assert modes_over(island, back) == ["ISLANDED", "ISLANDED", "RUNNING", "RUNNING"]


def test_a_stop_ends_every_mode_and_a_start_begins_from_the_beginning() -> None:
    for mode in Mode:
        assert NEXT_MODE[mode, Signal.STOP] is Mode.STOPPED
    assert modes_over(Memory(mode=Mode.STOPPED), seconds(0, 0)) == ["STARTING"]


def test_a_fault_stays_until_the_operator_stops_the_site() -> None:
    for signal in Signal:
        expected = Mode.STOPPED if signal is Signal.STOP else Mode.FAULT
        assert NEXT_MODE[Mode.FAULT, signal] is expected


def test_running_is_never_entered_on_stale_or_lost_readings() -> None:
    for (_, signal), after in NEXT_MODE.items():
        if signal in (Signal.STALE, Signal.LOST, Signal.NO_GRID, Signal.STOP, Signal.FAULTY):
            assert after is not Mode.RUNNING
