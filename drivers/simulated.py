"""In-process devices over a plant that is handed in: for virtual time, the laboratory and tests.

A plant shows one port for each device (`simulators/site.py` does). The same ports stand behind the
emulators on real sockets, so both kinds of device have the same physics. A port is asked with the
present time and moves its plant there first; no port waits for anything.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from drivers.device import BatteryReading, DeviceFacts, MeterReading, PvReading, SwitchReading


class MeterPort(Protocol):
    """Where a plant shows what one meter measures."""

    def reading(self, now_s: float) -> MeterReading: ...


class BatteryPort(Protocol):
    """Where a plant shows one battery inverter and takes its orders."""

    def reading(self, now_s: float) -> BatteryReading: ...

    def order(self, now_s: float, battery_discharge_w: float, expires_at_s: float) -> None:
        """Hold this setpoint until `expires_at_s` (inf: for ever), then fall back to the own program."""
        ...

    def release(self, now_s: float) -> None:
        """Fall back to the own program at once."""
        ...


class PvPort(Protocol):
    """Where a plant shows one PV inverter and takes its curtailment."""

    def reading(self, now_s: float) -> PvReading: ...

    def cap(self, now_s: float, pv_cap_w: float, expires_at_s: float) -> None:
        """Generate at most `pv_cap_w` until `expires_at_s`, then everything again."""
        ...

    def release(self, now_s: float) -> None:
        """Lift the cap."""
        ...


class SwitchPort(Protocol):
    """Where a plant shows one relay and lets it be switched; it stays so until it is told otherwise."""

    def reading(self, now_s: float) -> SwitchReading: ...

    def set(self, now_s: float, closed: bool) -> None:
        """Close or open it."""
        ...


def _now_s() -> float:
    return asyncio.get_running_loop().time()


class SimulatedMeter:
    """A meter without a wire."""

    def __init__(self, facts: DeviceFacts, port: MeterPort) -> None:
        self.facts = facts
        self._port = port

    async def read(self, deadline_s: float) -> MeterReading:
        return self._port.reading(_now_s())

    async def close(self) -> None:
        pass


class SimulatedBattery:
    """A battery without a wire; its lease is the one its facts state."""

    def __init__(self, facts: DeviceFacts, port: BatteryPort) -> None:
        self.facts = facts
        self._port = port
        self._lease_s = facts.lease_s if facts.lease_s is not None else float("inf")
        self.outcome = ""

    async def read(self, deadline_s: float) -> BatteryReading:
        return self._port.reading(_now_s())

    async def order(self, battery_discharge_w: float, deadline_s: float) -> None:
        now_s = _now_s()
        self._port.order(now_s, battery_discharge_w, now_s + self._lease_s)
        self.outcome = "applied"

    async def release(self, deadline_s: float) -> None:
        self._port.release(_now_s())
        self.outcome = ""

    async def close(self) -> None:
        pass


class SimulatedPv:
    """A PV inverter without a wire."""

    def __init__(self, facts: DeviceFacts, port: PvPort) -> None:
        self.facts = facts
        self._port = port
        self._lease_s = facts.lease_s if facts.lease_s is not None else float("inf")
        self.outcome = ""

    async def read(self, deadline_s: float) -> PvReading:
        return self._port.reading(_now_s())

    async def cap(self, pv_cap_w: float | None, deadline_s: float) -> None:
        now_s = _now_s()
        if pv_cap_w is None:
            self._port.release(now_s)
            self.outcome = ""
        else:
            self._port.cap(now_s, pv_cap_w, now_s + self._lease_s)
            self.outcome = "applied"

    async def release(self, deadline_s: float) -> None:
        self._port.release(_now_s())
        self.outcome = ""

    async def close(self) -> None:
        pass


class SimulatedSwitch:
    """A relay without a wire."""

    def __init__(self, facts: DeviceFacts, port: SwitchPort) -> None:
        self.facts = facts
        self._port = port

    async def read(self, deadline_s: float) -> SwitchReading:
        return self._port.reading(_now_s())

    async def set(self, closed: bool, deadline_s: float) -> None:
        self._port.set(_now_s(), closed)

    async def release(self, deadline_s: float) -> None:
        self._port.set(_now_s(), True)

    async def close(self) -> None:
        pass
