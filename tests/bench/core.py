"""The core alone, the whole shell in virtual time, and a year in the fast path."""

from __future__ import annotations

import asyncio
import time

from controller.config import load_config
from controller.dispatch.decision import Memory
from controller.dispatch.settings import BatterySettings, DispatchConfig, PolicySettings
from controller.dispatch.site import Snapshot
from controller.dispatch.step import step
from controller.lab.house import synthetic
from controller.lab.simulate import simulate
from drivers.device import BatteryReading, MeterReading
from simulators.virtual_time import run
from tests.bench.measure import Figure, median_us
from tests.bench.sites import SITE
from tests.unit.sites import a_house, a_loop

VIRTUAL_S = 43_200
STEPS = 20_000


def steps(batteries: int, target_us: float) -> Figure:
    """`step` for one meter and some batteries, every reading new, limits and reserve in force."""
    config = DispatchConfig(
        tuple(BatterySettings(f"bat{number}", 10_000, 5, 100, 5000, 5000) for number in range(batteries)),
        import_limit_w=17_250,
        export_limit_w=0,
        policy=PolicySettings(reserve_pct=20),
    )
    memory = Memory()

    def once(snapshot: Snapshot) -> None:
        nonlocal memory
        memory, _ = step(config, memory, snapshot)

    def heard(second: int) -> Snapshot:
        now_s = float(second)
        readings = tuple(BatteryReading(now_s, 300.0, 50.0 + number) for number in range(batteries))
        return Snapshot(now_s, MeterReading(now_s, 1000.0 + second % 500), readings)

    name = f"step, {batteries} {'battery' if batteries == 1 else 'batteries'}"
    return Figure(name, median_us(once, map(heard, range(1, STEPS + 1))), "us", target_us)


def shell_in_virtual_time() -> Figure:
    """Half a day of the whole shell, 1 s cycles, in-process meter, battery and PV."""
    traces = synthetic(load_config(SITE))

    async def half_a_day() -> None:
        control = a_loop(a_house(traces.load, traces.pv))
        asyncio.get_running_loop().call_later(VIRTUAL_S, control.stop)
        await control.run()

    began_s = time.perf_counter()
    run(half_a_day())
    took_s = time.perf_counter() - began_s
    return Figure("whole shell in virtual time", VIRTUAL_S / took_s, "x real time", 8000.0, at_least=True)


def a_year() -> Figure:
    """A year at 1 min in the fast path: invented load and sun, 525,600 decisions."""
    config = load_config(SITE)
    traces = synthetic(config, 60)
    began_s = time.perf_counter()
    simulate(config, traces.load, traces.pv, config.simulation.pv_peak_w, 365 * 86_400.0, 60.0)
    return Figure("simulate, a year at 1 min", time.perf_counter() - began_s, "s", 20.0)
