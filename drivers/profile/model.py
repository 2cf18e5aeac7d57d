"""What a device profile says, checked and frozen. The file format is in `door.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from drivers.control import Control, Sum
from drivers.registers import Encoding, Value
from drivers.wire import MissingUnit, Space

Role = Literal["meter", "battery", "pv", "switch"]
Way = Literal["tcp", "rtu", "tls"]
"""Modbus TCP, a serial line (directly or through a gateway), Modbus/TCP Security."""
Rate = Literal["fast", "third", "slow", "once"]
"""Read with every reading; with every third, which is for what shows an order in force; every few seconds;
after each connect."""

IDENTITY: Final = ("manufacturer", "model", "serial")
BATTERY_FLAGS: Final = ("grid_present", "fault")
FLAGS: Final = (*BATTERY_FLAGS, "closed")
REQUIRED: Final[dict[Role, str]] = {
    "meter": "pcc_import_w",
    "battery": "battery_discharge_w",
    "pv": "pv_generation_w",
    "switch": "closed",
}
"""The field without which a reading is none."""

# What a point can give, and the unit it must have; fields are those of the readings in drivers/device.py.
GIVES: Final[dict[Role, dict[str, str]]] = {
    "meter": {
        "pcc_import_w": "W",
        **{f"phase_import_w.{n}": "W" for n in (1, 2, 3)},
        **{f"phase_voltage_v.{n}": "V" for n in (1, 2, 3)},
        **{f"phase_current_a.{n}": "A" for n in (1, 2, 3)},
        "frequency_hz": "Hz",
        "import_wh": "Wh",
        "export_wh": "Wh",
    },
    "battery": {
        "battery_discharge_w": "W",
        "soc_pct": "%",
        "max_discharge_w": "W",
        "max_charge_w": "W",
        "capacity_wh": "Wh",
        "temperature_c": "C",
        **dict.fromkeys(BATTERY_FLAGS, ""),
    },
    "pv": {"pv_generation_w": "W", "rated_w": "W"},
    "switch": {"closed": ""},
}
HELD: Final[dict[Role, str]] = {"battery": "setpoint_w", "pv": "cap_w"}
"""The field that the control's own registers give, read back."""


@dataclass(frozen=True, slots=True)
class Transport:
    """What a device asks of its master; `over` names the ways it can be reached, for the documentation."""

    max_read_registers: int
    max_gap_registers: int
    """Registers that nobody asked for, read along rather than starting another request."""
    min_gap_ms: int
    connect_delay_ms: int
    timeout_ms: int
    max_clients: int | None
    retry_exceptions: tuple[int, ...]
    over: tuple[Way, ...] = ()
    turnaround_ms: int = 0
    """On a serial line: silence between a reply and the next request, where the standard's is not enough."""
    hold_off_ms: int = 300
    """On a serial line: how long after its timeout an answer may still come."""
    missing_unit: MissingUnit = "gateway"
    """Over TCP: a unit that is not there is reported by exception 11, or nothing is said at all."""


@dataclass(frozen=True, slots=True)
class Sign:
    """Where the sign of a magnitude stands: `negative` bits set in another point mean below 0."""

    point: str
    negative: int
    positive: int

    def of(self, bits: Value) -> float | None:
        """-1 or 1; None while the device does not say."""
        if not isinstance(bits, float):
            return None
        return -1.0 if int(bits) & self.negative else 1.0

    def bits(self, value: float, before: Value) -> float:
        """The other point as it shows this sign, its remaining bits kept."""
        kept = int(before if isinstance(before, float) else 0.0) & ~(self.negative | self.positive)
        return float(kept | (self.negative if value < 0 else self.positive if value > 0 else 0))


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a device. `address` counts from 0; `power_of` names the point with its scale factor."""

    name: str
    kind: Space
    address: int
    encoding: Encoding
    unit: str
    gives: str | None
    every: Rate | None
    power_of: str | None
    true_when: tuple[int, ...]
    range: tuple[float, float] | None
    writable: bool
    emulated: float | str | None
    readable: bool = True
    """False for registers that can only be written: they are never asked for."""
    single: bool = False
    """Written with function 6 rather than 16."""
    writes_per_day: int | None = None
    """The register wears out: this often a day it may be written, and never with what it holds already."""
    unit_id: int | None = None
    """The unit it is found at; None for the device's own."""
    sign: Sign | None = None
    quiet: bool = False
    """A term of a sum that says nothing while power flows the other way: it counts as 0 then."""

    @property
    def needs(self) -> tuple[str, ...]:
        """The points that must come in the same request, since this one means nothing without them."""
        return tuple(
            name for name in (self.power_of, self.sign.point if self.sign is not None else None) if name
        )

    @property
    def end(self) -> int:
        """The address after its last register."""
        return self.address + self.encoding.words

    def field_value(self, value: Value) -> Value | bool:
        """What the reading's field holds for this value of the point."""
        if value is None or not self.true_when:
            return value
        return value in self.true_when


