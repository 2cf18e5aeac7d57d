"""A link gives the device's own words or an error, in time and in turn."""

from __future__ import annotations

import asyncio
import logging
from itertools import pairwise
from typing import Any

import pytest

from drivers.device import DeviceError
from drivers.link import LinkTiming, ModbusExceptionReply, open_link
from drivers.link.mbap import transaction_ids
from drivers.wire import ModbusTcpServer
from tests.unit.raw_modbus import (
    PlainUnit,
    failure,
    frame,
    honest,
    in_virtual_time,
    linked,
    mute,
    now_s,
    read,
    right_words,
)


def test_registers_are_read_and_written_on_a_real_server() -> None:
    async def scenario() -> None:
        unit = PlainUnit()
        server = ModbusTcpServer({1: unit})
        link = open_link(f"tcp://127.0.0.1:{await server.start('127.0.0.1', 0)}", LinkTiming())
        await link.write(1, 5, [0xFFFF, 1], now_s() + 0.5)
        await link.write(1, 7, [2], now_s() + 0.5, single=True)
        reading = await link.read(1, "holding", 4, 5, now_s() + 0.5)
        assert reading.words == (4, 0xFFFF, 1, 2, 8)
        assert reading.taken_at_s == now_s()
        assert (await link.read(1, "input", 0, 2, now_s() + 0.5)).words == (1000, 1001)
        assert link.connects == 1
        await link.close()
        await server.stop()

    in_virtual_time(scenario())


def test_a_refusal_by_the_device_carries_its_code_and_says_what_was_asked() -> None:
    async def scenario() -> None:
        server = ModbusTcpServer({1: PlainUnit()})
        link = open_link(f"tcp://127.0.0.1:{await server.start('127.0.0.1', 0)}", LinkTiming())
        with pytest.raises(ModbusExceptionReply, match=r"writing 1 registers at 0: .*value") as caught:
            await link.write(1, 0, [666], now_s() + 0.5)
        assert caught.value.code == 3
        with pytest.raises(ModbusExceptionReply, match=r"unit 9: .* behind the gateway") as caught:
            await link.read(9, "holding", 0, 1, now_s() + 0.5)
        assert caught.value.code == 11
        await link.close()
        await server.stop()

    in_virtual_time(scenario())


async def test_what_no_request_can_say_is_a_mistake_of_the_caller() -> None:
    link = open_link("tcp://127.0.0.1:1", LinkTiming())
    for unit, address, count in ((1, 0, 0), (1, 0, 126), (1, 65535, 2), (1, -1, 1), (256, 0, 1)):
        with pytest.raises(ValueError, match="no request can name"):
            await link.read(unit, "holding", address, count, now_s() + 0.5)
    with pytest.raises(ValueError, match="no request can name"):
        await link.write(1, 0, [1, 2], now_s() + 0.5, single=True)
    for word in (-5, 70_000):
        with pytest.raises(ValueError, match="registers hold 0 to 65535"):
            await link.write(1, 0, [word], now_s() + 0.5)
    await link.close()


def test_the_deadline_of_the_caller_comes_before_the_timeout_of_the_link() -> None:
    async def scenario() -> None:
        async with linked(mute) as (link, _):
            assert await failure(link, within_s=0.2) == "no answer within 0.2 s"
            assert now_s() == 0.2
            assert await failure(link, within_s=9.0) == "no answer within 0.5 s"
            assert now_s() == 0.7

    in_virtual_time(scenario())


def test_a_late_reply_is_never_taken_for_the_next_one() -> None:
    async def scenario() -> None:
        async def late(writer: asyncio.StreamWriter, *request: Any) -> None:
            await asyncio.sleep(0.4)
            await honest(writer, *request)

        async with linked(late, LinkTiming(timeout_s=0.3)) as (link, device):
            assert await failure(link) == "no answer within 0.3 s"
            device.handle = honest
            assert await read(link, address=500) == right_words(500, 2)
            assert link.discarded == 1
            assert link.connects == 1

    in_virtual_time(scenario())


def test_a_cancelled_caller_leaves_no_half_request_behind() -> None:
    async def scenario() -> None:
        async def slow(writer: asyncio.StreamWriter, *request: Any) -> None:
            await asyncio.sleep(0.2)
            await honest(writer, *request)

        async with linked(slow) as (link, _):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await read(link, within_s=5.0)
            assert await read(link, address=500, within_s=1.0) == right_words(500, 2)
            assert now_s() == 0.4  # the next one waited for the reply that was still due
            assert (link.connects, link.discarded) == (1, 0)

    in_virtual_time(scenario())


def test_a_write_whose_caller_gave_up_waiting_for_his_turn_is_never_sent() -> None:
    async def scenario() -> None:
        functions: list[int] = []

        async def slow(writer: asyncio.StreamWriter, transaction: int, unit: int, pdu: bytes) -> None:
            functions.append(pdu[0])
            await asyncio.sleep(0.2)
            await honest(writer, transaction, unit, pdu)

        async with linked(slow) as (link, _):
            reading = asyncio.create_task(read(link))
            await asyncio.sleep(0.1)
            writing = asyncio.create_task(link.write(1, 0, [1], now_s() + 1.0))
            await asyncio.sleep(0.05)
            writing.cancel()
            with pytest.raises(DeviceError, match="others kept the bus busy until the deadline"):
                await link.write(1, 0, [1], now_s() + 0.01)
            await reading
            await asyncio.sleep(1.0)
        assert functions == [3]

    in_virtual_time(scenario())


