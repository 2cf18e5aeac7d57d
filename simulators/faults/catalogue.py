"""The fault catalogue, A to E: which fault injects which ID, and where those are tested that need none."""

from __future__ import annotations

from simulators.faults.behaviour import BEHAVIOUR
from simulators.faults.broker import BROKERS
from simulators.faults.frames import LINKS
from simulators.faults.host import PLACES
from simulators.faults.lines import LINES
from simulators.faults.model import Fault
from simulators.faults.readings import READINGS
from simulators.faults.registers import UNITS

INJECTORS: dict[str, type[Fault]] = {
    kind.name: kind for kind in (*LINKS, *LINES, *UNITS, *READINGS, *BEHAVIOUR, *BROKERS, *PLACES)
}

IDS: dict[str, tuple[str, ...]] = {
    fault_id: tuple(name for name, kind in INJECTORS.items() if fault_id in kind.ids)
    for fault_id in sorted({one for kind in INJECTORS.values() for one in kind.ids})
}

ELSEWHERE: dict[str, str] = {
    "A33": "certificates are files: put another one in place, links read them anew for each connection",
    "A34": "a property of a profile (writes_per_day), not a fault; a scenario counts writes",
    "B10": "no driver reads a device's clock; the time of receipt rules",
    "D06": "a backlog in the broker: its clients publish it, and a test of the inbound door does",
    "E03": "a scenario begins where it likes, also on the night the clocks change",
    "E04": "what fills a disk is not ours to fill: the store's own tests use /dev/full",
    "E05": "as E04",
    "E06": "the store's own tests",
    "E08": "the store's own tests",
    "E09": "the store's own tests",
    "E12": "a limit of the service unit (MemoryMax)",
    "E13": "a limit of the service unit (LimitNOFILE)",
    "E14": "systemd's own (StartLimitBurst)",
    "E16": "the hardware watchdog",
    "E17": "no fault from outside: tests raise at the awaits",
    "E18": "no fault from outside: tests cancel at the awaits",
}
