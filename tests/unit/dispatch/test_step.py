"""What the site does with one picture: wanted, allowed, shared out, explained."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.dispatch.decision import Memory
from controller.dispatch.limits import Latches
from controller.dispatch.modes import Mode
from controller.dispatch.orders import Order, Orders
from controller.dispatch.settings import PvSettings
from controller.dispatch.step import step
from drivers.device import BatteryReading, MeterReading, PvReading
from tests.unit.dispatch.sites import FIVE_KW, PV, RUNNING, TWO_KW, a_config, a_snapshot, decide


def test_load_is_covered_by_the_battery() -> None:
    assert decide(a_config(), a_snapshot(pcc_import_w=800.0)).battery_setpoints_w == (800.0,)


def test_surplus_goes_into_the_battery() -> None:
    assert decide(a_config(), a_snapshot(pcc_import_w=-1200.0)).battery_setpoints_w == (-1200.0,)


def test_what_the_battery_already_gives_belongs_to_the_load() -> None:
    decision = decide(a_config(), a_snapshot(pcc_import_w=300.0, battery_discharge_w=500.0))
    assert decision.setpoint_w == 800.0


def test_a_target_import_stays_at_the_connection_point() -> None:
    decision = decide(a_config(target_import_w=50.0), a_snapshot(pcc_import_w=800.0))
    assert decision.setpoint_w == 750.0


def test_the_rating_bounds_what_the_policy_wants_and_says_what_it_cost() -> None:
    decision = decide(a_config(), a_snapshot(pcc_import_w=7000.0))
    assert (decision.setpoint_w, decision.limited_by, decision.limited_w) == (5000.0, "rating", 2000.0)
    assert decision.reason == "covering the house; the battery's rating holds 2000 W back"


def test_the_tighter_of_site_file_and_device_limit_holds() -> None:
    snapshot = a_snapshot(pcc_import_w=7000.0)
    shrunk = replace(snapshot, batteries=(BatteryReading(10.0, 0.0, 50.0, max_discharge_w=1500.0),))
    assert decide(a_config(), shrunk).setpoint_w == 1500.0


def test_a_battery_without_any_known_limit_is_given_nothing_to_do() -> None:
    unknown = replace(FIVE_KW, max_charge_w=None, max_discharge_w=None)
    assert decide(a_config(unknown), a_snapshot(pcc_import_w=7000.0)).setpoint_w == 0.0


def test_an_empty_battery_gives_nothing() -> None:
    decision = decide(a_config(), a_snapshot(pcc_import_w=900.0, soc_pct=5.0))
    assert (decision.setpoint_w, decision.limited_by) == (0.0, "empty")
    assert decision.reason == "battery at rest; the battery is empty, 900 W come from the grid"


def test_a_full_battery_takes_nothing() -> None:
    decision = decide(a_config(), a_snapshot(pcc_import_w=-900.0, soc_pct=100.0))
    assert (decision.setpoint_w, decision.limited_by) == (0.0, "full")


def test_a_battery_that_does_not_tell_its_soc_is_neither_charged_nor_discharged() -> None:
    assert decide(a_config(), a_snapshot(pcc_import_w=900.0, soc_pct=None)).setpoint_w == 0.0
    assert decide(a_config(), a_snapshot(pcc_import_w=-900.0, soc_pct=None)).setpoint_w == 0.0


def test_the_reserve_is_not_touched_but_still_charged() -> None:
    config = a_config(reserve_pct=30.0)
    down = decide(config, a_snapshot(pcc_import_w=900.0, soc_pct=30.0))
    assert (down.setpoint_w, down.limited_by) == (0.0, "reserve")
    assert decide(config, a_snapshot(pcc_import_w=-900.0, soc_pct=30.0)).setpoint_w == -900.0


def test_the_import_limit_reaches_into_the_reserve_before_the_fuse_blows() -> None:
    config = a_config(reserve_pct=30.0, import_limit_w=4000.0)
    decision = decide(config, a_snapshot(pcc_import_w=6000.0, soc_pct=20.0))
    assert (decision.setpoint_w, decision.limited_by) == (2000.0, "reserve")


def test_the_import_limit_makes_a_battery_help_that_wanted_to_rest() -> None:
    config = a_config(import_limit_w=4000.0, target_import_w=6000.0)
    decision = decide(config, a_snapshot(pcc_import_w=6000.0))
    assert (decision.wanted_w, decision.setpoint_w, decision.limited_by) == (0.0, 2000.0, "import_limit")


def test_the_export_limit_holds_a_discharge_back() -> None:
    config = a_config(export_limit_w=500.0, target_import_w=-2000.0)
    decision = decide(config, a_snapshot(pcc_import_w=300.0))
    assert (decision.wanted_w, decision.setpoint_w, decision.limited_by) == (2300.0, 800.0, "export_limit")
    assert decision.reason == "covering the house; export limit holds 1500 W back"


def test_reserve_and_nothing_binding_is_said_in_one_sentence() -> None:
    decision = decide(a_config(reserve_pct=20.0), a_snapshot(pcc_import_w=300.0))
    assert decision.reason == "covering the house; reserve 20 % not touched"


def test_the_ramp_bounds_a_step_but_never_the_way_to_zero() -> None:
    config = a_config(ramp_w_per_s=100.0)
    before = replace(RUNNING, setpoint_w=3000.0, battery_setpoints_w=(3000.0,), ramped_w=3000.0)
    up = decide(config, a_snapshot(pcc_import_w=1000.0, battery_discharge_w=3000.0), before)
    assert (up.setpoint_w, up.limited_by) == (3100.0, "ramp")
    assert up.reason == "covering the house; 900 W still to come, ramping"
    down = decide(config, a_snapshot(pcc_import_w=-3000.0, battery_discharge_w=3000.0), before)
    assert down.setpoint_w == 0.0
    across = decide(config, a_snapshot(pcc_import_w=-5000.0, battery_discharge_w=3000.0), before)
    assert across.setpoint_w == 0.0


def test_a_correction_inside_the_dead_band_is_not_written() -> None:
    before = replace(RUNNING, setpoint_w=1000.0, battery_setpoints_w=(1000.0,))
    snapshot = a_snapshot(pcc_import_w=8.0, battery_discharge_w=1000.0)
    assert decide(a_config(deadband_w=10.0), snapshot, before).setpoint_w == 1000.0
    assert decide(a_config(deadband_w=5.0), snapshot, before).setpoint_w == 1008.0


def test_the_dead_band_never_keeps_a_setpoint_that_a_limit_forbids() -> None:
    before = replace(RUNNING, setpoint_w=1000.0, battery_setpoints_w=(1000.0,))
    snapshot = a_snapshot(pcc_import_w=-8.0, battery_discharge_w=1000.0)
    assert decide(a_config(deadband_w=10.0, export_limit_w=0.0), snapshot, before).setpoint_w == 992.0


def test_the_dead_band_does_not_keep_a_battery_from_rest() -> None:
    before = replace(RUNNING, setpoint_w=8.0, battery_setpoints_w=(8.0,))
    config = a_config(deadband_w=10.0)
    orders = Orders(policy="follow", follow_battery_w=Order(0.0, 99.0))
    decision = decide(config, a_snapshot(pcc_import_w=300.0, battery_discharge_w=8.0, orders=orders), before)
    assert (decision.setpoint_w, decision.reason) == (0.0, "resting as ordered")


def test_without_a_new_measurement_the_setpoint_stays() -> None:
    config = a_config()
    first, decision = step(config, RUNNING, a_snapshot(pcc_import_w=800.0, now_s=10.0))
    again = replace(a_snapshot(pcc_import_w=800.0, battery_discharge_w=800.0, now_s=10.0), now_s=11.0)
    assert step(config, first, again)[1].setpoint_w == decision.setpoint_w == 800.0


def test_a_meter_that_has_not_noticed_the_battery_yet_does_not_make_it_run_away() -> None:
    config = a_config()
    memory, _ = step(config, RUNNING, a_snapshot(pcc_import_w=800.0, now_s=10.0))
    unaware = a_snapshot(pcc_import_w=800.0, battery_discharge_w=800.0, now_s=11.0)
    assert step(config, memory, unaware)[1].setpoint_w == 800.0


def test_a_shrinking_bms_limit_holds_even_without_news() -> None:
    before = replace(RUNNING, setpoint_w=3000.0, battery_setpoints_w=(3000.0,))
    snapshot = a_snapshot(pcc_import_w=0.0, battery_discharge_w=3000.0)
    shrunk = replace(snapshot, batteries=(BatteryReading(10.0, 3000.0, 50.0, max_discharge_w=0.0),))
    assert decide(a_config(), shrunk, before).setpoint_w == 0.0


def test_two_batteries_share_by_room_and_pull_the_same_way() -> None:
    config = a_config(FIVE_KW, TWO_KW)
    both = (BatteryReading(10.0, 0.0, 50.0), BatteryReading(10.0, 0.0, 50.0))
    decision = decide(config, a_snapshot(pcc_import_w=3500.0, batteries=both))
    assert decision.battery_setpoints_w == (2500.0, 1000.0)


def test_a_battery_at_its_reserve_leaves_the_load_to_the_other() -> None:
    config = a_config(FIVE_KW, TWO_KW, reserve_pct=30.0)
    both = (BatteryReading(10.0, 0.0, 30.0), BatteryReading(10.0, 0.0, 80.0))
    decision = decide(config, a_snapshot(pcc_import_w=1500.0, batteries=both))
    assert decision.battery_setpoints_w == (0.0, 1500.0)


def test_a_battery_that_is_silent_is_ordered_to_rest_while_the_other_works() -> None:
    config = a_config(FIVE_KW, TWO_KW)
    one = (BatteryReading(2.0, 0.0, 50.0), BatteryReading(10.0, 0.0, 50.0))
    decision = decide(config, a_snapshot(pcc_import_w=1500.0, batteries=one))
    assert decision.mode is Mode.RUNNING
    assert decision.battery_setpoints_w == (0.0, 1500.0)


def test_an_empty_battery_is_not_used_again_before_its_soc_came_back_by_one_percent() -> None:
    latched = replace(RUNNING, latches=(Latches(empty=True, at_reserve=True),))
    assert decide(a_config(), a_snapshot(pcc_import_w=500.0, soc_pct=5.9), latched).setpoint_w == 0.0
    assert decide(a_config(), a_snapshot(pcc_import_w=500.0, soc_pct=6.0), latched).setpoint_w == 500.0


def test_a_full_battery_and_zero_export_cap_the_pv_at_what_the_house_takes() -> None:
    config = a_config(export_limit_w=0.0, pvs=PV)
    decision = decide(config, a_snapshot(pcc_import_w=-2500.0, soc_pct=100.0, pv_generation_w=3000.0))
    assert decision.pv_caps_w == (500.0,)
    assert decision.reason.endswith("PV held to at most 500 W")


def test_pv_is_not_capped_while_the_battery_has_room() -> None:
    config = a_config(export_limit_w=0.0, pvs=PV)
    decision = decide(config, a_snapshot(pcc_import_w=-2500.0, pv_generation_w=3000.0))
    assert (decision.setpoint_w, decision.pv_caps_w) == (-2500.0, (None,))


def test_a_cap_that_binds_is_widened_by_what_the_house_takes_more_and_not_lifted() -> None:
    config = a_config(export_limit_w=0.0, pvs=PV)
    capped = replace(RUNNING, pv_caps_w=(500.0,))
    empty = a_snapshot(pcc_import_w=1000.0, soc_pct=5.0, pv_generation_w=500.0)
    orders = Orders(max_charge_w=Order(0.0, 99.0))
    # The house takes 1500 W, and nothing comes from the battery or may go into it.
    assert decide(config, replace(empty, orders=orders), capped).pv_caps_w == (1500.0,)
    full = a_snapshot(pcc_import_w=1000.0, soc_pct=100.0, pv_generation_w=500.0)
    decision = decide(config, full, capped)
    assert (decision.setpoint_w, decision.pv_caps_w) == (1000.0, (1000.0,)), "the battery covers it meanwhile"


def test_caps_open_step_by_step_and_wait_for_the_battery() -> None:
    config = a_config(export_limit_w=0.0, pvs=PV)
    capped = replace(RUNNING, pv_caps_w=(1000.0,))
    caught_up = a_snapshot(pcc_import_w=-50.0, battery_discharge_w=-450.0, pv_generation_w=1000.0)
    # 50 W more than the battery takes, beside a tenth of 5 kW.
    assert decide(config, caught_up, capped).pv_caps_w == (1450.0,)
    behind = a_snapshot(pcc_import_w=-51.0, battery_discharge_w=-449.0, pv_generation_w=1000.0)
    assert decide(config, behind, capped).pv_caps_w == (1000.0,)


def test_caps_open_by_a_tenth_of_all_batteries_together_beside_the_export_limit() -> None:
    config = a_config(FIVE_KW, TWO_KW, export_limit_w=600.0, pvs=PV)
    capped = replace(RUNNING, pv_caps_w=(1000.0,), battery_setpoints_w=(-200.0, -100.0), setpoint_w=-300.0)
    both = (
        BatteryReading(10.0, -200.0, 50.0),
        BatteryReading(10.0, -100.0, 50.0, max_charge_w=2000.0, max_discharge_w=2000.0),
    )
    # 600 W go out, which is allowed, and 300 W into the batteries: 700 W more may come.
    decision = decide(config, a_snapshot(-600.0, batteries=both, pv_generation_w=1000.0), capped)
    assert decision.pv_caps_w == (1700.0,)


def test_a_bound_on_import_does_not_keep_the_sun_out_of_the_battery() -> None:
    config = a_config(export_limit_w=0.0, import_limit_w=0.0, pvs=PV)
    capped = replace(RUNNING, pv_caps_w=(500.0,))
    # House and sun are 500 W and the battery is free: with more sun it may charge that without any import.
    decision = decide(config, a_snapshot(pcc_import_w=0.0, pv_generation_w=500.0), capped)
    assert decision.pv_caps_w == (1000.0,)


def test_a_cap_is_lifted_when_the_sun_itself_gives_less_than_the_house_takes() -> None:
    config = a_config(export_limit_w=0.0, pvs=PV)
    capped = replace(RUNNING, pv_caps_w=(1500.0,))
    decision = decide(config, a_snapshot(pcc_import_w=1000.0, soc_pct=100.0, pv_generation_w=500.0), capped)
    assert decision.pv_caps_w == (None,)


def test_a_cap_of_nothing_stays_while_the_house_takes_nothing() -> None:
    config = a_config(export_limit_w=0.0, pvs=PV)
    capped = replace(RUNNING, pv_caps_w=(0.0,))
    decision = decide(config, a_snapshot(pcc_import_w=0.0, soc_pct=100.0, pv_generation_w=0.0), capped)
    assert decision.pv_caps_w == (0.0,)


def test_a_cap_above_the_rating_is_no_cap() -> None:
    config = a_config(export_limit_w=0.0, pvs=PV)
    capped = replace(RUNNING, pv_caps_w=(4900.0,))
    decision = decide(config, a_snapshot(pcc_import_w=200.0, soc_pct=100.0, pv_generation_w=4900.0), capped)
    assert decision.pv_caps_w == (None,)


def test_a_small_widening_of_a_cap_is_not_worth_a_write() -> None:
    config = a_config(export_limit_w=0.0, pvs=PV)
    capped = replace(RUNNING, pv_caps_w=(500.0,))
    decision = decide(config, a_snapshot(pcc_import_w=15.0, soc_pct=100.0, pv_generation_w=500.0), capped)
    assert decision.pv_caps_w == (500.0,)
    decision = decide(config, a_snapshot(pcc_import_w=-15.0, soc_pct=100.0, pv_generation_w=500.0), capped)
    assert decision.pv_caps_w == (485.0,)


def test_a_silent_pv_inverter_is_capped_open_loop_at_the_export_limit() -> None:
    config = a_config(export_limit_w=600.0, pvs=PV)
    decision = decide(config, a_snapshot(pcc_import_w=-100.0, pvs=(None,)))
    assert decision.pv_caps_w == (600.0,)


@pytest.mark.parametrize(("last_w", "caps_w"), [(50.0, (200.0, 1800.0)), (51.0, (0.0, 2000.0))])
def test_a_pv_inverter_that_sleeps_or_is_silent_does_not_cost_the_sun_of_the_other_one(
    last_w: float, caps_w: tuple[float, float]
) -> None:
    config = a_config(export_limit_w=0.0, pvs=(PvSettings("east"), PvSettings("west")))
    pvs = (PvReading(2.0, last_w, rated_w=5000.0), PvReading(10.0, 2000.0, rated_w=5000.0))
    # The house takes 2 kW, all of it from the west, and the battery is full. 200 W are left to one that
    # sleeps; one that may be awake may give no more than the export limit, should it take orders.
    decision = decide(config, a_snapshot(pcc_import_w=0.0, soc_pct=100.0, pvs=pvs))
    assert decision.pv_caps_w == pytest.approx(caps_w)


def test_without_an_export_limit_pv_is_never_capped() -> None:
    config = a_config(pvs=PV)
    decision = decide(config, a_snapshot(pcc_import_w=-2500.0, soc_pct=100.0, pv_generation_w=3000.0))
    assert decision.pv_caps_w == (None,)


def test_safe_means_zero_watts_and_pv_capped_at_the_export_limit() -> None:
    config = a_config(export_limit_w=600.0, pvs=PV)
    decision = decide(config, a_snapshot(meter=MeterReading(7.0, 0.0), pv_generation_w=3000.0))
    assert (decision.mode, decision.battery_setpoints_w, decision.pv_caps_w) == (Mode.SAFE, (0.0,), (600.0,))
    assert decision.reason == (
        "safe, batteries at 0 W: the last reading of the meter at the PCC is 3.0 s old, allowed are 1.5 s; "
        "PV held to at most 600 W"
    )


def test_power_comes_back_slowly_after_safe() -> None:
    memory = Memory(mode=Mode.SAFE, fresh_since_s=0.0, decided_at_s=9.0)
    after, decision = step(a_config(), memory, a_snapshot(pcc_import_w=4000.0))
    assert (decision.mode, decision.setpoint_w, decision.limited_by) == (Mode.RUNNING, 500.0, "ramp")
    _, later = step(a_config(), after, a_snapshot(pcc_import_w=3500.0, battery_discharge_w=500.0, now_s=11.0))
    assert later.setpoint_w == 1000.0


def test_a_soft_start_after_a_long_silence_is_over_at_once() -> None:
    memory = Memory(mode=Mode.SAFE, fresh_since_s=0.0, decided_at_s=-100.0)
    after, decision = step(a_config(), memory, a_snapshot(pcc_import_w=4000.0))
    assert (decision.setpoint_w, after.soft_start) == (4000.0, False)


def test_the_soft_start_is_over_once_the_wanted_power_was_reached() -> None:
    memory = Memory(mode=Mode.SAFE, fresh_since_s=0.0, decided_at_s=9.0)
    after, _ = step(a_config(), memory, a_snapshot(pcc_import_w=300.0))
    assert not after.soft_start
    jumped = a_snapshot(pcc_import_w=4000.0, battery_discharge_w=300.0, now_s=11.0)
    after, waiting = step(a_config(), after, jumped)
    assert waiting.setpoint_w == 300.0, "one reading does not make a jump"
    confirmed = a_snapshot(pcc_import_w=4001.0, battery_discharge_w=300.0, now_s=12.0)
    assert step(a_config(), after, confirmed)[1].setpoint_w == 4301.0


@pytest.mark.parametrize("mode", [Mode.STOPPED, Mode.ISLANDED])
def test_stopped_and_islanded_hand_the_battery_back(mode: Mode) -> None:
    snapshot = a_snapshot(pcc_import_w=900.0)
    islanded = replace(snapshot, batteries=(BatteryReading(10.0, 0.0, 50.0, grid_present=False),))
    decision = decide(
        a_config(), islanded if mode is Mode.ISLANDED else replace(snapshot, orders=Orders(stop=True))
    )
    assert (decision.mode, decision.battery_setpoints_w) == (mode, (None,))


def test_a_mode_that_rests_names_the_policy_that_was_ordered_or_else_the_sites() -> None:
    def resting(policy: str) -> str:
        return decide(a_config(), replace(a_snapshot(900.0), orders=Orders(stop=True, policy=policy))).policy

    assert (resting("standby"), resting("")) == ("standby", "self_consumption")


def test_a_fault_latches_at_zero_watts_and_says_why() -> None:
    decision = decide(a_config(), a_snapshot(pcc_import_w=900.0, fault="bat1: refused 9000 W"))
    assert (decision.mode, decision.battery_setpoints_w) == (Mode.FAULT, (0.0,))
    assert decision.reason == "fault, batteries at 0 W until somebody clears it: bat1: refused 9000 W"
