"""The answering half on a serial line: it answers its own units, and finds its place by silence."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from drivers import rtu
from drivers.wire import ModbusTcpServer, rtu_frames, serve
from simulators.serial_pair import pty_pair
from tests.certificates import Authority
from tests.unit.raw_modbus import PlainUnit, in_virtual_time, read_pdu, words_pdu

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
QUIET_S = 0.1


@asynccontextmanager
async def serving(unit: PlainUnit | None = None) -> AsyncIterator[Stream]:
    """A client of serial frames over TCP, which the server cannot tell from a line."""
    server = ModbusTcpServer({1: unit or PlainUnit(), 2: PlainUnit()}, converse=rtu_frames)
    port = await server.start("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        await server.stop()


async def reply(stream: Stream) -> tuple[int, bytes]:
    head = await stream[0].readexactly(3)
    length = rtu.reply_bytes(head)
    assert length, "the reply is to an unknown function"
    frame = head + await stream[0].readexactly(length - 3)
    assert rtu.is_whole(frame)
    return frame[0], frame[1:-2]


async def nothing_comes(stream: Stream) -> bool:
    try:
        async with asyncio.timeout(QUIET_S):
            return await stream[0].read(1) == b"never"
    except TimeoutError:
        return True


def test_units_on_one_line_answer_for_themselves_and_an_absent_one_is_silent() -> None:
    async def scenario() -> None:
        async with serving() as stream:
            for unit in (1, 2):
                stream[1].write(rtu.framed(unit, read_pdu(3, 5, 2)))
                assert await reply(stream) == (unit, words_pdu(3, [5, 6]))
            stream[1].write(rtu.framed(9, read_pdu(3, 5, 2)))
            assert await nothing_comes(stream)
            stream[1].write(rtu.framed(1, read_pdu(4, 5, 1)))
            assert await reply(stream) == (1, words_pdu(4, [1005]))

    in_virtual_time(scenario())


def test_what_is_written_to_everybody_is_carried_out_and_not_answered() -> None:
    async def scenario() -> None:
        unit = PlainUnit()
        async with serving(unit) as stream:
            stream[1].write(rtu.framed(0, struct.pack(">BHH", 6, 20, 4711)))
            stream[1].write(rtu.framed(0, read_pdu(3, 5, 2)))
            assert await nothing_comes(stream)
            assert unit.holding[20] == 4711

    in_virtual_time(scenario())


def test_writes_are_carried_out_and_refusals_come_with_their_exact_code() -> None:
    async def scenario() -> None:
        unit = PlainUnit()
        async with serving(unit) as stream:
            for request, expected in (
                ("06 0005 ffff", "06 0005 ffff"),
                ("10 0006 0002 04 1234 5678", "10 0006 0002"),
                ("16 0005 00f2 0025", "16 0005 00f2 0025"),
                ("17 0006 0002 0007 0001 02 0001", "17 04 1234 0001"),
                ("03 00c7 0002", "83 02"),
                ("06 0000 029a", "86 03"),
                ("01 0000 0001", "81 01"),
            ):
                stream[1].write(rtu.framed(1, bytes.fromhex(request)))
                assert await reply(stream) == (1, bytes.fromhex(expected))
        assert unit.holding[6:8] == [0x1234, 1]

    in_virtual_time(scenario())


def test_a_function_whose_length_nobody_knows_is_refused_after_the_silence_that_ends_it() -> None:
    async def scenario() -> None:
        async with serving() as stream:
            stream[1].write(rtu.framed(1, bytes.fromhex("2b 0e 01 00")))
            assert await reply(stream) == (1, bytes.fromhex("ab 01"))

    in_virtual_time(scenario())


@pytest.mark.parametrize(
    "noise", [b"\0", b"\xff" * 9, b"\x01\x03\x00", rtu.framed(1, read_pdu(3, 5, 2))[:-1], b"\x01\x10" * 400]
)
def test_noise_gets_no_answer_and_after_a_silence_the_next_request_is_served(noise: bytes) -> None:
    async def scenario() -> None:
        async with serving() as stream:
            stream[1].write(noise)
            assert await nothing_comes(stream)
            stream[1].write(rtu.framed(1, read_pdu(3, 5, 1)))
            assert await reply(stream) == (1, words_pdu(3, [5]))

    in_virtual_time(scenario())


def test_a_request_with_one_wrong_bit_is_not_carried_out() -> None:
    async def scenario() -> None:
        unit = PlainUnit()
        async with serving(unit) as stream:
            right = rtu.framed(1, bytes.fromhex("06 0005 0063"))
            for bit in range(8 * len(right)):
                wrong = bytearray(right)
                wrong[bit // 8] ^= 1 << bit % 8
                stream[1].write(wrong)
                assert await nothing_comes(stream)
        assert unit.holding == list(range(200))

    in_virtual_time(scenario())


def test_a_request_that_comes_byte_by_byte_is_one_request() -> None:
    async def scenario() -> None:
        async with serving() as stream:
            for byte in rtu.framed(1, read_pdu(3, 8, 2)):
                stream[1].write(bytes((byte,)))
                await asyncio.sleep(0.01)
            assert await reply(stream) == (1, words_pdu(3, [8, 9]))

    in_virtual_time(scenario())


async def test_one_function_serves_every_kind_of_connection(tmp_path: Path) -> None:
    options = Authority(tmp_path).sign("both-ends")
    with pty_pair() as (_, far):
        for connection in (
            f"rtu://{far}",
            "tcp://127.0.0.1:1",
            "rtu+tcp://127.0.0.1:1",
            f"tls://127.0.0.1:1?{options}",
        ):
            try:
                server = await serve(connection, {1: PlainUnit()})
            except PermissionError:
                continue  # port 1 is for root, who else ran this
            await server.stop()
    for connection, error in (
        (f"rtu://{tmp_path}/none", "no such serial device"),
        ("rtu:///dev/null", "not a serial device"),
        (f"tls://127.0.0.1:1?{options}".replace("both-ends.key", "none.key"), "key: .*none.key"),
    ):
        with pytest.raises(OSError, match=error):
            await serve(connection, {1: PlainUnit()})
