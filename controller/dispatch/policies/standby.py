"""Standby: the battery is kept at a level, for the day the grid is gone."""

from __future__ import annotations

from controller.dispatch.limits import total
from controller.dispatch.settings import DispatchConfig
from controller.dispatch.site import Site


def standby(config: DispatchConfig, site: Site) -> float | None:
    """Charge up to `standby_soc_pct`, from sun or grid, then rest at 0 W; None while the SoC is unknown."""
    policy, soc_pct = config.policy, site.soc_pct
    if soc_pct is None:
        return None
    if soc_pct >= policy.standby_soc_pct:
        return 0.0
    charge_w = policy.standby_charge_w
    if charge_w is None:
        charge_w = total([battery.max_charge_w for battery in site.batteries])
    # Not `-charge_w`: that would be -0.0 for 0 W.
    return 0.0 - charge_w
