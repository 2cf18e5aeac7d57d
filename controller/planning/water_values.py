"""Stochastic dynamic programming backwards over time: what one more kWh is worth at each SoC, step and state.

The worth of what is stored is kept as its slope: a water value per level of SoC, falling with SoC. In one
step and one state of the ensemble the battery meets a ladder of prices: charging from the grid, from the
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
from controller.planning.outlook import Outlook, outlook

PEAK_PER_KWH = 10.0
"""What a kWh above the target of a peak counts on top of its price."""
OUT_OF_REACH = 1e6
"""The slope beyond an empty or full battery: no price leads there."""


@dataclass(frozen=True, slots=True, eq=False)
class Ladder:
    """What one step allows and costs in each state, dearest charge first.

    `shift[end, step, state]` in levels of SoC, from the most that can be charged to the most that can be
    discharged; `price[rung, step, state]` per kWh in the cells, between one end and the next.
    """

    shift: Floats
    price: Floats
    in_order: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """`after[step, state, level]`: the worth of one more kWh at the end of the step, begun in that state."""

    after: Floats
    ladder: Ladder
    level_kwh: float
    outlook: Outlook


def efficiency_at(curve: tuple[tuple[float, float], ...], power_w: Floats, rated_w: float) -> Floats:
    """The one-way efficiency at these powers."""
    shares, efficiencies = zip(*curve, strict=True)
    if len(curve) == 1:
        return np.full(power_w.shape, efficiencies[0])
    found: Floats = np.interp(power_w / max(rated_w, 1e-9), shares, efficiencies)
    return found


def ladder(inputs: PlanInputs, ahead: Outlook, level_kwh: float) -> Ladder:
    """The ladder of every step and state; import above the target is to be avoided at any price."""
    storage, leave = inputs.storage, inputs.leave
    net_w, buy, sell, target_w = ahead.net_w, ahead.import_per_kwh, ahead.export_per_kwh, ahead.target_w
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
    shift = np.stack(ends) * (ahead.hours / 1000.0 / level_kwh)[:, None]
    price = np.stack(rungs)
    # A rung of no length has no price of its own.
    for rung in range(len(price)):
        dearer = price[rung - 1] if rung else OUT_OF_REACH
        price[rung] = np.where(shift[rung] > shift[rung + 1], price[rung], dearer)
    # One that has no length anywhere, as where the grid may not charge, changes nothing and only takes time.
    lasting = (shift[:-1] > shift[1:]).any(axis=(1, 2))
    shift, price = shift[np.append(True, lasting)], price[lasting]
    falling = np.diff(price, axis=0) <= 1e-9
    return Ladder(shift, price, np.asarray(falling.all(axis=(0, 2))))


def water_values(inputs: PlanInputs, target_w: Floats, tail: Floats) -> Values:
    """Backwards from the end, where a kWh is worth `tail` by level of SoC."""
    storage, levels = inputs.storage, inputs.levels
    level_kwh = max(storage.usable_wh / 1000.0 / (levels - 1), 1e-9)
    ahead = outlook(inputs, target_w)
    rungs = ladder(inputs, ahead, level_kwh)
    states = rungs.shift.shape[2]
    after = _backwards(inputs, ahead, rungs, np.broadcast_to(tail, (states, levels)), level_kwh)
    return Values(after, rungs, level_kwh, ahead)


def _backwards(inputs: PlanInputs, ahead: Outlook, rungs: Ladder, end: Floats, level_kwh: float) -> Floats:
    """The worth after each step.

    At night the state of the sun makes no difference, if it is forgotten by dawn: then it is gone through
    once for each state of the load.
    """
    levels, chain = inputs.levels, ahead.chain
    ends, steps, states = rungs.shift.shape
    suns = chain.sun.shape[-1]
    # A shift beyond all levels reaches no further than beyond all levels.
    shift = np.clip(rungs.shift, -levels, levels)
    whole = np.floor(shift)
    part = (shift - whole)[..., None].swapaxes(0, 1)
    width = 3 * levels + 2
    place = whole.astype(np.intp) + levels + np.arange(states) * width
    places = np.stack([place, place + 1]).transpose(2, 0, 1, 3)
    padded = np.empty((states, width))
    padded[:, :levels] = OUT_OF_REACH
    padded[:, 2 * levels :] = -OUT_OF_REACH
    # From each place on, as many slopes as there are levels; always those that stand in `padded` now.
    slopes = sliding_window_view(padded.ravel(), levels)
    price = rungs.price[..., None].swapaxes(0, 1)
    after = np.empty((steps, states, levels))
    after[-1] = end
    dark, forgets, alike = _dark(rungs, suns), chain.forgets_sun(), True
    for step in range(steps - 1, 0, -1):
        alike &= bool(dark[step])
        if rungs.in_order[step]:
            each = slice(None, None, suns if alike else 1)
            padded[each, levels : 2 * levels] = after[step, each]
            at, beyond = slopes[places[step, ..., each]]
            beyond -= at
            beyond *= part[step, :, each]
            at += beyond
            worth = at[-1]
            for rung in range(ends - 2, -1, -1):
                np.minimum(price[step, rung, each], worth, out=worth)
                np.maximum(at[rung], worth, out=worth)
        else:
            worth = _tried(inputs, ahead, after[step], rungs.shift[:, step], step, level_kwh)
        chain.before(step - 1, worth, after[step - 1])
        alike |= bool(forgets[step - 1])
    return after


def _dark(rungs: Ladder, suns: int) -> NDArray[np.bool_]:
    """In which steps the ladder is the same whatever the state of the sun."""
    steps, states = rungs.shift.shape[1:]
    found = np.ones(steps, dtype=bool)
    for values in (rungs.shift, rungs.price):
        by_sun = values.reshape(len(values), steps, states // suns, suns)
        found &= (by_sun == by_sun[..., :1]).all(axis=(0, 2, 3))
    return found


def _tried(
    inputs: PlanInputs, ahead: Outlook, after: Floats, shift: Floats, step: int, level_kwh: float
) -> Floats:
    """The slopes before a step in which every action has to be tried, made falling again."""
    storage, states = inputs.storage, after.shape[0]
    levels = inputs.levels
    hours = float(ahead.hours[step])
    worth = np.zeros((states, levels))
    worth[:, 1:] = np.cumsum((after[:, 1:] + after[:, :-1]) / 2.0, axis=1) * level_kwh
    buy, sell = ahead.import_per_kwh[step, :, None], ahead.export_per_kwh[step, :, None]
    steps = np.concatenate([np.linspace(shift[-1], shift[0], levels, axis=1), shift.T], axis=1)
    cells_w = steps * level_kwh * 1000.0 / hours
    into = efficiency_at(storage.charge_efficiency, np.abs(cells_w), storage.max_charge_w)
    out = efficiency_at(storage.discharge_efficiency, np.abs(cells_w), storage.max_discharge_w)
    charge_w = np.where(cells_w > 0.0, cells_w / into, cells_w * out)
    import_w = ahead.net_w[step, :, None] + charge_w
    cost = import_w * np.where(import_w > 0.0, buy, sell)
    cost += PEAK_PER_KWH * np.maximum(import_w - ahead.target_w[step], 0.0)
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
