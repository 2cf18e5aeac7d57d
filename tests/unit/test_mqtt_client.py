"""What aiomqtt does not do for us: an end that is certain, and an inbox that nobody fills the memory with."""

from __future__ import annotations

import asyncio

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from controller.mqtt_client import LARGEST_INCOMING_BYTES, MOST_INCOMING_BYTES, Inbox, SiteClient
from controller.outbox import Letter


def came(topic: str, payload: bytes) -> aiomqtt.Message:
    return aiomqtt.Message(topic, payload, qos=1, retain=False, mid=1, properties=None)


async def test_an_end_that_comes_together_with_the_brokers_answer_is_not_forgotten() -> None:
    client = SiteClient("127.0.0.1", 1)
    answer = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(client._wait_for(answer))
    await asyncio.sleep(0)
    answer.set_result(None)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_broker_that_says_nothing_is_not_waited_for_longer_than_was_agreed() -> None:
    client = SiteClient("127.0.0.1", 1, timeout=0.01)
    with pytest.raises(aiomqtt.MqttError, match="timed out"):
        await client._wait_for(asyncio.get_running_loop().create_future())


async def test_what_a_broker_says_of_its_largest_packet_is_kept_to() -> None:
    client = SiteClient("127.0.0.1", 1)
    assert client.fits(Letter("a", b"x" * 1_000_000)), "it said nothing"
    properties = Properties(PacketTypes.CONNACK)
    properties.MaximumPacketSize = 200
    client._on_connect(None, None, None, ReasonCode(PacketTypes.CONNACK), properties)
    # 16 bytes at most around topic and payload.
    assert client.fits(Letter("a" * 10, b"x" * 174))
    assert not client.fits(Letter("a" * 10, b"x" * 175))
    assert not client.fits(Letter("a" * 10, b"x" * 174, correlation=b"1"))


def test_what_is_larger_than_anything_awaited_does_not_come_in_and_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    inbox = Inbox()
    for _ in range(3):
        inbox.put_nowait(came("forecast", b"x" * (LARGEST_INCOMING_BYTES + 1)))
    inbox.put_nowait(came("forecast", b"x" * LARGEST_INCOMING_BYTES))
    assert inbox.qsize() == 1
    assert [one.message for one in caplog.records] == ["forecast: 262145 bytes; 262144 are the most, refused"]


def test_a_rush_is_bounded_in_bytes_and_the_newest_of_each_topic_stays() -> None:
    inbox = Inbox()
    inbox.put_nowait(came("command", b"stop"))
    for number in range(100):
        inbox.put_nowait(came("prices", bytes([number]) * LARGEST_INCOMING_BYTES))
    waiting = [inbox.get_nowait() for _ in range(inbox.qsize())]
    # 2 MiB hold the command and seven messages of 256 KiB.
    assert sum(len(one.payload) for one in waiting) <= MOST_INCOMING_BYTES
    assert [one.payload[0] for one in waiting[1:]] == list(range(93, 100))
    assert waiting[0].payload == b"stop"
    inbox.put_nowait(came("prices", b"x"))
    assert inbox.qsize() == 1
