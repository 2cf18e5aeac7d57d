"""What a billing period will need anyhow: the least peak that each past day could have been held to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.planning.inputs import DemandTerm, Floats, PeakLoads, PlanInputs
from controller.planning.peak_loads import PEAK_MEMORY_DAYS

TRIED, FINE = 80, 400
UPPER = 0.75
"""Of the days' needs the upper quarter tells how far beyond the highest a day may go."""
UNLIKE = 0.2
"""The chance that the rest of a period needs less than the past says, by any amount, as in a holiday."""
LOWEST_SHARE = 0.5
"""No peak is planned for below this share of what a usual working day needs."""


@dataclass(frozen=True, slots=True, eq=False)
class Battery:
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
    def of(cls, inputs: PlanInputs) -> Battery:
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

    def spent_wh(self, net_w: Floats, limit_w: Floats, charged_w: Floats) -> Floats:
        """What holding the limit takes out of the cells; negative: what charging up to the other puts in."""
        room_w = (charged_w if self.from_grid else np.minimum(charged_w, 0.0)) - net_w
        spent_w = np.clip(net_w - limit_w, 0.0, self.discharge_w) / self.out
        return np.asarray((spent_w - np.clip(room_w, 0.0, self.charge_w) * self.into) * self.hours)


@dataclass(frozen=True, slots=True, eq=False)
class Billed:
    """The peaks of one billing period within slots `first` to `last` of a plan; one row for each of them."""

    first: int
    last: int
    ends: int
    per_kw: Floats
    had_w: Floats
    applies: NDArray[np.bool_]
    anytime: NDArray[np.bool_]

    @classmethod
    def of(cls, terms: list[DemandTerm], first: int, last: int) -> Billed:
        """Those of these terms; `anytime` has them over all slots of the plan."""
        every = np.stack([term.applies for term in terms])
        return cls(
            first,
            last,
            max(term.ends for term in terms),
            np.array([term.per_kw for term in terms]),
            np.array([max(term.peak_so_far_w, term.expected_peak_w, 0.0) for term in terms]),
            every[:, first:last],
            every,
        )

    def limits_w(self, levels_w: Floats, applies: NDArray[np.bool_] | None = None) -> Floats:
        """Levels x slots: the least limit of those that apply; each is the level or what was had already."""
        applies = self.applies if applies is None else applies
        own_w = np.maximum(levels_w[:, None], self.had_w)
        limits_w: Floats = np.where(applies, own_w[:, :, None], np.inf).min(axis=1)
        return limits_w

    def cost(self, levels_w: Floats) -> Floats:
        """What these levels cost."""
        cost: Floats = np.maximum(levels_w[:, None], self.had_w) @ self.per_kw / 1000.0
        return cost


def _days_left(billed: Billed, loads: PeakLoads) -> NDArray[np.bool_]:
    """Of each day of the period after the last slot whether it is free."""
    per_day = loads.days_w.shape[1]
    first, end = (-(-(loads.now + slot) // per_day) for slot in (billed.last, billed.ends))
    return loads.free_ahead[first : max(end, first)]


def lowest_w(needs_w: Floats, loads: PeakLoads) -> float:
    """Below this no peak is planned for; `needs_w` is what each past day needed."""
    working = needs_w[~loads.free] if (~loads.free).any() else needs_w
    return LOWEST_SHARE * float(np.median(working))


def needed_anyhow(billed: Billed, loads: PeakLoads, needs_w: Floats, levels_w: Floats) -> Floats:
    """What the period will cost if it has had each of these levels by the last slot."""
    left = _days_left(billed, loads) if len(needs_w) else np.zeros(0, dtype=np.bool_)
    if not len(left):
        return billed.cost(levels_w)
    fine_w = np.linspace(0.0, 1.15 * max(float(loads.days_w.max()), float(levels_w[-1])), FINE)
    weight = np.exp(-np.arange(len(needs_w))[::-1] / PEAK_MEMORY_DAYS)
    below = np.ones(FINE)
    for kind in (False, True):
        days = int((left == kind).sum())
        of_kind = loads.free == kind
        if days and of_kind.any():
            below *= _below(needs_w[of_kind], weight[of_kind], fine_w) ** days
    middle_w = max(float(fine_w[min(int(np.searchsorted(below, 0.5)), FINE - 1)]), 1.0)
    below = (1.0 - UNLIKE) * below + UNLIKE * np.clip(fine_w / middle_w, 0.0, 1.0)
    chance = np.diff(below, prepend=0.0)
    chance[-1] += 1.0 - chance.sum()
    found = np.zeros(len(levels_w))
    for per_kw, had_w in zip(billed.per_kw.tolist(), billed.had_w.tolist(), strict=True):
        found += per_kw * (np.maximum(np.maximum(levels_w, had_w)[:, None], fine_w) @ chance) / 1000.0
    return found


def _below(needs_w: Floats, weight: Floats, at_w: Floats) -> Floats:
    """The chance that a day needs no more than this; beyond the upper quarter it falls exponentially."""
    order = np.argsort(needs_w)
    needs_w, weight = needs_w[order], weight[order] / weight.sum()
    upto = np.cumsum(weight) - weight / 2.0
    upper_w = float(np.interp(UPPER, upto, needs_w))
    above = needs_w > upper_w
    beyond_w = float(weight[above] @ (needs_w[above] - upper_w) / weight[above].sum()) if above.any() else 0.0
    beyond_w = max(beyond_w, 1e-3 * float(at_w[-1]))
    seen = np.where(at_w < needs_w[0], 0.0, np.interp(at_w, needs_w, upto))
    tail = 1.0 - (1.0 - UPPER) * np.exp(-np.maximum(at_w - upper_w, 0.0) / beyond_w)
    return np.where(at_w <= upper_w, np.minimum(seen, UPPER), tail)


def needs_of(billed: Billed, loads: PeakLoads, battery: Battery) -> Floats:
    """The least peak that each past day could have been held to from a full battery."""
    days_w = loads.days_w
    if not len(days_w):
        return np.zeros(0)
    per_day = days_w.shape[1]
    time = (loads.now + np.arange(billed.anytime.shape[1])) % per_day
    applies = np.zeros((len(billed.per_kw), per_day), dtype=bool)
    for one, slots in enumerate(billed.anytime):
        applies[one, time[slots]] = True
    tried_w = np.linspace(0.0, max(float(days_w.max()), 1.0), TRIED)
    limits_w = billed.limits_w(tried_w, applies)
    spent_wh = battery.spent_wh(days_w[:, :, None], limits_w.T, limits_w.T)
    over_w = (days_w[:, :, None] - limits_w.T).max(axis=1)
    stored_wh = np.full(over_w.shape, battery.usable_wh)
    held = over_w <= battery.discharge_w
    for slot in range(per_day):
        stored_wh = np.minimum(stored_wh - spent_wh[:, slot], battery.usable_wh)
        held &= stored_wh >= -1e-9
    least = np.where(held.any(axis=1), held.argmax(axis=1), TRIED - 1)
    needs_w: Floats = tried_w[least]
    return needs_w
