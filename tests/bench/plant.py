"""One second of the house: load and sun in one-second detail, a battery that follows a setpoint."""

from __future__ import annotations

from math import inf

from simulators.cells import Kind, chemistry
from simulators.converter import InverterParams
from simulators.site import BatteryUnit, House, PvUnit
from simulators.traces import SyntheticHouse
from tests.bench.measure import Figure, median_us

STEPS = 20_000
ORDER_EVERY = 5


def plant_step(kind: Kind, target_us: float) -> Figure:
    """The median second from 10 o'clock on; every fifth brings a new setpoint."""
    traces = SyntheticHouse(1)
    cells = chemistry(kind, 20_000.0, max_charge_w=5000.0, max_discharge_w=5000.0)
    unit = BatteryUnit(cells, InverterParams(5000.0, 5000.0))
    house = House(traces.load, [PvUnit(traces.pv, 6000.0)], [unit], trace_begin_s=36_000.0)
    battery = house.battery(0)

    def once(second: int) -> None:
        house.advance(float(second))
        if second % ORDER_EVERY == 0:
            battery.order(float(second), -300.0 - second % 70, inf)

    note = "one second, a battery, a new order every fifth"
    took_us = median_us(once, range(1, STEPS + 1))
    return Figure(f"plant step, {kind} cells", took_us, "us", target_us, note=note)
