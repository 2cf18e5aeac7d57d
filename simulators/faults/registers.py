"""Faults in a device's registers (catalogues A and C): what a unit on the wire does with its requests.

In front of any emulated unit; a device without a wire has the nearest thing at its port.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import ClassVar

from drivers.control import take
from drivers.profile.codec import register_writes
from drivers.profile.model import DeviceProfile
from drivers.registers import encode
from drivers.wire import DEVICE_FAILURE, ModbusFault, Space, Unit
from simulators.emulator import EmulatedUnit
from simulators.faults.model import LARGEST_W, LONGEST_S, Active, AnyReading, Fault, no_answer, param

_log = logging.getLogger(__name__)

DAY_S = 86_400.0
ORDERED = ("battery", "pv")


@dataclass
class UnitFault(Fault):
    """The base of faults in registers: passes everything on."""

    seam: ClassVar[str] = "unit"

    def wait_s(self) -> float:
        """How long the unit thinks before it answers."""
        return 0.0

    def address(self, address: int) -> int:
        """Where it looks when this address is asked for."""
        return address

    def words(self, words: Sequence[int]) -> Sequence[int]:
        """What it answers instead of these."""
        return words

    def write(self, profile: DeviceProfile, address: int, words: Sequence[int]) -> Sequence[int] | None:
        """What it takes instead; None: it confirms the write and forgets it."""
        return words


@dataclass
class Sentinel(UnitFault):
    """Every register reads as "not available"."""

    name: ClassVar[str] = "sentinel"
    ids: ClassVar[tuple[str, ...]] = ("B01",)
    word: int = param(0xFFFF, "what each register holds: 0xFFFF, 0x8000, 0x7FFF ...", least=0, most=0xFFFF)

    def words(self, words: Sequence[int]) -> Sequence[int]:
        return [self.word] * len(words)

    def reading(self, reading: AnyReading, now_s: float, wired: bool) -> AnyReading:
        if not wired:
            raise no_answer("not available")
        return reading


@dataclass
class Shifted(UnitFault):
    """All registers stand `by` places further on: another firmware, another register map."""

    name: ClassVar[str] = "shifted"
    ids: ClassVar[tuple[str, ...]] = ("B06", "C16")
    by: int = param(1, "registers", most=65_535)

    def address(self, address: int) -> int:
        return max(address + self.by, 0)

    def reading(self, reading: AnyReading, now_s: float, wired: bool) -> AnyReading:
        if not wired:
            raise no_answer("the registers are not where they were")
        return reading


@dataclass
class Swapped(UnitFault):
    """The words of each pair of registers are swapped: 548 W read as 35.9 MW."""

    name: ClassVar[str] = "swapped"
    ids: ClassVar[tuple[str, ...]] = ("B06",)

    def words(self, words: Sequence[int]) -> Sequence[int]:
        found = list(words)
        for at in range(0, len(found) - 1, 2):
            found[at], found[at + 1] = found[at + 1], found[at]
        return found

    def reading(self, reading: AnyReading, now_s: float, wired: bool) -> AnyReading:
        if not wired:  # a driver takes such numbers for no reading at all
            raise no_answer(self.name)
        return reading


@dataclass
class LateAnswers(UnitFault):
    """The device thinks for `by_s` before each answer."""

    name: ClassVar[str] = "thinks"
    ids: ClassVar[tuple[str, ...]] = ("A22",)
    by_s: float = param(0.3, "s before each answer", least=0.0, most=LONGEST_S)

    def wait_s(self) -> float:
        return self.by_s


@dataclass
class IgnoresWrites(UnitFault):
    """Confirms every write and forgets it: what reads back is what was there before."""

    name: ClassVar[str] = "ignores_writes"
    ids: ClassVar[tuple[str, ...]] = ("A24",)
    roles: ClassVar[tuple[str, ...]] = ORDERED

    def write(self, profile: DeviceProfile, address: int, words: Sequence[int]) -> Sequence[int] | None:
        return None

    def order(self, order_w: float, now_s: float, wired: bool) -> float | None:
        return order_w if wired else None


@dataclass
class Reboot(UnitFault):
    """Restarts when the fault begins: its registers are as from the factory, its orders forgotten."""

    name: ClassVar[str] = "reboot"
    ids: ClassVar[tuple[str, ...]] = ("A25", "C07")
    roles: ClassVar[tuple[str, ...]] = ORDERED
    _due: bool = field(init=False, repr=False, compare=False, default=True)

    def restarts(self) -> bool:
        due, self._due = self._due, False
        return due


@dataclass
class Stranger(UnitFault):
    """Another device of the same kind answers here: the same registers, another serial number."""

    name: ClassVar[str] = "stranger"
    ids: ClassVar[tuple[str, ...]] = ("A26",)
    serial: str = param("STRANGER", "the serial number it shows", least=1, most=8)

    def reading(self, reading: AnyReading, now_s: float, wired: bool) -> AnyReading:
        if not wired:
            raise no_answer("another device answers")
        return reading


@dataclass
class Foreign(UnitFault):
    """A second master orders `power_w` every `every_s`."""

    name: ClassVar[str] = "foreign"
    ids: ClassVar[tuple[str, ...]] = ("A29",)
    roles: ClassVar[tuple[str, ...]] = ("battery",)
    power_w: float = param(-2000.0, "what it orders, W; negative charges", most=LARGEST_W)
    every_s: float = param(5.0, "s from one of its orders to the next", least=0.1, most=LONGEST_S)
    _next_s: float = field(init=False, repr=False, compare=False, default=-inf)

    def foreign_w(self, now_s: float) -> float | None:
        if now_s < self._next_s:
            return None
        self._next_s = now_s + self.every_s
        return self.power_w


@dataclass
class NoTimer(UnitFault):
    """The timer that ends an order by itself cannot be armed: it reads back as 0."""

    name: ClassVar[str] = "no_timer"
    ids: ClassVar[tuple[str, ...]] = ("C08",)
    roles: ClassVar[tuple[str, ...]] = ORDERED

    def write(self, profile: DeviceProfile, address: int, words: Sequence[int]) -> Sequence[int] | None:
        if profile.control is None or profile.control.lease is None:
            return words
        timer = profile.points[profile.control.lease[0]]
        zero = encode(timer.encoding, 0.0)
        return [
            zero[address + at - timer.address] if timer.address <= address + at < timer.end else word
            for at, word in enumerate(words)
        ]


@dataclass
class WearsOut(UnitFault):
    """Registers that wear out (`writes_per_day` of the profile) take `writes` in 24 h, and refuse more."""

    name: ClassVar[str] = "wears_out"
    ids: ClassVar[tuple[str, ...]] = ("A34",)
    roles: ClassVar[tuple[str, ...]] = ORDERED
    writes: int = param(24, "how many in any 24 h", least=1, most=100_000)
    _written_at_s: deque[float] = field(init=False, repr=False, compare=False, default_factory=deque)

    def write(self, profile: DeviceProfile, address: int, words: Sequence[int]) -> Sequence[int] | None:
        worn = [one for one in profile.points.values() if one.writes_per_day is not None]
        if not any(address <= one.address < address + len(words) for one in worn):
            return words
        now_s = asyncio.get_running_loop().time()
        while self._written_at_s and now_s - self._written_at_s[0] >= DAY_S:
            self._written_at_s.popleft()
        if len(self._written_at_s) >= self.writes:
            raise ModbusFault(DEVICE_FAILURE)
        self._written_at_s.append(now_s)
        return words


UNITS: tuple[type[UnitFault], ...] = (
    Sentinel,
    Shifted,
    Swapped,
    LateAnswers,
    IgnoresWrites,
    Reboot,
    Stranger,
    Foreign,
    NoTimer,
    WearsOut,
)


class FaultyUnit:
    """A `drivers.wire.Unit` in front of an emulated device; `make` builds that anew, as a restart does."""

    def __init__(self, make: Callable[[str | None], EmulatedUnit], active: Active) -> None:
        self._make = make
        self._active = active
        self.device = make(None)
        self._stranger: EmulatedUnit | None = None

    def parts(self, unit_id: int) -> dict[int, Unit]:
        """The device at its unit, and its points at other units."""
        others = {point.unit_id for point in self.device.profile.points.values() if point.unit_id is not None}
        return {unit_id: self} | {other: _Part(self, other) for other in others}

    async def read(self, peer: str, space: Space, address: int, count: int) -> Sequence[int]:
        """As the device, with the faults of now."""
        return await self.read_at(None, space, address, count)

    async def write(self, peer: str, address: int, words: Sequence[int]) -> None:
        """As the device, with the faults of now."""
        await self.write_at(None, address, words)

    async def read_at(self, unit_id: int | None, space: Space, address: int, count: int) -> Sequence[int]:
        """What stands at this unit; None is the device's own."""
        if not self._active.any:
            return await self.device.read_at(unit_id, space, address, count)
        faults = await self._met()
        for fault in faults:
            address = fault.address(address)
        words = await self._answering(faults).read_at(unit_id, space, address, count)
        for fault in faults:
            words = fault.words(words)
        return words

    async def write_at(self, unit_id: int | None, address: int, words: Sequence[int]) -> None:
        """Into what stands at this unit."""
        faults = await self._met()
        found: Sequence[int] | None = words
        for fault in faults:
            found = None if found is None else fault.write(self.device.profile, address, found)
            address = fault.address(address)
        if found is not None:
            await self._answering(faults).write_at(unit_id, address, found)

    def _answering(self, faults: Sequence[UnitFault]) -> EmulatedUnit:
        serial = next((one.serial for one in faults if isinstance(one, Stranger)), None)
        if serial is None:
            self._stranger = None
            return self.device
        if self._stranger is None:
            self._stranger = self._make(serial)
        return self._stranger

    async def _met(self) -> list[UnitFault]:
        now_s = asyncio.get_running_loop().time()
        faults = [one for one in self._active.at(now_s) if isinstance(one, UnitFault)]
        for fault in faults:
            if fault.restarts():
                self.device.forget(now_s)
                self.device = self._make(None)
            foreign_w = fault.foreign_w(now_s)
            if foreign_w is not None:
                await self._order(foreign_w)
            if wait_s := fault.wait_s():
                await asyncio.sleep(wait_s)
        return faults

    async def _order(self, order_w: float) -> None:
        """Write what another master would; what the registers do not hold nobody can write."""
        profile = self.device.profile
        if profile.control is None:
            return
        values = self.device.values()
        try:
            writes = register_writes(profile, take(profile.control, order_w, values), values)
        except ValueError as error:
            _log.warning("the foreign order of %g W was not written: %s", order_w, error)
            return
        for write in writes:
            point = profile.points[write.points[0]]
            await self.device.write_at(point.unit_id, write.address, write.words)


class _Part:
    """What a device shows at another unit."""

    def __init__(self, unit: FaultyUnit, unit_id: int) -> None:
        self._unit = unit
        self._unit_id = unit_id

    async def read(self, peer: str, space: Space, address: int, count: int) -> Sequence[int]:
        return await self._unit.read_at(self._unit_id, space, address, count)

    async def write(self, peer: str, address: int, words: Sequence[int]) -> None:
        await self._unit.write_at(self._unit_id, address, words)
