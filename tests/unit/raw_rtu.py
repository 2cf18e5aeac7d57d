"""Serial frames by hand for tests: a line in memory, and devices on it that do right or wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from drivers import rtu
from drivers.address import SerialAddress
from drivers.link import Link, LinkTiming, open_link
from drivers.serial_port import PortError
from tests.unit.raw_modbus import right_reply

CONNECTION = "rtu:///dev/ttyTEST?baud=115200"

Handler = Callable[["RawLine", int, bytes], Awaitable[None]]


async def honest(line: RawLine, unit: int, pdu: bytes) -> None:
    """Answer rightly."""
    line.say(rtu.framed(unit, right_reply(pdu)))


async def mute(line: RawLine, unit: int, pdu: bytes) -> None:
    """Do not answer."""


class RawLine(asyncio.Transport):
    """A serial line in memory; at its other end `handle` does with each request whatever it likes."""

    def __init__(self, handle: Handler = honest) -> None:
        super().__init__()
        self.handle = handle
        self.present = True
        self.opened = 0
        self.heard: list[tuple[int, bytes]] = []
        self._protocol: asyncio.Protocol | None = None
        self._doing: set[asyncio.Task[None]] = set()

    def open(self, address: SerialAddress, protocol: asyncio.Protocol) -> RawLine:
        """Instead of `open_port`."""
        if not self.present:
            raise PortError("there is no such serial device; is the adapter plugged in?")
        self.opened += 1
        self._protocol = protocol
        protocol.connection_made(self)
        return self

    def pull_out(self) -> None:
        """As when somebody takes the adapter away."""
        self.present = False
        self._lose(OSError(5, "Input/output error"))

    def say(self, data: bytes) -> None:
        """Send to the master."""
        if self._protocol is not None and data:
            self._protocol.data_received(data)

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        frame = bytes(data)
        assert rtu.is_whole(frame), "the master sent a broken frame"
        self.heard.append((frame[0], frame[1:-2]))
        task = asyncio.get_running_loop().create_task(self._answer(frame[0], frame[1:-2]))
        self._doing.add(task)
        task.add_done_callback(self._doing.discard)

    async def _answer(self, unit: int, pdu: bytes) -> None:
        await self.handle(self, unit, pdu)

    def abort(self) -> None:
        self._lose(None)

    def _lose(self, error: OSError | None) -> None:
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            asyncio.get_running_loop().call_soon(protocol.connection_lost, error)


@contextmanager
def rtu_link(
    handle: Handler = honest, timing: LinkTiming | None = None, connection: str = CONNECTION
) -> Iterator[tuple[Link, RawLine]]:
    line = RawLine(handle)
    with patch("drivers.link.rtu.open_port", line.open):
        yield open_link(connection, timing or LinkTiming()), line
