"""The load as a Markov chain: how high within what is usual at this time of the day, and what follows.

It moves on two scales: from slot to slot within what is usual at that time, and over many hours by its level,
for days at home and days away. Only the slow one says how much a whole evening will need.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from controller.planning.history import Ahead, Calendar, History, or_zero, quantiles
from controller.planning.inputs import Floats

MEMORY_DAYS = 28.0
"""After so many days a measurement counts for 1/e."""
OTHER_KIND = 0.3
"""A working day counts for so much on a free day, and the other way round."""
LEVEL_MEMORY_S = 12 * 3600.0
"""What was used so long ago counts for 1/e in the level: longer than an evening, shorter than a day."""
FEWEST_DAYS = 3
"""With fewer whole days they cannot be told by each other."""
FEWEST_SLOTS = 20
"""A level that was seen in fewer slots is not believed in."""
YOUNG = 1.0
"""Weight, in days, of the idea that any time of the day could be like any other; it fades as days come in."""
LEVEL_PRIOR = 0.1
"""How often each level is taken to have followed each other one, on top of what was seen."""
UNKNOWN_W = 400.0
"""The load of a home nobody has measured yet."""


def bins(values: Floats, weights: Floats, count: int) -> tuple[Floats, Floats]:
    """The means of `count` equally likely parts of each row, lowest first, and the values between them.

    Each row of values ascends.
    """
    upto, sums = np.cumsum(weights, axis=1), np.cumsum(weights * values, axis=1)
    whole = upto[:, -1:]
    ends = whole * np.arange(1, count) / count
    place = (upto[:, None, :] < ends[..., None]).sum(axis=-1)
    edges = np.take_along_axis(values, place, 1)
    beyond = (np.take_along_axis(upto, place, 1) - ends) * edges
    below = np.take_along_axis(sums, place, 1) - beyond
    parts = np.diff(below, axis=1, prepend=0.0, append=sums[:, -1:])
    return parts * count / whole, edges


def chances(states: Floats, count: int, prior: float) -> Floats:
    """How one state leads to the next: counted in a course, NaN where it is broken, `prior` added to each."""
    before, after = states[:-1], states[1:]
    known = np.isfinite(before) & np.isfinite(after)
    pairs = count * before[known].astype(np.intp) + after[known].astype(np.intp)
    found = prior + np.bincount(pairs, minlength=count * count).reshape(count, count)
    shares: Floats = found / found.sum(axis=1, keepdims=True)
    return shares


@dataclass(frozen=True, slots=True, eq=False)
class LoadChain:
    """States x slots of load in W, weights of the first slot, and the transition."""

    load_w: Floats
    weights: Floats
    transition: Floats


def load_chain(
    history: History, ahead: Ahead, days: Calendar, count: int, shares: tuple[float, ...]
) -> LoadChain:
    """As many states for each level as `count` says; `shares` of the past are below the levels' edges."""
    shift = np.round((ahead.offset_s[0] - history.offset_s) / history.slot_s).astype(np.intp)
    rows = days.rows(history.load_w, shift)
    if not np.isfinite(rows).any():
        states = count * (len(shares) + 1)
        spread, even = np.linspace(0.25, 1.75, states), np.full(states, 1.0 / states)
        return LoadChain(np.outer(spread, np.full(ahead.slots, UNKNOWN_W)), even, np.tile(even, (states, 1)))
    free = days.free_days(np.arange(days.days))
    # What is usual is told by the days before: it is the same all day, and does not know today.
    before = rows[:-1] if np.isfinite(rows[:-1]).all(axis=1).any() else rows
    usual = _usual(before.tobytes(), free[: len(before)].tobytes(), count)
    edges = usual.between_w[free.astype(int)]
    state = np.where(np.isfinite(rows), (rows[..., None] > edges).sum(axis=-1), np.nan).ravel()
    state = state[: (days.days - 1) * days.per_day + days.now]
    transition = chances(state, count, 1.0)
    place = days.now + np.arange(ahead.slots)
    kind = days.free_days(days.days - 1 + place // days.per_day).astype(int)
    load_w = usual.profile_w[kind, place % days.per_day].T
    usual_w = usual.profile_w[free.astype(int)].mean(axis=-1)
    usual_w[: len(usual.told_w)] = usual.told_w
    believed = _believed(history, ahead, days, rows, usual_w)
    if believed and ahead.outside_load_w is not None:
        step_w = np.nan_to_num(ahead.outside_load_w - load_w.mean(axis=0))
        load_w = np.maximum(load_w + believed * step_w, 0.0)
    level = _levels(rows, usual_w, len(state), history.slot_s, shares)
    # What an outside forecast is believed in knows the level already.
    states = len(level.weights) * count
    above = (1.0 - believed) * (level.gain - 1.0)
    return LoadChain(
        (load_w[None] + above[:, None, None] * np.abs(load_w[None])).reshape(-1, ahead.slots),
        np.outer(level.weights, _next(state, transition)).ravel(),
        np.einsum("ab,cd->acbd", level.transition, transition).reshape(states, states),
    )


def _next(course: Floats, transition: Floats) -> Floats:
    """How likely each state is after this course."""
    known = len(course) > 0 and bool(np.isfinite(course[-1]))
    return transition[int(course[-1])] if known else np.full(len(transition), 1.0 / len(transition))


@dataclass(frozen=True, slots=True, eq=False)
class _Levels:
    """What each level multiplies the usual load by, how likely it is now, and what follows it."""

    gain: Floats
    weights: Floats
    transition: Floats


def _levels(rows: Floats, usual_w: Floats, slots: int, slot_s: float, shares: tuple[float, ...]) -> _Levels:
    """The level: load of the last hours beside what is usual; `shares` of the past lie below its edges."""
    count = len(shares) + 1
    load_w, expected_w = rows.ravel()[:slots], usual_w.ravel()[:slots]
    known = np.isfinite(load_w)
    more_w = np.where(known, load_w - expected_w, 0.0)
    # A running mean that forgets: its weights fall by a fixed part from slot to slot.
    weight = np.exp(np.arange(slots) * slot_s / LEVEL_MEMORY_S)
    base_w = np.abs(expected_w)
    start = float(base_w.mean()) * LEVEL_MEMORY_S / slot_s if slots else 0.0
    level = np.cumsum(weight * more_w) / np.maximum(np.cumsum(weight * base_w) + start, 1e-9)
    edges = quantiles(level, np.array(shares)) if slots else np.zeros(len(shares))
    state = (level[:, None] > edges).sum(axis=1).astype(float)
    gain = np.ones(count)
    for one in range(count):
        follows = np.flatnonzero((state[:-1] == one) & known[1:]) + 1
        total_w = float(base_w[follows].sum())
        if len(follows) >= FEWEST_SLOTS and total_w > 0.0:
            gain[one] = max(1.0 + float(more_w[follows].sum()) / total_w, 0.0)
    transition = chances(np.where(known, state, np.nan), count, LEVEL_PRIOR)
    return _Levels(gain, _next(state, transition), transition)


@dataclass(frozen=True, slots=True, eq=False)
class _Usual:
    """What days of the past say: for working and free days, slots x states of load, and where a state ends.

    `told_w` is what each of them would have been expected to be by the others, none while too few are known.
    """

    profile_w: Floats
    between_w: Floats
    told_w: Floats


@lru_cache(maxsize=2)
def _usual(load_w: bytes, free_days: bytes, count: int) -> _Usual:
    """Of days x slots of load, and which days were free; kept, as every plan of a day asks the same."""
    free = np.frombuffer(free_days, dtype=np.bool_)
    rows = np.frombuffer(load_w).reshape(len(free), -1)
    seen, slots = np.isfinite(rows), rows.shape[1]
    values, known = _with_neighbours(or_zero(rows)), _with_neighbours(seen.astype(float))
    any_time = np.quantile(rows[seen], (np.arange(8) + 0.5) / 8)
    values = np.concatenate([values, np.tile(any_time, (slots, 1))], axis=1)
    order = np.argsort(values, axis=1)
    values = np.take_along_axis(values, order, 1)
    fresh = np.exp(-np.arange(len(rows))[::-1] / MEMORY_DAYS)
    found = []
    for kind in (False, True):
        weight = np.tile(fresh * np.where(free == kind, 1.0, OTHER_KIND), 3)
        weights = np.concatenate([known * weight, np.full((slots, 8), YOUNG / 8)], axis=1)
        found.append(bins(values, np.take_along_axis(weights, order, 1), count))
    profile, between = (np.stack(one) for one in zip(*found, strict=True))
    told_w = told_by_others(rows, free) if seen.all(axis=1).sum() >= FEWEST_DAYS else rows[:0]
    for one in (profile, between, told_w):
        one.setflags(write=False)
    return _Usual(profile, between, told_w)


def told_by_others(rows: Floats, free: NDArray[np.bool_]) -> Floats:
    """What each day would be expected to be by all others: today is told by others, too."""
    seen = np.isfinite(rows)
    load_w, known = (
        sum(np.roll(one, by, axis=1) for by in (-1, 0, 1)) for one in (np.where(seen, rows, 0.0), seen * 1.0)
    )
    gap = np.abs(np.subtract.outer(np.arange(len(rows)), np.arange(len(rows))))
    weight = np.exp(-gap / MEMORY_DAYS) * np.where(free[:, None] == free, 1.0, OTHER_KIND) * (gap > 0)
    return np.asarray((weight @ load_w + YOUNG * rows[seen].mean()) / (weight @ known + YOUNG))


def _with_neighbours(rows: Floats) -> Floats:
    """Slots x days, three times: of the slot after, of each slot itself, and of the one before."""
    return np.concatenate([np.roll(rows, by, axis=1).T for by in (-1, 0, 1)], axis=1)


def _believed(history: History, ahead: Ahead, days: Calendar, rows: Floats, usual_w: Floats) -> float:
    """By which part going towards the outside forecast would have been best in the past, 0 to 1."""
    if history.outside_load_w is None or ahead.outside_load_w is None:
        return 0.0
    said, missed = days.rows(history.outside_load_w) - usual_w, rows - usual_w
    both = np.isfinite(said) & np.isfinite(missed)
    if both.sum() < days.per_day:
        return 0.0
    part = float((said[both] * missed[both]).sum() / max((said[both] ** 2).sum(), 1e-9))
    return min(max(part, 0.0), 1.0)
