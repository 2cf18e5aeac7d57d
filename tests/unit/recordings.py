"""Recordings for tests: hours of a scripted site, and a day of a simulated house."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from controller.clock import WallClock
from controller.config import load_config
from controller.dispatch.decision import Decision, Memory
from controller.dispatch.orders import LocalTime
from controller.dispatch.settings import BatterySettings, DispatchConfig
from controller.dispatch.site import Snapshot
from controller.journal import Aside, Recorded, SegmentWriter, Start
from controller.lab.house import synthetic
from controller.lab.simulate import Wall, simulate
from controller.loop import ControlLoop, Listener
from controller.recorder import Recorder
from controller.site_state import StateConfig
from simulators.virtual_time import run
from tests.bench.sites import SITE
from tests.unit.test_loop import ScriptedBattery, ScriptedMeter

ONE_BATTERY = DispatchConfig((BatterySettings("bat1", 10_000.0),))
BEGIN_UTC_S = 1_800_000_000.0


def wall() -> WallClock:
    def read() -> tuple[float, LocalTime]:
        utc_s = BEGIN_UTC_S + asyncio.get_running_loop().time()
        return utc_s, LocalTime(utc_s, 3600.0)

    return read


def where(folder: Path, keep_bytes: int = 10**9, keep_incidents: int = 50) -> StateConfig:
    return StateConfig(folder, keep_bytes, 30 * 86_400.0, keep_incidents)


def recorder_of(folder: Path) -> Recorder:
    return Recorder("house-7", ONE_BATTERY, where(folder))


def recorded_site(
    recorder: Recorder,
    seconds: float,
    meter: ScriptedMeter | None = None,
    listeners: tuple[Listener, ...] = (),
    clock: WallClock | None = None,
) -> ControlLoop:
    """Let a scripted site run with this recorder for so many seconds of virtual time."""

    async def whole() -> ControlLoop:
        control = ControlLoop(
            ONE_BATTERY,
            meter or ScriptedMeter(),
            (ScriptedBattery(),),
            listeners=(recorder.heard, *listeners),
            clock=clock or wall(),
        )
        recorder.begin(control.memory)
        writing = asyncio.create_task(recorder.run())
        asyncio.get_running_loop().call_later(seconds, control.stop)
        await control.run()
        writing.cancel()
        await recorder.close()
        return control

    return run(whole())


def simulated_day(path: Path, step_s: float = 30.0) -> DispatchConfig:
    """A summer day of the benchmark's house with its decisions, written as one segment; its settings."""
    config = load_config(SITE)
    config = replace(config, simulation=replace(config.simulation, start=date(2026, 6, 19)))
    found: list[Recorded] = []

    def watch(snapshot: Snapshot, decision: Decision) -> None:
        found.append(Recorded(snapshot, decision, Aside(len(found) + 1)))

    traces = synthetic(config, 30)
    peak_w = config.simulation.pv_peak_w
    simulate(config, traces.load, traces.pv, peak_w, 86_400.0, step_s, wall=Wall(BEGIN_UTC_S), watcher=watch)
    write_segment(path, Start(config.site, config.dispatch, Memory()), found)
    return config.dispatch


def write_segment(path: Path, start: Start, cycles: Sequence[Recorded]) -> None:
    """As the recorder does, a minute of beats at a time."""
    writer = SegmentWriter(path, start)
    for begin in range(0, len(cycles), 60):
        writer.add(cycles[begin : begin + 60])
    writer.close()
