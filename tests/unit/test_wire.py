"""The answering half of Modbus does what the standard says, on real sockets, and never loses its place."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.wire import Manners, ModbusTcpServer, answer
from tests.unit.raw_modbus import PlainUnit, frame, read_frame, read_pdu, words_pdu

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def done_at_once(coroutine: Coroutine[Any, Any, bytes]) -> bytes:
    """Run what never waits, without an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as stopped:
        reply: bytes = stopped.value
        return reply
    raise AssertionError("it waited")


def reply_to(request: bytes, unit: PlainUnit | None = None) -> bytes:
    return done_at_once(answer(unit or PlainUnit(), "peer", request))


@asynccontextmanager
async def serving(
    unit: PlainUnit, missing_unit: Literal["silent", "gateway"] = "gateway", max_clients: int | None = None
) -> AsyncIterator[tuple[ModbusTcpServer, int]]:
    server = ModbusTcpServer({1: unit}, Manners(max_clients, missing_unit))
    port = await server.start("127.0.0.1", 0)
    try:
        yield server, port
    finally:
        await server.stop()


@asynccontextmanager
async def client(port: int) -> AsyncIterator[Stream]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):  # hung up on, as some of these tests want
            await writer.wait_closed()


async def ask(stream: Stream, pdu: bytes, unit: int = 1, transaction: int = 7) -> bytes:
    reader, writer = stream
    writer.write(frame(transaction, unit, pdu))
    *came_from, reply = await read_frame(reader)
    assert came_from == [transaction, unit]
    return reply


async def hung_up(stream: Stream) -> bool:
    """Whether the server closes the connection without another byte."""
    try:
        return await stream[0].read(1) == b""
    except ConnectionError:
        return True


def test_holding_and_input_registers_are_two_spaces() -> None:
    assert reply_to(bytes.fromhex("03 0005 0002")) == bytes.fromhex("03 04 0005 0006")
    assert reply_to(bytes.fromhex("04 0005 0002")) == bytes.fromhex("04 04 03ed 03ee")


def test_a_write_is_confirmed_by_its_echo_and_can_be_read_back() -> None:
    unit = PlainUnit()
    assert reply_to(bytes.fromhex("06 0005 ffff"), unit) == bytes.fromhex("06 0005 ffff")
    assert reply_to(bytes.fromhex("10 0006 0002 04 1234 5678"), unit) == bytes.fromhex("10 0006 0002")
    assert unit.holding[5:8] == [0xFFFF, 0x1234, 0x5678]


def test_the_mask_write_example_of_the_standard_comes_out() -> None:
    unit = PlainUnit()
    unit.holding[4] = 0x12
    assert reply_to(bytes.fromhex("16 0004 00f2 0025"), unit) == bytes.fromhex("16 0004 00f2 0025")
    assert unit.holding[4] == 0x17


def test_read_write_writes_before_it_reads() -> None:
    unit = PlainUnit()
    reply = reply_to(bytes.fromhex("17 0003 0003 0004 0002 04 00aa 00bb"), unit)
    assert reply == bytes.fromhex("17 06 0003 00aa 00bb")


def test_the_greatest_quantities_of_the_standard_are_served() -> None:
    assert len(reply_to(read_pdu(3, 0, 125))) == 2 + 250
    assert reply_to(struct.pack(">BHHB123H", 16, 0, 123, 246, *range(123))) == bytes.fromhex("10 0000 007b")
    exchange = struct.pack(">BHHHHB121H", 23, 0, 125, 0, 121, 242, *range(121))
    assert len(reply_to(exchange)) == 2 + 250


