"""PV caps: what the house, the batteries and the export limit together cannot take must not be generated."""

from __future__ import annotations

from dataclasses import replace
from itertools import compress
from operator import add, mul, not_

from controller.dispatch.limits import INFINITE_W
from controller.dispatch.share import by_weight
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
UNEVEN = 1.5
"""From so many times that on the caps are shared anew."""
SLACK_PART, SLACK_IMPRECISE, SLACK_W = 0.1, 1.2, 20.0
"""An inverter that the sun holds below its cap keeps so much above what it gives: a part of that, more than
its imprecision, and a little; the rest of its cap is for those in more sun."""

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
    site: Site,
    export_limit_w: float | None,
    most_charge_w: float,
    before: Caps,
    trim_w: float = 0.0,
    opens_to_w: float = INFINITE_W,
) -> Caps:
    """Caps for what the site can take: load, `most_charge_w` into the batteries, the export limit.

    What it can take does not depend on the cap, so capping and releasing cannot chase each other. `trim_w`
    (<= 0) is added for inverters that give more than their cap. Caps that there are open no further than that
    `opens_to_w` may be given: what batteries will take but do not take yet would be exported meanwhile.
    No cap is above its inverter's rating, which a device may refuse.

    What an inverter gives that does not answer the meter shows, as less load: the others make room for it.
    Its own cap is the open-loop one, should it take orders.
    """
    rated_w = site.pv_rated_w
    if export_limit_w is None or not rated_w:
        return uncapped(len(rated_w))
    if site.pv_silent:
        heard, heard_before = heard_only(site, before)
        caps_w = iter(closed_loop(heard, export_limit_w, most_charge_w, heard_before, trim_w, opens_to_w))
        return tuple(
            [
                alone_w if silent else next(caps_w)
                for alone_w, silent in zip(open_loop(export_limit_w, rated_w), site.pv_silent, strict=True)
            ]
        )
    generation_w = site.pv_generation_w
    takes_w = max(site.load_w + most_charge_w + export_limit_w, 0.0)
    held_w = held(before)
    if held_w is None:
        if not 0.0 < generation_w >= ENGAGE_AT * takes_w or takes_w >= _whole(rated_w):
            return uncapped(len(rated_w))
        return _by_sun(max(takes_w + trim_w, 0.0), site, before or uncapped(len(rated_w)))
    # A cap that binds hides what the sun could give: it may be widened, not lifted.
    if not binds(site, before) and generation_w < RELEASE_AT * takes_w:
        return uncapped(len(rated_w))
    if takes_w > held_w and takes_w > opens_to_w + sum(_spare_w(site, before)):
        if opens_to_w <= generation_w:
            return before
        return _opened(opens_to_w + trim_w, generation_w, site, before)
    if takes_w >= _whole(rated_w):
        return uncapped(len(rated_w))
    order_w = max(takes_w + trim_w, 0.0)
    if 0.0 <= order_w - held_w <= HOLD_W and not _uneven(site, before):
        return before
    return _by_sun(order_w, site, before)


def heard_only(site: Site, caps_w: Caps) -> tuple[Site, Caps]:
    """The site and these caps without the PV inverters that are silent."""
    if not site.pv_silent:
        return site, caps_w
    heard = list(map(not_, site.pv_silent))
    each_w, rated_w = compress(site.pv_each_w, heard), compress(site.pv_rated_w, heard)
    left = replace(site, pv_each_w=tuple(each_w), pv_rated_w=tuple(rated_w), pv_silent=())
    return left, tuple(compress(caps_w, heard))


def binding(site: Site, caps_w: Caps) -> tuple[bool, ...]:
    """Which inverters give what their caps allow, as near as they can, so that the sun may have more."""
    return tuple(map(_one_binds, site.pv_each_w, site.pv_rated_w, caps_w))


def binds(site: Site, caps_w: Caps) -> bool:
    """Whether a cap binds on any inverter."""
    return True in binding(site, caps_w)


def _one_binds(given_w: float, rated_w: float | None, cap_w: float | None) -> bool:
    if cap_w is None:
        return False
    return given_w >= BINDS_AT * cap_w or given_w >= cap_w - IMPRECISE_PART * (rated_w or 0.0)


