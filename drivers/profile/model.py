"""What a device profile says, checked and frozen. The file format is in `door.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from drivers.control import Control
from drivers.registers import Encoding, Value
from drivers.wire import Space

Role = Literal["meter", "battery", "pv"]
Rate = Literal["fast", "slow", "once"]
"""Read with every reading; every few seconds; after each connect."""

IDENTITY: Final = ("manufacturer", "model", "serial")
FLAGS: Final = ("grid_present", "fault")
REQUIRED: Final[dict[Role, str]] = {
    "meter": "pcc_import_w",
    "battery": "battery_discharge_w",
    "pv": "pv_generation_w",
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
        **dict.fromkeys(FLAGS, ""),
    },
    "pv": {"pv_generation_w": "W", "rated_w": "W"},
}
HELD: Final[dict[Role, str]] = {"battery": "setpoint_w", "pv": "cap_w"}
"""The field that the control's own registers give, read back."""


@dataclass(frozen=True, slots=True)
class Transport:
    """What a device asks of its master."""

    max_read_registers: int
    max_gap_registers: int
    """Registers that nobody asked for, read along rather than starting another request."""
    min_gap_ms: int
    connect_delay_ms: int
    timeout_ms: int
    max_clients: int | None
    retry_exceptions: tuple[int, ...]


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


@dataclass(frozen=True, slots=True)
class Lease:
    """When the device itself forgets an order: `seconds` after the last write, or never (None).

    `fallback` says what it does then, or what stays on if it never forgets. An unchanged order is written
    again after `refresh` of the seconds. `remaining` is the point in which the device counts down.
    """

    seconds: float | None
    refresh: float
    fallback: str
    remaining: str | None


@dataclass(frozen=True, slots=True)
class Response:
    """How measured power follows an order; for a meter, how often it has a new value. 0: not known."""

    dead_time_s: float = 0.0
    time_constant_s: float = 0.0
    ramp_w_per_s: float | None = None
    period_s: float = 0.0


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


@dataclass(frozen=True, slots=True)
class Example:
    """Raw words out of a document or a device, and what they mean, worked out by hand.

    Either `reading`, or an order (`take_w`, `change_w` or `release`) and the `writes` that make it.
    """

    source: str
    registers: tuple[Image, ...]
    reading: Mapping[str, Value | bool]
    take_w: float | None
    change_w: float | None
    release: bool
    writes: tuple[Write, ...]


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
