"""Lock-step: a rig owns the clock. Tick, inputs, one scan, outputs, done.

    with Rig(load_config(Path("house.toml"))) as rig:
        outputs = rig.tick(1.0, {"grid": {"pcc_import_w": 800.0}, "bat1": {"battery_discharge_w": 0.0}})

The rig is the plant: on each tick it says what the meter, the batteries and the other devices of the site
file show now, and hears what each of them is ordered to do. In between the controller's clock stands still,
so a slow rig, a breakpoint or a weekend changes nothing, and equal inputs give equal outputs to the last
bit. What runs is the scan cycle of `penstock run`, with in-process devices in place of the drivers.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from math import inf, isfinite
from types import TracebackType
from typing import Any, TypedDict

from controller.config import Config
from controller.dispatch.orders import NO_ORDERS, LocalTime
from controller.lab.rig_messages import AnyReading, LockStepError, Tick, checked_tick, prices_of, reading_of
from controller.loop import ControlLoop, Cycle, Told
from controller.telemetry import state_message
from drivers.device import BatteryReading, DeviceError, PvReading
from drivers.modbus import facts_of
from drivers.simulated import SimulatedBattery, SimulatedMeter, SimulatedPv, SimulatedSwitch
from simulators.virtual_time import new_event_loop

MICROSECONDS = 1_000_000
AFTER_THE_SCAN_S = 0.5e-6
"""A tick ends half a microsecond after its instant, when everything that was due then has been done."""


class Outputs(TypedDict):
    """What the controller answered; `state` is the MQTT message of that name, None before the first scan.

    `orders` has, for each device that takes any, `{"setpoint_w": W or None}` (battery discharge; None:
    released to its own program), `{"cap_w": W or None}` (PV; None: uncapped) or `{"closed": bool}`.
    """

    tick: int
    at_s: float
    scans: int
    state: dict[str, Any] | None
    orders: dict[str, dict[str, float | bool | None]]


class Rig:
    """One site under lock-step. Not to be ticked from several threads at once."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.ticks = 0
        self._now_us = 0
        self._scans = 0
        self._trace = hashlib.sha256()
        self._heard = Tick({}, None, None, None)
        self._newest: Cycle | None = None
        self._ports = {entry.id: _Port(self, entry.id) for entry in config.devices}
        self._takes = [entry for entry in config.devices if entry.role != "meter"]
        self._control = self._control_loop()
        self._running: asyncio.Task[None] | None = None
        # A thread of its own: the rig may live in an event loop itself, as mosaik does.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="penstock-rig")
        self._runner = asyncio.Runner(loop_factory=new_event_loop)
        self._closed = False

    def __enter__(self) -> Rig:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def trace_sha256(self) -> str:
        """A digest of every tick so far, inputs and outputs: equal for equal runs."""
        return self._trace.hexdigest()

    def tick(
        self,
        dt_s: float,
        devices: Mapping[str, Mapping[str, Any] | None],
        *,
        orders: Mapping[str, Any] | None = None,
        prices: Mapping[str, Any] | None = None,
        clock: Mapping[str, Any] | None = None,
    ) -> Outputs:
        """Let `dt_s` pass, after which the devices show this, and scan if the beat is due.

        A device that is left out, or None, does not answer. The first tick begins the first cycle, and a
        beat is due every `cycle_s` from then on; so a rig that ticks at the pace of the cycle gets one scan
        a tick, and a finer one gets `scans` 0 in between. LockStepError when something is wrong with the
        inputs; then nothing has moved.
        """
        if self._closed:
            raise LockStepError("the rig is closed; make a new one")
        step_us = self._step_us(dt_s)
        heard = checked_tick(self.config, devices, orders, prices, clock)
        return self._thread.submit(self._tick, step_us, heard).result()

    def close(self) -> None:
        """End the controller; what it still orders is a release, which nobody hears any more."""
        if not self._closed:
            self._closed = True
            self._thread.submit(self._end).result()
            self._thread.shutdown()

    def _step_us(self, dt_s: float) -> int:
        if isinstance(dt_s, bool) or not isinstance(dt_s, float | int) or not isfinite(dt_s):
            raise LockStepError(f"dt_s is {dt_s!r}; give seconds, such as {self.config.cycle_s:g}")
        step_us = round(dt_s * MICROSECONDS)
        if not 1 <= step_us <= round(self.config.cycle_s * MICROSECONDS):
            raise LockStepError(
                f"dt_s is {dt_s:g}; give more than 0 and at most the cycle of the site file, "
                f"{self.config.cycle_s:g} s: over a longer step it would decide on readings it does not have"
            )
        return step_us

    def _tick(self, step_us: int, heard: Tick) -> Outputs:
        self._now_us += step_us
        self._heard = heard
        self.ticks += 1
        self._scans = 0
        now_s = self._now_us / MICROSECONDS
        self._runner.run(self._advance(now_s))
        outputs = self._outputs(now_s)
        said: list[Any] = [{name: one.model_dump() for name, one in sorted(heard.devices.items())}]
        said += [
            None if one is None else one.model_dump() for one in (heard.orders, heard.prices, heard.clock)
        ]
        self._trace.update(json.dumps([said, outputs], sort_keys=True).encode())
        return outputs

    async def _advance(self, now_s: float) -> None:
        """Run everything that is due up to `now_s`, and what follows from it at the same instant."""
        if self._running is None:
            await _until(now_s)
            self._running = asyncio.create_task(self._control.run(), name="control")
        await _until(now_s + AFTER_THE_SCAN_S)
        if self._running.done():
            self._running.result()  # a bug in the core ends a rig as it ends `penstock run`

    def _end(self) -> None:
        with self._runner:
            if self._running is not None:
                self._control.stop()
                self._runner.run(_ended(self._running))

    def _control_loop(self) -> ControlLoop:
        config = self.config
        facts = {entry.id: facts_of(entry.id, entry.profile) for entry in config.devices}
        return ControlLoop(
            config.dispatch,
            SimulatedMeter(facts[config.meter.id], self._ports[config.meter.id]),
            [SimulatedBattery(facts[one.id], self._ports[one.id]) for one in config.batteries],
            [SimulatedPv(facts[one.id], self._ports[one.id]) for one in config.pvs],
            [SimulatedSwitch(facts[one.device.id], self._ports[one.device.id]) for one in config.switches],
            (self._saw,),
            self._clock,
            self._told,
        )

    def _saw(self, cycle: Cycle) -> None:
        self._newest = cycle
        self._scans += 1

    def _clock(self) -> tuple[float | None, LocalTime | None]:
        clock = self._heard.clock
        return (None, None) if clock is None else (clock.utc_s, LocalTime(clock.utc_s, clock.offset_s))

    def _told(self, now_s: float, local: LocalTime | None) -> Told:
        orders = self._heard.orders
        return Told(NO_ORDERS if orders is None else orders.orders(), prices_of(self._heard.prices))

    def heard(self, device_id: str, now_s: float) -> AnyReading:
        """The reading of this tick; DeviceError when the rig left the device out."""
        one = self._heard.devices.get(device_id)
        if one is None:
            raise DeviceError(f"{device_id}: does not answer (the rig left it out)")
        return reading_of(one, now_s)

    def _outputs(self, now_s: float) -> Outputs:
        state = None if self._newest is None else state_message(self.config.dispatch, self._newest)
        return Outputs(
            tick=self.ticks,
            at_s=now_s,
            scans=self._scans,
            state=None if state is None else state.model_dump(mode="json"),
            orders={entry.id: self._ports[entry.id].in_force(entry.role, now_s) for entry in self._takes},
        )


