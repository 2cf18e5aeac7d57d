"""The value of a peak: which import no slot should exceed, and what must be stored for that.

A peak has no price per kWh that water values could carry: it is decided by the worst quarter hour of a month.
So whole days of the past are gone through with one candidate target after the other: above it the battery
discharges, below it charges, and where it runs empty the peak is what it is. The target that is cheapest on
all but the worst of those days is taken; no lower than what the month has had already. Backwards through the
same days follows how much must be stored at each slot to hold it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.planning.inputs import Floats, PlanInputs

CANDIDATES = 25
SURE = 0.95
"""In so many of the days gone through what is stored is enough."""
HIGHER = 1.1
"""So much higher than on those days the load may be: a kWh stored in vain costs its losses only."""
UNHURRIED = 0.5
"""What has to be stored is charged with so much of what could be, so that a surprise finds it done."""


@dataclass(frozen=True, slots=True, eq=False)
class PeakTargets:
    """For each slot: the mean import not to exceed (inf: none), and the kWh to hold at its end."""

    import_w: Floats
    stored_kwh: Floats


def peak_targets(inputs: PlanInputs) -> PeakTargets:
    """The cheapest targets for the peaks that are billed."""
    terms = [term for term in inputs.demand if term.applies.any() and term.per_kw > 0.0]
    if not terms:
        return PeakTargets(np.full(inputs.slots, np.inf), np.zeros(inputs.slots))
    paths_w = inputs.ensemble.courses_w
    highest_w = max(float(paths_w.max()), 0.0)
    lowest_w = max(highest_w - 1.5 * inputs.storage.max_discharge_w, 0.0)
    candidates_w = np.linspace(lowest_w, highest_w, CANDIDATES)
    had_w = np.array([max(term.peak_so_far_w, term.expected_peak_w) for term in terms])
    applies = np.stack([term.applies for term in terms])
    # candidates x slots
    own_w = np.maximum(candidates_w[:, None], had_w[None, :])
    limits_w = np.where(applies[None], own_w[:, :, None], np.inf).min(axis=1)
    peaks_w = np.maximum(_peaks(inputs, paths_w, limits_w, applies), had_w[:, None, None])
    per_kw = np.array([term.per_kw for term in terms])
    cost = np.quantile(np.einsum("e,ecp->cp", per_kw, peaks_w), SURE, axis=1)
    # Of targets that cost the same the highest: it leaves most in the battery.
    best = int(np.flatnonzero(cost <= cost.min() + 1e-9)[-1])
    return PeakTargets(limits_w[best], _stored(inputs, HIGHER * paths_w, limits_w[best]))


def _peaks(inputs: PlanInputs, paths_w: Floats, limits_w: Floats, applies: NDArray[np.bool_]) -> Floats:
    """Terms x candidates x paths: the highest import if the limits are held as far as they can be."""
    storage, hours = inputs.storage, inputs.slot_s / 3600.0
    into, out = storage.charge_efficiency[-1][1], storage.discharge_efficiency[-1][1]
    usable_wh = storage.capacity_wh * (storage.max_soc_pct - storage.floor_pct) / 100.0
    begin_wh = storage.capacity_wh * (inputs.soc_pct - storage.floor_pct) / 100.0
    stored_wh = np.full((len(limits_w), len(paths_w)), min(max(begin_wh, 0.0), usable_wh))
    found_w = np.zeros((len(applies), *stored_wh.shape))
    for slot in range(inputs.slots):
        net_w = paths_w[None, :, slot]
        over_w = net_w - limits_w[:, slot, None]
        discharge_w = np.clip(over_w, 0.0, storage.max_discharge_w)
        discharge_w = np.minimum(discharge_w, stored_wh * out / hours)
        room_w = np.minimum(-over_w if inputs.leave.grid_charging else -net_w, storage.max_charge_w)
        charge_w = np.clip(room_w, 0.0, (usable_wh - stored_wh) / into / hours)
        stored_wh = stored_wh + (charge_w * into - discharge_w / out) * hours
        counted = applies[:, slot]
        if counted.any():
            found_w[counted] = np.maximum(found_w[counted], net_w - discharge_w)
    return found_w


def _stored(inputs: PlanInputs, paths_w: Floats, limit_w: Floats) -> Floats:
    """The kWh to hold at the end of each slot so that what follows stays below its limit."""
    storage, hours = inputs.storage, inputs.slot_s / 3600.0
    into, out = storage.charge_efficiency[-1][1], storage.discharge_efficiency[-1][1]
    usable_wh = storage.capacity_wh * (storage.max_soc_pct - storage.floor_pct) / 100.0
    found_wh = np.zeros((inputs.slots, len(paths_w)))
    for slot in range(inputs.slots - 1, 0, -1):
        over_w = paths_w[:, slot] - limit_w[slot]
        room_w = -over_w if inputs.leave.grid_charging else -paths_w[:, slot]
        gained_w = np.clip(np.minimum(room_w, storage.max_charge_w), 0.0, None) * into * UNHURRIED
        spent_w = np.clip(over_w, 0.0, storage.max_discharge_w) / out
        found_wh[slot - 1] = np.clip(found_wh[slot] + (spent_w - gained_w) * hours, 0.0, usable_wh)
    needed: Floats = np.quantile(found_wh, SURE, axis=1) / 1000.0
    return needed
