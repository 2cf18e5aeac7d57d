"""Modbus/TCP by hand for tests: frames byte by byte, devices right and wrong, and a link to them."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

import pytest

from drivers.device import DeviceError
from drivers.link import Link, LinkTiming, open_link
from drivers.wire import ModbusFault, Space
from simulators.virtual_time import run

MBAP_BYTES = 7


def frame(transaction: int, unit: int, pdu: bytes, *, protocol: int = 0, length: int | None = None) -> bytes:
    """One MBAP frame; `protocol` and `length` may lie."""
    return struct.pack(">HHHB", transaction, protocol, len(pdu) + 1 if length is None else length, unit) + pdu


def read_pdu(function: int, address: int, count: int) -> bytes:
    """A request to read registers."""
    return struct.pack(">BHH", function, address, count)


def words_pdu(function: int, words: Sequence[int]) -> bytes:
    """A right reply to a read."""
    return struct.pack(f">BB{len(words)}H", function, 2 * len(words), *words)


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, int, bytes]:
    """Transaction, unit and PDU of the next frame."""
    transaction, _, length, unit = struct.unpack(">HHHB", await reader.readexactly(MBAP_BYTES))
    return transaction, unit, await reader.readexactly(length - 1)


class PlainUnit:
    """Holding registers 0 to 199 hold their own address, input registers that plus 1000; 666 is refused."""

    def __init__(self) -> None:
        self.holding = list(range(200))
        self.peers: set[str] = set()
        self.calls = 0
        self._counting = asyncio.Condition()
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def called(self, times: int) -> None:
        """Wait until so many reads have begun."""
        async with self._counting:
            await self._counting.wait_for(lambda: self.calls >= times)

    async def read(self, peer: str, space: Space, address: int, count: int) -> Sequence[int]:
        async with self._counting:
            self.calls += 1
            self._counting.notify_all()
        self.peers.add(peer)
        if not self.go_on.is_set():
            await self.go_on.wait()
        if address + count > len(self.holding):
            raise ModbusFault(2)
        words = self.holding[address : address + count]
        return words if space == "holding" else [word + 1000 for word in words]

    async def write(self, peer: str, address: int, words: Sequence[int]) -> None:
        self.peers.add(peer)
        if address + len(words) > len(self.holding):
            raise ModbusFault(2)
        if 666 in words:
            raise ModbusFault(3)
        self.holding[address : address + len(words)] = words


Handler = Callable[[asyncio.StreamWriter, int, int, bytes], Awaitable[None]]


class RawDevice:
    """A device on a socket that does with each request whatever `handle` does, right or wrong."""

    def __init__(self, handle: Handler) -> None:
        self.handle = handle
        self.port = 0
        self.connected_at_s: list[float] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Listen, on the same port as before if there was one."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Vanish: neither listen nor talk."""
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connected_at_s.append(asyncio.get_running_loop().time())
        self._writers.add(writer)
        try:
            await self.converse(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until it ends."""
        while True:
            request = await read_frame(reader)
            await self.handle(writer, *request)


def right_words(address: int, count: int) -> list[int]:
    """What the registers of an honest raw device hold."""
    return [(7 * (address + offset) + 3) & 0xFFFF for offset in range(count)]


def right_reply(pdu: bytes) -> bytes:
    """What an honest raw device replies."""
    if pdu[0] in (3, 4):
        return words_pdu(pdu[0], right_words(*struct.unpack(">HH", pdu[1:5])))
    return pdu[:5]


async def honest(writer: asyncio.StreamWriter, transaction: int, unit: int, pdu: bytes) -> None:
    """Answer rightly."""
    writer.write(frame(transaction, unit, right_reply(pdu)))


async def mute(writer: asyncio.StreamWriter, transaction: int, unit: int, pdu: bytes) -> None:
    """Do not answer."""


QUIESCE_S = 0.001  # real time for the kernel to deliver before the virtual clock jumps


def in_virtual_time(test: Coroutine[Any, Any, None], quiesce_s: float = QUIESCE_S) -> None:
    run(test, quiesce_s)


def now_s() -> float:
    return asyncio.get_running_loop().time()


@asynccontextmanager
async def linked(
    handle: Handler = honest, timing: LinkTiming | None = None
) -> AsyncIterator[tuple[Link, RawDevice]]:
    async with RawDevice(handle) as device:
        link = open_link(f"tcp://127.0.0.1:{device.port}", timing or LinkTiming())
        try:
            yield link, device
        finally:
            await link.close()


async def read(link: Link, address: int = 10, count: int = 2, within_s: float = 0.5) -> list[int]:
    return list((await link.read(1, "holding", address, count, now_s() + within_s)).words)


async def failure(link: Link, within_s: float = 0.5) -> str:
    with pytest.raises(DeviceError) as caught:
        await read(link, within_s=within_s)
    return str(caught.value).removeprefix(f"{link.connection} unit 1: reading 2 holding registers at 10: ")
