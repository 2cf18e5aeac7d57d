"""All that a plan is made from, as plain values that pass between processes, and the plan for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from controller.planning.forecast import filled_prices, forecast
from controller.planning.history import Ahead, History, free_slots
from controller.planning.inputs import DemandTerm, Floats, Leave, PlanError, PlanInputs, Storage
from controller.planning.plan import PlanTable, make_plan
from controller.planning.skill import skill

SLOT_S = 900.0
MOST_WATER_VALUE = 100.0
DAY_SLOTS = 96

Values = tuple[float | None, ...]
"""One for each slot, None where it is not known."""


@dataclass(frozen=True, slots=True)
class Peak:
    """One billed peak: what a kW more costs, in which slots it is counted, and what was had already.

    `ends` is the slot with which its month is over, counted on beyond those of the plan.
    """

    price_per_kw: float
    applies: tuple[bool, ...]
    peak_so_far_w: float
    expected_peak_w: float
    ends: int = 0


@dataclass(frozen=True, slots=True)
class Course:
    """Slots of `SLOT_S` one after the other: prices, and what was measured in those that have passed.

    `said_*` is an outside forecast, in the past what it had said first; empty where there is none. `pv_held`
    are the numbers of the past slots in which PV inverters were held down.
    """

    offset_s: tuple[float, ...]
    import_per_kwh: Values
    export_per_kwh: Values
    load_w: Values = ()
    pv_w: Values = ()
    said_load_w: Values = ()
    said_pv_w: Values = ()
    pv_held: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What is known when a plan is asked for: the past ends where the slots ahead begin, at `begin_utc_s`."""

    begin_utc_s: float
    soc_pct: float
    past: Course
    ahead: Course
    storage: Storage
    leave: Leave
    peaks: tuple[Peak, ...]
    valid_for_s: float
    with_skill: bool = False
    told_s: float | None = None
    pv_rated_w: float = 0.0

    @property
    def slots(self) -> int:
        """How many lie ahead."""
        return len(self.ahead.offset_s)

    @property
    def known(self) -> int:
        """How many of them, from the first on, have a price."""
        both = zip(self.ahead.import_per_kwh, self.ahead.export_per_kwh, strict=True)
        return next((place for place, pair in enumerate(both) if None in pair), self.slots)


def plan_for(request: PlanRequest) -> PlanTable:
    """The plan, with the skill of its forecasts if asked; PlanError when none can be made."""
    past, ahead = request.past, request.ahead
    history = _history(request)
    offset_s = np.array([*past.offset_s, *ahead.offset_s], dtype=np.float64)
    free = free_slots(history.begin_utc_s, SLOT_S, offset_s)
    battery_w = request.storage.max_discharge_w if request.peaks else None
    table = make_plan(
        PlanInputs(
            request.begin_utc_s,
            SLOT_S,
            filled_prices(_array(past.import_per_kwh), _array(ahead.import_per_kwh), free, DAY_SLOTS),
            filled_prices(_array(past.export_per_kwh), _array(ahead.export_per_kwh), free, DAY_SLOTS),
            forecast(history, _ahead(request), battery_w=battery_w),
            request.storage,
            request.soc_pct,
            request.leave,
            tuple(
                DemandTerm(
                    one.price_per_kw,
                    np.array(one.applies),
                    one.peak_so_far_w,
                    one.expected_peak_w,
                    one.ends,
                )
                for one in request.peaks
            ),
            request.valid_for_s,
            told_s=request.told_s,
        )
    )
    return replace(table, skill=skill(history)) if request.with_skill else table


def _array(values: Values) -> Floats:
    return np.array(values, dtype=np.float64)  # None becomes NaN


def _history(request: PlanRequest) -> History:
    past = request.past
    slots = len(past.offset_s)
    return History(
        request.begin_utc_s - slots * SLOT_S,
        SLOT_S,
        np.array(past.offset_s, dtype=np.float64),
        _measured(past.load_w, slots),
        _measured(past.pv_w, slots),
        _array(past.import_per_kwh),
        _said(past.said_load_w),
        _said(past.said_pv_w),
        request.pv_rated_w,
        _held(past.pv_held, slots),
    )


def _ahead(request: PlanRequest) -> Ahead:
    ahead = request.ahead
    return Ahead(
        np.array(ahead.offset_s, dtype=np.float64),
        _array(ahead.import_per_kwh),
        _said(ahead.said_load_w),
        _said(ahead.said_pv_w),
    )


def _said(values: Values) -> Floats | None:
    return _array(values) if values else None


def _held(numbers: tuple[int, ...], slots: int) -> NDArray[np.bool_] | None:
    if not numbers:
        return None
    held = np.zeros(slots, dtype=bool)
    held[[one for one in numbers if 0 <= one < slots]] = True
    return held


def _measured(values: Values, slots: int) -> Floats:
    return _array(values) if values else np.full(slots, np.nan)


def sound(table: PlanTable, request: PlanRequest) -> PlanTable:
    """The table itself; PlanError when it is no plan that this request can have led to."""
    slots = request.slots
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
            table.battery_grid_w,
        ):
            if values.shape != (slots,) or not np.isfinite(values).all():
                wrong = "figures that are no numbers"
    if wrong:
        raise PlanError(f"the planner answered with {wrong}")
    return table
