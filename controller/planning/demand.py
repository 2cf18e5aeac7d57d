"""The value of a peak: which import no slot should exceed, and what must be stored for that.

A peak has no price per kWh that water values could carry: it is decided by the worst quarter hour of a month.
So courses as on past days are gone through with one candidate target after the other: above it the battery
discharges, below it charges. A target is held for a few hours only; what comes then will be known better, and
the rest of each course is gone through with the least target that what is left in the battery can hold. So a
target that may turn out too low costs what it discharges meanwhile, one too high is paid for at once. The
candidate that is cheapest over all courses is taken; no lower than what the month has had already.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.dispatch.orders import SPENT_SHARE
from controller.planning.inputs import DemandTerm, Floats, PlanInputs

CANDIDATES = 25
HOLD_S = 4 * 3600.0
"""A target is judged as if it were held so long, and what comes after known by then."""
LOOK_S = 24 * 3600.0
"""Courses are gone through so far: a day has its peak, and at night the battery is filled again."""
LIKELY = 0.9
"""A target is judged by what it costs on so many of the courses, not by the few worst ones."""
SURE = 0.95
"""In so many of the days gone through what is stored is enough."""
HIGHER = 1.1
"""So much higher than on those days the load may be: a kWh stored in vain costs its losses only."""
WORSE = 1.3
"""A day that needs so much more at any hour than all that were seen comes once in one more than those."""
PEAK_LASTS_H = 2.0
"""A kWh that is missing raises a peak by a kW over so many hours."""
UNHURRIED = 0.5
"""What has to be stored is charged with so much of what could be, so that a surprise finds it done."""


@dataclass(frozen=True, slots=True, eq=False)
class PeakTargets:
    """For each slot: the mean import not to exceed (inf: none), and what must be stored at its end for that.

    `stored_kwh` is what in all likelihood holds the limit. `worth[slot, level]` per kWh is what one more may
    be good for: the chance that it is needed, times what the peak costs without it.
    """

    import_w: Floats
    stored_kwh: Floats
    worth: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Battery:
    """What the battery can: powers at AC, energies in the cells."""

    charge_w: float
    discharge_w: float
    into: float
    out: float
    usable_wh: float
    stored_wh: float
    from_grid: bool
    hours: float

    @classmethod
    def of(cls, inputs: PlanInputs) -> _Battery:
        """That of a plan's inputs."""
        storage = inputs.storage
        usable_wh = storage.usable_wh
        stored_wh = storage.capacity_wh * (inputs.soc_pct - storage.floor_pct) / 100.0
        return cls(
            storage.max_charge_w,
            storage.max_discharge_w,
            storage.charge_efficiency[-1][1],
            storage.discharge_efficiency[-1][1],
            usable_wh,
            min(max(stored_wh, 0.0), usable_wh),
            inputs.leave.grid_charging,
            inputs.slot_s / 3600.0,
        )

    def spent_wh(self, net_w: Floats, limit_w: Floats) -> Floats:
        """What holding the limit takes out of the cells in a slot; negative: what it could put in."""
        over_w = net_w - limit_w
        room_w = -over_w if self.from_grid else np.minimum(-over_w, -net_w)
        spent_w = np.clip(over_w, 0.0, self.discharge_w) / self.out
        return np.asarray((spent_w - np.clip(room_w, 0.0, self.charge_w) * self.into) * self.hours)


def peak_targets(inputs: PlanInputs) -> PeakTargets:
    """The cheapest targets for the peaks that are billed."""
    terms = [term for term in inputs.demand if term.applies.any() and term.per_kw > 0.0]
    if not terms:
        none = np.zeros((inputs.slots, inputs.levels))
        return PeakTargets(np.full(inputs.slots, np.inf), none[:, 0], none)
    limits_w = _limits(inputs, terms)
    paths_w = inputs.ensemble.courses_w
    worse_w = WORSE * np.maximum(paths_w, 0.0).max(axis=0)
    needed_wh = _needed_wh(inputs, np.vstack([HIGHER * paths_w, worse_w]), limits_w)
    level_wh = np.linspace(0.0, inputs.storage.usable_wh, inputs.levels)
    chance = (needed_wh[:, :, None] > level_wh).mean(axis=1)
    per_kwh = max(term.per_kw for term in terms) / PEAK_LASTS_H
    return PeakTargets(limits_w, np.quantile(needed_wh[:, :-1], SURE, axis=1) / 1000.0, chance * per_kwh)


