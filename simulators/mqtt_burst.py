"""A client that has queued messages while nobody listened, and now sends them all at once.

Bytes of MQTT 3.1.1 (OASIS standard, sections 2.2 and 3.1 to 3.3), made by hand: a client library would
send no faster than it gets on with its own queue.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from contextlib import suppress

from drivers.address import Address

CONNECT, PUBLISH = 0x10, 0x30
CONNACK_BYTES = 4
IN_A_STEP = 200
CLEAN_SESSION = 0x02
Letters = Sequence[tuple[str, bytes]]
"""Topics and payloads, the oldest first."""


async def send_at_once(to: Address, client_id: str, letters: Letters) -> None:
    """Publish with QoS 0 and stay until cancelled: some brokers forget what they have not yet passed on.

    Nothing happens where the broker cannot be reached or does not let us in.
    """
    with suppress(OSError, asyncio.IncompleteReadError):
        reader, writer = await asyncio.open_connection(to.host, to.port)
        try:
            header = b"\x00\x04MQTT\x04" + struct.pack(">BH", CLEAN_SESSION, 0)
            writer.write(_packet(CONNECT, header + _text(client_id)))
            await reader.readexactly(CONNACK_BYTES)
            for at in range(0, len(letters), IN_A_STEP):
                some = letters[at : at + IN_A_STEP]
                writer.write(b"".join(_packet(PUBLISH, _text(topic) + payload) for topic, payload in some))
                await asyncio.sleep(0)  # who lives in the same loop shall not wait for us
            await reader.read()
        finally:
            writer.close()


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">H", len(data)) + data


def _packet(kind: int, body: bytes) -> bytes:
    """With the length in seven bits a byte, the lowest first."""
    length, left = bytearray(), len(body)
    while True:
        left, low = divmod(left, 128)
        length.append(low | (0x80 if left else 0))
        if not left:
            return bytes((kind, *length)) + body
