"""A TCP or TLS server. One task for each connection; connections do not wait for each other."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from drivers.wire.conversation import MAX_FRAME_BYTES, Converse, MissingUnit, mbap_frames
from drivers.wire.pdu import Unit


@dataclass(frozen=True, slots=True)
class Manners:
    """What a device on TCP does with its clients.

    Those beyond `max_clients` are hung up on at once. A unit that is not there is reported by exception 11,
    as a gateway does, or passed over in silence, as on a serial bus. Whatever a client sends in the first
    `deaf_s` of its connection is swallowed: some devices need a while to be ready.
    """

    max_clients: int | None = None
    missing_unit: MissingUnit = "gateway"
    deaf_s: float = 0.0


POLITE: Final = Manners()


class ModbusTcpServer:
    """Units on one TCP address, answering as a device would.

    A frame with a foreign protocol id or an impossible length ends its connection, since nothing after it
    can be trusted to begin where a frame begins. With `converse=rtu_frames` it is a gateway that passes
    serial frames through.
    """

    def __init__(
        self,
        units: Mapping[int, Unit],
        manners: Manners = POLITE,
        converse: Converse = mbap_frames,
    ) -> None:
        self._units = units
        self._manners = manners
        self._converse = converse
        self._server: asyncio.Server | None = None
        self._is_open = False
        self._clients: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Listen, and give the port that was bound (of use when `port` is 0); OSError when it cannot."""
        self._server = await asyncio.start_server(
            self._welcome, host, port, limit=MAX_FRAME_BYTES, start_serving=False, ssl=tls
        )
        self._is_open = True
        await self._server.start_serving()
        bound_port: int = self._server.sockets[0].getsockname()[1]
        return bound_port

    async def stop(self) -> None:
        """Close listener and connections, also in mid-request; afterwards `start` may be called again."""
        self._is_open = False
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        clients = dict(self._clients)
        for task, writer in clients.items():
            writer.transport.abort()  # first, so that the sockets are closed when the tasks have ended
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        await server.wait_closed()

    def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        most = self._manners.max_clients
        full = most is not None and len(self._clients) >= most
        peername = writer.get_extra_info("peername")  # None when the client has gone already
        if full or peername is None or not self._is_open:
            writer.transport.abort()
            return
        peer = f"{peername[0]}:{peername[1]}"
        task = asyncio.get_running_loop().create_task(self._serve(peer, reader, writer))
        self._clients[task] = writer
        task.add_done_callback(self._clients.pop)

    async def _serve(self, peer: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A client that hangs up, in mid-frame or not, is nobody's fault.
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            try:
                if self._manners.deaf_s > 0:
                    await _swallow(reader, self._manners.deaf_s)
                await self._converse(self._units, self._manners.missing_unit, peer, reader, writer)
            finally:
                writer.close()
                await writer.wait_closed()


async def _swallow(reader: asyncio.StreamReader, for_s: float) -> None:
    """Hear nothing of what comes in this time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(for_s):
            while await reader.read(MAX_FRAME_BYTES):
                pass
