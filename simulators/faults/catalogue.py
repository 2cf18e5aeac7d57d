"""The fault catalogue, A to E: which fault injects which ID, and where those are tested that need none."""

from __future__ import annotations

from simulators.faults.behaviour import BEHAVIOUR
from simulators.faults.broker import BROKERS
from simulators.faults.disk import DISKS
from simulators.faults.frames import LINKS
from simulators.faults.host import PLACES
from simulators.faults.lines import LINES
from simulators.faults.model import Fault
from simulators.faults.readings import READINGS
from simulators.faults.registers import UNITS

INJECTORS: dict[str, type[Fault]] = {
    kind.name: kind for kind in (*LINKS, *LINES, *UNITS, *READINGS, *BEHAVIOUR, *BROKERS, *PLACES, *DISKS)
}

IDS: dict[str, tuple[str, ...]] = {
    fault_id: tuple(name for name, kind in INJECTORS.items() if fault_id in kind.ids)
    for fault_id in sorted({one for kind in INJECTORS.values() for one in kind.ids})
}

ELSEWHERE: dict[str, str] = {
    "B10": "no profile has a register for a device's clock: every reading is as old as its receipt",
    "E03": "no fault: a scenario begins on such a night, `tests/scenarios/dst_night.toml`",
    "E18": "no fault from outside: `tests/unit/test_cancelled.py` does it at every await of an order",
}
"""IDs that no fault stands for: why, and the tests that see them where there are any."""
