"""One device and its own task: read on every beat, carry out the newest order, never make others wait."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Generic, TypeVar

from drivers.device import (
    Battery,
    BatteryReading,
    DeviceError,
    Meter,
    MeterReading,
    Pv,
    PvReading,
    Switch,
    SwitchReading,
)
from drivers.guard import GuardError

log = logging.getLogger("penstock")

FIRST_PAUSE_S = 0.1
"""A release that failed is tried again after this, then after twice as long each time."""
_NUMBER = re.compile(r"\d+(\.\d+)?")
"""What may differ between two sentences that give the same reason why no order gets through."""

Device = Meter | Battery | Pv | Switch
Reading = TypeVar("Reading", MeterReading, BatteryReading, PvReading, SwitchReading)


class Station(Generic[Reading]):
    """The newest reading of one device, and the newest order for it.

    A device that fails is `well = False` from then on: the beat no longer waits for it, while its own
    task goes on trying. So a dead device costs the others one deadline, once.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self.reading: Reading | None = None
        self.well = True
        self.late = False
        """Its newest answer came later than a decision waits for it: the next one does not wait."""
        self.error = ""
        self.write_error = ""
        self.fault = ""
        self.reads = self.failures = self.writes = self.write_failures = 0
        self.wrote_in_s: float | None = None
        """How long the newest order took to be carried out, or to fail."""
        self.unordered_since_s: float | None = None
        """Since when no order got through, though there were some."""
        self._order: float | bool | None = None
        self._has_order = False
        self._may_hold = False
        self._reasons_told: set[str] = set()
        self._read_by_s: float | None = None
        self._waited_for_until_s = 0.0
        self._write_by_s = 0.0
        self._wake = asyncio.Event()
        self.answered = asyncio.Event()
        self._busy = False

    @property
    def id(self) -> str:
        return self.device.facts.id

    @property
    def outcome(self) -> str:
        """What became of the newest order; empty for a device that takes none."""
        return ""

    @property
    def stays_on(self) -> str:
        """What of ours nothing ends when the device is not released; empty where there is nothing of that."""
        facts = self.device.facts
        return facts.lease_fallback if self._may_hold and facts.lease_s is None else ""

    def beat(self, read_by_s: float, waited_for_until_s: float) -> None:
        """Ask for a reading by `read_by_s`; a device still busy with the last one misses this beat.

        The decision waits for it until `waited_for_until_s`.
        """
        if not self._busy:
            self._read_by_s, self._waited_for_until_s = read_by_s, waited_for_until_s
            self.answered.clear()
            self._wake.set()

    def order(self, what: float | bool | None, write_by_s: float) -> None:
        """Let this be the device's order (None: release it); an older one not yet begun is dropped."""
        self._order, self._has_order, self._write_by_s = what, True, write_by_s
        self._wake.set()

    async def run(self) -> None:
        """The device's task: until it is cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._busy = True
            if self._read_by_s is not None:
                deadline_s, self._read_by_s = self._read_by_s, None
                await self._read(deadline_s)
                self.late = asyncio.get_running_loop().time() > self._waited_for_until_s
                self.answered.set()
            if self._has_order:
                self._has_order = False
                await self._write(self._order, self._write_by_s)
            self._busy = False

    async def _read(self, deadline_s: float) -> None:
        try:
            self.reading = await self.device.read(deadline_s)  # type: ignore[assignment]  # one device, one kind
        except DeviceError as error:
            self.failures += 1
            if self.well:
                log.warning("%s", error)
            self.well, self.error = False, str(error)
            return
        self.reads += 1
        if not self.well:
            log.info("%s: answers again", self.id)
        self.well, self.error = True, ""

    async def _write(self, order: float | bool | None, deadline_s: float) -> None:
        began_s = asyncio.get_running_loop().time()
        holds = order is not None and order is not True  # neither a released device nor a closed relay
        # Of an order that failed some may have got through, where the device answers at all.
        self._may_hold = self._may_hold or (holds and self.well)
        try:
            await self._carry_out(order, deadline_s)
        except GuardError as error:
            self.fault = str(error)
            self._note_write_error(error)
        except DeviceError as error:
            self._note_write_error(error)
        else:
            self.writes += 1
            self._may_hold = holds
            self.write_error = ""
            self._reasons_told.clear()
            self.unordered_since_s = None
        self.wrote_in_s = asyncio.get_running_loop().time() - began_s

    def _note_write_error(self, error: DeviceError) -> None:
        self.write_failures += 1
        if self.unordered_since_s is None:
            self.unordered_since_s = asyncio.get_running_loop().time()
        self.write_error = str(error)
        reason = _NUMBER.sub("", self.write_error)
        if self.well and reason not in self._reasons_told:
            self._reasons_told.add(reason)
            log.warning("%s", error)

    async def _carry_out(self, order: float | bool | None, deadline_s: float) -> None:
        raise DeviceError(f"{self.id}: a meter takes no orders")

    async def release(self, deadline_s: float) -> bool:
        """Hand the device back to its own program; True when the device confirmed it."""
        return True


class MeterStation(Station[MeterReading]):
    """A meter: it is only read."""

    def __init__(self, device: Meter) -> None:
        super().__init__(device)


class BatteryStation(Station[BatteryReading]):
    """A battery: its order is a discharge in W, or None to release it."""

    def __init__(self, device: Battery) -> None:
        super().__init__(device)
        self._battery = device

    @property
    def outcome(self) -> str:
        return self._battery.outcome

    async def _carry_out(self, order: float | bool | None, deadline_s: float) -> None:
        if order is None:
            await self._battery.release(deadline_s)
        else:
            await self._battery.order(order, deadline_s)

    async def release(self, deadline_s: float) -> bool:
        return await _released(self._battery, deadline_s)


class PvStation(Station[PvReading]):
    """A PV inverter: its order is a cap in W, or None to lift it."""

    def __init__(self, device: Pv) -> None:
        super().__init__(device)
        self._pv = device

    @property
    def outcome(self) -> str:
        return self._pv.outcome

    async def _carry_out(self, order: float | bool | None, deadline_s: float) -> None:
        await self._pv.cap(order, deadline_s)

    async def release(self, deadline_s: float) -> bool:
        return await _released(self._pv, deadline_s)


class SwitchStation(Station[SwitchReading]):
    """A relay: its order is closed or open; None, like a release, closes it."""

    def __init__(self, device: Switch) -> None:
        super().__init__(device)
        self._switch = device

    async def _carry_out(self, order: float | bool | None, deadline_s: float) -> None:
        await self._switch.set(order is None or bool(order), deadline_s)

    async def release(self, deadline_s: float) -> bool:
        return await _released(self._switch, deadline_s)


async def _released(device: Battery | Pv | Switch, deadline_s: float) -> bool:
    """Try until the deadline: one lost request must not leave a device behind that holds an order of ours."""
    now_s = asyncio.get_running_loop().time
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            await device.release(deadline_s)
        except DeviceError as error:
            why = error
        else:
            return True
        if now_s() + pause_s >= deadline_s:
            log.warning("%s: not released: %s", device.facts.id, why)
            return False
        log.info("%s: not released yet: %s", device.facts.id, why)
        await asyncio.sleep(pause_s)
        pause_s *= 2
