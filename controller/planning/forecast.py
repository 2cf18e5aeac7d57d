"""What load and sun will do, from the site's own past: an ensemble in which today leads on to tomorrow.

Load and sun each are a Markov chain of a few states (`loads.py`, `sunshine.py`); the ensemble has a state for
each pair. What is not published yet of the prices is taken to be as on the last such days, free or not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.planning.history import DAYS, Ahead, History, calendar
from controller.planning.inputs import Ensemble, Floats
from controller.planning.loads import load_chain
from controller.planning.peak_loads import of_states, peak_loads
from controller.planning.sunshine import sun_chain

LOAD_STATES, SUN_STATES = 2, 6
LOAD_LEVELS = (0.1, 0.4, 0.7)
"""Four levels of the load, between which such shares of the past lie below; in the lowest nobody is home."""
PRICE_MEMORY_DAYS, OTHER_KIND = 10.0, 0.2
"""After so many days a price counts for 1/e, and one of a working day for so much on a free day."""


def forecast(history: History, ahead: Ahead, *, battery_w: float | None = None) -> Ensemble:
    """The ensemble for the slots that begin where the history ends.

    With what the battery can give, `battery_w`, also what only peaks need.
    """
    days = calendar(history, float(ahead.offset_s[0]))
    load = load_chain(history, ahead, days, LOAD_STATES, LOAD_LEVELS)
    sun = sun_chain(history, ahead, days, SUN_STATES)
    if sun is None:
        ensemble = Ensemble(load.load_w, np.zeros(load.load_w.shape), load.weights, load.transition)
    else:
        ensemble = Ensemble(
            np.repeat(load.load_w, SUN_STATES, axis=0),
            np.tile(sun.pv_w, (len(load.weights), 1)),
            np.outer(load.weights, sun.weights).ravel(),
            load.transition,
            sun_transition=sun.transition,
        )
    if battery_w is None:
        return ensemble
    peaks = peak_loads(history, days, ahead.slots) or of_states(ensemble, battery_w)
    return replace(ensemble, peaks=peaks)


def filled_prices(past: Floats, ahead: Floats, free: NDArray[np.bool_], per_day: int) -> Floats:
    """Prices of the slots to come: as published, else as usual at the same time of such a day.

    `free` says of each slot, past ones first, whether it is of a Saturday or Sunday.
    """
    known = np.concatenate([past, ahead])
    for begin in range(len(past), len(known), per_day):
        coming = known[begin : begin + per_day]
        missing = ~np.isfinite(coming)
        if not missing.any():
            continue
        if np.isfinite(known[:begin]).any():
            usual = _usual(known[:begin], free[: begin + len(coming)], per_day)
            coming[missing] = usual[missing]
        elif not missing.all():
            coming[missing] = coming[~missing].mean()
    return known[len(past) :]


def _usual(known: Floats, free: NDArray[np.bool_], per_day: int) -> Floats:
    """For each slot of the day to come the mean of its time on the last days; of all slots if there is none.

    The latest count most, and those of the same kind, free or not.
    """
    slots, coming = min(len(known), DAYS * per_day), free[len(known) :]
    latest = _in_days(known[len(known) - slots :], per_day)[:, : len(coming)]
    kinds = _in_days(free[len(known) - slots : len(known)], per_day)[:, : len(coming)]
    age = np.arange(len(latest))[::-1, None]
    weight = np.exp(-age / PRICE_MEMORY_DAYS) * np.where(kinds == coming, 1.0, OTHER_KIND)
    seen = np.isfinite(latest)
    count = (weight * seen).sum(axis=0)
    total = (weight * np.where(seen, latest, 0.0)).sum(axis=0)
    anyhow = known[np.isfinite(known)].mean()
    usual: Floats = np.where(count > 0.0, total / np.where(count > 0.0, count, 1.0), anyhow)
    return usual


def _in_days(values: NDArray[Any], per_day: int) -> Floats:
    """Days x slots of which the last ends with the last value; NaN before the first."""
    days = np.full((-(-len(values) // per_day), per_day), np.nan)
    days.ravel()[days.size - len(values) :] = values
    return days
