"""A TCP port that can be shut, with all who came through it, and opened again: for what stands in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]


class Listener:
    """Each client is served by a task of its own; `port` is known once it was open."""

    def __init__(self, host: str, port: int, serve: Serve, largest_read: int) -> None:
        self._host, self.port = host, port
        self._serve, self._largest_read = serve, largest_read
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @property
    def is_open(self) -> bool:
        """Whether clients are let in."""
        return self._server is not None

    async def open(self) -> None:
        """Listen; OSError when that cannot be."""
        self._server = await asyncio.start_server(
            self._welcome, self._host, self.port, limit=self._largest_read
        )
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Hang up on everybody; nothing when it is not open."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        clients = dict(self._clients)
        for task, writer in clients.items():
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        await server.wait_closed()

    def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._clients[task] = writer
        task.add_done_callback(self._clients.pop)
