"""A plan: water values for the loop, and for people what is expected to come of them."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

from controller.dispatch.orders import SAME_PER_KWH, Plan
from controller.planning.demand import peak_targets
from controller.planning.history import quantiles
from controller.planning.inputs import Floats, PlanInputs, Storage, check
from controller.planning.skill import Skill
from controller.planning.water_values import Values, water_values

FULL_AT_END = 0.95
"""What a kWh of a full battery is worth at the end beside one of an empty one: a little less, so that where
prices do not change it is used rather than kept."""


BAND = np.array([0.1, 0.5, 0.9])
"""Which shares of the courses the expected SoC is given for."""


@dataclass(frozen=True, slots=True, eq=False)
class PlanTable:
    """A plan in full: what the loop needs (`orders_plan`), and what people want to see.

    `water_values[slot][level]` in currency per kWh in the cells, levels evenly spaced from `soc_from_pct` to
    `soc_to_pct`. Prices, SoC (at the end of each slot: low, middle, high) and `battery_discharge_w` are what
    is expected; `battery_grid_w` is the part of the discharge that goes into the grid, negative: the part of
    the charge that comes from there. `import_target_w` is the mean import that no slot should exceed; inf
    where there is none. `skill` is how good forecasts were lately, where that was asked for.
    """

    begin_utc_s: float
    slot_s: float
    expires_at_utc_s: float
    soc_from_pct: float
    soc_to_pct: float
    water_values: Floats
    import_per_kwh: Floats
    export_per_kwh: Floats
    net_load_w: Floats
    soc_pct: Floats
    battery_discharge_w: Floats
    battery_grid_w: Floats
    import_target_w: Floats
    storage: Storage
    skill: Skill | None = None

    def orders_plan(self) -> Plan:
        """The part that dispatch acts on: water values for as long as the plan holds."""
        storage = self.storage
        lasts = ceil((self.expires_at_utc_s - self.begin_utc_s) / self.slot_s)
        return Plan(
            self.begin_utc_s,
            self.slot_s,
            tuple(tuple(row) for row in self.water_values[:lasts].tolist()),
            self.expires_at_utc_s,
            self.soc_from_pct,
            self.soc_to_pct,
            _in_w(storage.charge_efficiency, storage.max_charge_w),
            _in_w(storage.discharge_efficiency, storage.max_discharge_w),
            storage.wear_per_kwh,
            tuple(self.import_target_w.tolist()) if np.isfinite(self.import_target_w).any() else (),
        )


def _in_w(curve: tuple[tuple[float, float], ...], rated_w: float) -> tuple[tuple[float, float], ...]:
    return tuple((share * rated_w, efficiency) for share, efficiency in curve)


def make_plan(inputs: PlanInputs) -> PlanTable:
    """The plan for these inputs; raises `PlanError` when none can be made."""
    check(inputs)
    storage, ensemble = inputs.storage, inputs.ensemble
    targets = peak_targets(inputs)
    saved = worth_at_middle_price(inputs)
    tail = np.linspace(saved, FULL_AT_END * saved, inputs.levels)
    values = water_values(inputs, _import_at_most_w(inputs, targets.import_w), tail)
    ahead = values.outlook
    by_step = ahead.chain.likely(ensemble.weights)
    likely = ahead.spread(by_step)
    soc_pct, discharge_w, grid_w = _expected(inputs, values)
    return PlanTable(
        inputs.begin_utc_s,
        inputs.slot_s,
        inputs.begin_utc_s + inputs.valid_for_s,
        storage.floor_pct,
        storage.max_soc_pct,
        _dearer(ahead.spread((by_step[:, None] @ values.after)[:, 0]), targets.worth),
        _mean(inputs.import_per_kwh, likely),
        _mean(inputs.export_per_kwh, likely),
        _mean(ensemble.net_load_w, likely),
        soc_pct,
        discharge_w,
        grid_w,
        targets.import_w,
        storage,
    )


def _dearer(worth: Floats, for_peaks: Floats) -> Floats:
    """Whichever is more, where charge is worth anything for the peaks; by prices it may be less than 0."""
    return np.where(for_peaks > 0.0, np.maximum(worth, for_peaks), worth)


def _import_at_most_w(inputs: PlanInputs, target_w: Floats) -> Floats:
    """The targets of the peaks, and the contracted import where the load may come to exceed it."""
    limit_w = inputs.leave.import_limit_w
    if limit_w is None or float(inputs.ensemble.net_load_w.max()) <= limit_w:
        return target_w
    return np.minimum(target_w, limit_w)


def worth_at_middle_price(inputs: PlanInputs) -> float:
    """What a kWh in the cells saves at the middle of these import prices, per kWh."""
    storage, middle = inputs.storage, float(np.median(inputs.import_per_kwh))
    return max(storage.discharge_efficiency[-1][1] * (middle - storage.wear_per_kwh), 0.0)


def _mean(values: Floats, likely: Floats) -> Floats:
    return values if values.ndim == 1 else np.einsum("st,ts->t", values, likely)


def _expected(inputs: PlanInputs, values: Values) -> tuple[Floats, Floats, Floats]:
    """SoC at the end of each slot (low, middle, high) in drawn courses; mean discharge and its grid part."""
    told_s = np.inf if inputs.told_s is None else inputs.told_s
    told = int(np.searchsorted(values.outlook.begin * inputs.slot_s, told_s))
    ahead, rungs, levels = values.outlook.until(max(told, 1)), values.ladder, inputs.levels
    steps = ahead.steps
    # Where it comes to the same, dispatch stores surplus at once, and covers load unless peaks are billed.
    same = SAME_PER_KWH * np.sign(np.minimum(ahead.net_w, 0.0) if inputs.demand else ahead.net_w)
    meets = _meets(values.after[:steps], rungs.price[:, :steps] + same)
    storage = inputs.storage
    usable_pct = max(storage.max_soc_pct - storage.floor_pct, 1e-9)
    level = (inputs.soc_pct - storage.floor_pct) / usable_pct * (levels - 1)
    level = min(max(level, 0.0), levels - 1.0)
    path = ahead.chain.drawn(inputs.ensemble.weights)
    when = np.arange(steps)[:, None]
    # steps x ends x courses, shortest shift last
    shift = rungs.shift[:, when, path].transpose(1, 0, 2)
    meet = meets[:, when, path].transpose(1, 0, 2)
    found = _gone_through(level, shift, meet, levels - 1.0)
    moved = np.diff(found, axis=0, prepend=level)
    soc_pct = storage.floor_pct + found / (levels - 1) * usable_pct
    cells_w = moved * values.level_kwh * 1000.0 / ahead.hours[:, None]
    into, out = storage.charge_efficiency[-1][1], storage.discharge_efficiency[-1][1]
    discharge_w = np.where(moved > 0.0, -cells_w / into, -cells_w * out)
    net_w = ahead.net_w[when, path]
    own_w = np.clip(discharge_w, np.minimum(net_w, 0.0), np.maximum(net_w, 0.0))
    soc_pct = np.vstack([np.full((1, 3), inputs.soc_pct), quantiles(soc_pct, BAND)])
    ends, slots = np.append(0, ahead.begin + ahead.lasts), np.arange(1, inputs.slots + 1)
    expected_w = np.zeros((2, inputs.slots))
    for row, each_w in zip(expected_w, (discharge_w, discharge_w - own_w), strict=True):
        row[: ahead.slots] = ahead.spread(each_w.mean(axis=1))
    return np.stack([np.interp(slots, ends, one) for one in soc_pct.T], axis=1), *expected_w


def _gone_through(level: float, shift: Floats, meet: Floats, highest: float) -> Floats:
    """Steps x courses: the level at the end of each step, from its ladder and where the rungs are met."""
    steps, ends, courses = shift.shape
    found = np.empty((steps, courses))
    at, reach = np.full(courses, level), np.empty((ends, courses))
    for now, shifts, meets in zip(found, shift, meet, strict=True):
        np.add(at, shifts, out=reach)
        now[:] = reach[-1]
        for end in range(ends - 2, -1, -1):
            np.maximum(meets[end], now, out=now)
            np.minimum(reach[end], now, out=now)
        np.maximum(now, 0.0, out=now)
        np.minimum(now, highest, out=now)
        at = now
    return found


def _meets(after: Floats, price: Floats) -> Floats:
    """Where the water value falls to each rung's price: `[rung, step, state]` in levels of SoC."""
    levels, found = after.shape[-1], np.empty(price.shape)
    flat, begin = after.ravel(), np.arange(0, after.size, levels).reshape(after.shape[:-1])
    for rung, prices in enumerate(price):
        dearer = (after > prices[..., None]).sum(axis=-1)
        low = np.minimum(np.maximum(dearer - 1, 0), levels - 2)
        above, below = flat[begin + low], flat[begin + low + 1]
        part = np.divide(above - prices, above - below, out=np.ones_like(above), where=above > below)
        met = np.minimum(low + np.minimum(np.maximum(part, 0.0), 1.0), levels - 1)
        found[rung] = np.where(dearer == 0, 0.0, met)
    return found
