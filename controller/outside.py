"""All that a running site has to do with the world outside, put together: what it tells, what it is told."""

from __future__ import annotations

from controller.clock import WallClock
from controller.config import Config
from controller.dispatch.orders import LocalTime
from controller.dispatch.settings import DispatchConfig
from controller.homeassistant import Home, HomeAssistant
from controller.loop import Cycle, Teller, Told, nothing_told
from controller.mqtt import Hearing, MqttLink
from controller.orderbook import OrderBook
from controller.outbox import Outbox
from controller.reception import Reception
from controller.reporting import Reporter
from controller.site_mqtt import MqttConfig

ORDERS_EVERY_S = 10.0


def policies_of(config: Config) -> tuple[str, ...]:
    """The policies that a command may choose: those that find in the site file what they need."""
    chosen = config.dispatch.policy
    able = ["self_consumption", "follow", "standby"]
    if chosen.schedule:
        able.append("schedule")
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
        insecure: bool = False,
    ) -> None:
        self._site = site
        self._policies = policies
        self._reserve_pct = config.policy.reserve_pct
        self._plan = plan
        self.outbox = Outbox(site)
        self._book = OrderBook(config, policies)
        self.reception = Reception(site, self._book, self.outbox, clock)
        self._reporter = Reporter(config, self.outbox, insecure)

    def listen(self, cycle: Cycle) -> None:
        """What the loop tells on each beat."""
        self._book.note(cycle)
        self._reporter.report(cycle)
        self.reception.publish(cycle.snapshot.now_s, ORDERS_EVERY_S)

    def told(self, now_s: float, local: LocalTime | None) -> Told:
        """What the loop is told on each beat."""
        planned = self._plan(now_s, local)
        orders = self._book.orders(now_s)
        return Told(orders, planned.prices, planned.plan, self._book.clears_fault())

    def link(self, mqtt: MqttConfig, devices: tuple[str, ...]) -> MqttLink:
        """The connection to the broker that carries it all; `devices` are their ids."""
        hearings = [Hearing(self.reception.topics, self.reception.hear)]
        if mqtt.discovery_prefix:
            home = Home(self._site, devices, self._policies, self._reserve_pct)
            hearings += HomeAssistant(home, mqtt.discovery_prefix, self.outbox).hearings
        return MqttLink(self._site, mqtt, self.outbox, hearings)
