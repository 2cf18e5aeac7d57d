"""The net load as peaks see it: what is usual at a time, a level that lasts, and what a single slot adds.

A month's peak comes of hours that stay high, so what counts is how long a deviation lasts. The level is
what a running mean of the deviations says; from slot to slot it fades, and a part of what a slot brings anew
goes into it. How fast it fades and how large that part is, is learnt from the site's past, by how well the
load of the next hours would have been told from it at the times when load is high. How much a slot brings
anew depends on the time of the day: a morning tells what the day will be, and at noon it is known. All
deviations are those from days before: what is usual then must not know the day itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from controller.planning.chain import Chain
from controller.planning.history import Calendar, History
from controller.planning.inputs import Ensemble, Floats, PeakLoads

PEAK_MEMORY_DAYS = 14.0
"""After so many days a day counts for 1/e."""
FEWEST_DAYS = 3
"""With fewer whole days nothing can be said of how long a deviation lasts."""
OTHER_KINDS = (0.02, 0.3)
"""A working day counts for one of these on a free day, and the other way round: whichever told more."""
SPREAD_OTHER_KIND = 0.3
FADES_S = (4 * 3600.0, 32 * 3600.0)
"""A level is gone to 1/e within an evening, or lasts for days."""
GAINS = (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.95)
TOLD_S = 4 * 3600.0
"""The mean load of so long is what a level should tell: about as long as a battery lasts."""
SPREAD_NEAR_S = 2 * 3600.0
"""The spread at a time of the day is that of so long before and after it."""
LEVELS = 9
REACH = (-2.5, 3.5)
"""Levels are planned for from so many standard deviations below to so many above what is expected."""
SPIKES = (0.5, 0.3, 0.15, 0.05)
"""Shares of what a slot brings anew, from the lowest to the highest; each is one spike in the plan."""
UNSEEN_CHANCE, UNSEEN_SHARE = 0.05, 0.7
"""While a site is young a slot may bring what was never seen: so much of what its battery can give on top.
Whoever chose the battery had such peaks in mind."""
LATEST_S, DAYS_AHEAD = 36 * 3600.0, 32
"""A plan for peaks looks to the last midnight within so long."""


@dataclass(frozen=True, slots=True, eq=False)
class _Usual:
    """By kind of day and slot of the day: what is usual, and how far from it the load is; of each day too."""

    usual_w: Floats
    spread_w: Floats
    told_w: Floats
    missed_w: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Level:
    """How much of the level stays from slot to slot, how much of what is new goes into it; its course."""

    stays: float
    gain: float
    course: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _News:
    """By kind of day and slot of the day how much a slot brings anew, and how far it moves the level.

    Each is a standard deviation. `spikes` are what is new in units of the first, `moves` how far that moves
    the level in units of the second.
    """

    spread: Floats
    moved: Floats
    spikes: Floats
    moves: Floats


def peak_loads(history: History, days: Calendar, slots: int) -> PeakLoads | None:
    """The model for the slots ahead; None while too few days are known whole."""
    rows = days.rows(history.load_w - np.nan_to_num(history.pv_w))
    whole = np.isfinite(rows[:-1]).all(axis=1)
    if whole.sum() < FEWEST_DAYS:
        return None
    free = days.free_days(np.arange(days.days - 1))[whole]
    usual = _usual(rows[:-1][whole], free, days)
    today = int(days.free_days(np.array([days.days - 1]))[0])
    so_far = (rows[-1, : days.now] - usual.usual_w[today, : days.now]) / usual.spread_w[today, : days.now]
    kinds = free.astype(int)
    course = (usual.missed_w / usual.spread_w[kinds]).ravel()
    level = _level(course, usual, kinds, days)
    news = _news(course, level, kinds, days)
    at = float(level.course[-1])
    for deviation in np.nan_to_num(so_far).tolist():
        at = level.stays * at + level.gain * (deviation - level.stays * at)
    place = days.now + np.arange(slots)
    kind = days.free_days(days.days - 1 + place // days.per_day).astype(int)
    usual_w, spread_w, new, moved = (
        one[kind, place % days.per_day] for one in (usual.usual_w, usual.spread_w, news.spread, news.moved)
    )
    states = _states(at, level, moved)
    deviations = level.stays * states[:-1, :, None] + new[:, None, None] * news.spikes
    latest = int((days.now + LATEST_S / days.slot_s) // days.per_day) * days.per_day - days.now
    return PeakLoads(
        usual_w[:, None, None] + spread_w[:, None, None] * deviations,
        np.array(SPIKES),
        _follow(states, level, moved, news.moves),
        _between(states[:1], np.array([[at]]))[0, 0],
        min(latest, slots),
        rows[:-1][whole],
        free,
        days.free_days(days.days - 1 + np.arange(DAYS_AHEAD)),
        days.now,
    )


def of_states(ensemble: Ensemble, battery_w: float = 0.0) -> PeakLoads:
    """The states of an ensemble as they are; with what a battery can give, loads that were not seen too."""
    states, slots = ensemble.load_w.shape
    chain = Chain.of(ensemble)
    follow = np.einsum("tab,tcd->tacbd", chain.load, chain.sun).reshape(slots, 1, states, states)
    more_w, chance = np.zeros(1), np.ones(1)
    if battery_w:
        more_w, chance = (
            np.array([0.0, UNSEEN_SHARE * battery_w]),
            np.array([1.0 - UNSEEN_CHANCE, UNSEEN_CHANCE]),
        )
    none, days_w = np.zeros(0, dtype=bool), np.zeros((0, slots))
    return PeakLoads(
        ensemble.net_load_w.T[..., None] + more_w,
        chance,
        np.repeat(follow, len(chance), axis=1),
        ensemble.weights,
        slots,
        days_w,
        none,
        none,
        0,
    )


def _usual(rows: Floats, free: NDArray[np.bool_], days: Calendar) -> _Usual:
    """Whichever weight of the other kind of day would have told the days best from those before."""
    fine = days.slot_s < 3600.0
    tried = [_near(_before(rows, free, other), int(fine)) for other in OTHER_KINDS]
    best = int(np.argmin([((rows - one) ** 2).sum() for one in tried]))
    missed_w = rows - tried[best]
    age = np.arange(len(rows))[::-1]
    usual_w, spread_w = np.empty((2, days.per_day)), np.empty((2, days.per_day))
    near = max(round(SPREAD_NEAR_S / days.slot_s), 1)
    for kind in (0, 1):
        weight = np.exp(-age / PEAK_MEMORY_DAYS) * np.where(free == kind, 1.0, OTHER_KINDS[best])
        usual_w[kind] = _near(weight @ rows / weight.sum(), int(fine))
        spread_w[kind] = np.sqrt(_of_kind(missed_w**2, free.astype(int), kind, near))
    return _Usual(usual_w, np.maximum(spread_w, 1.0), tried[best], missed_w)


def _before(rows: Floats, free: NDArray[np.bool_], other: float) -> Floats:
    """What each day would have been expected to be: by the days before, in the first week by all others."""
    day = np.arange(len(rows))
    gap = day[:, None] - day
    weight = np.exp(-np.abs(gap) / PEAK_MEMORY_DAYS) * np.where(free[:, None] == free, 1.0, other)
    early = day < min(7, len(rows) // 2)
    weight *= np.where(early[:, None], gap != 0, gap > 0)
    told: Floats = weight @ rows / weight.sum(axis=1, keepdims=True)
    return told


def _near(values: Floats, by: int) -> Floats:
    """The mean of so many slots before and after, round the day."""
    found: Floats = np.mean([np.roll(values, one, axis=-1) for one in range(-by, by + 1)], axis=0)
    return found


def _level(course: Floats, usual: _Usual, kinds: NDArray[np.intp], days: Calendar) -> _Level:
    """The level that would have told the load of the next hours best, at the times when it is high."""
    spread_w, told_w, missed_w = usual.spread_w[kinds].ravel(), usual.told_w.ravel(), usual.missed_w.ravel()
    ahead = max(round(TOLD_S / days.slot_s), 1)
    windows = sliding_window_view(spread_w[1:], ahead)
    came_w = sliding_window_view(missed_w[1:], ahead).sum(axis=1)
    usual_w = sliding_window_view(told_w[1:], ahead).sum(axis=1)
    high = np.flatnonzero(usual_w >= np.median(usual_w))
    best, least = _Level(0.0, 0.0, course), np.inf
    for fade_s in FADES_S:
        stays = float(np.exp(-days.slot_s / fade_s))
        lasting_w = windows[high] @ stays ** np.arange(1, ahead + 1)
        levels = _running(course, stays, np.array(GAINS))
        wrong = ((came_w[high] - lasting_w * levels[:, high]) ** 2).sum(axis=1)
        if wrong.min() < least:
            least, place = float(wrong.min()), int(wrong.argmin())
            best = _Level(stays, GAINS[place], levels[place])
    return best


def _running(course: Floats, stays: float, gains: Floats) -> Floats:
    """Gains x slots: the level after each slot, by doubling: a weighted sum of 1, 2, 4 ... slots."""
    found, reach = gains[:, None] * course, 1
    keeps = (stays * (1.0 - gains))[:, None]
    while reach < len(course) and keeps.max() > 1e-9:
        found[:, reach:] += keeps * found[:, :-reach].copy()
        keeps, reach = keeps**2, 2 * reach
    return found


def _news(course: Floats, level: _Level, kinds: NDArray[np.intp], days: Calendar) -> _News:
    """By slot of the day: a morning tells more of its day than an afternoon does."""
    new = course[1:] - level.stays * level.course[:-1]
    rows = np.concatenate([new[:1], new]).reshape(-1, days.per_day)
    near = max(round(SPREAD_NEAR_S / days.slot_s), 1)
    came = _came(level, near).reshape(-1, days.per_day)
    spread, moved = np.empty((2, days.per_day)), np.empty((2, days.per_day))
    for kind in (0, 1):
        spread[kind] = np.sqrt(_of_kind(rows**2, kinds, kind, near))
        moved[kind] = np.sqrt(_of_kind(came**2, kinds, kind, 0))
    spread = np.maximum(spread, 1e-6)
    ordered = np.sort((rows / spread[kinds]).ravel()[1:])
    edges = np.round(np.cumsum((0.0, *SPIKES)) * len(ordered)).astype(int)
    spikes = np.array([ordered[low:high].mean() for low, high in pairwise(edges)])
    away = spikes - np.dot(SPIKES, spikes)
    moves = away / max(float(np.sqrt(np.dot(SPIKES, away**2))), 1e-6)
    return _News(spread, moved, spikes, moves)


def _came(level: _Level, near: int) -> Floats:
    """By how much the level moves in each slot, if of so many around it no move knows of another.

    It is taken from how far the level came in all of them: a morning moves it slot after slot the same way.
    """
    around = 2 * near
    gone = level.course[around:] - level.stays**around * level.course[:-around]
    each = gone / np.sqrt((level.stays ** (2 * np.arange(around))).sum())
    return np.pad(each, (near, near), "edge")


def _of_kind(squares: Floats, kinds: NDArray[np.intp], kind: int, near: int) -> Floats:
    """The mean of such days by slot of the day, and near it; the fewer days, the more that of all slots."""
    age = np.arange(len(squares))[::-1]
    weight = np.exp(-age / PEAK_MEMORY_DAYS) * np.where(kinds == kind, 1.0, SPREAD_OTHER_KIND)
    count = weight.sum() ** 2 / (weight**2).sum()
    square = _near(weight @ squares / weight.sum(), near)
    found: Floats = (count * square + square.mean()) / (count + 1.0)
    return found


def _states(at: float, level: _Level, moved: Floats) -> Floats:
    """Slots and one more x states: the levels that are planned for, around what is expected of each slot."""
    middle, variance = np.full(len(moved) + 1, at), np.zeros(len(moved) + 1)
    for slot, step in enumerate(moved.tolist()):
        middle[slot + 1] = level.stays * middle[slot]
        variance[slot + 1] = level.stays**2 * variance[slot] + step**2
    reach = np.sqrt(np.maximum(variance, max(variance[1], 1e-12)))
    return middle[:, None] + reach[:, None] * np.linspace(*REACH, LEVELS)


def _follow(states: Floats, level: _Level, moved: Floats, moves: Floats) -> Floats:
    """Slots x spikes x from x to: the chance of each level to be followed by each."""
    steps = moved[:, None] * moves
    return _between(states[1:, None], level.stays * states[:-1, None] + steps[:, :, None])


def _between(states: Floats, values: Floats) -> Floats:
    """Values x states: each value as a chance of the two states beside it."""
    place = (values - states[..., :1]) / (states[..., 1:2] - states[..., :1])
    place = np.clip(place, 0.0, states.shape[-1] - 1.0)
    low = np.minimum(place.astype(np.intp), states.shape[-1] - 2)[..., None]
    part = place[..., None] - low
    found = np.zeros((*values.shape, states.shape[-1]))
    np.put_along_axis(found, low, 1.0 - part, axis=-1)
    np.put_along_axis(found, low + 1, part, axis=-1)
    return found
