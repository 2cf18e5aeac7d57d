"""Links with faults: for our own emulators a server, for a proxy what it does with the frames it passes."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import replace
from functools import partial

from drivers.address import SerialAddress, parse_connection
from drivers.wire import (
    GATEWAY_TARGET_SILENT,
    LONGEST_LENGTH,
    MBAP,
    POLITE,
    SHORTEST_LENGTH,
    Manners,
    MissingUnit,
    ModbusSerialServer,
    ModbusTcpServer,
    Unit,
    answer,
    others_turn,
    refusal,
    rtu_requests,
    serial_answer,
)
from simulators.faults.frames import Frame, LinkFault, Sent
from simulators.faults.model import Active

Turn = Callable[[], Awaitable[object]]
Opens = Callable[[str], Awaitable[object]]
"""Listens, with what a fault makes of it: "" or one of `LISTENS`."""
Wrong = Callable[[str], ssl.SSLContext | None]
"""The context of an end that shows such a certificate; None where there is none to be had."""
LISTENS = ("", "expired", "stranger", "other_host", "stalled", "plain")


class NoFrameError(Exception):
    """What came is no frame of Modbus TCP; nothing after it can be trusted."""


async def read_frame(reader: asyncio.StreamReader) -> Frame:
    """The next frame; NoFrameError, or IncompleteReadError at the end."""
    transaction, protocol, length, unit = MBAP.unpack(await reader.readexactly(MBAP.size))
    if protocol != 0 or not SHORTEST_LENGTH <= length <= LONGEST_LENGTH:
        raise NoFrameError
    return Frame(transaction, unit, await reader.readexactly(length - 1))


class FaultyLink:
    """What link faults do to the frames of one address, by the unit that they are meant for.

    `actives` are the faults of each device behind it, with its units; None stands for every unit.
    """

    def __init__(self, actives: Sequence[tuple[frozenset[int] | None, Active]]) -> None:
        self._actives = actives

    @property
    def quiet(self) -> bool:
        """Whether there is no fault, now or to come."""
        return not any(active.any for _, active in self._actives)

    def _faults(self, unit: int | None) -> list[LinkFault]:
        now_s = _now_s()
        return [
            fault
            for units, active in self._actives
            for fault in active.at(now_s)
            if isinstance(fault, LinkFault)
            and (unit is None or units is None or unit in units or fault.shared)
        ]

    def refuses(self) -> str:
        """How it refuses connections now: "" when it does not."""
        return next((how for one in self._faults(None) if (how := one.refuses())), "")

    def next_edge_s(self, now_s: float) -> float | None:
        """When something next begins or ends; None when nothing does."""
        edges = [edge_s for _, one in self._actives if (edge_s := one.next_edge_s(now_s)) is not None]
        return min(edges, default=None)

    def watch(self, told: Callable[[], None]) -> None:
        """Tell whenever a fault is added or taken away."""
        for _, active in self._actives:
            active.watch(told)

    def instead(self, request: Frame, opened_s: float) -> Sequence[Sent] | None:
        """What the client gets without the device being asked; None lets the request pass."""
        for fault in self._faults(request.unit):
            sent = fault.asked(request, opened_s)
            if sent is not None:
                return sent
        return None

    def reply(self, reply: Frame, opened_s: float) -> Sequence[Sent]:
        """What the client gets of a reply."""
        out: Sequence[Sent] = (Sent(reply.data),)
        for fault in self._faults(reply.unit):
            out = fault.sent(reply, out, opened_s)
        return out


def send(out: Sequence[Sent], writer: asyncio.StreamWriter) -> None:
    """Write now what is due now, and the rest when it is due."""
    for one in out:
        if one.after_s > 0.0:
            asyncio.get_running_loop().call_later(one.after_s, _write, one, writer)
        else:
            _write(one, writer)


def _write(one: Sent, writer: asyncio.StreamWriter) -> None:
    if writer.transport.is_closing():
        return
    writer.write(one.data)
    if one.end == "close":
        writer.close()
    elif one.end == "abort":
        # What was written goes out first; then the peer hears of the reset.
        asyncio.get_running_loop().call_later(0.001, writer.transport.abort)


def _now_s() -> float:
    return asyncio.get_running_loop().time()


class FaultyServer:
    """Units on one TCP address, with the faults of their link; does what `ModbusTcpServer` does without.

    With `serial` it is a gateway that passes serial frames through.
    """

    def __init__(
        self, units: Mapping[int, Unit], link: FaultyLink, manners: Manners = POLITE, serial: bool = False
    ) -> None:
        self._link = link
        self._server = ModbusTcpServer(units, manners, partial(_serial if serial else _mbap, link))
        self._gate: Gate | None = None
        self._deaf: asyncio.Server | None = None

    async def start(
        self, host: str, port: int, tls: ssl.SSLContext | None = None, wrong: Wrong | None = None
    ) -> int:
        """Listen; OSError when it cannot. `wrong` makes the contexts of faulty certificates."""
        bound_port = await self._server.start(host, port, tls)

        async def opens(how: str) -> None:
            if how == "stalled":
                self._deaf = await asyncio.start_server(_hear_nothing, host, bound_port)
                return
            shown = wrong(how) if how and how != "plain" and wrong is not None else None
            await self._server.start(host, bound_port, None if how == "plain" else shown or tls)

        self._gate = Gate(self._link, (host, bound_port), opens, self._close)
        self._gate.start()
        return bound_port

    async def stop(self) -> None:
        """Close listener and connections."""
        if self._gate is not None:
            await self._gate.stop()
        await self._close()

    async def _close(self) -> None:
        deaf, self._deaf = self._deaf, None
        if deaf is not None:
            deaf.close()
        await self._server.stop()


async def _hear_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until the other end gives up."""
    with suppress(OSError):
        while await reader.read(LONGEST_LENGTH):
            pass
    writer.close()


