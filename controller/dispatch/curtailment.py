"""PV caps: what the house, the batteries and the export limit together cannot take must not be generated."""

from __future__ import annotations

from controller.dispatch.site import Site

ENGAGE_AT = 0.9
"""A cap is written once generation reaches this part of what the site can take ..."""
RELEASE_AT = 0.7
"""... and lifted below this part, so that a site with room has no cap and no writes."""
BINDS_AT = 0.95
"""Generation above this part of the cap means that the cap, not the sun, decides."""
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


def closed_loop(site: Site, export_limit_w: float | None, most_charge_w: float, before: Caps) -> Caps:
    """Caps for what the site can take: load, `most_charge_w` (>= 0) into the batteries, the export limit.

    None of this depends on the cap itself, so capping and releasing cannot chase each other.
    """
    rated_w = site.pv_rated_w
    if export_limit_w is None or not rated_w:
        return uncapped(len(rated_w))
    generation_w, load_w = site.pv_generation_w, site.load_w
    if load_w is None or generation_w is None:
        return open_loop(export_limit_w, rated_w)
    takes_w = max(load_w + most_charge_w + export_limit_w, 0.0)
    held_w = _held(before)
    if held_w is None:
        needed = 0.0 < generation_w >= ENGAGE_AT * takes_w
    else:
        # A cap that binds hides what the sun could give: it may be widened, not lifted.
        needed = _reaches(generation_w, held_w) or generation_w >= RELEASE_AT * takes_w
    if not needed or takes_w >= _whole(rated_w):
        return uncapped(len(rated_w))
    if held_w is not None and 0.0 <= takes_w - held_w <= HOLD_W:
        return before
    return _split(takes_w, rated_w)


def binds(site: Site, caps_w: Caps) -> bool:
    """The inverters give what these caps allow, so that the sun may have more."""
    held_w = _held(caps_w)
    return held_w is not None and site.pv_generation_w is not None and _reaches(site.pv_generation_w, held_w)


def _reaches(generation_w: float, held_w: float) -> bool:
    return generation_w >= BINDS_AT * held_w


def _whole(rated_w: tuple[float | None, ...]) -> float:
    """All ratings together; infinite while one is unknown."""
    whole_w = 0.0
    for one in rated_w:
        if one is None:
            return float("inf")
        whole_w += one
    return whole_w


def _held(caps_w: Caps) -> float | None:
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
