"""The asking half of Modbus: one link for each physical bus, shared by all units on it.

A link keeps its own connection, its own turns and its own deadlines; `connection.py` decides what counts
as an answer. Nothing is asked twice here, except what the device itself called too early (exceptions 5
and 6).
"""

from __future__ import annotations

import asyncio
import math
import random
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)

from drivers.connection import Address, Connection, Question, Refused, Unanswered, reason
from drivers.device import DeviceError
from drivers.wire import MAX_READ_WORDS, MAX_WRITE_WORDS, Space

MODBUS_PORT = 502
FIRST_PAUSE_S, LONGEST_PAUSE_S, PAUSE_JITTER = 0.2, 3.0, 0.2
CONNECT_SPACING_S = 1.0  # a device that hangs up after each reply must not see a storm of connects
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
    """What a bus asks of its master; the defaults suit a device on a local network."""

    timeout_s: float = 0.5
    min_gap_s: float = 0.0  # silence between a reply and the next request
    connect_delay_s: float = 0.0  # silence between connecting and the first request
    retry_exceptions: frozenset[int] = frozenset({5, 6})


def parse_connection(connection: str) -> Address:
    """Read "tcp://host:port" (IPv6 literals in brackets, port 502 when left out); ValueError if it is not."""
    usage = "give tcp://HOST:PORT, for instance tcp://192.168.1.20:502 or tcp://[fd00::20]:502"
    try:
        parts = urlsplit(connection)
        port = MODBUS_PORT if parts.port is None else parts.port
        host = parts.hostname or ""
        host.encode("idna")
    except ValueError as error:
        raise ValueError(f"connection {connection!r}: {error}; {usage}") from None
    if parts.scheme != "tcp":
        raise ValueError(f"connection {connection!r}: scheme {parts.scheme!r} is not known; {usage}")
    more_than_address = parts.path or parts.query or parts.fragment or "@" in parts.netloc
    if not host or port == 0 or more_than_address or any(letter.isspace() for letter in connection):
        raise ValueError(f"connection {connection!r} is not just a host and a port from 1 to 65535; {usage}")
    return Address(host, port)


def open_link(connection: str, timing: LinkTiming) -> Link:
    """A link to this address, not connected before its first use; ValueError for what is no address."""
    return Link(connection, parse_connection(connection), timing)


