"""Small sites for care tests: who is there, and what was last full how many days ago."""

from __future__ import annotations

from controller.dispatch.care import CareState
from controller.dispatch.orders import LocalTime, Plan, Prices
from controller.dispatch.settings import BatterySettings, CareSettings, DispatchConfig, PolicySettings
from controller.dispatch.site import BatterySite, Site

DAY_S = 86_400.0
NOW_UTC_S = 1_000.0 * DAY_S
MONTHLY = CareSettings(full_every_days=30.0)
BIWEEKLY = CareSettings(
    full_every_days=14.0, absorption_s=7200.0, patience_days=2.0, min_soc_step_pct=5.0, min_soc_most_pct=62.0
)
LITHIUM = BatterySettings("rack", 10_000.0, min_soc_pct=5.0, care=MONTHLY)
LEAD = BatterySettings("cellar", 20_000.0, min_soc_pct=50.0, chemistry="lead_acid", care=BIWEEKLY)
PLAIN = BatterySettings("plain", 5_000.0, min_soc_pct=8.0)


def a_config(*batteries: BatterySettings, grid_charging: bool = False) -> DispatchConfig:
    return DispatchConfig(batteries, policy=PolicySettings(grid_charging=grid_charging))


def full_days_ago(days: float, seen_s: float | None = None) -> CareState:
    return CareState(NOW_UTC_S - days * DAY_S, 0.0, seen_s)


def a_site(
    *batteries: BatterySite,
    surplus_w: float = 0.0,
    prices: Prices | None = None,
    plan: Plan | None = None,
    utc_s: float | None = NOW_UTC_S,
) -> Site:
    return Site(
        100.0,
        100.0,
        True,
        -surplus_w,
        -surplus_w,
        batteries,
        0.0,
        (),
        prices=prices,
        plan=plan,
        local=None if utc_s is None else LocalTime(utc_s, 3600.0),
    )


def a_battery(soc_pct: float | None = 60.0, index: int = 0, max_charge_w: float = 4000.0) -> BatterySite:
    return BatterySite(index, 0.0, soc_pct, max_charge_w, 4000.0)
