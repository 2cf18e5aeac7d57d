"""What a device does with a request, whatever brought it.

Source: MODBUS Application Protocol V1.1b3 (functions, quantities, exceptions).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Literal, Protocol

Space = Literal["holding", "input"]

ILLEGAL_FUNCTION = 1
ILLEGAL_ADDRESS = 2
ILLEGAL_VALUE = 3
DEVICE_FAILURE = 4
DEVICE_BUSY = 6
GATEWAY_PATH_UNAVAILABLE = 10
GATEWAY_TARGET_SILENT = 11

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
