"""The sun as a Markov chain: how clear the day is believed to be, from the own plant's past.

Days of the past count as what they would have given at today's length of the day (`season.py`). What a
cloudless day would give at each time is the highest of the last weeks. The share of it that a day
gives, its clearness, is guessed before sunrise by a regression on the day before, the last weeks, an outside
forecast if there is one, and the price: day-ahead prices are made by people who know the weather, and dip at
noon when the sun will shine. During the day the guess gives way to what is seen. The belief moves between
states as it did in the past; what a state gives is what followed it in the past. Until a whole
day has been seen, one of twelve hours stands in, as strong as the inverters' rating allows, of which any
share is as likely.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.planning.curtailed import clearness_while_free, cloudless
from controller.planning.history import Ahead, Calendar, History, ahead_rows, or_zero, quantiles
from controller.planning.inputs import Floats
from controller.planning.loads import chances
from controller.planning.season import as_today

CLEAR_DAYS = 21
SMOOTH_S = 1800.0
"""Over slots up to so long a cloudless day is smoothed; over whole hours that would brighten the dawn."""
DAYLIGHT = 0.03
"""Below this share of the brightest slot it is night: nothing can be learnt from it."""
MEMORY_S = 3 * 3600.0
"""What was seen so long ago counts for 1/e in the belief about the day."""
FEWEST_DAYS = 6
WIDE = 0.3
"""How wrong a guess about a day is taken to be while too few days are known."""
UNSEEN_SHARE = 0.7
"""Of their rating inverters give so much at noon of a cloudless day that nobody has seen yet."""
UNSEEN_NOON_H, UNSEEN_DAY_H = 13.0, 12.0
"""Its noon by the local clock, between standard and summer time, and its length, as at an equinox."""
SUN, SHOULDER = (10, 16), ((6, 9), (17, 21))
"""Hours of the clock at noon and around it, whose prices are compared."""


@dataclass(frozen=True, slots=True, eq=False)
class SunChain:
    """States x slots of PV, weights of the first slot, transition for each slot."""

    pv_w: Floats
    weights: Floats
    transition: Floats


def sun_chain(history: History, ahead: Ahead, days: Calendar, count: int) -> SunChain | None:
    """None for a site without sun: none was seen in a whole day, or its inverters' rating is not known."""
    # The sun does not keep summer time: rows are on today's clock all along.
    rows = days.rows(history.pv_w)
    young = history.pv_rated_w > 0.0 and int(np.isfinite(rows).sum()) < days.per_day
    if not or_zero(rows).any() and not young:
        return None
    season = as_today(rows, days)[:, None]
    rows = rows * season
    clear_w = _cloudless(or_zero(rows), history.slot_s)
    if young:
        clear_w = np.maximum(clear_w, _unseen(history, days.per_day))
    light = clear_w > DAYLIGHT * clear_w.max()
    if history.pv_held is not None and history.pv_held.any():
        held = days.rows(history.pv_held.astype(np.float64)) > 0.0
        clear_w = cloudless(clear_w, rows, held, light, history.pv_rated_w or np.inf)
        rows = _freed(rows, held, clear_w, light, history.slot_s)
    guess = _guesses(history, ahead, days, rows, clear_w * light, season)
    belief = _beliefs(rows, clear_w, light, guess.days, history.slot_s)
    lit = np.isfinite(rows) & light
    shares = np.arange(1, count) / count
    even = young or not lit.any()
    edges = shares if even else quantiles(belief[lit], shares)
    state = (belief[..., None] > edges).sum(axis=-1)
    gives = _gives(rows, clear_w, np.where(lit, state, -1), count, guess.mean)
    if even:
        gives = (np.arange(count) + 0.5) / count
    course = np.where(lit, state, np.nan).ravel()
    by_day = chances(course[: (days.days - 1) * days.per_day + days.now], count, 0.25)
    if even:
        stays = np.exp(-history.slot_s / MEMORY_S)
        by_day = stays * np.eye(count) + (1.0 - stays) * by_day
    place = days.now + np.arange(ahead.slots)
    slot, day = place % days.per_day, place // days.per_day
    # Before dawn the state is still that of the day before.
    dawning = np.cumsum(light)[slot] == 0
    pv_w = np.where(dawning, guess.coming[day], gives[:, None]) * clear_w[slot]
    over_night = np.stack([_spread(gives, one, guess.wrong) for one in guess.coming])
    transition = np.empty((ahead.slots, count, count))
    transition[:] = np.eye(count)
    both = light[slot][:-1] & light[slot][1:]
    dawn = ~light[slot][:-1] & light[slot][1:]
    transition[:-1][both] = by_day
    transition[:-1][dawn] = over_night[day[1:][dawn]][:, None, :]
    return SunChain(pv_w, _first(days, light, course, by_day, over_night), transition)