@pytest.mark.parametrize(
    ("request_hex", "reply_hex"),
    [
        ("01 0000 0001", "81 01"),  # coils: not there
        ("2b 0e 01 00", "ab 01"),
        ("63", "e3 01"),
        ("03 0000 0000", "83 03"),
        ("03 0000 007e", "83 03"),
        ("03 0000", "83 03"),
        ("03 0000 0001 00", "83 03"),
        ("04 ffff 0002", "84 02"),
        ("03 00c7 0002", "83 02"),  # the unit itself ends at 199
        ("06 00c8 0001", "86 02"),
        ("06 0000 029a", "86 03"),  # the unit refuses 666
        ("06 0000", "86 03"),
        ("10 0000 0000 00", "90 03"),
        ("10 0000 0001 04 0001", "90 03"),
        ("10 0000 0002 04 0001", "90 03"),
        ("10 ffff 0002 04 0001 0002", "90 02"),
        ("10", "90 03"),
        ("16 0000 0000", "96 03"),
        ("16 00c8 0000 0000", "96 02"),
        ("17 0000 0000 0000 0001 02 0001", "97 03"),
        ("17 0000 0001 0000 0002 02 0001", "97 03"),
        ("17 ffff 0002 0000 0001 02 0001", "97 02"),
        ("17 0000", "97 03"),
    ],
)
def test_a_request_that_cannot_be_served_gets_the_exact_exception(request_hex: str, reply_hex: str) -> None:
    assert reply_to(bytes.fromhex(request_hex)) == bytes.fromhex(reply_hex)


def test_a_refused_read_write_has_written_nothing() -> None:
    unit = PlainUnit()
    assert reply_to(bytes.fromhex("17 0000 0000 0004 0001 02 00aa"), unit) == bytes.fromhex("97 03")
    assert unit.holding[4] == 4


@given(st.binary(min_size=1, max_size=253))
def test_any_request_at_all_gets_a_reply_that_fits_a_frame(request: bytes) -> None:
    reply = reply_to(request)
    assert len(reply) <= 253
    assert reply[0] == request[0] or (reply[0] == request[0] | 0x80 and reply[1] in (1, 2, 3))


async def test_requests_sent_in_one_segment_are_answered_in_order() -> None:
    async with serving(PlainUnit()) as (_, port), client(port) as (reader, writer):
        writer.write(
            b"".join(frame(transaction, 1, read_pdu(3, transaction, 1)) for transaction in range(100))
        )
        for transaction in range(100):
            assert await read_frame(reader) == (transaction, 1, words_pdu(3, [transaction]))


async def test_a_request_that_comes_byte_by_byte_is_one_request() -> None:
    async with serving(PlainUnit()) as (_, port), client(port) as (reader, writer):
        for byte in frame(9, 1, read_pdu(3, 8, 2)):
            writer.write(bytes((byte,)))
            await asyncio.sleep(0)
        assert await read_frame(reader) == (9, 1, words_pdu(3, [8, 9]))


async def test_a_slow_unit_holds_up_its_own_connection_only() -> None:
    slow, quick = PlainUnit(), PlainUnit()
    slow.go_on.clear()
    server = ModbusTcpServer({1: slow, 2: quick})
    port = await server.start("127.0.0.1", 0)
    async with client(port) as first, client(port) as second:
        waiting = asyncio.create_task(ask(first, read_pdu(3, 5, 1)))
        assert await ask(second, read_pdu(3, 6, 1), unit=2) == words_pdu(3, [6])
        assert not waiting.done()
        slow.go_on.set()
        assert await waiting == words_pdu(3, [5])
    await server.stop()


async def test_a_missing_unit_is_reported_as_a_gateway_does() -> None:
    async with serving(PlainUnit()) as (_, port), client(port) as stream:
        assert await ask(stream, read_pdu(3, 0, 1), unit=9) == bytes((0x83, 0x0B))


async def test_a_missing_unit_may_be_silent_like_a_serial_bus_and_the_next_request_is_served() -> None:
    async with serving(PlainUnit(), missing_unit="silent") as (_, port), client(port) as stream:
        stream[1].write(frame(1, 9, read_pdu(3, 0, 1)))
        assert await ask(stream, read_pdu(3, 5, 1), transaction=2) == words_pdu(3, [5])


@pytest.mark.parametrize(
    "garbage",
    [
        frame(1, 1, read_pdu(3, 0, 1), protocol=1),
        frame(1, 1, b"", length=0),
        frame(1, 1, b"", length=1),
        frame(1, 1, b"", length=255),
        frame(1, 1, b"", length=65535),
        b"GET / HTTP/1.1\r\nHost: inverter\r\n\r\n",
    ],
)
async def test_a_client_that_does_not_speak_modbus_is_hung_up_on(garbage: bytes) -> None:
    async with serving(PlainUnit()) as (_, port), client(port) as stream:
        stream[1].write(garbage)
        assert await hung_up(stream)


