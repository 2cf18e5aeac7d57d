"""A link on a serial line keeps the silences, finds its place again, and survives its adapter."""

from __future__ import annotations

import asyncio
from pathlib import Path
from sys import gettrace, settrace
from types import FrameType
from typing import TYPE_CHECKING

import pytest

from drivers import rtu
from drivers.device import DeviceError
from drivers.link import LinkTiming, open_link
from drivers.wire import ModbusTcpServer, rtu_frames, serve
from simulators.serial_pair import pty_pair
from tests.unit.raw_modbus import PlainUnit, in_virtual_time, now_s, read, right_reply, right_words
from tests.unit.raw_modbus import failure as failure_of_read
from tests.unit.raw_rtu import RawLine, honest, mute, rtu_link

if TYPE_CHECKING:
    from _typeshed import TraceFunction


def test_a_late_reply_is_waited_out_and_never_taken_for_the_next_one() -> None:
    async def scenario() -> None:
        async def late(line: RawLine, unit: int, pdu: bytes) -> None:
            await asyncio.sleep(0.7)
            line.say(rtu.framed(unit, right_reply(pdu)))

        with rtu_link(late, LinkTiming(timeout_s=0.5, hold_off_s=0.3)) as (link, line):
            await asyncio.sleep(0.0)
            assert "no answer within 0.5 s" in await failure_of_read(link, within_s=0.7)
            line.handle = honest
            asked_at_s = now_s()
            assert await read(link, address=500, within_s=1.0) == right_words(500, 2)
            assert now_s() - asked_at_s == pytest.approx(0.3, abs=0.01)  # the hold-off
            assert link.connects == 1
            await link.close()

    in_virtual_time(scenario())


def test_a_request_that_meets_the_hold_off_at_its_deadline_says_so() -> None:
    async def scenario() -> None:
        with rtu_link(mute) as (link, _):
            await failure_of_read(link, within_s=0.6)
            assert "an earlier request could still have come" in await failure_of_read(link, within_s=0.1)
            await link.close()

    in_virtual_time(scenario())


def test_the_time_on_the_line_does_not_count_against_the_patience_with_the_device() -> None:
    async def scenario() -> None:
        with rtu_link(mute, LinkTiming(timeout_s=0.5), "rtu:///dev/ttyTEST?baud=1200") as (link, _):
            # 8 bytes there and 255 bytes back, of 11 bits each: 2.41 s.
            with pytest.raises(DeviceError, match=r"no answer within 2\.9 s"):
                await link.read(1, "holding", 0, 125, now_s() + 9.0)
            await link.close()

    in_virtual_time(scenario())


def test_between_a_reply_and_the_next_request_lies_the_silence_of_the_standard() -> None:
    async def scenario() -> None:
        asked_at_s: list[float] = []

        async def note(line: RawLine, unit: int, pdu: bytes) -> None:
            asked_at_s.append(now_s())
            await honest(line, unit, pdu)

        for timing, gap_s in ((LinkTiming(), 0.00175), (LinkTiming(turnaround_s=0.1), 0.1)):
            with rtu_link(note, timing) as (link, _):
                asked_at_s.clear()
                for _ in range(3):
                    await read(link)
                assert [later - asked_at_s[0] for later in asked_at_s] == pytest.approx([0, gap_s, 2 * gap_s])
                await link.close()

    in_virtual_time(scenario())


def test_no_end_of_glitches_costs_no_step_for_each_of_them() -> None:
    """A gateway that floods a link with what may stand before a frame must not hold up all the others."""
    steps = 0

    def watch(frame: FrameType, event: str, _: object) -> TraceFunction | None:
        nonlocal steps
        if frame.f_code.co_filename.endswith("rtu.py"):
            steps += event == "line"
            return watch
        return None

    async def flood(line: RawLine, unit: int, pdu: bytes) -> None:
        settrace(watch)
        line.say(b"\xff" * 100_000)
        settrace(before)
        await honest(line, unit, pdu)

    async def scenario() -> None:
        with rtu_link(flood) as (link, _):
            assert await read(link) == right_words(10, 2)
            await link.close()

    before = gettrace()
    in_virtual_time(scenario())
    assert 0 < steps < 100


