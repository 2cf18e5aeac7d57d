"""What the island carries: loads by SoC, PV by room, and how long it lasts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.dispatch.islanding import (
    ON_GRID,
    IslandState,
    autonomy_h,
    carry_on,
    floor_pct,
    island_autonomy_h,
    island_pv_cap,
    island_soc_pct,
    loads,
    loads_closed,
    on_grid,
)
from controller.dispatch.settings import PolicySettings, PvSettings
from controller.dispatch.site import Snapshot
from drivers.device import BatteryReading, PvReading, SwitchReading
from tests.unit.dispatch.islands import (
    HOUSE,
    NEVER,
    ONE,
    ROOF,
    TEN_KWH,
    TWO,
    a_battery,
    a_snapshot,
)

# Loads.


def shed(soc_pct: float | None, before: IslandState, now_s: float = 1000.0) -> tuple[bool, ...]:
    return loads(HOUSE, before, True, soc_pct, now_s).loads_closed


BOTH_ON = IslandState(0.0, None, (True, True), (NEVER, NEVER))
BOTH_OFF = IslandState(0.0, None, (False, False), (NEVER, NEVER))


@pytest.mark.parametrize(
    ("soc_pct", "from_on", "from_off"),
    [
        (100.0, (True, True), (True, True)),
        (80.0, (True, True), (True, True)),
        (79.9, (True, True), (False, True)),
        (60.0, (True, True), (False, True)),
        (59.9, (False, True), (False, True)),
        (40.0, (False, True), (False, True)),
        (39.9, (False, True), (False, False)),
        (20.0, (False, True), (False, False)),
        (19.9, (False, False), (False, False)),
        (0.0, (False, False), (False, False)),
    ],
)
def test_each_load_is_shed_and_restored_by_its_own_marks(
    soc_pct: float, from_on: tuple[bool, ...], from_off: tuple[bool, ...]
) -> None:
    assert shed(soc_pct, BOTH_ON) == from_on
    assert shed(soc_pct, BOTH_OFF) == from_off


def test_a_first_call_finds_every_load_on_and_may_shed_at_once() -> None:
    after = loads(HOUSE, ON_GRID, True, 50.0, 0.0)
    assert after == IslandState(None, None, (False, True), (0.0, NEVER))
    assert loads(HOUSE, ON_GRID, True, 100.0, 0.0).switched_at_s == (NEVER, NEVER)


def test_nothing_to_switch_keeps_the_same_object() -> None:
    assert loads(HOUSE, BOTH_ON, True, 60.0, 1000.0) is BOTH_ON
    assert loads(HOUSE, BOTH_OFF, True, 0.0, 1000.0) is BOTH_OFF


@pytest.mark.parametrize(("now_s", "closed"), [(159.9, False), (160.0, True)])
def test_a_load_rests_for_a_minute_between_two_switchings(now_s: float, closed: bool) -> None:
    before = IslandState(0.0, None, (False, True), (100.0, NEVER))
    assert shed(90.0, before, now_s) == (closed, True)
    back = replace(before, loads_closed=(not closed, True))
    assert shed(50.0, back, 159.9) == (not closed, True)


def test_the_rest_of_one_load_does_not_bind_another() -> None:
    before = IslandState(0.0, None, (False, False), (100.0, 40.0))
    after = loads(HOUSE, before, True, 90.0, 100.0)
    assert (after.loads_closed, after.switched_at_s) == ((False, True), (100.0, 100.0))


def test_an_unknown_soc_leaves_the_loads_for_a_minute_and_then_sheds_them() -> None:
    mixed = IslandState(0.0, None, (False, True), (NEVER, NEVER))
    first = loads(HOUSE, mixed, True, None, 1000.0)
    assert (first.loads_closed, first.soc_unknown_since_s) == ((False, True), 1000.0)
    assert loads(HOUSE, first, True, None, 1060.0) is first
    late = loads(HOUSE, first, True, None, 1060.1)
    assert (late.loads_closed, late.soc_unknown_since_s) == ((False, False), 1000.0)


def test_a_soc_that_is_told_again_ends_the_waiting() -> None:
    waiting = replace(BOTH_ON, soc_unknown_since_s=950.0)
    assert loads(HOUSE, waiting, True, 70.0, 1000.0) == BOTH_ON
    assert loads(HOUSE, waiting, False, None, 1000.0) == BOTH_ON


def test_the_minute_of_an_unknown_soc_counts_on_the_island_only() -> None:
    assert loads(HOUSE, BOTH_ON, False, None, 1000.0) is BOTH_ON


def test_loads_forgotten_by_a_changed_site_file_begin_closed() -> None:
    before = IslandState(0.0, None, (False,), (990.0,))
    assert loads(HOUSE, before, True, 70.0, 1000.0).loads_closed == (True, True)


def test_with_the_grid_back_every_load_comes_back_after_its_rest() -> None:
    state = IslandState(None, None, (False, False), (950.0, 939.9))
    first = on_grid(HOUSE, state, 1000.0)
    assert first == IslandState(None, None, (False, True), (950.0, 1000.0))
    second = on_grid(HOUSE, first, 1010.0)
    assert second == IslandState(None, None, (True, True), (1010.0, 1000.0))
    assert on_grid(HOUSE, second, 1011.0) is second


def test_a_start_with_the_grid_there_closes_what_an_earlier_run_left_open() -> None:
    assert on_grid(HOUSE, None, 3.0) == IslandState(None, None, (True, True), (NEVER, NEVER))


def test_a_site_without_switched_loads_remembers_none() -> None:
    assert on_grid(ONE, None, 3.0) is None
    assert on_grid(ONE, ON_GRID, 3.0) is ON_GRID


def test_switches_are_left_alone_until_something_is_known_of_the_grid() -> None:
    assert loads_closed(HOUSE, None) == ()
    assert loads_closed(HOUSE, ON_GRID) == ()
    assert loads_closed(HOUSE, replace(BOTH_ON, loads_closed=(False, True))) == (False, True)


# Reserve and energy to last.


@pytest.mark.parametrize(
    ("islanded", "reserve_pct", "island_floor_pct", "floor"),
    [
        (False, 30.0, 10.0, 30.0),
        (True, 30.0, 10.0, 10.0),
        (False, 3.0, 10.0, 5.0),
        (True, 30.0, 4.0, 5.0),
        (False, 6.0, 10.0, 6.0),
        (True, 30.0, 6.0, 6.0),
    ],
)
def test_an_island_may_use_the_reserve_but_never_what_lies_below_the_minimum(
    islanded: bool, reserve_pct: float, island_floor_pct: float, floor: float
) -> None:
    config = replace(ONE, policy=PolicySettings(reserve_pct=reserve_pct), island_floor_pct=island_floor_pct)
    assert floor_pct(config, TEN_KWH, islanded) == floor


def heard(*soc_pct: float | None) -> Snapshot:
    """Two batteries with these SoCs; one that is left out was not heard."""
    readings = [BatteryReading(100.0, 0.0, one) for one in soc_pct]
    return Snapshot(100.0, None, (*readings, *[None] * (2 - len(readings))))


def test_an_outage_of_now_would_last_the_energy_above_the_floor_over_the_load() -> None:
    # 50 - 10 % of 10 kWh and 30 - 10 % of 4 kWh are 4800 Wh.
    assert autonomy_h(TWO, heard(50.0, 30.0), 800.0) == 6.0


@pytest.mark.parametrize(
    ("snapshot", "load_w", "hours"),
    [
        (heard(50.0, None), 800.0, 5.0),
        (heard(None, 30.0), 800.0, 1.0),
        (heard(None, None), 800.0, None),
        (heard(), 800.0, None),
        (heard(50.0, 9.0), 800.0, 5.0),
        (heard(9.0, 10.0), 800.0, 0.0),
        (heard(50.0), 0.0, None),
        (heard(50.0), -1.0, None),
        (heard(50.0), 1.0, 4000.0),
    ],
)
def test_energy_to_last_is_told_only_where_load_and_soc_are_known(
    snapshot: Snapshot, load_w: float, hours: float | None
) -> None:
    assert autonomy_h(TWO, snapshot, load_w) == hours


@pytest.mark.parametrize(
    ("first", "second", "hours"),
    [
        (a_battery(600.0, 50.0), a_battery(200.0, 30.0), 6.0),
        (a_battery(600.0, 50.0), a_battery(-200.0, 30.0), 12.0),
        (a_battery(-600.0, 50.0), a_battery(200.0, 30.0), None),
        (a_battery(-600.0, 50.0), a_battery(600.0, 30.0), None),
        (a_battery(800.0, 50.0), a_battery(200.0, None), 5.0),
        (a_battery(800.0, 50.0), a_battery(200.0, 30.0, age_s=2.6), 5.0),
        (a_battery(600.0, 50.0), a_battery(200.0, 30.0, age_s=2.5), 6.0),
        (a_battery(800.0, 50.0), None, 5.0),
        (None, a_battery(0.5, 30.0), 1600.0),
        (a_battery(800.0, 9.0), None, 0.0),
        (None, None, None),
    ],
)
def test_the_island_lasts_the_energy_above_its_floor_over_the_discharge_of_now(
    first: BatteryReading | None, second: BatteryReading | None, hours: float | None
) -> None:
    assert island_autonomy_h(TWO, a_snapshot(first, second)) == hours


@pytest.mark.parametrize(
    ("first", "second", "soc_pct"),
    [
        (a_battery(0.0, 50.0), a_battery(0.0, 15.0), 40.0),
        (a_battery(0.0, 50.0), a_battery(0.0, None), 50.0),
        (None, a_battery(0.0, 15.0), 15.0),
        (a_battery(0.0, 50.0, age_s=3.0), a_battery(0.0, 15.0), 15.0),
        (a_battery(0.0, None), None, None),
    ],
)
def test_the_soc_of_the_island_is_of_all_batteries_by_capacity(
    first: BatteryReading | None, second: BatteryReading | None, soc_pct: float | None
) -> None:
    assert island_soc_pct(TWO, a_snapshot(first, second)) == soc_pct


# PV on the island.


def sun(generation_w: float, age_s: float = 0.0, rated_w: float | None = 6000.0) -> PvReading:
    return PvReading(100.0 - age_s, generation_w, rated_w)


@pytest.mark.parametrize(
    ("battery", "generation_w", "before", "caps_w"),
    [
        # Full: 3000 W of sun, 2500 of them into the battery, so the load is 500 W.
        (a_battery(-2500.0, 100.0), 3000.0, (None,), (500.0,)),
        # Room for 5000 W by the site file: nothing to cap.
        (a_battery(-2500.0, 99.9), 3000.0, (None,), (None,)),
        # The BMS takes 400 W only: the load of 500 W and those.
        (a_battery(-2500.0, 97.0, max_charge_w=400.0), 3000.0, (None,), (900.0,)),
        # An unknown SoC is not full, but the BMS is heard.
        (a_battery(-2500.0, None, max_charge_w=400.0), 3000.0, (None,), (900.0,)),
        # Capped before: full until 1 % below, then the cap opens to load and room.
        (a_battery(0.0, 99.1), 500.0, (500.0,), (500.0,)),
        (a_battery(0.0, 99.0), 500.0, (500.0,), (5500.0,)),
        # The load rose to 700 W and the battery helps: the cap widens.
        (a_battery(200.0, 99.9), 500.0, (500.0,), (700.0,)),
        # The load fell to 300 W: the cap follows at once.
        (a_battery(-200.0, 100.0), 500.0, (500.0,), (300.0,)),
        # Clouds: no cap is needed.
        (a_battery(400.0, 99.9), 100.0, (500.0,), (None,)),
    ],
)
def test_pv_gives_no_more_than_the_island_can_take(
    battery: BatteryReading,
    generation_w: float,
    before: tuple[float | None, ...],
    caps_w: tuple[float | None],
) -> None:
    assert island_pv_cap(ROOF, a_snapshot(battery, pvs=(sun(generation_w),)), before) == caps_w


def test_the_tighter_of_site_file_and_device_is_the_room_of_a_battery() -> None:
    tight = replace(ROOF, batteries=(replace(TEN_KWH, max_charge_w=300.0),))
    for device_w in (None, 400.0):
        snapshot = a_snapshot(a_battery(-2500.0, 97.0, max_charge_w=device_w), pvs=(sun(3000.0),))
        assert island_pv_cap(tight, snapshot, (None,)) == (800.0,)


def test_a_battery_whose_limits_nobody_knows_takes_what_comes_until_it_is_full() -> None:
    unknown = replace(ROOF, batteries=(replace(TEN_KWH, max_charge_w=None),))
    assert island_pv_cap(unknown, a_snapshot(a_battery(-2500.0, 98.0), pvs=(sun(3000.0),)), (None,)) == (
        None,
    )
    assert island_pv_cap(unknown, a_snapshot(a_battery(-2500.0, 100.0), pvs=(sun(3000.0),)), (None,)) == (
        500.0,
    )


def test_full_is_the_ceiling_of_the_site_file() -> None:
    ninety = replace(ROOF, batteries=(replace(TEN_KWH, max_soc_pct=90.0),))
    for soc_pct, caps_w in ((90.0, (500.0,)), (89.9, (None,))):
        snapshot = a_snapshot(a_battery(-2500.0, soc_pct), pvs=(sun(3000.0),))
        assert island_pv_cap(ninety, snapshot, (None,)) == caps_w


def test_several_inverters_share_the_load_by_rating_and_several_batteries_add_their_room() -> None:
    config = replace(TWO, pvs=(PvSettings("east"), PvSettings("west")))
    batteries = (a_battery(-1500.0, 100.0), a_battery(-1000.0, 90.0, max_charge_w=400.0))
    pvs = (sun(1000.0, rated_w=2000.0), sun(2000.0, rated_w=4000.0))
    # The load is 3000 - 2500 = 500 W and the second battery takes 400 W: 900 W by 1 to 2.
    assert island_pv_cap(config, a_snapshot(*batteries, pvs=pvs), ()) == (300.0, 600.0)


@pytest.mark.parametrize(
    ("battery", "pv"),
    [
        (a_battery(-2500.0, 100.0), None),
        (a_battery(-2500.0, 100.0), sun(3000.0, age_s=2.6)),
        (a_battery(-2500.0, 100.0, age_s=2.6), sun(3000.0)),
        (None, sun(3000.0)),
    ],
)
def test_an_unknown_load_leaves_the_caps_as_they_are(
    battery: BatteryReading | None, pv: PvReading | None
) -> None:
    snapshot = a_snapshot(battery, pvs=(pv,))
    assert island_pv_cap(ROOF, snapshot, (700.0,)) == (700.0,)
    assert island_pv_cap(ROOF, snapshot, ()) == (None,)


def test_a_reading_of_the_pv_counts_as_long_as_any_other() -> None:
    snapshot = a_snapshot(a_battery(-2500.0, 100.0), pvs=(sun(3000.0, age_s=2.5),))
    assert island_pv_cap(ROOF, snapshot, ()) == (500.0,)


def test_a_site_without_pv_has_no_caps() -> None:
    assert island_pv_cap(ONE, a_snapshot(a_battery(0.0, 100.0)), ()) == ()


# One cycle on the island.


def test_a_start_during_an_outage_takes_the_loads_as_they_are_switched() -> None:
    switches = (SwitchReading(100.0, False), None)
    state, closed, caps_w, hours = carry_on(
        HOUSE, None, a_snapshot(a_battery(800.0, 50.0), switches=switches)
    )
    assert closed == (False, True)
    assert state == IslandState(None, None, (False, True), (NEVER, NEVER))
    assert (caps_w, hours) == ((), 5.0)


def test_a_load_found_open_may_be_restored_at_once_and_one_found_closed_shed() -> None:
    switches = (SwitchReading(100.0, False), SwitchReading(100.0, False))
    full = a_snapshot(a_battery(800.0, 95.0), switches=switches)
    assert carry_on(HOUSE, None, full)[1] == (True, True)
    low = a_snapshot(
        a_battery(800.0, 15.0), switches=(SwitchReading(100.0, True), SwitchReading(100.0, True))
    )
    assert carry_on(HOUSE, None, low)[1] == (False, False)


def test_switches_that_were_never_read_count_as_closed() -> None:
    assert carry_on(HOUSE, None, a_snapshot(a_battery(800.0, 65.0)))[1] == (True, True)


def test_an_island_goes_on_as_it_was() -> None:
    state = IslandState(3.0, None, (False, True), (90.0, NEVER))
    again, closed, caps_w, hours = carry_on(HOUSE, state, a_snapshot(a_battery(1000.0, 70.0)))
    assert again is state
    assert (closed, caps_w, hours) == ((False, True), (), 6.0)


def test_loads_of_a_battery_with_unknown_soc_are_shed_after_a_minute_on_the_island() -> None:
    blind = a_battery(800.0, None)
    state = carry_on(HOUSE, None, a_snapshot(blind))[0]
    later = replace(blind, taken_at_s=161.0)
    assert carry_on(HOUSE, state, a_snapshot(later, now_s=160.0))[1] == (True, True)
    assert carry_on(HOUSE, state, a_snapshot(later, now_s=161.0))[1] == (False, False)


def test_the_caps_are_remembered_and_the_delay_of_the_way_back_with_them() -> None:
    snapshot = a_snapshot(a_battery(-2500.0, 100.0), pvs=(sun(3000.0),))
    state, closed, caps_w, hours = carry_on(ROOF, IslandState(3.0, 90.0), snapshot)
    assert state == IslandState(3.0, 90.0, pv_caps_w=(500.0,))
    assert (closed, caps_w, hours) == ((), (500.0,), None)
    held = a_snapshot(a_battery(0.0, 99.5), pvs=(sun(500.0),))
    assert carry_on(ROOF, state, held)[0] is state
