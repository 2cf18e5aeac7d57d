"""From one cycle to what is told of it: a listener of the control loop that fills the outbox."""

from __future__ import annotations

import logging

from controller.alarms import ALARMS, Elsewhere
from controller.dispatch.modes import Mode
from controller.dispatch.settings import DispatchConfig
from controller.loop import Cycle
from controller.messages import EventMessage, StateMessage
from controller.outbox import Outbox
from controller.telemetry import demand_message, device_messages, energy_message, state_message

log = logging.getLogger("penstock")

DEVICES_EVERY_S = 10.0
SLOW_EVERY_S = 10.0
HEALTH_EVERY_S = 1.0
ALARM_QUIET_S = 10.0
"""An alarm is over when it has been quiet for so long: it can come no more than six times a minute."""


class Reporter:
    """Puts messages and events into the outbox; costs the beat well under a millisecond."""

    def __init__(self, config: DispatchConfig, outbox: Outbox, elsewhere: Elsewhere = tuple) -> None:
        self._config = config
        self._outbox = outbox
        self._elsewhere = elsewhere
        self._health: dict[str, tuple[object, ...]] = {}
        self._mode: Mode | None = None
        self._ringing: dict[str, float] = {}

    def report(self, cycle: Cycle) -> StateMessage:
        """One cycle; never waits. Gives the `state` for others to use."""
        for message, station in zip(device_messages(cycle), cycle.stations, strict=True):
            health = (station.well, station.error, station.write_error)
            changed = self._health.get(message.id) != health
            self._health[message.id] = health
            every_s = HEALTH_EVERY_S if changed else DEVICES_EVERY_S
            self._outbox.put(f"device/{message.id}", message, every_s=every_s)
        demand = demand_message(self._config, cycle)
        if demand is not None:
            self._outbox.put("demand", demand, every_s=SLOW_EVERY_S)
        energy = energy_message(cycle)
        if energy is not None:
            self._outbox.put("energy", energy, every_s=SLOW_EVERY_S)
        state = state_message(self._config, cycle, self._elsewhere())
        self._outbox.put("state", state)
        self._outbox.spoken.set()
        self._tell_mode(state)
        self._tell_alarms(state, cycle.snapshot.now_s)
        return state

    def _tell_mode(self, state: StateMessage) -> None:
        if state.mode is self._mode:
            return
        before = "" if self._mode is None else self._mode.value
        self._mode = state.mode
        self._outbox.tell(
            EventMessage(
                at=state.at,
                kind="mode",
                level="error" if state.mode in (Mode.SAFE, Mode.FAULT) else "info",
                text=f"{state.mode.value}: {state.reason}",
                data={"before": before, "mode": state.mode.value, "seq": state.seq},
            )
        )

    def _tell_alarms(self, state: StateMessage, now_s: float) -> None:
        for name in state.alarms:
            if name not in self._ringing:
                log.warning("alarm %s: %s", name, ALARMS[name])
                self._tell_alarm(state, name, True)
            self._ringing[name] = now_s
        for name in [one for one, at_s in self._ringing.items() if now_s - at_s >= ALARM_QUIET_S]:
            del self._ringing[name]
            self._tell_alarm(state, name, False)

    def _tell_alarm(self, state: StateMessage, name: str, rings: bool) -> None:
        self._outbox.tell(
            EventMessage(
                at=state.at,
                kind="alarm",
                level="warning" if rings else "info",
                text=ALARMS[name] if rings else f"no longer: {ALARMS[name]}",
                data={"alarm": name, "rings": rings},
            )
        )
