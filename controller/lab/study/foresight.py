"""Perfect foresight of a case: the linear programme of `oracle.py` with the same battery, tariff and
limits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from controller.lab.oracle import Foresight, perfect_foresight
from controller.lab.study.case import Case, Material, Outcome, net_load_w, outcome, stored_per_kwh
from controller.planning.calendars import local_steps
from controller.planning.inputs import DemandTerm, Leave, Storage

Floats = NDArray[np.float64]


def storage_of(material: Material, case: Case) -> Storage:
    """The battery of a case as planner and programme see it."""
    config = material.config
    one_way = ((1.0, config.simulation.efficiency_pct / 100.0),)
    batteries = config.dispatch.batteries
    return Storage(
        case.capacity_wh,
        case.power_w,
        case.power_w,
        one_way,
        one_way,
        config.planning.wear_per_kwh,
        min(one.min_soc_pct for one in batteries),
        max(one.max_soc_pct for one in batteries),
        config.dispatch.policy.reserve_pct,
    )


def leave_of(material: Material) -> Leave:
    """What the battery may do at the PCC."""
    dispatch = material.config.dispatch
    policy = dispatch.policy
    return Leave(
        policy.grid_charging,
        policy.battery_export,
        dispatch.import_limit_w,
        dispatch.export_limit_w,
        curtails=bool(dispatch.pvs),
    )


def demand_terms(material: Material) -> tuple[DemandTerm, ...]:
    """One for each demand charge and month; ratchets and means over months are left to the bill."""
    wall = material.wall
    steps = local_steps(wall.begin_utc_s, material.step_s, material.rows, wall.offset_at)
    terms = []
    for charge in material.tariff.demand:
        counted = charge.counts(steps)
        for month in np.unique(steps.month_number):
            applies = counted & (steps.month_number == month)
            rate = charge.tiers[int(month) % 12][0].rate
            if applies.any() and rate > 0.0:
                terms.append(DemandTerm(rate, applies, charge.minimum_kw * 1000.0))
    return tuple(terms)


def foreseen(material: Material, storage: Storage) -> Foresight:
    """What would have been best, seen from the end."""
    prices = material.prices
    return perfect_foresight(
        net_load_w(material),
        prices.import_per_kwh,
        prices.export_per_kwh,
        material.step_s,
        storage,
        leave_of(material),
        material.config.simulation.initial_soc_pct,
        demand_terms(material),
        stored_per_kwh(material),
    )


def run_oracle(material: Material, case: Case) -> Outcome:
    """The outcome of perfect foresight."""
    storage = storage_of(material, case)
    best = foreseen(material, storage)
    grid_w = net_load_w(material) - best.discharge_w
    leave, export_w = leave_of(material), np.maximum(-grid_w, 0.0)
    if leave.curtails:
        most_w = np.inf if leave.export_limit_w is None else leave.export_limit_w
        export_w = np.minimum(export_w, np.where(material.prices.export_per_kwh < 0.0, 0.0, most_w))
    per_kwh = material.step_s / 3.6e6
    return outcome(
        material,
        case,
        np.maximum(grid_w, 0.0),
        export_w,
        np.concatenate(([material.config.simulation.initial_soc_pct], best.soc_pct[:-1])),
        float(np.maximum(-best.discharge_w, 0.0).sum()) * per_kwh,
        float(np.maximum(best.discharge_w, 0.0).sum()) * per_kwh,
        end_soc_pct=float(best.soc_pct[-1]),
    )