@dataclass(frozen=True, slots=True)
class Block:
    """Registers read in one request: all values in it are of one instant."""

    kind: Space
    address: int
    count: int
    every: Rate
    points: tuple[Point, ...]
    unit_id: int | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """When the device itself forgets an order: `seconds` after the last write, or never (None).

    `fallback` says what it does then, or what stays on if it never forgets. An unchanged order is written
    again after `refresh` of the seconds, or after `repeat_s` where that is given: the time some devices
    take is not known well, or they have to be told again although they never forget. `remaining` is the
    point in which the device counts down.
    """

    seconds: float | None
    refresh: float
    fallback: str
    remaining: str | None
    repeat_s: float | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """How measured power follows an order. For a meter, how often it has a new value, and how old a value
    is when it can first be read. 0: not known."""

    dead_time_s: float = 0.0
    time_constant_s: float = 0.0
    ramp_w_per_s: float | None = None
    period_s: float = 0.0
    delay_s: float = 0.0
    source: str = ""


@dataclass(frozen=True, slots=True)
class Relay:
    """A module of relays, one register each from the point's address on.

    The point reads back whether its relay is closed; `close` and `open` are what is written to move it.
    """

    point: str
    close: int
    open: int
    channels: int


@dataclass(frozen=True, slots=True)
class Image:
    """Words that stand at an address."""

    kind: Space
    address: int
    words: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Write:
    """Words to be written into holding registers from an address on."""

    address: int
    words: tuple[int, ...]
    single: bool = False
    unit_id: int | None = None
    keep: int = 0
    """Bits of a single register that are not ours: they are written as they are read just before."""
    points: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Probe:
    """A question after each connect that tells one make of a device from another.

    The variant holds if the registers can be read and, where `equals` is given, are one of these numbers.
    """

    variant: str
    kind: Space
    address: int
    count: int
    equals: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """Raw words out of a document or a device, and what they mean, worked out by hand.

    Either `reading`, or an order (`take_w`, `change_w`, `release`, for a relay `set_closed`) and the
    `writes` that make it.
    """

    source: str
    registers: tuple[Image, ...]
    reading: Mapping[str, Value | bool]
    take_w: float | None
    change_w: float | None
    release: bool
    writes: tuple[Write, ...]
    set_closed: bool | None = None


@dataclass(frozen=True, slots=True)
class DeviceProfile:
    """One kind of device, as data for the driver and for the emulator."""

    id: str
    name: str
    role: Role
    source: tuple[str, ...]
    confidence: Literal["high", "medium", "low"]
    transport: Transport
    points: Mapping[str, Point]
    blocks: tuple[Block, ...]
    control: Control | None
    lease: Lease | None
    response: Response
    image: tuple[Image, ...]
    examples: tuple[Example, ...]
    gives: Mapping[str, Point] = field(repr=False)
    """The point behind each field."""
    sums: Mapping[str, Sum] = field(default_factory=dict, repr=False)
    """The points behind each field that is their sum; its value goes by the field's own name."""
    relay: Relay | None = None
    limited: str = ""
    """What this device cannot be ordered to do, in words; empty if it follows any order in W."""
    probes: tuple[Probe, ...] = ()
    variants: Mapping[frozenset[str], DeviceProfile] = field(default_factory=dict, repr=False, compare=False)
    """The same device as the probes may find it, by the variants that hold; this one is with all."""

    @property
    def quiet(self) -> frozenset[str]:
        """The terms of sums that may be without a value while another one has one."""
        return frozenset(point.name for point in self.points.values() if point.quiet)

    def named(self, field_name: str) -> str:
        """The name under which a field's value is kept; "" if this device does not give it."""
        if field_name in self.sums:
            return field_name
        point = self.gives.get(field_name)
        return point.name if point is not None else ""
