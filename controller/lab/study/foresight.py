"""Perfect foresight of a case: the linear programme of `oracle.py` with the same battery, tariff and
limits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from controller.lab.oracle import BilledPeak, Foresight, perfect_foresight
from controller.lab.study.case import Case, Material, Outcome, apart_w, net_load_w, outcome, stored_per_kwh
from controller.lab.study.plant import best_efficiency, mean_by_capacity, powers_w, sized
from controller.planning.bills import window_starts
from controller.planning.calendars import local_steps, parts_of
from controller.planning.inputs import Leave, Storage

Floats = NDArray[np.float64]


def storage_of(material: Material, case: Case) -> Storage:
    """The battery of a case as planner and programme see it."""
    config = sized(material.config, case.capacity_wh, case.power_w)
    into, out = best_efficiency(config)
    batteries = config.dispatch.batteries
    return Storage(
        case.capacity_wh,
        *powers_w(config.dispatch),
        ((1.0, into),),
        ((1.0, out),),
        config.planning.wear_per_kwh,
        mean_by_capacity(config.dispatch, [one.min_soc_pct for one in batteries]),
        mean_by_capacity(config.dispatch, [one.max_soc_pct for one in batteries]),
        config.dispatch.policy.reserve_pct,
    )


def leave_of(material: Material) -> Leave:
    """What the battery may do at the PCC."""
    dispatch = material.config.dispatch
    policy = dispatch.policy
    return Leave(
        policy.grid_charging or material.buys,
        policy.battery_export or material.sells,
        dispatch.import_limit_w,
        dispatch.export_limit_w,
        curtails=bool(dispatch.pvs),
    )


def reserve_yields(material: Material) -> NDArray[np.bool_]:
    """The steps in which load alone is beyond the import limit: a controller then goes below the reserve."""
    limit_w = material.config.dispatch.import_limit_w
    if limit_w is None:
        return np.zeros(material.rows, dtype=np.bool_)
    net_w = np.asarray(material.traces.load.values) - np.asarray(material.traces.pv.values)
    yields: NDArray[np.bool_] = material.means_w((net_w > limit_w).astype(np.float64)) > 0.0
    return yields


def billed_peaks(material: Material) -> tuple[BilledPeak, ...]:
    """One for each demand charge and month; ratchets and means over months are left to the bill."""
    parts = parts_of(material.step_s)  # none of them lies in two windows
    count, part_s = material.rows * parts, material.step_s / parts
    steps = local_steps(material.wall.begin_utc_s, part_s, count, material.wall.offset_at)
    found = []
    for charge in material.tariff.demand:
        starts = window_starts(charge, steps)
        window = np.repeat(np.arange(len(starts)), np.diff(starts, append=count))
        months, counted = steps.month_number[starts], charge.counts(steps)[starts]
        for month in np.unique(months):
            rate = charge.tiers[int(month) % 12][0].rate
            chosen = counted & (months == month)
            if chosen.any() and rate > 0.0:
                part = np.flatnonzero(chosen[window])
                number = (np.cumsum(chosen) - 1)[window[part]]
                pairs, times = np.unique([number, part // parts], axis=1, return_counts=True)
                share = times.astype(np.float64) * (part_s / max(charge.window_s, part_s))
                found.append(BilledPeak(rate, charge.minimum_kw * 1000.0, pairs[1], pairs[0], share))
    return tuple(found)


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
        billed_peaks(material),
        stored_per_kwh(material),
        apart_w(material),
        reserve_yields(material),
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
