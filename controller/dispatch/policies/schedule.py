"""Schedule: windows in local time, the first that matches decides."""

from __future__ import annotations

from controller.dispatch.limits import HYSTERESIS_PCT
from controller.dispatch.settings import DispatchConfig, Window
from controller.dispatch.site import Site


def schedule(config: DispatchConfig, site: Site, before_w: float = 0.0) -> float | None:
    """What the window in force asks for; None outside of all windows, or without trusted local time.

    Windows follow the clock on the wall: an hour that summer time skips does not come, one that it repeats
    comes twice.
    """
    local = site.local
    if local is None:
        return None
    day, second = local.day, local.second
    for window in config.policy.schedule:
        if _holds(window, day, second):
            return _wanted_w(window, site, before_w)
    return None


def _holds(window: Window, day: int, second: float) -> bool:
    """Whether the local time is inside; a window over midnight belongs to the day on which it begins."""
    if window.from_s < window.to_s:
        return window.from_s <= second < window.to_s and _on(window, day)
    if second >= window.from_s:
        return _on(window, day)
    return second < window.to_s and _on(window, day - 1)


def _on(window: Window, day: int) -> bool:
    # Ordinal 1 is a Monday, and weekday 0 is one.
    if (day + 6) % 7 not in window.weekdays:
        return False
    if window.first_day is not None and day < window.first_day:
        return False
    return window.last_day is None or day <= window.last_day


def _wanted_w(window: Window, site: Site, before_w: float) -> float | None:
    """Battery discharge; at its SoC the window holds 0 W, and with an unknown SoC it cannot be kept.

    From rest the way to that SoC begins again a percent away from it.
    """
    if window.action == "hold":
        return 0.0
    if window.action == "pcc":
        return site.net_load_w - window.power_w
    if window.soc_pct is not None:
        soc_pct = site.soc_pct
        if soc_pct is None:
            return None
        charges = window.action == "charge"
        left_pct = window.soc_pct - soc_pct if charges else soc_pct - window.soc_pct
        on_its_way = before_w < 0.0 if charges else before_w > 0.0
        if left_pct <= 0.0 or (left_pct < HYSTERESIS_PCT and not on_its_way):
            return 0.0
    return -window.power_w if window.action == "charge" else window.power_w
