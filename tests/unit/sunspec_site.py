"""SunSpec devices for tests: register images made by the SunSpec Alliance's own library, on a socket."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import sunspec2.device as reference  # type: ignore[import-untyped]  # it has no annotations

from drivers.device import DeviceError
from drivers.link import Link, LinkTiming, open_link
from drivers.wire import ILLEGAL_ADDRESS, ModbusFault, ModbusTcpServer, Space
from simulators.virtual_time import run

SUNS = (0x5375, 0x6E53)
COMMON = {"Mn": "Acme", "Md": "One", "SN": "S-1"}
HYBRID_103 = {"W": -3200, "W_SF": 0, "Hz": 5000, "Hz_SF": -2, "St": 4}
RATING_120 = {"MaxChaRte": 5000, "MaxChaRte_SF": 0, "MaxDisChaRte": 45, "MaxDisChaRte_SF": 2}
IDLE_704 = {
    "WSetEna": 0,
    "WSetMod": 0,
    "WSet": 0,
    "WSetRvrt": 0,
    "WSetEnaRvrt": 0,
    "WSetRvrtTms": 0,
    "WSetRvrtRem": 0,
    "WSet_SF": 0,
}
IDLE_124 = {
    "WChaMax": 4000,
    "WChaMax_SF": 0,
    "StorCtl_Mod": 0,
    "ChaState": 6290,
    "ChaState_SF": -2,
    "OutWRte": 10000,
    "InWRte": 10000,
    "InOutWRte_WinTms": 0,
    "InOutWRte_RvrtTms": 0,
    "ChaGriSet": 0,
    "InOutWRte_SF": -2,
}
SOC_713 = {"WHRtg": 1000, "WH_SF": 1, "SoC": 629, "Pct_SF": -1}
HYBRID = ((1, COMMON), (103, HYBRID_103), (120, RATING_120), (704, IDLE_704), (713, SOC_713))
STORAGE = ((1, COMMON), (103, HYBRID_103), (120, RATING_120), (124, IDLE_124))
CAP_123 = {"Conn": 1, "WMaxLimPct": 1000, "WMaxLimPct_RvrtTms": 0, "WMaxLim_Ena": 0, "WMaxLimPct_SF": -1}
SUNNY = ((1, COMMON), (103, {"W": 360, "W_SF": 1}), (121, {"WMax": 5000, "WMax_SF": 0}), (123, CAP_123))


def model_words(model_id: int, values: Mapping[str, Any]) -> tuple[int, ...]:
    """A model with these raw values, everything else not implemented."""
    data: bytes = reference.Model(model_id, data={"ID": model_id, **values}).get_mb()
    return struct.unpack(f">{len(data) // 2}H", data)


def image(*models: Any, base: int = 40000, end: Sequence[int] = (0xFFFF, 0)) -> dict[int, int]:
    """Registers by address: the marker, these models (ID and values, or bare words) and the end."""
    words = list(SUNS)
    for model in models:
        words += model_words(*model) if isinstance(model, tuple) else model
    words += end
    return {base + i: word for i, word in enumerate(words)}


def address_of(registers: Mapping[int, int], model_id: int, base: int = 40000) -> int:
    """Where a model's ID stands in an image."""
    at = base + 2
    while registers[at] != model_id:
        at += 2 + registers[at + 1]
    return at


class Device:
    """A unit with these registers and no others; it keeps what is written to it, and a diary of that."""

    def __init__(self, registers: dict[int, int]) -> None:
        self.registers = registers
        self.reads: list[tuple[int, int]] = []
        self.writes: list[tuple[int, tuple[int, ...]]] = []
        self.delay_s = 0.0
        self.delays_s: dict[int, float] = {}

    async def read(self, peer: str, space: Space, address: int, count: int) -> Sequence[int]:
        self.reads.append((address, count))
        await asyncio.sleep(self.delays_s.get(address, self.delay_s))
        try:
            return [self.registers[at] for at in range(address, address + count)]
        except KeyError:
            raise ModbusFault(ILLEGAL_ADDRESS) from None

    async def write(self, peer: str, address: int, words: Sequence[int]) -> None:
        if any(at not in self.registers for at in range(address, address + len(words))):
            raise ModbusFault(ILLEGAL_ADDRESS)
        self.writes.append((address, tuple(words)))
        self.registers |= {address + i: word for i, word in enumerate(words)}

    def said(self, model_id: int, name: str) -> list[tuple[int, ...]]:
        """What was written to a point, in order."""
        at = address_of(self.registers, model_id) + reference.Model(model_id).points[name].offset
        return [
            words[at - address :] for address, words in self.writes if address <= at < address + len(words)
        ]


class Bus:
    """A device on a socket that can hang up and come back, and a link to it."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.link: Link
        self._server = ModbusTcpServer({1: device})
        self._port = 0

    async def start(self) -> None:
        self._port = await self._server.start("127.0.0.1", 0)
        self.link = open_link(f"tcp://127.0.0.1:{self._port}", LinkTiming())

    async def stop(self) -> None:
        await self.link.close()
        await self._server.stop()

    async def hang_up(self) -> None:
        """Drop all connections, and be back at once."""
        await self._server.stop()
        await self._server.start("127.0.0.1", self._port)
        await asyncio.sleep(2.0)


@asynccontextmanager
async def on_a_bus(registers: dict[int, int]) -> AsyncIterator[Bus]:
    bus = Bus(Device(registers))
    await bus.start()
    try:
        yield bus
    finally:
        await bus.stop()


def in_virtual_time(registers: dict[int, int], scenario: Callable[[Bus], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with on_a_bus(registers) as bus:
            await scenario(bus)

    run(whole(), quiesce_s=0.001)


def soon() -> float:
    return asyncio.get_running_loop().time() + 0.5


async def error_of(awaitable: Awaitable[object]) -> str:
    with pytest.raises(DeviceError) as caught:
        await awaitable
    return str(caught.value)
