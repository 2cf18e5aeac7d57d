"""One case measured: every policy through the whole time, its cost, and its worst month."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rich.progress import Progress

from controller.lab.oracle import BilledPeak, perfect_foresight
from tests.bench.money.course import Case, Course, bill, no_plan, run
from tests.bench.money.months import Month, months
from tests.bench.money.planners import economic

NONE, OWN, PLANNED = 0, 1, 2
"""Places of the courses in the costs of a month."""


@dataclass(frozen=True, slots=True)
class Savings:
    """Costs of the whole time, and of each month: no battery, self-consumption, economic, foresight."""

    name: str
    none: float
    self_consumption: float
    economic: float
    told: float | None
    oracle: float
    months: tuple[Month, ...]

    def share(self, cost: float) -> float:
        """Of the saving that perfect foresight allows."""
        return (self.none - cost) / max(self.none - self.oracle, 1e-9)

    def worst_month_pct(self, other: int) -> float:
        """By how much plans were dearer than this other in their worst month, %."""
        return max((month.dearer_pct(PLANNED, other) for month in self.months), default=float("nan"))


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
        [BilledPeak.of_steps(term) for term in case.demand],
    )
    rested = Course(np.zeros(case.steps), np.full(case.steps, case.begin_soc_pct))
    own = run(case, "self_consumption", no_plan)
    planned = run(case, "economic", economic(case, every_s), step)
    knowing = run(case, "economic", economic(case, every_s, told=True), step) if told else None
    foreseen = Course(best.discharge_w, best.soc_pct)
    by_month = months(case, (rested, own, planned, foreseen))
    return Savings(
        case.name,
        _cost(case, rested),
        _cost(case, own),
        _cost(case, planned),
        None if knowing is None else _cost(case, knowing),
        _cost(case, foreseen),
        tuple(by_month),
    )


def _cost(case: Case, course: Course) -> float:
    return bill(case, course.discharge_w, float(course.soc_pct[-1]))
