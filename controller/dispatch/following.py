"""A battery among others that does not do what it was ordered: the others make up for it.

It may be deaf, derated by its firmware or near full without saying so. Once it stands still short of its
order it is taken to be able to do what it does, its ceiling, and is asked for no more while the others can
do it. Once it stands still beyond its order, or does the opposite, what it does is taken as given, and the
others work around it as long as they can. After a while it is tried again, each time later. One battery alone
has nobody to leave anything to and is ordered as before.
"""

from __future__ import annotations

from dataclasses import replace

from controller.dispatch.limits import Range, beyond
from controller.dispatch.settings import BatterySettings, DispatchConfig
from controller.dispatch.site import BatterySite, Site
from controller.dispatch.trim import EXACT, Trim, Trims, beyond_trim
from drivers.fact import fact

SHORT_PART, SHORT_W = 0.1, 200.0
"""Off by more than max(10 % of the rating, 200 W) ..."""
PRESSED_W = 50.0
"""... or, while a limit at the PCC is exceeded, by more than 50 W that no trim makes up for ..."""
SHORT_FOR_S = 4.0
"""... for so long, beside dead time and three time constants, without coming closer ..."""
CLOSER_PART = 0.02
"""... by this part of the rating."""
SHORT_AGAIN_S = 2.0
"""A ceiling that is not reached either is lowered after so long; one that is tried again is given so long."""
FIRST_S, LONGEST_S = 60.0, 900.0
"""A ceiling holds for so long at first, then for twice as long each time, up to the longest."""


@fact
class Following:
    """One battery beside its orders; the usual one is of a battery that follows.

    `short_since_s` is since when it has been off without coming closer than `best_w` in the direction of its
    order, `side`, 1 more discharge and -1 more charge. `ceiling_w` is all that it is taken to be able to do
    on that side, from `held_at_s` on for `hold_s`; below 0 it does so much of the opposite. While it `stands`
    that is all it is taken to do on either side.
    """

    short_since_s: float | None = None
    best_w: float = 0.0
    side: int = 0
    ceiling_w: float | None = None
    held_at_s: float = 0.0
    hold_s: float = FIRST_S
    stands: bool = False


FOLLOWS = Following()
Followings = tuple[Following, ...]


def follow_orders(
    config: DispatchConfig, before: Followings, orders_w: tuple[float, ...], site: Site, trims: Trims = ()
) -> Followings:
    """What is known of each battery of the config after this cycle; empty while all follow."""
    if len(config.batteries) == 1 or len(orders_w) != len(config.batteries):
        return ()
    after = list(before)
    for one in site.batteries:
        index = one.index
        was = before[index] if before else FOLLOWS
        order_w, given_w = orders_w[index], one.battery_discharge_w
        if was is FOLLOWS and abs(order_w - given_w) <= PRESSED_W:
            continue
        pressed = beyond(config, site)
        trim = trims[index] if trims else EXACT
        is_now = _one(config.batteries[index], was, one, order_w, (site.now_s, pressed, trim))
        if is_now is not was:
            after = after or [FOLLOWS] * len(config.batteries)
            after[index] = is_now
    return () if all(one == FOLLOWS for one in after) else tuple(after)


def _one(
    settings: BatterySettings,
    was: Following,
    battery: BatterySite,
    order_w: float,
    seen: tuple[float, int, Trim],
) -> Following:
    now_s, pressed, trim = seen
    off_w = order_w - battery.battery_discharge_w
    side, short_w = (1 if off_w > 0.0 else -1), abs(off_w)
    given_w = _along(side, battery.battery_discharge_w)
    rated_w = battery.max_charge_w
    if order_w + battery.battery_discharge_w > 0.0:
        rated_w = battery.max_discharge_w
    least_w = max(SHORT_PART * rated_w, SHORT_W)
    short = short_w > least_w
    if side == pressed and short_w > PRESSED_W and not short:
        short = beyond_trim(settings, trim, rated_w, order_w, off_w if order_w > 0.0 else -off_w)
    if was.ceiling_w is not None and now_s - was.held_at_s >= was.hold_s:
        return Following(hold_s=min(2.0 * was.hold_s, LONGEST_S))
    if not short:
        if was.ceiling_w is not None and not _does_more(was, was.ceiling_w, order_w, battery):
            return was if was.short_since_s is None else replace(was, short_since_s=None, best_w=0.0)
        trusted = was.hold_s == FIRST_S or abs(order_w) > least_w
        return FOLLOWS if trusted else Following(hold_s=was.hold_s)
    if was.short_since_s is None or side != was.side or given_w > was.best_w + CLOSER_PART * rated_w:
        kept_w = was.ceiling_w
        if side != was.side and kept_w is not None:
            kept_w = -kept_w if was.stands else None
        return Following(now_s, given_w, side, kept_w, was.held_at_s, was.hold_s, was.stands)
    patience_s = settings.lag_s + (SHORT_FOR_S if was.hold_s == FIRST_S else SHORT_AGAIN_S)
    if now_s - was.short_since_s < (patience_s if was.ceiling_w is None else SHORT_AGAIN_S):
        return was
    held_at_s = now_s if was.ceiling_w is None else was.held_at_s
    stands = was.stands or given_w < -PRESSED_W
    ceiling_w = given_w if stands else max(0.0, given_w)
    return Following(None, 0.0, side, ceiling_w, held_at_s, was.hold_s, stands)


def _along(side: int, power_w: float) -> float:
    """A discharge seen in this direction, 1 more discharge and -1 more charge; or the other way back."""
    return power_w if side == 1 else -power_w


def _does_more(was: Following, ceiling_w: float, order_w: float, battery: BatterySite) -> bool:
    """Whether it was ordered more than its ceiling and did that."""
    ordered_w, given_w = _along(was.side, order_w), _along(was.side, battery.battery_discharge_w)
    return min(ordered_w, given_w) > ceiling_w + SHORT_W


def within_ceiling(allowed: Range, following: Following) -> Range:
    """What the battery may be ordered, no more than it is taken to be able to do."""
    ceiling_w = following.ceiling_w
    if ceiling_w is None:
        return allowed
    if following.stands:
        stands_w = allowed.clamp(_along(following.side, ceiling_w))
        return Range(stands_w, stands_w)
    if following.side == 1:
        return allowed.narrow(Range(allowed.lower_w, ceiling_w))
    return allowed.narrow(Range(-ceiling_w, allowed.upper_w))


def short_note(batteries: tuple[BatterySettings, ...], followings: Followings) -> str:
    """Which batteries do not do what they were ordered, for the owner; empty while all follow."""
    return "; ".join(
        f"{batteries[index].id} {_does(one.ceiling_w, one)} is ordered"
        for index, one in enumerate(followings)
        if one.ceiling_w is not None
    )


def _does(ceiling_w: float, following: Following) -> str:
    if not following.stands:
        return f"does no more than {ceiling_w:.0f} W of what it"
    stands_w = _along(following.side, ceiling_w)
    return f"{'charges' if stands_w < 0.0 else 'discharges'} {abs(stands_w):.0f} W whatever it"
