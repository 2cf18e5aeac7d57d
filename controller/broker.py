"""`[mqtt] url = "embedded"`: a broker inside the program (amqtt, extra `broker`).

On 127.0.0.1 alone and open to everybody there, or, with users in the site file, where it says and to them.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from controller.errors import RunError
from controller.mqtt_access import server_context
from controller.shortage import files_are_short
from controller.site_mqtt import ITSELF, MqttConfig

HOST = "127.0.0.1"
CLOSE_WITHIN_S = 2.0
MOST_CLIENTS = 100
"""Whoever comes then is hung up on, and also when files are short: devices go first."""
ACCEPTED_AT_ONCE = 16
"""Without a file left asyncio tries, and complains, so often in a row (100 unless told otherwise)."""
ANYBODY = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
OPEN = MqttConfig(None, 0, only_v311=True)


class BrokerError(RunError):
    """The embedded broker could not be started; the text says why."""


@asynccontextmanager
async def embedded(config: MqttConfig) -> AsyncIterator[MqttConfig]:
    """Run a broker as the site file wants it, and give how we ourselves reach it.

    BrokerError when it can not. Where users are asked for a password we have one too, made anew each time,
    and a port of our own on this host, so that it never crosses the network.
    """
    if not config.users:
        async with _serving(config, ANYBODY) as (port, _):
            yield replace(config, host=HOST, port=port, tls=False)
        return
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
        ours = Path(folder) / "password"
        ours.touch(mode=0o600)
        ours.write_text(secrets.token_urlsafe(32), encoding="ascii")
        plugin = {
            "passwords": {
                **{one.name: str(one.password_file.absolute()) for one in config.users},
                ITSELF: str(ours),
            },
            "commanders": [one.name for one in config.users if one.may_command],
        }
        async with _serving(config, {"controller.broker_users.SiteUsers": plugin}) as (_, own_port):
            yield replace(config, host=HOST, port=own_port, tls=False, username=ITSELF, password_file=ours)


@asynccontextmanager
async def embedded_broker(port: int) -> AsyncIterator[int]:
    """A broker for everybody on 127.0.0.1:`port` (0: any free port); gives the port."""
    async with embedded(replace(OPEN, port=port)) as config:
        yield config.port


@asynccontextmanager
async def _serving(config: MqttConfig, plugins: dict[str, Any]) -> AsyncIterator[tuple[int, int]]:
    """The broker; gives the port it was asked for and one that only this host reaches."""
    try:
        from controller.broker_retained import SiteBroker
    except ImportError:
        raise BrokerError(
            'the embedded broker is not installed; install penstock with the extra "broker", '
            'or give url = "mqtt://..." of a broker you run'
        ) from None
    for name in ("amqtt", "transitions"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    broker = SiteBroker({"listeners": {"default": {"type": "external"}}, "plugins": plugins})
    open_now: dict[asyncio.Task[None] | None, asyncio.StreamWriter] = {}

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(open_now) >= MOST_CLIENTS or files_are_short(writer.get_extra_info("socket").fileno()):
            writer.transport.abort()
            return
        task = asyncio.current_task()
        open_now[task] = writer
        try:
            await broker.stream_connected(reader, writer, listener_name="default")
        finally:  # amqtt leaves the connections open that it refused
            del open_now[task]
            writer.close()

    # Our own listeners: amqtt does not tell which port it was given for port 0.
    try:
        context = server_context(config)
        server = await asyncio.start_server(
            connected, config.listen, config.port, ssl=context, backlog=ACCEPTED_AT_ONCE
        )
    except OSError as error:
        where = f"{config.listen}:{config.port}"
        raise BrokerError(
            f"the embedded broker cannot listen on {where}: {error.strerror or error}"
        ) from None
    inner = server
    if config.users:
        inner = await asyncio.start_server(connected, HOST, 0, backlog=ACCEPTED_AT_ONCE)
    await broker.start()
    try:
        yield server.sockets[0].getsockname()[1], inner.sockets[0].getsockname()[1]
    finally:
        server.close()
        inner.close()
        await broker.shutdown()
        tasks = [task for task in open_now if task is not None]
        for writer in open_now.values():
            writer.close()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_WITHIN_S)