def _first(days: Calendar, light: NDArray[np.bool_], course: Floats, by_day: Floats, night: Floats) -> Floats:
    """How likely each state is in the slot that begins now."""
    seen = course[(days.days - 1) * days.per_day : (days.days - 1) * days.per_day + days.now]
    known = seen[np.isfinite(seen)]
    if light[days.now % days.per_day] and len(known):
        return np.asarray(by_day[int(known[-1])])
    return np.asarray(night[0])


def _cloudless(seen: Floats, slot_s: float) -> Floats:
    """What a day without clouds would give in each slot."""
    highest: Floats = seen[-CLEAR_DAYS:].max(axis=0)
    if slot_s > SMOOTH_S:
        return highest
    highest = np.maximum(highest, (np.roll(highest, 1) + np.roll(highest, -1)) / 2.0)
    smooth: Floats = (np.roll(highest, 1) + 2.0 * highest + np.roll(highest, -1)) / 4.0
    return smooth


def _freed(
    rows: Floats, held: NDArray[np.bool_], clear_w: Floats, light: NDArray[np.bool_], slot_s: float
) -> Floats:
    """The days as they would have been had nobody held the plant down: as clear as while it was free."""
    clearness = clearness_while_free(rows, held, clear_w, light)
    belief = _beliefs(np.where(held, np.nan, rows), clear_w, light, clearness, slot_s)
    return np.where(held, np.maximum(rows, belief * clear_w), rows)


def _unseen(history: History, per_day: int) -> Floats:
    """A cloudless day of a plant of which nothing is known but its rating, until it is seen."""
    hour = (np.arange(per_day) + 0.5) * 24.0 / per_day
    height = np.cos((hour - UNSEEN_NOON_H) / UNSEEN_DAY_H * np.pi)
    return np.asarray(UNSEEN_SHARE * history.pv_rated_w * np.maximum(height, 0.0))


@dataclass(frozen=True, slots=True, eq=False)
class _Guess:
    """Clearness guessed before sunrise: of the days of the history, of those to come, and how wrong it is."""

    days: Floats
    coming: Floats
    mean: float
    wrong: float


def _guesses(
    history: History, ahead: Ahead, days: Calendar, rows: Floats, clear_w: Floats, season: Floats
) -> _Guess:
    """A ridge regression of each day's clearness on what was known in the night before."""
    complete = np.isfinite(rows)
    clearness = or_zero(rows * (clear_w > 0)).sum(axis=1) / np.maximum((complete * clear_w).sum(axis=1), 1e-9)
    lit = (complete * clear_w).sum(axis=1) / max(clear_w.sum(), 1e-9)
    usable = lit > 0.5
    mean = float(clearness[usable].mean()) if usable.any() else 0.5
    later = ahead_rows(ahead.import_per_kwh, days.rows(history.import_per_kwh), days.now, days.per_day)
    coming = len(later)
    seen = np.where(usable, clearness, mean)
    prices = np.concatenate([days.rows(history.import_per_kwh)[:-1], later])
    features = [np.concatenate([[mean], seen[:-1], [seen[-1]], np.full(coming - 1, mean)])[: len(prices)]]
    features.append(_dip(prices, days.per_day))
    if history.outside_pv_w is not None and ahead.outside_pv_w is not None:
        said = days.rows(history.outside_pv_w) * season
        said = np.concatenate([said[:-1], ahead_rows(ahead.outside_pv_w, said, days.now, days.per_day)])
        features.append(or_zero(said).sum(axis=1) / max(clear_w.sum(), 1e-9))
    table = np.stack(features, axis=1)
    past = len(rows) - 1
    learn = usable[:past] & np.isfinite(table[:past]).all(axis=1)
    if learn.sum() < FEWEST_DAYS:
        return _Guess(np.full(len(rows), mean), np.full(coming, mean), mean, WIDE)
    guessed, wrong = _ridge(table, learn, clearness[:past][learn], mean)
    return _Guess(guessed[: len(rows)], guessed[past:], mean, wrong)