def test_requests_of_many_units_take_turns_with_the_silence_that_the_bus_needs() -> None:
    async def scenario() -> None:
        asked_at_s: list[float] = []

        async def note(writer: asyncio.StreamWriter, *request: Any) -> None:
            asked_at_s.append(now_s())
            await honest(writer, *request)

        timing = LinkTiming(min_gap_s=0.05, connect_delay_s=1.5)
        async with linked(note, timing) as (link, _):
            deadline_s = now_s() + 2.0
            readings = [link.read(unit, "holding", 100 * unit, 1, deadline_s) for unit in range(1, 5)]
            words = [list(reading.words) for reading in await asyncio.gather(*readings)]
        assert words == [right_words(100 * unit, 1) for unit in range(1, 5)]
        assert asked_at_s == pytest.approx([1.5, 1.55, 1.6, 1.65])

    in_virtual_time(scenario())


def test_a_busy_device_is_asked_again_after_100_200_and_400_ms_within_the_deadline() -> None:
    async def scenario() -> None:
        asked_at_s: list[float] = []

        async def busy(writer: asyncio.StreamWriter, transaction: int, unit: int, pdu: bytes) -> None:
            asked_at_s.append(now_s())
            writer.write(frame(transaction, unit, bytes((pdu[0] | 0x80, 6))))

        async with linked(busy) as (link, _):
            assert "device busy (exception 6)" in await failure(link, within_s=5.0)
            assert asked_at_s == pytest.approx([0.0, 0.1, 0.3, 0.7])
            asked_at_s.clear()
            assert "device busy (exception 6)" in await failure(link, within_s=0.25)
            assert asked_at_s == pytest.approx([0.7, 0.8])

    in_virtual_time(scenario())


def test_users_see_our_sentences_and_none_of_the_library(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async def babble(writer: asyncio.StreamWriter, *request: Any) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        async with linked(babble) as (link, device):
            assert "the device does not speak Modbus: it sent 48 54 54 50" in await failure(link)
            device.handle = mute
            await asyncio.sleep(1.0)
            await failure(link)

    with caplog.at_level(logging.DEBUG):
        in_virtual_time(scenario())
    assert [record.getMessage() for record in caplog.records if record.name != "asyncio"] == []


@pytest.mark.parametrize(
    ("unit", "reply_hex", "sentence"),
    [
        (2, "03 04 0001 0002", "a reply of unit 2 came instead"),
        (1, "04 04 0001 0002", "the reply is to function 4 instead of 3"),
        (1, "84 02", "the reply is to function 132 instead of 3"),
        (1, "83 02 00", "the reply is to function 131 instead of 3"),
        (1, "83", "the reply is to function 131 instead of 3"),
        (1, "03 02 0001", "the reply has 4 bytes instead of 6"),
        (1, "03 06 0001 0002 0003", "the reply has 8 bytes instead of 6"),
        (1, "03 02 0001 0002", "the reply begins 03 02 instead of 03 04"),
        (1, "83 02", "illegal data address (exception 2)"),
        (1, "83 99", "unknown reason (exception 153)"),
    ],
)
def test_the_operator_is_told_what_is_wrong_with_a_reply(unit: int, reply_hex: str, sentence: str) -> None:
    async def scenario() -> None:
        async def wrong(writer: asyncio.StreamWriter, transaction: int, _: int, pdu: bytes) -> None:
            writer.write(frame(transaction, unit, bytes.fromhex(reply_hex)))

        async with linked(wrong) as (link, _):
            assert await failure(link) == sentence

    in_virtual_time(scenario())


def test_a_write_counts_only_if_its_very_echo_comes_back() -> None:
    async def scenario() -> None:
        async def off_by_one(writer: asyncio.StreamWriter, transaction: int, unit: int, pdu: bytes) -> None:
            writer.write(frame(transaction, unit, pdu[:4] + bytes((pdu[4] + 1,))))

        async with linked(off_by_one) as (link, _):
            for single in (False, True):
                with pytest.raises(DeviceError, match=r"the reply begins .* instead of"):
                    await link.write(1, 5, [9], now_s() + 0.5, single=single)

    in_virtual_time(scenario())


def test_a_timeout_tells_of_the_foreign_reply_that_came_instead() -> None:
    async def scenario() -> None:
        async def unnumbered(writer: asyncio.StreamWriter, transaction: int, unit: int, pdu: bytes) -> None:
            await honest(writer, 0, unit, pdu)

        async with linked(unnumbered) as (link, _):
            expected = "no answer within 0.5 s, but a reply to transaction 0 instead of 1"
            assert await failure(link, within_s=1.0) == expected

    in_virtual_time(scenario())


def test_transactions_are_numbered_far_from_one_another_and_none_is_left_out() -> None:
    ids = transaction_ids()
    found = [next(ids) for _ in range(65_535)]
    assert sorted(found) == list(range(1, 65_536))
    assert next(ids) == found[0]
    assert all(abs(later - earlier) > 5 for earlier, later in pairwise(found))
