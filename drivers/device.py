"""The vocabulary of devices: readings, facts, the device protocols and their one error.

Sign rule: positive power feeds the site. A battery that charges has a negative `battery_discharge_w`,
a site that exports has a negative `pcc_import_w`. Times named `_s` are the event loop's monotonic
clock, never wall-clock. `None` means "the device did not say", never 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from drivers.fact import fact


class DeviceError(Exception):
    """A device could not be read or written; the text says which, why, and is fit for an operator."""


@fact
class MeterReading:
    """What a meter showed: at the PCC positive while importing; per-phase tuples are L1 to L3 or empty."""

    taken_at_s: float
    pcc_import_w: float
    phase_import_w: tuple[float, ...] = ()
    phase_voltage_v: tuple[float, ...] = ()
    phase_current_a: tuple[float, ...] = ()
    frequency_hz: float | None = None
    import_wh: float | None = None
    export_wh: float | None = None


@fact
class BatteryReading:
    """What a battery inverter showed at its AC terminals; `max_*_w` are what it allows now, both >= 0."""

    taken_at_s: float
    battery_discharge_w: float
    soc_pct: float | None = None
    max_discharge_w: float | None = None
    max_charge_w: float | None = None
    capacity_wh: float | None = None
    temperature_c: float | None = None
    grid_present: bool | None = None
    fault: bool | None = None
    setpoint_w: float | None = None
    """The order the device says it holds (read back); None when it runs its own program or does not say."""


@fact
class PvReading:
    """What a PV inverter gave; `cap_w` is the curtailment it says it holds, None when uncapped."""

    taken_at_s: float
    pv_generation_w: float
    rated_w: float | None = None
    cap_w: float | None = None


@fact
class SwitchReading:
    """How a relay in the supply of a load stands: `closed` means that the load has its power."""

    taken_at_s: float
    closed: bool


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """What is known of a device before it is asked: from its profile and the site file.

    `lease_s` is the time after which the device itself forgets an order when we fall silent; None when
    it never does, and then `lease_fallback` says what stays on. `dead_time_s` and `time_constant_s`
    describe how measured power follows an order; `period_s` how often a meter has a new value, and
    `delay_s` how old a value is when it can first be read. 0 where it is not known. `serial`: others may
    wait for its line, so that nobody is to hold it for long.
    """

    id: str
    profile: str
    lease_s: float | None = None
    lease_fallback: str = ""
    dead_time_s: float = 0.0
    time_constant_s: float = 0.0
    period_s: float = 0.0
    delay_s: float = 0.0
    serial: bool = False


class Meter(Protocol):
    """A meter at the PCC or in a PV feed."""

    @property
    def facts(self) -> DeviceFacts: ...

    async def read(self, deadline_s: float) -> MeterReading:
        """A fresh reading, or DeviceError by `deadline_s` (event-loop time)."""
        ...

    async def close(self) -> None: ...


class Battery(Protocol):
    """A battery with its inverter, ordered in W at the AC terminals."""

    @property
    def facts(self) -> DeviceFacts: ...

    @property
    def outcome(self) -> str:
        """What became of the newest order: "" none, "pending", "applied", "clamped", "ignored", "reverted"
        (back in its own program before its time), "foreign" (another controller orders it)."""
        ...

    async def read(self, deadline_s: float) -> BatteryReading:
        """A fresh reading, or DeviceError by `deadline_s` (event-loop time)."""
        ...

    async def order(self, battery_discharge_w: float, deadline_s: float) -> None:
        """Make this the setpoint (negative charges) with the device's lease armed; DeviceError if refused.

        Cheap when nothing changed: an unchanged setpoint is written again only to keep the lease alive.
        """
        ...

    async def release(self, deadline_s: float) -> None:
        """Hand the battery back to its own program; DeviceError if that could not be confirmed."""
        ...

    async def close(self) -> None: ...


class Pv(Protocol):
    """A PV inverter that can be curtailed."""

    @property
    def facts(self) -> DeviceFacts: ...

    @property
    def outcome(self) -> str:
        """What became of the newest cap, in the words of `Battery.outcome`."""
        ...

    async def read(self, deadline_s: float) -> PvReading:
        """A fresh reading, or DeviceError by `deadline_s` (event-loop time)."""
        ...

    async def cap(self, pv_cap_w: float | None, deadline_s: float) -> None:
        """Curtail to at most `pv_cap_w` (>= 0), or lift the cap with None; DeviceError if refused."""
        ...

    async def release(self, deadline_s: float) -> None:
        """Lift any cap of ours; DeviceError if that could not be confirmed."""
        ...

    async def close(self) -> None: ...


class Switch(Protocol):
    """A relay in the supply of a load that can be shed."""

    @property
    def facts(self) -> DeviceFacts: ...

    async def read(self, deadline_s: float) -> SwitchReading:
        """A fresh reading, or DeviceError by `deadline_s` (event-loop time)."""
        ...

    async def set(self, closed: bool, deadline_s: float) -> None:
        """Close (give the load its power) or open (shed it); DeviceError if it does not read back so.

        Cheap when nothing changed: a relay that stands as asked is not written again.
        """
        ...

    async def release(self, deadline_s: float) -> None:
        """Close it, so that nothing stays shed without us; DeviceError if that could not be confirmed."""
        ...

    async def close(self) -> None: ...
