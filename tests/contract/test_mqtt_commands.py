"""Commands against the running site: on Mosquitto in v5 and 3.1.1, and on the embedded broker in 3.1.1."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from controller.site_mqtt import MqttConfig
from tests.contract.running_site import BROKERS, V5, a_broker, a_running_site, asking
from tests.mosquitto import Mosquitto

STATE = "penstock/house-7/state"
PREFIX = "penstock/house-7"


@pytest.mark.parametrize("kind", BROKERS)
async def test_commands_are_answered_and_carried_out_on_every_broker(kind: str, tmp_path: Path) -> None:
    async with (
        a_broker(kind, tmp_path) as (config, protocol),
        a_running_site(config),
        asking(config.port, protocol) as asker,
    ):
        await asker.until(STATE, mode="RUNNING", policy="self_consumption")
        reply = await asker.asked("setpoint", "a", battery_discharge_w=9000.0, valid_for_s=1.0)
        assert (reply["result"], reply["limited_by"]) == ("clamped", "rating")
        await asker.until(STATE, policy="follow", wanted_w=5000.0)
        await asker.until(STATE, policy="self_consumption")
        assert (await asker.asked("policy", "b", policy="standby"))["result"] == "applied"
        await asker.until(STATE, policy="standby")
        assert (await asker.asked("stop", "c"))["result"] == "applied"
        await asker.until(STATE, mode="STOPPED")
        assert (await asker.asked("start", "d"))["result"] == "applied"
        await asker.until(STATE, mode="RUNNING")
        orders = await asker.until(f"{PREFIX}/orders", policy="standby", stopped=False)
        assert orders["ends_in_s"] == {}
        refused = await asker.asked("reserve", "e", reserve_pct="all")
        assert refused["reason"] == "reserve_pct: should be a valid number"


async def test_a_v5_client_is_answered_on_its_own_topic(mosquitto: Mosquitto) -> None:
    properties = Properties(PacketTypes.PUBLISH)
    properties.ResponseTopic = "answers/mine"
    properties.CorrelationData = b"tag"
    async with (
        a_running_site(MqttConfig("127.0.0.1", mosquitto.port)),
        asking(mosquitto.port) as asker,
        aiomqtt.Client("127.0.0.1", mosquitto.port, protocol=V5) as client,
    ):
        await asker.until(STATE, mode="RUNNING")
        await client.subscribe("answers/#")
        await client.publish(f"{PREFIX}/command/start", b'{"id": "a"}', 1, False, properties)
        async with asyncio.timeout(20.0):
            message = await anext(client.messages)
        assert json.loads(bytes(message.payload))["reason"] == "the site is not stopped"
        assert getattr(message.properties, "CorrelationData", b"") == b"tag"


async def test_commands_that_somebody_has_retained_are_refused_then_and_after_every_restart(
    mosquitto: Mosquitto,
) -> None:
    async with asking(mosquitto.port) as asker:
        await asker.client.publish(f"{PREFIX}/command/stop", b'{"id": "old"}', 1, True)
        async with a_running_site(MqttConfig("127.0.0.1", mosquitto.port)):
            reply = await asker.until(f"{PREFIX}/reply/old")
            assert reply["result"] == "refused"
            await asker.client.publish(f"{PREFIX}/command/stop", b'{"id": "live"}', 1, True)
            reply = await asker.until(f"{PREFIX}/reply/live")
            assert reply["reason"].startswith("is retained"), "a v5 broker says it of a live one too"
            assert (await asker.until(STATE, mode="RUNNING"))["mode"] == "RUNNING"


async def test_a_flood_of_a_thousand_a_second_changes_nothing_in_the_beat(mosquitto: Mosquitto) -> None:
    async with (
        a_running_site(MqttConfig("127.0.0.1", mosquitto.port)) as site,
        asking(mosquitto.port) as asker,
        aiomqtt.Client("127.0.0.1", mosquitto.port, protocol=V5) as flooder,
    ):
        await asker.until(STATE, mode="RUNNING")
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        for number in range(1000):
            payload = json.dumps({"id": f"n{number}", "import_limit_w": 5000 + number})
            await flooder.publish(f"{PREFIX}/command/limits", payload, qos=0)
            await asyncio.sleep(max(began_s + number * 0.001 - loop.time(), 0.0))
        assert (await asker.asked("stop", "end"))["result"] == "applied"
        took_s = loop.time() - began_s
        replies = [body for topic, body in asker.all if topic.startswith(f"{PREFIX}/reply/n")]
        applied = [body for body in replies if body["result"] == "applied"]
        assert 1 <= len(applied) <= took_s + 2.0
        assert {body["mode"] for topic, body in asker.all if topic == STATE} <= {"RUNNING", "STARTING"}
        assert site.control.timing.cycles > 0
