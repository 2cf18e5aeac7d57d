"""Whatever comes down the wire, a link never takes it for the answer, and it always finds its way back.

Each round, a raw device that has been honest does one wrong thing (the list below is the list of link
faults that a device, a gateway or a bad network can do with bytes). Whatever it should not say is made of
poisoned words. The request of that round must give the true words or an error, before its deadline.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import Callable

import pytest

from drivers.link import LinkTiming
from tests.unit.raw_modbus import frame, honest, in_virtual_time, linked
from tests.unit.storm import TIMEOUT_S, Request, any_form, one_request, recovery, rounds

ROUNDS = rounds(2000, 60_000)


def right(request: Request) -> bytes:
    return frame(request.transaction, request.unit, request.right)


def wrong_transaction(request: Request) -> bytes:
    other = request.chance.choice(
        [0, request.transaction - 1, request.transaction + 1, request.chance.getrandbits(16)]
    )
    other += other == request.transaction
    poison = frame(other & 0xFFFF, request.unit, request.poisoned())
    return poison + right(request) * request.chance.randint(0, 1)


def wrong_unit(request: Request) -> bytes:
    return frame(request.transaction, request.other_unit(), request.poisoned())


def wrong_function(request: Request) -> bytes:
    return frame(request.transaction, request.unit, request.of_wrong_function())


def wrong_count(request: Request) -> bytes:
    return frame(request.transaction, request.unit, request.of_wrong_count())


def wrong_byte_count(request: Request) -> bytes:
    return frame(request.transaction, request.unit, request.of_wrong_byte_count())


def exception_for_another(request: Request) -> bytes:
    return frame(request.transaction, request.unit, request.exception_for_another())


def duplicate(request: Request) -> bytes:
    return right(request) + frame(request.transaction, request.unit, request.poisoned())


def prophecy(request: Request) -> bytes:
    """The right answer, and answers to questions not asked yet."""
    ahead = range(request.transaction + 1, request.transaction + 1 + request.chance.randint(1, 5))
    return right(request) + b"".join(
        frame(later & 0xFFFF, request.unit, request.poisoned()) for later in ahead
    )


def truncated(request: Request) -> bytes:
    whole = frame(request.transaction, request.unit, request.poisoned())
    return whole[: request.chance.randrange(len(whole))]


def garbage(request: Request) -> bytes:
    return request.chance.randbytes(request.chance.randint(1, 600))


def foreign_protocol(request: Request) -> bytes:
    protocol = request.chance.randint(1, 0xFFFF)
    return frame(request.transaction, request.unit, request.poisoned(), protocol=protocol)


def lying_length(request: Request) -> bytes:
    length = request.chance.choice([0, 1, 255, 65535])
    return frame(request.transaction, request.unit, request.poisoned(), length=length)


def frame_in_a_frame(request: Request) -> bytes:
    """The beginning of a long frame; what follows late looks like the answer to the next question."""
    inner = frame((request.transaction + 1) & 0xFFFF, request.unit, request.poisoned())
    return frame(request.transaction, request.unit, bytes((3, 250)) + inner * 9)[: 9 + 3 * len(inner)]


SAYINGS: list[Callable[[Request], bytes]] = [
    wrong_transaction,
    wrong_unit,
    wrong_function,
    wrong_count,
    wrong_byte_count,
    exception_for_another,
    duplicate,
    prophecy,
    truncated,
    garbage,
    foreign_protocol,
    lying_length,
    frame_in_a_frame,
]
TRUTHFUL = (wrong_transaction, duplicate, prophecy)  # these give the right answer as well
MANNERS = ["at once", "at once", "at once", "in two parts", "late", "dripping", "then reset", "then close"]


class Hostile:
    """What the device does wrong in one round; afterwards it is honest again, if it still has a line."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.saying = self.chance.choice(SAYINGS)
        self.manner = self.chance.choice(MANNERS)
        self.speaking: list[asyncio.Task[None]] = []

    async def handle(self, writer: asyncio.StreamWriter, transaction: int, unit: int, pdu: bytes) -> None:
        said = self.saying(Request(transaction, unit, pdu, self.chance))
        task = asyncio.create_task(self._say(writer, said))
        self.speaking.append(task)  # so that the next request is heard meanwhile

    async def _say(self, writer: asyncio.StreamWriter, said: bytes) -> None:
        if self.manner == "in two parts":
            cut = self.chance.randint(0, len(said))
            writer.write(said[:cut])
            await asyncio.sleep(self.chance.choice([0.0, TIMEOUT_S / 2, 1.01 * TIMEOUT_S]))
            said = said[cut:]
        elif self.manner == "late":
            await asyncio.sleep(1.01 * TIMEOUT_S)
        elif self.manner == "dripping":
            for byte in said[:10]:
                if not writer.is_closing():
                    writer.write(bytes((byte,)))
                await asyncio.sleep(0.1)
            return
        if writer.is_closing():
            return
        writer.write(said)
        if self.manner == "then reset":
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        elif self.manner == "then close":
            writer.close()


async def storm(seed: int) -> tuple[int, int, set[str]]:
    """Injections, of which so many requests succeeded all the same, and what was tried."""
    chance = random.Random(seed)
    succeeded, tried = 0, set()
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    async with linked(timing=LinkTiming(timeout_s=TIMEOUT_S)) as (link, device):
        for _ in range(ROUNDS):
            hostile = Hostile(chance.getrandbits(32))
            tried.add(f"{hostile.saying.__name__} {hostile.manner}")
            device.handle = hostile.handle
            form = any_form(chance)
            if await one_request(link, chance, form):
                succeeded += 1
                assert hostile.saying in TRUTHFUL, f"{hostile.saying.__name__} was taken for the answer"
            device.handle = honest
            await recovery(link, chance, form, lambda: len(device.connected_at_s))
            for task in hostile.speaking:
                task.cancel()
    assert complaints == []
    return ROUNDS, succeeded, tried


@pytest.mark.parametrize("seed", range(5))
def test_no_wrong_reply_is_ever_accepted_and_the_link_recovers_from_each(seed: int) -> None:
    async def scenario() -> None:
        rounds, succeeded, tried = await storm(seed)
        print(f"seed {seed}: {rounds} injections of {len(tried)} kinds, {succeeded} true answers, 0 accepted")
        assert 0 < succeeded < rounds / 2

    in_virtual_time(scenario(), quiesce_s=0.0)  # a byte that comes late is one more injection