@pytest.mark.parametrize("noise", [b"\0", b"\xff\xff", b"\0\xff\0"])
def test_a_line_that_crackles_when_it_turns_round_is_read_all_the_same(noise: bytes) -> None:
    async def scenario() -> None:
        async def crackle(line: RawLine, unit: int, pdu: bytes) -> None:
            line.say(noise)
            await asyncio.sleep(0.01)
            line.say(rtu.framed(unit, right_reply(pdu)))

        with rtu_link(crackle) as (link, _):
            assert await read(link) == right_words(10, 2)
            await link.close()

    in_virtual_time(scenario())


def test_after_noise_the_next_request_is_answered() -> None:
    async def scenario() -> None:
        async def noise(line: RawLine, unit: int, pdu: bytes) -> None:
            line.say(b"\x01\x03\x99noise")
            line.handle = honest

        with rtu_link(noise, LinkTiming(timeout_s=0.2, hold_off_s=0.1)) as (link, _):
            assert "no answer within" in await failure_of_read(link)
            assert await read(link) == right_words(10, 2)
            assert link.connects == 1
            await link.close()

    in_virtual_time(scenario())


def test_a_garbled_reply_fails_at_once_and_is_counted() -> None:
    async def scenario() -> None:
        async def flip(line: RawLine, unit: int, pdu: bytes) -> None:
            frame = bytearray(rtu.framed(unit, right_reply(pdu)))
            frame[4] ^= 1
            line.say(bytes(frame))

        with rtu_link(flip) as (link, _):
            began_s = now_s()
            said = await failure_of_read(link)
            assert said.startswith("the reply is garbled: its checksum is wrong (01 03 04 00 48 00 50 ")
            assert now_s() - began_s == pytest.approx(0.04)  # a line just opened is listened to first
            assert link.discarded == 1
            await link.close()

    in_virtual_time(scenario())


def test_a_reply_byte_by_byte_is_a_reply() -> None:
    async def scenario() -> None:
        async def stutter(line: RawLine, unit: int, pdu: bytes) -> None:
            for byte in rtu.framed(unit, right_reply(pdu)):
                line.say(bytes((byte,)))
                await asyncio.sleep(0.01)

        with rtu_link(stutter) as (link, _):
            assert await read(link) == right_words(10, 2)
            await link.close()

    in_virtual_time(scenario())


def test_a_line_that_echoes_is_found_out_and_no_echo_confirms_a_write() -> None:
    async def scenario() -> None:
        async def echo(line: RawLine, unit: int, pdu: bytes) -> None:
            line.say(rtu.framed(unit, pdu))
            await asyncio.sleep(0.01)
            line.say(rtu.framed(unit, right_reply(pdu)))

        async def echo_only(line: RawLine, unit: int, pdu: bytes) -> None:
            line.say(rtu.framed(unit, pdu))

        for said_to_echo in (False, True):
            with rtu_link(echo, LinkTiming(local_echo=said_to_echo)) as (link, line):
                if not said_to_echo:
                    assert await read(link) == right_words(10, 2)
                await link.write(1, 5, [7], now_s() + 0.5, single=True)
                await link.write(1, 5, [7, 8], now_s() + 0.5)
                line.handle = echo_only
                with pytest.raises(DeviceError, match="no answer within"):
                    await link.write(1, 5, [7], now_s() + 0.6, single=True)
                await link.close()

    in_virtual_time(scenario())


def test_a_line_on_which_something_always_sends_is_not_talked_into() -> None:
    async def scenario() -> None:
        with rtu_link() as (link, line):
            await read(link)
            sent = len(line.heard)

            async def babble() -> None:
                while True:
                    line.say(b"\x55")
                    await asyncio.sleep(0.02)

            babbling = asyncio.create_task(babble())
            await asyncio.sleep(0.1)
            assert "the line is never quiet" in await failure_of_read(link)
            assert len(line.heard) == sent
            babbling.cancel()
            await asyncio.sleep(2.0)
            assert await read(link) == right_words(10, 2)
            await link.close()

    in_virtual_time(scenario())


