"""A cycle with good readings: which limit binds, what is remembered, and what is added to the wish."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.dispatch.blind import Blind
from controller.dispatch.care import CareState
from controller.dispatch.decision import Decision, Memory
from controller.dispatch.demand import DemandState
from controller.dispatch.islanding import IslandState
from controller.dispatch.limits import NO_LATCHES, UNKNOWN_SOC, Latches
from controller.dispatch.modes import Mode
from controller.dispatch.orders import SPENT_SHARE, LocalTime, Order, Orders
from controller.dispatch.response import Response
from controller.dispatch.settings import CareSettings, DemandSettings, DispatchConfig, LoadSettings
from controller.dispatch.shortfall import Shortfall
from controller.dispatch.soc import Charge
from controller.dispatch.step import step
from drivers.device import BatteryReading, MeterReading
from tests.unit.dispatch.cared import BIWEEKLY, MONTHLY, NOW_UTC_S, full_days_ago
from tests.unit.dispatch.sites import FIVE_KW, PV, RUNNING, TWO_KW, a_config, a_snapshot, decide


def bound(config: DispatchConfig, pcc_w: float, **orders: Order) -> tuple[float, str, float]:
    decision = decide(config, a_snapshot(pcc_w, orders=Orders(**orders)))
    return decision.setpoint_w, decision.limited_by, decision.limited_w


def both(first_pct: float | None, second_pct: float | None) -> tuple[BatteryReading, BatteryReading]:
    return BatteryReading(10.0, 0.0, first_pct), BatteryReading(10.0, 0.0, second_pct)


def test_a_cycle_remembers_all_that_it_decided() -> None:
    config = a_config(FIVE_KW, TWO_KW, pvs=PV, export_limit_w=0.0)
    readings = (BatteryReading(10.0, 0.0, 100.0), BatteryReading(10.0, 0.0, 50.0))
    snapshot = a_snapshot(-2500.0, batteries=readings, pv_generation_w=3000.0)
    before = replace(RUNNING, heard=((7.0, 3.0), (8.0, 4.0)), fresh_since_s=2.0)
    after, decision = step(config, before, snapshot)
    assert decision == Decision(
        Mode.RUNNING, "self_consumption", -2500.0, -2000.0, (0.0, -2000.0), (2500.0,), "rating", -500.0
    )
    assert after == Memory(
        Mode.RUNNING,
        2.0,
        10.0,
        10.0,
        after.response,
        before.doubt,
        "self_consumption",
        -2500.0,
        -2000.0,
        (0.0, -2000.0),
        ((0.0, 10.0), (-2000.0, 10.0)),
        (2500.0,),
        (Latches(full=True), NO_LATCHES),
        charges=(Charge(10.0, 100.0, 100.0), Charge(10.0, 50.0, 50.0)),
        ramped_w=-2000.0,
        shortfall=Shortfall(over_since_s=10.0),
        orders_w=(0.0, -2000.0),
        blind=Blind(-2500.0, 500.0),
    )
    assert after.response.net_load_w == 500.0, "with PV that says what it gives, all of the load"


def test_what_nothing_bounds_has_nothing_taken_from_it() -> None:
    assert bound(a_config(), 700.0) == (700.0, "", 0.0)
    kept = replace(RUNNING, setpoint_w=1000.0, battery_setpoints_w=(1000.0,))
    decision = decide(a_config(deadband_w=10.0), a_snapshot(10.0, 1000.0), kept)
    assert (decision.wanted_w, decision.setpoint_w, decision.limited_w) == (1010.0, 1000.0, 0.0)


def test_a_silent_battery_keeps_the_order_and_time_of_when_it_was_heard() -> None:
    config = a_config(FIVE_KW, TWO_KW)
    silent = a_snapshot(300.0, batteries=(None, BatteryReading(10.0, 0.0, 50.0)))
    first, _ = step(config, RUNNING, silent)
    assert first.heard == ((0.0, float("-inf")), (300.0, 10.0))
    later, _ = step(config, replace(RUNNING, heard=((700.0, 8.0), (1.0, 9.0))), silent)
    assert later.heard == ((700.0, 8.0), (300.0, 10.0))


def test_a_fuse_makes_a_battery_help_and_says_so() -> None:
    # 10 A at 230 V carry 2300 W of the 4000 W.
    config = a_config(fuse_a=10.0, phases=1, target_import_w=4000.0)
    assert bound(config, 4000.0) == (1700.0, "fuse", -1700.0)


def test_a_grid_operators_order_binds_while_it_is_in_force() -> None:
    idle = a_config(target_import_w=3000.0)
    assert bound(idle, 3000.0, operator_import_w=Order(1000.0, 10.5)) == (2000.0, "operator_import", -2000.0)
    assert bound(idle, 3000.0, operator_import_w=Order(1000.0, 10.0)) == (0.0, "", 0.0)
    giving = a_config(target_import_w=-2000.0)
    assert bound(giving, 300.0, operator_export_w=Order(100.0, 10.5)) == (400.0, "operator_export", 1900.0)


def test_an_order_from_outside_tightens_and_never_loosens() -> None:
    assert bound(a_config(), 900.0, max_discharge_w=Order(300.0, 10.5)) == (300.0, "order", 600.0)
    config = a_config(import_limit_w=2500.0, target_import_w=3000.0)
    assert bound(config, 3000.0, max_discharge_w=Order(0.0, 10.5)) == (500.0, "import_limit", -500.0)


def test_a_reserve_that_was_raised_from_outside_is_kept_while_the_order_lasts() -> None:
    def given_w(soc_pct: float, reserve: Order, reserve_pct: float = 20.0) -> float:
        snapshot = a_snapshot(500.0, soc_pct=soc_pct, orders=Orders(reserve_pct=reserve))
        return decide(a_config(reserve_pct=reserve_pct), snapshot).setpoint_w

    assert given_w(40.0, Order(40.0, 10.5)) == 0.0
    assert given_w(40.5, Order(40.0, 10.5)) == 500.0
    assert given_w(40.0, Order(40.0, 10.0)) == 500.0
    assert given_w(20.0, Order(10.0, 10.5)) == 0.0, "it may only be raised"


def test_the_reason_names_the_reserve_that_is_in_force() -> None:
    def reason(reserve_pct: float) -> str:
        orders = Orders(reserve_pct=Order(reserve_pct, 10.5))
        return decide(a_config(reserve_pct=20.0), a_snapshot(500.0, soc_pct=30.0, orders=orders)).reason

    assert reason(40.0) == "battery at rest; reserve 40 % holds 500 W back"
    assert reason(10.0) == "covering the house; reserve 20 % not touched"


def test_the_demand_window_spends_what_it_has_left_and_counts_on() -> None:
    # 3600 W for 1 s are 1 Wh; the rest of the window, 890 s of it, would bring 890 Wh: 991 Wh in 15 min.
    config = a_config(demand=DemandSettings(target_w=2000.0), target_import_w=3600.0)
    memory = replace(RUNNING, demand=DemandState(energy_wh=100.0, updated_at_s=9.0))
    after, decision = step(config, memory, a_snapshot(3600.0))
    assert after.demand is not None
    assert after.demand.energy_wh == pytest.approx(101.0)
    assert decision.peak_forecast_w == pytest.approx(3964.0)
    allowed_w = (SPENT_SHARE * 500.0 - 101.0) * 3600.0 / 890.0
    assert decision.setpoint_w == pytest.approx(3600.0 - allowed_w)
    assert decision.limited_by == "demand"
    assert step(a_config(), memory, a_snapshot(3600.0))[0].demand is None
    assert decide(a_config(), a_snapshot(3600.0)).peak_forecast_w is None


def test_loads_that_were_shed_come_back_on_the_grid() -> None:
    config = a_config(loads=(LoadSettings("boiler", 2000.0), LoadSettings("fridge", 100.0)))
    shed = IslandState(loads_closed=(False, True), switched_at_s=(-100.0, -100.0))
    after, decision = step(config, replace(RUNNING, island=shed), a_snapshot(100.0))
    assert decision.loads_closed == (True, True)
    assert after.island is not None
    assert (after.island.loads_closed, after.island.switched_at_s) == ((True, True), (10.0, -100.0))
    kept, decision = step(a_config(), replace(RUNNING, island=shed), a_snapshot(100.0))
    assert (kept.island, decision.loads_closed) == (shed, ())


LOCAL = LocalTime(NOW_UTC_S, 3600.0)
CARED = replace(FIVE_KW, care=MONTHLY)


def test_care_charges_more_than_the_policy_wants_and_says_why() -> None:
    config = a_config(CARED, target_import_w=-500.0)
    memory = replace(RUNNING, care=(full_days_ago(31),))
    after, decision = step(config, memory, a_snapshot(-2000.0, local=LOCAL))
    assert (decision.wanted_w, decision.setpoint_w) == (-2000.0, -2000.0)
    assert decision.note == "bat1: charged to full, last full 31 days ago"
    assert after.care == (full_days_ago(31),)


def test_care_adds_nothing_where_the_policy_charges_as_much_by_itself() -> None:
    memory = replace(RUNNING, care=(full_days_ago(31),))
    decision = decide(a_config(CARED), a_snapshot(-2000.0, local=LOCAL), memory)
    assert (decision.wanted_w, decision.note) == (-2000.0, "")


def test_what_several_batteries_need_is_charged_together() -> None:
    config = a_config(replace(TWO_KW, id="a", care=MONTHLY), CARED, target_import_w=-9000.0)
    memory = replace(RUNNING, care=(full_days_ago(31), full_days_ago(32)))
    decision = decide(config, a_snapshot(-3000.0, batteries=both(50.0, 50.0), local=LOCAL), memory)
    assert (decision.wanted_w, decision.note) == (-3000.0, "bat1: charged to full, last full 32 days ago")


def test_a_battery_that_needs_no_care_or_cannot_tell_its_soc_asks_for_none() -> None:
    config = a_config(CARED, TWO_KW, target_import_w=-9000.0)
    memory = replace(RUNNING, care=(full_days_ago(31), CareState()))
    decision = decide(config, a_snapshot(-3000.0, batteries=both(None, 50.0), local=LOCAL), memory)
    assert (decision.wanted_w, decision.note) == (6000.0, "")


def test_a_lead_acid_battery_that_was_long_not_full_is_empty_earlier() -> None:
    # 14 days and 2 of patience are over by 2 days: 50 % and twice 5 %.
    lead = replace(FIVE_KW, min_soc_pct=50.0, chemistry="lead_acid", care=BIWEEKLY)
    memory = replace(RUNNING, care=(full_days_ago(18),))
    limited = decide(a_config(lead), a_snapshot(400.0, soc_pct=60.0, local=LOCAL), memory)
    assert (limited.setpoint_w, limited.limited_by) == (0.0, "empty")
    assert decide(a_config(lead), a_snapshot(400.0, soc_pct=61.0, local=LOCAL), memory).setpoint_w == 400.0


def test_a_battery_that_is_absorbing_goes_on_charging_at_its_ceiling() -> None:
    lead = replace(FIVE_KW, chemistry="lead_acid", care=BIWEEKLY)
    memory = replace(RUNNING, care=(full_days_ago(15, seen_s=9.0),))
    decision = decide(a_config(lead), a_snapshot(-300.0, soc_pct=100.0, local=LOCAL), memory)
    assert decision.setpoint_w == -300.0
    never = replace(lead, care=CareSettings())
    assert decide(a_config(never), a_snapshot(-300.0, soc_pct=100.0, local=LOCAL)).setpoint_w == 0.0


def test_a_meter_that_shows_nothing_new_is_asked_by_a_small_charge() -> None:
    # 1.5 % of 5 kW.
    mute = Response(((9.0, 0.0),), 800.0, 0, MeterReading(9.0, 800.0), -20.0, 9.0)
    decision = decide(a_config(), a_snapshot(800.0), replace(RUNNING, response=mute))
    assert (decision.wanted_w, decision.setpoint_w) == (800.0, 725.0)
    assert decision.reason == "covering the house; asking the meter whether it is alive"


@pytest.mark.parametrize(
    ("pcc_w", "soc_pct", "expected_w"),
    [(9000.0, 50.0, 4925.0), (-9000.0, 50.0, -4925.0), (-900.0, 100.0, 75.0)],
)
def test_a_battery_at_its_limit_asks_a_silent_meter_too(
    pcc_w: float, soc_pct: float, expected_w: float
) -> None:
    # 1.5 % of 5 kW, to the side that has room.
    mute = Response(((9.0, 0.0),), pcc_w, 0, MeterReading(9.0, pcc_w), -20.0, 9.0)
    decision = decide(a_config(), a_snapshot(pcc_w, soc_pct=soc_pct), replace(RUNNING, response=mute))
    assert decision.setpoint_w == expected_w
    assert "asking the meter" in decision.reason


def test_a_battery_without_room_asks_nothing() -> None:
    mute = Response(((9.0, 0.0),), -900.0, 0, MeterReading(9.0, -900.0), -20.0, 9.0)
    full = BatteryReading(10.0, 0.0, 100.0, max_discharge_w=0.0)
    decision = decide(a_config(), a_snapshot(-900.0, batteries=(full,)), replace(RUNNING, response=mute))
    assert decision.setpoint_w == 0.0
    assert "asking" not in decision.reason


def test_every_battery_has_its_own_latches() -> None:
    config = a_config(FIVE_KW, TWO_KW, TWO_KW)
    readings = (*both(5.0, None), BatteryReading(10.0, 0.0, 100.0))
    after, _ = step(config, RUNNING, a_snapshot(batteries=readings))
    assert after.latches == (Latches(empty=True, at_reserve=True), UNKNOWN_SOC, Latches(full=True))


def test_an_edge_at_zero_is_called_by_what_made_it() -> None:
    config = a_config(FIVE_KW, TWO_KW)

    def called(pcc_w: float, *readings: BatteryReading) -> str:
        return decide(config, a_snapshot(pcc_w, batteries=readings)).limited_by

    assert called(-900.0, *both(None, 100.0)) == "full"
    assert called(900.0, *both(None, 5.0)) == "empty"
    no_discharge = BatteryReading(10.0, 0.0, 100.0, max_discharge_w=0.0)
    assert called(900.0, no_discharge, replace(no_discharge, soc_pct=50.0)) == "rating"
    no_charge = BatteryReading(10.0, 0.0, 5.0, max_charge_w=0.0)
    assert called(-900.0, no_charge, replace(no_charge, soc_pct=50.0)) == "rating"
    assert called(900.0, no_discharge, BatteryReading(10.0, 0.0, 5.0)) == "empty"


def after_safe(pcc_w: float = 4000.0, decided_at_s: float | None = 9.0, **changes: object) -> float:
    memory = Memory(mode=Mode.SAFE, fresh_since_s=0.0, decided_at_s=decided_at_s)
    return decide(a_config(**changes), a_snapshot(pcc_w), memory).setpoint_w


def test_the_slower_of_soft_start_and_ramp_holds_for_the_time_since_the_last_decision() -> None:
    assert after_safe() == 500.0
    assert after_safe(ramp_w_per_s=1000.0) == 500.0
    assert after_safe(ramp_w_per_s=100.0) == 100.0
    assert after_safe(decided_at_s=8.0) == 1000.0
    assert after_safe(decided_at_s=None) == 500.0
    assert after_safe(decided_at_s=None, cycle_s=0.5) == 250.0


def test_a_soft_start_goes_on_over_a_hold() -> None:
    memory = replace(RUNNING, mode=Mode.HOLDING, soft_start=True)
    after, decision = step(a_config(), memory, a_snapshot(4000.0))
    assert (decision.setpoint_w, after.soft_start) == (500.0, True)
    assert not step(a_config(), replace(memory, soft_start=False), a_snapshot(900.0))[0].soft_start


COARSE = replace(FIVE_KW, min_power_w=500.0)


@pytest.mark.parametrize(
    ("load_w", "export_limit_w", "setpoint_w"),
    [
        (200.0, None, 0.0),
        (350.0, None, 500.0),
        (350.0, 150.0, 500.0),
        (350.0, 149.0, 0.0),
        (499.5, None, 500.0),
        (0.0, None, 0.0),
    ],
)
def test_too_little_for_the_inverter_is_nothing_or_its_least(
    load_w: float, export_limit_w: float | None, setpoint_w: float
) -> None:
    got = bound(a_config(COARSE, export_limit_w=export_limit_w), load_w)
    assert got == (setpoint_w, "min_power" if load_w else "", load_w - setpoint_w)


@pytest.mark.parametrize(
    ("load_w", "setpoints_w"),
    [
        (700.0, (0.0, 700.0)),  # 500 W by capacity are too little for the first
        (850.0, (607.1428571428571, 242.85714285714286)),
        (300.0, (0.0, 300.0)),  # 214 and 86 W are too little for both
    ],
)
def test_as_few_batteries_work_as_can_hold_it(load_w: float, setpoints_w: tuple[float, float]) -> None:
    config = a_config(replace(FIVE_KW, min_power_w=600.0), replace(TWO_KW, min_power_w=160.0))
    given = a_snapshot(load_w, batteries=both(50.0, 50.0))
    assert decide(config, given).battery_setpoints_w == pytest.approx(setpoints_w)
    taken = a_snapshot(-load_w, batteries=both(50.0, 50.0))
    assert decide(config, taken).battery_setpoints_w == pytest.approx([-one_w for one_w in setpoints_w])


def test_a_surplus_that_the_export_limit_bears_does_not_make_an_inverter_charge_its_least() -> None:
    config = a_config(replace(FIVE_KW, min_power_w=600.0), export_limit_w=0.0)
    assert decide(config, a_snapshot(-50.0)).battery_setpoints_w == (0.0,)
    assert decide(config, a_snapshot(-51.0)).battery_setpoints_w == (-600.0,)
    reducing = a_config(replace(FIVE_KW, min_power_w=600.0), import_limit_w=0.0)
    assert decide(reducing, a_snapshot(50.0)).battery_setpoints_w == (0.0,)
    assert decide(reducing, a_snapshot(51.0)).battery_setpoints_w == (600.0,)


def test_a_soft_start_takes_a_tenth_a_second_of_all_batteries_together() -> None:
    memory = Memory(mode=Mode.SAFE, fresh_since_s=0.0, decided_at_s=9.0)
    decision = decide(a_config(FIVE_KW, TWO_KW), a_snapshot(4000.0, batteries=both(50.0, 50.0)), memory)
    assert (decision.setpoint_w, decision.limited_by) == (700.0, "ramp")


def test_a_soft_start_that_is_over_leaves_the_next_step_as_fast_as_it_is() -> None:
    # 600 W a second were allowed and 400 W were wanted.
    memory = replace(RUNNING, soft_start=True, decided_at_s=8.8)
    after, decision = step(a_config(), memory, a_snapshot(400.0))
    assert (decision.setpoint_w, decision.limited_by, after.soft_start) == (400.0, "", False)


def test_an_order_to_export_less_caps_pv_when_the_battery_is_full() -> None:
    config = a_config(FIVE_KW, pvs=PV)
    full = a_snapshot(-2500.0, soc_pct=100.0, pv_generation_w=3000.0)
    # The house takes 500 W, and 400 W may be exported.
    for order in ("operator_export_w", "export_limit_w"):
        ordered = replace(full, orders=Orders(**{order: Order(400.0, 20.0)}))
        assert decide(config, ordered).pv_caps_w == (900.0,)
    assert decide(config, full).pv_caps_w == (None,)
    assert decide(replace(config, export_limit_w=400.0), full).pv_caps_w == (900.0,)


@pytest.mark.parametrize(("most_w", "cap_w"), [(2000.0, 2500.0), (0.0, 500.0), (4500.0, None)])
def test_pv_gives_up_what_an_order_keeps_out_of_the_battery(most_w: float, cap_w: float | None) -> None:
    # The house takes 500 W of 4 kW of sun, nothing may be exported: 3.5 kW are charged until PV is held.
    config = a_config(pvs=PV, export_limit_w=0.0)
    orders = Orders(max_charge_w=Order(most_w, 99.0))
    decision = decide(config, a_snapshot(0.0, -3500.0, pv_generation_w=4000.0, orders=orders))
    assert (decision.setpoint_w, decision.pv_caps_w) == (-3500.0, (cap_w,))


def test_two_batteries_charge_with_both_their_ratings() -> None:
    decision = decide(a_config(FIVE_KW, TWO_KW), a_snapshot(-9000.0, batteries=both(50.0, 50.0)))
    assert decision.battery_setpoints_w == (-5000.0, -2000.0)


def test_a_soc_in_doubt_is_said_beside_what_care_has_to_say() -> None:
    config = a_config(replace(FIVE_KW, care=MONTHLY), TWO_KW, grid_charging=True)
    memory = replace(
        RUNNING,
        care=(full_days_ago(61.0), full_days_ago(0.0)),
        charges=(None, Charge(9.0, 50.0, 50.0)),
    )
    local = LocalTime(NOW_UTC_S, 0.0)
    note = decide(config, a_snapshot(300.0, batteries=both(60.0, 80.0), local=local), memory).note
    assert note == "bat1: charged to full, last full 61 days ago; bat2: its SoC jumped, counting on 50 %"


def test_a_soc_that_jumped_away_from_the_ceiling_still_ends_the_charge_and_keeps_what_else_it_ran_into() -> (
    None
):
    config = a_config(replace(FIVE_KW, min_soc_pct=30.0), reserve_pct=40.0)
    memory = replace(RUNNING, charges=(Charge(9.0, 100.0, 100.0),))
    after, _ = step(config, memory, a_snapshot(300.0, soc_pct=25.0))
    assert after.latches == (Latches(empty=True, full=True, at_reserve=True),)


def test_a_ramp_slower_than_the_least_power_an_inverter_holds_still_gets_there() -> None:
    # 50 W a second towards 1000 W, and nothing below 200 W can be held: it is there after four seconds.
    config = a_config(replace(FIVE_KW, min_power_w=200.0), ramp_w_per_s=50.0)
    memory, given_w, orders_w = replace(RUNNING, soft_start=False), 0.0, []
    for second in range(10, 32):
        now_s = float(second)
        memory, decision = step(config, memory, a_snapshot(1000.0 - given_w, given_w, now_s=now_s))
        given_w = decision.setpoint_w
        orders_w.append(given_w)
    assert orders_w[:6] == [0.0, 0.0, 0.0, 200.0, 250.0, 300.0]
    assert orders_w[-1] == 1000.0
