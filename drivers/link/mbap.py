"""One TCP or TLS connection of a link: it sends a request and decides what counts as the answer.

pymodbus opens the connection and encodes the requests; how they are numbered, what is heard and how long is
waited is decided here, because version 3.16.1 takes a reply with transaction id 0, with another function
code or with any number of registers for the answer to its request, waits for the whole timeout when the peer
has hung up, loses its place in the stream after garbage, and begins to count transactions anew on each
connection, where a gateway may still hold late replies. It also takes more turns of the event loop for each
request than are needed. `MbapConnection` therefore overrides what happens to the bytes that come, and what a
lost connection and a failed connect mean. Its base class is the transaction manager that all pymodbus
clients wrap. Inside TLS the frames are the same, so the TLS framer of pymodbus, which knows no length, is
not used.

A reply counts only if transaction, unit, function, length and, for writes, the echo are those of the
one request that is waiting.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections import deque
from collections.abc import Callable, Iterator
from math import inf

from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU
from pymodbus.transaction import TransactionManager
from pymodbus.transport import CommParams, CommType

from drivers.address import Address, TlsAddress
from drivers.link.question import Answer, Question, Refused, Silent, Unanswered, reason
from drivers.tls import client_context, until_utc_s
from drivers.wire import LONGEST_LENGTH, MBAP, SHORTEST_LENGTH

# What pymodbus has to say reaches the operator as a DeviceError, in words made for him.
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL + 1)

CONNECT_TIMEOUT_S = 1.0
HANDSHAKE_TIMEOUT_S = 5.0  # small devices compute that long
WRONG_REPLIES_TO_RECONNECT, WRONG_REPLIES_WINDOW_S = 3, 10.0
LATE_REPLIES_EXPECTED = 32
LARGEST_READ_BYTES = 4096  # at once; a frame has 260 at most
TRANSACTION_STRIDE = 40_503  # odd, so that all numbers come about; 65,536 divided by the golden ratio


Wrong = deque[tuple[float, bool]]
"""When the newest wrong replies came, and whether each was to another request: handed on over a reconnect,
or a device that is behind would begin each connection with a clean record."""


def no_wrong_replies() -> Wrong:
    """One for each link."""
    return deque(maxlen=WRONG_REPLIES_TO_RECONNECT)


def transaction_ids() -> Iterator[int]:
    """All of 1 to 65,535, over and over; one for each link, as a gateway may keep replies over a reconnect.

    Far from one another, because other masters and confused gateways count by ones: a reply of theirs
    with the number that comes next would be taken for the answer.
    """
    number = 1
    while True:
        if number:
            yield number
        number = (number + TRANSACTION_STRIDE) & 0xFFFF


class MbapConnection(TransactionManager):
    """A `drivers.link.question.Line` over TCP or TLS."""

    gap_s = 0.0
    hold_off_s = 0.0

    def __init__(
        self,
        address: Address | TlsAddress,
        transactions: Iterator[int],
        wrong: Wrong,
        on_lost: Callable[[str, bool], None],
    ) -> None:
        is_tls = isinstance(address, TlsAddress)
        params = CommParams(
            comm_type=CommType.TLS if is_tls else CommType.TCP,
            host=address.host,
            port=address.port,
            reconnect_delay=0,
        )
        super().__init__(params, FramerSocket(DecodePDU(False)), 0, False, None, None, None)
        self.gone: asyncio.Future[None] = self.loop.create_future()
        self.discarded = 0
        self.overloaded = False
        self.certificate_until_utc_s = inf
        self._address = address
        self._transactions = transactions
        self._on_lost = on_lost
        self._why_lost = ""
        self._answered = False
        self._newest_answered = -1
        self._heard = bytearray()
        self._question: Question | None = None  # as long as it waits for its answer
        self._reply: Answer = self.loop.create_future()
        self._patience: asyncio.TimerHandle | None = None
        self._transaction = 0
        self._late: deque[int] = deque(maxlen=LATE_REPLIES_EXPECTED)
        self._wrong = wrong
        self._last_wrong = ""

    @property
    def lost(self) -> bool:
        """Whether it can no longer be used; the socket may still be closing."""
        return self._why_lost != ""

    async def connect(self) -> bool:
        """As the base class does it, except that a failure comes out as OSError."""
        timeout_s = CONNECT_TIMEOUT_S
        try:
            if isinstance(self._address, TlsAddress):
                timeout_s = HANDSHAKE_TIMEOUT_S
                # Read for each connection, so that a renewed certificate needs no restart.
                self.comm_params.sslctx = client_context(self._address)
                self.init_setup_connect_listen(self._address.host, self._address.port)
            async with asyncio.timeout(timeout_s):
                self.transport, _ = await self.call_create()
            context = self.comm_params.sslctx
            if context is not None:
                secured = self.transport.get_extra_info("ssl_object")
                self.certificate_until_utc_s = until_utc_s(secured, context)
            # asyncio sets aside 256 KiB for each read, which a host short of memory has not got.
            self.transport.max_size = LARGEST_READ_BYTES  # type: ignore[attr-defined]  # of asyncio's own
        except OSError as error:
            self._why_lost = reason(error)
            raise
        return True

    def ask(
        self, question: Question, patience_s: float, deadline_s: float
    ) -> asyncio.Future[tuple[int, ...]]:
        """See `Line`."""
        self._reply = self.loop.create_future()
        timeout_s = min(patience_s, deadline_s - self.loop.time())
        if self._why_lost or timeout_s <= 0:
            self._reply.set_exception(Unanswered(self._why_lost or "no time was left for it"))
            return self._reply
        self._question, self._last_wrong = question, ""
        self._transaction = next(self._transactions)
        pdu = question.pdu
        framed = MBAP.pack(self._transaction, 0, len(pdu) + 1, question.unit) + pdu
        self.transport.write(framed)  # type: ignore[attr-defined]  # the base class calls it a BaseTransport
        self._patience = self.loop.call_later(timeout_s, self._lose_patience, timeout_s)
        return self._reply

    def _lose_patience(self, timeout_s: float) -> None:
        self._question = None
        self._reply.set_exception(Silent(self._timed_out(timeout_s)))

    def _settle(self) -> None:
        """The request has its answer, or will never have one."""
        self._question = None
        if self._patience is not None:
            self._patience.cancel()

    def _timed_out(self, timeout_s: float) -> str:
        self._late.append(self._transaction)
        if self._heard:
            self.drop("the device stopped in the middle of a reply")
        besides = f", but {self._last_wrong}" if self._last_wrong else ""
        return f"no answer within {timeout_s:.2g} s{besides}"

    def drop(self, why: str) -> None:
        """See `Line`."""
        self._lose(why)
        if self.transport:
            self.transport.abort()  # type: ignore[attr-defined]  # the base class calls it a BaseTransport

    def callback_disconnected(self, exc: Exception | None) -> None:
        """Called by the base class."""
        # A device looks at our certificate only after the connection has come about, and seldom says why.
        doubt = isinstance(self._address, TlsAddress) and not self._answered
        hint = "; it may not trust our certificate, see cert" if doubt else ""
        self._lose(f"the connection was lost: {reason(exc)}{hint}")
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
        if not self._why_lost:
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
        if transaction in self._late:
            # Slow, but in order: no reason to doubt the connection.
            self._late.remove(transaction)
            self.discarded += 1
            self._last_wrong = f"a late reply to transaction {transaction} came"
        elif transaction == self._newest_answered and not self._awaits(transaction):
            # The same once more: harmless, as the answer to a later question it would not count.
            self.discarded += 1
        elif question is None:
            self._discard(f"a reply to transaction {transaction} came when none was awaited", behind=True)
        elif transaction != self._transaction:
            what = f"a reply to transaction {transaction} instead of {self._transaction}"
            self._discard(what, behind=True)
        elif (fault := question.fault_in(unit, reply)) is None:
            self._answered, self._newest_answered = True, transaction
            self._settle()
            self._reply.set_result(struct.unpack_from(f">{question.words}H", reply, 2))
        elif isinstance(fault, Refused):
            self._answered, self._newest_answered = True, transaction
            self._fail(fault)
        else:
            self._fail(fault)
            self._discard(str(fault))

    def _awaits(self, transaction: int) -> bool:
        return self._question is not None and transaction == self._transaction

    def _discard(self, what: str, behind: bool = False) -> None:
        self.discarded += 1
        self._last_wrong = what
        now_s = self.loop.time()
        self._wrong.append((now_s, behind))
        full = len(self._wrong) == WRONG_REPLIES_TO_RECONNECT
        if full and now_s - self._wrong[0][0] <= WRONG_REPLIES_WINDOW_S:
            self.overloaded = all(behind for _, behind in self._wrong)
            self._wrong.clear()
            self.drop(f"{WRONG_REPLIES_TO_RECONNECT} wrong replies, the last one: {what}")

    def _fail(self, failure: Unanswered) -> None:
        if self._question is not None:
            self._settle()
            self._reply.set_exception(failure)
