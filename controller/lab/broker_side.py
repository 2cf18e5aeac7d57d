"""A broker for a scenario whose broker fails: the site's own MQTT link reaches it through a gate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from controller.broker import embedded_broker
from controller.clock import WallClock
from controller.config import Config
from controller.lab.scenario import Scenario
from controller.lab.stage import Stage
from controller.loop import Cycle, Listener
from controller.outside import Outside, policies_of
from controller.site_mqtt import MqttConfig
from drivers.address import Address
from simulators.broker_gate import BrokerGate

HOST, BROKER = "127.0.0.1", "broker"


@asynccontextmanager
async def broker_side(
    scenario: Scenario, config: Config, stage: Stage, clock: WallClock
) -> AsyncIterator[tuple[Listener, ...]]:
    """Who has to hear each cycle; nobody where no broker fails. The stage then sees whether it is reached."""
    if all(one.device != BROKER for one in scenario.faults):
        yield ()
        return
    async with embedded_broker(0) as port:
        gate = BrokerGate(Address(HOST, 0), Address(HOST, port), stage.board.active(BROKER))
        outside = Outside(config.site, config.dispatch, policies_of(config), clock)
        ids = tuple(one.id for one in config.devices)
        link = outside.link(MqttConfig(HOST, await gate.start(), only_v311=True), ids)
        stage.broker_reached = lambda: float(link.connected)
        linked = asyncio.create_task(link.run(), name="mqtt")

        def heard(cycle: Cycle) -> None:
            if linked.done():
                linked.result()  # it ends by an error alone
            outside.listen(cycle)

        try:
            yield (heard,)
        finally:
            linked.cancel()
            await asyncio.gather(linked, return_exceptions=True)
            await gate.stop()
            await outside.close()
