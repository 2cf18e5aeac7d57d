"""The gate before a broker: what a client meets while the broker is gone, flaps, is half open or stuck."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from drivers.address import Address
from simulators.broker_gate import BrokerGate
from simulators.faults import Active, make_fault
from simulators.virtual_time import run

Work = Callable[[int, Active], Awaitable[None]]


async def through_a_gate(work: Work, *faults: tuple[str, float, float, dict[str, Any]]) -> None:
    """Do something at a gate before a server that says everything again."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(100):
                writer.write(data)
        writer.close()

    active = Active()
    for name, from_s, to_s, values in faults:
        active.add(make_fault(name, values), from_s, to_s)
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    gate = BrokerGate(
        Address("127.0.0.1", 0), Address("127.0.0.1", server.sockets[0].getsockname()[1]), active
    )
    try:
        await work(await gate.start(), active)
    finally:
        await gate.stop()
        server.close()


async def until_s(at_s: float) -> None:
    await asyncio.sleep(at_s - asyncio.get_running_loop().time())


async def says(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, word: bytes) -> bytes:
    """What comes back within half a second."""
    writer.write(word)
    with suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            return await reader.read(100)
    return b""


def test_a_broker_that_is_down_resets_what_was_open_and_is_there_again_afterwards() -> None:
    async def work(port: int, active: Active) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await says(reader, writer, b"hello") == b"hello"
        await until_s(11.0)
        with suppress(ConnectionError):
            assert await reader.read(100) == b""
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        await until_s(21.0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await says(reader, writer, b"again") == b"again"
        writer.close()

    run(through_a_gate(work, ("broker_down", 10.0, 20.0, {})), 0.001)


def test_a_broker_that_flaps_is_there_and_gone_by_its_times() -> None:
    async def work(port: int, active: Active) -> None:
        found = []
        for at_s in (11.5, 13.5, 15.5, 17.5, 19.5):
            await until_s(at_s)
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                found.append(False)
            else:
                found.append(True)
                writer.close()
        # Gone for 3 s from 10 s on, back for 2 s, gone again for 3 s.
        assert found == [False, True, False, False, True]

    run(through_a_gate(work, ("broker_flaps", 10.0, 30.0, {"off_s": 3.0, "on_s": 2.0})), 0.001)


def test_a_half_open_session_is_dead_without_a_word_and_a_new_one_is_not() -> None:
    async def work(port: int, active: Active) -> None:
        old, old_writer = await asyncio.open_connection("127.0.0.1", port)
        await until_s(11.0)
        assert await says(old, old_writer, b"hello") == b""
        new, new_writer = await asyncio.open_connection("127.0.0.1", port)
        assert await says(new, new_writer, b"hello") == b"hello"
        old_writer.close()
        new_writer.close()

    run(through_a_gate(work, ("broker_half_open", 10.0, 30.0, {})), 0.001)


def test_a_stuck_broker_reads_nothing_and_then_all_that_was_sent() -> None:
    async def work(port: int, active: Active) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await until_s(11.0)
        assert await says(reader, writer, b"hello") == b""
        await until_s(21.0)
        assert await reader.read(100) == b"hello"
        writer.close()

    run(through_a_gate(work, ("broker_stuck", 10.0, 20.0, {})), 0.001)
