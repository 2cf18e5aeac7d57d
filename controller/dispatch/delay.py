"""Is the meter later than its profile says? Then the house seems to swing with our own battery.

So its recent past is read again as if the meter were later, or earlier, and the delay is in doubt by the time
that makes the load far steadier.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from math import inf

LATER_BY_S = (1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 18.0)
EARLIER_BY = (0.3, 0.6, 1.0)
"""The past is read as if the meter were later by so much, or earlier by a part of its delay."""
CLEARER = 0.6
"""A load that then moves only this part as much was our own battery: the delay is in doubt by that time."""
SAMPLES_JITTER_S = 0.5
"""An error of the delay is looked for where samples are closer than it, give or take this."""

Samples = tuple[tuple[float, float], ...]
"""(time, W), oldest first."""


def off_by_s(delay_s: float, samples: Samples, values: Samples, gate_w: float) -> float:
    """By how much the meter's delay seems wrong: 0 unless another one explains the past much better.

    `samples` are what batteries and PV gave, `values` what the meter showed. An error shorter than the time
    between two samples is not looked for: nobody knows what happened then.
    """
    samples = _without_spikes(samples, gate_w)
    widest_s = 0.0
    for (earlier_s, _), (later_s, _) in pairwise(samples):
        widest_s = max(widest_s, later_s - earlier_s)
    best_s, best_w = 0.0, CLEARER * _travel_w(delay_s, samples, values)
    for wrong_s in (*LATER_BY_S, *[-part * delay_s for part in EARLIER_BY]):
        if abs(wrong_s) < widest_s - SAMPLES_JITTER_S:
            continue
        travel_w = _travel_w(delay_s + wrong_s, samples, values)
        if travel_w < best_w:
            best_s, best_w = wrong_s, travel_w
    return abs(best_s) + 1.0 if best_s else 0.0


def _travel_w(delay_s: float, samples: Samples, values: Samples) -> float:
    """How far the load moved to and fro, all told, if the meter were late by `delay_s`."""
    travel_w, before_w = 0.0, None
    for at_s, pcc_w in values:
        load_w = pcc_w + at(samples, at_s - delay_s)
        if before_w is not None:
            travel_w += abs(load_w - before_w)
        before_w = load_w
    return travel_w


def _without_spikes(samples: Samples, gate_w: float) -> Samples:
    """The samples but for those that stand out from both neighbours by more than the gate: wrong readings.

    One would look like a load that moves to and fro, unless the meter were so late that it has not seen it.
    """
    kept = list(samples[:1])
    for (_, before_w), one, (_, after_w) in zip(samples, samples[1:], samples[2:], strict=False):
        if min(before_w, after_w) - gate_w <= one[1] <= max(before_w, after_w) + gate_w:
            kept.append(one)
    return (*kept, *samples[1:][-1:])


def at(samples: Samples, when_s: float) -> float:
    """What the battery gave at one instant."""
    index = bisect_right(samples, (when_s, inf))
    if index == len(samples):
        return samples[-1][1]
    later_s, later_w = samples[index]
    if index == 0:
        return later_w
    at_s, power_w = samples[index - 1]
    return power_w + (later_w - power_w) * (when_s - at_s) / (later_s - at_s)
