"""A main fuse of class gG: how long it carries how much, between the gates of IEC 60269-1.

The pre-arcing time is a line between points in log-log, in the middle of the standard's gates from 16 to
100 A: nothing happens up to 1.25 times the rating, 1.6 times melts it within the hour. Under changing current
the parts of these times add up (the adiabatic rule), and below 1.25 it cools.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import exp, inf, log

CARRIES = 1.25
"""The conventional non-fusing current, in ratings."""
COOLS_S = 600.0

# Current in ratings, seconds to melt.
_CURVE = ((1.25, 14_400.0), (1.6, 1800.0), (2.0, 120.0), (3.0, 9.0), (8.5, 0.1), (20.0, 0.004))
_LINES = tuple(
    (log(i0), log(t0), (log(t1) - log(t0)) / (log(i1) - log(i0))) for (i0, t0), (i1, t1) in pairwise(_CURVE)
)


def melting_s(ratings: float) -> float:
    """How long a cold fuse carries this current, in ratings; inf when for ever."""
    if ratings <= CARRIES:
        return inf
    index = 0
    while index < len(_LINES) - 1 and ratings > _CURVE[index + 1][0]:
        index += 1
    at_log, time_log, slope = _LINES[index]
    return exp(time_log + slope * (log(ratings) - at_log))


class Fuse:
    """One fuse-link a phase; the house is cut off when the first of them has melted."""

    __slots__ = ("_used", "blown", "rated_a")

    def __init__(self, rated_a: float, phases: int) -> None:
        if not 0 < rated_a < inf:
            raise ValueError(f"rated_a is {rated_a:g}; give a number above 0")
        self.rated_a = rated_a
        self.blown = False
        self._used = [0.0] * phases  # of each link's time to melt, 0 to 1

    def melts_in_s(self, currents_a: Sequence[float]) -> float:
        """When these currents would melt the first link."""
        soonest_s = inf
        for used, current_a in zip(self._used, currents_a, strict=True):
            soonest_s = min(soonest_s, (1.0 - used) * melting_s(current_a / self.rated_a))
        return soonest_s

    def carry(self, currents_a: Sequence[float], seconds: float) -> None:
        """Let these currents flow for a while."""
        for phase, current_a in enumerate(currents_a):
            time_s = melting_s(current_a / self.rated_a)
            if time_s < inf:
                self._used[phase] += seconds / time_s
                if self._used[phase] >= 1.0 - 1e-9:
                    self.blown = True
            else:
                self._used[phase] *= exp(-seconds / COOLS_S)
