"""One TCP connection of a link: it sends a request and decides what counts as the answer.

pymodbus opens the connection, encodes the requests and numbers them; what it hears is judged here,
because version 3.16.1 takes a reply with transaction id 0, with another function code or with any
number of registers for the answer to its request, waits for the whole timeout when the peer has hung
up, loses its place in the stream after garbage, and begins to count transactions anew on each
connection, where a gateway may still hold late replies. `Connection` therefore overrides how bytes are
cut into frames and what a lost connection and a failed connect mean. Its base class is the transaction
manager that all pymodbus clients wrap.

A reply counts only if transaction, unit, function, length and, for writes, the echo are those of the
one request that is waiting.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from pymodbus.exceptions import ModbusIOException
from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.transaction import TransactionManager
from pymodbus.transport import CommParams, CommType

from drivers.wire import LONGEST_LENGTH, MBAP, SHORTEST_LENGTH

# What pymodbus has to say reaches the operator as a DeviceError, in words made for him.
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL + 1)

CONNECT_TIMEOUT_S = 1.0
TIMEOUTS_TO_RECONNECT = 2
WRONG_REPLIES_TO_RECONNECT, WRONG_REPLIES_WINDOW_S = 3, 10.0

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


class Refused(Unanswered):
    """The device answered with a Modbus exception."""

    def __init__(self, code: int) -> None:
        super().__init__(f"{_EXCEPTIONS.get(code, 'unknown reason')} (exception {code})")
        self.code = code


@dataclass(frozen=True, slots=True)
class Address:
    """Where a TCP device listens."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Question:
    """A request, and what its only possible answer looks like: how that PDU begins, and how long it is."""

    request: ModbusPDU
    reply_head: bytes
    reply_bytes: int
    words: int = 0
    """How many registers follow the two bytes of head in the reply to a read."""

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


class Connection(TransactionManager):
    """From connecting until it is lost; the next connection is a new object and counts on from this one.

    `on_lost(why, answered)` is called once, at once, when an established connection is lost or dropped;
    `answered` tells whether the device ever gave a right answer on it. `gone` is done when the socket
    is closed too.
    """

    def __init__(
        self, address: Address, first_transaction: int, on_lost: Callable[[str, bool], None]
    ) -> None:
        params = CommParams(comm_type=CommType.TCP, host=address.host, port=address.port, reconnect_delay=0)
        super().__init__(params, FramerSocket(DecodePDU(False)), 0, False, None, None, None)
        self.gone: asyncio.Future[None] = self.loop.create_future()
        self.discarded = 0
        self._first_transaction = first_transaction
        self._on_lost = on_lost
        self._why_lost = ""
        self._answered = False
        self._heard = bytearray()
        self._question: Question | None = None
        self._timeouts = 0
        self._wrong_at_s: deque[float] = deque(maxlen=WRONG_REPLIES_TO_RECONNECT)
        self._last_wrong = ""

    @property
    def lost(self) -> bool:
        """Whether it can no longer be used; the socket may still be closing."""
        return self._why_lost != ""

    async def connect(self) -> bool:
        """As the base class does it, except that a failure comes out as OSError."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                self.transport, _ = await self.call_create()
        except OSError as error:
            self._why_lost = reason(error)
            raise
        return True

    async def ask(self, question: Question, timeout_s: float) -> tuple[int, ...]:
        """The registers of the answer, none for a write; Unanswered if it did not come.

        Not to be cancelled, and not to be called while another request waits.
        """
        if self._why_lost:
            raise Unanswered(self._why_lost)
        self._question, self._last_wrong = question, ""
        self.comm_params.timeout_connect = timeout_s  # what the base class waits for a reply
        try:
            reply = await self.execute(False, question.request)
            return tuple(reply.registers)
        except ModbusIOException:
            raise Unanswered(self._timed_out(timeout_s)) from None
        finally:
            self._question = None

    def _timed_out(self, timeout_s: float) -> str:
        self._timeouts += 1
        if self._heard:
            self.drop("the device stopped in the middle of a reply")
        elif self._timeouts >= TIMEOUTS_TO_RECONNECT:
            self.drop(f"{self._timeouts} requests in a row were not answered")
        besides = f", but {self._last_wrong}" if self._last_wrong else ""
        return f"no answer within {timeout_s:.2g} s{besides}"

    def drop(self, why: str) -> None:
        """Hang up without waiting for anything; a request in flight fails now."""
        self._lose(why)
        if self.transport:
            self.transport.abort()  # type: ignore[attr-defined]  # the base class calls it a BaseTransport

    def callback_connected(self) -> None:
        """Called by the base class."""
        super().callback_connected()
        self.next_tid = self._first_transaction

    def callback_disconnected(self, exc: Exception | None) -> None:
        """Called by the base class."""
        self._lose(f"the connection was lost: {reason(exc)}")
        if not self.gone.done():
            self.gone.set_result(None)

    def _lose(self, why: str) -> None:
        if self._why_lost:
            return
        self._why_lost = why
        self._fail(Unanswered(why))
        self._on_lost(why, self._answered)

    def data_received(self, data: bytes) -> None:
        """Cut the stream into frames by the MBAP header alone; at most 259 bytes are left waiting."""
        heard = self._heard
        heard += data
        while len(heard) >= MBAP.size and not self._why_lost:
            transaction, protocol, length, unit = MBAP.unpack_from(heard)
            if protocol != 0 or not SHORTEST_LENGTH <= length <= LONGEST_LENGTH:
                self.drop(f"the device does not speak Modbus: it sent {heard[:8].hex(' ')}")
                return
            end = MBAP.size - 1 + length
            if len(heard) < end:
                return
            reply = bytes(heard[MBAP.size : end])
            del heard[:end]
            self._judge(transaction, unit, reply)

    def _judge(self, transaction: int, unit: int, reply: bytes) -> None:
        question = self._question
        if question is None or self.response_future.done():
            self._discard(f"a reply to transaction {transaction} came when none was awaited")
        elif transaction != self.request_transaction_id:
            self._discard(f"a reply to transaction {transaction} instead of {self.request_transaction_id}")
        elif (fault := question.fault_in(unit, reply)) is None:
            self._answered, self._timeouts = True, 0
            words = struct.unpack_from(f">{question.words}H", reply, 2)
            self.response_future.set_result(ModbusPDU(unit, transaction, registers=words))
        elif isinstance(fault, Refused):
            self._answered, self._timeouts = True, 0
            self._fail(fault)
        else:
            self._fail(fault)
            self._discard(str(fault))

    def _discard(self, what: str) -> None:
        self.discarded += 1
        self._last_wrong = what
        now_s = self.loop.time()
        self._wrong_at_s.append(now_s)
        full = len(self._wrong_at_s) == WRONG_REPLIES_TO_RECONNECT
        if full and now_s - self._wrong_at_s[0] <= WRONG_REPLIES_WINDOW_S:
            self.drop(f"{WRONG_REPLIES_TO_RECONNECT} wrong replies, the last one: {what}")

    def _fail(self, failure: Unanswered) -> None:
        if self._question is not None and not self.response_future.done():
            self.response_future.set_exception(failure)


def reason(error: Exception | None) -> str:
    """What went wrong with a connection, as an operator would say it."""
    if error is None:
        return "closed by the device"
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, socket.gaierror):
        return "unknown host name"
    # asyncio buries the reason in its own words, one for each address of the host.
    number = re.search(r"\[Errno (\d+)\]", str(error))
    return os.strerror(int(number[1])).lower() if number else str(error)
