"""Batteries that take less than they may while the sun is held to an export limit.

What may be generated is what house and batteries take, and the limit. A battery near full, cold, or deaf may
take far less than it says, without a word; then the rest is exported. So where more is exported than may
be, once battery and inverters have had the time to answer, the batteries are taken to be able to do what they
do, and no more. Then they are tried with a little: what they take of that is theirs, and twice as much is
tried at once; what they do not take is tried again, each time later.
"""

from __future__ import annotations

from dataclasses import replace

from controller.dispatch.settings import DispatchConfig
from controller.dispatch.site import Site
from drivers.fact import fact

MEANT_PART = 0.05
"""Batteries that discharge so much more than they were meant to, as a part of that, are only imprecise."""
OVER_W, OVER_PART = 50.0, 0.01
"""More than so much, or so much of the limit, beyond the limit is too much ..."""
PATIENCE_S, KNOWN_S = 4.0, 2.0
"""... once it has lasted for so long, beside the meter's delay, dead time and three time constants; and for
so long where it is known that they do not take all."""
ROOM_PCT = 1.0
"""When the SoC has fallen by so much there is room again."""
FIRST_TRY_W = 40.0
"""The first try: less than is too much where nothing may be exported."""
TRY_S = 10.0
"""So much longer than the patience they have to take it, as PV inverters have to give it first."""
TAKEN_SHARE = 0.5
"""They have taken what was tried if they took this part of it."""
REFUSED = 1.6
"""The largest try after one that was refused, beside what is too much: a limit bears it for seconds."""
TAKEN_W, MOST_TAKEN_SHARE = 200.0, 0.1
"""The largest try after one that was taken, at least, and of their rating."""
FIRST_S, LONGEST_S = 60.0, 900.0
"""Tried after so long at first, then after twice as long each time, up to the longest."""


@fact
class Shortfall:
    """`takes_w` is all that the batteries take, found at `soc_pct`, known since `known_s`; None: no less.

    It is below 0 where they discharge whatever they are ordered. `over_since_s` is since when more has been
    exported than may be. `try_w` more is tried `hold_s` after `known_s`; while `trying`, that has been in
    `takes_w` since then.
    """

    takes_w: float | None = None
    soc_pct: float = 0.0
    known_s: float = 0.0
    over_since_s: float | None = None
    try_w: float = FIRST_TRY_W
    hold_s: float = FIRST_S
    trying: bool = False


NO_SHORTFALL = Shortfall()


def shortfall(
    config: DispatchConfig,
    before: Shortfall,
    site: Site,
    export_limit_w: float | None,
    held: bool,
    meant_w: float = 0.0,
) -> Shortfall:
    """What is known after this cycle.

    `held` says that the sun gives all that its caps allow, so that a higher one would be used; `meant_w` is
    what the batteries were meant to do. While they were meant to discharge it is not theirs to take anything,
    but to give no more than that.
    """
    if export_limit_w is None:
        return NO_SHORTFALL
    too_much_w = max(OVER_W, OVER_PART * export_limit_w)
    over = -site.pcc_import_w - export_limit_w > too_much_w
    if not over and before == NO_SHORTFALL:
        return before
    given_w = rated_w = 0.0
    for one in site.batteries:
        given_w -= one.battery_discharge_w
        rated_w += one.max_charge_w
    as_meant = meant_w > 0.0 and -given_w - meant_w <= max(too_much_w, MEANT_PART * meant_w)
    if not over or as_meant:
        before = replace(before, over_since_s=None)
    elif before.over_since_s is None:
        before = replace(before, over_since_s=site.now_s)
    elif site.now_s - before.over_since_s >= _patience_s(config, before):
        soc_pct = before.soc_pct if site.soc_pct is None else site.soc_pct
        known = _refused(before, too_much_w) if before.trying else NO_SHORTFALL
        return replace(known, takes_w=given_w, soc_pct=soc_pct, known_s=site.now_s, over_since_s=site.now_s)
    if before.takes_w is None:
        return before
    patience_s = _patience_s(config, before) + TRY_S
    after = _tried(before, before.takes_w, site.now_s, (given_w, rated_w, too_much_w, patience_s), held)
    room = site.soc_pct is not None and site.soc_pct <= before.soc_pct - ROOM_PCT
    if room or after.takes_w is None or after.takes_w >= rated_w:
        return replace(NO_SHORTFALL, over_since_s=before.over_since_s)
    return after


def _tried(
    before: Shortfall, known_w: float, now_s: float, seen: tuple[float, float, float, float], held: bool
) -> Shortfall:
    """What is known once a try has begun, has ended, or goes on, where they were known to take `known_w`.

    `seen` are what they take now and are rated at, what is too much to export, and for how long to try.
    """
    given_w, rated_w, too_much_w, try_s = seen
    takes_w, try_w = max(known_w, given_w), before.try_w
    if not before.trying:
        if not held or now_s - before.known_s < before.hold_s:
            return replace(before, takes_w=takes_w)
        return replace(before, takes_w=takes_w + try_w, known_s=now_s, trying=True)
    if now_s - before.known_s < try_s:
        return replace(before, takes_w=takes_w)
    if not held:  # The sun has gone meanwhile, so this tells nothing.
        return replace(before, takes_w=known_w - try_w, known_s=now_s, trying=False)
    if given_w < known_w - (1.0 - TAKEN_SHARE) * try_w:
        return replace(_refused(before, too_much_w), takes_w=known_w - try_w, known_s=now_s)
    try_w = min(2.0 * try_w, max(TAKEN_W, MOST_TAKEN_SHARE * rated_w))
    return replace(before, takes_w=takes_w + try_w, known_s=now_s, try_w=try_w, hold_s=FIRST_S)


def _refused(before: Shortfall, too_much_w: float) -> Shortfall:
    """What is tried next, and after how long, when a try was not taken."""
    try_w = min(2.0 * before.try_w, REFUSED * too_much_w)
    return replace(before, try_w=try_w, hold_s=min(2.0 * before.hold_s, LONGEST_S), trying=False)


def _patience_s(config: DispatchConfig, before: Shortfall) -> float:
    lag_s = max([one.lag_s for one in config.batteries], default=0.0)
    patience_s = PATIENCE_S if before.takes_w is None else KNOWN_S
    return patience_s + lag_s + config.meter.delay_s + config.meter.period_s
