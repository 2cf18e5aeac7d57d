"""What is allowed: ranges of total battery discharge that only narrow, strongest limit first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from controller.dispatch.orders import Order, Orders, in_force
from controller.dispatch.settings import DispatchConfig
from controller.dispatch.site import BatterySite, Site
from drivers.fact import fact

HYSTERESIS_PCT = 1.0
"""How far the SoC must come back before a battery that was empty, full or at its reserve is used again."""

INFINITE_W = float("inf")

Bounds = tuple[float, float]
"""The least and the most discharge that a limit allows, W."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit by the name it has in every decision, and what it is, for the documentation."""

    name: str
    says: str


LIMITS = (
    Limit("rating", "battery and inverter rating, BMS limits, derating by temperature and SoC"),
    Limit("empty", "the SoC floor: no discharge, until the SoC came back by 1 %"),
    Limit("full", "the SoC ceiling: no charging, until the SoC came back by 1 %"),
    Limit("fuse", "the fuse of each phase, import and export, with the others as measured"),
    Limit("import_limit", "contracted import at the PCC"),
    Limit("operator_import", "a grid operator's order to reduce import, while it is in force"),
    Limit("export_limit", "contracted export at the PCC"),
    Limit("operator_export", "a grid operator's order to reduce export, while it is in force"),
    Limit("reserve", "the backup reserve: no discharge below it"),
    Limit("demand", "the billing window: no new peak, neither by load nor by recharging"),
    Limit("order", "orders from outside, which may only tighten, and expire"),
    Limit("ramp", "the fastest change; the way to 0 W is always open"),
    Limit("min_power", "the band around 0 W in which the inverter cannot hold a setpoint"),
)
"""Strongest first: a later one can only narrow what the earlier ones leave."""


def total(values: Iterable[float]) -> float:
    """A plain left-to-right sum: the built-in one rounds differently from Python 3.12 on."""
    whole = 0.0
    for value in values:
        whole += value
    return whole


def narrowed(strong: Bounds, weak: Bounds) -> Bounds:
    """The strong bounds shrunk towards the weak ones: where they do not meet, the nearest edge."""
    lower_w, upper_w = strong
    to_lower_w, to_upper_w = weak
    if to_lower_w > lower_w:
        lower_w = to_lower_w if to_lower_w < upper_w else upper_w
    if to_upper_w < upper_w:
        upper_w = to_upper_w if to_upper_w > lower_w else lower_w
    return lower_w, upper_w


@fact
class Range:
    """Allowed discharge from `lower_w` to `upper_w`; negative is charging."""

    lower_w: float
    upper_w: float

    def narrow(self, other: Range) -> Range:
        """Shrink towards `other` without ever leaving this range: an empty overlap is the nearest edge."""
        return Range(*narrowed((self.lower_w, self.upper_w), (other.lower_w, other.upper_w)))

    def clamp(self, power_w: float) -> float:
        """The allowed power nearest to `power_w`."""
        if power_w < self.lower_w:
            return self.lower_w
        return self.upper_w if power_w > self.upper_w else power_w


@fact
class Latches:
    """What one battery's SoC has run into, each held until the SoC came back by `HYSTERESIS_PCT`."""

    empty: bool = False
    full: bool = False
    at_reserve: bool = False


NO_LATCHES = Latches()
UNKNOWN_SOC = Latches(True, True, True)


def latch(
    before: Latches, soc_pct: float | None, floor_pct: float, ceiling_pct: float, reserve_pct: float
) -> Latches:
    """The latches of one battery after this reading; an unknown SoC is both empty and full."""
    if soc_pct is None:
        return UNKNOWN_SOC
    if before is NO_LATCHES and floor_pct < soc_pct < ceiling_pct and soc_pct > reserve_pct:
        return before
    reserve_pct = max(reserve_pct, floor_pct)
    empty = soc_pct <= floor_pct or (before.empty and soc_pct < floor_pct + HYSTERESIS_PCT)
    full = soc_pct >= ceiling_pct or (before.full and soc_pct > ceiling_pct - HYSTERESIS_PCT)
    at_reserve = soc_pct <= reserve_pct or (before.at_reserve and soc_pct < reserve_pct + HYSTERESIS_PCT)
    if empty == before.empty and full == before.full and at_reserve == before.at_reserve:
        return before
    return Latches(empty, full, at_reserve) if empty or full or at_reserve else NO_LATCHES


def rating(battery: BatterySite, latches: Latches) -> Range:
    """What the inverter and the BMS allow, between SoC floor and ceiling."""
    return Range(
        0.0 if latches.full else -battery.max_charge_w,
        0.0 if latches.empty else battery.max_discharge_w,
    )


