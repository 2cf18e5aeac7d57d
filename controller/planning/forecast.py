"""What load and sun will do, from the site's own past: an ensemble in which today leads on to tomorrow.

Load and sun each are a Markov chain of a few states (`loads.py`, `sunshine.py`); the ensemble has a state for
each pair. What is not published yet of the prices is taken to be like the same time of the last days.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from controller.planning.history import Ahead, History, calendar
from controller.planning.inputs import Ensemble, Floats
from controller.planning.loads import load_chain, past_days
from controller.planning.sunshine import sun_chain

LOAD_STATES, SUN_STATES = 3, 4
LIKE_DAYS = 7


def forecast(history: History, ahead: Ahead) -> Ensemble:
    """The ensemble for the slots that begin where the history ends."""
    days = calendar(history, float(ahead.offset_s[0]))
    load_w, load_weights, load_follows = load_chain(history, ahead, days, LOAD_STATES)
    sun = sun_chain(history, ahead, days, SUN_STATES)
    paths_w = past_days(history, ahead, days)
    if sun is None:
        return Ensemble(load_w, np.zeros(load_w.shape), load_weights, load_follows, paths_w)
    states = LOAD_STATES * SUN_STATES
    follows = np.einsum("ab,tcd->tacbd", load_follows, sun.transition).reshape(-1, states, states)
    return Ensemble(
        np.repeat(load_w, SUN_STATES, axis=0),
        np.tile(sun.pv_w, (LOAD_STATES, 1)),
        np.asarray(np.kron(load_weights, sun.weights), dtype=np.float64),
        follows,
        paths_w,
    )


def filled_prices(past: Floats, ahead: Floats, per_day: int) -> Floats:
    """Prices of the slots to come: as published, else the mean of the same time of the last days known."""
    known = np.concatenate([past, ahead])
    for slot in range(len(past), len(known)):
        if not np.isfinite(known[slot]):
            same = known[slot % per_day : slot : per_day]
            same = same[np.isfinite(same)][-LIKE_DAYS:]
            before = known[:slot][np.isfinite(known[:slot])]
            if len(before):
                known[slot] = same.mean() if len(same) else before.mean()
    return known[len(past) :]


@dataclass(frozen=True, slots=True)
class Skill:
    """Mean error of the day-ahead forecast over the last days, and of saying "like yesterday", in W."""

    days: int
    load_error_w: float
    load_like_yesterday_w: float
    pv_error_w: float
    pv_like_yesterday_w: float


def skill(history: History, most_days: int = 7) -> Skill | None:
    """How well the days before could have been forecast; None before there are two of them."""
    per_day = calendar(history, 0.0).per_day
    days = min(most_days, len(history.load_w) // per_day - 1)
    if days < 1:
        return None
    errors = np.zeros((days, 4))
    for day in range(days):
        end = len(history.load_w) - day * per_day
        before = history.until(end - per_day)
        coming = slice(end - per_day, end)
        ahead = Ahead(history.offset_s[coming], history.import_per_kwh[coming])
        ensemble = forecast(before, ahead)
        likely, mean_load_w, mean_pv_w = ensemble.weights, np.empty(per_day), np.empty(per_day)
        for slot in range(per_day):
            mean_load_w[slot] = likely @ ensemble.load_w[:, slot]
            mean_pv_w[slot] = likely @ ensemble.pv_w[:, slot]
            follows = ensemble.transition
            if follows is not None:
                likely = likely @ (follows if follows.ndim == 2 else follows[slot])
        yesterday = slice(end - 2 * per_day, end - per_day)
        for place, (said, values) in enumerate(((mean_load_w, history.load_w), (mean_pv_w, history.pv_w))):
            missed = np.abs(said - values[coming]), np.abs(values[yesterday] - values[coming])
            errors[day, 2 * place : 2 * place + 2] = [
                one[np.isfinite(one)].mean() if np.isfinite(one).any() else np.nan for one in missed
            ]
    load, load_before, pv, pv_before = (float(one) for one in np.nanmean(errors, axis=0))
    return Skill(days, load, load_before, pv, pv_before)
