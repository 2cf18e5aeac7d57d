"""The outbox: the newest of each topic, in its turn, bounded whatever the broker does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from pydantic import BaseModel

from controller.clock import no_clock
from controller.outbox import LARGEST_BYTES, MOST_BYTES, MOST_EVENTS, MOST_TOPICS, Letter, Outbox
from controller.outside import Outside
from simulators.virtual_time import run
from tests.unit.sites import CONFIG


class Note(BaseModel):
    text: str


def of(text: str) -> bytes:
    return Note(text=text).model_dump_json().encode()


def in_virtual_time(work: Callable[[Outbox], Coroutine[Any, Any, None]]) -> None:
    async def go() -> None:
        await work(Outbox("house-7"))

    run(go())


async def sent(outbox: Outbox) -> tuple[float, Letter]:
    """Publish what is next, and when it went out."""
    letter = await outbox.next_letter()
    now_s = asyncio.get_running_loop().time()
    outbox.sent(letter, now_s)
    return now_s, letter


def test_only_the_newest_of_a_topic_goes_out() -> None:
    async def work(outbox: Outbox) -> None:
        for text in ("one", "two", "three"):
            outbox.put("state", Note(text=text))
        _, letter = await sent(outbox)
        assert letter == Letter("penstock/house-7/state", of("three"), retain=True)

    in_virtual_time(work)


def test_a_change_waits_for_its_turn_and_what_stays_is_said_again_after_ten_seconds() -> None:
    async def work(outbox: Outbox) -> None:
        outbox.put("device/bat1", Note(text="a"), every_s=5.0)
        began_s, _ = await sent(outbox)
        outbox.put("device/bat1", Note(text="b"), every_s=5.0)
        changed_s, letter = await sent(outbox)
        # A tenth of its turn early, so that a beat that jitters does not cost a whole one.
        assert (changed_s - began_s, letter.payload) == (pytest.approx(4.5), of("b"))
        again_s, letter = await sent(outbox)
        assert (again_s - changed_s, letter.payload) == (pytest.approx(10.0), of("b"))

    in_virtual_time(work)


def test_an_urgent_change_keeps_its_turn_when_a_common_one_replaces_it() -> None:
    async def work(outbox: Outbox) -> None:
        outbox.put("device/bat1", Note(text="well"), every_s=10.0)
        began_s, _ = await sent(outbox)
        outbox.put("device/bat1", Note(text="lost"), every_s=1.0)
        outbox.put("device/bat1", Note(text="lost since 1 s"), every_s=10.0)
        changed_s, letter = await sent(outbox)
        assert (changed_s - began_s, letter.payload) == (pytest.approx(0.9), of("lost since 1 s"))

    in_virtual_time(work)


def test_answers_go_before_events_and_events_before_the_state() -> None:
    async def work(outbox: Outbox) -> None:
        outbox.put("state", Note(text="state"))
        outbox.tell(Note(text="event"))
        outbox.answer(Letter("penstock/house-7/reply/1", b"answer"))
        payloads = [(await sent(outbox))[1].payload for _ in range(3)]
        assert payloads == [b"answer", of("event"), of("state")]

    in_virtual_time(work)


def test_what_the_broker_did_not_confirm_goes_out_again() -> None:
    async def work(outbox: Outbox) -> None:
        outbox.answer(Letter("penstock/house-7/reply/1", b"answer"))
        assert (await outbox.next_letter()).payload == b"answer"
        assert (await outbox.next_letter()).payload == b"answer"

    in_virtual_time(work)


def test_a_new_session_says_everything_again_at_once() -> None:
    async def work(outbox: Outbox) -> None:
        for suffix in ("state", "energy"):
            outbox.put(suffix, Note(text=suffix))
            await sent(outbox)
        outbox.start_over()
        began_s = asyncio.get_running_loop().time()
        topics = {(await sent(outbox))[1].topic for _ in range(2)}
        assert topics == {"penstock/house-7/state", "penstock/house-7/energy"}
        assert asyncio.get_running_loop().time() == began_s

    in_virtual_time(work)


def test_an_empty_message_removes_what_is_retained_and_is_said_once() -> None:
    async def work(outbox: Outbox) -> None:
        outbox.put_at("penstock/house-7/device/old", b"")
        assert (await sent(outbox))[1] == Letter("penstock/house-7/device/old", b"", retain=True)
        assert outbox.topics == frozenset()

    in_virtual_time(work)


def test_on_the_way_out_what_waits_does_not_wait_for_its_turn() -> None:
    async def work(outbox: Outbox) -> None:
        outbox.put("state", Note(text="running"))
        await sent(outbox)
        outbox.put("state", Note(text="stopped"))
        emptied = asyncio.create_task(outbox.emptied(2.0))
        publishing = asyncio.create_task(sent(outbox))
        assert (await publishing)[1].payload == of("stopped")
        waiting = asyncio.create_task(outbox.next_letter())
        assert await emptied
        waiting.cancel()

    in_virtual_time(work)


def test_a_broker_that_takes_nothing_is_not_waited_for_on_the_way_out() -> None:
    async def work(outbox: Outbox) -> None:
        outbox.put("state", Note(text="stopped"))
        assert not await outbox.emptied(2.0)

    in_virtual_time(work)


def test_a_broker_that_is_away_for_long_makes_nothing_grow(caplog: pytest.LogCaptureFixture) -> None:
    async def work(outbox: Outbox) -> None:
        for number in range(MOST_EVENTS + 50):
            outbox.tell(Note(text=str(number)))
        assert (await outbox.next_letter()).payload == of("50")
        for number in range(MOST_TOPICS + 1):
            outbox.put(f"device/d{number}", Note(text="x"))
        assert len(outbox.topics) == MOST_TOPICS

    in_virtual_time(work)
    assert f"device/d{MOST_TOPICS}: 12 bytes do not fit" in caplog.text


def test_large_messages_are_dropped_before_they_fill_the_memory() -> None:
    async def work(outbox: Outbox) -> None:
        fits = int(MOST_BYTES / LARGEST_BYTES)
        for number in range(fits + 1):
            outbox.put_at(f"penstock/house-7/d{number}", b"x" * LARGEST_BYTES)
        outbox.put_at("penstock/house-7/larger", b"x" * (LARGEST_BYTES + 1))
        assert len(outbox.topics) == fits
        outbox.put_at("penstock/house-7/d0", b"x")
        outbox.put_at("penstock/house-7/late", b"x" * (LARGEST_BYTES - 1))
        assert "penstock/house-7/late" in outbox.topics

    in_virtual_time(work)


@pytest.mark.parametrize("plans", [True, False])
def test_a_site_that_plans_is_going_to_have_a_plan_also_before_the_first_one(plans: bool) -> None:
    policies = ("self_consumption", "economic") if plans else ("self_consumption",)
    topics = Outside("house-7", CONFIG, policies, no_clock).outbox.topics
    assert ("penstock/house-7/plan" in topics) is plans


@pytest.mark.parametrize(
    "suffix", ["", "#", "device/+", "device/a b", "device/\0", "device/../command/stop", "/state", "device/é"]
)
def test_no_topic_is_made_of_foreign_text(suffix: str) -> None:
    async def work(outbox: Outbox) -> None:
        with pytest.raises(ValueError, match="is no topic"):
            outbox.put(suffix, Note(text="x"))

    in_virtual_time(work)
