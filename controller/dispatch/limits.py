"""What is allowed: ranges of total battery discharge that only narrow, strongest limit first."""

from __future__ import annotations

from dataclasses import dataclass

from controller.dispatch.settings import DispatchConfig
from controller.dispatch.site import BatterySite, Site

HYSTERESIS_PCT = 1.0
"""How far the SoC must come back before a battery that was empty, full or at its reserve is used again."""


@dataclass(frozen=True, slots=True)
class Range:
    """Allowed discharge from `lower_w` to `upper_w`; negative is charging."""

    lower_w: float
    upper_w: float

    def narrow(self, other: Range) -> Range:
        """Shrink towards `other` without ever leaving this range: an empty overlap is the nearest edge."""
        lower_w = self.lower_w if self.lower_w > other.lower_w else other.lower_w
        if lower_w > self.upper_w:
            lower_w = self.upper_w
        upper_w = self.upper_w if self.upper_w < other.upper_w else other.upper_w
        return Range(lower_w, upper_w if upper_w > lower_w else lower_w)

    def clamp(self, power_w: float) -> float:
        """The allowed power nearest to `power_w`."""
        if power_w < self.lower_w:
            return self.lower_w
        return self.upper_w if power_w > self.upper_w else power_w


@dataclass(frozen=True, slots=True)
class Latches:
    """What one battery's SoC has run into, each held until the SoC came back by `HYSTERESIS_PCT`."""

    empty: bool = False
    full: bool = False
    at_reserve: bool = False


def latch(config: DispatchConfig, before: Latches, battery: BatterySite) -> Latches:
    """The latches of one battery after this reading; an unknown SoC is both empty and full."""
    soc_pct = battery.soc_pct
    if soc_pct is None:
        return Latches(True, True, True)
    settings = config.batteries[battery.index]
    floor_pct = settings.min_soc_pct
    reserve_pct = config.reserve_pct if config.reserve_pct > floor_pct else floor_pct
    empty = soc_pct <= floor_pct or (before.empty and soc_pct < floor_pct + HYSTERESIS_PCT)
    full = soc_pct >= settings.max_soc_pct or (
        before.full and soc_pct > settings.max_soc_pct - HYSTERESIS_PCT
    )
    at_reserve = soc_pct <= reserve_pct or (before.at_reserve and soc_pct < reserve_pct + HYSTERESIS_PCT)
    if empty == before.empty and full == before.full and at_reserve == before.at_reserve:
        return before
    return Latches(empty, full, at_reserve)


def rating(battery: BatterySite, latches: Latches) -> Range:
    """Limit 1: what the inverter and the BMS allow, between SoC floor and ceiling."""
    return Range(
        0.0 if latches.full else -battery.max_charge_w,
        0.0 if latches.empty else battery.max_discharge_w,
    )


def reserve(allowed: Range, latches: Latches) -> Range:
    """Limit 3: no discharge of a battery that is down to its backup reserve."""
    return allowed.narrow(Range(allowed.lower_w, 0.0)) if latches.at_reserve else allowed


def import_limit(config: DispatchConfig, site: Site) -> Range | None:
    """Limit 2: discharge so much that the PCC imports no more than is contracted."""
    if config.import_limit_w is None:
        return None
    return Range(site.net_load_w - config.import_limit_w, float("inf"))


def export_limit(config: DispatchConfig, site: Site) -> Range | None:
    """Limit 2: discharge so little, or charge so much, that the PCC exports no more than is contracted."""
    if config.export_limit_w is None:
        return None
    return Range(float("-inf"), site.net_load_w + config.export_limit_w)


def ramp(ramp_w_per_s: float, before_w: float, elapsed_s: float) -> Range:
    """Limit 6: move no faster than `ramp_w_per_s`; the way towards 0 W is always open."""
    step_w = ramp_w_per_s * elapsed_s
    lower_w, upper_w = before_w - step_w, before_w + step_w
    return Range(
        min(lower_w, 0.0) if before_w > 0.0 else lower_w, max(upper_w, 0.0) if before_w < 0.0 else upper_w
    )
