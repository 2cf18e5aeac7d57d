"""One case measured: every policy through the whole time, its cost, and its worst month."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rich.progress import Progress

from controller.lab.oracle import perfect_foresight
from controller.planning.inputs import Floats
from tests.bench.money.course import Case, Course, bill, no_plan, run
from tests.bench.money.planners import economic

FEWEST_DAYS = 20
"""A shorter piece of a month says nothing about months."""


@dataclass(frozen=True, slots=True)
class Savings:
    """Costs of the whole time; of months, by how much the worst one was dearer than without, %."""

    name: str
    none: float
    self_consumption: float
    economic: float
    told: float | None
    oracle: float
    worst_month_pct: float
    worst_month_beside_none_pct: float

    def share(self, cost: float) -> float:
        """Of the saving that perfect foresight allows."""
        return (self.none - cost) / max(self.none - self.oracle, 1e-9)


def measure(case: Case, progress: Progress, every_s: float, *, told: bool) -> Savings:
    """Told as it goes."""
    task = progress.add_task(case.name, total=case.steps * (2 if told else 1))

    def step(_: int) -> None:
        progress.advance(task)

    best = perfect_foresight(
        case.net_load_w,
        case.import_per_kwh,
        case.export_per_kwh,
        case.step_s,
        case.storage,
        case.leave,
        case.begin_soc_pct,
        case.demand,
    )
    rested = Course(np.zeros(case.steps), np.full(case.steps, case.begin_soc_pct))
    own = run(case, "self_consumption", no_plan)
    planned = run(case, "economic", economic(case, every_s), step)
    knowing = run(case, "economic", economic(case, every_s, told=True), step) if told else None
    beside = [_worst_month(case, planned, other) for other in (own, rested)]
    return Savings(
        case.name,
        _cost(case, rested),
        _cost(case, own),
        _cost(case, planned),
        None if knowing is None else _cost(case, knowing),
        _cost(case, Course(best.discharge_w, best.soc_pct)),
        *beside,
    )


def _cost(case: Case, course: Course) -> float:
    return bill(case, course.discharge_w, float(course.soc_pct[-1]))


def _worst_month(case: Case, course: Course, other: Course) -> float:
    """By how much it was dearer than the other in its worst month, % of what the other cost."""
    month = _months(case)
    worst = -np.inf
    for number in np.unique(month):
        inside = month == number
        if inside.sum() * case.step_s < FEWEST_DAYS * 86_400.0:
            continue
        mine, others = (_month_cost(case, one, inside) for one in (course, other))
        worst = max(worst, (mine - others) / max(abs(others), 1.0) * 100.0)
    return float(worst)


def _months(case: Case) -> Floats:
    local_s = case.utc_s + case.offset_s
    return local_s.astype("datetime64[s]").astype("datetime64[M]").astype(float)


def _month_cost(case: Case, course: Course, inside: np.ndarray) -> float:
    """Energy, wear and peaks of a month; what is stored more at its end is paid for at the middle price."""
    import_w = case.net_load_w - course.discharge_w
    price = np.where(import_w > 0.0, case.import_per_kwh, case.export_per_kwh)
    wear_w = np.maximum(course.discharge_w, 0.0) * case.storage.wear_per_kwh
    cost = float((import_w * price + wear_w)[inside].sum()) * case.step_s / 3.6e6
    for term in case.demand:
        counted = inside & term.applies
        if counted.any():
            cost += term.per_kw * max(float(import_w[counted].max()), 0.0) / 1000.0
    first, last = np.flatnonzero(inside)[[0, -1]]
    before_pct = course.soc_pct[first - 1] if first else case.begin_soc_pct
    held_kwh = case.storage.capacity_wh * (course.soc_pct[last] - before_pct) / 1e5
    return cost - held_kwh * float(np.median(case.import_per_kwh))
