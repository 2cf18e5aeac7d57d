"""Small sites for dispatch tests: what matters is spelled out in the test, the rest is usual."""

from __future__ import annotations

from dataclasses import fields, replace

from controller.dispatch.decision import Decision, Memory
from controller.dispatch.modes import Mode
from controller.dispatch.settings import BatterySettings, DispatchConfig, PolicySettings, PvSettings
from controller.dispatch.site import Snapshot
from controller.dispatch.step import step
from drivers.device import BatteryReading, MeterReading, PvReading

FIVE_KW = BatterySettings("bat1", capacity_wh=10_000, min_soc_pct=5, max_charge_w=5000, max_discharge_w=5000)
TWO_KW = BatterySettings("bat2", capacity_wh=4_000, min_soc_pct=5, max_charge_w=2000, max_discharge_w=2000)
RUNNING = Memory(mode=Mode.RUNNING, fresh_since_s=0.0, fresh_at_s=10.0, decided_at_s=9.0)


def a_config(*batteries: BatterySettings, **changes: object) -> DispatchConfig:
    """A site; keys of `PolicySettings` may stand beside those of `DispatchConfig`."""
    of_policy = {field.name for field in fields(PolicySettings)} - {"name"}
    policy = {name: value for name, value in changes.items() if name in of_policy}
    rest = {name: value for name, value in changes.items() if name not in of_policy}
    settings = replace(PolicySettings(deadband_w=0.0), **policy)
    return replace(DispatchConfig(batteries=batteries or (FIVE_KW,), policy=settings), **rest)


def a_snapshot(
    pcc_import_w: float = 0.0,
    battery_discharge_w: float = 0.0,
    soc_pct: float | None = 50.0,
    pv_generation_w: float | None = None,
    now_s: float = 10.0,
    **changes: object,
) -> Snapshot:
    usual = Snapshot(
        now_s,
        MeterReading(now_s, pcc_import_w),
        (BatteryReading(now_s, battery_discharge_w, soc_pct),),
        () if pv_generation_w is None else (PvReading(now_s, pv_generation_w, rated_w=5000.0),),
    )
    return replace(usual, **changes)


def decide(config: DispatchConfig, snapshot: Snapshot, memory: Memory = RUNNING) -> Decision:
    return step(config, memory, snapshot)[1]


PV = (PvSettings("roof"),)