def imprecise_w(site: Site) -> float:
    """How far off its cap an inverter may be; 0 where a rating is unknown."""
    whole_w = _whole(site.pv_rated_w)
    return IMPRECISE_PART * whole_w if whole_w < INFINITE_W else 0.0


def _whole(rated_w: tuple[float | None, ...]) -> float:
    """All ratings together; infinite while one is unknown."""
    whole_w = 0.0
    for one in rated_w:
        if one is None:
            return INFINITE_W
        whole_w += one
    return whole_w


def held(caps_w: Caps) -> float | None:
    """All caps together, or None when nothing is capped."""
    held_w: float | None = None
    for cap_w in caps_w:
        if cap_w is not None:
            held_w = cap_w if held_w is None else held_w + cap_w
    return held_w


def _split(total_w: float, rated_w: tuple[float | None, ...]) -> tuple[float, ...]:
    """By rating; evenly when a rating is unknown."""
    weights = _weights(rated_w)
    whole = sum(weights)
    return tuple([total_w * weight / whole for weight in weights])


def _weights(rated_w: tuple[float | None, ...]) -> list[float]:
    whole_w = _whole(rated_w)
    if whole_w == INFINITE_W or whole_w <= 0.0:
        return [1.0 for _ in rated_w]
    return [one or 0.0 for one in rated_w]


def _slack_w(given_w: float, rated_w: float | None) -> float:
    return SLACK_PART * given_w + SLACK_IMPRECISE * IMPRECISE_PART * (rated_w or 0.0) + SLACK_W


def _spare_w(site: Site, before: Caps) -> list[float]:
    """What each inverter that the sun holds is to have above what it gives; 0 for one that its cap holds."""
    return list(map(_one_spare_w, site.pv_each_w, site.pv_rated_w, binding(site, before)))


def _one_spare_w(given_w: float, rated_w: float | None, at_cap: bool) -> float:
    return 0.0 if at_cap else _slack_w(given_w, rated_w)


def _uneven(site: Site, before: Caps) -> bool:
    """Whether an inverter in the shade leaves of its cap what another could give."""
    bound = binding(site, before)
    return True in bound and True in map(_leaves, site.pv_each_w, site.pv_rated_w, before, bound)


def _leaves(given_w: float, rated_w: float | None, cap_w: float | None, at_cap: bool) -> bool:
    return not at_cap and (cap_w is None or cap_w - given_w > UNEVEN * _slack_w(given_w, rated_w))


def _by_sun(total_w: float, site: Site, before: Caps) -> Caps:
    """By rating, but what an inverter in the shade cannot give is for those in the sun.

    The caps add up to no more than `total_w`, so that no more is given however the clouds move.
    """
    heads_w = list(map(_head_w, site.pv_each_w, site.pv_rated_w, binding(site, before)))
    caps_w = by_weight(total_w, heads_w, _weights(site.pv_rated_w))
    left_w = total_w - sum(caps_w)
    if left_w > 0.0:
        caps_w = list(map(add, caps_w, _split(left_w, site.pv_rated_w)))
    return tuple(map(_rated_at_most, caps_w, site.pv_rated_w))


def _head_w(given_w: float, rated_w: float | None, at_cap: bool) -> float:
    return INFINITE_W if at_cap else given_w + _slack_w(given_w, rated_w)


def _opened(total_w: float, generation_w: float, site: Site, before: Caps) -> Caps:
    """Caps by which `total_w` may be given now: those at their cap share by rating what is more than before.

    Those in the shade have what they give and something to spare.
    """
    spares_w = _spare_w(site, before)
    weights = list(map(mul, binding(site, before), _weights(site.pv_rated_w)))
    per_weight_w = (total_w - generation_w) / sum(weights) if any(weights) else 0.0
    caps_w = [
        max(given_w + spare_w + weight * per_weight_w, 0.0)
        for given_w, spare_w, weight in zip(site.pv_each_w, spares_w, weights, strict=True)
    ]
    return tuple(map(_rated_at_most, caps_w, site.pv_rated_w))


def _rated_at_most(cap_w: float, rated_w: float | None) -> float:
    return rated_w if rated_w is not None and cap_w > rated_w else cap_w
