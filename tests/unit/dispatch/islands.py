"""Small islands for dispatch tests: one or two batteries, perhaps a roof, perhaps loads behind switches."""

from __future__ import annotations

from dataclasses import replace

from controller.dispatch.settings import BatterySettings, DispatchConfig, LoadSettings, PvSettings
from controller.dispatch.site import Snapshot
from drivers.device import BatteryReading

TEN_KWH = BatterySettings("bat1", 10_000.0, max_charge_w=5000.0, max_discharge_w=5000.0)
FOUR_KWH = BatterySettings("bat2", 4_000.0, max_charge_w=2000.0, max_discharge_w=2000.0)
ONE = DispatchConfig((TEN_KWH,), lost_after_s=2.5)
TWO = DispatchConfig((TEN_KWH, FOUR_KWH), lost_after_s=2.5)
ROOF = replace(ONE, pvs=(PvSettings("roof"),))
BOILER = LoadSettings("boiler", 2000.0, shed_below_soc_pct=60.0, restore_above_soc_pct=80.0)
FRIDGE = LoadSettings("fridge", 150.0, shed_below_soc_pct=20.0, restore_above_soc_pct=40.0)
HOUSE = replace(ONE, loads=(BOILER, FRIDGE))
NEVER = float("-inf")


def a_snapshot(*batteries: BatteryReading | None, now_s: float = 100.0, **changes: object) -> Snapshot:
    return replace(Snapshot(now_s, None, batteries), **changes)


def a_battery(
    discharge_w: float, soc_pct: float | None, age_s: float = 0.0, max_charge_w: float | None = None
) -> BatteryReading:
    return BatteryReading(100.0 - age_s, discharge_w, soc_pct, max_charge_w=max_charge_w, grid_present=False)
