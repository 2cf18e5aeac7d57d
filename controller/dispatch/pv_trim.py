"""PV inverters that give a little more than their cap are capped a little lower.

Two percent of the rating are 200 W at an inverter of 10 kW: so much would be exported where nothing may be.
So what all inverters together give beyond what they were meant to, once both have stood still, is made up
for, by a small part of their rating at most. That they give less may be the sun's own, so it only takes back
what was made up for.
"""

from __future__ import annotations

from dataclasses import replace
from operator import mul

from controller.dispatch.curtailment import Caps, binding, imprecise_w
from controller.dispatch.limits import INFINITE_W
from controller.dispatch.site import Site
from drivers.fact import fact

OFF_W = 20.0
"""Off by no more than this is what was meant."""
STILL_PART = 0.01
"""What is meant and given stands still while it moves by no more than this part of the rating."""
OVER_S, UNDER_S = 3.0, 30.0
"""Too much is made up for after so long, and taken back after so long ..."""
AGAIN_S = 300.0
"""... but not for so long after it was too much: the inverter's steps may be as coarse."""
LEARNT_PART = 0.7
"""So much of what is off is made up for at a time."""


@fact
class PvTrim:
    """`trim_w` (<= 0) is added to the caps, and not made more before `more_s`.

    `meant_w` and `given_w` are what was meant and given since `still_since_s`.
    """

    trim_w: float = 0.0
    meant_w: float = 0.0
    given_w: float = 0.0
    still_since_s: float | None = None
    more_s: float = float("-inf")


EXACT_PV = PvTrim()


def learn_pv(before: PvTrim, site: Site, caps_w: Caps) -> PvTrim:
    """What is known after this cycle, with these caps in force."""
    most_w, bound = imprecise_w(site), binding(site, caps_w)
    if None in caps_w or True not in bound or not most_w:
        return _unsettled(before)
    # Of those that their caps hold; the others give what the sun does.
    held_w, given_w = sum(map(mul, caps_w, bound)), sum(map(mul, site.pv_each_w, bound))
    meant_w, now_s = held_w - before.trim_w, site.now_s
    off_w = given_w - meant_w
    under_w = OFF_W if before.trim_w else INFINITE_W
    if -under_w <= off_w <= OFF_W or not -most_w <= given_w - held_w <= most_w:
        return _unsettled(before)
    moved_w = max(abs(meant_w - before.meant_w), abs(given_w - before.given_w))
    if before.still_since_s is None or moved_w > STILL_PART * sum(one or 0.0 for one in site.pv_rated_w):
        return replace(before, meant_w=meant_w, given_w=given_w, still_since_s=now_s)
    over = off_w > 0.0
    if now_s - before.still_since_s < (OVER_S if over else UNDER_S) or (not over and now_s < before.more_s):
        return before
    trim_w = min(before.trim_w - LEARNT_PART * off_w, 0.0)
    return PvTrim(trim_w, more_s=now_s + AGAIN_S if over else before.more_s)


def _unsettled(before: PvTrim) -> PvTrim:
    """The same, with nothing that stands still."""
    return before if before.still_since_s is None else replace(before, still_since_s=None)
