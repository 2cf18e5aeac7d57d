"""Pure: which alarms there are now. An alarm is a state that somebody should look at, by a fixed name."""

from __future__ import annotations

from collections.abc import Callable, Collection

from controller.dispatch.modes import Mode
from controller.loop import AnyStation, Cycle

ALARMS: dict[str, str] = {
    "fault": "an order was refused by the last check before a device; latched until clear_fault",
    "safe": "readings are lost, the batteries rest at 0 W",
    "grid_lost": "the grid is gone, the inverter carries the house",
    "device_lost": "a device does not answer",
    "not_followed": "a device does not do what it was ordered, or its orders do not get through",
    "contended": "another controller orders a device of this site: end that; it is given way to",
    "clock": "the wall clock is not known or not confirmed; schedules, prices and billing wait for it",
    "disk": "the disk takes no memory or no recording now; a power cut would forget the newest",
    "set_aside": "what an earlier run has kept was damaged or of a later version; until the next start",
    "certificate": "a certificate of a device on TLS, or of its authority, ends within 30 days; see the log",
    "insecure": "the broker is on the network without TLS or login",
}
"""Name and meaning, in the order in which they are told."""

Elsewhere = Callable[[], Collection[str]]
"""The names of alarms that no cycle knows of."""

_NOT_FOLLOWED = frozenset({"ignored", "reverted", "foreign"})
UNORDERED_S = 10.0
"""A device that is read, but takes no order for so long, does not follow either."""


def alarms(cycle: Cycle, elsewhere: Collection[str]) -> tuple[str, ...]:
    """The names of the alarms of this cycle, with those from elsewhere."""
    mode = cycle.decision.mode
    rings = {
        "fault": mode is Mode.FAULT,
        "safe": mode is Mode.SAFE,
        "grid_lost": mode is Mode.ISLANDED,
        "device_lost": any(not one.well for one in cycle.stations),
        "not_followed": any(_not_followed(one, cycle.snapshot.now_s) for one in cycle.stations),
        "contended": any(one.outcome == "foreign" for one in cycle.stations),
        "clock": cycle.snapshot.local is None,
    }
    return tuple(name for name in ALARMS if rings.get(name, name in elsewhere))


def _not_followed(station: AnyStation, now_s: float) -> bool:
    since_s = station.unordered_since_s
    unordered = station.well and since_s is not None and now_s - since_s > UNORDERED_S
    return unordered or station.outcome in _NOT_FOLLOWED
