"""The modes of the controller and the one table that leads from one to the next."""

from __future__ import annotations

from enum import Enum


class Mode(Enum):
    """What the controller is doing; the value is the word on MQTT."""

    STARTING = "STARTING"
    """No proof yet that the readings are good: 0 W, PV capped open loop."""
    RUNNING = "RUNNING"
    """The policy decides, within the limits."""
    HOLDING = "HOLDING"
    """Readings lost a moment ago: the last setpoint stays, for a few seconds at most."""
    SAFE = "SAFE"
    """Readings lost: 0 W, and an open-loop cap on everything that could export."""
    ISLANDED = "ISLANDED"
    """The grid is gone: the inverter forms its own; no setpoints from us."""
    STOPPED = "STOPPED"
    """The operator stopped it: every device is back in its own program."""
    FAULT = "FAULT"
    """Latched until somebody clears it: 0 W."""

    __hash__ = object.__hash__  # each is there once; the one of Enum costs a call, several times a cycle


class Signal(Enum):
    """What one snapshot says about the readings and the orders in force, strongest last."""

    PROVEN = "PROVEN"
    """Fresh for as long as the present mode asks."""
    FRESH = "FRESH"
    STALE = "STALE"
    LOST = "LOST"
    NO_GRID = "NO_GRID"
    STOP = "STOP"
    FAULTY = "FAULTY"

    __hash__ = object.__hash__


_M, _S = Mode, Signal

NEXT_MODE: dict[tuple[Mode, Signal], Mode] = {
    (_M.STARTING, _S.PROVEN): _M.RUNNING,
    (_M.STARTING, _S.FRESH): _M.STARTING,
    (_M.STARTING, _S.STALE): _M.STARTING,
    (_M.STARTING, _S.LOST): _M.STARTING,
    (_M.STARTING, _S.NO_GRID): _M.ISLANDED,
    (_M.STARTING, _S.STOP): _M.STOPPED,
    (_M.STARTING, _S.FAULTY): _M.FAULT,
    (_M.RUNNING, _S.PROVEN): _M.RUNNING,
    (_M.RUNNING, _S.FRESH): _M.RUNNING,
    (_M.RUNNING, _S.STALE): _M.HOLDING,
    (_M.RUNNING, _S.LOST): _M.SAFE,
    (_M.RUNNING, _S.NO_GRID): _M.ISLANDED,
    (_M.RUNNING, _S.STOP): _M.STOPPED,
    (_M.RUNNING, _S.FAULTY): _M.FAULT,
    (_M.HOLDING, _S.PROVEN): _M.RUNNING,
    (_M.HOLDING, _S.FRESH): _M.HOLDING,
    (_M.HOLDING, _S.STALE): _M.HOLDING,
    (_M.HOLDING, _S.LOST): _M.SAFE,
    (_M.HOLDING, _S.NO_GRID): _M.ISLANDED,
    (_M.HOLDING, _S.STOP): _M.STOPPED,
    (_M.HOLDING, _S.FAULTY): _M.FAULT,
    (_M.SAFE, _S.PROVEN): _M.RUNNING,
    (_M.SAFE, _S.FRESH): _M.SAFE,
    (_M.SAFE, _S.STALE): _M.SAFE,
    (_M.SAFE, _S.LOST): _M.SAFE,
    (_M.SAFE, _S.NO_GRID): _M.ISLANDED,
    (_M.SAFE, _S.STOP): _M.STOPPED,
    (_M.SAFE, _S.FAULTY): _M.FAULT,
    (_M.ISLANDED, _S.PROVEN): _M.RUNNING,
    (_M.ISLANDED, _S.FRESH): _M.STARTING,
    (_M.ISLANDED, _S.STALE): _M.STARTING,
    (_M.ISLANDED, _S.LOST): _M.STARTING,
    (_M.ISLANDED, _S.NO_GRID): _M.ISLANDED,
    (_M.ISLANDED, _S.STOP): _M.STOPPED,
    (_M.ISLANDED, _S.FAULTY): _M.FAULT,
    (_M.STOPPED, _S.PROVEN): _M.STARTING,
    (_M.STOPPED, _S.FRESH): _M.STARTING,
    (_M.STOPPED, _S.STALE): _M.STARTING,
    (_M.STOPPED, _S.LOST): _M.STARTING,
    (_M.STOPPED, _S.NO_GRID): _M.ISLANDED,
    (_M.STOPPED, _S.STOP): _M.STOPPED,
    (_M.STOPPED, _S.FAULTY): _M.FAULT,
    (_M.FAULT, _S.PROVEN): _M.FAULT,
    (_M.FAULT, _S.FRESH): _M.FAULT,
    (_M.FAULT, _S.STALE): _M.FAULT,
    (_M.FAULT, _S.LOST): _M.FAULT,
    (_M.FAULT, _S.NO_GRID): _M.FAULT,
    (_M.FAULT, _S.STOP): _M.STOPPED,
    (_M.FAULT, _S.FAULTY): _M.FAULT,
}
assert len(NEXT_MODE) == len(Mode) * len(Signal), "every mode answers every signal"

PROOF_S: dict[Mode, float] = {
    Mode.STARTING: 2.0,
    Mode.RUNNING: 0.0,
    Mode.HOLDING: 2.0,
    Mode.SAFE: 10.0,
    Mode.ISLANDED: 2.0,
    Mode.STOPPED: 0.0,
    Mode.FAULT: 0.0,
}
"""How long readings must have been fresh before the mode is left. SAFE: fault class R2 asks for
10 s of good data; ISLANDED: the island ends only after the enter-service delay (`islanding.py`)."""
