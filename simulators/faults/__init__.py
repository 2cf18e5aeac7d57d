"""Faults on demand: every ID of the fault catalogue that a test bench can bring about, by a name.

`INJECTORS` is the table: name -> fault. A fault is a dataclass whose fields are its parameters; `Board`
holds those of one site, from a scenario's timeline, from Python or live. Faults sit in front of a device's
port (`readings.py`, `behaviour.py`), of its registers (`registers.py`) or on its link (`frames.py`,
`link.py`); grid, broker and host have none (`host.py`).
"""

from simulators.faults.board import Board, FaultError, make_fault
from simulators.faults.catalogue import ELSEWHERE, IDS, INJECTORS
from simulators.faults.model import Active, Fault, parameters, says

__all__ = [
    "ELSEWHERE",
    "IDS",
    "INJECTORS",
    "Active",
    "Board",
    "Fault",
    "FaultError",
    "make_fault",
    "parameters",
    "says",
]