def test_an_adapter_that_is_pulled_out_is_taken_up_again_within_two_seconds_of_its_return() -> None:
    async def scenario() -> None:
        with rtu_link(mute) as (link, line):
            line.handle = honest
            await read(link)
            line.handle = mute
            reading = asyncio.create_task(failure_of_read(link))
            await asyncio.sleep(0.1)
            line.pull_out()
            assert await reading == "the serial device vanished"
            line.handle = honest
            await asyncio.sleep(10.0)
            began_s = now_s()
            assert "is the adapter plugged in?; next try in" in await failure_of_read(link)
            assert now_s() == began_s
            line.present = True
            await asyncio.sleep(1.3)
            assert await read(link) == right_words(10, 2)
            assert (link.connects, line.opened) == (2, 2)
            await link.close()

    in_virtual_time(scenario())


def test_both_ends_meet_on_a_real_serial_pair_and_again_after_it_was_gone(tmp_path: Path) -> None:
    async def scenario() -> None:
        near, far = tmp_path / "near", tmp_path / "far"
        connection = f"rtu://{near}?baud=38400&parity=E"
        link = open_link(connection, LinkTiming())
        assert "no such serial device" in await failure_of_read(link)
        with pty_pair(near, far):
            server = await serve(f"rtu://{far}?baud=38400", {1: PlainUnit(), 2: PlainUnit()})
            await asyncio.sleep(2.0)
            assert await read(link) == [10, 11]
            with pytest.raises(OSError, match="another program uses it"):
                await serve(connection, {})
        await asyncio.sleep(3.0)
        assert "not connected: there is no such serial device" in await failure_of_read(link)
        with pty_pair(near, far):
            await asyncio.sleep(2.0)
            assert await read(link) == [10, 11]
            words = await link.read(2, "input", 0, 125, now_s() + 1.0)
            assert words.words == tuple(range(1000, 1125))
            with pytest.raises(DeviceError, match="no answer within"):
                await link.read(9, "holding", 0, 1, now_s() + 1.0)
            await link.close()
            await server.stop()

    in_virtual_time(scenario(), quiesce_s=0.03)  # the kernel takes its time with ttys


def test_behind_a_gateway_a_unit_that_was_silent_is_asked_again_only_on_a_new_connection() -> None:
    async def scenario() -> None:
        unit = PlainUnit()
        server = ModbusTcpServer({1: unit}, converse=rtu_frames)
        port = await server.start("127.0.0.1", 0)
        link = open_link(f"rtu+tcp://127.0.0.1:{port}", LinkTiming())
        assert await read(link) == [10, 11]
        unit.go_on.clear()
        assert await failure_of_read(link, within_s=0.9) == "no answer within 0.5 s"
        unit.go_on.set()
        assert await read(link, within_s=2.0) == [10, 11]
        assert link.connects == 2
        await link.close()
        await server.stop()

    in_virtual_time(scenario())


def test_behind_a_gateway_the_answer_of_another_unit_proves_that_no_late_one_is_left_in_tcp() -> None:
    async def scenario() -> None:
        slow = PlainUnit()
        server = ModbusTcpServer({1: PlainUnit(), 2: slow}, converse=rtu_frames)
        port = await server.start("127.0.0.1", 0)
        link = open_link(f"rtu+tcp://127.0.0.1:{port}", LinkTiming())
        assert await read(link) == [10, 11]
        with pytest.raises(DeviceError, match="no answer"):
            await link.read(9, "holding", 0, 1, now_s() + 1.0)
        assert await read(link) == [10, 11]
        with pytest.raises(DeviceError, match="no answer"):
            await link.read(9, "holding", 0, 1, now_s() + 1.0)
        assert link.connects == 1
        # Now unit 9 is owed an answer and let alone; once it may be asked, nobody has answered since.
        await asyncio.sleep(1.3)
        with pytest.raises(DeviceError, match="its answer may still be on its way"):
            await link.read(9, "holding", 0, 1, now_s() + 1.0)
        assert await read(link, within_s=2.0) == [10, 11]
        assert link.connects == 2
        await link.close()
        await server.stop()

    in_virtual_time(scenario())
