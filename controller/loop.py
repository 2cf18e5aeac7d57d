"""The scan cycle: on every beat read, decide, order, report; absolute deadlines, no catch-up bursts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from controller.clock import WallClock, no_clock
from controller.dispatch.decision import Decision, Memory
from controller.dispatch.modes import Mode
from controller.dispatch.orders import NO_ORDERS, LocalTime, Orders, Plan, Prices
from controller.dispatch.settings import DispatchConfig
from controller.dispatch.site import Snapshot
from controller.dispatch.step import step
from controller.energy import NOTHING_COUNTED, Books, Totals, count
from controller.station import BatteryStation, MeterStation, PvStation, SwitchStation
from drivers.device import Battery, Meter, Pv, Switch
from drivers.fact import fact

log = logging.getLogger("penstock")

READ_PART = 0.6
"""Part of the cycle that a decision waits for its readings; what comes later counts for the next beat."""
WRITE_PART = 0.95
LONGEST_WAIT_S = 0.8
PATIENCE_S, PATIENCE_CYCLES = 2.0, 2.0
"""How long a device may take for a reading or an order where no other waits for its line: it misses beats."""
RELEASE_WITHIN_S = 3.0
"""A clean stop has the devices confirm their release within this time (fault catalogue, E15)."""


AnyStation = MeterStation | BatteryStation | PvStation | SwitchStation


@dataclass(slots=True)
class Timing:
    """How the beat was kept: counts since the start, and the last cycle's times in seconds."""

    cycles: int = 0
    overruns: int = 0
    missed_beats: int = 0
    start_jitter_s: float = 0.0
    read_s: float = 0.0
    decide_s: float = 0.0


@fact
class Cycle:
    """One beat as it was: what was heard, decided and remembered after it, and the stations as they stood."""

    seq: int
    snapshot: Snapshot
    decision: Decision
    memory: Memory
    timing: Timing
    meter: MeterStation
    batteries: tuple[BatteryStation, ...]
    pvs: tuple[PvStation, ...]
    switches: tuple[SwitchStation, ...] = ()
    books: Books = NOTHING_COUNTED
    energy: Totals | None = NOTHING_COUNTED.totals
    """What may be published of the books: they are kept, so that no restart can take it back."""

    @property
    def stations(self) -> tuple[AnyStation, ...]:
        """All devices: meter, batteries, PV inverters, switches."""
        return (self.meter, *self.batteries, *self.pvs, *self.switches)


STOP = Orders(stop=True)


@fact
class Told:
    """What was told to the site from outside and is in force at one beat; what has expired is absent."""

    orders: Orders = NO_ORDERS
    prices: Prices | None = None
    plan: Plan | None = None
    clear_fault: bool = False
    """Somebody has looked at the fault: forget it. The mode is left through STOPPED, see `modes.py`."""


NOTHING_TOLD = Told()


def nothing_told(now_s: float, local: LocalTime | None) -> Told:
    """For sites without orders, tariff and plan."""
    return NOTHING_TOLD


Teller = Callable[[float, LocalTime | None], Told]
"""Asked on every beat with the loop's time and the trusted local time; must not wait for anything."""
Listener = Callable[[Cycle], None]


