"""Stochastic dynamic programming backwards over time: what one more kWh is worth at each SoC, slot and state.

The worth of what is stored is kept as its slope: a water value per level of SoC, falling with SoC. In one
slot and one state of the ensemble the battery meets a ladder of prices: charging from the grid, from the
sun's surplus, discharging into the load, into the grid. Each rung has a price per kWh in the cells and an
end, where the next one begins. While buying costs at least what selling brings the rungs are in order, and
the best action is where ladder and water value meet. Its slope needs no search: a chain of min and max.
Where the rungs are out of order (import cheaper than export), every action is tried.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from controller.planning.inputs import Floats, PlanInputs

DAY_S = 86_400.0
COARSE_S, DAYS_AGAIN = 3600.0, 2
PEAK_PER_KWH = 10.0
"""What a kWh above the target of a peak counts on top of its price."""
OUT_OF_REACH = 1e6
"""The slope beyond an empty or full battery: no price leads there."""


@dataclass(frozen=True, slots=True, eq=False)
class Ladder:
    """What one slot allows and costs in each state, dearest charge first.

    `shift[end, slot, state]` in levels of SoC, from the most that can be charged to the most that can be
    discharged; `price[rung, slot, state]` per kWh in the cells, between one end and the next; `slot` is the
    number of each in the inputs, and each lasts so many `times` as long as there.
    """

    shift: Floats
    price: Floats
    in_order: NDArray[np.bool_]
    slot: NDArray[np.intp]
    times: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """`after[slot, state, level]`: the worth of one more kWh at the end of the slot, begun in that state."""

    after: Floats
    ladder: Ladder
    level_kwh: float


def efficiency_at(curve: tuple[tuple[float, float], ...], power_w: Floats, rated_w: float) -> Floats:
    """The one-way efficiency at these powers."""
    shares, efficiencies = zip(*curve, strict=True)
    if len(curve) == 1:
        return np.full(power_w.shape, efficiencies[0])
    found: Floats = np.interp(power_w / max(rated_w, 1e-9), shares, efficiencies)
    return found


def ladder(inputs: PlanInputs, target_w: Floats, level_kwh: float) -> Ladder:
    """The ladder of every slot and state; import above `target_w` is to be avoided at any price."""
    storage, leave = inputs.storage, inputs.leave
    net_w = inputs.ensemble.net_load_w.T
    buy = np.broadcast_to(inputs.import_per_kwh, net_w.T.shape).T
    sell = np.broadcast_to(inputs.export_per_kwh, net_w.T.shape).T
    surplus_w, load_w = np.maximum(-net_w, 0.0), np.maximum(net_w, 0.0)
    import_w = np.minimum(np.inf if leave.import_limit_w is None else leave.import_limit_w, target_w)[:, None]
    export_w = np.inf if leave.export_limit_w is None else leave.export_limit_w
    own_w = np.minimum(load_w, storage.max_discharge_w)
    sun_w = np.minimum(surplus_w, storage.max_charge_w)
    most_w, least_w = own_w, sun_w
    if leave.battery_export:
        most_w = np.clip(net_w + export_w, own_w, storage.max_discharge_w)
    if leave.grid_charging:
        least_w = np.clip(import_w - net_w, sun_w, storage.max_charge_w)

    def out(power_w: Floats) -> Floats:
        return efficiency_at(storage.discharge_efficiency, power_w, storage.max_discharge_w)

    def into(power_w: Floats) -> Floats:
        return efficiency_at(storage.charge_efficiency, power_w, storage.max_charge_w)

    out_own, in_sun, wear = out(own_w), into(sun_w), storage.wear_per_kwh
    has_load = net_w > 0.0
    ends = [least_w * into(least_w), sun_w * in_sun, -own_w / out_own, -most_w / out(most_w)]
    middle = np.where(has_load, (buy - wear) * out_own, sell / in_sun)
    rungs = [buy / into(least_w), middle, (sell - wear) * out(most_w)]
    if leave.export_limit_w is not None or np.isfinite(target_w).any():
        over_w = np.clip(net_w - target_w[:, None], 0.0, own_w)
        spilt_w = np.clip(surplus_w - export_w, 0.0, sun_w)
        ends.insert(2, np.where(has_load, -over_w / out_own, spilt_w * in_sun))
        saved = (buy + PEAK_PER_KWH - wear) * out_own
        # Load: first what is above the target. Surplus: last what could not be exported, which costs nothing.
        first = np.where(has_load, saved, middle)
        last = np.where(has_load, middle, np.where(spilt_w > 0.0, np.minimum(middle, 0.0), middle))
        rungs[1:2] = [first, last]
    shift = np.stack(ends) * (inputs.slot_s / 3.6e6 / level_kwh)
    price = np.stack(rungs)
    # A rung of no length has no price of its own.
    for rung in range(len(price)):
        dearer = price[rung - 1] if rung else OUT_OF_REACH
        price[rung] = np.where(shift[rung] > shift[rung + 1], price[rung], dearer)
    # One that has no length anywhere, as where the grid may not charge, changes nothing and only takes time.
    lasting = (shift[:-1] > shift[1:]).any(axis=(1, 2))
    shift, price = shift[np.append(True, lasting)], price[lasting]
    falling = np.diff(price, axis=0) <= 1e-9
    return Ladder(shift, price, np.asarray(falling.all(axis=(0, 2))), np.arange(inputs.slots))


def water_values(inputs: PlanInputs, target_w: Floats, tail: float) -> Values:
    """Backwards from the end, where a kWh is worth what it would be if the last day came again and again.

    Those days are gone through in coarse steps, from a flat worth of `tail` per kWh on; that is the end's own
    where the inputs are shorter than a day.
    """
    storage, levels = inputs.storage, inputs.levels
    level_kwh = max(storage.usable_wh / 1000.0 / (levels - 1), 1e-9)
    rungs = ladder(inputs, target_w, level_kwh)
    slots, states = rungs.shift.shape[1:]
    follow = _follow(inputs)
    last_day = np.arange(max(slots - round(DAY_S / inputs.slot_s), 0), slots)
    coarse = last_day[:: max(round(COARSE_S / inputs.slot_s), 1)]
    times = len(last_day) / len(coarse)
    end = np.full((states, levels), tail)
    again = Ladder(
        rungs.shift[:, coarse] * times, rungs.price[:, coarse], rungs.in_order[coarse], coarse, times
    )
    hop = np.linalg.matrix_power(follow[coarse], max(round(times), 1))
    for _ in range(DAYS_AGAIN if len(last_day) * inputs.slot_s >= DAY_S else 0):
        end = hop[-1] @ _backwards(inputs, again, hop, end, level_kwh)[1]
    after, _ = _backwards(inputs, rungs, follow, end, level_kwh)
    return Values(after, rungs, level_kwh)


def _follow(inputs: PlanInputs) -> Floats:
    """How the states of each slot lead to the next one's."""
    ensemble = inputs.ensemble
    states, slots = ensemble.load_w.shape
    follow = np.tile(ensemble.weights, (states, 1)) if ensemble.transition is None else ensemble.transition
    return np.broadcast_to(follow, (slots, states, states))


