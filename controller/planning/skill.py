"""How good the forecast was: each of the last days forecast from what was known before it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from controller.planning.chain import Chain
from controller.planning.forecast import forecast
from controller.planning.history import Ahead, History, calendar
from controller.planning.inputs import Ensemble, Floats


@dataclass(frozen=True, slots=True)
class Skill:
    """Mean errors on the last days, of forecasts for 24 h and of saying "like yesterday"; None: not known."""

    days: int
    load_error_w: float | None
    load_like_yesterday_w: float | None
    pv_error_w: float | None
    pv_like_yesterday_w: float | None


def skill(history: History, most_days: int = 7) -> Skill | None:
    """None before there are two days."""
    per_day = calendar(history, 0.0).per_day
    days = min(most_days, len(history.load_w) // per_day - 1)
    if days < 1:
        return None
    missed = np.stack([_missed(history, len(history.load_w) - day * per_day, per_day) for day in range(days)])
    load, load_before, pv, pv_before = (_mean(column) for column in missed.T)
    return Skill(days, load, load_before, pv, pv_before)


def _missed(history: History, end: int, per_day: int) -> Floats:
    """Errors of one day: of the forecast and of the day before, for load and for PV."""
    coming, yesterday = slice(end - per_day, end), slice(end - 2 * per_day, end - per_day)
    outside = (history.outside_load_w, history.outside_pv_w)
    said = [None if one is None else one[coming] for one in outside]
    ahead = Ahead(history.offset_s[coming], history.import_per_kwh[coming], *said)
    likely = means(forecast(history.until(end - per_day), ahead))
    found = []
    # What a plant could have given while it was held down, nobody knows.
    pv_w = history.pv_w if history.pv_held is None else np.where(history.pv_held, np.nan, history.pv_w)
    for expected_w, values in zip(likely, (history.load_w, pv_w), strict=True):
        found += [_error(expected_w, values[coming]), _error(values[yesterday], values[coming])]
    return np.array(found)


def _error(said: Floats, truth: Floats) -> float:
    missed = np.abs(said - truth)
    known = missed[np.isfinite(missed)]
    return float(known.mean()) if len(known) else np.nan


def _mean(values: Floats) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def means(ensemble: Ensemble) -> tuple[Floats, Floats]:
    """Load and PV expected in each slot."""
    likely = Chain.of(ensemble).likely(ensemble.weights).T
    return (likely * ensemble.load_w).sum(axis=0), (likely * ensemble.pv_w).sum(axis=0)
