"""The value of a peak: which import no slot should exceed, and what a stored kWh is worth for that.

A peak has no price per kWh that water values could carry: it is decided by the worst quarter hour of a month.
So there is a stochastic dynamic programme of its own, backwards over the slots, by how high the load is,
what is stored, and the highest import of the month so far. In a slot the battery holds that import or lets it
rise to a higher one; each has a price, and the cheapest is taken. What counts at the end is what the month
will cost by then, with what its other days will need anyhow (`needs.py`). Several billed peaks have one level
in common: each is held at that, or at what it has had already if that is more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from controller.dispatch.orders import CHARGED_SHARE, SPENT_SHARE
from controller.planning.chain import GOLDEN
from controller.planning.inputs import DemandTerm, Floats, PeakLoads, PlanInputs
from controller.planning.needs import Battery, Billed, lowest_w, needed_anyhow, needs_of
from controller.planning.peak_loads import of_states

STORED, PEAKS, RARE_PEAKS = 17, 18, 5
"""How many levels of charge and of the peak are told apart; the rare ones lie above all that was seen."""
COURSES = 32
"""Courses of the load by which a plan says what it expects of later slots."""
NEVER = 1e12
"""What it costs to do what cannot be done."""
EMPTY = 1e-4
"""An empty battery costs so much of the bill: of two ways to the same peak the thrifty one is best."""
SILVER = 0.4142135623730951
"""Its multiples spread evenly beside those of `GOLDEN`: one draws the spike, the other what follows."""


@dataclass(frozen=True, slots=True, eq=False)
class PeakTargets:
    """For each slot: the mean import not to exceed (inf: none), and what a stored kWh is worth for that.

    `worth[slot, level]` per kWh at the end of the slot: by how much one more makes the month's peaks cheaper.
    """

    import_w: Floats
    worth: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Period:
    """The part of a plan within one billing period, and the programme over it.

    `worth[slot, state, peak, stored]` is what is still to be paid at the begin of each slot, and at the end.
    """

    first: int
    limits_w: Floats
    shift: Floats
    worth: Floats


def peak_targets(inputs: PlanInputs) -> PeakTargets:
    """The cheapest targets for the peaks that are billed."""
    terms = [term for term in inputs.demand if term.applies.any() and term.per_kw > 0.0]
    if not terms or inputs.storage.usable_wh <= 0.0:
        none = np.zeros((inputs.slots, inputs.levels))
        return PeakTargets(np.full(inputs.slots, np.inf), none)
    loads = inputs.ensemble.peaks or of_states(inputs.ensemble)
    battery = Battery.of(inputs)
    until = loads.until
    if not any(term.applies[:until].any() for term in terms):
        until = inputs.slots
    periods: list[_Period] = []
    after: Floats | None = None
    for first, last, chosen in reversed(_periods(terms, until)):
        periods.insert(0, _solved(Billed.of(chosen, first, last), loads, battery, after))
        after = periods[0].worth[0, :, 0]
    import_w, worth = _expected(periods, loads, battery)
    per_day = round(86_400.0 / inputs.slot_s)
    slot = np.arange(inputs.slots)
    # What lies beyond is as at the same time of the day before, or as at the end.
    slot = np.where(slot < until, slot, until - 1 - (until - 1 - slot) % min(per_day, until))
    applies = np.any([term.applies for term in terms], axis=0)
    level = np.linspace(0.0, 1.0, inputs.levels)
    finer = np.array([np.interp(level, np.linspace(0.0, 1.0, STORED), row) for row in worth])
    return PeakTargets(np.where(applies, import_w[slot], np.inf), finer[slot])


def _periods(terms: list[DemandTerm], until: int) -> list[tuple[int, int, list[DemandTerm]]]:
    """First slot, slot after the last, and the terms of each billing period within the plan."""
    found, first = [], 0
    for ends in sorted({term.ends for term in terms}):
        last = until if ends == 0 else min(ends, until)
        if last > first:
            found.append((first, last, [term for term in terms if term.ends == ends]))
            first = last
    if first < until:
        found[-1] = (found[-1][0], until, found[-1][2])
    return found


def _levels(billed: Billed, loads: PeakLoads, battery: Battery, needs_w: Floats) -> Floats:
    """The peaks that are told apart, lowest first: what was had, up to all that can be expected."""
    net_w = loads.net_w[billed.first : billed.last]
    counted = net_w[billed.applies.any(axis=0)]
    had_w = float(billed.had_w.min())
    highest_w = max(float(counted.max(initial=0.0)), had_w, 1.0)
    if not len(loads.days_w):
        least_w = min(max(highest_w - 1.5 * battery.discharge_w, had_w, 0.0), highest_w - 1.0)
        return np.linspace(least_w, highest_w, PEAKS + RARE_PEAKS + 2)
    highest_w = max(highest_w, float(loads.days_w.max()), had_w) * 1.01
    least_w = min(max(had_w, lowest_w(needs_w, loads)), 0.9 * highest_w)
    seen_w = max(float(loads.days_w.max()), 1.05 * least_w, least_w + 0.1 * (highest_w - least_w))
    seen_w = min(seen_w, 0.99 * highest_w)
    rare_w = np.linspace(seen_w, highest_w, RARE_PEAKS + 1)[1:]
    return np.concatenate([np.linspace(least_w, seen_w, PEAKS), rare_w])


def _solved(billed: Billed, loads: PeakLoads, battery: Battery, after: Floats | None) -> _Period:
    """Backwards over the period's slots; `after[state, stored]` is what the next one costs from there."""
    needs_w = needs_of(billed, loads, battery)
    levels_w = _levels(billed, loads, battery, needs_w)
    cost = needed_anyhow(billed, loads, needs_w, levels_w)
    states = loads.net_w.shape[1]
    slots, peaks = billed.last - billed.first, len(levels_w)
    worth = np.empty((slots + 1, states, peaks, STORED))
    empty = EMPTY * max(float(cost[0]), 1e-6) * np.linspace(1.0, 0.0, STORED)
    worth[-1] = cost[:, None] + (empty if after is None else after[:, None, :])
    limits_w = billed.limits_w(levels_w)
    net_w = loads.net_w[billed.first : billed.last].transpose(0, 2, 1)
    held_w = SPENT_SHARE * limits_w.T[:, None, None, :]
    step_wh = max(battery.usable_wh / (STORED - 1), 1e-9)
    had_w = SPENT_SHARE * float(billed.had_w.max())
    charged_w = np.minimum(held_w, np.maximum(had_w, CHARGED_SHARE * held_w))
    shift = np.clip(battery.spent_wh(net_w[..., None], held_w, charged_w) / -step_wh, -STORED, STORED)
    shift[net_w[..., None] - held_w > battery.discharge_w] = -STORED
    whole = np.floor(shift).astype(np.intp)
    part = (shift - whole)[..., None]
    spikes = len(loads.chance)
    rows, width = spikes * states * peaks, 3 * STORED + 1
    padded = np.empty((spikes, states, peaks, width))
    padded[..., :STORED] = NEVER
    windows = sliding_window_view(padded.ravel(), STORED)
    places = whole + STORED + (np.arange(rows) * width).reshape(spikes, states, peaks)
    for slot in range(slots - 1, -1, -1):
        follow = loads.follow[billed.first + slot].reshape(-1, states)
        expected = follow @ worth[slot + 1].reshape(states, -1)
        padded[..., STORED : 2 * STORED] = expected.reshape(spikes, states, peaks, STORED)
        padded[..., 2 * STORED :] = padded[..., 2 * STORED - 1, None]
        tried, beyond = windows[places[slot]], windows[places[slot] + 1]
        beyond -= tried
        beyond *= part[slot]
        tried += beyond
        # Above the highest level all is let through.
        np.minimum(tried[:, :, -1], padded[:, :, -1, STORED : STORED + 1], out=tried[:, :, -1])
        best = np.minimum.accumulate(tried[:, :, ::-1], axis=2)[:, :, ::-1]
        worth[slot] = np.tensordot(loads.chance, best, 1)
    return _Period(billed.first, limits_w, shift, worth)


