"""Serial Modbus frames: unit, PDU, checksum; how long a frame is, and how long silence must be.

Source: MODBUS over Serial Line Specification V1.02, section 2.5.1 (RTU mode) and appendix B (CRC).
"""

from __future__ import annotations

from drivers.address import SerialAddress

MAX_FRAME_BYTES = 256
SHORTEST_FRAME_BYTES = 4
EXCEPTION_BYTES = 5

_BITS_AT_MOST_19200 = 11
_FIXED_SILENCE_S = 0.00175


def _table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0xA001 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_CRC = _table()


def crc(data: bytes) -> bytes:
    """The two bytes that end a frame."""
    found = 0xFFFF
    for byte in data:
        found = (found >> 8) ^ _CRC[(found ^ byte) & 0xFF]
    return found.to_bytes(2, "little")


def framed(unit: int, pdu: bytes) -> bytes:
    """A whole frame."""
    head = bytes((unit,)) + pdu
    return head + crc(head)


def is_whole(frame: bytes) -> bool:
    """Whether these bytes are a frame whose checksum is right."""
    return SHORTEST_FRAME_BYTES <= len(frame) <= MAX_FRAME_BYTES and crc(frame[:-2]) == frame[-2:]


def reply_bytes(heard: bytes | bytearray) -> int | None:
    """How long the reply that begins here is; None when it is too early to say, 0 when nobody can."""
    if len(heard) < 3:
        return None
    function = heard[1]
    if function & 0x80:
        return EXCEPTION_BYTES
    if function in (3, 4, 23):
        return 5 + heard[2]
    return {6: 8, 16: 8, 22: 10}.get(function, 0)


def request_bytes(heard: bytes | bytearray) -> int | None:
    """As `reply_bytes`, of the request that begins here."""
    if len(heard) < 2:
        return None
    function = heard[1]
    if function in (1, 2, 3, 4, 5, 6):
        return 8
    if function == 22:
        return 10
    counts_at = {15: 6, 16: 6, 23: 10}.get(function, 0)
    if counts_at == 0:
        return 0
    return None if len(heard) <= counts_at else counts_at + 3 + heard[counts_at]


def silence_s(address: SerialAddress) -> float:
    """The 3.5 characters that part two frames, and a fixed time above 19,200 baud."""
    if address.baud > 19200:
        return _FIXED_SILENCE_S
    return 3.5 * _BITS_AT_MOST_19200 / address.baud


def on_the_line_s(address: SerialAddress, byte_count: int) -> float:
    """How long so many bytes take."""
    parity_bits = 0 if address.parity == "N" else 1
    return byte_count * (9 + parity_bits + address.stop_bits) / address.baud