async def test_requests_are_not_hoarded_while_the_unit_is_busy() -> None:
    unit = PlainUnit()
    unit.go_on.clear()
    async with serving(unit) as (_, port), client(port) as (_, writer):
        writer.write(frame(1, 1, read_pdu(3, 0, 1)) * 3_000_000)
        await unit.called(1)
        for _ in range(1000):
            await asyncio.sleep(0)
        # 36 MB were sent; what has left the client can only be in the kernel's few buffers.
        assert writer.transport.get_write_buffer_size() > 18_000_000
        writer.transport.abort()


async def test_a_client_that_sends_more_than_it_is_answered_does_not_keep_the_others_waiting() -> None:
    async with serving(PlainUnit()) as (_, port), client(port) as greedy, client(port) as modest:
        await ask(modest, read_pdu(3, 10, 2))
        heard, first = 0, asyncio.Event()

        async def hear() -> None:
            nonlocal heard
            while True:
                await read_frame(greedy[0])
                heard += 1
                first.set()

        listening = asyncio.create_task(hear())
        greedy[1].write(frame(7, 1, read_pdu(3, 10, 2)) * 2000)
        await first.wait()
        assert await ask(modest, read_pdu(3, 10, 2)) == words_pdu(3, [10, 11])
        assert heard < 200, "of 2000"
        listening.cancel()


async def test_clients_beyond_the_limit_are_hung_up_on_until_one_leaves() -> None:
    async with serving(PlainUnit(), max_clients=2) as (_, port):
        async with client(port) as first:
            assert await ask(first, read_pdu(3, 1, 1)) == words_pdu(3, [1])
            async with client(port) as second, client(port) as third:
                assert await ask(second, read_pdu(3, 2, 1)) == words_pdu(3, [2])
                assert await hung_up(third)
        while True:  # until the server has noticed that they left
            async with client(port) as fourth:
                try:
                    assert await ask(fourth, read_pdu(3, 4, 1)) == words_pdu(3, [4])
                except (asyncio.IncompleteReadError, ConnectionError):
                    continue
                break


async def test_a_unit_is_told_who_asks() -> None:
    unit = PlainUnit()
    async with serving(unit) as (_, port), client(port) as first, client(port) as second:
        expected = set()
        for stream in (first, second):
            await ask(stream, read_pdu(3, 1, 1))
            expected.add("127.0.0.1:{}".format(stream[1].get_extra_info("sockname")[1]))
        assert unit.peers == expected


async def test_stopping_hangs_up_on_idle_busy_and_deaf_clients_and_can_be_undone() -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    unit = PlainUnit()
    async with (
        serving(unit) as (server, port),
        client(port) as idle,
        client(port) as busy,
        client(port) as deaf,
    ):
        await ask(idle, read_pdu(3, 1, 1))
        assert isinstance(deaf[1].transport, asyncio.Transport)
        deaf[1].transport.pause_reading()
        deaf[1].write(frame(1, 1, read_pdu(3, 0, 125)) * 200_000)
        await unit.called(1000)
        unit.go_on.clear()
        busy[1].write(frame(1, 1, read_pdu(3, 1, 1)))
        await unit.called(unit.calls + 1)
        await server.stop()
        await server.stop()
        assert await hung_up(idle)
        assert await hung_up(busy)
        unit.go_on.set()
        assert await server.start("127.0.0.1", port) == port
        async with client(port) as again:
            assert await ask(again, read_pdu(3, 3, 1)) == words_pdu(3, [3])
        deaf[1].transport.abort()
    assert complaints == []


async def test_a_client_that_arrives_while_stopping_leaves_nothing_behind() -> None:
    for _ in range(20):
        async with serving(PlainUnit()) as (_, port):
            opening = [asyncio.create_task(asyncio.open_connection("127.0.0.1", port)) for _ in range(5)]
            await asyncio.wait(opening, return_when=asyncio.FIRST_COMPLETED)
        for opened in await asyncio.gather(*opening, return_exceptions=True):
            if not isinstance(opened, BaseException):
                opened[1].transport.abort()
    await asyncio.sleep(0)


async def test_a_port_in_use_is_an_os_error() -> None:
    async with serving(PlainUnit()) as (_, port):
        with pytest.raises(OSError, match="in use"):
            await ModbusTcpServer({}).start("127.0.0.1", port)