class _Port:
    """One device of the rig, whatever its kind, and the order that is in force there."""

    def __init__(self, rig: Rig, device_id: str) -> None:
        self._rig = rig
        self._id = device_id
        self._power_w: float | None = None
        self._expires_s = inf
        self._closed = True

    def reading(self, now_s: float) -> Any:
        """What the rig said of it, with the order that it holds."""
        reading = self._rig.heard(self._id, now_s)
        if isinstance(reading, BatteryReading):
            return replace(reading, setpoint_w=self._held_w(now_s))
        if isinstance(reading, PvReading):
            return replace(reading, cap_w=self._held_w(now_s))
        return reading

    def order(self, now_s: float, power_w: float | None, expires_at_s: float) -> None:
        """Take an order, or with None a release; a device that does not answer takes none."""
        self._rig.heard(self._id, now_s)
        self._power_w, self._expires_s = power_w, expires_at_s

    def cap(self, now_s: float, pv_cap_w: float, expires_at_s: float) -> None:
        """The order of a PV inverter."""
        self.order(now_s, pv_cap_w, expires_at_s)

    def release(self, now_s: float) -> None:
        """No order any more."""
        self.order(now_s, None, inf)

    def set(self, now_s: float, closed: bool) -> None:
        """The order of a relay."""
        self._rig.heard(self._id, now_s)
        self._closed = closed

    def in_force(self, role: str, now_s: float) -> dict[str, float | bool | None]:
        """The order in force, under the name it has for this kind of device."""
        if role == "switch":
            return {"closed": self._closed}
        return {"setpoint_w" if role == "battery" else "cap_w": self._held_w(now_s)}

    def _held_w(self, now_s: float) -> float | None:
        """What its lease has left of the order."""
        return self._power_w if now_s < self._expires_s else None


async def _until(when_s: float) -> None:
    """Wait until exactly this instant of the loop's clock."""
    loop = asyncio.get_running_loop()
    due: asyncio.Future[None] = loop.create_future()
    loop.call_at(when_s, due.set_result, None)
    await due


async def _ended(task: asyncio.Task[None]) -> None:
    await task