@dataclass(slots=True)
class ControlLoop:
    """The controller of one site: `run` until `stop`. Listeners must not wait for anything."""

    config: DispatchConfig
    meter: Meter
    batteries: Sequence[Battery]
    pvs: Sequence[Pv] = ()
    switches: Sequence[Switch] = ()
    listeners: Sequence[Listener] = ()
    clock: WallClock = no_clock
    told: Teller = nothing_told
    speed: float = 1.0
    """So many times as fast as the loop's clock energy flows in a house whose day is only played."""
    memory: Memory = field(default_factory=Memory)
    timing: Timing = field(default_factory=Timing)
    books: Books = NOTHING_COUNTED
    publishable: Callable[[Books], Totals | None] = field(default=lambda books: books.totals)
    stopping: bool = False
    fault: str = ""
    snapshot: Snapshot | None = None
    """What the core was last asked to decide: when it fails, this is why."""
    left_behind: tuple[str, ...] = ()
    """After a stop: which devices may hold an order that nothing ends, in sentences for the operator."""
    _sleeper: asyncio.Future[None] | None = field(init=False, default=None)
    _meter: MeterStation = field(init=False)
    _batteries: tuple[BatteryStation, ...] = field(init=False)
    _pvs: tuple[PvStation, ...] = field(init=False)
    _switches: tuple[SwitchStation, ...] = field(init=False)
    _stations: tuple[AnyStation, ...] = field(init=False)

    def __post_init__(self) -> None:
        self._meter = MeterStation(self.meter)
        self._batteries = tuple(BatteryStation(one) for one in self.batteries)
        self._pvs = tuple(PvStation(one) for one in self.pvs)
        self._switches = tuple(SwitchStation(one) for one in self.switches)
        self._stations = (self._meter, *self._batteries, *self._pvs, *self._switches)

    def stop(self) -> None:
        """Let `run` end after the present cycle."""
        self.stopping = True
        if self._sleeper is not None and not self._sleeper.done():
            self._sleeper.set_result(None)

    async def run(self) -> None:
        """Scan until `stop` is called, then release every device.

        A bug in the core ends it; whoever runs it then calls `release`.
        """
        tasks = [asyncio.create_task(one.run(), name=f"station {one.id}") for one in self._stations]
        try:
            await self._beats(tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await self._stop()

    async def _beats(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        loop = asyncio.get_running_loop()
        cycle_s = self.config.cycle_s
        start_s, number = loop.time(), 0
        while not self.stopping:
            beat_s = start_s + number * cycle_s
            self.timing.start_jitter_s = loop.time() - beat_s
            await self._cycle(beat_s)
            for task in tasks:
                if task.done():
                    task.result()
            number += 1
            late_s = loop.time() - (start_s + number * cycle_s)
            if late_s > 0.0:
                skipped = int(late_s / cycle_s) + 1
                self.timing.overruns += 1
                self.timing.missed_beats += skipped
                number += skipped
            await self._until(start_s + number * cycle_s)

    async def _cycle(self, beat_s: float) -> None:
        """One scan: everybody reads at once, the core decides, orders go out."""
        loop = asyncio.get_running_loop()
        cycle_s = self.config.cycle_s
        patience_s = max(PATIENCE_S, PATIENCE_CYCLES * cycle_s)
        awaited = [one for one in self._stations if one.well and not one.late]
        read_by_s = beat_s + min(READ_PART * cycle_s, LONGEST_WAIT_S)
        for station in self._stations:
            by_s = read_by_s if station.device.facts.serial else beat_s + patience_s
            station.beat(by_s, read_by_s)
        try:
            async with asyncio.timeout_at(read_by_s + 0.05 * cycle_s):
                for station in awaited:
                    await station.answered.wait()
        except TimeoutError:
            for station in awaited:
                station.late = not station.answered.is_set()
        now_s = loop.time()
        self.timing.read_s = now_s - beat_s
        self._decide(now_s, beat_s + WRITE_PART * cycle_s, now_s + patience_s)
        self.timing.decide_s = loop.time() - now_s

    def _decide(self, now_s: float, serial_by_s: float, write_by_s: float, stop: bool = False) -> None:
        """Order devices on a serial line by `serial_by_s`, the others by `write_by_s`."""

        def by_s(station: AnyStation) -> float:
            return serial_by_s if station.device.facts.serial else write_by_s

        utc_s, local = self.clock()
        told = self.told(now_s, local)
        for battery in self._batteries:
            if told.clear_fault:
                self.fault = battery.fault = ""
            self.fault = self.fault or battery.fault
        snapshot = Snapshot(
            now_s,
            self._meter.reading,
            tuple([one.reading for one in self._batteries]),
            tuple([one.reading for one in self._pvs]),
            tuple([one.reading for one in self._switches]),
            utc_s=utc_s,
            local=local,
            orders=STOP if stop else told.orders,
            prices=told.prices,
            plan=told.plan,
            fault=self.fault,
        )
        self.snapshot = snapshot
        before = self.memory.mode
        self.memory, decision = step(self.config, self.memory, snapshot)
        if decision.mode is not before:
            log.log(_LEVEL[decision.mode], "%s -> %s: %s", before.value, decision.mode.value, decision.reason)
        for battery, setpoint_w in zip(self._batteries, decision.battery_setpoints_w, strict=True):
            battery.order(setpoint_w, by_s(battery))
        for pv, cap_w in zip(self._pvs, decision.pv_caps_w, strict=True):
            pv.order(cap_w, by_s(pv))
        for switch, closed in zip(self._switches, decision.loads_closed, strict=False):
            switch.order(closed, by_s(switch))
        self.books = count(self.config, self.books, snapshot, self.speed)
        self.timing.cycles += 1
        cycle = Cycle(
            self.timing.cycles,
            snapshot,
            decision,
            self.memory,
            self.timing,
            self._meter,
            self._batteries,
            self._pvs,
            self._switches,
            self.books,
            self.publishable(self.books),
        )
        for listener in self.listeners:
            listener(cycle)

    async def _until(self, when_s: float) -> None:
        """Sleep until exactly `when_s` on the loop's clock, or until `stop`."""
        if self.stopping:
            return
        loop = asyncio.get_running_loop()
        self._sleeper = loop.create_future()
        handle = loop.call_at(when_s, _wake, self._sleeper)
        try:
            await self._sleeper
        finally:
            handle.cancel()
            self._sleeper = None

    async def _stop(self) -> None:
        """Decide STOPPED, release every device and close it, within `RELEASE_WITHIN_S`."""
        now_s = asyncio.get_running_loop().time()
        deadline_s = now_s + RELEASE_WITHIN_S
        self._decide(now_s, deadline_s, deadline_s, stop=True)
        await self._release(deadline_s)

    async def release(self) -> None:
        """After `run` has ended by an error: release what can be reached, without deciding anything."""
        await self._release(asyncio.get_running_loop().time() + RELEASE_WITHIN_S)

    async def _release(self, deadline_s: float) -> None:
        # A driver with a bug must not keep the others from theirs; it ends the program elsewhere.
        asked = [one.release(deadline_s) for one in self._stations]
        released = await asyncio.gather(*asked, return_exceptions=True)
        log.info("stopped; %d of %d devices released", sum(one is True for one in released), len(released))
        self.left_behind = tuple(
            f"{one.id} was not released, and what it was last ordered may stay on ({one.stays_on}): "
            "see to it at the device, or start the controller again"
            for one, well in zip(self._stations, released, strict=True)
            if well is not True and one.stays_on
        )
        for sentence in self.left_behind:
            log.critical("%s", sentence)
        await asyncio.gather(*(one.device.close() for one in self._stations))


_LEVEL = {
    Mode.STARTING: logging.INFO,
    Mode.RUNNING: logging.INFO,
    Mode.HOLDING: logging.WARNING,
    Mode.SAFE: logging.ERROR,
    Mode.ISLANDED: logging.WARNING,
    Mode.STOPPED: logging.INFO,
    Mode.FAULT: logging.ERROR,
}


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)
