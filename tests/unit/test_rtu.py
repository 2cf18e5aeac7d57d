"""Serial frames: the checksum, how long a frame is, and how long silence must be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import rtu
from drivers.address import SerialAddress


def test_the_checksum_example_of_the_standard_comes_out() -> None:
    # V1.02, section 6.2.2: a message of 02 07 ends in 41 12.
    assert rtu.framed(2, b"\x07") == bytes.fromhex("02 07 41 12")


def test_a_read_of_ten_registers_is_the_frame_that_every_manual_prints() -> None:
    assert rtu.framed(1, bytes.fromhex("03 0000 000a")) == bytes.fromhex("01 03 0000 000a c5cd")


@given(st.integers(0, 255), st.binary(min_size=1, max_size=253), st.data())
def test_up_to_three_wrong_bits_are_always_found(unit: int, pdu: bytes, data: st.DataObject) -> None:
    frame = bytearray(rtu.framed(unit, pdu))
    assert rtu.is_whole(bytes(frame))
    for bit in data.draw(st.sets(st.integers(0, 8 * len(frame) - 1), min_size=1, max_size=3)):
        frame[bit // 8] ^= 1 << bit % 8
    assert not rtu.is_whole(bytes(frame))


@pytest.mark.parametrize(
    ("request_hex", "reply_hex"),
    [
        ("03 0000 0002", "03 04 0001 0002"),
        ("04 0000 0001", "04 02 0001"),
        ("06 0005 ffff", "06 0005 ffff"),
        ("10 0006 0002 04 1234 5678", "10 0006 0002"),
        ("16 0004 00f2 0025", "16 0004 00f2 0025"),
        ("17 0003 0002 0004 0001 02 00aa", "17 04 0003 00aa"),
        ("03 0000 0002", "83 02"),
    ],
)
def test_a_frame_says_how_long_it_is_before_it_ends(request_hex: str, reply_hex: str) -> None:
    asked = rtu.framed(1, bytes.fromhex(request_hex))
    replied = rtu.framed(1, bytes.fromhex(reply_hex))
    for length_of, frame in ((rtu.request_bytes, asked), (rtu.reply_bytes, replied)):
        for known in range(len(frame) + 1):
            assert length_of(frame[:known]) in (None, len(frame))
        assert length_of(frame) == len(frame)


def test_of_an_unknown_function_nobody_knows_the_length() -> None:
    assert rtu.request_bytes(bytes.fromhex("01 2b 0e 01")) == 0
    assert rtu.reply_bytes(bytes.fromhex("01 2b 0e 01")) == 0


def test_silence_is_three_and_a_half_characters_and_never_less_than_1750_us() -> None:
    assert rtu.silence_s(SerialAddress("/dev/ttyS0", 9600)) == pytest.approx(0.00401, abs=1e-5)
    assert rtu.silence_s(SerialAddress("/dev/ttyS0", 19200)) == pytest.approx(0.00201, abs=1e-5)
    assert rtu.silence_s(SerialAddress("/dev/ttyS0", 115200)) == 0.00175


def test_a_byte_takes_its_start_parity_and_stop_bits_too() -> None:
    # 96 bytes of 11 bits at 9600 baud; without parity it is 10 bits.
    assert rtu.on_the_line_s(SerialAddress("/dev/ttyS0", 9600, "E", 1), 96) == pytest.approx(0.11)
    assert rtu.on_the_line_s(SerialAddress("/dev/ttyS0", 9600, "N", 1), 96) == pytest.approx(0.10)
