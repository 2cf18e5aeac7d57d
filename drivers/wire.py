"""The answering half of Modbus: what a device does with a request, and a TCP server to ask it through.

Sources: MODBUS Application Protocol V1.1b3 (functions, quantities, exceptions) and MODBUS Messaging on
TCP/IP Implementation Guide V1.0b (MBAP header). `answer` knows no transport, so a serial line can share
it. One task for each connection answers its requests in the order they came, however many are sent at
once; connections do not wait for each other.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

Space = Literal["holding", "input"]

ILLEGAL_FUNCTION = 1
ILLEGAL_ADDRESS = 2
ILLEGAL_VALUE = 3
DEVICE_FAILURE = 4
DEVICE_BUSY = 6
GATEWAY_TARGET_SILENT = 11

MBAP = struct.Struct(">HHHB")  # transaction, protocol (0), length from here on plus 1, unit
MAX_FRAME_BYTES = 260
SHORTEST_LENGTH, LONGEST_LENGTH = 2, MAX_FRAME_BYTES - 6  # what the MBAP length may say

MAX_READ_WORDS = 125
MAX_WRITE_WORDS = 123
MAX_EXCHANGE_WRITE_WORDS = 121  # function 23

_FOUR = struct.Struct(">HHHHB")
_TWO = struct.Struct(">HHB")
_MASK = struct.Struct(">HHH")
_PAIR = struct.Struct(">HH")


class ModbusFault(Exception):  # noqa: N818 (Modbus calls it an exception, the trade a fault)
    """A request is refused with this exception code (V1.1b3, section 7)."""

    def __init__(self, code: int) -> None:
        super().__init__(f"Modbus exception {code}")
        self.code = code


class Unit(Protocol):
    """One unit behind the wire; `peer` ("host:port") says who asks. Both raise ModbusFault to refuse.

    Addresses are as on the wire (from 0), checked to end at 65,535 at most. A unit that never waits
    between reading and writing its registers makes functions 22 and 23 indivisible.
    """

    async def read(self, peer: str, space: Space, address: int, count: int) -> Sequence[int]:
        """Exactly `count` words (1 to 125), each 0 to 65,535."""
        ...

    async def write(self, peer: str, address: int, words: Sequence[int]) -> None:
        """Take 1 to 123 words into the holding registers, all or none."""
        ...


async def answer(unit: Unit, peer: str, request: bytes) -> bytes:
    """The reply to one request, both as PDU (function code and data); a refusal is a reply too."""
    try:
        return await _carry_out(unit, peer, request)
    except ModbusFault as fault:
        return refusal(request, fault.code)


def refusal(request: bytes, code: int) -> bytes:
    """The exception reply to a request."""
    return bytes((request[0] | 0x80, code))


async def _carry_out(unit: Unit, peer: str, request: bytes) -> bytes:
    match request[0]:
        case 3:
            return await _read(unit, peer, "holding", request)
        case 4:
            return await _read(unit, peer, "input", request)
        case 6:
            return await _write_one(unit, peer, request)
        case 16:
            return await _write_many(unit, peer, request)
        case 22:
            return await _mask(unit, peer, request)
        case 23:
            return await _write_then_read(unit, peer, request)
        case _:
            raise ModbusFault(ILLEGAL_FUNCTION)


async def _read(unit: Unit, peer: str, space: Space, request: bytes) -> bytes:
    _require(len(request) == 5)
    address, count = _PAIR.unpack_from(request, 1)
    _check_range(address, count, MAX_READ_WORDS)
    return _packed(request[0], count, await unit.read(peer, space, address, count))


async def _write_one(unit: Unit, peer: str, request: bytes) -> bytes:
    _require(len(request) == 5)
    address, word = _PAIR.unpack_from(request, 1)
    await unit.write(peer, address, (word,))
    return request


async def _write_many(unit: Unit, peer: str, request: bytes) -> bytes:
    _require(len(request) >= 6)
    address, count, byte_count = _TWO.unpack_from(request, 1)
    _require(byte_count == 2 * count == len(request) - 6)
    _check_range(address, count, MAX_WRITE_WORDS)
    await unit.write(peer, address, struct.unpack_from(f">{count}H", request, 6))
    return request[:5]


async def _mask(unit: Unit, peer: str, request: bytes) -> bytes:
    _require(len(request) == 7)
    address, and_mask, or_mask = _MASK.unpack_from(request, 1)
    (now,) = await unit.read(peer, "holding", address, 1)
    await unit.write(peer, address, ((now & and_mask) | (or_mask & ~and_mask & 0xFFFF),))
    return request


async def _write_then_read(unit: Unit, peer: str, request: bytes) -> bytes:
    _require(len(request) >= 10)
    read_address, read_count, address, count, byte_count = _FOUR.unpack_from(request, 1)
    _require(byte_count == 2 * count == len(request) - 10)
    _check_range(read_address, read_count, MAX_READ_WORDS)
    _check_range(address, count, MAX_EXCHANGE_WRITE_WORDS)
    await unit.write(peer, address, struct.unpack_from(f">{count}H", request, 10))
    return _packed(request[0], read_count, await unit.read(peer, "holding", read_address, read_count))


def _require(well_formed: bool) -> None:
    if not well_formed:
        raise ModbusFault(ILLEGAL_VALUE)


def _check_range(address: int, count: int, most: int) -> None:
    """The quantity is judged before the address, as the flow charts of V1.1b3 do."""
    _require(1 <= count <= most)
    if address + count > 0x10000:
        raise ModbusFault(ILLEGAL_ADDRESS)


def _packed(function: int, count: int, words: Sequence[int]) -> bytes:
    return struct.pack(f">BB{count}H", function, 2 * count, *words)


class ModbusTcpServer:
    """Units on one TCP address, answering as a device would.

    A unit that is not there is passed over in silence, as on a serial bus, or reported by exception 11
    as a gateway does. A frame with a foreign protocol id or an impossible length ends its connection,
    since nothing after it can be trusted to begin where a frame begins. Clients beyond `max_clients`
    are hung up on at once.
    """

    def __init__(
        self,
        units: Mapping[int, Unit],
        missing_unit: Literal["silent", "gateway"] = "gateway",
        max_clients: int | None = None,
    ) -> None:
        self._units = units
        self._missing_unit = missing_unit
        self._max_clients = max_clients
        self._server: asyncio.Server | None = None
        self._is_open = False
        self._clients: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def start(self, host: str, port: int) -> int:
        """Listen, and give the port that was bound (of use when `port` is 0); OSError when it cannot."""
        self._server = await asyncio.start_server(
            self._welcome, host, port, limit=MAX_FRAME_BYTES, start_serving=False
        )
        self._is_open = True
        await self._server.start_serving()
        bound_port: int = self._server.sockets[0].getsockname()[1]
        return bound_port

    async def stop(self) -> None:
        """Close listener and connections, also in mid-request; afterwards `start` may be called again."""
        self._is_open = False
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        clients = dict(self._clients)
        for task, writer in clients.items():
            writer.transport.abort()  # first, so that the sockets are closed when the tasks have ended
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        await server.wait_closed()

    def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        full = self._max_clients is not None and len(self._clients) >= self._max_clients
        peername = writer.get_extra_info("peername")  # None when the client has gone already
        if full or peername is None or not self._is_open:
            writer.transport.abort()
            return
        peer = f"{peername[0]}:{peername[1]}"
        task = asyncio.get_running_loop().create_task(self._serve(peer, reader, writer))
        self._clients[task] = writer
        task.add_done_callback(self._clients.pop)

    async def _serve(self, peer: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A client that hangs up, in mid-frame or not, is nobody's fault.
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            try:
                await self._converse(peer, reader, writer)
            finally:
                writer.close()
                await writer.wait_closed()

    async def _converse(self, peer: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            transaction, protocol, length, unit_id = MBAP.unpack(await reader.readexactly(MBAP.size))
            if protocol != 0 or not SHORTEST_LENGTH <= length <= LONGEST_LENGTH:
                return
            request = await reader.readexactly(length - 1)
            unit = self._units.get(unit_id)
            if unit is not None:
                reply = await answer(unit, peer, request)
            elif self._missing_unit == "gateway":
                reply = refusal(request, GATEWAY_TARGET_SILENT)
            else:
                continue
            writer.write(MBAP.pack(transaction, 0, len(reply) + 1, unit_id) + reply)
            await writer.drain()
