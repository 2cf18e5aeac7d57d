"""One site through its whole time: the policy decides on every change, the plant obeys its limits.

A plain loop over the steps of the data, with the product's own policy functions and planner; load, sun and
prices stand still within a step, the SoC does not, so a policy that changes its mind at a SoC does so there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from controller.dispatch.demand import charged_at_most_w
from controller.dispatch.orders import SPENT_SHARE, LocalTime, Plan, Prices
from controller.dispatch.policies import wish
from controller.dispatch.settings import BatterySettings, DispatchConfig, PolicySettings
from controller.dispatch.site import BatterySite, Site
from controller.planning.inputs import DemandTerm, Floats, Leave, Storage
from controller.planning.water_values import efficiency_at

SHORTEST_S = 5.0
"""A policy that changes its mind is followed to within this time, about its cycle."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A site with its measured time, its tariff and its battery; `demand` has a term for each billed peak.

    `known_until` gives for each step the index of the first step whose price is not published yet.
    """

    name: str
    utc_s: Floats
    offset_s: Floats
    step_s: float
    load_w: Floats
    pv_w: Floats
    import_per_kwh: Floats
    export_per_kwh: Floats
    known_until: np.ndarray
    storage: Storage
    leave: Leave
    demand: tuple[DemandTerm, ...] = ()
    begin_soc_pct: float = 50.0

    @property
    def net_load_w(self) -> Floats:
        """Load less sun."""
        return self.load_w - self.pv_w

    @property
    def steps(self) -> int:
        """How many steps the data has."""
        return len(self.utc_s)


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """What the battery did: mean discharge in each step, SoC at its end."""

    discharge_w: Floats
    soc_pct: Floats


Planner = Callable[[int, float, Floats], Plan | None]
"""Asked at each step with its index, the SoC, and the import of all steps before; None: as it was."""


def no_plan(step: int, soc_pct: float, import_w: Floats) -> Plan | None:
    """For policies that need none."""
    return None


def run(
    case: Case, policy: str, planner: Planner = no_plan, progress: Callable[[int], None] = lambda step: None
) -> Course:
    """The whole time with one policy."""
    plant = _Plant(case, policy)
    discharge_w, soc_pct, import_w = (np.zeros(case.steps) for _ in range(3))
    level_pct, plan = case.begin_soc_pct, None
    for step in range(case.steps):
        plan = planner(step, level_pct, import_w) or plan
        discharge_w[step], level_pct = plant.advance(step, level_pct, plan)
        soc_pct[step] = level_pct
        import_w[step] = max(case.net_load_w[step] - discharge_w[step], 0.0)
        plant.billed(step, import_w[step])
        progress(step)
    return Course(discharge_w, soc_pct)


class _Plant:
    """Battery and limits, moved through one step at a time."""

    def __init__(self, case: Case, policy: str) -> None:
        self._case, self._net_w = case, case.net_load_w.tolist()
        leave, storage = case.leave, case.storage
        settings = PolicySettings(
            policy, grid_charging=leave.grid_charging, battery_export=leave.battery_export
        )
        battery = BatterySettings("battery", storage.capacity_wh, storage.min_soc_pct, storage.max_soc_pct)
        self._config = DispatchConfig((battery,), policy=settings)
        local = (case.utc_s + case.offset_s).astype("datetime64[s]")
        self._month, self._peak_w = local.astype("datetime64[M]").astype(int).tolist(), 0.0

    def billed(self, step: int, import_w: float) -> None:
        """The month's peak so far, with this step's."""
        last = step + 1 == self._case.steps or self._month[step + 1] != self._month[step]
        self._peak_w = 0.0 if last else max(self._peak_w, import_w)

    def advance(self, step: int, soc_pct: float, plan: Plan | None) -> tuple[float, float]:
        """Mean discharge over the step, and the SoC at its end."""
        left_s, discharged_w_s, step_s = self._case.step_s, 0.0, self._case.step_s
        while left_s > 0.0:
            power_w = self._decide(step, soc_pct, plan)
            per_s = self._pct_per_s(power_w)
            held_s = left_s
            if per_s:
                end_pct = self._case.storage.max_soc_pct if per_s > 0.0 else self._floor_pct()
                held_s = min(held_s, max((end_pct - soc_pct) / per_s, 0.0))
                held_s = self._until_changed(step, soc_pct, plan, power_w, per_s, held_s)
                held_s = min(max(held_s, SHORTEST_S), left_s)
            discharged_w_s += power_w * held_s
            soc_pct += per_s * held_s
            left_s -= held_s
        return discharged_w_s / step_s, soc_pct

    def _floor_pct(self) -> float:
        return self._case.storage.floor_pct

    def _until_changed(
        self, step: int, soc_pct: float, plan: Plan | None, power_w: float, per_s: float, most_s: float
    ) -> float:
        """How long the decision stays the same, by halving."""
        inside_s = max(most_s - SHORTEST_S, 0.0)
        if self._decide(step, soc_pct + per_s * inside_s, plan) == power_w:
            return most_s
        same_s, other_s = 0.0, inside_s
        while other_s - same_s > SHORTEST_S:
            middle_s = (same_s + other_s) / 2.0
            if self._decide(step, soc_pct + per_s * middle_s, plan) == power_w:
                same_s = middle_s
            else:
                other_s = middle_s
        return other_s

    def _pct_per_s(self, power_w: float) -> float:
        storage = self._case.storage
        size_w = np.array([abs(power_w)])
        if power_w > 0.0:
            efficiency = efficiency_at(storage.discharge_efficiency, size_w, storage.max_discharge_w)[0]
            cells_w = -power_w / float(efficiency)
        else:
            efficiency = efficiency_at(storage.charge_efficiency, size_w, storage.max_charge_w)[0]
            cells_w = -power_w * float(efficiency)
        return cells_w / storage.capacity_wh / 36.0

    def _decide(self, step: int, soc_pct: float, plan: Plan | None) -> float:
        """What the policy wants, within rating, SoC, leave at the PCC and the plan's peak target."""
        case, storage, net_w = self._case, self._case.storage, self._net_w[step]
        local = LocalTime(float(case.utc_s[step]), float(case.offset_s[step]))
        site = Site(
            0.0,
            0.0,
            True,
            net_w,
            net_w,
            (BatterySite(0, 0.0, soc_pct, storage.max_charge_w, storage.max_discharge_w),),
            None,
            (),
            soc_pct=soc_pct,
            prices=Prices(float(case.import_per_kwh[step]), float(case.export_per_kwh[step])),
            plan=plan,
            local=local,
        )
        wanted_w, _ = wish(self._config, site)
        target_w = None if plan is None else plan.import_target_w(local.utc_s)
        if target_w is not None:
            limit_w = SPENT_SHARE * target_w
            charged_w = charged_at_most_w(limit_w, SPENT_SHARE * self._peak_w)
            wanted_w = max(wanted_w, net_w - limit_w, min(net_w - charged_w, 0.0))
        if case.leave.export_limit_w is not None:
            wanted_w = min(wanted_w, net_w + case.leave.export_limit_w)
        if case.leave.import_limit_w is not None:
            wanted_w = max(wanted_w, net_w - case.leave.import_limit_w)
        lower_w = 0.0 if soc_pct >= storage.max_soc_pct - 1e-6 else -storage.max_charge_w
        upper_w = 0.0 if soc_pct <= self._floor_pct() + 1e-6 else storage.max_discharge_w
        return min(max(wanted_w, lower_w), upper_w)


def bill(case: Case, discharge_w: Floats, soc_pct: float) -> float:
    """What it all cost: energy, wear, peaks; what the battery holds more than at the begin is paid for."""
    import_w = case.net_load_w - discharge_w
    price = np.where(import_w > 0.0, case.import_per_kwh, case.export_per_kwh)
    wear_w = np.maximum(discharge_w, 0.0) * case.storage.wear_per_kwh
    cost = float((import_w * price + wear_w).sum()) * case.step_s / 3.6e6
    cost += sum(term.per_kw * max(float(import_w[term.applies].max()), 0.0) / 1000.0 for term in case.demand)
    held_kwh = case.storage.capacity_wh * (soc_pct - case.begin_soc_pct) / 1e5
    return cost - held_kwh * float(np.median(case.import_per_kwh))