def _expected(periods: list[_Period], loads: PeakLoads, battery: Battery) -> tuple[Floats, Floats]:
    """Target of each slot, and the worth of a kWh after it by level of charge, over courses of the load.

    A later slot's target is what its courses hold there. Where their load is low it is the peak that the best
    of them will have had by the end: below that there is nothing to fight for, and above it a load higher
    than any expected one would be let through. The first slot's is decided before its load is known.
    """
    step_kwh = max(battery.usable_wh / 1000.0 / (STORED - 1), 1e-9)
    spread = (np.arange(COURSES) + 0.5) / COURSES
    state = np.searchsorted(np.cumsum(loads.weights)[:-1], spread)
    stored = np.full(COURSES, battery.stored_wh / 1000.0 / step_kwh)
    chances = np.cumsum(loads.chance)[:-1]
    each, worth = np.arange(COURSES), []
    import_w: list[Floats] = []
    for period in periods:
        peak = np.zeros(COURSES, dtype=np.intp)
        slots, peaks = len(period.worth) - 1, len(period.limits_w)
        held, fought = np.empty((slots, COURSES), dtype=np.intp), np.empty((slots, COURSES), dtype=bool)
        for slot in range(slots):
            follow = loads.follow[period.first + slot]
            spike = np.searchsorted(chances, (spread + GOLDEN * (period.first + slot)) % 1.0)
            follows = follow[spike, state]
            after = np.tensordot(follows, period.worth[slot + 1], 1)
            reached = stored[:, None] + period.shift[slot, spike, state]
            cost = _at(after, reached)
            cost[:, -1] = np.where(cost[:, -1] < NEVER, cost[:, -1], after[:, -1, 0])
            cost[np.arange(peaks) < peak[:, None]] = np.inf
            held[slot] = peak = cost.argmin(axis=1)
            fought[slot] = period.shift[slot, spike, state, peak] < 0.0
            stored = np.clip(reached[each, peak], 0.0, STORED - 1.0)
            draw = (spread + SILVER * (period.first + slot + 1)) % 1.0
            state = (np.cumsum(follows, axis=1)[:, :-1] < draw[:, None]).sum(axis=1)
            here = period.worth[slot + 1][state, peak]
            worth.append(np.maximum(-np.gradient(here.mean(axis=0)) / step_kwh, 0.0))
        levels = np.where(fought, held, peak.min())
        import_w.append(period.limits_w[levels, np.arange(slots)[:, None]].mean(axis=1))
        if len(import_w) == 1:
            import_w[0][0] = _first(period, loads, battery, int(peak.min()))
    return np.concatenate(import_w), falling(np.array(worth))


