"""Requests of one connection, answered in the order they came, as frames with an MBAP header or as RTU.

Sources: MODBUS Messaging on TCP/IP Implementation Guide V1.0b (MBAP header); MODBUS over Serial Line
V1.02, section 2.5.1 (RTU).
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

from drivers import rtu
from drivers.wire.pdu import GATEWAY_TARGET_SILENT, Unit, answer, refusal

MBAP = struct.Struct(">HHHB")  # transaction, protocol (0), length from here on plus 1, unit
MAX_FRAME_BYTES = 260
SHORTEST_LENGTH, LONGEST_LENGTH = 2, MAX_FRAME_BYTES - 6  # what the MBAP length may say

SILENCE_S = 0.02
"""What ends an unfinished RTU frame: longer than any pause inside one (1.5 characters, 14 ms at 1200 baud;
USB adapters hand on what they heard in lumps up to 16 ms apart)."""

BROADCAST, WRITES = 0, frozenset({5, 6, 15, 16, 22})
"""On a serial line everybody carries out what is written to unit 0, and nobody answers."""

MissingUnit = Literal["silent", "gateway"]
Converse = Callable[
    [Mapping[int, Unit], MissingUnit, str, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]
]


async def mbap_frames(
    units: Mapping[int, Unit],
    missing_unit: MissingUnit,
    peer: str,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """Until a frame with a foreign protocol id or an impossible length: nothing after it can be trusted."""
    while True:
        await others_turn()
        transaction, protocol, length, unit_id = MBAP.unpack(await reader.readexactly(MBAP.size))
        if protocol != 0 or not SHORTEST_LENGTH <= length <= LONGEST_LENGTH:
            return
        request = await reader.readexactly(length - 1)
        unit = units.get(unit_id)
        if unit is not None:
            reply = await answer(unit, peer, request)
        elif missing_unit == "gateway":
            reply = refusal(request, GATEWAY_TARGET_SILENT)
        else:
            continue
        writer.write(MBAP.pack(transaction, 0, len(reply) + 1, unit_id) + reply)
        await writer.drain()


async def rtu_frames(
    units: Mapping[int, Unit],
    missing_unit: MissingUnit,
    peer: str,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """Until the line ends. What is no request is passed over up to the next silence, without a reply.

    `missing_unit` has no meaning here: a unit that is not on the line does not answer.
    """

    async def reply(frame: bytes) -> None:
        pdu = await serial_answer(units, peer, frame)
        if pdu is not None:
            writer.write(rtu.framed(frame[0], pdu))
            await writer.drain()

    await rtu_requests(reader, reply)


async def serial_answer(units: Mapping[int, Unit], peer: str, frame: bytes) -> bytes | None:
    """What the units on a line reply to a request; None where none of them does, as to a broadcast."""
    unit, request = units.get(frame[0]), frame[1:-2]
    if frame[0] == BROADCAST and frame[1] in WRITES:
        for each in units.values():
            await answer(each, peer, request)
        return None
    return None if unit is None else await answer(unit, peer, request)


async def rtu_requests(reader: asyncio.StreamReader, reply: Callable[[bytes], Awaitable[None]]) -> None:
    """Hand on each whole request, until the line ends."""
    heard = bytearray()
    while True:
        await others_turn()
        chunk = await _next_lump(reader, SILENCE_S if heard else None)
        if chunk is None:
            # A function whose requests have no known length ends by silence.
            if rtu.is_whole(bytes(heard)):
                await reply(bytes(heard))
            heard.clear()
            continue
        if not chunk:
            return
        heard += chunk
        while (length := rtu.request_bytes(heard)) and len(heard) >= length:
            frame = bytes(heard[:length])
            if not rtu.is_whole(frame):
                break
            del heard[:length]
            await reply(frame)
        del heard[2 * rtu.MAX_FRAME_BYTES :]


async def others_turn() -> None:
    """Reading waits for nothing while a client has sent more than was answered: the others come first."""
    await asyncio.sleep(0)


async def _next_lump(reader: asyncio.StreamReader, within_s: float | None) -> bytes | None:
    """What comes next, nothing at the end of the line; None if there was silence."""
    try:
        async with asyncio.timeout(within_s):
            return await reader.read(MAX_FRAME_BYTES)
    except TimeoutError:
        return None
