"""What load and sun will do, from the site's own past: an ensemble in which today leads on to tomorrow.

Load and sun each are a Markov chain of a few states (`loads.py`, `sunshine.py`); the ensemble has a state for
each pair. What is not published yet of the prices is taken to be like the same time of the last days.
"""

from __future__ import annotations

import numpy as np

from controller.planning.history import Ahead, History, calendar
from controller.planning.inputs import Ensemble, Floats
from controller.planning.loads import load_chain, past_days
from controller.planning.sunshine import sun_chain

LOAD_STATES, LOAD_LEVELS, SUN_STATES = 2, 3, 6
LIKE_DAYS = 7


def forecast(history: History, ahead: Ahead) -> Ensemble:
    """The ensemble for the slots that begin where the history ends."""
    days = calendar(history, float(ahead.offset_s[0]))
    load = load_chain(history, ahead, days, LOAD_STATES, LOAD_LEVELS)
    sun = sun_chain(history, ahead, days, SUN_STATES)
    paths_w = past_days(history, ahead, days)
    if sun is None:
        dark_w = np.zeros(load.load_w.shape)
        return Ensemble(load.load_w, dark_w, load.weights, load.transition, paths_w)
    states = len(load.weights) * SUN_STATES
    follows = np.einsum("ab,tcd->tacbd", load.transition, sun.transition).reshape(-1, states, states)
    return Ensemble(
        np.repeat(load.load_w, SUN_STATES, axis=0),
        np.tile(sun.pv_w, (len(load.weights), 1)),
        np.asarray(np.kron(load.weights, sun.weights), dtype=np.float64),
        follows,
        paths_w,
    )


def filled_prices(past: Floats, ahead: Floats, per_day: int) -> Floats:
    """Prices of the slots to come: as published, else the mean of the same time of the last days known."""
    known = np.concatenate([past, ahead])
    for begin in range(len(past), len(known), per_day):
        coming = known[begin : begin + per_day]
        missing = ~np.isfinite(coming)
        if np.isfinite(known[:begin]).any():
            coming[missing] = _usual(known[:begin], per_day)[: len(coming)][missing]
        elif not missing.all():
            coming[missing] = coming[~missing].mean()
    return known[len(past) :]


def _usual(known: Floats, per_day: int) -> Floats:
    """For each slot of the day to come the mean of the last days known, of all slots where there is none."""
    days = -(-len(known) // per_day)
    rows = np.concatenate([np.full(days * per_day - len(known), np.nan), known]).reshape(days, per_day)
    finite = np.isfinite(rows)
    latest = finite & (finite[::-1].cumsum(axis=0)[::-1] <= LIKE_DAYS)
    count = latest.sum(axis=0)
    total = np.where(latest, rows, 0.0).sum(axis=0)
    usual: Floats = np.where(count > 0, total / np.maximum(count, 1), rows[finite].mean())
    return usual
