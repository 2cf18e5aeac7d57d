"""The load as a Markov chain: how high within what is usual at this time of the day, and what follows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from controller.planning.history import Ahead, Calendar, History
from controller.planning.inputs import Floats

MEMORY_DAYS = 14.0
"""After so many days a measurement counts for 1/e."""
OTHER_KIND = 0.1
"""A working day counts for so much on a free day, and the other way round."""
YOUNG = 1.0
"""Weight, in days, of the idea that any time of the day could be like any other; it fades as days come in."""
LEVEL_SLOTS_H, LEVEL_FADES_S = 3, 24 * 3600.0
"""The level of so many hours is carried on, and after so many seconds 1/e of it is left."""
UNKNOWN_W = 400.0
"""The load of a home nobody has measured yet."""


def bins(values: Floats, weights: Floats, count: int) -> tuple[Floats, Floats]:
    """The means of `count` equally likely parts of each row, lowest first, and the values between them."""
    order = np.argsort(values, axis=1)
    values, weights = np.take_along_axis(values, order, 1), np.take_along_axis(weights, order, 1)
    weights = weights / weights.sum(axis=1, keepdims=True)
    upto = np.cumsum(weights, axis=1)
    found, edges = np.empty((len(values), count)), np.empty((len(values), count - 1))
    for part in range(count):
        inside = np.minimum(upto, (part + 1) / count) - np.maximum(upto - weights, part / count)
        inside = np.maximum(inside, 0.0)
        found[:, part] = (inside * values).sum(axis=1) / np.maximum(inside.sum(axis=1), 1e-12)
        if part:
            place = (upto < part / count).sum(axis=1)
            edges[:, part - 1] = np.take_along_axis(values, place[:, None], 1)[:, 0]
    return found, edges


def chances(states: Floats, count: int, prior: float) -> Floats:
    """How one state leads to the next: counted in a course, NaN where it is broken, `prior` added to each."""
    before, after = states[:-1], states[1:]
    known = np.isfinite(before) & np.isfinite(after)
    found = np.full((count, count), prior)
    np.add.at(found, (before[known].astype(int), after[known].astype(int)), 1.0)
    shares: Floats = found / found.sum(axis=1, keepdims=True)
    return shares


def load_chain(history: History, ahead: Ahead, days: Calendar, count: int) -> tuple[Floats, Floats, Floats]:
    """States x slots of load in W, weights of the first slot, and the transition."""
    shift = np.round((ahead.offset_s[0] - history.offset_s) / history.slot_s).astype(np.intp)
    rows = days.rows(history.load_w, shift)
    if not np.isfinite(rows).any():
        spread = np.linspace(0.25, 1.75, count)
        even = np.full(count, 1.0 / count)
        return np.outer(spread, np.full(ahead.slots, UNKNOWN_W)), even, np.tile(even, (count, 1))
    free = days.free_days(np.arange(days.days))
    kinds = [_profile(rows, free == kind, count) for kind in (False, True)]
    profile, between = (np.stack(one) for one in zip(*kinds, strict=True))
    usual, edges = profile[free.astype(int)], between[free.astype(int)]
    state = np.where(np.isfinite(rows), (rows[..., None] > edges).sum(axis=-1), np.nan).ravel()
    state = state[: (days.days - 1) * days.per_day + days.now]
    transition = chances(state, count, 1.0)
    known = len(state) > 0 and bool(np.isfinite(state[-1]))
    weights = transition[int(state[-1])] if known else np.full(count, 1.0 / count)
    place = days.now + np.arange(ahead.slots)
    kind = days.free_days(days.days - 1 + place // days.per_day).astype(int)
    load_w = profile[kind, place % days.per_day].T
    return _with_outside(history, ahead, days, rows, usual.mean(axis=-1), load_w), weights, transition


def _profile(rows: Floats, of_kind: NDArray[np.bool_], count: int) -> tuple[Floats, Floats]:
    """Slots of the day x states: what is usual on this kind of day, and where one state ends."""
    age = np.arange(len(rows))[::-1]
    weight = np.exp(-age / MEMORY_DAYS) * np.where(of_kind, 1.0, OTHER_KIND)
    weights = np.where(np.isfinite(rows), weight[:, None], 0.0)
    values = np.nan_to_num(rows)
    near = [np.roll(values, by, axis=1).T for by in (-1, 0, 1)]
    near_weights = [np.roll(weights, by, axis=1).T for by in (-1, 0, 1)]
    any_time = np.quantile(rows[np.isfinite(rows)], (np.arange(8) + 0.5) / 8)
    near.append(np.tile(any_time, (rows.shape[1], 1)))
    near_weights.append(np.full((rows.shape[1], 8), YOUNG / 8))
    return bins(np.concatenate(near, axis=1), np.concatenate(near_weights, axis=1), count)


def _with_outside(
    history: History, ahead: Ahead, days: Calendar, rows: Floats, usual_w: Floats, load_w: Floats
) -> Floats:
    """Moved towards an outside forecast by the part that would have been best in the past."""
    if history.outside_load_w is None or ahead.outside_load_w is None:
        return load_w
    said, missed = days.rows(history.outside_load_w) - usual_w, rows - usual_w
    both = np.isfinite(said) & np.isfinite(missed)
    if both.sum() < days.per_day:
        return load_w
    part = float((said[both] * missed[both]).sum() / max((said[both] ** 2).sum(), 1e-9))
    step = np.nan_to_num(ahead.outside_load_w - load_w.mean(axis=0))
    weighed_w: Floats = np.maximum(load_w + min(max(part, 0.0), 1.0) * step, 0.0)
    return weighed_w


def past_days(history: History, ahead: Ahead, days: Calendar) -> Floats | None:
    """Courses x slots: net load as on the last days of the same kind, at the level of the last hours.

    None while no such day is known whole.
    """
    rows = days.rows(history.load_w - np.nan_to_num(history.pv_w))
    free = days.free_days(np.arange(days.days))
    whole = np.isfinite(rows).all(axis=1)
    place = days.now + np.arange(ahead.slots)
    day = place // days.per_day
    kind = days.free_days(days.days - 1 + day)
    of_kind = [np.flatnonzero(whole & (free == one)) for one in (False, True)]
    if not whole.any():
        return None
    sets = [one if len(one) else np.flatnonzero(whole) for one in of_kind]
    count = max(len(one) for one in sets)
    chosen = np.stack([np.resize(one[::-1], count) for one in sets])[kind.astype(int)].T
    paths_w: Floats = rows[chosen, place % days.per_day]
    recent = np.arange(max(days.now - LEVEL_SLOTS_H * days.per_day // 24, 0), days.now)
    seen = rows[-1, recent]
    if len(recent) and np.isfinite(seen).all():
        today = chosen[:, 0]
        level_w = seen.mean() - rows[today][:, recent].mean(axis=1)
        fades = np.exp(-np.arange(ahead.slots) * history.slot_s / LEVEL_FADES_S)
        paths_w = paths_w + level_w[:, None] * fades
    return paths_w
