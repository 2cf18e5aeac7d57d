"""From one cycle to what is told of it: a listener of the control loop that fills the outbox."""

from __future__ import annotations

from controller.dispatch.settings import DispatchConfig
from controller.loop import Cycle
from controller.outbox import Outbox
from controller.telemetry import demand_message, device_messages, state_message

DEVICES_EVERY_S = 10.0
DEMAND_EVERY_S = 10.0
HEALTH_EVERY_S = 1.0


class Reporter:
    """Puts `state`, `device/<id>` and `demand` into the outbox; costs the beat well under a millisecond."""

    def __init__(self, config: DispatchConfig, outbox: Outbox) -> None:
        self._config = config
        self._outbox = outbox
        self._health: dict[str, tuple[object, ...]] = {}

    def report(self, cycle: Cycle) -> None:
        """One cycle; never waits."""
        for message, station in zip(device_messages(cycle), cycle.stations, strict=True):
            health = (station.well, station.error, station.write_error)
            changed = self._health.get(message.id) != health
            self._health[message.id] = health
            every_s = HEALTH_EVERY_S if changed else DEVICES_EVERY_S
            self._outbox.put(f"device/{message.id}", message, every_s=every_s)
        demand = demand_message(self._config, cycle)
        if demand is not None:
            self._outbox.put("demand", demand, every_s=DEMAND_EVERY_S)
        self._outbox.put("state", state_message(self._config, cycle))
