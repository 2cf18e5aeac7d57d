"""A small running site for shell tests: in-process devices over a real plant, no wires."""

from __future__ import annotations

from controller.clock import WallClock, no_clock
from controller.dispatch.settings import BatterySettings, DispatchConfig, PvSettings
from controller.loop import ControlLoop, Listener, Teller, nothing_told
from drivers.device import DeviceFacts
from drivers.simulated import SimulatedBattery, SimulatedMeter, SimulatedPv
from simulators.battery import LithiumParams
from simulators.inverter import InverterParams
from simulators.site import BatteryUnit, House, PvUnit
from simulators.traces import StepTrace, Trace

CONFIG = DispatchConfig(
    (BatterySettings("bat1", 10_000, 5, 100, 5000, 5000),), (PvSettings("roof"),), export_limit_w=3000.0
)


def constant(power_w: float) -> StepTrace:
    """The same power for a day and more."""
    return StepTrace(100_000.0, [power_w, power_w])


def a_house(load: Trace, sun: Trace, soc_pct: float = 50.0, pv_rated_w: float = 6000.0) -> House:
    return House(
        load,
        [PvUnit(sun, pv_rated_w)],
        [BatteryUnit(LithiumParams(10_000), InverterParams(5000, 5000), soc_pct)],
        phases=3,
    )


def a_loop(
    house: House,
    *listeners: Listener,
    config: DispatchConfig = CONFIG,
    told: Teller = nothing_told,
    clock: WallClock = no_clock,
) -> ControlLoop:
    facts = [DeviceFacts(name, "simulated", lease_s=30.0) for name in ("grid", "bat1", "roof")]
    return ControlLoop(
        config,
        SimulatedMeter(facts[0], house.meter()),
        [SimulatedBattery(facts[1], house.battery(0))],
        [SimulatedPv(facts[2], house.pv(0))],
        listeners=listeners,
        told=told,
        clock=clock,
    )
