"""A Modbus TCP proxy between any client and any server: it passes frames on, with faults on demand.

Also between programs that are not ours. Each client gets a connection of its own to the target. Without a
fault every frame passes unchanged, whatever function it has; what is no frame ends both connections.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from drivers.address import Address
from simulators.faults.link import FaultyLink, Gate, NoFrameError, read_frame, send
from simulators.faults.model import Active
from simulators.listener import Listener

CONNECT_WITHIN_S = 5.0
LARGEST_READ = 260


class ModbusProxy:
    """Listens at one address and asks another; `active` holds the faults."""

    def __init__(self, listen: Address, target: Address, active: Active) -> None:
        self._host, self._target = listen.host, target
        self._link = FaultyLink([(None, active)])
        self._listener = Listener(listen.host, listen.port, self._serve, LARGEST_READ)
        self._gate: Gate | None = None
        self.requests = self.replies = 0

    async def start(self) -> int:
        """Listen, and give the port (of use when that was 0); OSError when it cannot."""
        listener = self._listener
        await listener.open()

        async def opens(how: str) -> None:
            await listener.open()

        self._gate = Gate(self._link, (self._host, listener.port), opens, listener.close)
        self._gate.start()
        return listener.port

    async def stop(self) -> None:
        """Hang up on everybody."""
        if self._gate is not None:
            await self._gate.stop()
        await self._listener.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until either end hangs up; a target that cannot be reached is a connection that ends."""
        opened_s = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S):
                target_reader, target_writer = await asyncio.open_connection(
                    self._target.host, self._target.port, limit=LARGEST_READ
                )
        except OSError:
            writer.transport.abort()
            return
        pumps = [
            asyncio.create_task(self._requests(reader, writer, target_writer, opened_s)),
            asyncio.create_task(self._replies(target_reader, writer, opened_s)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in (target_writer, writer):  # first: what comes after may be cancelled
                end.close()
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for end in (target_writer, writer):
                with suppress(OSError):
                    await end.wait_closed()

    async def _requests(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        target: asyncio.StreamWriter,
        opened_s: float,
    ) -> None:
        with suppress(asyncio.IncompleteReadError, NoFrameError, OSError):
            while True:
                request = await read_frame(reader)
                self.requests += 1
                instead = self._link.instead(request, opened_s)
                if instead is not None:
                    send(instead, writer)
                else:
                    target.write(request.data)
                    await target.drain()

    async def _replies(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, opened_s: float
    ) -> None:
        with suppress(asyncio.IncompleteReadError, NoFrameError, OSError):
            while not writer.transport.is_closing():
                reply = await read_frame(reader)
                self.replies += 1
                send(self._link.reply(reply, opened_s), writer)
                await writer.drain()
