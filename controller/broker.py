"""`[mqtt] url = "embedded"`: a broker inside the program (amqtt, extra `broker`), on 127.0.0.1 only."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from controller.errors import RunError

HOST = "127.0.0.1"
CLOSE_WITHIN_S = 2.0


class BrokerError(RunError):
    """The embedded broker could not be started; the text says why."""


@asynccontextmanager
async def embedded_broker(port: int) -> AsyncIterator[int]:
    """Run a broker on 127.0.0.1:`port` (0: any free port) and give the port; BrokerError when it can not.

    Anonymous clients on this host may read and write; nobody else can reach it.
    """
    try:
        from amqtt.broker import Broker
    except ImportError:
        raise BrokerError(
            'the embedded broker is not installed; install penstock with the extra "broker", '
            'or give url = "mqtt://..." of a broker you run'
        ) from None
    for name in ("amqtt", "transitions"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    plugins = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    broker = Broker({"listeners": {"default": {"type": "external"}}, "plugins": plugins})

    open_now: dict[asyncio.Task[None] | None, asyncio.StreamWriter] = {}

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        open_now[task] = writer
        try:
            await broker.stream_connected(reader, writer, listener_name="default")
        finally:  # amqtt leaves the connections open that it refused
            del open_now[task]
            writer.close()

    # Our own listener: amqtt does not tell which port it was given for port 0.
    try:
        server = await asyncio.start_server(connected, HOST, port)
    except OSError as error:
        raise BrokerError(f"the embedded broker cannot listen on {HOST}:{port}: {error.strerror}") from None
    await broker.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await broker.shutdown()
        tasks = [task for task in open_now if task is not None]
        for writer in open_now.values():
            writer.close()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_WITHIN_S)
