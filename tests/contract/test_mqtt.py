"""The site on MQTT: a real Mosquitto in v5, the embedded broker in 3.1.1, and brokers that go away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiomqtt
import pytest

from controller.broker import BrokerError, embedded_broker
from controller.mqtt import MqttLink
from controller.outbox import Outbox
from controller.reporting import Reporter
from controller.site_mqtt import MqttConfig
from tests.mosquitto import Mosquitto
from tests.unit.sites import CONFIG, a_house, a_loop, constant

V5, V311 = aiomqtt.ProtocolVersion.V5, aiomqtt.ProtocolVersion.V311


@asynccontextmanager
async def a_published_site(port: int, only_v311: bool = False) -> AsyncIterator[MqttLink]:
    """A small site in real time that publishes on a broker of this host."""
    outbox = Outbox("house-7")
    control = a_loop(a_house(constant(700.0), constant(3000.0)), Reporter(CONFIG, outbox).report)
    config = MqttConfig("127.0.0.1", port, only_v311=only_v311)
    link = MqttLink("house-7", config, outbox)
    tasks = [asyncio.create_task(control.run()), asyncio.create_task(link.run())]
    try:
        yield link
    finally:
        control.stop()
        await tasks[0]
        await outbox.emptied(2.0)
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


Heard = tuple[str, Any, bool]


async def messages(port: int, number: int, protocol: aiomqtt.ProtocolVersion = V5) -> list[Heard]:
    """The next messages as (topic, JSON or text, retained), each within 10 s."""
    found: list[Heard] = []
    async with aiomqtt.Client("127.0.0.1", port, protocol=protocol) as client:
        await client.subscribe("penstock/#", qos=1)
        async with asyncio.timeout(10.0 * number):
            async for message in client.messages:
                text = bytes(message.payload).decode()
                found.append(
                    (str(message.topic), json.loads(text) if text[:1] == "{" else text, message.retain)
                )
                if len(found) >= number:
                    return found
    raise AssertionError("the broker hung up")


async def until(port: int, topic: str, wanted: str) -> None:
    """Wait until a topic has this text or JSON key."""
    async with aiomqtt.Client("127.0.0.1", port) as client:
        await client.subscribe(topic, qos=1)
        async with asyncio.timeout(30.0):
            async for message in client.messages:
                if wanted in bytes(message.payload).decode():
                    return


async def test_a_late_subscriber_finds_availability_state_and_every_device_retained(
    mosquitto: Mosquitto,
) -> None:
    async with a_published_site(mosquitto.port):
        await until(mosquitto.port, "penstock/house-7/state", "mode")
        await until(mosquitto.port, "penstock/house-7/device/roof", "roof")
        found = {topic: body for topic, body, retained in await messages(mosquitto.port, 6) if retained}
    assert found["penstock/house-7/availability"] == "online"
    state = found["penstock/house-7/state"]
    assert state["load_w"] == pytest.approx(700.0, abs=1.0)
    assert {
        "at",
        "seq",
        "mode",
        "policy",
        "pcc_import_w",
        "setpoint_w",
        "wanted_w",
        "limited_by",
        "reason",
    } <= set(state)
    assert found["penstock/house-7/device/bat1"]["online"] is True


async def test_a_clean_stop_says_stopped_and_then_offline(mosquitto: Mosquitto) -> None:
    async with a_published_site(mosquitto.port):
        await until(mosquitto.port, "penstock/house-7/state", "RUNNING")
    found = {topic: body for topic, body, _ in await messages(mosquitto.port, 6)}
    assert found["penstock/house-7/availability"] == "offline"
    assert found["penstock/house-7/state"]["mode"] == "STOPPED"


async def test_a_broker_that_dies_is_found_again_when_it_returns(mosquitto: Mosquitto) -> None:
    async with a_published_site(mosquitto.port):
        await until(mosquitto.port, "penstock/house-7/availability", "online")
        mosquitto.stop()
        await asyncio.sleep(0.5)
        mosquitto.start()
        await until(mosquitto.port, "penstock/house-7/availability", "online")
        await until(mosquitto.port, "penstock/house-7/state", "RUNNING")


async def test_without_a_broker_the_site_is_controlled_all_the_same() -> None:
    async with a_published_site(1) as link:
        await asyncio.sleep(0.5)
        assert not link.connected


@pytest.mark.parametrize("known", [True, False])
async def test_the_embedded_broker_is_spoken_to_in_3_1_1_known_or_found_out(known: bool) -> None:
    async with embedded_broker(0) as port, a_published_site(port, only_v311=known):
        found = await messages(port, 2, V311)
    assert {topic.split("/")[1] for topic, _, _ in found} == {"house-7"}


async def test_the_embedded_broker_tells_a_new_client_only_what_it_asks_for() -> None:
    async with embedded_broker(0) as port, aiomqtt.Client("127.0.0.1", port, protocol=V311) as site:
        await site.publish("house/state", "1", retain=True)
        await site.publish("house/plan", "2", retain=True)
        await site.subscribe("house/#")  # what amqtt itself would then tell everybody
        async with aiomqtt.Client("127.0.0.1", port, protocol=V311) as other:
            await other.subscribe("house/plan")
            await site.publish("house/plan", "3")
            heard = [await anext(other.messages) for _ in range(2)]
    assert [(str(one.topic), one.payload) for one in heard] == [("house/plan", b"2"), ("house/plan", b"3")]


async def test_an_embedded_broker_on_a_taken_port_says_which() -> None:
    async with embedded_broker(0) as port:
        with pytest.raises(BrokerError, match=f"127.0.0.1:{port}"):
            async with embedded_broker(port):
                pass


async def test_what_an_earlier_site_file_left_retained_is_removed_and_nothing_else(
    mosquitto: Mosquitto,
) -> None:
    kept = {"penstock/house-7/command/stop": "{}", "penstock/house-8/device/old": "{}"}
    old = {
        "penstock/house-7/device/old",
        "penstock/house-7/plan",
        "homeassistant/device/penstock-house-7/config",  # this site file has no discovery
    }
    async with aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
        for topic in (*kept, *old):
            await client.publish(topic, "{}", qos=1, retain=True)
        for topic in old:
            await client.subscribe(topic)
        async with a_published_site(mosquitto.port), asyncio.timeout(20.0):
            removed: set[str] = set()
            async for message in client.messages:
                if not message.payload:
                    removed.add(str(message.topic))
                if removed == old:
                    break
    found = {topic for topic, _, retained in await messages(mosquitto.port, 8) if retained}
    assert set(kept) < found
    assert found - set(kept) == {
        *(f"penstock/house-7/{one}" for one in ("availability", "state", "energy")),
        *(f"penstock/house-7/device/{one}" for one in ("grid", "bat1", "roof")),
    }


async def test_a_plan_of_before_the_restart_stays_until_there_is_a_new_one(mosquitto: Mosquitto) -> None:
    outbox = Outbox("house-7")
    outbox.expect("plan")
    outbox.spoken.set()
    async with aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
        for topic in ("penstock/house-7/plan", "penstock/house-7/old"):
            await client.publish(topic, "{}", qos=1, retain=True)
        task = asyncio.create_task(MqttLink("house-7", MqttConfig("127.0.0.1", mosquitto.port), outbox).run())
        await client.subscribe("penstock/house-7/old")
        async with asyncio.timeout(20.0):
            async for message in client.messages:
                if not message.payload:
                    break
    found = {topic for topic, _, retained in await messages(mosquitto.port, 2) if retained}
    task.cancel()
    assert found == {"penstock/house-7/availability", "penstock/house-7/plan"}
