"""Who makes the plans: the product's own planner on what was known then, or the same one told the future."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from controller.dispatch.orders import Plan
from controller.planning.forecast import filled_prices, forecast
from controller.planning.history import DAY_S, Ahead, History, free_slots
from controller.planning.inputs import DemandTerm, Ensemble, Floats, PlanInputs
from controller.planning.peaks import slots_left
from controller.planning.plan import make_plan
from tests.bench.money.course import Case, Planner

LOOK_BACK_DAYS = 29
AHEAD_S = 48 * 3600.0


def economic(case: Case, every_s: float = 3600.0, *, told: bool = False) -> Planner:
    """A plan every so often. `told` its load and sun exactly, but no price before it is published."""
    every = max(round(every_s / case.step_s), 1)

    def plan(step: int, soc_pct: float, import_w: Floats) -> Plan | None:
        if step % every:
            return None
        return make_plan(plan_inputs(case, step, soc_pct, import_w, told=told)).orders_plan()

    return plan


def plan_inputs(case: Case, step: int, soc_pct: float, import_w: Floats, *, told: bool = False) -> PlanInputs:
    """What a plan is made from at the begin of a step, after these imports of the steps before."""
    per_day, slots = round(DAY_S / case.step_s), round(AHEAD_S / case.step_s)
    begin = max(step - LOOK_BACK_DAYS * per_day, 0)
    buy, sell = (_ahead(case, one, begin, step, slots) for one in (case.import_per_kwh, case.export_per_kwh))
    offset_s = _padded(case.offset_s[begin : step + slots], step - begin + slots)
    free = free_slots(float(case.utc_s[begin]), case.step_s, offset_s)
    return PlanInputs(
        float(case.utc_s[step]),
        case.step_s,
        filled_prices(*buy, free, per_day),
        filled_prices(*sell, free, per_day),
        _exact(case, step, slots) if told else _forecast(case, begin, step, buy[1]),
        case.storage,
        soc_pct,
        case.leave,
        _terms(case, step, slots, import_w),
    )


def _ahead(case: Case, prices: Floats, begin: int, step: int, slots: int) -> tuple[Floats, Floats]:
    """Prices of the past, and of the slots ahead as far as they are published."""
    known = min(int(case.known_until[step]), case.steps, step + slots)
    ahead = np.full(slots, np.nan)
    ahead[: known - step] = prices[step:known]
    return prices[begin:step], ahead


def _padded(values: Floats, slots: int) -> Floats:
    return np.pad(values, (0, slots - len(values)), "edge")


def _forecast(case: Case, begin: int, step: int, ahead: Floats) -> Ensemble:
    past = slice(begin, step)
    history = History(
        float(case.utc_s[begin]),
        case.step_s,
        case.offset_s[past],
        case.load_w[past],
        case.pv_w[past],
        case.import_per_kwh[past],
    )
    offset_s = _padded(case.offset_s[step : step + len(ahead)], len(ahead))
    battery_w = case.storage.max_discharge_w if case.demand else None
    return forecast(history, Ahead(offset_s, ahead), battery_w=battery_w)


def _exact(case: Case, step: int, slots: int) -> Ensemble:
    load_w, pv_w = (_padded(one[step : step + slots], slots)[None] for one in (case.load_w, case.pv_w))
    return Ensemble(load_w, pv_w, np.ones(1), np.eye(1))


def _terms(case: Case, step: int, slots: int, import_w: Floats) -> tuple[DemandTerm, ...]:
    """The peaks billed in the slots ahead, with what each has had already."""
    found = []
    for term in case.demand:
        ahead = term.applies[step : step + slots]
        if ahead.any():
            applies = np.pad(ahead, (0, slots - len(ahead)))
            had = import_w[:step][term.applies[:step]]
            so_far_w, ends = float(had.max(initial=0.0)), _month_ends(case, step, int(np.argmax(applies)))
            found.append(replace(term, applies=applies, peak_so_far_w=so_far_w, ends=ends))
    return tuple(found)


def _month_ends(case: Case, step: int, ahead: int) -> int:
    """How many steps from this one on the month is over in which the step `ahead` of it lies."""
    within_s = float(case.utc_s[step]) + ahead * case.step_s + float(case.offset_s[step])
    return ahead + slots_left(within_s, case.step_s)
