"""The file format of device profiles: what a profile may say, key by key.

Cross-checks between keys are made in `build.py`. Addresses are those on the wire, counted from 0.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from drivers.profile.model import Rate, Role, Way
from drivers.registers import Type, WordOrder
from drivers.wire import MAX_READ_WORDS, MissingUnit, Space

Finite = Annotated[float, Field(allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
AddressKey = Annotated[int, Field(ge=0, le=0xFFFF, description="the address on the wire, counted from 0")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Absent = Literal["standard", "none"] | list[Annotated[int, Field(ge=0)]]


def _hex_words(text: str) -> str:
    for word in text.split():
        if len(word) != 4 or any(c not in "0123456789abcdefABCDEF" for c in word):
            raise ValueError(f'"{word}" is not a register; give four hex digits each, such as "00FF 1234"')
    if not text.split():
        raise ValueError('give at least one register, such as "00FF"')
    return text


HexWords = Annotated[str, AfterValidator(_hex_words)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class TransportTable(_Table):
    max_read_registers: int = Field(default=MAX_READ_WORDS, ge=1, le=MAX_READ_WORDS)
    max_gap_registers: int = Field(default=0, ge=0, le=MAX_READ_WORDS)
    min_gap_ms: int = Field(default=0, ge=0, le=10_000)
    connect_delay_ms: int = Field(default=0, ge=0, le=60_000)
    timeout_ms: int = Field(default=500, ge=10, le=60_000)
    max_clients: int | None = Field(default=None, ge=1)
    retry_exceptions: list[Annotated[int, Field(ge=1, le=255)]] = [5, 6]
    turnaround_ms: int = Field(default=0, ge=0, le=1000, description="RS-485: silence before a request")
    hold_off_ms: int = Field(default=300, ge=0, le=60_000, description="RS-485: how late an answer may come")
    missing_unit: MissingUnit = Field(default="gateway", description="what it says for units it has not")
    over: list[Way] = Field(default=[], description="the ways it can be reached, for the documentation")


class DefaultsTable(_Table):
    """What a point takes where it does not say otherwise."""

    kind: Space = "holding"
    type: Type | None = None
    word_order: WordOrder = "be"
    not_available: Absent = "standard"


class PointTable(_Table):
    address: AddressKey
    kind: Space | None = None
    unit_id: int | None = Field(default=None, ge=0, le=255, description="where it is not the device's own")
    type: Type | None = None
    words: int | None = Field(default=None, ge=1, le=125, description="how many registers a string takes")
    word_order: WordOrder | None = None
    not_available: Absent | None = None
    scale: Finite = 1.0
    offset: Finite = Field(default=0.0, description="added after scaling: the value of the raw number 0")
    bits: int | None = Field(default=None, ge=1, le=0xFFFF, description="the bits of the register that count")
    scale_point: str | None = Field(default=None, description="the point that holds the power of ten")
    unit: str = ""
    gives: str | None = Field(default=None, description="the field of the reading")
    every: Rate | None = None
    true_when: list[int] = []
    range: list[Finite] | None = Field(
        default=None, min_length=2, max_length=2, description="what is plausible, [lowest, highest]"
    )
    access: Literal["r", "rw", "w"] = "r"
    function: Literal[6, 16] = Field(default=16, description="the Modbus function that writes it")
    writes_per_day: int | None = Field(default=None, ge=1, description="for registers that wear out")
    sign_point: str | None = Field(default=None, description="the point whose bits hold the sign")
    negative_bits: int = Field(default=0, ge=0, le=0xFFFF)
    positive_bits: int = Field(default=0, ge=0, le=0xFFFF)
    quiet: bool = Field(default=False, description="a term of a sum: without a value it counts as 0")
    when: str | None = Field(default=None, description="only in the variant that a probe finds")
    unless: str | None = Field(default=None, description="only without that variant")
    emulated: Finite | str | None = Field(default=None, description="what an emulator shows at first")


class ControlTable(_Table):
    style: str
    setpoint: Name
    enable: Name | None = None
    on: Finite = 1.0
    off: Finite = 0.0
    prepare: dict[Name, Finite] = {}
    select: dict[Name, Finite] = {}
    restore: dict[Name, Finite] = Field(default={}, description="written after a release")
    restore_found: bool = Field(default=False, description="restore what was found, where that was seen")
    percent_of: Name | None = None
    volts: Name | None = None
    change_s: float = Field(default=0.0, ge=0, le=86_400, description="a new power at most this often")
    opposite: Name | None = None
    enable_each_time: bool = False
    enable_first: bool = False
    direction: Name | None = None
    charge: Finite | None = None
    discharge: Finite | None = None
    idle: Finite | None = None
    charge_setpoint: Name | None = None
    base: str | None = Field(default=None, description='such as "grid_w - battery_w"')
    together: bool = Field(default=False, description="neighbouring registers in one request")
    limited: str = Field(default="", description="what it cannot be ordered to do, in words")


class LeaseTable(_Table):
    none: str | None = Field(default=None, min_length=1, description="what stays on for ever, in words")
    timer: Name | None = None
    fixed: bool = Field(default=False, description="the seconds are the device's own, not to be set")
    remaining: Name | None = None
    seconds: float = Field(default=30.0, gt=0, le=3600)
    # A third, less the beat of 1 s: two writes are never further apart than a third of the lease.
    refresh: float = Field(default=0.3, gt=0, le=0.5)
    repeat_s: float | None = Field(default=None, gt=0, le=3600, description="repeat an order this often")
    renew: bool = Field(default=False, description="write the timer with each repetition")
    clear: bool = Field(default=True, description="set the timer to 0 after a release")
    fallback: str = ""


class RelayTable(_Table):
    point: Name = Field(description="the point of the first relay; the others follow, a register each")
    close: int = Field(ge=0, le=0xFFFF, description="what is written to close a relay")
    open: int = Field(ge=0, le=0xFFFF, description="what is written to open it")
    channels: int = Field(default=1, ge=1, le=64, description="how many relays the module has")


class ProbeTable(_Table):
    variant: Name
    kind: Space | None = None
    address: AddressKey
    words: int = Field(default=1, ge=1, le=4)
    equals: list[Annotated[int, Field(ge=0)]] = []


class ResponseTable(_Table):
    dead_time_s: NotNegative = 0.0
    time_constant_s: NotNegative = 0.0
    ramp_w_per_s: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    period_s: NotNegative = 0.0
    delay_s: NotNegative = 0.0
    source: str = Field(default="", description="where these numbers are from, or that they are assumed")


class ImageTable(_Table):
    kind: Space | None = None
    address: AddressKey
    words: HexWords


class ExampleTable(_Table):
    source: str = Field(min_length=1)
    registers: dict[Annotated[str, Field(pattern=r"^i?(0x[0-9a-fA-F]+|[0-9]+)$")], HexWords] = Field(
        description="by address; with an i before it, an input register in a profile of holding registers"
    )
    reading: dict[str, bool | Finite | str] = {}
    take_w: Finite | None = None
    change_w: Finite | None = None
    release: bool = False
    set_closed: bool | None = Field(default=None, description="for a relay: close or open it")
    writes: list[Annotated[str, Field(pattern=r"^[0-9]+( [0-9A-Fa-f]{4})+$")]] = []
    variants: list[Name] | None = Field(default=None, description="which hold; all, if not said")


class ProfileFile(_Table):
    """A device profile: one kind of device, as data for the driver and the emulator."""

    name: str = Field(min_length=1, description="manufacturer and model")
    role: Role
    source: list[Annotated[str, Field(min_length=1)]] = Field(min_length=1)
    confidence: Literal["high", "medium", "low"]
    transport: TransportTable = TransportTable()
    defaults: DefaultsTable = DefaultsTable()
    points: dict[Name, PointTable] = Field(min_length=1)
    sums: dict[str, str] = Field(
        default={}, description='fields that several points make up, such as "discharging_w - charging_w"'
    )
    probe: list[ProbeTable] = Field(default=[], max_length=3)
    control: ControlTable | None = None
    relay: RelayTable | None = None
    lease: LeaseTable | None = None
    response: ResponseTable = ResponseTable()
    image: list[ImageTable] = []
    examples: list[ExampleTable] = Field(
        min_length=1, description="raw words and the reading, worked by hand"
    )
