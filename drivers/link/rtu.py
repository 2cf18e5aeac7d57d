"""One serial line of a link, on a tty or behind a transparent TCP gateway.

pymodbus is not used here: its RTU framing (3.16.1) checks the unit and nothing else, so that after a
timeout or a cancelled request the late reply is returned as the answer to the next request; it keeps no
silence between frames, and its clients know nothing of a line that several units share.

Frames carry no transaction number. A reply counts only if it begins where the reply must begin, its
checksum is right, and unit, function, length and, for writes, the echo are those of the one request that
is waiting. That leaves the late reply of the same unit to an earlier request of the same form. Against it:
- A unit that did not answer is not asked again before `hold_off_s` have passed (the link sees to it), and
  nothing at all is asked before the line has been quiet. So a late reply meets no request that it could fit:
  another unit's request is not answered by it.
- Behind a gateway TCP may delay more than any hold-off. There such a unit is asked again only on a
  connection that has since carried an answer of another unit (TCP keeps the order), or on a new one.

What no master can tell apart is a second, different reply of a unit that has already answered, when it
comes during the next request of the same form to the same unit.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from math import inf

from drivers import rtu
from drivers.address import RtuTcpAddress, SerialAddress
from drivers.link.mbap import CONNECT_TIMEOUT_S
from drivers.link.question import Answer, Question, Refused, Silent, Unanswered, reason
from drivers.serial_port import open_port

QUIET_S = 0.04
"""Silence after which what was broken off or garbled is over; USB adapters and gateways pause up to 20 ms."""

_LONGEST_HEARD = 2 * rtu.MAX_FRAME_BYTES  # an echo and a reply
_GLITCHES = b"\x00\xff"  # what a line that turns round may leave before a frame; no unit that answers


class RtuConnection(asyncio.Protocol):
    """A `drivers.link.question.Line` of RTU frames; it finds out by itself that a line echoes."""

    overloaded = False  # frames without a transaction number cannot tell

    def __init__(
        self,
        address: SerialAddress | RtuTcpAddress,
        hold_off_s: float,
        turnaround_s: float,
        local_echo: bool,
        on_lost: Callable[[str, bool], None],
    ) -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self.gone: asyncio.Future[None] = loop.create_future()
        self.discarded = 0
        self.certificate_until_utc_s = inf
        self.hold_off_s = hold_off_s
        self.gap_s = turnaround_s
        if isinstance(address, SerialAddress):
            self.gap_s = max(turnaround_s, rtu.silence_s(address))
        self._address = address
        self._echoes = self._said_to_echo = local_echo
        self._on_lost = on_lost
        self._why_lost = ""
        self._answered = False
        self._transport: asyncio.Transport | None = None
        self._heard = bytearray()
        self._heard_at_s = loop.time()  # a line that was just opened is listened to first
        self._must_be_quiet = True
        self._question: Question | None = None
        self._sent = b""
        self._reply: Answer = loop.create_future()
        self._owing: set[int] = set()
        self._last_wrong = ""

    @property
    def lost(self) -> bool:
        """Whether it can no longer be used; it may still be closing."""
        return self._why_lost != ""

    async def connect(self) -> None:
        """OSError when it fails."""
        try:
            if isinstance(self._address, SerialAddress):
                open_port(self._address, self)
            else:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    host, port = self._address.host, self._address.port
                    await self._loop.create_connection(lambda: self, host, port)
        except OSError as error:
            self._why_lost = reason(error)
            raise

    def ask(
        self, question: Question, patience_s: float, deadline_s: float
    ) -> asyncio.Future[tuple[int, ...]]:
        """See `Line`."""
        return self._loop.create_task(self._ask(question, patience_s, deadline_s))

    async def _ask(self, question: Question, patience_s: float, deadline_s: float) -> tuple[int, ...]:
        """The device's patience begins when the request has left the line."""
        if question.unit in self._owing:
            self.drop(f"unit {question.unit} was silent, and its answer may still be on its way")
        if self._must_be_quiet:
            await self._until_quiet(deadline_s)
        if self._why_lost:
            raise Unanswered(self._why_lost)
        self._sent = rtu.framed(question.unit, question.pdu)
        timeout_s = min(patience_s + self._airtime_s(question), deadline_s - self._loop.time())
        if timeout_s <= 0:
            raise Unanswered("no time was left for it")
        self._heard.clear()
        self._question, self._last_wrong = question, ""
        self._reply = self._loop.create_future()
        assert self._transport is not None, "asked before it was connected"
        self._transport.write(self._sent)
        try:
            async with asyncio.timeout(timeout_s):
                return await self._reply
        except TimeoutError:
            raise Silent(self._timed_out(timeout_s)) from None
        except Silent:
            self._doubt(question.unit)
            raise
        finally:
            self._question = None

    def _airtime_s(self, question: Question) -> float:
        if not isinstance(self._address, SerialAddress):
            return 0.0
        return rtu.on_the_line_s(self._address, len(self._sent) + 3 + question.reply_bytes)

    async def _until_quiet(self, deadline_s: float) -> None:
        """Until nothing was heard for a while; Silent if that does not come about by the deadline."""
        while (quiet_at_s := self._heard_at_s + QUIET_S) > self._loop.time() and not self._why_lost:
            if quiet_at_s > deadline_s:
                raise Silent("the line is never quiet: something sends all the time")
            await asyncio.sleep(quiet_at_s - self._loop.time())
        self._must_be_quiet = False

    def _timed_out(self, timeout_s: float) -> str:
        assert self._question is not None, "only what was asked can time out"
        self._doubt(self._question.unit)
        if self._heard:
            self._last_wrong = f"it began {self._heard[:8].hex(' ')}"
        besides = f", but {self._last_wrong}" if self._last_wrong else ""
        return f"no answer within {timeout_s:.2g} s{besides}"

    def _doubt(self, unit: int) -> None:
        """Its answer may still come."""
        self._must_be_quiet = True
        if isinstance(self._address, RtuTcpAddress):
            self._owing.add(unit)

    def drop(self, why: str) -> None:
        """See `Line`."""
        self._lose(why)
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport), "both kinds of line are streams"
        self._transport = transport
        self._heard_at_s = self._loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        is_serial = isinstance(self._address, SerialAddress)
        self._lose("the serial device vanished" if is_serial else f"the connection was lost: {reason(exc)}")
        if not self.gone.done():
            self.gone.set_result(None)

    def _lose(self, why: str) -> None:
        if self._why_lost:
            return
        self._why_lost = why
        self._fail(Unanswered(why))
        self._on_lost(why, self._answered)

    def data_received(self, data: bytes) -> None:
        """Judge what was heard as soon as a whole frame is there; what nobody waits for is thrown away."""
        self._heard_at_s = self._loop.time()
        if self._question is None or self._reply.done():
            if not self._must_be_quiet:
                self._discard("something came when no reply was awaited")
            self._must_be_quiet = True
            return
        self._heard += data
        while not self._reply.done() and self._one_frame(self._question):
            pass
        if self._reply.done() and self._heard:
            self._discard(f"{len(self._heard)} bytes too many came")
            self._must_be_quiet = True

    def _one_frame(self, question: Question) -> bool:
        """Take one frame off what was heard and judge it; whether there may be another one."""
        heard = self._heard
        if not self._without_echo(question):
            return False
        glitches = _GLITCHES.replace(bytes((question.unit,)), b"")
        del heard[
            : len(heard) - len(heard.lstrip(glitches))
        ]  # in one step: a gateway may send no end of them
        length = rtu.reply_bytes(heard)
        if length == 0 or len(heard) > _LONGEST_HEARD:
            self._garbled("it is no Modbus frame")
        elif length is not None and len(heard) >= length:
            frame = bytes(heard[:length])
            del heard[:length]
            if rtu.is_whole(frame):
                self._judge(question, frame[0], frame[1:-2])
                return True
            self._garbled("its checksum is wrong", frame)
        return False

    def _without_echo(self, question: Question) -> bool:
        """Take off what we sent, if this line gives it back; whether the reply can be looked at."""
        heard, sent = self._heard, self._sent
        if not sent:
            return True
        if heard.startswith(sent) and (self._echoes or question.words):
            self._echoes = True
            del heard[: len(sent)]
            self._sent = b""
            return True
        if not self._echoes:
            return not (question.words and sent.startswith(heard))
        if not sent.startswith(heard):
            self._echoes = self._said_to_echo
            self._garbled("our own request did not come back first, as it does on this line")
        return False

    def _judge(self, question: Question, unit: int, reply: bytes) -> None:
        if unit != question.unit:
            self._discard(f"a reply of unit {unit} came")
            return
        fault = question.fault_in(unit, reply)
        if fault is not None and not isinstance(fault, Refused):
            self._discard(str(fault))
            self._fail(Silent(str(fault)))
            return
        self._answered = True
        self._owing.clear()
        if fault is None:
            self._reply.set_result(struct.unpack_from(f">{question.words}H", reply, 2))
        else:
            self._fail(fault)

    def _garbled(self, why: str, frame: bytes = b"") -> None:
        heard = (frame + self._heard)[:8].hex(" ")
        self._heard.clear()
        self._discard(f"the reply is garbled: {why} ({heard})")
        self._fail(Silent(self._last_wrong))

    def _discard(self, what: str) -> None:
        self.discarded += 1
        self._last_wrong = what

    def _fail(self, failure: Unanswered) -> None:
        if self._question is not None and not self._reply.done():
            self._reply.set_exception(failure)
