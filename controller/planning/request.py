"""All that a plan is made from, as plain values that pass between processes, and the plan for it."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np

from controller.planning.calendars import OffsetAt
from controller.planning.inputs import DemandTerm, Ensemble, Leave, PlanError, PlanInputs, Storage
from controller.planning.plan import PlanTable, make_plan

SLOT_S = 900.0
MOST_WATER_VALUE = 100.0
DAY_SLOTS = 96
MOST_DAYS = 28


@dataclass(frozen=True, slots=True)
class Peak:
    """One billed peak: what a kW more costs, in which slots it is counted, and what was had already."""

    price_per_kw: float
    applies: tuple[bool, ...]
    peak_so_far_w: float
    expected_peak_w: float


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What is known when a plan is asked for; slots of `SLOT_S` begin at `begin_utc_s`.

    `past` holds a quarter hour each: UTC seconds of its begin, mean load, mean sun. Prices are given for
    every slot; from slot `known` on they are guessed.
    """

    begin_utc_s: float
    soc_pct: float
    past: tuple[tuple[float, float, float], ...]
    import_per_kwh: tuple[float, ...]
    export_per_kwh: tuple[float, ...]
    known: int
    storage: Storage
    leave: Leave
    peaks: tuple[Peak, ...]
    valid_for_s: float


def plan_for(request: PlanRequest, offset_at: OffsetAt) -> PlanTable:
    """The plan; PlanError when none can be made."""
    return make_plan(
        PlanInputs(
            request.begin_utc_s,
            SLOT_S,
            np.array(request.import_per_kwh),
            np.array(request.export_per_kwh),
            _ensemble(request),
            request.storage,
            request.soc_pct,
            request.leave,
            tuple(
                DemandTerm(one.price_per_kw, np.array(one.applies), one.peak_so_far_w, one.expected_peak_w)
                for one in request.peaks
            ),
            request.valid_for_s,
        )
    )


def _ensemble(request: PlanRequest) -> Ensemble:
    slots = len(request.import_per_kwh)
    first = round(request.begin_utc_s / SLOT_S)
    known = {round(begin / SLOT_S): (load_w, pv_w) for begin, load_w, pv_w in request.past}
    days = []
    for back in range(1, MOST_DAYS + 1):
        course = [known.get(first + slot % DAY_SLOTS - back * DAY_SLOTS) for slot in range(slots)]
        found = [one for one in course if one is not None]
        if len(found) >= 0.5 * slots:
            mean = tuple(np.mean(found, axis=0))
            days.append([mean if one is None else one for one in course])
    if not days:
        latest = request.past[-1][1:] if request.past else (0.0, 0.0)
        days = [[(scale * latest[0], scale * latest[1])] * slots for scale in (0.5, 1.0, 1.5)]
    both = np.array(days, dtype=np.float64)
    return Ensemble(both[:, :, 0], both[:, :, 1], np.full(len(days), 1.0 / len(days)))


def sound(table: PlanTable, request: PlanRequest) -> PlanTable:
    """The table itself; PlanError when it is no plan that this request can have led to."""
    slots = len(request.import_per_kwh)
    wrong = ""
    if (
        table.water_values.ndim != 2
        or table.water_values.shape[0] != slots
        or not table.water_values.shape[1]
    ):
        wrong = f"water values of the shape {table.water_values.shape}"
    elif not np.isfinite(table.water_values).all() or np.abs(table.water_values).max() > MOST_WATER_VALUE:
        wrong = "a water value that is no price"
    elif table.soc_pct.shape != (slots, 3) or not ((table.soc_pct >= 0.0) & (table.soc_pct <= 100.0)).all():
        wrong = "an expected SoC that is no percentage"
    elif table.import_target_w.shape != (slots,) or not (table.import_target_w >= 0.0).all():
        wrong = "an import target that is no power"
    elif (table.begin_utc_s, table.slot_s) != (request.begin_utc_s, SLOT_S):
        wrong = "a plan for another time"
    elif not 0.0 < table.expires_at_utc_s - request.begin_utc_s <= request.valid_for_s:
        wrong = "an expiry beyond what was asked for"
    elif table.storage != request.storage or not isfinite(table.soc_from_pct + table.soc_to_pct):
        wrong = "a plan for another battery"
    else:
        for values in (
            table.import_per_kwh,
            table.export_per_kwh,
            table.net_load_w,
            table.battery_discharge_w,
        ):
            if values.shape != (slots,) or not np.isfinite(values).all():
                wrong = "figures that are no numbers"
    if wrong:
        raise PlanError(f"the planner answered with {wrong}")
    return table
