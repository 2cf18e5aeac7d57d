"""Whether the grid is gone, and a way back that a flapping grid cannot shake."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.dispatch.decision import Memory
from controller.dispatch.islanding import (
    ON_GRID,
    IslandState,
    follow_grid,
    grid_lost,
    service_ready,
)
from controller.dispatch.modes import Mode
from controller.dispatch.orders import Order, Orders
from controller.dispatch.settings import DispatchConfig
from controller.dispatch.site import Snapshot
from controller.dispatch.step import step
from drivers.device import BatteryReading, MeterReading, PvReading
from tests.unit.dispatch.islands import (
    ONE,
    ROOF,
    TWO,
    a_snapshot,
)

GONE = BatteryReading(100.0, 800.0, 50.0, grid_present=False)
THERE = replace(GONE, grid_present=True)
SILENT = replace(GONE, grid_present=None)
DARK = MeterReading(100.0, 0.0, phase_voltage_v=(0.0, 0.0, 0.0))
LIT = replace(DARK, phase_voltage_v=(230.0, 229.0, 231.0))
BLANK = replace(DARK, frequency_hz=0.0, import_wh=0.0, export_wh=0.0)
COUNTED = replace(BLANK, import_wh=1.0)
MUTE = MeterReading(100.0, 0.0)


@pytest.mark.parametrize(
    ("meter", "battery", "lost"),
    [
        (None, None, None),
        (None, SILENT, None),
        (None, GONE, True),
        (None, THERE, False),
        (MUTE, None, None),
        (MUTE, GONE, True),
        (MUTE, THERE, False),
        (LIT, None, False),
        (LIT, SILENT, False),
        (LIT, GONE, True),
        (LIT, THERE, False),
        (DARK, None, True),
        (DARK, SILENT, True),
        (DARK, GONE, True),
        (DARK, THERE, False),
        (BLANK, None, None),
        (BLANK, SILENT, None),
        (BLANK, GONE, True),
        (BLANK, THERE, False),
        (COUNTED, None, True),
        (COUNTED, THERE, False),
    ],
)
def test_the_grid_is_gone_when_an_inverter_or_the_meter_says_so(
    meter: MeterReading | None, battery: BatteryReading | None, lost: bool | None
) -> None:
    assert grid_lost(ONE, a_snapshot(battery, meter=meter)) is lost


@pytest.mark.parametrize(("first", "second"), [(GONE, THERE), (THERE, GONE), (None, GONE), (SILENT, GONE)])
def test_one_inverter_of_several_is_enough(
    first: BatteryReading | None, second: BatteryReading | None
) -> None:
    assert grid_lost(TWO, a_snapshot(first, second)) is True


@pytest.mark.parametrize(("age_s", "lost"), [(2.5, True), (2.6, None)])
def test_an_old_word_of_the_inverter_says_nothing(age_s: float, lost: bool | None) -> None:
    assert grid_lost(ONE, a_snapshot(GONE, now_s=100.0 + age_s)) is lost


@pytest.mark.parametrize(("age_s", "lost"), [(2.5, True), (2.6, None)])
def test_an_old_meter_reading_says_nothing(age_s: float, lost: bool | None) -> None:
    assert grid_lost(ONE, a_snapshot(None, now_s=100.0 + age_s, meter=DARK)) is lost


def test_one_reply_of_zeros_does_not_end_the_work_of_a_site_on_the_grid() -> None:
    lit = replace(LIT, pcc_import_w=500.0, import_wh=900.0, export_wh=100.0)
    for told, blank in ((THERE, DARK), (SILENT, BLANK)):
        memory, modes = Memory(), []
        for second in range(100, 110):
            meter = replace(blank if second == 105 else lit, taken_at_s=float(second))
            battery = replace(told, taken_at_s=float(second), battery_discharge_w=0.0)
            memory, decision = step(ONE, memory, Snapshot(float(second), meter, (battery,)))
            modes.append(decision.mode)
            if second == 105:
                assert decision.missing == "the meter at the PCC shows no voltage on any phase"
        assert modes == [Mode.STARTING] * 2 + [Mode.RUNNING] * 3 + [Mode.HOLDING] * 3 + [Mode.RUNNING] * 2


def test_a_meter_that_goes_on_answering_zeros_is_lost() -> None:
    memory = Memory(mode=Mode.RUNNING, fresh_since_s=0.0, fresh_at_s=100.0, decided_at_s=100.0)
    for second in range(101, 105):
        meter, battery = replace(BLANK, taken_at_s=float(second)), replace(THERE, taken_at_s=float(second))
        memory, decision = step(ONE, memory, Snapshot(float(second), meter, (battery,)))
    assert decision.mode is Mode.SAFE


@pytest.mark.parametrize(
    ("voltages_v", "lost"),
    [
        ((45.9, 45.9, 45.9), True),
        ((46.0, 0.0, 0.0), False),
        ((0.0, 0.0, 46.0), False),
        ((45.9,), True),
        ((46.0,), False),
    ],
)
def test_every_phase_must_be_below_a_fifth_of_the_nominal_voltage(
    voltages_v: tuple[float, ...], lost: bool
) -> None:
    assert grid_lost(ONE, a_snapshot(None, meter=replace(DARK, phase_voltage_v=voltages_v))) is lost


def test_the_nominal_voltage_is_that_of_the_site() -> None:
    config = replace(ONE, nominal_v=120.0)
    assert grid_lost(config, a_snapshot(None, meter=replace(DARK, phase_voltage_v=(24.0,)))) is False
    assert grid_lost(config, a_snapshot(None, meter=replace(DARK, phase_voltage_v=(23.9,)))) is True


def follow(config: DispatchConfig, told: list[tuple[float, bool | None]]) -> list[float]:
    """The instants at which the site changed between grid and island."""
    state, islanded, changes = None, False, []
    for now_s, lost in told:
        state = follow_grid(config, state, lost, now_s)
        if (state is not None and state.islanded_since_s is not None) is not islanded:
            islanded = not islanded
            changes.append(now_s)
    return changes


def test_a_site_with_a_grid_remembers_nothing_of_islands() -> None:
    assert follow_grid(ONE, None, False, 5.0) is None
    assert follow_grid(ONE, None, None, 5.0) is None
    assert follow_grid(ONE, ON_GRID, False, 5.0) is ON_GRID


def test_a_lost_grid_makes_an_island_at_once() -> None:
    state = follow_grid(ONE, None, True, 5.0)
    assert state == IslandState(islanded_since_s=5.0)
    assert follow_grid(ONE, state, True, 6.0) is state


def test_the_state_of_the_loads_survives_the_way_onto_the_island() -> None:
    before = IslandState(loads_closed=(False,), switched_at_s=(4.0,))
    after = follow_grid(ONE, before, True, 5.0)
    assert after == IslandState(5.0, loads_closed=(False,), switched_at_s=(4.0,))


@pytest.mark.parametrize(("back_since_s", "ready"), [(None, False), (700.1, False), (700.0, True)])
def test_service_is_entered_after_the_delay_of_the_site(back_since_s: float | None, ready: bool) -> None:
    assert service_ready(back_since_s, 1000.0, ONE) is ready


@pytest.mark.parametrize(
    ("enter_service_s", "back_s", "change_s"),
    [(300.0, 500, 800), (60.0, 500, 560), (5.0, 500, 560), (0.0, 30, 120), (90.0, 30, 120), (91.0, 30, 121)],
)
def test_the_island_ends_after_delay_calm_minute_and_two_minutes_in_all(
    enter_service_s: float, back_s: int, change_s: int
) -> None:
    config = replace(ONE, enter_service_s=enter_service_s)
    told: list[tuple[float, bool | None]] = [(float(now), now < back_s) for now in range(1000)]
    assert follow(config, told) == [0.0, float(change_s)]


@pytest.mark.parametrize("gap", [True, None])
def test_a_gap_starts_the_delay_anew(gap: bool | None) -> None:
    told: list[tuple[float, bool | None]] = [(0.0, True), *((float(now), False) for now in range(1, 1000))]
    assert follow(ONE, told) == [0.0, 301.0]
    told[300] = (300.0, gap)
    assert follow(ONE, told) == [0.0, 601.0]


def test_not_knowing_of_the_grid_keeps_an_island_an_island() -> None:
    state = IslandState(0.0)
    assert follow_grid(ONE, state, None, 5000.0) is state
    assert follow_grid(ONE, IslandState(0.0, 10.0), None, 5000.0) == IslandState(0.0)


def test_what_was_capped_and_awaited_on_the_island_ends_with_it() -> None:
    state = IslandState(0.0, 10.0, (False,), (3.0,), None, (500.0,))
    assert follow_grid(ONE, state, False, 310.0) == IslandState(None, None, (False,), (3.0,), None, ())


def test_the_state_stays_the_same_object_while_the_delay_runs() -> None:
    state = IslandState(0.0, 10.0)
    assert follow_grid(ONE, state, False, 309.9) is state


@pytest.mark.parametrize("enter_service_s", [0.0, 60.0, 300.0])
def test_a_grid_that_flaps_twenty_times_in_ten_minutes_changes_the_mode_once(enter_service_s: float) -> None:
    config = replace(ONE, enter_service_s=enter_service_s)
    assert follow(config, [(float(now), now % 30 < 15) for now in range(600)]) == [0.0]


@given(
    st.lists(st.tuples(st.integers(1, 150), st.sampled_from([True, False, None])), max_size=60),
    st.sampled_from([0.0, 10.0, 60.0, 300.0]),
)
def test_no_grid_changes_the_mode_more_than_once_a_minute_for_long(
    stretches: list[tuple[int, bool | None]], enter_service_s: float
) -> None:
    told: list[tuple[float, bool | None]] = []
    for length_s, lost in stretches:
        told += [(float(len(told) + second), lost) for second in range(length_s)]
    changes = follow(replace(ONE, enter_service_s=enter_service_s), told)
    assert len(changes) <= 2 + len(told) / 60
    onto = changes[::2]
    assert all(later - earlier >= 120.0 for earlier, later in pairwise(onto))
    left = changes[1::2]
    assert all(out - since >= 120.0 for since, out in zip(onto, left, strict=False))


def test_pv_that_is_back_on_the_grid_keeps_the_export_limit_while_the_site_waits_for_its_proof() -> None:
    config = replace(ROOF, export_limit_w=0.0)
    back = IslandState(0.0, 90.0)
    before = Memory(mode=Mode.ISLANDED, fresh_since_s=None, fresh_at_s=99.0, decided_at_s=99.0, island=back)
    meter = MeterReading(100.0, -2000.0, phase_voltage_v=(230.0,))
    battery = BatteryReading(100.0, 0.0, 50.0, grid_present=True)
    snapshot = Snapshot(100.0, meter, (battery,), (PvReading(100.0, 2100.0, rated_w=5000.0),))
    _, decision = step(config, before, snapshot)
    assert (decision.mode, decision.battery_setpoints_w) == (Mode.ISLANDED, (None,))
    assert decision.pv_caps_w == (100.0,), "the house takes 100 W"
    orders = Orders(export_limit_w=Order(1500.0, 101.0))
    _, told = step(replace(config, export_limit_w=2000.0), before, replace(snapshot, orders=orders))
    assert told.pv_caps_w == (1600.0,), "and 1500 W may be exported while the order is in force"
    _, unseen = step(config, before, replace(snapshot, meter=None))
    assert unseen.pv_caps_w == (0.0,), "nobody knows what the house takes"
    two = replace(config, batteries=TWO.batteries, export_limit_w=1000.0)
    ordered = replace(before, heard=((0.0, 99.0), (300.0, 99.0)))
    _, silent = step(two, ordered, replace(snapshot, meter=None, batteries=(battery, None)))
    assert silent.pv_caps_w == (700.0,), "a battery that fell silent may still discharge 300 W"
    _, free = step(replace(config, export_limit_w=None), before, snapshot)
    assert free.pv_caps_w == (None,)
    dark = replace(before, island=IslandState(0.0, None))
    gone = replace(snapshot, meter=replace(meter, pcc_import_w=0.0, phase_voltage_v=(0.0,)))
    untold = replace(gone, batteries=(replace(battery, grid_present=None),))
    _, island = step(config, dark, untold)
    assert island.pv_caps_w != (0.0,), "on the island the battery takes what is left over"
