"""One scenario, run in one of three ways: the bare `step`, the whole shell in virtual time, or in real time.

The shell is the one of `penstock run`: the control loop, its stations, the drivers, links and sockets. In
virtual time the emulators live in the same event loop; a scenario without wires has in-process devices.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, cast

from controller.config import Config, DeviceEntry
from controller.devices import open_devices
from controller.dispatch.orders import LocalTime
from controller.lab.broker_side import broker_side
from controller.lab.disk_side import DiskSide, disk_side
from controller.lab.emulate import emulated
from controller.lab.fast import decide_all, wall_clock
from controller.lab.host_limits import host_limits
from controller.lab.lines import Way, moved_to
from controller.lab.mixed import RealDevices, refuse_what_cannot_be, registers_written, with_twins
from controller.lab.record import Record
from controller.lab.scenario import Scenario
from controller.lab.stage import PLACES, Stage
from controller.lab.timing import timing_of
from controller.loop import ControlLoop, Cycle, Listener, Teller, Told
from drivers.address import Address, parse_connection
from drivers.device import Battery, Meter, MeterReading, Pv, Switch
from drivers.doors import DoorError
from drivers.modbus import facts_of
from drivers.simulated import SimulatedBattery, SimulatedMeter, SimulatedPv, SimulatedSwitch
from simulators.faults import Board, FaultError
from simulators.faults.host import CrashLoop, Killed, MemoryGone, Restarted, Stalled, Unhandled
from simulators.virtual_time import VirtualTimeLoop, run

QUIESCE_S = 0.001
"""In virtual time, how long the clock waits for bytes that the kernel still holds."""
SELDOM = 200_000
"""How many objects come into being between two searches for rubbish."""
How = Literal["fast", "virtual", "real"]
Place = Literal["deciding", "telling", "driver"]
ENDS_WITHIN_CYCLES = 3.0
"""An error that nobody expects ends the controller so soon, or it goes on half alive."""
BEGIN_S = 0.5
"""In real time, between the emulators' start and the scenario's beginning."""
Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Bug:
    """An error that nobody expects, and where it comes up."""

    where: Place
    error: type[Exception]


End = Literal["killed", "stopped"] | Bug


@dataclass(frozen=True, slots=True)
class Opened:
    """The devices as the controller has them, for as long as it lives."""

    meter: Meter
    batteries: Sequence[Battery]
    pvs: Sequence[Pv]
    switches: Sequence[Switch]
    close: Callable[[], Awaitable[None]]


def run_scenario(
    scenario: Scenario,
    how: How = "virtual",
    real: frozenset[str] = frozenset(),
    progress: Progress | None = None,
    way: Way | None = None,
) -> Record:
    """The record of one run. `real` devices (by id) are not emulated; `progress` hears the seconds done.

    Without real devices all buses are at free places of this host; `way` says of what kind, or the site.
    """
    if how == "fast":
        stage = staged(scenario, scenario.config, 0.0, wired=False)
        record = stage.record()
        decide_all(scenario, stage, record, progress)
        return record
    refuse_what_cannot_be(scenario.config, real)
    check_wires(scenario, way)
    with TemporaryDirectory(prefix="penstock-") as folder:
        if not real:
            scenario = replace(
                scenario, config=moved_to(scenario.config, way, Path(folder), how == "virtual")
            )
        wired = how == "real" or scenario.wires or way is not None
        shell = _Shell(scenario, wired, how == "real", real, progress)
        if how == "real":
            return asyncio.run(shell.run())
        with _collected_seldom():
            return run(shell.run(), QUIESCE_S)


@contextmanager
def _collected_seldom() -> Iterator[None]:
    """A run keeps what it makes: looking for rubbish among it again and again costs a fifth of the time."""
    before = gc.get_threshold()
    gc.set_threshold(SELDOM, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def check_wires(scenario: Scenario, way: Way | None) -> None:
    """DoorError when a fault of this scenario cannot happen on the wire that its device is on."""
    kinds = {one.id: way or one.connection.partition(":")[0] for one in scenario.config.devices}
    wires = {name: "serial" if kind.startswith("rtu") else kind for name, kind in kinds.items()}
    board = Board({one.id: one.role for one in scenario.config.devices} | PLACES, wires)
    for one in scenario.faults:
        try:
            board.check(one.device, one.made())
        except FaultError as error:
            raise DoorError(f"{scenario.path}: {error}") from None


def staged(scenario: Scenario, config: Config, begin_s: float, wired: bool) -> Stage:
    """The plant of a scenario, with the faults of its timeline in front."""
    stage = Stage(config, scenario.load, scenario.sun, scenario.sun_peak_w, wired=wired, begin_s=begin_s)
    for one in scenario.faults:
        stage.board.add(one.device, one.made(), begin_s + one.at_s, begin_s + one.end_s)
    stage.grid += [replace(one, at_s=begin_s + one.at_s) for one in scenario.grid]
    return stage


def elsewhere(config: Config) -> frozenset[str]:
    """The devices (by id) that are not on this host's loopback: real ones."""

    def is_here(entry: DeviceEntry) -> bool:
        address = parse_connection(entry.connection)
        return isinstance(address, Address) and address.host.startswith(("127.", "localhost", "::1"))

    return frozenset(one.id for one in config.devices if not is_here(one))


