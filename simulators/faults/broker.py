"""Faults of the MQTT broker and the way to it (catalogue D01 to D06); `broker_gate.py` carries them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import ClassVar

from simulators.faults.model import LARGEST_W, LONGEST_S, Fault, coming_and_going, param


@dataclass
class BrokerFault(Fault):
    """The base of broker faults: passes every byte on."""

    roles: ClassVar[tuple[str, ...]] = ("broker",)
    seam: ClassVar[str] = "broker"
    _begun_s: float = field(init=False, repr=False, compare=False, default=0.0)

    def begin(self, now_s: float) -> None:
        self._begun_s = now_s

    def shut(self, now_s: float) -> bool:
        """Whether nobody listens there now, and what was open is reset."""
        return False

    def turns_s(self, now_s: float) -> float:
        """When that changes next while the fault lasts; inf when it does not."""
        return inf

    def swallows(self, opened_s: float) -> bool:
        """Whether what is sent either way on a connection of this age vanishes."""
        return False

    def deaf(self) -> bool:
        """Whether nothing is read from its clients."""
        return False

    def backlog(self) -> Sequence[tuple[str, bytes]]:
        """What another client publishes all at once, the oldest first; asked again and again, given once."""
        return ()


@dataclass
class BrokerDown(BrokerFault):
    """The broker is not there: connections are reset and new ones refused."""

    name: ClassVar[str] = "broker_down"
    ids: ClassVar[tuple[str, ...]] = ("D01", "D02")

    def shut(self, now_s: float) -> bool:
        return True


@dataclass
class BrokerFlaps(BrokerFault):
    """The broker goes and comes: gone for `off_s`, back for `on_s`, and again."""

    name: ClassVar[str] = "broker_flaps"
    ids: ClassVar[tuple[str, ...]] = ("D03",)
    off_s: float = param(0.5, "s gone", least=0.01, most=LONGEST_S)
    on_s: float = param(0.5, "s there", least=0.01, most=LONGEST_S)

    def shut(self, now_s: float) -> bool:
        return not coming_and_going(now_s, self._begun_s, self.off_s, self.on_s)[0]

    def turns_s(self, now_s: float) -> float:
        return coming_and_going(now_s, self._begun_s, self.off_s, self.on_s)[1]


@dataclass
class BrokerHalfOpen(BrokerFault):
    """Sessions made before the fault are dead without a word; new ones work."""

    name: ClassVar[str] = "broker_half_open"
    ids: ClassVar[tuple[str, ...]] = ("D04",)

    def swallows(self, opened_s: float) -> bool:
        return opened_s <= self._begun_s


@dataclass
class BrokerStuck(BrokerFault):
    """The broker no longer reads: what is sent to it piles up until nothing more goes out."""

    name: ClassVar[str] = "broker_stuck"
    ids: ClassVar[tuple[str, ...]] = ("D05",)

    def deaf(self) -> bool:
        return True


@dataclass
class BrokerBacklog(BrokerFault):
    """A client that was away sends all setpoints that it queued at once: the newest orders `power_w`."""

    name: ClassVar[str] = "broker_backlog"
    ids: ClassVar[tuple[str, ...]] = ("D06",)
    messages: int = param(10_000, "how many", least=1, most=100_000)
    power_w: float = param(1000.0, "what the newest orders, W; the older ones the reverse", most=LARGEST_W)
    site: str = param("home", "whose commands they are", least=1, most=64)
    _sent: bool = field(init=False, repr=False, compare=False, default=False)

    def backlog(self) -> Sequence[tuple[str, bytes]]:
        if self._sent:
            return ()
        self._sent = True
        topic, head = f"penstock/{self.site}/command/setpoint", '{"id": "backlog-'
        older = f'", "battery_discharge_w": {-self.power_w}}}'
        letters = [(topic, f"{head}{number}{older}".encode()) for number in range(1, self.messages)]
        newest = f'{head}{self.messages}", "battery_discharge_w": {self.power_w}}}'
        return [*letters, (topic, newest.encode())]


BROKERS: tuple[type[Fault], ...] = (BrokerDown, BrokerFlaps, BrokerHalfOpen, BrokerStuck, BrokerBacklog)
