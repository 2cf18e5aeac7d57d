"""Every policy on random sites, in random cycles, with random orders: no limit is ever escaped.

One sequence of cycles a case, so that latches, ramps, islands and silent batteries leave their traces.
Invariants I01, I02, I03, I14, I21 and I29, and that every decision says what bound it.
"""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from controller.dispatch.decision import Decision, Memory
from controller.dispatch.derating import derated
from controller.dispatch.limits import BEYOND_W, LIMITS, export_at_most_w
from controller.dispatch.modes import Mode
from controller.dispatch.orders import in_force
from controller.dispatch.plausible import possible
from controller.dispatch.settings import BatterySettings, DispatchConfig
from controller.dispatch.site import BatterySite, Snapshot
from controller.dispatch.step import step
from drivers.device import BatteryReading
from tests.unit.dispatch.any_site import sites, snapshots

NAMES = {"", *(one.name for one in LIMITS)}
LITTLE_W = 1e-6
REACH_INTO_THE_RESERVE = {"fuse", "import_limit", "operator_import"}
"""The limits that are stronger than the reserve and can ask for discharge."""


def allowed_w(settings: BatterySettings, reading: BatteryReading) -> tuple[float, float]:
    """Charge and discharge that device, owner and curves allow at this reading."""
    charge_w = min(_known(settings.max_charge_w), _known(reading.max_charge_w))
    discharge_w = min(_known(settings.max_discharge_w), _known(reading.max_discharge_w))
    return derated(
        settings, BatterySite(0, 0.0, reading.soc_pct, charge_w, discharge_w, reading.temperature_c)
    )


def _known(limit_w: float | None) -> float:
    return math.inf if limit_w is None else limit_w


def is_fresh(config: DispatchConfig, snapshot: Snapshot, reading: BatteryReading | None) -> bool:
    return reading is not None and snapshot.now_s - reading.taken_at_s <= config.stale_after_s


def check_form(config: DispatchConfig, decision: Decision) -> None:
    assert len(decision.battery_setpoints_w) == len(config.batteries)
    assert decision.limited_by in NAMES
    assert decision.reason
    assert len(decision.pv_caps_w) in (0, len(config.pvs))
    for cap_w in decision.pv_caps_w:
        assert cap_w is None or (math.isfinite(cap_w) and cap_w >= 0.0)
    assert len(decision.loads_closed) in (0, len(config.loads))
    handed_back = decision.mode in (Mode.ISLANDED, Mode.STOPPED)
    for setpoint_w in decision.battery_setpoints_w:
        assert (setpoint_w is None) == handed_back, (
            "no setpoint where the device decides, one everywhere else"
        )
        assert setpoint_w is None or math.isfinite(setpoint_w)
    if decision.mode in (Mode.STARTING, Mode.SAFE, Mode.FAULT):
        assert decision.battery_setpoints_w == (0.0,) * len(config.batteries)


def check_batteries(config: DispatchConfig, snapshot: Snapshot, decision: Decision) -> None:
    for settings, reading, setpoint_w in zip(
        config.batteries, snapshot.batteries, decision.battery_setpoints_w, strict=True
    ):
        assert setpoint_w is not None
        if reading is None or not is_fresh(config, snapshot, reading):
            assert setpoint_w == 0.0, "an order for a battery that is not heard"
            continue
        charge_w, discharge_w = allowed_w(settings, reading)
        assert -charge_w - LITTLE_W <= setpoint_w <= discharge_w + LITTLE_W
        soc_pct = reading.soc_pct
        if soc_pct is None or soc_pct <= settings.min_soc_pct:
            assert setpoint_w <= LITTLE_W, "discharged an empty battery"
        absorbing = settings.care.full_every_days > 0.0
        if soc_pct is None or (soc_pct >= settings.max_soc_pct and not absorbing):
            assert setpoint_w >= -LITTLE_W, "charged a full battery"
        reserve_pct = max(
            config.policy.reserve_pct, in_force(snapshot.orders.reserve_pct, snapshot.now_s) or 0.0
        )
        if soc_pct is not None and soc_pct <= reserve_pct and setpoint_w > LITTLE_W:
            assert decision.limited_by in REACH_INTO_THE_RESERVE or _binding(config, snapshot), (
                "touched the reserve without need"
            )


