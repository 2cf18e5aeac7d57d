"""Economic: what a kWh costs or earns at this minute, against what it is worth in the battery."""

from __future__ import annotations

from controller.dispatch.limits import total
from controller.dispatch.orders import Plan, Prices
from controller.dispatch.settings import DispatchConfig, PolicySettings
from controller.dispatch.site import Site

AHEAD_PCT = 1.0
"""Charging must still pay this much higher in SoC, discharging this much lower. At the SoC where price and
water value meet, the battery would otherwise swing between full charge and full discharge."""


def economic(config: DispatchConfig, site: Site) -> float | None:
    """The battery discharge that earns most at this minute's prices and the plan's water values.

    None without prices, SoC, trusted UTC, or a plan for this instant.
    """
    prices, plan, local, soc_pct = site.prices, site.plan, site.local, site.soc_pct
    if prices is None or plan is None or local is None or soc_pct is None:
        return None
    levels = _levels(plan, local.utc_s)
    if not levels:
        return None
    worth_stored = _water_value(levels, soc_pct + AHEAD_PCT)
    worth_kept = _water_value(levels, soc_pct - AHEAD_PCT)
    return _best_w(config.policy, site, prices, worth_stored, worth_kept)


def _levels(plan: Plan, utc_s: float) -> tuple[float, ...]:
    """The water values over SoC of the slot of this instant, empty when the plan has none."""
    if utc_s >= plan.expires_at_utc_s or utc_s < plan.begin_utc_s:
        return ()
    slot = int((utc_s - plan.begin_utc_s) // plan.slot_s)
    return plan.water_values[slot] if slot < len(plan.water_values) else ()


def _water_value(levels: tuple[float, ...], soc_pct: float) -> float:
    """Currency per kWh, on a straight line between the two nearest levels."""
    last = len(levels) - 1
    place = soc_pct / 100.0 * last
    if place <= 0.0:
        return levels[0]
    if place >= last:
        return levels[last]
    below = int(place)
    return levels[below] + (place - below) * (levels[below + 1] - levels[below])


def _best_w(
    policy: PolicySettings, site: Site, prices: Prices, worth_stored: float, worth_kept: float
) -> float:
    """The discharge with the highest gain over resting; a gain is a price difference times a power.

    A W of the battery meets one price up to where the PCC passes 0 W, and the other price beyond: charging
    takes surplus that would earn the export price, then power bought at the import price; discharging saves
    the import price, then earns the export price. Beyond that point it needs leave. Resting wins a tie.
    """
    net_load_w = site.net_load_w
    surplus_w, own_load_w = (-net_load_w, 0.0) if net_load_w < 0.0 else (0.0, net_load_w)
    best_w = 0.0
    charge_gain = (worth_stored - prices.export_per_kwh) * surplus_w
    most = 0.0
    if charge_gain > most:
        best_w, most = net_load_w, charge_gain
    if policy.grid_charging:
        charge_w = total([battery.max_charge_w for battery in site.batteries])
        if charge_w > surplus_w:
            charge_gain += (worth_stored - prices.import_per_kwh) * (charge_w - surplus_w)
            if charge_gain > most:
                best_w, most = -charge_w, charge_gain
    discharge_gain = (prices.import_per_kwh - worth_kept) * own_load_w
    if discharge_gain > most:
        best_w, most = net_load_w, discharge_gain
    if policy.battery_export:
        discharge_w = total([battery.max_discharge_w for battery in site.batteries])
        if discharge_w > own_load_w:
            discharge_gain += (prices.export_per_kwh - worth_kept) * (discharge_w - own_load_w)
            if discharge_gain > most:
                best_w = discharge_w
    return best_w
