"""Each month of a case: what it cost, with what is stored at its begin and end worth what it is good for.

A battery that is full at midnight is worth little if the sun will fill it anyhow, and much before dull days.
So a month's bill is corrected by what the stored kWh saves in the 48 h after it, used as well as by one who
knows load, sun and prices; the same yardstick for every course. Peaks are left out of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from controller.planning.inputs import Ensemble, Floats, PlanInputs
from controller.planning.plan import worth_at_middle_price
from controller.planning.water_values import water_values
from tests.bench.money.course import Case, Course

FEWEST_DAYS = 20
"""A shorter piece of a month says nothing about months."""
AHEAD_S = 48 * 3600.0
LEVELS = 201


@dataclass(frozen=True, slots=True)
class Month:
    """Costs of one month by who decided, in the order of the courses given."""

    name: str
    costs: tuple[float, ...]

    def dearer_pct(self, one: int, other: int) -> float:
        """By how much a course was dearer than another, % of what the other cost."""
        return (self.costs[one] - self.costs[other]) / max(abs(self.costs[other]), 1.0) * 100.0


def months(case: Case, courses: Sequence[Course]) -> list[Month]:
    """All that are long enough, oldest first."""
    local_s = case.utc_s + case.offset_s
    month = local_s.astype("datetime64[s]").astype("datetime64[M]")
    found = []
    for name in np.unique(month):
        first, last = (int(place) for place in np.flatnonzero(month == name)[[0, -1]])
        if (last + 1 - first) * case.step_s >= FEWEST_DAYS * 86_400.0:
            ends = [stored_worth(case, step) for step in (first, last + 1)]
            costs = tuple(_cost(case, course, first, last + 1, ends) for course in courses)
            found.append(Month(str(name), costs))
    return found


def stored_worth(case: Case, step: int) -> Floats:
    """What the battery holds is worth when this step begins, at levels of SoC evenly from floor to full."""
    slots = round(AHEAD_S / case.step_s)
    ahead = slice(min(step, case.steps - slots), None)
    load_w, pv_w, buy, sell = (
        one[ahead][:slots] for one in (case.load_w, case.pv_w, case.import_per_kwh, case.export_per_kwh)
    )
    exact = Ensemble(load_w[None], pv_w[None], np.ones(1), np.eye(1))
    begin_utc_s = float(case.utc_s[ahead][0])
    inputs = PlanInputs(
        begin_utc_s, case.step_s, buy, sell, exact, case.storage, 50.0, case.leave, levels=LEVELS
    )
    tail = np.full(LEVELS, worth_at_middle_price(inputs))
    values = water_values(inputs, np.full(slots, np.inf), tail)
    per_kwh = values.after[0, 0]
    steps = (per_kwh[1:] + per_kwh[:-1]) / 2.0 * values.level_kwh
    return np.concatenate([[0.0], np.cumsum(steps)])


def _cost(case: Case, course: Course, first: int, end: int, worth: Sequence[Floats]) -> float:
    """Energy, wear and peaks, less what more is stored at the end than at the begin."""
    import_w = case.net_load_w[first:end] - course.discharge_w[first:end]
    price = np.where(import_w > 0.0, case.import_per_kwh[first:end], case.export_per_kwh[first:end])
    wear_w = np.maximum(course.discharge_w[first:end], 0.0) * case.storage.wear_per_kwh
    cost = float((import_w * price + wear_w).sum()) * case.step_s / 3.6e6
    for term in case.demand:
        counted = term.applies[first:end]
        if counted.any():
            cost += term.per_kw * max(float(import_w[counted].max()), 0.0) / 1000.0
    levels_pct = np.linspace(case.storage.floor_pct, case.storage.max_soc_pct, LEVELS)
    ends_pct = (float(course.soc_pct[first - 1]) if first else case.begin_soc_pct, course.soc_pct[end - 1])
    before, after = (
        float(np.interp(soc_pct, levels_pct, one)) for soc_pct, one in zip(ends_pct, worth, strict=True)
    )
    # A course that always holds as much has no cost of its own from what that is worth at either end.
    steady = float(np.interp(case.begin_soc_pct, levels_pct, worth[1] - worth[0]))
    return cost - (after - before) + steady
