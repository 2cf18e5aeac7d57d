"""The asking half of Modbus: one link for each physical bus, shared by all units on it.

A link keeps its own connection, its own turns and its own deadlines; `mbap.py` (TCP, TLS) and `rtu.py`
(serial line, serial frames over TCP) decide what counts as an answer, `turns.py` who is next, and
`patience.py` whom to let alone. Nothing is asked twice here, except what the device itself called too
early (exceptions 5 and 6).
"""

from __future__ import annotations

import asyncio
import math
import random
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)

from drivers.address import Address, AnyAddress, RtuTcpAddress, SerialAddress, TlsAddress, parse_connection
from drivers.device import DeviceError
from drivers.link.mbap import MbapConnection, no_wrong_replies, transaction_ids
from drivers.link.patience import TRIES, Patience
from drivers.link.question import Answer, Line, Question, Refused, Silent, Unanswered, reason
from drivers.link.rtu import RtuConnection
from drivers.link.turns import Turns
from drivers.wire import (
    GATEWAY_PATH_UNAVAILABLE,
    GATEWAY_TARGET_SILENT,
    MAX_READ_WORDS,
    MAX_WRITE_WORDS,
    Space,
)

__all__ = ["Link", "LinkTiming", "ModbusExceptionReply", "Words", "open_link", "parse_connection"]

FIRST_PAUSE_S, LONGEST_PAUSE_S, PAUSE_JITTER = 0.2, 3.0, 0.2
LONGEST_SERIAL_PAUSE_S = 1.0  # looking for an adapter that was pulled out disturbs nobody
CONNECT_SPACING_S = 1.0  # a device that hangs up after each reply must not see a storm of connects
OVERLOADED_PAUSE_S = 1.0
SPARED_FOR_S = 600.0
"""What has fallen behind with its answers is asked half as often, so long after the last sign of it."""
BUSY_PAUSES_S = (0.1, 0.2, 0.4)


