"""A profile and a plant's port = one device on the wire: what the driver of that profile would talk to.

Reads show the port's reading, the nameplate and the profile's image of registers that no point describes.
Writes change the registers, and what these then amount to (`drivers/control.py`) goes to the port, with
the device's own lease. Addresses without a register, read-only ones that are written and write-only ones
that are read are refused with exception 2, values that are out of range or beyond the nameplate and reads
longer than the device allows with exception 3, all before anything is changed.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Literal, cast

from drivers.control import STYLES, Control, held
from drivers.profile.codec import Memory
from drivers.profile.model import DeviceProfile
from drivers.registers import Value, decode, encode
from drivers.simulated import BatteryPort, PvPort
from drivers.wire import DEVICE_BUSY, ILLEGAL_ADDRESS, ILLEGAL_VALUE, ModbusFault, Space, Unit
from simulators.emulator.registers import MOST_REMEMBERED, Port, Rating, Registers

__all__ = ["Behaviour", "EmulatedUnit", "Port", "Rating", "emulated_unit", "emulated_units"]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How an emulated device differs from a good one.

    `latency_s` passes before each answer; the first `busy` requests are refused with exception 6; `writes`
    are obeyed, acknowledged and dropped, or cut to the nameplate instead of being refused beyond it.
    """

    latency_s: float = 0.0
    busy: int = 0
    writes: Literal["obey", "ignore", "clamp"] = "obey"


def _span(places: Sequence[tuple[Space, int]]) -> Callable[[Memory], Sequence[int]]:
    """What takes the words of these registers out of a memory."""
    if len(places) == 1:
        return lambda memory: (memory[places[0]],)
    return itemgetter(*places)


def emulated_unit(
    profile: DeviceProfile,
    port: Port,
    *,
    serial: str = "EMULATED",
    rating: Rating | None = None,
    behaviour: Behaviour | None = None,
) -> EmulatedUnit:
    """A device of this profile in front of a port of the same role, without what it has at other units.

    Give a battery its `rating`: without one it shows as its nameplate what the port allows at that moment.
    """
    return EmulatedUnit(profile, port, serial, rating or Rating(), behaviour or Behaviour())


def emulated_units(unit_id: int, device: EmulatedUnit) -> dict[int, Unit]:
    """Everything that a device has on the wire: itself at this unit, and its points at other units."""
    others = {point.unit_id for point in device.profile.points.values() if point.unit_id is not None}
    return {unit_id: device} | {other: device.at(other) for other in others}


