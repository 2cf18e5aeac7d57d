"""Serial frames carry no transaction number, and still no wrong reply is ever taken for the answer.

As in test_link_hostile.py: each round, a device that has been honest does one wrong thing, and whatever it
should not say is made of poisoned words. It may be late up to what the hold-off of the link allows on a
serial line, and as late as it likes behind a TCP gateway. One thing is left out, as no master can tell: a
second, different reply to a question that begins only while the next question waits.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from drivers import rtu
from drivers.link import LinkTiming, open_link
from tests.unit.raw_modbus import RawDevice, in_virtual_time, right_reply
from tests.unit.raw_rtu import RawLine, rtu_link
from tests.unit.storm import TIMEOUT_S, Request, any_form, one_request, recovery, rounds

HOLD_OFF_S = 0.3
TIMING = LinkTiming(timeout_s=TIMEOUT_S, hold_off_s=HOLD_OFF_S)
LATENCY_S = 0.1  # of an honest device: long enough for the reply to an earlier question to come first
SERIAL_ROUNDS = rounds(1000, 100_000)
GATEWAY_ROUNDS = rounds(500, 50_000)


def right(request: Request) -> bytes:
    return rtu.framed(request.unit, request.right)


def wrong_unit(request: Request) -> bytes:
    return rtu.framed(request.other_unit(), request.poisoned())


def another_unit_first(request: Request) -> bytes:
    return wrong_unit(request) + right(request)


def wrong_function(request: Request) -> bytes:
    return rtu.framed(request.unit, request.of_wrong_function())


def wrong_count(request: Request) -> bytes:
    return rtu.framed(request.unit, request.of_wrong_count())


def wrong_byte_count(request: Request) -> bytes:
    return rtu.framed(request.unit, request.of_wrong_byte_count())


def exception_for_another(request: Request) -> bytes:
    return rtu.framed(request.unit, request.exception_for_another()[:2])


def flipped_bits(request: Request) -> bytes:
    """One to three of them, which the checksum is certain to find."""
    frame = bytearray(rtu.framed(request.unit, request.poisoned()))
    for bit in request.chance.sample(range(8 * len(frame)), request.chance.randint(1, 3)):
        frame[bit // 8] ^= 1 << bit % 8
    return bytes(frame)


def duplicate(request: Request) -> bytes:
    return right(request) + rtu.framed(request.unit, request.poisoned())


def glitch_first(request: Request) -> bytes:
    return request.chance.choice([b"\0", b"\xff", b"\0\0\xff"]) + right(request)


def echo(request: Request) -> bytes:
    return rtu.framed(request.unit, request.pdu) + right(request)


def echo_alone(request: Request) -> bytes:
    """Not of a write of a single register: its echo is its confirmation."""
    if request.pdu[0] == 6:
        return b""
    return rtu.framed(request.unit, request.pdu)


def foreign_request(request: Request) -> bytes:
    pdu = bytes((request.pdu[0],)) + request.chance.randbytes(4)
    return rtu.framed(request.other_unit(), pdu)


def truncated(request: Request) -> bytes:
    whole = rtu.framed(request.unit, request.poisoned())
    return whole[: request.chance.randrange(len(whole))]


def garbage(request: Request) -> bytes:
    return request.chance.randbytes(request.chance.randint(1, 600))


def frame_in_a_frame(request: Request) -> bytes:
    inner = rtu.framed(request.unit, request.poisoned())
    return bytes((request.unit, 3, 250)) + inner * 9


SAYINGS: list[Callable[[Request], bytes]] = [
    wrong_unit,
    another_unit_first,
    wrong_function,
    wrong_count,
    wrong_byte_count,
    exception_for_another,
    flipped_bits,
    duplicate,
    glitch_first,
    echo,
    echo_alone,
    foreign_request,
    truncated,
    garbage,
    frame_in_a_frame,
]
TRUTHFUL = (another_unit_first, duplicate, glitch_first, echo)  # these give the right answer as well
MANNERS = ["at once", "at once", "at once", "in two parts", "late", "dripping"]
LEAVING = ["then reset", "then close"]


class Hostile:
    """What the device does wrong in one round."""

    def __init__(self, seed: int, manners: list[str], latest_s: float) -> None:
        self.chance = random.Random(seed)
        self.saying = self.chance.choice(SAYINGS)
        self.manner = self.chance.choice(manners)
        if self.saying is duplicate and self.manner in ("in two parts", "dripping"):
            self.manner = "at once"  # see above
        self._latest_s = latest_s
        self.speaking: list[asyncio.Task[None]] = []

    def begin(self, unit: int, pdu: bytes, say: Callable[[bytes], None]) -> None:
        said = self.saying(Request(0, unit, pdu, self.chance))
        self.speaking.append(asyncio.create_task(self._say(said, say)))

    async def _say(self, said: bytes, say: Callable[[bytes], None]) -> None:
        if self.manner == "in two parts":
            cut = self.chance.randint(0, len(said))
            say(said[:cut])
            await asyncio.sleep(self.chance.choice([0.0, TIMEOUT_S / 2, 1.01 * TIMEOUT_S]))
            said = said[cut:]
        elif self.manner == "late":
            await asyncio.sleep(self.chance.uniform(1.01 * TIMEOUT_S, self._latest_s))
        elif self.manner == "dripping":
            for byte in said[:300]:
                say(bytes((byte,)))
                await asyncio.sleep(0.01)
            return
        say(said)


async def honest(line: RawLine, unit: int, pdu: bytes) -> None:
    await asyncio.sleep(LATENCY_S)
    line.say(rtu.framed(unit, right_reply(pdu)))


async def serial_storm(seed: int) -> int:
    """How many requests succeeded all the same."""
    chance, succeeded = random.Random(seed), 0
    with rtu_link(timing=TIMING) as (link, line):
        for _ in range(SERIAL_ROUNDS):
            hostile = Hostile(chance.getrandbits(32), MANNERS, TIMEOUT_S + HOLD_OFF_S)

            async def lie(line: RawLine, unit: int, pdu: bytes, hostile: Hostile = hostile) -> None:
                hostile.begin(unit, pdu, line.say)

            line.handle = lie
            form = any_form(chance)
            if await one_request(link, chance, form):
                succeeded += 1
                assert hostile.saying in TRUTHFUL, f"{hostile.saying.__name__} was taken for the answer"
            line.handle = honest
            await recovery(link, chance, form, lambda: line.opened)
            for task in hostile.speaking:
                task.cancel()
        await link.close()
    return succeeded


class Gateway(RawDevice):
    """Serial frames over TCP; the requests are well-formed, so each one that is whole is handled."""

    def __init__(self, do: Callable[[asyncio.StreamWriter, int, bytes], Awaitable[None]]) -> None:
        super().__init__(self._unused)
        self.do = do

    async def _unused(self, writer: asyncio.StreamWriter, transaction: int, unit: int, pdu: bytes) -> None:
        raise AssertionError("there is no such header among serial frames")

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard = bytearray()
        while chunk := await reader.read(1000):
            heard += chunk
            while (length := rtu.request_bytes(heard)) and len(heard) >= length:
                frame = bytes(heard[:length])
                del heard[:length]
                await self.do(writer, frame[0], frame[1:-2])


async def honest_gateway(writer: asyncio.StreamWriter, unit: int, pdu: bytes) -> None:
    await asyncio.sleep(LATENCY_S)
    writer.write(rtu.framed(unit, right_reply(pdu)))


async def gateway_storm(seed: int) -> int:
    """As `serial_storm`, with replies that may come at any time, and hang-ups."""
    chance, succeeded = random.Random(seed), 0
    async with Gateway(honest_gateway) as device:
        link = open_link(f"rtu+tcp://127.0.0.1:{device.port}", TIMING)
        for _ in range(GATEWAY_ROUNDS):
            hostile = Hostile(chance.getrandbits(32), MANNERS + LEAVING, 5.0)

            async def lie(
                writer: asyncio.StreamWriter, unit: int, pdu: bytes, hostile: Hostile = hostile
            ) -> None:
                def say(data: bytes) -> None:
                    if not writer.is_closing():
                        writer.write(data)
                        if hostile.manner == "then reset":
                            writer.transport.abort()
                        elif hostile.manner == "then close":
                            writer.close()

                hostile.begin(unit, pdu, say)

            device.do = lie
            form = any_form(chance)
            if await one_request(link, chance, form):
                succeeded += 1
                assert hostile.saying in TRUTHFUL, f"{hostile.saying.__name__} was taken for the answer"
            device.do = honest_gateway
            await recovery(link, chance, form, lambda: len(device.connected_at_s))
            for task in hostile.speaking:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        await link.close()
    return succeeded


@pytest.mark.parametrize("seed", range(5))
def test_no_wrong_reply_on_a_serial_line_is_ever_accepted(seed: int) -> None:
    async def scenario() -> None:
        assert 0 < await serial_storm(seed) < SERIAL_ROUNDS / 2

    in_virtual_time(scenario(), quiesce_s=0.0)


@pytest.mark.parametrize("seed", range(4))
def test_no_wrong_reply_of_a_serial_gateway_is_ever_accepted(seed: int) -> None:
    async def scenario() -> None:
        assert 0 < await gateway_storm(seed) < GATEWAY_ROUNDS / 2

    in_virtual_time(scenario(), quiesce_s=0.0)  # a byte that comes late is one more injection
