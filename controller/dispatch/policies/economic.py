"""Economic: what a kWh costs or earns at this minute, against what it is worth in the battery."""

from __future__ import annotations

from dataclasses import dataclass

from controller.dispatch.derating import along
from controller.dispatch.limits import total
from controller.dispatch.orders import SAME_PER_KWH, Plan, Prices
from controller.dispatch.settings import DispatchConfig, PolicySettings
from controller.dispatch.site import Site

AHEAD_PCT = 1.0
"""Charging must still pay this much higher in SoC, discharging this much lower. At the SoC where price and
water value meet, the battery would otherwise swing between full charge and full discharge."""


def economic(config: DispatchConfig, site: Site, _before_w: float) -> float | None:
    """The battery discharge that earns most at this minute's prices and the plan's water values.

    None without prices, SoC, trusted UTC, or a plan for this instant.
    """
    prices, plan, local, soc_pct = site.prices, site.plan, site.local, site.soc_pct
    if prices is None or plan is None or local is None or soc_pct is None:
        return None
    slot = plan.slot_of(local.utc_s)
    if slot is None:
        return None
    worth_stored = plan.water_value(slot, soc_pct + AHEAD_PCT)
    worth_kept = plan.water_value(slot, soc_pct - AHEAD_PCT)
    return _best_w(config.policy, site, _Deal(prices, plan, site.net_load_w, worth_stored, worth_kept))


@dataclass(frozen=True, slots=True)
class _Deal:
    """What is offered for a kWh at this instant: prices, and the worth of one stored and of one kept."""

    prices: Prices
    plan: Plan
    net_load_w: float
    worth_stored: float
    worth_kept: float

    def gain(self, discharge_w: float) -> float:
        """What this discharge earns over resting: a price difference times a power."""
        saved = self._bill(self.net_load_w) - self._bill(self.net_load_w - discharge_w)
        if discharge_w < 0.0:
            return saved - self.worth_stored * along(self.plan.charge_efficiency, -discharge_w) * discharge_w
        efficiency = along(self.plan.discharge_efficiency, discharge_w)
        return saved - (self.plan.wear_per_kwh + self.worth_kept / efficiency) * discharge_w

    def _bill(self, import_w: float) -> float:
        return import_w * (self.prices.import_per_kwh if import_w > 0.0 else self.prices.export_per_kwh)


def _best_w(policy: PolicySettings, site: Site, deal: _Deal) -> float:
    """The discharge with the highest gain over resting; where it comes to the same, that of the net load.

    A W of the battery meets one price up to where the PCC passes 0 W, and the other price beyond: charging
    takes surplus that would earn the export price, then power bought at the import price; discharging saves
    the import price, then earns the export price. Beyond that point it needs leave.

    Surplus stored now, or load covered now, is certain; that the same can be had later is only expected. But
    where peaks are billed what is kept may be worth more than the plan knows, against one nobody expects.
    """
    at_once_w = min(site.net_load_w, 0.0) if deal.plan.import_targets_w else site.net_load_w
    candidates_w = [site.net_load_w]
    if policy.grid_charging:
        candidates_w.append(-total([battery.max_charge_w for battery in site.batteries]))
    if policy.battery_export:
        candidates_w.append(total([battery.max_discharge_w for battery in site.batteries]))
    best_w = most = 0.0
    for discharge_w in candidates_w:
        if discharge_w:
            gain = deal.gain(discharge_w)
            if discharge_w == at_once_w:
                gain += SAME_PER_KWH * abs(discharge_w)
            if gain > most:
                best_w, most = discharge_w, gain
    return best_w
