"""`penstock rig`: lock-step over TCP, one JSON object a line each way, for rigs that are not Python.

    server  {"penstock": "rig", "version": 1, "site": "house-7", "cycle_s": 1.0, "devices": {...}}
    rig     {"dt_s": 1.0, "devices": {"grid": {"pcc_import_w": 800.0}, "bat1": {...}}}
    server  {"ok": true, "tick": 1, "at_s": 1.0, "scans": 1, "state": {...}, "orders": {...}}
    rig     {"end": true}
    server  {"ok": true, "ticks": 1, "trace_sha256": "..."}

Each connection has a controller of its own that begins anew. What is wrong is answered with
`{"ok": false, "error": "..."}`, and nothing has moved then. docs/hil.md has the whole protocol.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from controller.config import Config
from controller.errors import RunError
from controller.lab.lockstep import Rig
from controller.lab.rig_messages import LockStepError, checked_request

PROTOCOL_VERSION = 1
LONGEST_LINE_BYTES = 1_000_000

log = logging.getLogger("penstock")


async def serve_rigs(config: Config, host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with listening(config, host, port) as bound_port:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        log.info("%s: waiting for rigs on %s:%d; Ctrl-C ends it", config.site, host, bound_port)
        await stop.wait()


@asynccontextmanager
async def listening(config: Config, host: str, port: int) -> AsyncIterator[int]:
    """Rigs are served meanwhile, on the port that this gives (of use when `port` is 0)."""
    talks: set[asyncio.Task[None]] = set()

    async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "asyncio gives each connection a task"
        talks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await _talk(config, reader, writer)
        finally:
            talks.discard(task)
            writer.close()

    try:
        server = await asyncio.start_server(welcome, host, port, limit=LONGEST_LINE_BYTES)
    except OSError as error:
        raise RunError(f"{host}:{port}: cannot listen: {error.strerror or error}") from None
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(talks):
            task.cancel()
        await asyncio.gather(*talks)
        await server.wait_closed()


async def _talk(config: Config, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    devices = {entry.id: entry.role for entry in config.devices}
    greeting = {"penstock": "rig", "version": PROTOCOL_VERSION, "site": config.site}
    _say(writer, {**greeting, "cycle_s": config.cycle_s, "devices": devices})
    with Rig(config) as rig:
        while True:
            try:
                line = await reader.readline()
            except ValueError:  # longer than the limit: where the next line begins is not known any more
                _say(writer, {"ok": False, "error": f"a line is at most {LONGEST_LINE_BYTES} bytes long"})
                return
            if not line:
                return
            answer, more = _answer(rig, line)
            _say(writer, answer)
            await writer.drain()
            if not more:
                return


def _answer(rig: Rig, line: bytes) -> tuple[dict[str, Any], bool]:
    """The answer to one line, and whether the talk goes on."""
    try:
        said = json.loads(line)
    except ValueError as error:
        return {"ok": False, "error": f"not JSON: {error}; give one object a line"}, True
    if said == {"end": True}:
        return {"ok": True, "ticks": rig.ticks, "trace_sha256": rig.trace_sha256}, False
    try:
        request = checked_request(said)
        if request.version != PROTOCOL_VERSION:
            raise LockStepError(f"version is {request.version}; this program speaks {PROTOCOL_VERSION}")
        outputs = rig.tick(
            request.dt_s,
            request.devices,
            orders=request.orders,
            prices=request.prices,
            clock=request.clock,
        )
    except LockStepError as error:
        return {"ok": False, "error": str(error)}, True
    return {"ok": True, **outputs}, True


def _say(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    writer.write(json.dumps(message).encode() + b"\n")
