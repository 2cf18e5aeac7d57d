"""A broker for a scenario whose broker fails: the site's own MQTT link reaches it through a gate.

Commands that come that way are carried out, but for those of a kind that a step of the scenario has ordered.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields, replace

from controller.broker import embedded_broker
from controller.clock import WallClock
from controller.config import Config
from controller.dispatch.orders import LocalTime, Orders
from controller.lab.scenario import Scenario
from controller.lab.stage import Stage
from controller.loop import Cycle, Listener, Teller, Told
from controller.outside import Outside, policies_of
from controller.site_mqtt import MqttConfig
from drivers.address import Address
from simulators.broker_gate import BrokerGate

HOST, BROKER = "127.0.0.1", "broker"


@asynccontextmanager
async def broker_side(
    scenario: Scenario, config: Config, stage: Stage, clock: WallClock, told: Teller
) -> AsyncIterator[tuple[tuple[Listener, ...], Teller]]:
    """Who has to hear each cycle, and who tells what is in force; `told` is what the scenario tells.

    Where no broker fails nobody hears and that is all. The stage then sees whether the broker is reached.
    """
    if all(one.device != BROKER for one in scenario.faults):
        yield (), told
        return
    async with embedded_broker(0) as port:
        gate = BrokerGate(Address(HOST, 0), Address(HOST, port), stage.board.active(BROKER))
        outside = Outside(config.site, config.dispatch, policies_of(config), clock, told)
        ids = tuple(one.id for one in config.devices)
        link = outside.link(MqttConfig(HOST, await gate.start(), only_v311=True), ids)
        stage.broker_reached = lambda: float(link.connected)
        linked = asyncio.create_task(link.run(), name="mqtt")

        def heard(cycle: Cycle) -> None:
            if linked.done():
                linked.result()  # it ends by an error alone
            outside.listen(cycle)

        def all_told(now_s: float, local: LocalTime | None) -> Told:
            mine, came = told(now_s, local), outside.told(now_s, local)
            given = {one.name: getattr(mine.orders, one.name) for one in fields(Orders)}
            given = {name: value for name, value in given.items() if value}
            return replace(came, orders=replace(came.orders, **given)) if given else came

        try:
            yield (heard,), all_told
        finally:
            linked.cancel()
            await asyncio.gather(linked, return_exceptions=True)
            await gate.stop()
            await outside.close()
