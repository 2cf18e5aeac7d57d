"""A link finds its way back by itself, costs nobody time while it is down, and storms nobody."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from itertools import pairwise
from typing import Any

from drivers.link import LinkTiming, open_link
from tests.unit.raw_modbus import (
    failure,
    frame,
    honest,
    in_virtual_time,
    linked,
    mute,
    now_s,
    read,
    right_words,
    words_pdu,
)


def test_a_dead_host_costs_a_reader_no_time_and_is_found_again_when_it_returns() -> None:
    async def scenario() -> None:
        async with linked() as (link, device):
            await device.close()
            assert "not connected: connection refused; next try in 0.2 s" in await failure(link)
            for _ in range(100):
                await asyncio.sleep(0.3)
                started_s = now_s()
                assert "connection refused" in await failure(link)
                assert now_s() == started_s
            await device.open()
            await asyncio.sleep(6.1)  # the longest pause is 3 s and 20 %
            assert await read(link) == right_words(10, 2)
            assert link.connects == 1

    in_virtual_time(scenario())


def test_a_host_that_swallows_connects_costs_the_first_reader_his_deadline_and_the_others_nothing() -> None:
    async def scenario() -> None:
        with socket.socket() as hole, suppress(BlockingIOError):
            hole.bind(("127.0.0.1", 0))
            hole.listen(0)
            port = hole.getsockname()[1]
            plugs = [socket.socket() for _ in range(4)]
            for plug in plugs:  # fill the queue of connections that nobody accepts
                plug.setblocking(False)
                plug.connect_ex(("127.0.0.1", port))
            link = open_link(f"tcp://127.0.0.1:{port}", LinkTiming())
            assert "not connected yet" in await failure(link)
            assert now_s() == 0.5
            await asyncio.sleep(0.6)
            assert "not connected: no answer; next try in" in await failure(link)
            assert now_s() == 1.1
            await link.close()
            for plug in plugs:
                plug.close()

    in_virtual_time(scenario())


def test_a_device_that_accepts_and_hangs_up_sees_no_storm_of_connects() -> None:
    async def scenario() -> None:
        async with linked() as (link, device):

            async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                device.connected_at_s.append(now_s())
                writer.transport.abort()

            await device.close()
            rude = await asyncio.start_server(hang_up, "127.0.0.1", device.port)
            for _ in range(600):
                assert "closed by the device" in await failure(link)
                await asyncio.sleep(0.1)
            rude.close()
        tried_at_s = device.connected_at_s
        pauses_s = [later - earlier for earlier, later in pairwise(tried_at_s)]
        assert 15 <= len(pauses_s) <= 30
        for pause_s, nominal_s in zip(pauses_s, (0.2, 0.4, 0.8, 1.6, 3.0, 3.0, 3.0), strict=False):
            assert 0.8 * nominal_s <= pause_s <= 1.2 * nominal_s

    in_virtual_time(scenario())


def test_a_device_that_hangs_up_after_each_reply_is_read_once_a_second_without_a_failure() -> None:
    async def scenario() -> None:
        async def reply_and_leave(writer: asyncio.StreamWriter, *request: Any) -> None:
            await honest(writer, *request)
            writer.close()

        async with linked(reply_and_leave) as (link, device):
            for cycle in range(30):
                await asyncio.sleep(cycle - now_s())
                assert await read(link) == right_words(10, 2)
            assert all(later - earlier >= 1.0 for earlier, later in pairwise(device.connected_at_s))
            assert 29 <= link.connects <= 31

    in_virtual_time(scenario())


def test_one_unanswered_request_is_forgiven_and_two_in_a_row_make_a_new_connection() -> None:
    async def scenario() -> None:
        async with linked(timing=LinkTiming(timeout_s=0.3)) as (link, device):
            await read(link)
            for _ in range(5):
                device.handle = mute
                assert await failure(link, within_s=1.0) == "no answer within 0.3 s"
                device.handle = honest
                await read(link)
            assert link.connects == 1
            device.handle = mute
            await failure(link)
            await failure(link)
            device.handle = honest
            assert await read(link, within_s=1.0) == right_words(10, 2)
            assert link.connects == 2

    in_virtual_time(scenario())


def test_a_reset_in_mid_request_fails_it_at_once_and_the_next_cycle_reads_again() -> None:
    async def scenario() -> None:
        async def reset(writer: asyncio.StreamWriter, transaction: int, unit: int, pdu: bytes) -> None:
            writer.write(frame(transaction, unit, words_pdu(3, right_words(10, 2)))[:9])
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

        async with linked() as (link, device):
            await read(link)
            device.handle = reset
            await asyncio.sleep(2.0)
            assert "the connection was lost: " in await failure(link)
            assert now_s() == 2.0
            device.handle = honest
            assert await read(link) == right_words(10, 2)
            assert now_s() == 2.0

    in_virtual_time(scenario())


def test_transactions_are_counted_on_over_a_reconnect() -> None:
    async def scenario() -> None:
        seen: list[int] = []

        async def note(writer: asyncio.StreamWriter, transaction: int, unit: int, pdu: bytes) -> None:
            seen.append(transaction)
            await honest(writer, transaction, unit, pdu)
            if len(seen) == 2:
                writer.close()

        async with linked(note) as (link, _):
            for _ in range(4):
                await read(link)
                await asyncio.sleep(1.0)
            assert link.connects == 2
        assert len(set(seen)) == 4

    in_virtual_time(scenario())


def test_three_wrong_replies_within_ten_seconds_make_a_new_connection() -> None:
    async def scenario() -> None:
        async def foreign(writer: asyncio.StreamWriter, transaction: int, unit: int, pdu: bytes) -> None:
            writer.write(frame(transaction, 5, words_pdu(3, [1, 2])))

        async with linked() as (link, device):
            for pause_s in (6.0, 6.0, 6.0, 0.0):
                await read(link)
                device.handle = foreign
                assert await failure(link) == "a reply of unit 5 came instead"
                device.handle = honest
                await asyncio.sleep(pause_s)
            assert await read(link) == right_words(10, 2)
            assert (link.connects, link.discarded) == (1, 4)
            device.handle = foreign
            await failure(link)
            device.handle = honest
            assert await read(link) == right_words(10, 2)
            assert (link.connects, link.discarded) == (2, 5)

    in_virtual_time(scenario())


def test_closing_fails_a_request_in_flight_at_once_and_leaves_nothing_running() -> None:
    async def scenario() -> None:
        async with linked(mute) as (link, _):
            before = len(asyncio.all_tasks())
            reading = asyncio.create_task(failure(link, within_s=60.0))
            await asyncio.sleep(0.1)
            await link.close()
            assert await reading == "the link was closed"
            assert now_s() == 0.1
            await asyncio.sleep(0.0)
            assert len(asyncio.all_tasks()) <= before + 1  # the raw device's own
            assert await failure(link) == f"{link.connection}: the link was closed"
            await link.close()

    in_virtual_time(scenario())


def test_closing_while_connecting_fails_the_reader_who_waits() -> None:
    async def scenario() -> None:
        async with linked(timing=LinkTiming(connect_delay_s=5.0)) as (link, _):
            reading = asyncio.create_task(failure(link, within_s=60.0))
            await asyncio.sleep(1.0)
            await link.close()
            assert await reading == f"{link.connection}: the link was closed"

    in_virtual_time(scenario())


def test_a_device_that_stops_in_the_middle_of_a_reply_is_connected_to_anew() -> None:
    async def scenario() -> None:
        async def stutter(writer: asyncio.StreamWriter, transaction: int, unit: int, pdu: bytes) -> None:
            for byte in frame(transaction, unit, words_pdu(3, [1, 2])):
                writer.write(bytes((byte,)))
                await asyncio.sleep(0.1)

        async with linked() as (link, device):
            await read(link)
            device.handle = stutter
            assert await failure(link) == "no answer within 0.5 s"
            device.handle = honest
            assert await read(link, within_s=1.0) == right_words(10, 2)
            assert link.connects == 2

    in_virtual_time(scenario())