class FaultyLine:
    """Units on a serial line, with the faults of it; does what `ModbusSerialServer` does without.

    `plugged` gives the connection string of this end of the line, for as long as it is plugged in.
    """

    def __init__(
        self, units: Mapping[int, Unit], link: FaultyLink, plugged: Callable[[], AbstractContextManager[str]]
    ) -> None:
        self._link = link
        self._plugged = plugged
        self._server = ModbusSerialServer(units, partial(_serial, link))
        self._port = ExitStack()
        self._gate = Gate(link, ("", 0), self._open, self._close)

    async def start(self) -> None:
        """Open the line; OSError when it is not there or not free."""
        await self._open()
        self._gate.start()

    async def stop(self) -> None:
        """Let go of the line."""
        await self._gate.stop()
        await self._close()

    async def _open(self, how: str = "") -> None:
        address = parse_connection(self._port.enter_context(self._plugged()))
        assert isinstance(address, SerialAddress)
        await self._server.start(address)

    async def _close(self) -> None:
        await self._server.stop()
        self._port.close()


async def _mbap(
    link: FaultyLink,
    units: Mapping[int, Unit],
    missing_unit: MissingUnit,
    peer: str,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """As `mbap_frames`, with what the faults make of them."""
    opened_s = _now_s()
    while not writer.transport.is_closing():
        await others_turn()
        try:
            request = await read_frame(reader)
        except NoFrameError:
            return
        quiet = link.quiet
        instead = None if quiet else link.instead(request, opened_s)
        if instead is not None:
            send(instead, writer)
            continue
        unit = units.get(request.unit)
        if unit is None and missing_unit == "silent":
            continue
        pdu = (
            refusal(request.pdu, GATEWAY_TARGET_SILENT)
            if unit is None
            else await answer(unit, peer, request.pdu)
        )
        reply = Frame(request.transaction, request.unit, pdu)
        if quiet:
            writer.write(reply.data)
        else:
            send(link.reply(reply, opened_s), writer)
        if writer.transport.get_write_buffer_size():
            await writer.drain()


async def _serial(
    link: FaultyLink,
    units: Mapping[int, Unit],
    missing_unit: MissingUnit,
    peer: str,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """As `rtu_frames`, with what the faults make of them."""
    opened_s = _now_s()

    async def reply(heard: bytes) -> None:
        request = Frame(0, heard[0], heard[1:-2], serial=True)
        instead = link.instead(request, opened_s)
        if instead is not None:
            send(instead, writer)
        elif (pdu := await serial_answer(units, peer, heard)) is not None:
            send(link.reply(replace(request, pdu=pdu), opened_s), writer)
            await writer.drain()

    await rtu_requests(reader, reply)


class Gate:
    """Closes a listener while a fault refuses connections, or opens it otherwise, and then as it was."""

    def __init__(self, link: FaultyLink, address: tuple[str, int], opens: Opens, closes: Turn) -> None:
        self._link = link
        self._address = address
        self._opens, self._closes = opens, closes
        self._how = ""
        self._hole: list[socket.socket] = []
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to watch."""
        self._link.watch(self._changed.set)
        self._task = asyncio.get_running_loop().create_task(self._watch())

    async def stop(self) -> None:
        """End watching; what is closed stays closed."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._fill_hole()

    async def _watch(self) -> None:
        while True:
            how = self._link.refuses()
            if how != self._how:
                await self._turn(how)
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._link.next_edge_s(_now_s())):
                    await self._changed.wait()

    async def _turn(self, how: str) -> None:
        self._fill_hole()
        if self._how in LISTENS:
            await self._closes()
        if how == "blackhole":
            self._dig_hole()
        elif how in LISTENS:
            await self._opens(how)
        self._how = how

    def _dig_hole(self) -> None:
        """A listener whose queue is full: the kernel drops what knocks there, as if nobody lived there."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(self._address)
        listener.listen(0)
        self._hole = [listener]
        for _ in range(2):
            knocking = socket.socket()
            knocking.setblocking(False)
            knocking.connect_ex(self._address)
            self._hole.append(knocking)

    def _fill_hole(self) -> None:
        for one in self._hole:
            one.close()
        self._hole = []
