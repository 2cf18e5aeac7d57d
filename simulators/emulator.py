"""A profile and a plant's port = one unit on the wire: what the driver of that profile would talk to.

Reads show the port's reading, the nameplate and the profile's image of registers that no point describes.
Writes change the registers, and what these then amount to (`drivers/control.py`) goes to the port, with
the device's own lease. Addresses without a register and read-only ones are refused with exception 2,
values that are out of range or beyond the nameplate with exception 3, all before anything is changed.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from drivers.control import OFF, STYLES, Control, held
from drivers.device import BatteryReading, MeterReading, PvReading
from drivers.profile.codec import memory_of, power_for
from drivers.profile.model import DeviceProfile, Point
from drivers.registers import Value, decode, encode
from drivers.simulated import BatteryPort, MeterPort, PvPort
from drivers.wire import DEVICE_FAILURE, ILLEGAL_ADDRESS, ILLEGAL_VALUE, ModbusFault, Space

Port = MeterPort | BatteryPort | PvPort
Reading = MeterReading | BatteryReading | PvReading

HEADROOM = 1.25
"""Scale factors leave room for this multiple of the nameplate."""


@dataclass(frozen=True, slots=True)
class Rating:
    """The nameplate of an emulated battery inverter, W, both >= 0. A port knows only what holds now."""

    max_charge_w: float | None = None
    max_discharge_w: float | None = None


def emulated_unit(
    profile: DeviceProfile, port: Port, *, serial: str = "EMULATED", rating: Rating | None = None
) -> EmulatedUnit:
    """A device of this profile in front of a port of the same role.

    Give a battery its `rating`: without one it shows as its nameplate what the port allows at that moment.
    """
    return EmulatedUnit(profile, port, serial, rating or Rating())


class EmulatedUnit:
    """A `drivers.wire.Unit`; its registers live as long as this object, and a new one has rebooted."""

    def __init__(self, profile: DeviceProfile, port: Port, serial: str, rating: Rating) -> None:
        self._profile = profile
        self._port = port
        self._rating = rating
        self._hold: Callable[[float, float, float], None] | None = None
        self._release: Callable[[float], None] | None = None
        if profile.role == "battery":
            self._hold, self._release = cast(BatteryPort, port).order, cast(BatteryPort, port).release
        elif profile.role == "pv":
            self._hold, self._release = cast(PvPort, port).cap, cast(PvPort, port).release
        self._memory = memory_of(profile.image)
        self._writable = {p.address: p for p in profile.points.values() if p.writable}
        self._shown = [
            p for p in profile.points.values() if p.gives is not None and p.encoding.type != "string"
        ]
        self._places = {point.name: _place(point.gives or "") for point in self._shown}
        self._holding = False
        self._expires_s = math.inf
        self._scaled = False
        for point in sorted(profile.points.values(), key=lambda one: one.power_of is not None):
            value = serial if point.gives == "serial" else point.emulated
            self._store(point, value)

    async def read(self, peer: str, space: Space, address: int, count: int) -> Sequence[int]:
        """The registers as they stand now; exception 2 if one of them does not exist."""
        now_s = asyncio.get_running_loop().time()
        self._move_to(now_s)
        end = address + count
        reading = None
        for point in self._shown:
            if point.address < end and point.end > address and point.kind == space:
                reading = reading or self._port.reading(now_s)
                self._store(point, self._value(point, reading))
        memory = self._memory
        try:
            return [memory[space, at] for at in range(address, end)]
        except KeyError:
            raise ModbusFault(ILLEGAL_ADDRESS) from None

    async def write(self, peer: str, address: int, words: Sequence[int]) -> None:
        """Take whole values into writable registers, all or none, then do what they say."""
        now_s = asyncio.get_running_loop().time()
        self._move_to(now_s)
        written: list[tuple[Point, Sequence[int]]] = []
        at, end = address, address + len(words)
        while at < end:
            point = self._writable.get(at)
            if point is None or point.end > end:
                raise ModbusFault(ILLEGAL_ADDRESS)
            written.append((point, words[at - address : point.end - address]))
            at = point.end
        for point, part in written:
            self._check(point, part)
        for point, part in written:
            for offset, word in enumerate(part):
                self._memory[point.kind, point.address + offset] = word
        control = self._profile.control
        if control is not None and any(point.name in control.points() for point, _ in written):
            self._obey(control, now_s)

    def _check(self, point: Point, words: Sequence[int]) -> None:
        value = decode(point.encoding, words, self._power(point))
        if not isinstance(value, float):
            raise ModbusFault(ILLEGAL_VALUE)
        if point.range is not None and not point.range[0] <= value <= point.range[1]:
            raise ModbusFault(ILLEGAL_VALUE)
        control = self._profile.control
        if control is not None and point.name == control.setpoint and self._profile.role == "battery":
            order_w = STYLES[control.style].order_w(control, value, self._control_values(control))
            most_w = self._rating.max_charge_w if value < 0 else self._rating.max_discharge_w
            if order_w is None or (most_w is not None and abs(order_w) > most_w):
                raise ModbusFault(ILLEGAL_VALUE)

    def _obey(self, control: Control, now_s: float) -> None:
        values = self._control_values(control)
        order_w = held(control, values)
        if order_w is None:
            if self._holding and self._release is not None:
                self._released(control)
                self._release(now_s)
            return
        # The timer starts anew with every write to the function, and 0 means that it never runs.
        timer = values.get(control.lease[0]) if control.lease is not None else None
        self._expires_s = now_s + timer if isinstance(timer, float) and timer > 0 else math.inf
        self._holding = True
        if self._hold is not None:
            self._hold(now_s, order_w, self._expires_s)

    def _move_to(self, now_s: float) -> None:
        """Let the lease run out, count it down, and before the first request choose the scale factors."""
        if not self._scaled:
            self._choose_scales(now_s)
            self._scaled = True
        control, lease = self._profile.control, self._profile.lease
        if control is None or lease is None:
            return
        if self._holding and now_s >= self._expires_s:
            self._released(control)
        if lease.remaining is not None:
            left_s = math.ceil(self._expires_s - now_s) if math.isfinite(self._expires_s) else 0
            self._store(self._profile.points[lease.remaining], float(left_s))

    def _released(self, control: Control) -> None:
        self._holding, self._expires_s = False, math.inf
        self._store(self._profile.points[control.enable], OFF)

    def _choose_scales(self, now_s: float) -> None:
        """Raise the scale factors until the nameplate fits: 100 kW do not go into 16 bits in steps of 1 W."""
        reading = self._port.reading(now_s)
        largest_w = max((abs(value) for value in self._nameplate(reading)), default=0.0)
        for point in self._shown:
            factor = self._profile.points.get(point.power_of or "")
            value = self._value(point, reading)
            if factor is not None and isinstance(value, float):
                most = HEADROOM * max(abs(value), largest_w if point.unit == "W" else 0.0)
                while not _fits(point, most, self._power(point)):
                    self._store(factor, (self._power(point) or 0.0) + 1.0)
            self._store(point, value)

    def _nameplate(self, reading: Reading) -> list[float]:
        names = ("max_charge_w", "max_discharge_w", "rated_w")
        known = [getattr(self._rating, name, None) or getattr(reading, name, None) for name in names]
        return [value for value in known if value is not None]

    def _value(self, point: Point, reading: Reading) -> Value:
        """What a point shows of a reading; what an emulator shows at first where the reading has nothing."""
        name, index = self._places[point.name]
        value = getattr(self._rating, name, None)
        if value is None:
            value = getattr(reading, name)
        if index is not None:
            value = value[index] if index < len(value) else None
        if point.true_when:
            return float(point.true_when[0]) if value else point.emulated
        return point.emulated if value is None else float(value)

    def _power(self, point: Point) -> float | None:
        factor = self._profile.points.get(point.power_of or "")
        return 0.0 if factor is None else power_for(point, {factor.name: self._decoded(factor)})

    def _decoded(self, point: Point) -> Value:
        words = [self._memory[point.kind, at] for at in range(point.address, point.end)]
        return decode(point.encoding, words, self._power(point))

    def _control_values(self, control: Control) -> dict[str, Value]:
        return {name: self._decoded(self._profile.points[name]) for name in control.points()}

    def _store(self, point: Point, value: Value) -> None:
        try:
            words = encode(point.encoding, value, self._power(point) if value is not None else 0.0)
        except ValueError:
            raise ModbusFault(DEVICE_FAILURE) from None
        for offset, word in enumerate(words):
            self._memory[point.kind, point.address + offset] = word


def _place(gives: str) -> tuple[str, int | None]:
    """The reading's attribute, and which of its phases: ("phase_import_w", 1) for "phase_import_w.2"."""
    name, _, number = gives.partition(".")
    return name, int(number) - 1 if number else None


def _fits(point: Point, value: float, power: float | None) -> bool:
    try:
        encode(point.encoding, value, power)
    except ValueError:
        return power is None or power >= 10
    return True
