"""How long one plan takes: two days in quarter hours, 41 levels, 14 scenarios, a home with sun and prices."""

from __future__ import annotations

import statistics
import time

import numpy as np

from controller.planning.inputs import Ensemble, Leave, PlanInputs, Storage
from controller.planning.plan import make_plan
from tests.bench.measure import Figure

SLOTS, SCENARIOS, LEVELS, PLANS = 192, 14, 41, 60


def one_plan() -> Figure:
    """Processor time, so that a busy machine does not count."""
    inputs = _inputs()
    times_s = []
    for _ in range(PLANS):
        began_s = time.process_time()
        make_plan(inputs)
        times_s.append(time.process_time() - began_s)
    note = f"{SLOTS} slots, {LEVELS} levels, {SCENARIOS} scenarios; processor time"
    return Figure("one plan", statistics.median(times_s) * 1e3, "ms", 10.0, note=note)


def _inputs() -> PlanInputs:
    chance = np.random.default_rng(14)
    hour = np.arange(SLOTS) % 96 / 4.0
    pv_w = chance.uniform(0.2, 1.0, (SCENARIOS, 1)) * 4000.0 * np.clip(np.sin((hour - 6) / 12 * np.pi), 0, 1)
    load_w = chance.uniform(150.0, 2500.0, (SCENARIOS, SLOTS))
    buy = 0.22 + 0.08 * np.sin(hour / 12.0 * np.pi)
    stays = np.eye(SCENARIOS) * 0.7 + 0.3 / SCENARIOS
    even = np.full(SCENARIOS, 1.0 / SCENARIOS)
    return PlanInputs(
        0.0,
        900.0,
        buy,
        buy - 0.15,
        Ensemble(load_w, pv_w, even, stays),
        Storage(10_000.0, 4000.0, 4000.0, wear_per_kwh=0.02),
        50.0,
        Leave(grid_charging=True, battery_export=True),
        levels=LEVELS,
    )
