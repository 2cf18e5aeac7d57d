"""All faults of one site in one place: added from a timeline, from Python or live, asked for by the seams."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from math import inf, isfinite
from typing import Any, Literal, get_args, get_origin, get_type_hints

from simulators.faults.catalogue import IDS, INJECTORS
from simulators.faults.frames import LinkFault
from simulators.faults.model import Active, Bounds, Fault, bounds, parameters

LONGEST_SHOWN = 60
WIRES = {"tcp": "a TCP or TLS connection", "tls": "a TLS connection", "serial": "a serial line"}


class FaultError(ValueError):
    """A fault that cannot be injected; the text says what could be."""


def make_fault(name: str, values: Mapping[str, Any]) -> Fault:
    """A fault by its name, or by an ID that only one has; FaultError for a bad name, parameter or value."""
    kind = INJECTORS.get(name)
    if kind is None and (named := IDS.get(name.upper())):
        if len(named) > 1:
            raise FaultError(f"{name} is brought about by {' or '.join(named)}: say which")
        kind = INJECTORS[named[0]]
    if kind is None:
        near = get_close_matches(name, INJECTORS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(INJECTORS)}"
        raise FaultError(f"there is no fault {name!r}; {hint}")
    hints = get_type_hints(kind)
    known = {one.name: hints[one.name] for one in parameters(kind)}
    allowed = {one.name: bounds(one) for one in parameters(kind)}
    checked = {}
    for key, value in values.items():
        if key not in known:
            some = ", ".join(known) or "no parameters"
            raise FaultError(f"{kind.name} has no parameter {key!r}; it has {some}")
        checked[key] = _checked(kind.name, key, value, known[key], allowed[key])
    return kind(**checked)


def _checked(name: str, key: str, value: Any, kind: Any, allowed: Bounds | None) -> Any:
    """The value as its parameter's type, within its bounds; text becomes numbers, for a command line."""
    if get_origin(kind) is Literal:
        if value in get_args(kind):
            return value
        raise FaultError(f"{name}: {key} is {value!r}; give {', '.join(get_args(kind))}")
    if kind is bool:
        if str(value).lower() in ("true", "false"):
            return str(value).lower() == "true"
        raise FaultError(f"{name}: {key} is {value!r}; give true or false")
    assert allowed is not None, "every number and every text has bounds"
    if kind is str:
        text = str(value)
        if not (text.isascii() and text.isprintable() and allowed.least <= len(text) <= allowed.most):
            raise FaultError(f"{name}: {key} is {_shown(text)}; give {allowed} characters of ASCII")
        return text
    number = _number(value)
    if number is None or (kind is int and not number.is_integer()):
        wanted = "a whole number" if kind is int else "a number"
        raise FaultError(f"{name}: {key} is {_shown(value)}; give {wanted}, {allowed}")
    if not allowed.least <= number <= allowed.most:
        raise FaultError(f"{name}: {key} is {number:.10g}; give {allowed}")
    return int(number) if kind is int else number


def _number(value: Any) -> float | None:
    """A finite number, also one written as text, such as "0x10"; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(int(value, 0)) if isinstance(value, str) else float(value)
    except OverflowError:
        return None
    except ValueError:
        try:
            number = float(value)
        except ValueError:
            return None
    return number if isfinite(number) else None


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, int | float | str) else type(value).__name__
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def happens_on(wire: str, fault: LinkFault) -> bool:
    """Whether a wire of this kind can have it."""
    return wire in fault.wires or (wire == "tls" and "tcp" in fault.wires)


class Board:
    """The faults of one site; `roles` says for each device, and for site and host, what it is.

    `wires` says of each device that has one whether it is "tcp", "tls" or "serial".
    """

    def __init__(self, roles: Mapping[str, str], wires: Mapping[str, str] | None = None) -> None:
        self.roles = dict(roles)
        self._wires = wires or {}
        self._active = {name: Active() for name in roles}

    def active(self, device: str) -> Active:
        """The faults of one device; FaultError when there is none of that name."""
        if device not in self._active:
            near = get_close_matches(device, self._active, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(self._active)}"
            raise FaultError(f"there is no {device!r} here; {hint}")
        return self._active[device]

    def add(self, device: str, fault: Fault, begin_s: float, end_s: float = inf) -> None:
        """Let a device have a fault from one instant to another; FaultError when it cannot have it."""
        active = self.active(device)
        self.check(device, fault)
        active.add(fault, begin_s, end_s)

    def check(self, device: str, fault: Fault) -> None:
        """FaultError when a device of this kind cannot have the fault."""
        role = self.roles[device]
        if role not in fault.roles:
            raise FaultError(f"{device} is a {role}; {fault.name} is a fault of {', '.join(fault.roles)}")
        if why := fault.why_not(role):
            raise FaultError(f"{device}: {fault.name}: {why}")
        wire = self._wires.get(device)
        if isinstance(fault, LinkFault) and wire is not None and not happens_on(wire, fault):
            raise FaultError(
                f"{fault.name} is a fault of {' or '.join(WIRES[one] for one in fault.wires)}; "
                f"{device} is on {'a TCP connection' if wire == 'tcp' else WIRES[wire]}"
            )

    def clear(self, device: str | None = None) -> None:
        """End all faults, of one device or of all."""
        for active in [self.active(device)] if device is not None else self._active.values():
            active.clear()
