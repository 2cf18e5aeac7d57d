"""The fast path of a scenario: beat for beat the site's own `step` on the ports, without a shell."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Protocol, TypeVar

from controller.dispatch.decision import Decision, Memory
from controller.dispatch.modes import Mode
from controller.dispatch.orders import LocalTime, Orders
from controller.dispatch.site import Snapshot
from controller.dispatch.step import step
from controller.lab.record import Record
from controller.lab.scenario import Scenario
from controller.lab.stage import Stage
from drivers.device import BatteryReading, DeviceError, MeterReading, PvReading
from drivers.simulated import BatteryPort, PvPort
from simulators.faults.host import ClockStep, ClockUnknown, Killed, Restarted, Stalled

Reading = TypeVar("Reading")
Reading_co = TypeVar("Reading_co", covariant=True)


class _Shows(Protocol[Reading_co]):
    def reading(self, now_s: float) -> Reading_co: ...


def decide_all(
    scenario: Scenario, stage: Stage, record: Record, progress: Callable[[float], None] | None = None
) -> None:
    """Every beat and every sample from the beginning to the end, in the order of their instants."""
    cycle_s, sample_s, duration_s = scenario.config.cycle_s, scenario.sample_s, scenario.duration_s
    site = _Site(scenario, stage)
    beat = sample = 0
    while True:
        beat_s, sample_at_s = beat * cycle_s, sample * sample_s
        if min(beat_s, sample_at_s) > duration_s:
            break
        if sample_at_s <= beat_s:
            stage.look(record, stage.begin_s + sample_at_s)
            sample += 1
            if progress is not None:
                progress(sample_at_s)
        if beat_s <= sample_at_s:
            decision = site.decide(stage.begin_s + beat_s) if beat_s < duration_s else None
            beat += 1
            if decision is not None:
                record.beat(beat_s, decision)
    stage.close(record, duration_s)


def wall_clock(scenario: Scenario, stage: Stage, now_s: float) -> tuple[float | None, LocalTime | None]:
    """What the host's clock says, with its faults."""
    at_s = now_s - stage.begin_s
    faults = stage.board.active("host").at(now_s)
    for fault in faults:
        if isinstance(fault, ClockStep):
            at_s += fault.by_s
    local = scenario.local(at_s)
    return local.utc_s, None if any(isinstance(one, ClockUnknown) for one in faults) else local


class _Site:
    """The controller of one site on the ports that it reads and orders."""

    def __init__(self, scenario: Scenario, stage: Stage) -> None:
        self._scenario = scenario
        self._stage = stage
        self._start()

    def _start(self) -> None:
        config = self._scenario.config
        self._memory = Memory()
        self._meter: MeterReading | None = None
        self._batteries: tuple[BatteryReading | None, ...] = (None,) * len(config.batteries)
        self._pvs: tuple[PvReading | None, ...] = (None,) * len(config.pvs)

    def decide(self, now_s: float) -> Decision | None:
        """Read everything, decide and order it; None while no controller runs."""
        stage = self._stage
        for fault in stage.board.active("host").at(now_s):
            if isinstance(fault, Stalled):
                return None
            if isinstance(fault, Killed | Restarted):
                return self._ended(fault, now_s)
        self._meter = _read(stage.meter, now_s, self._meter)
        self._batteries = tuple(
            [_read(one, now_s, last) for one, last in zip(stage.batteries, self._batteries, strict=True)]
        )
        self._pvs = tuple([_read(one, now_s, last) for one, last in zip(stage.pvs, self._pvs, strict=True)])
        return self._decided(now_s, stop=False)

    def _decided(self, now_s: float, stop: bool) -> Decision:
        scenario, stage = self._scenario, self._stage
        utc_s, local = wall_clock(scenario, stage, now_s)
        told = scenario.told(now_s - stage.begin_s, stage.begin_s)
        snapshot = Snapshot(
            now_s,
            self._meter,
            self._batteries,
            self._pvs,
            tuple([one.reading(now_s) for one in stage.loads]),
            utc_s=utc_s,
            local=local,
            orders=Orders(stop=True) if stop else told.orders,
            prices=told.prices,
            plan=told.plan,
        )
        self._memory, decision = step(scenario.config.dispatch, self._memory, snapshot)
        entries = scenario.config.batteries
        for entry, port, order_w in zip(entries, stage.batteries, decision.battery_setpoints_w, strict=True):
            _order(port, order_w, now_s, _lease_s(entry.profile.lease))
        for entry, pv, cap_w in zip(scenario.config.pvs, stage.pvs, decision.pv_caps_w, strict=True):
            _cap(pv, cap_w, now_s, _lease_s(entry.profile.lease))
        for load, closed in zip(stage.loads, decision.loads_closed, strict=False):
            load.set(now_s, closed)
        return decision

    def _ended(self, fault: Killed | Restarted, now_s: float) -> Decision | None:
        """The controller has ended, in order or not; the next one remembers nothing."""
        last = None
        if isinstance(fault, Restarted) and self._memory.mode is not Mode.STARTING:
            last = self._decided(now_s, stop=True)
        self._start()
        return last


def _lease_s(lease: object) -> float:
    seconds = getattr(lease, "seconds", None)
    return inf if seconds is None else float(seconds)


def _read(port: _Shows[Reading], now_s: float, last: Reading | None) -> Reading | None:
    """A new reading, or the last one there was."""
    try:
        return port.reading(now_s)
    except DeviceError:
        return last


def _order(port: BatteryPort, order_w: float | None, now_s: float, lease_s: float) -> None:
    try:
        if order_w is None:
            port.release(now_s)
        else:
            port.order(now_s, order_w, now_s + lease_s)
    except DeviceError:
        return  # what was ordered before holds until its lease ends


def _cap(port: PvPort, cap_w: float | None, now_s: float, lease_s: float) -> None:
    try:
        if cap_w is None:
            port.release(now_s)
        else:
            port.cap(now_s, cap_w, now_s + lease_s)
    except DeviceError:
        return  # the same