def _limits(inputs: PlanInputs, terms: list[DemandTerm]) -> Floats:
    """The limit of each slot by the cheapest candidate."""
    paths_w, battery = inputs.ensemble.courses_w, _Battery.of(inputs)
    had_w = np.array([max(term.peak_so_far_w, term.expected_peak_w) for term in terms])
    per_kw = np.array([term.per_kw for term in terms])
    applies = np.stack([term.applies for term in terms])
    highest_w = max(float(paths_w.max()), 0.0)
    lowest_w = max(highest_w - 1.5 * battery.discharge_w, min(float(had_w.min()), highest_w), 0.0)
    # candidates x terms, candidates x slots
    own_w = np.maximum(np.linspace(lowest_w, highest_w, CANDIDATES)[:, None], had_w[None, :])
    limits_w = np.where(applies[None], own_w[:, :, None], np.inf).min(axis=1)
    look = round(LOOK_S / inputs.slot_s)
    look = look if applies[:, :look].any() else inputs.slots
    hold = min(round(HOLD_S / inputs.slot_s), look)
    now, later = slice(0, hold), slice(hold, min(look, inputs.slots))
    held_w = SPENT_SHARE * limits_w
    peaks_w, left_wh = _held(battery, paths_w[:, now], held_w[:, now], applies[:, now])
    peaks_w = np.maximum(peaks_w, had_w[:, None, None])
    if later.stop > later.start:
        least = _least(battery, paths_w[:, later], held_w[:, later], left_wh)
        tops_w = _tops(paths_w[:, later], applies[:, later])
        levels_w = np.concatenate([own_w, np.full((1, len(terms)), np.inf)])[least].transpose(2, 0, 1)
        peaks_w = np.maximum(peaks_w, np.minimum(levels_w, tops_w[:, None, :]))
    cost = np.quantile(np.einsum("e,ecp->cp", per_kw, peaks_w), LIKELY, axis=1)
    # Of those that cost the same the highest that is no higher than the peak will be: it leaves most stored.
    same = np.flatnonzero(cost <= cost.min() + 1e-9 * max(float(cost.min()), 1.0))
    reached_w = peaks_w[:, same].mean(axis=2).max(axis=0)
    within = same[own_w[same].min(axis=1) <= reached_w + 1.0]
    best = int(within[-1]) if len(within) else int(same[0])
    chosen: Floats = limits_w[best]
    return chosen


def _held(
    battery: _Battery, paths_w: Floats, limits_w: Floats, applies: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Terms x candidates x paths: the highest import with the limits held as far as they can be; Wh left."""
    stored_wh = np.full((len(limits_w), len(paths_w)), battery.stored_wh)
    found_w = np.zeros((len(applies), *stored_wh.shape))
    for slot in range(paths_w.shape[1]):
        net_w, limit_w = paths_w[None, :, slot], limits_w[:, slot, None]
        spent_wh = battery.spent_wh(net_w, limit_w)
        spent_wh = np.minimum(spent_wh, stored_wh)
        stored_wh = np.minimum(stored_wh - spent_wh, battery.usable_wh)
        import_w = net_w - np.maximum(spent_wh, 0.0) * battery.out / battery.hours
        counted = applies[:, slot]
        found_w[counted] = np.maximum(found_w[counted], import_w)
    return found_w, stored_wh


def _least(battery: _Battery, paths_w: Floats, limits_w: Floats, left_wh: Floats) -> NDArray[np.intp]:
    """Candidates x paths: the lowest candidate that what is left can hold; the number of them if none can."""
    spent_wh = battery.spent_wh(paths_w[None], limits_w[:, None, :])
    total_wh = np.cumsum(spent_wh, axis=-1)
    needed_wh = total_wh.max(axis=-1)
    most_wh = np.maximum.accumulate(total_wh[..., ::-1], axis=-1)[..., ::-1]
    # What is needed at a later slot has to fit into the battery, and the power into its rating.
    fits = np.max(most_wh[..., 1:] - total_wh[..., :-1], axis=-1, initial=0.0) <= battery.usable_wh
    fits &= ((paths_w[None] - limits_w[:, None, :]).max(axis=-1)) <= battery.discharge_w
    needed_wh = np.where(fits, needed_wh, np.inf)
    enough = needed_wh[None] <= left_wh[:, None, :] + 1e-6
    return np.where(enough.any(axis=1), enough.argmax(axis=1), len(limits_w))


def _tops(paths_w: Floats, applies: NDArray[np.bool_]) -> Floats:
    """Terms x paths: the highest net load where it counts."""
    counted = np.where(applies[:, None, :], paths_w[None], 0.0)
    return np.asarray(np.maximum(counted, 0.0).max(axis=-1))


def _needed_wh(inputs: PlanInputs, paths_w: Floats, limit_w: Floats) -> Floats:
    """Slots x paths: what to hold at the end of each slot so that what follows stays below its limit."""
    storage, hours = inputs.storage, inputs.slot_s / 3600.0
    into, out = storage.charge_efficiency[-1][1], storage.discharge_efficiency[-1][1]
    usable_wh = storage.usable_wh
    found_wh = np.zeros((inputs.slots, len(paths_w)))
    for slot in range(inputs.slots - 1, 0, -1):
        over_w = paths_w[:, slot] - limit_w[slot]
        room_w = -over_w if inputs.leave.grid_charging else -paths_w[:, slot]
        gained_w = np.clip(np.minimum(room_w, storage.max_charge_w), 0.0, None) * into * UNHURRIED
        spent_w = np.clip(over_w, 0.0, storage.max_discharge_w) / out
        found_wh[slot - 1] = np.clip(found_wh[slot] + (spent_w - gained_w) * hours, 0.0, usable_wh)
    return found_wh
