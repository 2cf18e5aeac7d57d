"""A small running site that takes commands, in virtual time, with a broker that takes everything at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from controller.clock import WallClock, no_clock
from controller.dispatch.settings import DispatchConfig
from controller.loop import ControlLoop, Cycle
from controller.mqtt import Inbound
from controller.outside import Outside
from simulators.virtual_time import run
from tests.unit.sites import CONFIG, a_house, a_loop, constant

LOAD_W = 700.0
"""What the house uses; there is no sun, so self-consumption discharges as much."""
LIMITED = replace(
    CONFIG, import_limit_w=17_250.0, policy=replace(CONFIG.policy, reserve_pct=20.0, deadband_w=0.0)
)


class OrderedSite:
    """The site, what it answered by id, and the newest cycle."""

    def __init__(self, config: DispatchConfig, clock: WallClock, soc_pct: float) -> None:
        self.cycles: list[Cycle] = []
        self.replies: dict[str, list[dict[str, Any]]] = {}
        self.told: list[tuple[str, Any]] = []
        self.outside = Outside("house-7", config, ("self_consumption", "follow", "standby"), clock)
        house = a_house(constant(LOAD_W), constant(0.0), soc_pct)
        self.control: ControlLoop = a_loop(
            house, self.outside.listen, self.cycles.append, config=config, told=self.outside.told, clock=clock
        )

    def hear(
        self, name: str, payload: bytes, retained: bool = False, response_topic: str = "", tag: bytes = b""
    ) -> None:
        topic = f"penstock/house-7/command/{name}"
        self.outside.reception.hear(Inbound(topic, payload, retained, response_topic, tag))

    def send(self, name: str, id_: str, **fields: Any) -> None:
        self.hear(name, json.dumps({"id": id_, **fields}).encode())

    async def asked(self, name: str, id_: str, **fields: Any) -> dict[str, Any]:
        """Send a command and give its answer."""
        self.send(name, id_, **fields)
        await self.seconds(0.01)
        return self.replies[id_][-1]

    @staticmethod
    async def seconds(wait_s: float) -> None:
        await asyncio.sleep(wait_s)

    @property
    def setpoint_w(self) -> float:
        return self.cycles[-1].decision.setpoint_w

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [body for topic, body in self.told if topic.endswith("/event") and body["kind"] == kind]

    def newest(self, suffix: str) -> dict[str, Any]:
        found: dict[str, Any] = [body for topic, body in self.told if topic.endswith(f"/{suffix}")][-1]
        return found

    async def publish(self) -> None:
        """The broker: takes every letter at once."""
        outbox = self.outside.outbox
        while True:
            letter = await outbox.next_letter()
            outbox.sent(letter, asyncio.get_running_loop().time())
            body = json.loads(letter.payload)
            self.told.append((letter.topic, body))
            if "/reply/" in letter.topic:
                self.replies.setdefault(body["id"], []).append(body)


def on_a_site(
    work: Callable[[OrderedSite], Awaitable[None]],
    config: DispatchConfig = LIMITED,
    clock: WallClock = no_clock,
    soc_pct: float = 50.0,
) -> None:
    """Run `work` beside a site that has been RUNNING for some seconds, and whose beat is on the second."""

    async def go() -> None:
        site = OrderedSite(config, clock, soc_pct)
        tasks = [asyncio.create_task(site.control.run()), asyncio.create_task(site.publish())]
        await asyncio.sleep(20.5)
        await work(site)
        site.control.stop()
        await tasks[0]
        tasks[1].cancel()

    run(go())
