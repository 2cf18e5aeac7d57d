"""An inverter that does a little less or more than it is ordered is ordered a little more or less.

Setpoints are a few percent off in many inverters, or act on the AC side while what is read is of the DC side.
At the connection point that part of the battery's power would be imported or exported for ever. So each
battery has a factor for charging and one for discharging, by which what is meant becomes what is ordered. It
is learnt where order and power have stood still beside each other, and never says much: an inverter that is
further off is not imprecise but does something else (`following.py`), and one that follows a law of its own
or takes an order an hour (`obeys`) tells nothing.
"""

from __future__ import annotations

from dataclasses import replace

from controller.dispatch.limits import Range, beyond
from controller.dispatch.settings import BatterySettings, DispatchConfig
from controller.dispatch.site import BatterySite, Site
from drivers.fact import fact

OFF_PART, OFF_W = 0.005, 20.0
"""Off by no more than max(0.5 % of the rating, 20 W) is what was meant; 20 W while a limit is exceeded."""
LEAST_PART, LEAST_W = 0.1, 200.0
"""Below this part of the rating (so many watts, while a limit is exceeded) errors of the reading and of rest
would be taken for the inverter's."""
MOST_PART = 0.15
"""Off by more than this part of what was meant is something else ..."""
FARTHEST = 0.08
"""... and no factor is farther from 1, so that one learnt near full is always found to be off."""
STILL_PART = 0.01
"""What is meant and done stands still while it moves by no more than this part of the rating ..."""
STILL_S, PRESSED_S = 10.0, 3.0
"""... for so long, beside dead time and three time constants; the second while a limit is exceeded."""
AT_END_PART = 0.9
"""A battery that is ordered more by this part of the farthest, and lacks something, has no more to give; one
that is ordered less by as much, and still does too much, does something else."""
LEARNT_PART = 0.7
"""So much of what is off is made up for at a time."""


@fact
class Trim:
    """The factors of one battery; while it is off, what was meant and done since `still_since_s`."""

    charge_factor: float = 1.0
    discharge_factor: float = 1.0
    still_since_s: float | None = None
    meant_w: float = 0.0
    done_w: float = 0.0


EXACT = Trim()
Trims = tuple[Trim, ...]


def learn(config: DispatchConfig, before: Trims, meant_w: tuple[float, ...], site: Site) -> Trims:
    """What is known of each battery of the config after this cycle; empty while all do what is meant.

    `meant_w` is what each was meant to give since the last cycle, before it was trimmed.
    """
    if len(meant_w) != len(config.batteries):
        return before
    after: list[Trim] | None = None
    for one in site.batteries:
        index = one.index
        was = before[index] if before else EXACT
        if -OFF_W <= meant_w[index] - one.battery_discharge_w <= OFF_W:
            is_now = _unsettled(was)
        else:
            pressed = beyond(config, site) != 0
            is_now = _one(config.batteries[index], was, one, meant_w[index], (site.now_s, pressed))
        if is_now is not was:
            after = after or list(before or (EXACT,) * len(meant_w))
            after[index] = is_now
    return before if after is None else tuple(after)


def _one(
    settings: BatterySettings,
    was: Trim,
    battery: BatterySite,
    meant_w: float,
    seen: tuple[float, bool],
) -> Trim:
    """What is known of one that is off by more than OFF_W; `seen` are when, and if a limit is exceeded."""
    (now_s, pressed), done_w, gives = seen, battery.battery_discharge_w, meant_w > 0.0
    off_w, factor = meant_w - done_w, _factor(was, meant_w)
    rated_w = battery.max_discharge_w if gives else battery.max_charge_w
    least_w, least_off_w = (LEAST_W, OFF_W) if pressed else (LEAST_PART * rated_w, OFF_PART * rated_w)
    size_w, short_w = abs(meant_w), off_w if gives else -off_w
    tells = size_w >= least_w and least_off_w < abs(off_w) <= MOST_PART * size_w
    if not settings.obeys or not tells or (short_w > 0.0 and size_w * factor >= rated_w):
        return _unsettled(was)
    moved_w = max(abs(meant_w - was.meant_w), abs(done_w - was.done_w))
    if was.still_since_s is None or moved_w > STILL_PART * rated_w:
        return replace(was, still_since_s=now_s, meant_w=meant_w, done_w=done_w)
    if now_s - was.still_since_s < (PRESSED_S if pressed else STILL_S) + settings.lag_s:
        return was
    factor = _near_one(factor * (1.0 + LEARNT_PART * off_w / meant_w))
    return Trim(was.charge_factor, factor) if gives else Trim(factor, was.discharge_factor)


def _unsettled(was: Trim) -> Trim:
    """The same, with nothing that stands still."""
    return was if was.still_since_s is None else replace(was, still_since_s=None)


def _factor(trim: Trim, meant_w: float) -> float:
    return trim.discharge_factor if meant_w > 0.0 else trim.charge_factor


def beyond_trim(
    settings: BatterySettings, trim: Trim, rated_w: float, meant_w: float, short_w: float
) -> bool:
    """Whether a battery lacks `short_w` of what it is meant to do for another reason than being imprecise.

    Below 0 it does so much too much.
    """
    size_w, factor = abs(meant_w), _factor(trim, meant_w)
    if not settings.obeys or abs(short_w) > MOST_PART * size_w:
        return True
    if short_w < 0.0:
        return factor < 1.0 - AT_END_PART * FARTHEST
    return factor > 1.0 + AT_END_PART * FARTHEST or size_w * factor >= rated_w


def _near_one(factor: float) -> float:
    return min(max(factor, 1.0 - FARTHEST), 1.0 + FARTHEST)


def trimmed_w(trim: Trim, meant_w: float, room: Range, least_w: float) -> float:
    """What to order so that a battery does what is meant: no more than it may, and no less than it can."""
    if abs(meant_w) <= least_w:
        return meant_w
    order_w = room.clamp(meant_w * _factor(trim, meant_w))
    return meant_w if abs(order_w) < least_w else order_w
