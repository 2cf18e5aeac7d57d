"""PV caps: what the house, the batteries and the export limit together cannot take must not be generated."""

from __future__ import annotations

from controller.dispatch.settings import DispatchConfig
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


def open_loop(config: DispatchConfig, rated_w: tuple[float | None, ...]) -> Caps:
    """Caps that keep the export limit whatever the readings were: all PV together at most that limit."""
    if config.export_limit_w is None:
        return tuple(None for _ in config.pvs)
    return _split(config.export_limit_w, rated_w or tuple(None for _ in config.pvs))


def closed_loop(config: DispatchConfig, site: Site, most_charge_w: float, before: Caps) -> Caps:
    """Caps for what the site can take: load, `most_charge_w` (>= 0) into the batteries, the export limit.

    None of this depends on the cap itself, so capping and releasing cannot chase each other.
    """
    if config.export_limit_w is None:
        return tuple(None for _ in config.pvs)
    if site.load_w is None or site.pv_generation_w is None:
        return open_loop(config, site.pv_rated_w)
    takes_w = max(site.load_w + most_charge_w + config.export_limit_w, 0.0)
    held_w = _total(before)
    if held_w is None:
        needed = 0.0 < site.pv_generation_w >= ENGAGE_AT * takes_w
    else:
        # A cap that binds hides what the sun could give: it may be widened, not lifted.
        binds = site.pv_generation_w >= BINDS_AT * held_w
        needed = binds or site.pv_generation_w >= RELEASE_AT * takes_w
    if not needed or takes_w >= _whole(site.pv_rated_w):
        return tuple(None for _ in config.pvs)
    if held_w is not None and 0.0 <= takes_w - held_w <= HOLD_W:
        return before
    return _split(takes_w, site.pv_rated_w)


def _whole(rated_w: tuple[float | None, ...]) -> float:
    """All ratings together; infinite while one is unknown."""
    known = [one for one in rated_w if one is not None]
    return sum(known) if len(known) == len(rated_w) else float("inf")


def _total(caps_w: Caps) -> float | None:
    known = [cap_w for cap_w in caps_w if cap_w is not None]
    return sum(known) if known else None


def _split(total_w: float, rated_w: tuple[float | None, ...]) -> Caps:
    """By rating; evenly when a rating is unknown."""
    whole_w = _whole(rated_w)
    if whole_w == float("inf") or whole_w <= 0.0:
        return tuple(total_w / len(rated_w) for _ in rated_w)
    return tuple(total_w * (one or 0.0) / whole_w for one in rated_w)
