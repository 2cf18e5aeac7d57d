"""Standby: the battery is kept at a level, for the day the grid is gone."""

from __future__ import annotations

from controller.dispatch.limits import HYSTERESIS_PCT, total
from controller.dispatch.settings import DispatchConfig
from controller.dispatch.site import Site


def standby(config: DispatchConfig, site: Site, before_w: float) -> float | None:
    """Charge up to `standby_soc_pct`, from sun or grid, then rest at 0 W; None while the SoC is unknown.

    At rest it charges again a percent below: what the inverter itself uses is not made up for in pulses.
    """
    policy, soc_pct = config.policy, site.soc_pct
    if soc_pct is None:
        return None
    left_pct = policy.standby_soc_pct - soc_pct
    if left_pct <= 0.0 or (left_pct < HYSTERESIS_PCT and before_w >= 0.0):
        return 0.0
    charge_w = policy.standby_charge_w
    if charge_w is None:
        charge_w = total([battery.max_charge_w for battery in site.batteries])
    # Not `-charge_w`: that would be -0.0 for 0 W.
    return 0.0 - charge_w