class EmulatedUnit:
    """A `drivers.wire.Unit`; its registers live as long as this object, and a new one has rebooted."""

    def __init__(
        self, profile: DeviceProfile, port: Port, serial: str, rating: Rating, behaviour: Behaviour
    ) -> None:
        self.profile = profile
        self._port = port
        self._rating = rating
        self._behaviour = behaviour
        self._busy = behaviour.busy
        self._hold: Callable[[float, float, float], None] | None = None
        self._release: Callable[[float], None] | None = None
        if profile.role == "battery":
            self._hold, self._release = cast(BatteryPort, port).order, cast(BatteryPort, port).release
        elif profile.role == "pv":
            self._hold, self._release = cast(PvPort, port).cap, cast(PvPort, port).release
        self._registers = Registers(profile, port, serial, rating)
        self._unit_of = {
            (point.kind, at): point.unit_id
            for point in profile.points.values()
            for at in range(point.address, point.end)
        }
        self._hidden = {
            (point.kind, at)
            for point in profile.points.values()
            if not point.readable
            for at in range(point.address, point.end)
        }
        self._writable = {p.address: p for p in profile.points.values() if p.writable}
        self._spans: dict[tuple[int | None, Space, int, int], Callable[[Memory], Sequence[int]]] = {}
        self._holding = False
        self._expires_s = math.inf

    def at(self, unit_id: int) -> Unit:
        """What this device shows at another unit."""
        return _OtherUnit(self, unit_id)

    def values(self) -> dict[str, Value]:
        """What every point holds now."""
        return {name: self._registers.decoded(point) for name, point in self.profile.points.items()}

    def forget(self, now_s: float) -> None:
        """Let go of the plant, as a device does that restarts; one built anew takes its place."""
        if self._release is not None:
            self._release(now_s)

    async def read(self, peer: str, space: Space, address: int, count: int) -> Sequence[int]:
        """The registers as they stand now; exception 2 if one of them does not exist."""
        return await self.read_at(None, space, address, count)

    async def write(self, peer: str, address: int, words: Sequence[int]) -> None:
        """Take whole values into writable registers, all or none, then do what they say."""
        await self.write_at(None, address, words)

    async def read_at(self, unit_id: int | None, space: Space, address: int, count: int) -> Sequence[int]:
        """As `read`, of what stands at this unit; None is the device's own."""
        await self._think()
        now_s = asyncio.get_running_loop().time()
        if count > self.profile.transport.max_read_registers:
            raise ModbusFault(ILLEGAL_VALUE)
        self._move_to(now_s)
        self._registers.show(now_s, space, address, address + count)
        words = self._registers.words
        span = self._spans.get((unit_id, space, address, count))
        if span is None:
            places = [(space, at) for at in range(address, address + count)]
            for place in places:
                if place not in words or place in self._hidden or self._unit_of.get(place) != unit_id:
                    raise ModbusFault(ILLEGAL_ADDRESS)
            if len(self._spans) >= MOST_REMEMBERED:
                self._spans.clear()
            span = self._spans[unit_id, space, address, count] = _span(places)
        return list(span(words))

    async def write_at(self, unit_id: int | None, address: int, words: Sequence[int]) -> None:
        """As `write`, of what stands at this unit; None is the device's own."""
        await self._think()
        now_s = asyncio.get_running_loop().time()
        self._move_to(now_s)
        written: dict[str, Sequence[int]] = {}
        at, end = address, address + len(words)
        while at < end:
            point = self._writable.get(at)
            if point is None or point.end > end or point.unit_id != unit_id:
                raise ModbusFault(ILLEGAL_ADDRESS)
            written[point.name] = words[at - address : point.end - address]
            at = point.end
        values = {name: self._checked(name, part) for name, part in written.items()}
        if self._behaviour.writes == "ignore":
            return
        written |= self._beyond_nameplate(values)
        for name, part in written.items():
            point = self.profile.points[name]
            for offset, word in enumerate(part):
                self._registers.words[point.kind, point.address + offset] = word
        control = self.profile.control
        if control is not None and any(name in control.points() for name in written):
            for _, name in control.base:
                point = self.profile.points[name]
                self._registers.show(now_s, point.kind, point.address, point.end)
            self._obey(control, now_s)

    async def _think(self) -> None:
        if self._behaviour.latency_s > 0:
            await asyncio.sleep(self._behaviour.latency_s)
        if self._busy > 0:
            self._busy -= 1
            raise ModbusFault(DEVICE_BUSY)

    def _checked(self, name: str, words: Sequence[int]) -> float:
        point = self.profile.points[name]
        value = decode(point.encoding, words, self._registers.power(point))
        if not isinstance(value, float):
            raise ModbusFault(ILLEGAL_VALUE)
        if point.range is not None and not point.range[0] <= value <= point.range[1]:
            raise ModbusFault(ILLEGAL_VALUE)
        return value

    def _beyond_nameplate(self, written: dict[str, float]) -> dict[str, Sequence[int]]:
        """Refuse what orders more than the nameplate, or give the words that it is cut to."""
        control = self.profile.control
        if control is None or self.profile.role != "battery" or control.base:
            return {}
        values = self._registers.control_values(control) | written
        order_w = STYLES[control.style].order_w(control, values)
        if order_w is None or not written.keys() & set(control.evidence()):
            return {}
        most_w = self._rating.max_charge_w if order_w < 0 else self._rating.max_discharge_w
        if most_w is None or abs(order_w) <= most_w:
            return {}
        if self._behaviour.writes != "clamp":
            raise ModbusFault(ILLEGAL_VALUE)
        name = control.charge_setpoint if order_w < 0 and control.charge_setpoint else control.setpoint
        point, asked = self.profile.points[name], values[name]
        cut = asked * most_w / abs(order_w) if isinstance(asked, float) else None
        return {name: encode(point.encoding, cut, self._registers.power(point))}

    def _obey(self, control: Control, now_s: float) -> None:
        values = self._registers.control_values(control)
        order_w = held(control, values)
        if order_w is None:
            if self._holding and self._release is not None:
                self._released(control)
                self._release(now_s)
            return
        self._expires_s = now_s + self._lease_s(control, values)
        self._holding = True
        if self._hold is not None:
            self._hold(now_s, order_w, self._expires_s)

    def _lease_s(self, control: Control, values: dict[str, Value]) -> float:
        """The timer starts anew with every write to the function, and 0 means that it never runs."""
        if control.lease is not None:
            timer = values.get(control.lease[0])
            return timer if isinstance(timer, float) and timer > 0 else math.inf
        lease = self.profile.lease
        return math.inf if lease is None or lease.seconds is None else lease.seconds

    def _move_to(self, now_s: float) -> None:
        """Let the lease run out, count it down, and before the first request choose the scale factors."""
        self._registers.scale(now_s)
        control, lease = self.profile.control, self.profile.lease
        if control is None or lease is None:
            return
        if self._holding and now_s >= self._expires_s:
            self._released(control)
        if lease.remaining is not None:
            left_s = math.ceil(self._expires_s - now_s) if math.isfinite(self._expires_s) else 0
            self._registers.store(self.profile.points[lease.remaining], float(left_s))

    def _released(self, control: Control) -> None:
        """The device's own program begins, and its registers say so where they can."""
        self._holding, self._expires_s = False, math.inf
        if control.enable is not None:
            self._registers.store(self.profile.points[control.enable], control.off)
        else:
            for name, value in control.restore:
                self._registers.store(self.profile.points[name], value)


class _OtherUnit:
    """The part of a device that answers at a unit of its own."""

    def __init__(self, device: EmulatedUnit, unit_id: int) -> None:
        self._device = device
        self._unit_id = unit_id

    async def read(self, peer: str, space: Space, address: int, count: int) -> Sequence[int]:
        return await self._device.read_at(self._unit_id, space, address, count)

    async def write(self, peer: str, address: int, words: Sequence[int]) -> None:
        await self._device.write_at(self._unit_id, address, words)
