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
from dataclasses import dataclass

import pytest

from drivers.device import DeviceError
from drivers.link import Link, LinkTiming
from drivers.wire import Space
from tests.unit.raw_modbus import (
    RawDevice,
    frame,
    honest,
    in_virtual_time,
    linked,
    now_s,
    right_reply,
    right_words,
    words_pdu,
)

ROUNDS = 2000
POISON = 0xDEAD
TIMEOUT_S = 0.3
RECOVERED_AFTER_S = 8.0  # the longest pause between two connects is 6 s


@dataclass(frozen=True, slots=True)
class Request:
    """What the device was asked, and chance."""

    transaction: int
    unit: int
    pdu: bytes
    chance: random.Random

    @property
    def count(self) -> int:
        return int.from_bytes(self.pdu[3:5], "big") if self.pdu[0] in (3, 4) else 1

    @property
    def right(self) -> bytes:
        return frame(self.transaction, self.unit, right_reply(self.pdu))

    def poisoned(self, count: int | None = None) -> bytes:
        """A reply PDU of the right form with the wrong content."""
        if self.pdu[0] in (3, 4):
            return words_pdu(self.pdu[0], [POISON] * (self.count if count is None else count))
        return self.pdu[:1] + bytes(byte ^ self.chance.randint(1, 255) for byte in self.pdu[1:5])


def wrong_transaction(request: Request) -> bytes:
    other = request.chance.choice(
        [0, request.transaction - 1, request.transaction + 1, request.chance.getrandbits(16)]
    )
    other += other == request.transaction
    poison = frame(other & 0xFFFF, request.unit, request.poisoned())
    return poison + request.right * request.chance.randint(0, 1)


def wrong_unit(request: Request) -> bytes:
    unit = (request.unit + request.chance.randint(1, 255)) % 256
    return frame(request.transaction, unit, request.poisoned())


def wrong_function(request: Request) -> bytes:
    function = (request.pdu[0] + request.chance.randint(1, 127)) % 128
    return frame(request.transaction, request.unit, bytes((function,)) + request.poisoned()[1:])


def wrong_count(request: Request) -> bytes:
    count = request.chance.choice([count for count in range(126) if count != request.count])
    pdu = words_pdu(3, [POISON] * count) if request.pdu[0] == 3 else request.poisoned() + b"\0"
    return frame(request.transaction, request.unit, pdu)


def wrong_byte_count(request: Request) -> bytes:
    pdu = bytearray(request.poisoned())
    pdu[1] ^= request.chance.randint(1, 255)
    return frame(request.transaction, request.unit, bytes(pdu))


def exception_for_another(request: Request) -> bytes:
    pdu = bytes(((request.pdu[0] ^ request.chance.randint(1, 127)) | 0x80, 2, 0))
    return frame(request.transaction, request.unit, pdu)


def duplicate(request: Request) -> bytes:
    return request.right + frame(request.transaction, request.unit, request.poisoned())


def prophecy(request: Request) -> bytes:
    """The right answer, and answers to questions not asked yet."""
    ahead = range(request.transaction + 1, request.transaction + 1 + request.chance.randint(1, 5))
    return request.right + b"".join(frame(later, request.unit, request.poisoned()) for later in ahead)


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
    inner = frame(request.transaction + 1, request.unit, request.poisoned())
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


async def one_request(link: Link, chance: random.Random) -> bool:
    """Ask for anything; True if it succeeded, and then it was the truth. Never later than the deadline."""
    address, count, kind = chance.randrange(60_000), chance.randint(1, 125), chance.randrange(4)
    deadline_s = now_s() + TIMEOUT_S
    try:
        if kind == 0:
            await link.write(1, address, [chance.getrandbits(16)], deadline_s, single=chance.random() < 0.5)
        else:
            space: Space = "holding" if kind > 1 else "input"
            words = (await link.read(1, space, address, count, deadline_s)).words
            assert list(words) == right_words(address, count), "a foreign reply was taken for the answer"
    except DeviceError:
        return False
    finally:
        assert now_s() <= deadline_s + 1e-6
    return True


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
            if await one_request(link, chance):
                succeeded += 1
                assert hostile.saying in TRUTHFUL, f"{hostile.saying.__name__} was taken for the answer"
            device.handle = honest
            await recovery(link, device, chance)
            for task in hostile.speaking:
                task.cancel()
    assert complaints == []
    return ROUNDS, succeeded, tried


async def recovery(link: Link, device: RawDevice, chance: random.Random) -> None:
    fell_at_s = now_s()
    while not await one_request(link, chance):
        assert now_s() - fell_at_s <= RECOVERED_AFTER_S, (
            f"not back, connected {len(device.connected_at_s)} times"
        )
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("seed", range(5))
def test_no_wrong_reply_is_ever_accepted_and_the_link_recovers_from_each(seed: int) -> None:
    async def scenario() -> None:
        rounds, succeeded, tried = await storm(seed)
        print(f"seed {seed}: {rounds} injections of {len(tried)} kinds, {succeeded} true answers, 0 accepted")
        assert 0 < succeeded < rounds / 2

    in_virtual_time(scenario(), quiesce_s=0.0)  # a byte that comes late is one more injection
