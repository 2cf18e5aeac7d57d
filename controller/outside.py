"""All that a running site has to do with the world outside, put together: what it tells, what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from controller.alarms import Elsewhere
from controller.backfill import Backlog
from controller.clock import WallClock
from controller.config import Config
from controller.dispatch.orders import LocalTime
from controller.dispatch.settings import DispatchConfig
from controller.homeassistant import Home, HomeAssistant
from controller.kept_orders import restore
from controller.loop import Cycle, Teller, Told, nothing_told
from controller.mqtt import Hearing, MqttLink
from controller.orderbook import Injector, OrderBook
from controller.outbox import Outbox
from controller.reception import Keep, Reception
from controller.reporting import Reporter
from controller.site_mqtt import MqttConfig
from controller.state_file import KeptOrder

ORDERS_EVERY_S = 10.0


def policies_of(config: Config) -> tuple[str, ...]:
    """The policies that a command may choose: those that find in the site file what they need."""
    chosen = config.dispatch.policy
    able = ["self_consumption", "follow", "standby"]
    if chosen.schedule:
        able.append("schedule")
    if config.tariff is not None:
        able.append("economic")
    able += [name for name in (chosen.name, chosen.fallback) if name not in able]
    return tuple(able)


class Outside:
    """Outbox, order book and reception of one site; `plan` is asked for prices and plan on each beat."""

    def __init__(
        self,
        site: str,
        config: DispatchConfig,
        policies: tuple[str, ...],
        clock: WallClock,
        plan: Teller = nothing_told,
        elsewhere: Elsewhere = tuple,
        folder: Path | None = None,
        inject: Injector | None = None,
    ) -> None:
        self._site = site
        self._policies = policies
        self._reserve_pct = config.policy.reserve_pct
        self._plan = plan
        self.outbox = Outbox(site)
        if "economic" in policies:  # the first plan, or why there is none, takes a while
            self.outbox.expect("plan")
        self._book = OrderBook(config, policies, inject=inject)
        self.reception = Reception(site, self._book, self.outbox, clock)
        self._backlog = None if folder is None else Backlog(folder)
        self._clock = clock
        self._link: MqttLink | None = None
        self._reporter = Reporter(config, self.outbox, elsewhere)

    def listen(self, cycle: Cycle) -> None:
        """What the loop tells on each beat."""
        self._book.note(cycle)
        state = self._reporter.report(cycle)
        if self._backlog is not None and self._link is not None:
            snapshot = cycle.snapshot
            self._backlog.note(state, snapshot.utc_s, snapshot.now_s, self._link.connected)
        self.reception.publish(cycle.snapshot.now_s, ORDERS_EVERY_S)

    def told(self, now_s: float, local: LocalTime | None) -> Told:
        """What the loop is told on each beat."""
        planned = self._plan(now_s, local)
        orders = self._book.orders(now_s)
        return Told(orders, planned.prices, planned.plan, self._book.clears_fault())

    def link(self, mqtt: MqttConfig, devices: tuple[str, ...], others: Sequence[Hearing] = ()) -> MqttLink:
        """The connection to the broker that carries it all; `devices` are their ids.

        `others` want to hear something too.
        """
        hearings = [Hearing(self.reception.topics, self.reception.hear), *others]
        if mqtt.discovery_prefix:
            home = Home(self._site, devices, self._policies, self._reserve_pct)
            hearings += HomeAssistant(home, mqtt.discovery_prefix, self.outbox).hearings
        self._link = MqttLink(self._site, mqtt, self.outbox, hearings, self._backlog)
        return self._link

    def remember(self, orders: Sequence[KeptOrder], command_ids: Sequence[str], keep: Keep) -> None:
        """Put back what was in force before a restart, and `keep` what comes from now on."""
        utc_s, local = self._clock()
        now_s = asyncio.get_running_loop().time()
        restore(self._book, orders, now_s, utc_s, local is not None)
        self.reception.publish(now_s)
        self.reception.known_ids = frozenset(command_ids)
        self.reception.keep = keep

    async def close(self) -> None:
        """Write what still waits for the disk."""
        if self._backlog is not None:
            await self._backlog.close()