class Link:
    """One bus. Requests take turns; a bus that is down costs its readers an immediate DeviceError.

    Connecting is the work of a background task that begins with the first request and ends with
    `close`. `connects` counts how often it came about: a device may have forgotten its orders since.
    """

    def __init__(self, connection: str, address: Address, timing: LinkTiming) -> None:
        self.connection = connection
        self.connects = 0
        self._address = address
        self._timing = timing
        self._turn = asyncio.Lock()
        self._quiet_until_s = -math.inf
        self._live: Connection | None = None
        self._discarded = 0
        self._keeper: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()  # there is no use in waiting: it is connected, or has failed
        self._why_down = "not tried yet"
        self._next_try_s = -math.inf
        self._tried_at_s = -math.inf
        self._pause_s = FIRST_PAUSE_S
        self._random = random.Random(connection)  # so that links do not try in step, yet a run repeats
        self._closed = False

    @property
    def discarded(self) -> int:
        """How many late, foreign and malformed replies were thrown away so far."""
        return self._discarded + (self._live.discarded if self._live else 0)

    async def read(self, unit: int, space: Space, address: int, count: int, deadline_s: float) -> Words:
        """`count` registers (1 to 125); DeviceError by `deadline_s`, ModbusExceptionReply if refused."""
        _check(unit, address, count, MAX_READ_WORDS)
        kind = ReadHoldingRegistersRequest if space == "holding" else ReadInputRegistersRequest
        request = kind(dev_id=unit, address=address, count=count)
        head = bytes((kind.function_code, 2 * count))
        question = Question(request, head, reply_bytes=2 + 2 * count, words=count)
        return await self._ask(question, f"reading {count} {space} registers at {address}", deadline_s)

    async def write(
        self, unit: int, address: int, words: Sequence[int], deadline_s: float, *, single: bool = False
    ) -> None:
        """Write with function 16, or 6 if `single`; returns when the device has confirmed it.

        Raises as `read` does. After a DeviceError the device may or may not have carried it out.
        """
        count = len(words)
        _check(unit, address, count, 1 if single else MAX_WRITE_WORDS)
        if not all(0 <= word <= 0xFFFF for word in words):
            raise ValueError(f"registers hold 0 to 65535, not {list(words)}")
        kind = WriteSingleRegisterRequest if single else WriteMultipleRegistersRequest
        request = kind(dev_id=unit, address=address, registers=words)
        echo = struct.pack(">BHH", kind.function_code, address, words[0] if single else count)
        question = Question(request, echo, reply_bytes=len(echo))
        await self._ask(question, f"writing {count} registers at {address}", deadline_s)

    async def close(self) -> None:
        """Hang up for good; a request in flight fails now. May be called twice."""
        self._closed = True
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        self._settled.set()
        async with self._turn:  # whoever was in flight has heard of it
            pass

    async def _ask(self, question: Question, doing: str, deadline_s: float) -> Words:
        pauses_s = iter(BUSY_PAUSES_S)
        whom = f"{self.connection} unit {question.request.dev_id}"
        while True:
            try:
                return await self._ask_once(question, deadline_s)
            except Refused as refused:
                pause_s = next(pauses_s, math.inf)
                too_late = _now_s() + pause_s >= deadline_s
                if refused.code not in self._timing.retry_exceptions or too_late:
                    raise ModbusExceptionReply(f"{whom}: {doing}: {refused}", refused.code) from None
                await asyncio.sleep(pause_s)
            except Unanswered as failed:
                raise DeviceError(f"{whom}: {doing}: {failed}") from None

    async def _ask_once(self, question: Question, deadline_s: float) -> Words:
        await self._until_connected(deadline_s)
        try:
            async with asyncio.timeout_at(deadline_s):
                await self._turn.acquire()
        except TimeoutError:
            raise Unanswered("others kept the bus busy until the deadline") from None
        # The exchange outlives a caller who is cancelled, so the next one never meets half of it.
        exchange = asyncio.get_running_loop().create_task(self._exchange(question, deadline_s))
        exchange.add_done_callback(self._end_turn)
        return await asyncio.shield(exchange)

    def _end_turn(self, exchange: asyncio.Task[Words]) -> None:
        self._turn.release()
        if not exchange.cancelled():
            exchange.exception()  # the caller may be gone; then nobody else asks for it

    async def _exchange(self, question: Question, deadline_s: float) -> Words:
        gap_s = self._quiet_until_s - _now_s()
        if gap_s > 0:
            await asyncio.sleep(min(gap_s, deadline_s - _now_s()))
        if self._live is None:
            raise self._not_connected()
        timeout_s = min(deadline_s - _now_s(), self._timing.timeout_s)
        if timeout_s <= 0:
            raise Unanswered("no time was left for it")
        try:
            return Words(await self._live.ask(question, timeout_s), _now_s())
        finally:
            self._quiet_until_s = _now_s() + self._timing.min_gap_s

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
        wait_s = self._next_try_s - _now_s()
        when = f"next try in {wait_s:.1f} s" if wait_s > 0 else "trying now"
        return DeviceError(f"{self.connection}: not connected: {self._why_down}; {when}")

    async def _stay_connected(self) -> None:
        transaction = 0
        while True:
            self._tried_at_s = _now_s()
            connection = Connection(self._address, transaction, self._is_down)
            try:
                await connection.connect()
            except OSError as error:
                self._is_down(reason(error), worked=False)
            else:
                await self._use(connection)
                transaction = connection.next_tid
            await asyncio.sleep(self._next_try_s - _now_s())

    async def _use(self, connection: Connection) -> None:
        """Until the connection is lost, or this link closed."""
        self.connects += 1
        try:
            # Not awaited as it is: a task that is cancelled takes along the future it awaits.
            await asyncio.wait([connection.gone], timeout=self._timing.connect_delay_s)
            if not connection.lost:
                self._live = connection
                self._settled.set()
            await asyncio.wait([connection.gone])
        finally:
            connection.drop("the link was closed")
            await connection.gone

    def _is_down(self, why: str, worked: bool) -> None:
        """A connection that worked is made again soon, and worth waiting for; another one backs off."""
        self._discarded, self._live = self.discarded, None
        self._why_down = why
        now_s = _now_s()
        if worked:
            self._pause_s = FIRST_PAUSE_S
            self._next_try_s = max(now_s, self._tried_at_s + CONNECT_SPACING_S)
            self._settled.clear()
        else:
            self._next_try_s = now_s + self._pause_s * self._random.uniform(
                1 - PAUSE_JITTER, 1 + PAUSE_JITTER
            )
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
            self._settled.set()


def _check(unit: int, address: int, count: int, most: int) -> None:
    if not (0 <= unit <= 0xFF and 1 <= count <= most and 0 <= address <= 0x10000 - count):
        raise ValueError(f"no request can name {count} registers at {address} of unit {unit}")


def _now_s() -> float:
    return asyncio.get_running_loop().time()
