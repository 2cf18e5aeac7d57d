"""A small site in real time on a broker of this host, and a client that asks it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiomqtt

from controller.broker import embedded_broker
from controller.clock import no_clock
from controller.loop import ControlLoop
from controller.mqtt import MqttLink
from controller.outside import Outside
from controller.site_mqtt import MqttConfig
from tests.mosquitto import Mosquitto
from tests.unit.sites import CONFIG, a_house, a_loop, constant

V5, V311 = aiomqtt.ProtocolVersion.V5, aiomqtt.ProtocolVersion.V311
BROKERS = ("mosquitto with v5", "mosquitto with 3.1.1", "embedded with 3.1.1")


@dataclass(slots=True)
class RunningSite:
    control: ControlLoop
    outside: Outside
    link: MqttLink


@asynccontextmanager
async def a_running_site(
    config: MqttConfig, cycle_s: float = 0.1, folder: Path | None = None
) -> AsyncIterator[RunningSite]:
    """Load 700 W, sun 3000 W, a battery of 10 kWh at 50 %."""
    dispatch = replace(CONFIG, cycle_s=cycle_s)
    outside = Outside("house-7", dispatch, ("self_consumption", "follow", "standby"), no_clock, folder=folder)
    house = a_house(constant(700.0), constant(3000.0))
    control = a_loop(house, outside.listen, config=dispatch, told=outside.told)
    link = outside.link(config, ("grid", "bat1", "roof"))
    tasks = [asyncio.create_task(control.run()), asyncio.create_task(link.run())]
    try:
        yield RunningSite(control, outside, link)
    finally:
        control.stop()
        await tasks[0]
        await outside.outbox.emptied(2.0)
        tasks[1].cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        await outside.close()
    assert isinstance(ended[1], asyncio.CancelledError), ended[1]


@asynccontextmanager
async def a_broker(kind: str, folder: Path) -> AsyncIterator[tuple[MqttConfig, aiomqtt.ProtocolVersion]]:
    """How the site and how a client speak to a broker of this kind."""
    if kind.startswith("embedded"):
        async with embedded_broker(0) as port:
            yield MqttConfig("127.0.0.1", port, only_v311=True), V311
        return
    broker = Mosquitto(folder)
    broker.start()
    try:
        old = kind.endswith("3.1.1")
        yield MqttConfig("127.0.0.1", broker.port, only_v311=old), V311 if old else V5
    finally:
        broker.stop()


class Asker:
    """A client that sends commands and gives the answers, and sees all topics of the site."""

    def __init__(self, client: aiomqtt.Client, site: str) -> None:
        self._prefix = f"penstock/{site}"
        self.client = client
        self.newest: dict[str, Any] = {}
        self.all: list[tuple[str, Any]] = []
        self._came = asyncio.Condition()

    async def listen(self) -> None:
        async for message in self.client.messages:
            if "/command/" in str(message.topic):
                continue
            text = bytes(message.payload).decode()
            body = json.loads(text) if text[:1] == "{" else text
            async with self._came:
                self.newest[str(message.topic)] = body
                self.all.append((str(message.topic), body))
                self._came.notify_all()

    async def until(self, topic: str, within_s: float = 30.0, **wanted: Any) -> Any:
        """The newest message of this topic once it has these values, or is the text `_is`."""
        text = wanted.pop("_is", None)

        def is_it() -> bool:
            body = self.newest.get(topic)
            if text is not None or body is None:
                return body is not None and body == text
            return all(body.get(key) == value for key, value in wanted.items())

        async with asyncio.timeout(within_s), self._came:
            await self._came.wait_for(is_it)
        return self.newest[topic]

    async def told(self, kind: str, text: str, since: int) -> None:
        """Wait for an event of this kind with this text, `since` so many messages were seen."""

        def is_it() -> bool:
            events = [body for topic, body in self.all[since:] if topic == f"{self._prefix}/event"]
            return any(one["kind"] == kind and text in one["text"] for one in events)

        async with asyncio.timeout(30.0), self._came:
            await self._came.wait_for(is_it)

    async def heard(self, topic: str, number: int) -> list[Any]:
        """So many messages of one topic, in the order in which they came."""

        def bodies() -> list[Any]:
            return [body for one, body in self.all if one == topic]

        async with asyncio.timeout(30.0), self._came:
            await self._came.wait_for(lambda: len(bodies()) >= number)
        return bodies()

    async def asked(self, name: str, id_: str, **fields: Any) -> Any:
        """Send a command and wait for the answer."""
        payload = json.dumps({"id": id_, **fields})
        await self.client.publish(f"{self._prefix}/command/{name}", payload, qos=1)
        return await self.until(f"{self._prefix}/reply/{id_}")


@asynccontextmanager
async def asking(
    port: int, protocol: aiomqtt.ProtocolVersion = V5, site: str = "house-7"
) -> AsyncIterator[Asker]:
    async with aiomqtt.Client("127.0.0.1", port, protocol=protocol) as client:
        asker = Asker(client, site)
        await client.subscribe("penstock/#", qos=1)
        listening = asyncio.create_task(asker.listen())
        try:
            yield asker
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
