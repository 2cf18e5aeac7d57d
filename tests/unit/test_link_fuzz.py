"""Whatever bytes come, in whatever pieces, no parser of a link fails, hangs, hoards or believes them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest

from drivers import rtu
from drivers.address import Address, SerialAddress
from drivers.link.mbap import MbapConnection, no_wrong_replies, transaction_ids
from drivers.link.question import Question, Unanswered
from drivers.link.rtu import RtuConnection
from simulators.virtual_time import run
from tests.unit.raw_modbus import frame, now_s, right_words, words_pdu
from tests.unit.storm import rounds

EXAMPLES = rounds(20, 10_000)
STREAMS = 100  # a million streams in `make soak`, two thousand in `make test`
MOST_LEFT_WAITING = 2 * rtu.MAX_FRAME_BYTES

Line = MbapConnection | RtuConnection
Reply = Callable[[int, bytes], bytes]


class Deaf(asyncio.Transport):
    """Takes everything and gives nothing."""

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Lost."""

    def abort(self) -> None:
        """Nothing to close."""


def question(count: int) -> Question:
    request = ReadHoldingRegistersRequest(dev_id=1, address=10, count=count)
    return Question(request, bytes((3, 2 * count)), 2 + 2 * count, count)


def stream(chance: random.Random, reply: Reply, pieces: list[bytes], count: int) -> list[bytes]:
    """Pieces of noise and of well-formed but wrong replies, some of them damaged."""
    found = []
    for piece in pieces:
        kind = chance.randrange(4)
        data = piece
        if kind == 1:
            data = reply(chance.choice([0, 2, 247]), words_pdu(3, [0xDEAD] * count))
        elif kind == 2:
            data = reply(1, words_pdu(chance.choice([1, 4, 6, 16]), [0xDEAD] * count))
        elif kind == 3:
            whole = reply(1, words_pdu(3, [0xDEAD] * (count + 1)))
            data = whole[: chance.randrange(len(whole))]
        found.append(data)
    return found


async def one_stream(line: Line, said: list[bytes], count: int) -> None:
    asking = asyncio.ensure_future(line.ask(question(count), 0.5, now_s() + 1.0))
    await asyncio.sleep(0.05)  # a serial line is listened to first
    for data in said:
        line.data_received(data)
        assert len(line._heard) <= MOST_LEFT_WAITING
    await asyncio.wait([asking])
    assert isinstance(asking.exception(), Unanswered), "noise was taken for an answer"


async def streams(seed: int, pieces: list[bytes], over_rtu: bool) -> None:
    chance = random.Random(seed)

    def lost(why: str, answered: bool) -> None:
        """A new line follows in any case."""

    for _ in range(STREAMS):
        count = chance.randint(1, 125)
        line: Line
        if over_rtu:
            line = RtuConnection(SerialAddress("/dev/ttyTEST", 115200), 0.3, 0.0, False, lost)
            reply: Reply = rtu.framed
        else:
            line = MbapConnection(Address("127.0.0.1", 502), transaction_ids(), no_wrong_replies(), lost)
            transaction = chance.choice([0, 2, 65535])

            def reply(unit: int, pdu: bytes, transaction: int = transaction) -> bytes:
                return frame(1 if pdu[0] != 3 else transaction, unit, pdu)

        line.connection_made(Deaf())
        await one_stream(line, stream(chance, reply, chance.sample(pieces, len(pieces)), count), count)
    # The same parser is not deaf to the truth.
    line = RtuConnection(SerialAddress("/dev/ttyTEST", 115200), 0.3, 0.0, False, lost)
    line.connection_made(Deaf())
    asking = asyncio.ensure_future(line.ask(question(2), 0.5, now_s() + 1.0))
    await asyncio.sleep(0.05)
    line.data_received(rtu.framed(1, words_pdu(3, right_words(10, 2))))
    assert await asking == tuple(right_words(10, 2))


PIECES = st.lists(st.binary(max_size=300), max_size=6)


@settings(max_examples=EXAMPLES)
@given(st.integers(0, 2**32), PIECES)
def test_no_stream_of_bytes_upsets_a_connection_with_transaction_numbers(
    seed: int, pieces: list[bytes]
) -> None:
    run(streams(seed, pieces, over_rtu=False))


@settings(max_examples=EXAMPLES)
@given(st.integers(0, 2**32), PIECES)
def test_no_stream_of_bytes_upsets_a_serial_line(seed: int, pieces: list[bytes]) -> None:
    run(streams(seed, pieces, over_rtu=True))
