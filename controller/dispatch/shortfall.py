"""Batteries that take less than they may while the sun is held to an export limit.

What may be generated is what house and batteries take, and the limit. A battery near full, cold, or deaf may
take far less than it says, without a word; then the rest is exported. So more export than is allowed, once
battery and inverters have had the time to answer, is taken for what the batteries do not take, and the sun is
held to so much less. That is believed until they have something to make up for again, take more than that, or
for a quarter of an hour; then half of it is.
"""

from __future__ import annotations

from controller.dispatch.limits import total
from controller.dispatch.settings import DispatchConfig
from controller.dispatch.site import Site
from drivers.fact import fact

OVER_W, OVER_PART = 50.0, 0.01
"""More than so much, or so much of the limit, beyond the limit is too much ..."""
PATIENCE_S = 4.0
"""... once it has lasted for so long, beside the meter's delay, dead time and three time constants."""
ROOM_PCT = 1.0
"""When the SoC has fallen by so much there is room again."""
BELIEVED_S = 900.0
"""After so long without anything new half of it is tried again."""


@fact
class Shortfall:
    """`short_w` less than they may is what the batteries take, found at `soc_pct` and `found_at_s`.

    `over_since_s` is since when more has been exported than may be.
    """

    short_w: float = 0.0
    soc_pct: float = 0.0
    found_at_s: float = 0.0
    over_since_s: float | None = None


NO_SHORTFALL = Shortfall()


def shortfall(
    config: DispatchConfig, before: Shortfall, site: Site, export_limit_w: float | None, most_charge_w: float
) -> Shortfall:
    """What is known after this cycle, where the batteries may charge `most_charge_w` (>= 0) together."""
    if export_limit_w is None:
        return NO_SHORTFALL
    over_w = -site.pcc_import_w - export_limit_w
    over = over_w > max(OVER_W, OVER_PART * export_limit_w)
    if not over and before == NO_SHORTFALL:
        return before
    given_w = total([one.battery_discharge_w for one in site.batteries])
    idle_w = max(most_charge_w + min(given_w, 0.0), 0.0)
    short_w, soc_pct, found_at_s = min(before.short_w, idle_w), before.soc_pct, before.found_at_s
    if site.soc_pct is not None and site.soc_pct <= soc_pct - ROOM_PCT:
        short_w = 0.0
    elif short_w and site.now_s - found_at_s >= BELIEVED_S:
        short_w, found_at_s = short_w / 2.0, site.now_s
    if not over:
        return Shortfall(short_w, soc_pct, found_at_s) if short_w else NO_SHORTFALL
    since_s = site.now_s if before.over_since_s is None else before.over_since_s
    if site.now_s - since_s < _patience_s(config):
        return Shortfall(short_w, soc_pct, found_at_s, since_s)
    soc_pct = soc_pct if site.soc_pct is None else site.soc_pct
    return Shortfall(min(short_w + over_w, idle_w), soc_pct, site.now_s, site.now_s)


def _patience_s(config: DispatchConfig) -> float:
    lag_s = 0.0
    for one in config.batteries:
        lag_s = max(lag_s, one.dead_time_s + 3.0 * one.time_constant_s)
    return PATIENCE_S + lag_s + config.meter.delay_s + config.meter.period_s
