"""A request, what can count as its answer, and what may happen instead."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
from dataclasses import dataclass
from typing import Protocol

from pymodbus.pdu import ModbusPDU

from drivers.tls import what_failed

# MODBUS Application Protocol V1.1b3, section 7.
_EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "still working on it",
    6: "device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "the device behind the gateway does not answer",
}


class Unanswered(Exception):  # noqa: N818 (what happened, in the words of this file)
    """A request failed; the text says why, and lacks only whom and what it was for."""


class Silent(Unanswered):
    """Nothing came that could be used, until the time was over or the line broke off."""


class Refused(Unanswered):
    """The device answered with a Modbus exception."""

    def __init__(self, code: int) -> None:
        super().__init__(f"{_EXCEPTIONS.get(code, 'unknown reason')} (exception {code})")
        self.code = code


@dataclass(frozen=True, slots=True)
class Question:
    """A request, and what its only possible answer looks like: how that PDU begins, and how long it is."""

    request: ModbusPDU
    reply_head: bytes
    reply_bytes: int
    words: int = 0
    """How many registers follow the two bytes of head in the reply to a read."""

    @property
    def unit(self) -> int:
        return self.request.dev_id

    @property
    def pdu(self) -> bytes:
        """The request as it goes down the wire."""
        return bytes((self.request.function_code,)) + self.request.encode()

    def fault_in(self, unit: int, reply: bytes) -> Unanswered | None:
        """Why this cannot be the answer, or None if it is."""
        if unit != self.request.dev_id:
            return Unanswered(f"a reply of unit {unit} came instead")
        function = self.request.function_code
        if reply[0] == function | 0x80 and len(reply) == 2:
            return Refused(reply[1])
        if reply[0] != function:
            return Unanswered(f"the reply is to function {reply[0]} instead of {function}")
        if len(reply) != self.reply_bytes:
            return Unanswered(f"the reply has {len(reply)} bytes instead of {self.reply_bytes}")
        if not reply.startswith(self.reply_head):
            begun = reply[: len(self.reply_head)].hex(" ")
            return Unanswered(f"the reply begins {begun} instead of {self.reply_head.hex(' ')}")
        return None


Answer = asyncio.Future[tuple[int, ...]]
"""The registers that came, none for a write; Unanswered if nothing did."""


class Line(Protocol):
    """One connection of a link, from connecting until it is lost; the next one is a new object.

    Whoever makes it gives it `on_lost(why, answered)`, which is called once, at once, when an established
    connection is lost or dropped; `answered` tells whether a device ever gave a right answer on it.
    """

    gone: asyncio.Future[None]
    """Done when the socket or the serial line is closed too."""
    discarded: int
    """Late, foreign and malformed replies that were thrown away."""
    gap_s: float
    """Silence that must lie between a reply and the next request."""
    overloaded: bool
    """It was dropped because answers to other requests came, one after the other: the device is behind."""
    certificate_until_utc_s: float
    """When a certificate of the connection ends; inf without any."""
    hold_off_s: float
    """How long a unit that did not answer is let alone, so that its late answer is nobody's."""

    @property
    def lost(self) -> bool:
        """Whether it can no longer be used; it may still be closing."""
        ...

    async def connect(self) -> object:
        """OSError when it fails."""
        ...

    def ask(
        self, question: Question, patience_s: float, deadline_s: float
    ) -> asyncio.Future[tuple[int, ...]]:
        """The registers of the answer, none for a write; Unanswered if it did not come.

        `patience_s` is what the device may take to answer, `deadline_s` the event-loop time by which this is
        done. Not to be cancelled, and not to be called while another request waits.
        """
        ...

    def drop(self, why: str) -> None:
        """Hang up without waiting for anything; a request in flight fails now."""
        ...


def reason(error: Exception | None) -> str:
    """What went wrong with a connection, as an operator would say it."""
    if error is None:
        return "closed by the device"
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, socket.gaierror):
        return "unknown host name"
    if isinstance(error, ssl.SSLError):
        return what_failed(error)
    # asyncio buries the reason in its own words, one for each address of the host.
    number = re.search(r"\[Errno (\d+)\]", str(error))
    return os.strerror(int(number[1])).lower() if number else str(error)