def falling(worth: Floats) -> Floats:
    """Rows as near as can be that never rise: where one does, it has the mean of that stretch.

    A stretch of charge that helps only when all of it is there is worth the same at each of its levels.
    Isotonic regression by its min-max formula (Barlow et al., Statistical Inference under Order Restrictions,
    1972).
    """
    levels = worth.shape[1]
    first, last = np.arange(levels)[:, None], np.arange(levels)
    total = np.pad(np.cumsum(worth, axis=1), ((0, 0), (1, 0)))
    means = (total[:, None, 1:] - total[:, :-1, None]) / np.maximum(last - first + 1, 1)
    means = np.where(last >= first, means, -np.inf)
    dearest = np.maximum.accumulate(means[..., ::-1], axis=2)[..., ::-1]
    found: Floats = np.where(last >= first, dearest, np.inf).min(axis=1)
    return found


def _at(after: Floats, reached: Floats) -> Floats:
    """Courses x peaks: what is to be paid at these levels of charge; more than `NEVER` below empty."""
    inside = np.clip(reached, 0.0, STORED - 1.0)
    low = np.minimum(inside.astype(np.intp), STORED - 2)[..., None]
    below, above = (np.take_along_axis(after, low + one, axis=-1)[..., 0] for one in (0, 1))
    found: Floats = np.where(reached < -1e-9, 2.0 * NEVER, below + (above - below) * (inside - low[..., 0]))
    return found


def _first(period: _Period, loads: PeakLoads, battery: Battery, least: int) -> float:
    """The target of the first slot, decided before its load is known, as it will have to be held.

    Of those that cost the same the lowest, but no lower than the level that is reached in any case.
    """
    spikes, states = len(loads.chance), loads.net_w.shape[1]
    stored = battery.stored_wh / max(battery.usable_wh, 1e-9) * (STORED - 1)
    follow = loads.follow[0].reshape(-1, states)
    after = (follow @ period.worth[1].reshape(states, -1)).reshape(spikes * states, -1, STORED)
    cost = _at(after, (stored + period.shift[0]).reshape(spikes * states, -1))
    peaks = cost.shape[1]
    cost[:, -1] = np.where(cost[:, -1] < NEVER, cost[:, -1], after[:, -1, 0])
    # With a target above it the load itself is the import; one that cannot be held gives way to one that can.
    net_w, limits_w = loads.net_w[0].T.reshape(-1, 1), period.limits_w[:, 0]
    own = np.minimum((SPENT_SHARE * limits_w < net_w).sum(axis=1), peaks - 1)
    held = (cost < NEVER).argmax(axis=1)
    came = np.maximum(np.minimum(np.arange(peaks), own[:, None]), held[:, None])
    likely = np.outer(loads.chance, loads.weights).ravel()
    costs = likely @ np.take_along_axis(cost, came, axis=1)
    same = np.flatnonzero(costs <= costs.min() + 1e-9 * max(float(costs.min()), 1.0))
    low = same[same <= least]
    return float(limits_w[low[-1] if len(low) else same[0]])