class _Shell:
    """The whole shell on one event loop, virtual or real."""

    def __init__(
        self,
        scenario: Scenario,
        wired: bool,
        real_time: bool,
        real: frozenset[str],
        progress: Progress | None,
    ) -> None:
        self._scenario = scenario
        self._wired = wired
        self._real_time = real_time
        self._real = real
        self._progress = progress
        self._config = scenario.config
        self._writes: dict[str, int] = {}
        self._real_devices: RealDevices | None = None
        self._listeners: tuple[Listener, ...] = ()
        self._told: Teller = self._told_by_steps
        self._disk: DiskSide | None = None
        self._bug: Bug | None = None

    async def run(self) -> Record:
        """The record of the run."""
        scenario, loop = self._scenario, asyncio.get_running_loop()
        begin_s = self._begin_s = loop.time() + (BEGIN_S if self._real_time else 0.0)
        self._stage = staged(scenario, with_twins(self._config, self._real), begin_s, self._wired)
        self._record = self._stage.record()
        if self._real:
            self._real_devices = RealDevices(self._config, self._real, self._stage, self._record)
        for one in scenario.faults:
            if isinstance(one.made(), Stalled):
                loop.call_at(begin_s + one.at_s, self._stall, one.end_s - one.at_s)
        async with AsyncExitStack() as stack:
            if self._wired:
                await stack.enter_async_context(emulated(self._stage, self._real))
            else:
                keeping = asyncio.create_task(self._stage.keep(), name="plant")
                stack.callback(keeping.cancel)
            self._listeners, self._told = await stack.enter_async_context(
                broker_side(scenario, self._config, self._stage, self._clock, self._told_by_steps)
            )
            self._disk = stack.enter_context(disk_side(scenario, self._config, self._stage, self._clock))
            if self._disk is not None:
                self._listeners += (self._disk.heard,)
            stack.enter_context(host_limits(scenario, begin_s))
            await _sleep_until(begin_s)
            async with asyncio.TaskGroup() as tasks:
                watching = tasks.create_task(self._watch())
                await self._lives()
                watching.cancel()
        self._stage.close(self._record, scenario.duration_s)
        self._record.writes = self._writes if self._wired else None
        return self._record

    async def _watch(self) -> None:
        """Look at the plant again and again."""
        scenario, number = self._scenario, 0
        while True:
            now_s = asyncio.get_running_loop().time()
            self._stage.look(self._record, now_s)
            if self._progress is not None:
                self._progress(now_s - self._begin_s)
            number += 1
            await _sleep_until(self._begin_s + number * scenario.sample_s)

    async def _lives(self) -> None:
        """One controller after the other: it may be killed, or stopped in order, and started again."""
        scenario, begin_s = self._scenario, self._begin_s
        ends = _ends(scenario)
        for at_s, end_s, how in ends:
            await self._life(begin_s + at_s, how)
            await _sleep_until(begin_s + min(end_s, scenario.duration_s))
        if not ends or ends[-1][1] < scenario.duration_s:
            await self._life(begin_s + scenario.duration_s, "stopped")

    async def _life(self, until_s: float, how: End) -> None:
        opened = self._opened()
        control = ControlLoop(
            self._config.dispatch,
            cast(Meter, _Fallible(opened.meter, self)),
            opened.batteries,
            opened.pvs,
            opened.switches,
            listeners=[self._note, *self._listeners],
            clock=self._clock,
            told=self._told,
        )
        if self._disk is not None:
            await self._disk.begin(control)
        life = asyncio.create_task(control.run(), name="control")
        try:
            await asyncio.wait([life], timeout=until_s - asyncio.get_running_loop().time())
            if how == "killed":
                life.cancel()
            elif how == "stopped":
                control.stop()
            else:
                self._bug = how
                await asyncio.wait([life], timeout=ENDS_WITHIN_CYCLES * self._config.dispatch.cycle_s)
                life.cancel()  # for one that goes on as if nothing had happened
            await asyncio.wait([life])
            if isinstance(how, Bug) and not life.cancelled() and isinstance(life.exception(), how.error):
                await control.release()
            elif not life.cancelled():
                life.result()
        finally:
            ordered: tuple[Battery | Pv, ...] = (*opened.batteries, *opened.pvs)
            for device in ordered:
                name = device.facts.id
                self._writes[name] = self._writes.get(name, 0) + registers_written(device)
            if self._disk is not None:
                await self._disk.end(control, how == "killed")
            await opened.close()

    def _opened(self) -> Opened:
        config, stage = self._config, self._stage
        if self._wired:
            devices = open_devices(config)
            return Opened(devices.meter, devices.batteries, devices.pvs, devices.switches, devices.close)

        async def nothing() -> None:
            """There is no link to close."""

        facts = {one.id: facts_of(one.id, one.profile) for one in config.devices}
        return Opened(
            SimulatedMeter(facts[config.meter.id], stage.meter),
            [
                SimulatedBattery(facts[entry.id], port)
                for entry, port in zip(config.batteries, stage.batteries, strict=True)
            ],
            [SimulatedPv(facts[entry.id], port) for entry, port in zip(config.pvs, stage.pvs, strict=True)],
            [
                SimulatedSwitch(facts[entry.device.id], load)
                for entry, load in zip(config.switches, stage.loads, strict=True)
            ],
            nothing,
        )

    def fails(self, where: Place) -> None:
        """Asked at each place where an error may come up."""
        bug = self._bug
        if bug is not None and bug.where == where:
            self._bug = None
            raise bug.error

    def _stall(self, seconds: float) -> None:
        """Let nothing of this process run for a while; the world outside goes on."""
        loop = asyncio.get_running_loop()
        if not isinstance(loop, VirtualTimeLoop):
            threading.Event().wait(seconds)
            return
        end_s = min(loop.time() + seconds, self._begin_s + self._scenario.duration_s)
        while (left_s := end_s - loop.time()) > 0.0:
            loop.jump(min(left_s, self._scenario.sample_s))
            self._stage.look(self._record, loop.time())

    def _note(self, cycle: Cycle) -> None:
        self.fails("deciding")
        at_s = cycle.snapshot.now_s - self._begin_s
        if at_s < self._scenario.duration_s:
            if self._real_devices is not None:
                self._real_devices.heard(cycle, at_s)
            self._record.beat(at_s, cycle.decision, timing_of(cycle))

    def _told_by_steps(self, now_s: float, local: LocalTime | None) -> Told:
        self.fails("telling")
        return self._scenario.told(now_s - self._begin_s, self._begin_s)

    def _clock(self) -> tuple[float | None, LocalTime | None]:
        return wall_clock(self._scenario, self._stage, asyncio.get_running_loop().time())


