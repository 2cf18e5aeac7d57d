"""Pure: dead time, time constant and ramp of a battery, and how late its meter is, from steps and readings.

The model is that of the controller and of the emulator: nothing happens for the dead time, then the output
follows with a lag of first order, at most as fast as the ramp. All steps are fitted at once, by least squares
over a grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from statistics import median

import numpy as np
from numpy.typing import NDArray

from controller.lab.commission.bench import Sample

Floats = NDArray[np.float64]
LONGEST_S = 30.0
DEAD_S = np.arange(0.0, 8.01, 0.1)
LAGS_S = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 4.5, 7.0, 10.0, 15.0)
RAMP_PARTS = (0.8, 1.0, 1.25)
WORTH_IT = 0.6
"""A ramp is believed in when it leaves less than this part of the error that the lag alone leaves."""
FEWEST_READINGS = 12
FASTEST_S = 0.1
"""Anything faster cannot be told from it at the pace of the readings, and 0 would mean "not known"."""
LATER_S = np.arange(0.0, 12.01, 0.25)


@dataclass(frozen=True, slots=True)
class Response:
    """How measured power follows an order; `ramp_w_per_s` None where the lag explains all."""

    dead_time_s: float
    time_constant_s: float
    ramp_w_per_s: float | None


@dataclass(frozen=True, slots=True)
class _Step:
    begin_s: float
    end_s: float
    from_w: float
    to_w: float


def response(orders_at: Sequence[tuple[float, float, float]], samples: Sequence[Sample]) -> Response | None:
    """The battery's response; None when there is too little to go by."""
    steps = _great_steps(orders_at)
    times_s, shares, sizes_w = _battery_readings(steps, samples)
    if len(times_s) < FEWEST_READINGS:
        return None
    lag_only = min((_fit(times_s, shares, sizes_w, lag_s, inf), lag_s) for lag_s in LAGS_S)
    ramps_w = [part * ramp for ramp in [_steepest_w_per_s(steps, samples)] for part in RAMP_PARTS if ramp > 0]
    with_ramp = [
        (_fit(times_s, shares, sizes_w, lag_s, ramp), lag_s, ramp) for ramp in ramps_w for lag_s in LAGS_S
    ]
    (error, dead_s), lag_s = lag_only
    ramp_w_per_s: float | None = None
    if with_ramp:
        (ramp_error, ramp_dead_s), ramp_lag_s, ramp = min(with_ramp)
        if ramp_error < WORTH_IT * error:
            dead_s, lag_s, ramp_w_per_s = ramp_dead_s, ramp_lag_s, ramp
    return Response(
        max(round(dead_s, 1), FASTEST_S), lag_s, None if ramp_w_per_s is None else round(ramp_w_per_s, -1)
    )


def _great_steps(orders_at: Sequence[tuple[float, float, float]]) -> list[_Step]:
    """The greater half of the steps, each with the time until the next order."""
    ends_s = [at_s for at_s, _, _ in orders_at[1:]] + [inf]
    steps = [
        _Step(at_s, min(end_s, at_s + LONGEST_S), before_w, order_w)
        for (at_s, order_w, before_w), end_s in zip(orders_at, ends_s, strict=True)
    ]
    largest_w = max((abs(one.to_w - one.from_w) for one in steps), default=0.0)
    return [one for one in steps[1:] if abs(one.to_w - one.from_w) >= 0.5 * largest_w > 0.0]


def _battery_readings(steps: Sequence[_Step], samples: Sequence[Sample]) -> tuple[Floats, Floats, Floats]:
    """Time since the order, share of the step done, and size of the step, of every reading."""
    rows = [
        (
            one.battery.taken_at_s - step.begin_s,
            (one.battery.battery_discharge_w - step.from_w) / (step.to_w - step.from_w),
            abs(step.to_w - step.from_w),
        )
        for step in steps
        for one in samples
        if step.begin_s < one.battery.taken_at_s < step.end_s
    ]
    table = np.array(rows or [(0.0, 0.0, 0.0)][:0], dtype=np.float64).reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2]


def _fit(
    times_s: Floats, shares: Floats, sizes_w: Floats, lag_s: float, ramp_w_per_s: float
) -> tuple[float, float]:
    """The squared error with the best dead time, and that dead time."""
    after_s = np.maximum(times_s[None, :] - DEAD_S[:, None], 0.0)
    slopes = ramp_w_per_s / sizes_w[None, :]
    knees = np.maximum(1.0 - slopes * lag_s, 0.0) if ramp_w_per_s < inf else np.zeros_like(slopes)
    knee_s = knees / slopes if ramp_w_per_s < inf else np.zeros_like(slopes)
    on_ramp = np.minimum(slopes * after_s, 1.0) if ramp_w_per_s < inf else np.zeros_like(after_s)
    past_s = np.maximum(after_s - knee_s, 0.0)
    rest = (1.0 - knees) * (np.exp(-past_s / lag_s) if lag_s > 0 else 0.0)
    model = np.where(after_s <= 0.0, 0.0, np.where(after_s < knee_s, on_ramp, 1.0 - rest))
    errors = ((model - shares[None, :]) ** 2).sum(axis=1)
    best = int(errors.argmin())
    return float(errors[best]), float(DEAD_S[best])


def _steepest_w_per_s(steps: Sequence[_Step], samples: Sequence[Sample]) -> float:
    """The median over the steps of the steepest change between two readings; 0 when there are none."""
    steepest = []
    for step in steps:
        inside = [one.battery for one in samples if step.begin_s < one.battery.taken_at_s < step.end_s]
        slopes = [
            abs(later.battery_discharge_w - one.battery_discharge_w) / (later.taken_at_s - one.taken_at_s)
            for one, later in pairwise(inside)
            if later.taken_at_s > one.taken_at_s
        ]
        steepest += [max(slopes)] if slopes else []
    return median(steepest) if steepest else 0.0


def meter_lag_s(orders_at: Sequence[tuple[float, float, float]], samples: Sequence[Sample]) -> float | None:
    """How much later than the battery the meter shows a step; None when there is too little to go by.

    The lag is the one with which the meter's change looks most like the battery's: the median of what is
    between them is smallest, so that a load that moves now and then does not count.
    """
    lags_s = []
    for step in _great_steps(orders_at):
        inside = [one for one in samples if step.begin_s - 1.0 < one.at_s < step.end_s]
        if len(inside) < FEWEST_READINGS:
            continue
        at_s = np.array([one.at_s for one in inside])
        battery_w = np.array([one.battery.battery_discharge_w for one in inside])
        import_w = np.array([one.meter.pcc_import_w for one in inside])
        offs = []
        for lag_s in LATER_S:
            loads_w = import_w + np.interp(at_s - lag_s, at_s, battery_w)
            offs.append(float(np.abs(loads_w - np.median(loads_w)).mean()))
        lags_s.append(float(LATER_S[int(np.argmin(offs))]))
    return median(lags_s) if lags_s else None
