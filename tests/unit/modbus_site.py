"""A unit on a socket whose registers are set by hand, for tests of the driver."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from drivers.device import DeviceError
from drivers.link import Link, LinkTiming, open_link
from drivers.modbus import ModbusBattery, ModbusMeter, ModbusPv, modbus_battery, modbus_meter, modbus_pv
from drivers.profile import load_profile
from drivers.wire import ModbusFault, ModbusTcpServer, Space
from simulators.virtual_time import run

METER, HYBRID, PV = (load_profile(name) for name in ("eastron-sdm630", "sunspec-hybrid", "sunspec-pv"))
ENABLE, MODE, SETPOINT, TIMER, SETPOINT_SF = 40256, 40257, 40258, 40265, 40289
TAKE_CHARGING_1500 = [
    (40260, (0, 0)),
    (40264, (0,)),
    (TIMER, (0, 30)),
    (SETPOINT, (0xFFFF, 0xFA24)),
    (MODE, (1,)),
    (ENABLE, (1,)),
]
RELEASE = [(ENABLE, (0,)), (TIMER, (0, 0))]


class Registers:
    """A unit whose registers are 0 until a test sets them; it keeps a diary, and obeys nothing."""

    def __init__(self, registers: dict[int, int]) -> None:
        self.registers = registers
        self.reads: list[tuple[int, int]] = []
        self.writes: list[tuple[int, tuple[int, ...]]] = []
        self.diary: list[str] = []
        self.written_at_s: list[float] = []
        self.refuse: set[int] = set()
        self.before_write: Callable[[int], Awaitable[None]] | None = None

    async def read(self, peer: str, space: Space, address: int, count: int) -> Sequence[int]:
        self.reads.append((address, count))
        self.diary.append(f"read {address}")
        if address in self.refuse:
            raise ModbusFault(4)
        return [self.registers.get(at, 0) for at in range(address, address + count)]

    async def write(self, peer: str, address: int, words: Sequence[int]) -> None:
        if self.before_write is not None:
            await self.before_write(address)
        if address in self.refuse:
            raise ModbusFault(4)
        self.writes.append((address, tuple(words)))
        self.written_at_s.append(now_s())
        self.diary.append(f"write {address}")
        self.registers.update({address + i: word for i, word in enumerate(words)})


class Site:
    """A unit on a socket, and a link to it."""

    def __init__(self, registers: dict[int, int]) -> None:
        self.unit = Registers(registers)
        self._server = ModbusTcpServer({1: self.unit})
        self._port = 0
        self.link: Link

    async def __aenter__(self) -> Site:
        self._port = await self._server.start("127.0.0.1", 0)
        self.link = open_link(f"tcp://127.0.0.1:{self._port}", LinkTiming())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.link.close()
        await self._server.stop()

    async def hang_up(self) -> None:
        """Drop all connections, and be back at once."""
        await self._server.stop()
        self._server = ModbusTcpServer({1: self.unit})
        await self._server.start("127.0.0.1", self._port)
        await asyncio.sleep(2.0)

    def meter(self) -> ModbusMeter:
        return modbus_meter("grid", METER, self.link, 1)

    def battery(self, max_discharge_w: float | None = None) -> ModbusBattery:
        return modbus_battery("bat1", HYBRID, self.link, 1, max_discharge_w=max_discharge_w)

    def pv(self) -> ModbusPv:
        return modbus_pv("roof", PV, self.link, 1)


def now_s() -> float:
    return asyncio.get_running_loop().time()


def soon() -> float:
    return now_s() + 0.5


def a_meter(**words: int) -> dict[int, int]:
    exporting_2_kw = {0x34: 0xC4FA, 0x35: 0x0000, 0x46: 0x4248}
    return exporting_2_kw | {int(at[1:], 16): word for at, word in words.items()}


def a_battery() -> dict[int, int]:
    return {
        40052: 0x5331,  # serial "S1"
        40084: 0xF380,  # -3200 W
        40086: 5000,
        40087: 0xFFFE,
        40108: 4,
        40141: 10000,  # Wh
        40145: 5000,  # W
        40147: 4500,  # W
        40305: 629,
        40309: 0xFFFF,  # 62.9 %
    }


def a_pv() -> dict[int, int]:
    return {40084: 3600, 40152: 5000, 40187: 1000, 40205: 0xFFFF}


def in_virtual_time(registers: dict[int, int], scenario: Callable[[Site], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with Site(registers) as site:
            await scenario(site)

    run(whole(), quiesce_s=0.001)


async def error_of(awaitable: Awaitable[object]) -> str:
    with pytest.raises(DeviceError) as caught:
        await awaitable
    return str(caught.value)
