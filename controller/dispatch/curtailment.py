"""PV caps: what the house, the batteries and the export limit together cannot take must not be generated."""

from __future__ import annotations

from controller.dispatch.site import Site

ENGAGE_AT = 0.9
"""A cap is written once generation reaches this part of what the site can take ..."""
RELEASE_AT = 0.7
"""... and lifted below this part, so that a site with room has no cap and no writes."""
BINDS_AT = 0.95
"""Generation above this part of the cap means that the cap, not the sun, decides."""
IMPRECISE_PART = 0.03
"""So near to the cap, as a part of the rating, it may also be the inverter's own imprecision that decides."""
HOLD_W = 20.0
"""An existing cap that is lower than needed by no more than this stays, to save writes."""

Caps = tuple[float | None, ...]


def uncapped(inverters: int) -> Caps:
    """No cap on any."""
    return (None,) * inverters


def open_loop(export_limit_w: float | None, rated_w: tuple[float | None, ...]) -> Caps:
    """Caps that keep the export limit whatever the readings were: all PV together at most that limit."""
    if export_limit_w is None or not rated_w:
        return uncapped(len(rated_w))
    return _split(max(export_limit_w, 0.0), rated_w)


def closed_loop(
    site: Site, export_limit_w: float | None, most_charge_w: float, before: Caps, trim_w: float = 0.0
) -> Caps:
    """Caps for what the site can take: load, `most_charge_w` into the batteries, the export limit.

    None of this depends on the cap itself, so capping and releasing cannot chase each other. `trim_w` (<= 0)
    is added for inverters that give more than their cap.
    """
    rated_w = site.pv_rated_w
    if export_limit_w is None or not rated_w:
        return uncapped(len(rated_w))
    generation_w, load_w = site.pv_generation_w, site.load_w
    if load_w is None or generation_w is None:
        return open_loop(export_limit_w, rated_w)
    takes_w = max(load_w + most_charge_w + export_limit_w, 0.0)
    held_w = held(before)
    if held_w is None:
        needed = 0.0 < generation_w >= ENGAGE_AT * takes_w
    else:
        # A cap that binds hides what the sun could give: it may be widened, not lifted.
        needed = binds(site, before) or generation_w >= RELEASE_AT * takes_w
    if not needed or takes_w >= _whole(rated_w):
        return uncapped(len(rated_w))
    order_w = max(takes_w + trim_w, 0.0)
    if held_w is not None and 0.0 <= order_w - held_w <= HOLD_W:
        return before
    return _split(order_w, rated_w)


def binds(site: Site, caps_w: Caps) -> bool:
    """The inverters give what these caps allow, as near as they can, so that the sun may have more."""
    held_w, given_w = held(caps_w), site.pv_generation_w
    if held_w is None or given_w is None:
        return False
    return given_w >= BINDS_AT * held_w or given_w >= held_w - imprecise_w(site)


def imprecise_w(site: Site) -> float:
    """How far off its cap an inverter may be; 0 where a rating is unknown."""
    whole_w = _whole(site.pv_rated_w)
    return IMPRECISE_PART * whole_w if whole_w < float("inf") else 0.0


def _whole(rated_w: tuple[float | None, ...]) -> float:
    """All ratings together; infinite while one is unknown."""
    whole_w = 0.0
    for one in rated_w:
        if one is None:
            return float("inf")
        whole_w += one
    return whole_w


def held(caps_w: Caps) -> float | None:
    """All caps together, or None when nothing is capped."""
    held_w: float | None = None
    for cap_w in caps_w:
        if cap_w is not None:
            held_w = cap_w if held_w is None else held_w + cap_w
    return held_w


def _split(total_w: float, rated_w: tuple[float | None, ...]) -> Caps:
    """By rating; evenly when a rating is unknown."""
    whole_w = _whole(rated_w)
    if whole_w == float("inf") or whole_w <= 0.0:
        return tuple([total_w / len(rated_w) for _ in rated_w])
    return tuple([total_w * (one or 0.0) / whole_w for one in rated_w])