def _backwards(
    inputs: PlanInputs, rungs: Ladder, follow: Floats, end: Floats, level_kwh: float
) -> tuple[Floats, Floats]:
    """The worth after each slot, and before the first one."""
    levels = inputs.levels
    ends, slots, states = rungs.shift.shape
    # A shift beyond all levels reaches no further than beyond all levels.
    shift = np.clip(rungs.shift, -levels, levels)
    whole = np.floor(shift)
    part = (shift - whole)[..., None]
    width = 3 * levels + 2
    place = whole.astype(np.intp) + levels + np.arange(states) * width
    places = np.stack([place, place + 1]).transpose(2, 0, 1, 3)
    padded = np.empty((states, width))
    padded[:, :levels] = OUT_OF_REACH
    padded[:, 2 * levels :] = -OUT_OF_REACH
    # From each place on, as many slopes as there are levels; always those that stand in `padded` now.
    slopes = sliding_window_view(padded.ravel(), levels)
    price = rungs.price[..., None]
    after = np.empty((slots, states, levels))
    after[-1] = worth = end
    for slot in range(slots - 1, -1, -1):
        padded[:, levels : 2 * levels] = after[slot]
        if rungs.in_order[slot]:
            at, beyond = slopes[places[slot]]
            beyond -= at
            beyond *= part[:, slot]
            at += beyond
            worth = at[-1]
            for rung in range(ends - 2, -1, -1):
                np.minimum(price[rung, slot], worth, out=worth)
                np.maximum(at[rung], worth, out=worth)
        else:
            worth = _tried(inputs, after[slot], rungs, slot, level_kwh)
        if slot:
            np.matmul(follow[slot - 1], worth, out=after[slot - 1])
    return after, worth.copy()


def _tried(inputs: PlanInputs, after: Floats, rungs: Ladder, place: int, level_kwh: float) -> Floats:
    """The slopes before a slot in which every action has to be tried, made falling again."""
    storage, states = inputs.storage, after.shape[0]
    levels = inputs.levels
    shift, slot = rungs.shift[:, place], rungs.slot[place]
    hours = inputs.slot_s / 3600.0 * rungs.times
    worth = np.zeros((states, levels))
    worth[:, 1:] = np.cumsum((after[:, 1:] + after[:, :-1]) / 2.0, axis=1) * level_kwh
    every = inputs.ensemble.load_w.shape
    buy = np.broadcast_to(inputs.import_per_kwh, every)[:, slot, None]
    sell = np.broadcast_to(inputs.export_per_kwh, every)[:, slot, None]
    steps = np.concatenate([np.linspace(shift[-1], shift[0], levels, axis=1), shift.T], axis=1)
    cells_w = steps * level_kwh * 1000.0 / hours
    into = efficiency_at(storage.charge_efficiency, np.abs(cells_w), storage.max_charge_w)
    out = efficiency_at(storage.discharge_efficiency, np.abs(cells_w), storage.max_discharge_w)
    charge_w = np.where(cells_w > 0.0, cells_w / into, cells_w * out)
    import_w = inputs.ensemble.net_load_w[:, slot, None] + charge_w
    cost = import_w * np.where(import_w > 0.0, buy, sell)
    cost = (cost + np.maximum(-charge_w, 0.0) * storage.wear_per_kwh) * hours / 1000.0
    # states x levels x steps
    reached = np.arange(float(levels))[None, :, None] + steps[:, None, :]
    low = np.clip(reached.astype(np.intp), 0, levels - 2)
    part = reached - low
    low += levels * np.arange(states)[:, None, None]
    flat = worth.ravel()
    at = flat.take(low)
    gain = at + (flat.take(low + 1) - at) * part - cost[:, None, :]
    gain[(reached < -1e-9) | (reached > levels - 1 + 1e-9)] = -np.inf
    before = gain.max(axis=2)
    slopes = np.asarray(np.gradient(before, axis=1)) / level_kwh
    return -np.sort(-slopes, axis=1)
