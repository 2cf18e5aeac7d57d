"""What hostile links have in common in tests: poisoned answers, and requests that must get the truth."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable
from dataclasses import dataclass

from drivers.device import DeviceError
from drivers.link import Link
from drivers.wire import Space
from tests.unit.raw_modbus import now_s, right_reply, right_words, words_pdu

POISON = 0xDEAD
TIMEOUT_S = 0.3
RECOVERED_AFTER_S = 8.0  # the longest pause between two connects is 6 s


def rounds(quick: int, soak: int) -> int:
    """How many injections: few in `make test`, many in `make soak`."""
    return soak if os.environ.get("HYPOTHESIS_PROFILE") == "soak" else quick


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
        return right_reply(self.pdu)

    def poisoned(self, count: int | None = None) -> bytes:
        """A reply PDU of the right form with the wrong content."""
        if self.pdu[0] in (3, 4):
            return words_pdu(self.pdu[0], [POISON] * (self.count if count is None else count))
        return self.pdu[:1] + bytes(byte ^ self.chance.randint(1, 255) for byte in self.pdu[1:5])

    def of_wrong_function(self) -> bytes:
        function = (self.pdu[0] + self.chance.randint(1, 127)) % 128
        return bytes((function,)) + self.poisoned()[1:]

    def of_wrong_count(self) -> bytes:
        count = self.chance.choice([count for count in range(126) if count != self.count])
        return words_pdu(3, [POISON] * count) if self.pdu[0] == 3 else self.poisoned() + b"\0"

    def of_wrong_byte_count(self) -> bytes:
        pdu = bytearray(self.poisoned())
        pdu[1] ^= self.chance.randint(1, 255)
        return bytes(pdu)

    def exception_for_another(self) -> bytes:
        return bytes(((self.pdu[0] ^ self.chance.randint(1, 127)) | 0x80, 2, 0))

    def other_unit(self) -> int:
        return (self.unit + self.chance.randint(1, 255)) % 256


@dataclass(frozen=True, slots=True)
class Form:
    """What a late reply must share with a question to be taken for its answer."""

    kind: int
    count: int


def any_form(chance: random.Random) -> Form:
    return Form(chance.randrange(4), chance.randint(1, 125))


async def one_request(link: Link, chance: random.Random, form: Form) -> bool:
    """Ask for any address; True if it succeeded, and then it was the truth. Never later than the deadline."""
    address, count, kind = chance.randrange(60_000), form.count, form.kind
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


async def recovery(link: Link, chance: random.Random, form: Form, connected: Callable[[], int]) -> None:
    """Until an honest device is read again."""
    fell_at_s = now_s()
    while not await one_request(link, chance, form):
        assert now_s() - fell_at_s <= RECOVERED_AFTER_S, f"not back, connected {connected()} times"
        await asyncio.sleep(0.1)