class ModbusExceptionReply(DeviceError):  # noqa: N818 (an exception reply is what Modbus calls it)
    """The device answered and refused; `code` is the Modbus exception code."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Words:
    """Registers as they came, and the event-loop time of the reply."""

    words: tuple[int, ...]
    taken_at_s: float


@dataclass(frozen=True, slots=True)
class LinkTiming:
    """What a bus asks of its master; the defaults suit a device on a local network.

    The last three matter where frames carry no transaction number: `turnaround_s` is a silence between a
    reply and the next request, where it must be longer than the standard's; `hold_off_s` is how late an
    answer may still come after its timeout; `local_echo` says that a write would be taken for its own
    confirmation (any read finds that out by itself).
    """

    timeout_s: float = 0.5
    min_gap_s: float = 0.0  # silence between a reply and the next request
    connect_delay_s: float = 0.0  # silence between connecting and the first request
    retry_exceptions: frozenset[int] = frozenset({5, 6})
    turnaround_s: float = 0.0
    hold_off_s: float = 0.3
    local_echo: bool = False

    def strictest(self, other: LinkTiming) -> LinkTiming:
        """What suits two devices on one bus."""
        return LinkTiming(
            max(self.timeout_s, other.timeout_s),
            max(self.min_gap_s, other.min_gap_s),
            max(self.connect_delay_s, other.connect_delay_s),
            self.retry_exceptions | other.retry_exceptions,
            max(self.turnaround_s, other.turnaround_s),
            max(self.hold_off_s, other.hold_off_s),
            self.local_echo or other.local_echo,
        )


def open_link(connection: str, timing: LinkTiming, name: str = "") -> Link:
    """A link to this address, not connected before its first use; ValueError for what is no address.

    Links with different names wait differently long before they try again; without one the address counts.
    """
    return Link(connection, parse_connection(connection), timing, name or connection)


class Link:
    """One bus. Requests take turns; a bus that is down costs its readers an immediate DeviceError.

    Connecting is the work of a background task that begins with the first request and ends with
    `close`. `connects` counts how often it came about: a device may have forgotten its orders since.
    """

    def __init__(self, connection: str, address: AnyAddress, timing: LinkTiming, name: str) -> None:
        self.connection = connection
        self.connects = 0
        self.certificate_until_utc_s = math.inf
        """When a certificate of the newest connection ends; inf before there is one, and without TLS."""
        self._address = address
        self._timing = timing
        self._random = random.Random(name)  # so that links do not try in step, yet a run repeats
        self._turns = Turns()
        # TCP may hold back a reply for as long as it likes; a new connection is certain to be without it.
        self._patience = Patience(1 if isinstance(address, RtuTcpAddress) else TRIES, self._random)
        self._transactions, self._wrong = transaction_ids(), no_wrong_replies()
        self._quiet_until_s = -math.inf
        self._live: Line | None = None
        self._discarded = 0
        self._keeper: asyncio.Task[None] | None = None
        self._in_flight: Answer | None = None
        self._settled = asyncio.Event()  # there is no use in waiting: it is connected, or has failed
        self._why_down = ""
        self._next_try_s = -math.inf
        self._spared_until_s = -math.inf
        self._tried_at_s = -math.inf
        self._pause_s = FIRST_PAUSE_S
        is_serial = isinstance(address, SerialAddress)
        self._longest_pause_s = LONGEST_SERIAL_PAUSE_S if is_serial else LONGEST_PAUSE_S
        self._closed = False

    @property
    def discarded(self) -> int:
        """How many late, foreign and malformed replies were thrown away so far."""
        return self._discarded + (self._live.discarded if self._live else 0)

    @property
    def serial(self) -> bool:
        """Whether it is a line that other devices may wait for."""
        return not isinstance(self._address, Address | TlsAddress)

    @property
    def spared(self) -> bool:
        """Whether readers should ask half as often: what is behind this link has more to do than it can."""
        return _now_s() < self._spared_until_s

    @contextmanager
    def patient(self, timeout_s: float) -> Iterator[None]:
        """Meanwhile a reply may take so long, if that is longer than it may otherwise."""
        usual = self._timing
        self._timing = replace(usual, timeout_s=max(usual.timeout_s, timeout_s))
        try:
            yield
        finally:
            self._timing = usual

    async def read(self, unit: int, space: Space, address: int, count: int, deadline_s: float) -> Words:
        """`count` registers (1 to 125); DeviceError by `deadline_s`, ModbusExceptionReply if refused."""
        _check(unit, address, count, MAX_READ_WORDS)
        kind = ReadHoldingRegistersRequest if space == "holding" else ReadInputRegistersRequest
        request = kind(dev_id=unit, address=address, count=count)
        head = bytes((kind.function_code, 2 * count))
        question = Question(request, head, reply_bytes=2 + 2 * count, words=count)
        return await self._ask(
            question, deadline_s, None, "reading %d %s registers at %d", count, space, address
        )

    async def write(
        self,
        unit: int,
        address: int,
        words: Sequence[int],
        deadline_s: float,
        *,
        single: bool = False,
        on_connect: int | None = None,
    ) -> None:
        """Write with function 16, or 6 if `single`; returns when the device has confirmed it.

        Raises as `read` does. After a DeviceError the device may or may not have carried it out. Given
        `on_connect`, it is written over the connection of that number (`connects`) or not at all: behind
        a newer one another device may answer than the one that was identified.
        """
        count = len(words)
        _check(unit, address, count, 1 if single else MAX_WRITE_WORDS)
        if not all(0 <= word <= 0xFFFF for word in words):
            raise ValueError(f"registers hold 0 to 65535, not {list(words)}")
        kind = WriteSingleRegisterRequest if single else WriteMultipleRegistersRequest
        request = kind(dev_id=unit, address=address, registers=words)
        echo = struct.pack(">BHH", kind.function_code, address, words[0] if single else count)
        question = Question(request, echo, reply_bytes=len(echo))
        await self._ask(question, deadline_s, on_connect, "writing %d registers at %d", count, address)

    async def close(self) -> None:
        """Hang up for good; a request in flight fails now. May be called twice."""
        self._closed = True
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        self._settled.set()
        self._turns.end_holds()
        if self._in_flight is not None:  # whoever asked has heard of it
            await asyncio.wait([self._in_flight])

    async def _ask(
        self, question: Question, deadline_s: float, on_connect: int | None, doing: str, *of: object
    ) -> Words:
        """`doing` and `of` make the sentence of a failure; most requests never need it."""
        for pause_s in (*BUSY_PAUSES_S, math.inf):
            try:
                return await self._ask_once(question, deadline_s, on_connect)
            except Refused as refused:
                too_late = _now_s() + pause_s >= deadline_s
                if refused.code not in self._timing.retry_exceptions or too_late:
                    text = f"{self.connection} unit {question.unit}: {doing % of}: {refused}"
                    raise ModbusExceptionReply(text, refused.code) from None
            except Unanswered as failed:
                text = f"{self.connection} unit {question.unit}: {doing % of}: {failed}"
                raise DeviceError(text) from None
            await asyncio.sleep(pause_s)
        raise AssertionError("the last pause is longer than any deadline")

    async def _ask_once(self, question: Question, deadline_s: float, on_connect: int | None) -> Words:
        await self._until_connected(deadline_s)
        unit = question.unit
        self._refuse_while_let_alone(unit)
        try:
            await self._turns.take(unit, deadline_s, last=self._patience.on_trial(unit))
        except TimeoutError:
            if self._turns.is_held(unit):
                raise Unanswered("its answer to an earlier request could still have come") from None
            raise Unanswered("others kept the bus busy until the deadline") from None
        line: Line | None = None
        try:
            if self._quiet_until_s > _now_s():
                await asyncio.sleep(min(self._quiet_until_s, deadline_s) - _now_s())
            self._refuse_while_let_alone(unit)
            line = self._line_for(on_connect)
        finally:
            if line is None:
                self._turns.give_back()
        # The exchange outlives a caller who is cancelled, so the next one never meets half of it.
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Words] = loop.create_future()
        asked_at_s = loop.time()
        exchange = self._in_flight = line.ask(question, self._timing.timeout_s, deadline_s)
        exchange.add_done_callback(lambda _: self._end_turn(exchange, answered, unit, asked_at_s, line))
        return await answered

    def _refuse_while_let_alone(self, unit: int) -> None:
        why_not = self._patience.why_not(unit, _now_s())
        if why_not is not None:
            raise Unanswered(why_not)

    def _line_for(self, on_connect: int | None) -> Line:
        if self._live is None:
            raise self._not_connected()
        if on_connect is not None and on_connect != self.connects:
            raise Unanswered("not written: the device must be identified again on the new connection")
        return self._live

    def _end_turn(
        self,
        exchange: Answer,
        answered: asyncio.Future[Words],
        unit: int,
        asked_at_s: float,
        line: Line,
    ) -> None:
        """Draw the conclusions of an exchange, give back the turn, and tell whoever asked, if still there."""
        now_s = _now_s()
        self._quiet_until_s = now_s + max(self._timing.min_gap_s, line.gap_s)
        failed = asyncio.CancelledError() if exchange.cancelled() else exchange.exception()
        if failed is None:
            self._patience.answered(unit, now_s)
        elif isinstance(failed, Unanswered):
            self._note(unit, asked_at_s, failed, line)
        self._in_flight = None
        self._turns.give_back()
        if answered.done():
            return
        if failed is None:
            answered.set_result(Words(exchange.result(), now_s))
        else:
            answered.set_exception(failed)

    def _note(self, unit: int, asked_at_s: float, failed: Unanswered, line: Line) -> None:
        """What a failure says about the unit and about the connection."""
        now_s = _now_s()
        if isinstance(failed, Refused):
            if failed.code in (GATEWAY_PATH_UNAVAILABLE, GATEWAY_TARGET_SILENT):
                self._patience.gateway_says_silent(unit, now_s)
            else:
                self._patience.answered(unit, now_s)
            return
        if line.hold_off_s > 0:
            # Also when a wrong reply came early: the right one may still take its time.
            self._turns.hold(unit, max(now_s, asked_at_s + self._timing.timeout_s) + line.hold_off_s)
        if isinstance(failed, Silent) and (silences := self._patience.was_silent(unit, now_s)):
            line.drop(f"{silences} requests in a row were not answered" if silences > 1 else str(failed))

    async def _until_connected(self, deadline_s: float) -> None:
        """Wait while there is hope before the deadline; DeviceError when there is none."""
        if self._closed:
            raise self._not_connected()
        if self._keeper is None:
            self._keeper = asyncio.get_running_loop().create_task(self._stay_connected())
        elif self._keeper.done():
            self._keeper.result()  # it ends by a bug only, which must come to light
        if not self._settled.is_set() and self._next_try_s < deadline_s:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(deadline_s):
                    await self._settled.wait()
        if self._live is None:
            raise self._not_connected()

    def _not_connected(self) -> DeviceError:
        if self._closed:
            return DeviceError(f"{self.connection}: the link was closed")
        if not self._why_down:
            return DeviceError(f"{self.connection}: not connected yet")
        wait_s = self._next_try_s - _now_s()
        when = f"next try in {wait_s:.1f} s" if wait_s > 0 else "trying now"
        return DeviceError(f"{self.connection}: not connected: {self._why_down}; {when}")

    async def _stay_connected(self) -> None:
        while True:
            self._tried_at_s = _now_s()
            line = self._new_line()
            try:
                await line.connect()
            except OSError as error:
                self._is_down(reason(error), worked=False)
            else:
                await self._use(line)
            await asyncio.sleep(self._next_try_s - _now_s())

    def _new_line(self) -> Line:
        address, timing = self._address, self._timing
        if isinstance(address, Address | TlsAddress):
            return MbapConnection(address, self._transactions, self._wrong, self._is_down)
        return RtuConnection(
            address, timing.hold_off_s, timing.turnaround_s, timing.local_echo, self._is_down
        )

    async def _use(self, line: Line) -> None:
        """Until the connection is lost, or this link closed."""
        self.connects += 1
        self.certificate_until_utc_s = line.certificate_until_utc_s
        self._patience.forget()
        try:
            # Not awaited as it is: a task that is cancelled takes along the future it awaits.
            await asyncio.wait([line.gone], timeout=self._timing.connect_delay_s)
            if not line.lost:
                self._live = line
                self._settled.set()
            await asyncio.wait([line.gone])
        finally:
            line.drop("the link was closed")
            await line.gone

    def _is_down(self, why: str, worked: bool) -> None:
        """A connection that worked is made again soon, and worth waiting for; another one backs off."""
        now_s = _now_s()
        overloaded = self._live is not None and self._live.overloaded
        self._discarded, self._live = self.discarded, None
        self._why_down = why
        if worked:
            self._pause_s = FIRST_PAUSE_S
            self._next_try_s = max(now_s, self._tried_at_s + CONNECT_SPACING_S)
            self._settled.clear()
        else:
            self._next_try_s = now_s + self._pause_s * self._random.uniform(
                1 - PAUSE_JITTER, 1 + PAUSE_JITTER
            )
            self._pause_s = min(2 * self._pause_s, self._longest_pause_s)
            self._settled.set()
        if overloaded:
            self._spared_until_s = now_s + SPARED_FOR_S
            self._next_try_s = max(self._next_try_s, now_s + OVERLOADED_PAUSE_S)
            self._settled.clear()


def _check(unit: int, address: int, count: int, most: int) -> None:
    if not (0 <= unit <= 0xFF and 1 <= count <= most and 0 <= address <= 0x10000 - count):
        raise ValueError(f"no request can name {count} registers at {address} of unit {unit}")


def _now_s() -> float:
    return asyncio.get_running_loop().time()
