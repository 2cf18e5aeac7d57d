"""What a fault is: a thing with parameters that changes what passes one of the seams around a device.

The seams, from the plant outwards: the port (readings and orders in engineering units), the unit
(registers), the link (frames). A fault of unit or link has a word for a device without a wire too, so that
one scenario runs in-process and on sockets. Parameters are the fields of the fault's dataclass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import Field, dataclass, field, fields
from math import inf
from random import Random
from typing import Any, ClassVar, TypeVar

from drivers.device import BatteryReading, DeviceError, MeterReading, PvReading

AnyReading = MeterReading | BatteryReading | PvReading
DEVICES = ("meter", "battery", "pv")
T = TypeVar("T")


LONGEST_S = 86_400.0
LARGEST_W = 1e9


@dataclass(frozen=True, slots=True)
class Bounds:
    """From what to what a number may be, both included; of a text, how many characters of ASCII it has."""

    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.least:.10g} to {self.most:.10g}"


def param(default: T, says: str, least: float | None = None, most: float | None = None) -> T:
    """A parameter of a fault, with what it means, and from what to what it may be.

    With `most` alone it may be so much either way of 0. Of a text it is how many characters it may have.
    """
    return _param(default, says, least, most, kw_only=False)


def shared_param(default: T, says: str, least: float | None = None, most: float | None = None) -> T:
    """A parameter that many faults share."""
    return _param(default, says, least, most, kw_only=True)


def _param(default: T, says: str, least: float | None, most: float | None, kw_only: bool) -> T:
    bounds = None if most is None else Bounds(-most if least is None else least, most)
    found: T = field(default=default, kw_only=kw_only, metadata={"says": says, "bounds": bounds})
    return found


@dataclass
class Fault:
    """The base of all faults: passes everything on. `ids` are those of the fault catalogue."""

    name: ClassVar[str] = ""
    ids: ClassVar[tuple[str, ...]] = ()
    roles: ClassVar[tuple[str, ...]] = DEVICES
    seam: ClassVar[str] = "port"

    def __str__(self) -> str:
        own = [one for one in parameters(type(self)) if not one.kw_only]
        shared = [one for one in parameters(type(self)) if one.kw_only]
        if all(getattr(self, one.name) == one.default for one in shared):
            shared = []
        return " ".join((self.name, *(f"{one.name}={getattr(self, one.name)}" for one in own + shared)))

    def begin(self, now_s: float) -> None:
        """Called once, when the fault is first met."""

    def reading(self, reading: AnyReading, now_s: float, wired: bool) -> AnyReading:
        """What the port shows instead; DeviceError where a device without a wire does not answer."""
        return reading

    def order(self, order_w: float, now_s: float, wired: bool) -> float | None:
        """What the port is ordered instead; None drops the order, DeviceError refuses it."""
        return order_w

    def own_order_w(self, now_s: float) -> float | None:
        """What the device does whatever it is ordered; None leaves it to the orders."""
        return None

    def foreign_w(self, now_s: float) -> float | None:
        """What another master orders at this moment."""
        return None

    def why_not(self, role: str) -> str:
        """Why a device of this role, which can have the fault, cannot have it with these parameters."""
        return ""

    def restarts(self) -> bool:
        """Whether the device has just restarted and forgotten its orders; asked before each request."""
        return False


def parameters(kind: type[Fault]) -> list[Field[Any]]:
    """The parameters of a fault, those that many share last."""
    return sorted((one for one in fields(kind) if one.init), key=lambda one: bool(one.kw_only))


def bounds(one: Field[Any]) -> Bounds | None:
    """From what to what a parameter may be; None where it is one of a few words."""
    found: Bounds | None = one.metadata["bounds"]
    return found


def described(one: Field[Any]) -> str:
    """What a parameter means, and from what to what it may be."""
    allowed, says = bounds(one), one.metadata["says"]
    if allowed is None:
        return str(says)
    if one.type == "str":
        return f"{says}, {allowed} characters"
    if allowed.least == -allowed.most:
        return f"{says}; at most {allowed.most:.10g} either way"
    return f"{says}; {allowed}"


def says(kind: type[Fault]) -> str:
    """What a fault does, in a sentence."""
    return " ".join((kind.__doc__ or "").split())


@dataclass
class Chance:
    """Which of many happenings are hit: a seeded `share` of them, `count` in all (0: no end)."""

    share: float
    count: int
    seed: int
    _random: Random = field(init=False, repr=False)
    _hits: int = field(init=False, repr=False, compare=False, default=0)

    def __post_init__(self) -> None:
        self._random = Random(self.seed)

    def hits(self) -> bool:
        """Whether this one is hit."""
        if 0 < self.count <= self._hits or (self.share < 1.0 and self._random.random() >= self.share):
            return False
        self._hits += 1
        return True

    def bytes(self, count: int) -> bytes:
        """Bytes that mean nothing, the same for the same seed."""
        return bytes(int(256 * self._random.random()) for _ in range(count))


@dataclass
class Lasting:
    """A fault and the time it lasts, on the event loop's clock."""

    fault: Fault
    begin_s: float
    end_s: float
    begun: bool = False


class Active:
    """The faults of one device: those of now are asked for, those that are over are forgotten."""

    def __init__(self) -> None:
        self._lasting: list[Lasting] = []
        self._watchers: list[Callable[[], None]] = []

    def add(self, fault: Fault, begin_s: float, end_s: float = inf) -> None:
        """Let a fault last from one instant to another."""
        self._lasting.append(Lasting(fault, begin_s, end_s))
        self._tell()

    def clear(self) -> None:
        """All is well from now on."""
        self._lasting.clear()
        self._tell()

    @property
    def any(self) -> bool:
        """Whether there is a fault, now or to come."""
        return bool(self._lasting)

    def at(self, now_s: float) -> Sequence[Fault]:
        """The faults in force, in the order in which they were added."""
        if not self._lasting:
            return ()
        found = []
        for one in self._lasting:
            if one.begin_s <= now_s < one.end_s:
                if not one.begun:
                    one.begun = True
                    one.fault.begin(now_s)
                found.append(one.fault)
        if not found:
            self._lasting = [one for one in self._lasting if now_s < one.end_s]
        return found

    def next_edge_s(self, now_s: float) -> float | None:
        """When a fault next begins or ends; None when none does."""
        edges = [at_s for one in self._lasting for at_s in (one.begin_s, one.end_s) if now_s < at_s < inf]
        return min(edges, default=None)

    def watch(self, told: Callable[[], None]) -> None:
        """Tell whenever a fault is added, or all are cleared."""
        self._watchers.append(told)

    def _tell(self) -> None:
        for told in self._watchers:
            told()


def coming_and_going(now_s: float, begun_s: float, off_s: float, on_s: float) -> tuple[bool, float]:
    """Whether what is gone for `off_s`, back for `on_s`, and so on, is there now; and when that changes."""
    # Rounded, so that the instant at which it turns is on its far side.
    phase_s = round((now_s - begun_s) % (off_s + on_s), 6)
    there = phase_s >= off_s
    return there, now_s - phase_s + off_s + (on_s if there else 0.0)


def no_answer(what: str) -> DeviceError:
    """What a driver says when its device cannot be understood."""
    return DeviceError(f"no answer: {what}")