def kept_for_reserve(room: Range, latches: Latches) -> Range:
    """No discharge of a battery that is down to its backup reserve."""
    return room.narrow(Range(room.lower_w, 0.0)) if latches.at_reserve else room


def import_limit(config: DispatchConfig, site: Site) -> Bounds | None:
    """Discharge so much that the PCC imports no more than is contracted."""
    limit_w = config.import_limit_w
    return None if limit_w is None else (site.net_load_w - limit_w, INFINITE_W)


def export_limit(config: DispatchConfig, site: Site) -> Bounds | None:
    """Discharge so little, or charge so much, that the PCC exports no more than is contracted."""
    limit_w = config.export_limit_w
    return None if limit_w is None else (-INFINITE_W, site.net_load_w + limit_w)


def operator_import(config: DispatchConfig, site: Site) -> Bounds | None:
    """The grid operator's order to reduce import."""
    return _import_at_most(in_force(site.orders.operator_import_w, site.now_s), site)


def operator_export(config: DispatchConfig, site: Site) -> Bounds | None:
    """The grid operator's order to reduce export."""
    return _export_at_most(in_force(site.orders.operator_export_w, site.now_s), site)


def ordered(site: Site) -> Bounds | None:
    """Orders from outside: import and export at the PCC, charge and discharge of all batteries."""
    orders, now_s = site.orders, site.now_s
    reach: Bounds | None = None
    for limit in (
        _import_at_most(in_force(orders.import_limit_w, now_s), site),
        _export_at_most(in_force(orders.export_limit_w, now_s), site),
        ordered_power(site),
    ):
        if limit is not None:
            reach = limit if reach is None else narrowed(reach, limit)
    return reach


def ordered_power(site: Site) -> Bounds | None:
    """What orders let all batteries together charge and discharge, whatever the PCC does."""
    max_charge_w = in_force(site.orders.max_charge_w, site.now_s)
    max_discharge_w = in_force(site.orders.max_discharge_w, site.now_s)
    if max_charge_w is None and max_discharge_w is None:
        return None
    return (
        -INFINITE_W if max_charge_w is None else -max_charge_w,
        INFINITE_W if max_discharge_w is None else max_discharge_w,
    )


def export_at_most_w(config: DispatchConfig, orders: tuple[Order | None, ...], now_s: float) -> float | None:
    """The tightest of the site's export limit and these orders; None when there is none."""
    tightest_w = config.export_limit_w
    for order in orders:
        limit_w = in_force(order, now_s)
        if limit_w is not None and (tightest_w is None or limit_w < tightest_w):
            tightest_w = limit_w
    return tightest_w


def export_in_force_w(config: DispatchConfig, orders: Orders, now_s: float) -> float | None:
    """The same with every order about export that there is."""
    return export_at_most_w(config, (orders.operator_export_w, orders.export_limit_w), now_s)


def ramp(ramp_w_per_s: float, before_w: float, elapsed_s: float) -> Bounds:
    """Move no faster than `ramp_w_per_s`; the way towards 0 W is always open."""
    step_w = ramp_w_per_s * elapsed_s
    return min(before_w - step_w, 0.0), max(before_w + step_w, 0.0)


def _import_at_most(limit_w: float | None, site: Site) -> Bounds | None:
    return None if limit_w is None else (site.net_load_w - limit_w, INFINITE_W)


def _export_at_most(limit_w: float | None, site: Site) -> Bounds | None:
    return None if limit_w is None else (-INFINITE_W, site.net_load_w + limit_w)


SiteLimit = Callable[[DispatchConfig, Site], Bounds | None]

GRID_LIMITS: tuple[tuple[str, SiteLimit], ...] = (
    ("import_limit", import_limit),
    ("operator_import", operator_import),
    ("export_limit", export_limit),
    ("operator_export", operator_export),
)
"""The limits at the PCC that hold for every policy, in the order of `LIMITS`."""

SITE_LIMITS = tuple(one for one in GRID_LIMITS if not one[0].startswith("operator"))
"""Those of them that need no order from outside."""

BEYOND_W = 50.0
"""A limit at the PCC that is exceeded by no more than this is kept."""


def beyond(config: DispatchConfig, site: Site) -> int:
    """1 while more is imported than may be, -1 while more is exported, 0 while the PCC keeps its limits."""
    discharge_w = site.net_load_w - site.pcc_import_w
    for _, limit in GRID_LIMITS:
        bounds = limit(config, site)
        if bounds is not None and bounds[0] - discharge_w > BEYOND_W:
            return 1
        if bounds is not None and discharge_w - bounds[1] > BEYOND_W:
            return -1
    return 0