def _ridge(table: Floats, learn: NDArray[np.bool_], truth: Floats, mean: float) -> tuple[Floats, float]:
    """The guess for every row, and the root of its mean squared error; a feature that is not known says 0."""
    known = table[: len(learn)][learn]
    spread = known.std(axis=0)
    scaled = np.nan_to_num((table - known.mean(axis=0)) / np.where(spread > 1e-9, spread, np.inf))
    inside = scaled[: len(learn)][learn]
    weights = np.linalg.solve(inside.T @ inside + 2.0 * np.eye(table.shape[1]), inside.T @ (truth - mean))
    guessed = np.clip(mean + scaled @ weights, 0.0, 1.1)
    degrees = max(len(truth) - table.shape[1] - 1, 1)
    missed = guessed[: len(learn)][learn] - truth
    return guessed, max(float(np.sqrt((missed**2).sum() / degrees)), 0.05)


def _dip(prices: Floats, per_day: int) -> Floats:
    """By how much noon is cheaper than morning and evening, on each day; NaN where that is not known."""
    hour = np.arange(per_day) * 24.0 / per_day
    noon = (hour >= SUN[0]) & (hour < SUN[1])
    around = np.zeros(per_day, dtype=bool)
    for begin, end in SHOULDER:
        around |= (hour >= begin) & (hour < end)
    return np.asarray(prices[:, around].mean(axis=1) - prices[:, noon].mean(axis=1))


def _beliefs(rows: Floats, clear_w: Floats, light: NDArray[np.bool_], guess: Floats, slot_s: float) -> Floats:
    """The belief about the day after each slot: the guess before sunrise, then more and more what is seen."""
    weight = float(clear_w[light].mean())
    lit = np.isfinite(rows) & light
    # A running mean that forgets: a slot weighs more, by a fixed part, than the one before it.
    grown = np.exp(np.cumsum(lit, axis=1) * slot_s / MEMORY_S)
    fresh = np.where(lit, grown, 0.0) * (1.0 - np.exp(-slot_s / MEMORY_S))
    got = (guess * weight)[:, None] + np.cumsum(fresh * or_zero(rows), axis=1)
    could = weight + np.cumsum(fresh * clear_w, axis=1)
    return np.asarray(got / could)


def _gives(rows: Floats, clear_w: Floats, state: NDArray[np.intp], count: int, otherwise: float) -> Floats:
    """The clearness of the slots of each state together; a state of -1 is none."""
    chosen = state >= 0
    could_w = np.bincount(state[chosen], np.broadcast_to(clear_w, rows.shape)[chosen], count)
    gave_w = np.bincount(state[chosen], rows[chosen], count)
    return np.where(could_w > 0.0, gave_w / np.where(could_w > 0.0, could_w, 1.0), otherwise)


def _spread(gives: Floats, guess: float, wrong: float) -> Floats:
    """How likely each state is at dawn, for a guess that is so wrong."""
    likely = np.exp(-0.5 * ((gives - guess) / wrong) ** 2) + 1e-3
    return np.asarray(likely / likely.sum())