def _ends(scenario: Scenario) -> list[tuple[float, float, End]]:
    """When a controller ends, when the next one starts, and how it ends."""
    ends: list[tuple[float, float, End]] = []
    for one in scenario.faults:
        fault = one.made()
        if isinstance(fault, CrashLoop):
            until_s = min(one.end_s, scenario.duration_s)
            ends += [(at_s, next_s, "killed") for at_s, next_s in fault.deaths(one.at_s, until_s)]
        elif isinstance(fault, Killed):
            ends.append((one.at_s, one.end_s, "killed"))
        elif isinstance(fault, Restarted):
            ends.append((one.at_s, one.end_s, "stopped"))
        elif isinstance(fault, MemoryGone):
            ends.append((one.at_s, one.end_s, Bug("deciding", MemoryError)))
        elif isinstance(fault, Unhandled):
            ends.append((one.at_s, one.end_s, Bug(fault.where, ZeroDivisionError)))
    return sorted(ends, key=lambda end: end[:2])


async def _sleep_until(when_s: float) -> None:
    """Until exactly this instant on the loop's clock."""
    loop = asyncio.get_running_loop()
    if when_s <= loop.time():
        return
    waiter: asyncio.Future[None] = loop.create_future()
    handle = loop.call_at(when_s, waiter.set_result, None)
    try:
        await waiter
    finally:
        handle.cancel()


class _Fallible:
    """A meter as it is, until an error comes up in its driver."""

    def __init__(self, meter: Meter, shell: _Shell) -> None:
        self._meter = meter
        self._shell = shell

    def __getattr__(self, name: str) -> Any:
        return getattr(self._meter, name)

    async def read(self, deadline_s: float) -> MeterReading:
        self._shell.fails("driver")
        return await self._meter.read(deadline_s)
