"""Who takes part in the benchmark: this controller with two policies, and a rival as energy managers plan.

Any class like these can take part: `penstock study --benchmark --controller module:Class`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from controller.dispatch.decision import Memory
from controller.dispatch.step import step
from controller.lab.oracle import OracleError, perfect_foresight
from controller.lab.study.benchmark import Answer, Told, View

Floats = NDArray[np.float64]

HORIZON_SLOTS = 96
DAYS = 7
BALANCED_W = 50.0


class Penstock:
    """This controller: the same `step` as on site, each time it is asked, and its planner."""

    def __init__(self, policy: str) -> None:
        self.name = policy
        self._policy = policy

    def begin(self, told: Told) -> None:
        policy = replace(told.config.dispatch.policy, name=self._policy)
        self._config = replace(told.config.dispatch, policy=policy)
        self._memory, self._planner = Memory(), told.planner

    def order(self, view: View) -> Answer:
        snapshot = view.snapshot
        if self._policy == "economic":
            told = self._planner.told(snapshot.now_s, view.local)
            snapshot = replace(snapshot, prices=told.prices, plan=told.plan)
        self._memory, decision = step(self._config, self._memory, snapshot)
        if self._policy == "economic":
            self._planner.heard(snapshot, decision)
        cap_w = decision.pv_caps_w[0] if decision.pv_caps_w else None
        return Answer(decision.battery_setpoints_w[0] or 0.0, cap_w)


class LpMpc:
    """Model-predictive control by a linear programme, the plain way.

    Each hour it takes the mean of the last week's days as forecast, solves the programme over the prices it
    knows and follows it; where the plan neither buys nor sells, it balances what load and sun really do. It
    knows nothing of uncertainty nor of peaks. Needs the extra `study`.
    """

    name = "LP-MPC"

    def begin(self, told: Told) -> None:
        self._told = told
        self._planned_at = -1
        self._planned_w: Floats = np.zeros(1)
        self._forecast_w: Floats = np.zeros(1)

    def order(self, view: View) -> Answer:
        if self._planned_at < 0 or view.slot - self._planned_at >= self._told.slots_per_hour:
            self._plan(view)
        ahead = min(view.slot - self._planned_at, len(self._planned_w) - 1)
        wanted_w, expected_w = float(self._planned_w[ahead]), float(self._forecast_w[ahead])
        net_w = view.load_w - view.pv_w
        if abs(expected_w - wanted_w) < BALANCED_W:
            wanted_w = net_w
        leave, storage = self._told.leave, self._told.storage
        if not leave.grid_charging:
            wanted_w = max(wanted_w, min(net_w, 0.0))
        if not leave.battery_export:
            wanted_w = min(wanted_w, max(net_w, 0.0))
        if leave.export_limit_w is not None:
            wanted_w = min(wanted_w, net_w + leave.export_limit_w)
        if leave.import_limit_w is not None:
            wanted_w = max(wanted_w, net_w - leave.import_limit_w)
        high_w = 0.0 if view.soc_pct <= storage.floor_pct else storage.max_discharge_w
        return Answer(min(max(wanted_w, -self._room_w(view)), high_w), self._cap_w(view))

    def _room_w(self, view: View) -> float:
        """What the battery takes now."""
        battery = view.snapshot.batteries[0]
        if battery is None or view.soc_pct >= self._told.storage.max_soc_pct:
            return 0.0
        allowed_w = battery.max_charge_w
        most_w = self._told.storage.max_charge_w
        return most_w if allowed_w is None else min(most_w, allowed_w)

    def _cap_w(self, view: View) -> float | None:
        """The sun may give what load, battery and export limit take; nothing is sold at a negative price."""
        limit_w = self._told.leave.export_limit_w
        if len(view.export_per_kwh) and view.export_per_kwh[0] < 0.0:
            limit_w = 0.0
        if limit_w is None:
            return None
        cap_w = max(view.load_w, 0.0) + self._room_w(view) + limit_w
        return cap_w if view.pv_w > 0.9 * cap_w else None

    def _plan(self, view: View) -> None:
        slots = min(HORIZON_SLOTS, len(view.import_per_kwh))
        self._planned_at = view.slot
        self._forecast_w = self._expected_w(view, slots)
        storage = replace(self._told.storage, min_soc_pct=min(self._told.storage.floor_pct, view.soc_pct))
        try:
            best = perfect_foresight(
                self._forecast_w,
                view.import_per_kwh[:slots],
                view.export_per_kwh[:slots],
                3600.0 / self._told.slots_per_hour,
                replace(storage, reserve_pct=0.0),
                self._told.leave,
                view.soc_pct,
            )
        except OracleError:
            self._planned_w = np.zeros(slots)
            return
        self._planned_w = best.discharge_w

    def _expected_w(self, view: View, slots: int) -> Floats:
        """The mean of the same times of the last days."""
        per_day = 24 * self._told.slots_per_hour
        past_w = view.past_net_load_w
        now_w = view.load_w - view.pv_w
        days = []
        for back in range(1, DAYS + 1):
            begin = len(past_w) - back * per_day
            if begin >= 0:
                days.append(np.resize(past_w[begin : begin + per_day], slots))
        return np.mean(days, axis=0) if days else np.full(slots, now_w)
