"""Several units behind one link share it fairly, and a dead one is the others' problem only once."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise
from typing import Any

import pytest

from drivers.device import DeviceError
from drivers.link import Link, LinkTiming
from drivers.link.patience import Patience
from drivers.link.turns import Turns
from tests.unit.raw_modbus import frame, honest, in_virtual_time, linked, now_s, right_reply
from tests.unit.raw_rtu import RawLine, rtu_link
from tests.unit.raw_rtu import honest as honest_on_the_line

DEAD = 3


async def all_but_one(writer: asyncio.StreamWriter, transaction: int, unit: int, pdu: bytes) -> None:
    """A gateway with 5 ms of serial line behind it, on which unit 3 is dead."""
    await asyncio.sleep(0.005)
    if unit != DEAD:
        writer.write(frame(transaction, unit, right_reply(pdu)))


async def reading(link: Link, unit: int, deadline_s: float) -> tuple[float, str]:
    """How long it took, and what went wrong."""
    began_s = now_s()
    try:
        await link.read(unit, "holding", 10, 2, deadline_s)
    except DeviceError as error:
        return now_s() - began_s, str(error)
    return now_s() - began_s, ""


def test_the_earliest_deadline_goes_first_and_equal_ones_go_round() -> None:
    async def scenario() -> None:
        turns, order = Turns(), []

        async def work(name: str, unit: int, deadline_s: float) -> None:
            await turns.take(unit, deadline_s)
            order.append(name)
            await asyncio.sleep(0.01)
            turns.give_back()

        await asyncio.gather(
            work("first come", 1, 0.9),
            *(work(f"unit 1 number {number}", 1, 0.8) for number in range(3)),
            *(work(f"unit 2 number {number}", 2, 0.8) for number in range(2)),
            work("urgent", 1, 0.2),
        )
        assert order == [
            "first come",
            "urgent",
            "unit 2 number 0",
            "unit 1 number 0",
            "unit 2 number 1",
            "unit 1 number 1",
            "unit 1 number 2",
        ]

    in_virtual_time(scenario())


def test_a_unit_on_hold_lets_others_pass_and_has_its_turn_as_soon_as_it_may() -> None:
    async def scenario() -> None:
        turns, at_s = Turns(), {}

        async def work(unit: int, *, last: bool = False) -> None:
            await turns.take(unit, 9.0, last=last)
            at_s[unit] = now_s()
            await asyncio.sleep(0.1)
            turns.give_back()

        turns.hold(1, 0.35)
        await asyncio.gather(work(3, last=True), work(1), work(2))
        assert at_s == pytest.approx({2: 0.0, 3: 0.12, 1: 0.35})

    in_virtual_time(scenario())


def test_who_gives_up_waiting_leaves_the_turn_to_the_next_one() -> None:
    async def scenario() -> None:
        turns = Turns()
        await turns.take(1, 1.0)
        with pytest.raises(TimeoutError):
            await turns.take(2, 0.5)
        cancelled = asyncio.create_task(turns.take(2, 9.0))
        waiting = asyncio.create_task(turns.take(3, 9.0))
        await asyncio.sleep(0.0)
        turns.give_back()
        cancelled.cancel()  # in the very instant of its turn
        await waiting
        assert cancelled.cancelled()
        turns.give_back()

    in_virtual_time(scenario())


@pytest.mark.parametrize("kind", ["tcp gateway", "serial line"])
def test_a_dead_unit_costs_the_others_its_first_timeouts_and_then_next_to_nothing(kind: str) -> None:
    async def cycles(link: Link) -> None:
        worst_s, delayed = 0.0, 0
        for cycle in range(120):
            await asyncio.sleep(cycle - now_s())
            deadline_s = now_s() + 0.8
            found = await asyncio.gather(*(reading(link, unit, deadline_s) for unit in (DEAD, 1, 2, 4, 5)))
            assert found[0][1] != ""
            assert [said for _, said in found[1:]] == [""] * 4
            slowest_s = max(took_s for took_s, _ in found[1:])
            if cycle >= 2:
                worst_s = max(worst_s, slowest_s)
            delayed += slowest_s > 0.05
        assert worst_s < 0.05
        assert delayed <= 2
        assert link.connects == 1

    async def over_tcp() -> None:
        async with linked(all_but_one, LinkTiming(timeout_s=0.3)) as (link, _):
            await cycles(link)

    async def over_serial() -> None:
        async def line_but_one(line: RawLine, unit: int, pdu: bytes) -> None:
            await asyncio.sleep(0.005)
            if unit != DEAD:
                await honest_on_the_line(line, unit, pdu)

        with rtu_link(line_but_one, LinkTiming(timeout_s=0.3)) as (link, _):
            await cycles(link)
            await link.close()

    in_virtual_time(over_tcp() if kind == "tcp gateway" else over_serial())


def test_a_silent_unit_is_tried_after_1_2_4_and_up_to_30_seconds_and_at_once_again_when_it_is_back() -> None:
    async def scenario() -> None:
        asked_at_s: list[float] = []
        dead = {DEAD}

        async def note(writer: asyncio.StreamWriter, transaction: int, unit: int, pdu: bytes) -> None:
            if unit == DEAD:
                asked_at_s.append(now_s())
            if unit not in dead:
                await honest(writer, transaction, unit, pdu)

        async with linked(note, LinkTiming(timeout_s=0.05)) as (link, _):
            said = ""
            while now_s() < 120.0:
                await reading(link, 1, now_s() + 0.5)
                took_s, last_said = await reading(link, DEAD, now_s() + 0.5)
                if took_s == 0.0:
                    said = last_said
                await asyncio.sleep(0.1)
            pauses_s = [later - earlier for earlier, later in pairwise(asked_at_s[1:])]
            for pause_s, nominal_s in zip(pauses_s, (1, 2, 4, 8, 16, 30), strict=False):
                assert 0.8 * nominal_s <= pause_s <= 1.2 * nominal_s + 0.3
            assert len(pauses_s) >= 6
            assert "unit 3: reading 2 holding registers at 10: not asked, as it was silent" in said
            assert "times; next try in" in said
            dead.clear()
            await asyncio.sleep(36.0)
            await link.read(DEAD, "holding", 10, 2, now_s() + 0.5)
            for _ in range(3):
                assert await reading(link, DEAD, now_s() + 0.5) == (0.0, "")

    in_virtual_time(scenario())


def test_a_gateway_that_reports_a_unit_as_silent_is_not_hung_up_on_and_not_asked_in_vain() -> None:
    async def scenario() -> None:
        asked = 0

        async def gateway(writer: asyncio.StreamWriter, transaction: int, unit: int, pdu: bytes) -> None:
            nonlocal asked
            if unit == DEAD:
                asked += 1
                writer.write(frame(transaction, unit, bytes((pdu[0] | 0x80, 11))))
            else:
                await honest(writer, transaction, unit, pdu)

        async with linked(gateway) as (link, _):
            for _ in range(300):
                assert (await reading(link, 1, now_s() + 0.5))[1] == ""
                assert (await reading(link, DEAD, now_s() + 0.5))[1] != ""
                await asyncio.sleep(0.1)
            assert asked <= 8
            assert link.connects == 1

    in_virtual_time(scenario())


def test_a_link_on_which_everybody_falls_silent_is_made_anew() -> None:
    async def scenario() -> None:
        async def half_open(writer: asyncio.StreamWriter, *_: Any) -> None:
            return

        async with linked() as (link, device):
            for unit in (1, 2):
                assert (await reading(link, unit, now_s() + 0.5))[1] == ""
            await asyncio.sleep(2.0)
            device.handle = half_open
            for unit in (1, 2):
                assert "no answer" in (await reading(link, unit, now_s() + 0.5))[1]
            device.handle = honest
            assert (await reading(link, 1, now_s() + 0.5))[1] == ""
            assert link.connects == 2

    in_virtual_time(scenario())


def test_late_replies_of_a_slow_unit_do_not_cost_the_others_their_connection() -> None:
    async def scenario() -> None:
        speaking: set[asyncio.Task[None]] = set()

        async def slow(writer: asyncio.StreamWriter, transaction: int, unit: int, pdu: bytes) -> None:
            async def later() -> None:
                await asyncio.sleep(0.4)
                await honest(writer, transaction, unit, pdu)

            if unit == DEAD:
                task = asyncio.create_task(later())
                speaking.add(task)
                task.add_done_callback(speaking.discard)
            else:
                await honest(writer, transaction, unit, pdu)

        async with linked(slow, LinkTiming(timeout_s=0.3)) as (link, _):
            for cycle in range(20):
                await asyncio.sleep(cycle - now_s())
                await reading(link, DEAD, now_s() + 0.5)
                assert (await reading(link, 1, now_s() + 0.5))[1] == ""
            await asyncio.sleep(1.0)
            assert link.connects == 1
            assert link.discarded >= 4

    in_virtual_time(scenario())


def test_a_unit_alone_on_its_link_is_never_let_alone() -> None:
    patience = Patience(2, random.Random(1))
    patience.answered(1, 0.0)
    for second in range(1, 20):
        patience.was_silent(1, float(second))
        assert patience.why_not(1, float(second)) is None


def test_a_write_is_refused_on_a_newer_connection_than_the_one_it_was_meant_for() -> None:
    async def scenario() -> None:
        async with linked() as (link, device):
            functions: list[int] = []

            async def note(writer: asyncio.StreamWriter, transaction: int, unit: int, pdu: bytes) -> None:
                functions.append(pdu[0])
                await honest(writer, transaction, unit, pdu)
                if len(functions) == 2:
                    writer.close()

            device.handle = note
            await link.read(1, "holding", 0, 1, now_s() + 0.5)
            identified_on = link.connects
            await link.write(1, 5, [1], now_s() + 0.5, on_connect=identified_on)
            await asyncio.sleep(2.0)
            with pytest.raises(DeviceError, match="must be identified again on the new connection"):
                await link.write(1, 5, [1], now_s() + 0.5, on_connect=identified_on)
            await link.write(1, 5, [1], now_s() + 0.5, on_connect=link.connects)
            assert functions == [3, 16, 16]

    in_virtual_time(scenario())
