"""What Home Assistant itself says of the discovery document, and what MQTT.js reads."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from controller.commands import parse
from controller.homeassistant import Home, document
from controller.site_mqtt import MqttConfig
from tests.contract.running_site import a_running_site, asking
from tests.mosquitto import Mosquitto

FETCHED = Path(".venv/soak")
HERE = Path(__file__).parent
PREFIX = "penstock/house-7"


def said_by(words: list[str], given: str = "") -> list[str]:
    """The lines that a program prints."""
    result = subprocess.run(
        words,
        input=given,
        capture_output=True,
        text=True,
        timeout=120.0,
        check=False,
        env={**os.environ, "NODE_PATH": str((FETCHED / "js/node_modules").resolve())},
    )
    assert result.stdout, result.stderr
    return result.stdout.splitlines()


async def told_by_a_site(port: int) -> dict[str, Any]:
    """The newest message of each topic of a running site."""
    async with a_running_site(MqttConfig("127.0.0.1", port)), asking(port) as asker:
        await asker.until(f"{PREFIX}/state", mode="RUNNING")
        await asker.until(f"{PREFIX}/orders", stopped=False)
        await asker.until(f"{PREFIX}/device/roof", online=True)
        return dict(asker.newest)


async def test_home_assistant_accepts_every_entity_and_sends_what_we_accept(mosquitto: Mosquitto) -> None:
    python = FETCHED / "ha/bin/python"
    assert python.exists(), "Home Assistant is not there: tests/soak/setup.sh fetches it, with Python 3.13"
    home = Home("house-7", ("grid", "bat1", "roof"), ("self_consumption", "follow", "standby"), 20.0)
    told = await told_by_a_site(mosquitto.port)
    given = json.dumps({"document": document(home, {"old": "sensor"}), "states": told})
    said = json.loads(said_by([str(python), str(HERE / "home_assistant_check.py")], given)[-1])
    assert said["wrong"] == [], said["version"]
    assert len(said["commands"]) == 3
    for topic, payloads in said["commands"].items():
        for payload in payloads:
            parse(topic.rsplit("/", 1)[-1], payload.encode(), "house-7")


@pytest.mark.parametrize("version", ["4", "5"])
async def test_mqtt_js_reads_what_mosquitto_sub_and_aiomqtt_read(mosquitto: Mosquitto, version: str) -> None:
    assert (FETCHED / "js/node_modules/mqtt").exists(), "MQTT.js is not there: tests/soak/setup.sh fetches it"
    topics = [f"{PREFIX}/{one}" for one in ("availability", "state", "energy", "orders", "device/bat1")]
    await told_by_a_site(mosquitto.port)
    url = f"mqtt://127.0.0.1:{mosquitto.port}"
    by_node = json.loads(said_by(["node", str(HERE / "mqtt_read.js"), url, version, *topics])[-1])
    listed = [word for topic in topics for word in ("-t", topic)]
    lines = said_by(["mosquitto_sub", "-p", str(mosquitto.port), "-v", "-C", "5", "-W", "20", *listed])
    by_sub = dict(line.split(" ", 1) for line in lines)
    by_python: dict[str, str] = {}
    async with aiomqtt.Client("127.0.0.1", mosquitto.port) as client, asyncio.timeout(20.0):
        for topic in topics:
            await client.subscribe(topic)
        async for message in client.messages:
            by_python[str(message.topic)] = bytes(message.payload).decode()
            if len(by_python) == len(topics):
                break
    assert by_node == by_sub == by_python
