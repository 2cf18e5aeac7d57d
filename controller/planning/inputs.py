"""What a plan is made from, and what is refused at the border."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DEAREST_PER_KWH = 100.0
"""A price beyond this, up or down, is a mistake in its source and no price."""


class PlanError(ValueError):
    """Why no plan can be made from these inputs; the sentence is shown to the owner."""


@dataclass(frozen=True, slots=True)
class Storage:
    """All batteries of a site as one.

    Efficiencies are one way, AC to cells and back, as points (share of the rating, efficiency) with ascending
    share; straight lines in between, level outside. `wear_per_kwh` is paid for each kWh discharged at AC.
    """

    capacity_wh: float
    max_charge_w: float
    max_discharge_w: float
    charge_efficiency: tuple[tuple[float, float], ...] = ((1.0, 0.95),)
    discharge_efficiency: tuple[tuple[float, float], ...] = ((1.0, 0.95),)
    wear_per_kwh: float = 0.0
    min_soc_pct: float = 5.0
    max_soc_pct: float = 100.0
    reserve_pct: float = 0.0

    @property
    def floor_pct(self) -> float:
        """The SoC below which a plan never discharges."""
        return min(max(self.min_soc_pct, self.reserve_pct), self.max_soc_pct)

    @property
    def usable_wh(self) -> float:
        """What a plan has to work with, from its floor to full."""
        return self.capacity_wh * (self.max_soc_pct - self.floor_pct) / 100.0


@dataclass(frozen=True, slots=True)
class Leave:
    """What the battery may do at the PCC; limits are magnitudes in W, None where there is none.

    Where the PV inverters can be held down (`curtails`), nothing is sold at a negative price.
    """

    grid_charging: bool = False
    battery_export: bool = False
    import_limit_w: float | None = None
    export_limit_w: float | None = None
    curtails: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class PeakLoads:
    """The net load as a Markov chain of its own, for peaks: `net_w[slot, state, spike]`.

    `chance` is how likely each spike is, `follow[slot, spike, from, to]` what it leads to in the next slot,
    `weights` the states that the first slot begins in. Peaks are planned for `until` slots.
    `days_w` are whole days of the past with whether they were free, `free_ahead` whether today and those
    after it are; `now` is the slot of the day in which the plan begins.
    """

    net_w: Floats
    chance: Floats
    follow: Floats
    weights: Floats
    until: int
    days_w: Floats
    free: NDArray[np.bool_]
    free_ahead: NDArray[np.bool_]
    now: int


@dataclass(frozen=True, slots=True, eq=False)
class Ensemble:
    """What load and sun may do: `states` x slots of mean W, as a Markov chain.

    `weights` is how likely each state is in the first slot, `transition[from][to]` how one slot's state
    leads to the next's (one for all slots, or slots x from x to). None: the states of different slots know
    nothing of each other. With `sun_transition` (likewise) each state is a pair: `transition` leads its first
    part, and that its second, whose number counts fastest. `peaks` is the net load as peaks see it, None
    while too little is known for that.
    """

    load_w: Floats
    pv_w: Floats
    weights: Floats
    transition: Floats | None = None
    peaks: PeakLoads | None = None
    sun_transition: Floats | None = None

    @property
    def net_load_w(self) -> Floats:
        """States x slots: load less sun."""
        return self.load_w - self.pv_w


@dataclass(frozen=True, slots=True, eq=False)
class DemandTerm:
    """One peak that is billed: `per_kw` for the highest mean import of all slots where `applies`.

    `peak_so_far_w` is what this billing period has had already, `expected_peak_w` what it is going to have
    anyhow, as far as its past says; slots of the next billing period belong to a term of their own. `ends` is
    the slot with which the billing period is over, counted on beyond those of the plan; 0: with the plan.
    """

    per_kw: float
    applies: NDArray[np.bool_]
    peak_so_far_w: float = 0.0
    expected_peak_w: float = 0.0
    ends: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class PlanInputs:
    """All that a plan needs to know, for slots of `slot_s` from `begin_utc_s` on.

    Prices per kWh are given for each slot, or states x slots where they are not known yet and each state of
    the ensemble has its own. `soc_pct` is that of now; the plan holds until `valid_for_s` after its begin.
    What is expected of SoC and battery is gone into for `told_s`; later slots stay as they are then.
    """

    begin_utc_s: float
    slot_s: float
    import_per_kwh: Floats
    export_per_kwh: Floats
    ensemble: Ensemble
    storage: Storage
    soc_pct: float
    leave: Leave = Leave()
    demand: tuple[DemandTerm, ...] = ()
    valid_for_s: float = 6 * 3600.0
    levels: int = 41
    told_s: float | None = None

    @property
    def slots(self) -> int:
        """How many slots the plan looks ahead."""
        return int(self.ensemble.load_w.shape[1])


def check(inputs: PlanInputs) -> None:
    """Raise `PlanError` for anything that no plan can be made from."""
    ensemble, storage = inputs.ensemble, inputs.storage
    states, slots = ensemble.load_w.shape
    if not slots or not states:
        raise PlanError("the forecast is empty: give at least one scenario with one slot")
    shapes = {
        "pv_w": (ensemble.pv_w, ((states, slots),)),
        "load_w": (ensemble.load_w, ((states, slots),)),
        "weights": (ensemble.weights, ((states,),)),
        "import_per_kwh": (inputs.import_per_kwh, ((slots,), (states, slots))),
        "export_per_kwh": (inputs.export_per_kwh, ((slots,), (states, slots))),
    }
    if ensemble.peaks is not None:
        loads = ensemble.peaks.net_w
        shapes["peaks"] = (loads, ((slots, *loads.shape[1:]),))
    suns = 1 if ensemble.sun_transition is None else ensemble.sun_transition.shape[-1]
    if suns > 1 and (ensemble.transition is None or states % suns):
        raise PlanError(f"{states} states are no pairs with {suns} suns, each part with its own transition")
    for name, led, count in (
        ("transition", ensemble.transition, states // suns),
        ("sun_transition", ensemble.sun_transition, suns),
    ):
        if led is not None:
            shapes[name] = (led, ((slots, count, count), (count, count)))
    for name, (values, allowed) in shapes.items():
        if values.shape not in allowed:
            raise PlanError(f"{name} has the shape {values.shape}; {allowed[-1]} fits load_w")
        if not np.isfinite(values).all():
            raise PlanError(f"{name} has a value that is no number; give one for every slot")
    for name, values in (("import", inputs.import_per_kwh), ("export", inputs.export_per_kwh)):
        if np.abs(values).max() > DEAREST_PER_KWH:
            worst = values.flat[int(np.abs(values).argmax())]
            raise PlanError(f"the {name} price {worst:g} per kWh cannot be right; is it per MWh?")
    for rows in (ensemble.weights, ensemble.transition, ensemble.sun_transition):
        if rows is not None and ((rows < 0).any() or np.abs(rows.sum(axis=-1) - 1.0).max() > 1e-6):
            raise PlanError("weights and each row of transition must be >= 0 and add up to 1")
    for term in inputs.demand:
        if term.applies.shape != (slots,):
            raise PlanError(f"a demand term covers {term.applies.shape} slots; the forecast has {slots}")
    powers = (storage.capacity_wh, storage.max_charge_w, storage.max_discharge_w, inputs.slot_s)
    if not all(np.isfinite(power) for power in powers) or min(powers) < 0.0 or inputs.slot_s == 0.0:
        raise PlanError("capacity, power limits and slot length must be numbers of 0 or more")
    for curve in (storage.charge_efficiency, storage.discharge_efficiency):
        if not curve or not all(0.0 < efficiency <= 1.0 for _, efficiency in curve):
            raise PlanError("an efficiency is a part above 0 and up to 1, at one power at least")
    if not np.isfinite(inputs.soc_pct):
        raise PlanError("the SoC is unknown; a plan begins at one")
