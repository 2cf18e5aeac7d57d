"""Units on a serial line, as many as share it, each silent until it is asked."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

from drivers.address import SerialAddress
from drivers.serial_port import PortError, open_port
from drivers.wire.conversation import MAX_FRAME_BYTES, Converse, rtu_frames
from drivers.wire.pdu import Unit

REOPEN_S = 0.5


class ModbusSerialServer:
    """Answers on a line until it is stopped; a line that vanishes is taken up again when it is back."""

    def __init__(self, units: Mapping[int, Unit], converse: Converse = rtu_frames) -> None:
        self._units = units
        self._converse = converse
        self._serving: asyncio.Task[None] | None = None

    async def start(self, address: SerialAddress) -> None:
        """Open the line; PortError when it is not there or not free."""
        first = self._open(address)
        self._serving = asyncio.get_running_loop().create_task(self._serve(address, first))

    async def stop(self) -> None:
        """Let go of the line, also in mid-request; afterwards `start` may be called again."""
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.gather(self._serving, return_exceptions=True)

    def _open(self, address: SerialAddress) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader = asyncio.StreamReader(limit=MAX_FRAME_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport = open_port(address, protocol)
        loop = asyncio.get_running_loop()
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    async def _serve(
        self, address: SerialAddress, line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None
    ) -> None:
        while True:
            if line is not None:
                reader, writer = line
                try:
                    with contextlib.suppress(OSError):
                        await self._converse(self._units, "silent", address.path, reader, writer)
                finally:
                    writer.transport.abort()
            await asyncio.sleep(REOPEN_S)
            try:
                line = self._open(address)
            except PortError:
                line = None