def _binding(config: DispatchConfig, snapshot: Snapshot) -> bool:
    """Whether a limit that may reach into the reserve is there at all."""
    return (
        config.import_limit_w is not None
        or config.fuse_a is not None
        or in_force(snapshot.orders.operator_import_w, snapshot.now_s) is not None
    )


def check_pcc(config: DispatchConfig, snapshot: Snapshot, memory: Memory, decision: Decision) -> None:
    """No more than allowed through the PCC, unless every battery that was heard gives its all against it."""
    after_w = memory.response.net_load_w - memory.response.pv_w - decision.setpoint_w
    orders, now_s = snapshot.orders, snapshot.now_s
    charge_w, discharge_w = reach_w(config, snapshot, memory)
    # An inverter that cannot hold a little rests where the limit bears it.
    borne_w = BEYOND_W if any(one.min_power_w for one in config.batteries) else LITTLE_W
    export_w = export_at_most_w(config, (orders.operator_export_w,), now_s)
    if export_w is not None and after_w < -export_w - borne_w - LITTLE_W:
        assert decision.setpoint_w <= -charge_w + borne_w, "exported beyond the limit with room left"
    for import_w in (config.import_limit_w, in_force(orders.operator_import_w, now_s)):
        if import_w is not None and after_w > import_w + borne_w + LITTLE_W:
            assert decision.setpoint_w >= discharge_w - borne_w, "imported beyond the limit with energy left"
    most_w = in_force(orders.max_discharge_w, now_s)
    if most_w is not None and decision.setpoint_w > most_w + LITTLE_W:
        assert _binding(config, snapshot), "more than an order from outside allows, and no stronger limit"


def reach_w(config: DispatchConfig, snapshot: Snapshot, memory: Memory) -> tuple[float, float]:
    """What all heard batteries together may charge and discharge, with what their SoC has run into."""
    charge_w = discharge_w = 0.0
    for settings, reading, latches in zip(config.batteries, snapshot.batteries, memory.latches, strict=True):
        if reading is not None and is_fresh(config, snapshot, reading):
            one_charge_w, one_discharge_w = allowed_w(settings, reading)
            charge_w += 0.0 if latches.full else one_charge_w
            discharge_w += 0.0 if latches.empty else one_discharge_w
    return charge_w, discharge_w


@given(sites(), st.data())
def test_no_policy_order_or_sequence_of_readings_escapes_a_limit(
    config: DispatchConfig, data: st.DataObject
) -> None:
    memory = Memory()
    for second in range(1, 7):
        now_s = float(second)
        snapshot = data.draw(snapshots(config, now_s))
        believed, _ = possible(config, memory.response.read, snapshot)
        memory, decision = step(config, memory, snapshot)
        check_form(config, decision)
        if decision.mode is Mode.RUNNING:
            check_batteries(config, believed, decision)
            if config.fuse_a is None:
                # With fuses one phase may have to be charged and another discharged: test_phases.py.
                check_pcc(config, believed, memory, decision)
                signs = {w > 0 for w in decision.battery_setpoints_w if w is not None and abs(w) > LITTLE_W}
                assert len(signs) <= 1, "one battery charges another"


@given(sites(), st.data())
def test_the_same_cycle_always_gives_the_same_decision(config: DispatchConfig, data: st.DataObject) -> None:
    snapshot = data.draw(snapshots(config, 5.0))
    memory, _ = step(config, Memory(), data.draw(snapshots(config, 4.0)))
    assert step(config, memory, snapshot) == step(config, memory, snapshot)
