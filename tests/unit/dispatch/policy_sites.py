"""A small site for the tests of policies: at 50 % SoC, with 5 kW to charge and 4 kW to discharge."""

from __future__ import annotations

from dataclasses import replace

from controller.dispatch.settings import BatterySettings, DispatchConfig, PolicySettings
from controller.dispatch.site import BatterySite, Site

BATTERY = BatterySettings("bat1", capacity_wh=10_000)


def a_policy(**changes: object) -> DispatchConfig:
    return DispatchConfig(batteries=(BATTERY,), policy=replace(PolicySettings(), **changes))


def a_site(net_load_w: float = 0.0, **changes: object) -> Site:
    usual = Site(
        now_s=10.0,
        taken_at_s=10.0,
        is_news=True,
        pcc_import_w=net_load_w,
        net_load_w=net_load_w,
        batteries=(BatterySite(0, 0.0, 50.0, max_charge_w=5000.0, max_discharge_w=4000.0),),
        pv_generation_w=0.0,
        pv_rated_w=(),
        soc_pct=50.0,
    )
    site = replace(usual, **changes)
    if site.pv_each_w or len(site.pv_rated_w) != 1:
        return site
    return replace(site, pv_each_w=(site.pv_generation_w,))


TWO_BATTERIES = (
    BatterySite(0, 0.0, 50.0, max_charge_w=5000.0, max_discharge_w=4000.0),
    BatterySite(1, 0.0, 50.0, max_charge_w=2000.0, max_discharge_w=1000.0),
)
