"""Faults of the grid (C10 to C13) and of the host (E): who runs plant and controller carries them out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf
from typing import ClassVar, Literal

from simulators.faults.model import LONGEST_S, Fault, coming_and_going, param

PID = "live: the process of the controller; 0 in a scenario, which has its own"


@dataclass
class Outage(Fault):
    """The grid is gone."""

    name: ClassVar[str] = "outage"
    ids: ClassVar[tuple[str, ...]] = ("C10", "C12")
    roles: ClassVar[tuple[str, ...]] = ("site",)
    seam: ClassVar[str] = "grid"
    _begun_s: float = field(init=False, repr=False, compare=False, default=0.0)

    def begin(self, now_s: float) -> None:
        self._begun_s = now_s

    def present(self, now_s: float) -> bool:
        """Whether the grid is there now."""
        return False

    def turns_s(self, now_s: float) -> float:
        """When that changes next while the fault lasts; inf when it does not."""
        return inf


@dataclass
class Flapping(Outage):
    """The grid goes and comes: gone for `off_s`, back for `on_s`, and again."""

    name: ClassVar[str] = "flapping"
    ids: ClassVar[tuple[str, ...]] = ("C13",)
    off_s: float = param(10.0, "s without grid", least=0.01, most=LONGEST_S)
    on_s: float = param(20.0, "s with it", least=0.01, most=LONGEST_S)

    def present(self, now_s: float) -> bool:
        return coming_and_going(now_s, self._begun_s, self.off_s, self.on_s)[0]

    def turns_s(self, now_s: float) -> float:
        return coming_and_going(now_s, self._begun_s, self.off_s, self.on_s)[1]


@dataclass
class ClockStep(Fault):
    """The wall clock is `by_s` off; the monotonic clock, by which everything is controlled, is not."""

    name: ClassVar[str] = "clock_step"
    ids: ClassVar[tuple[str, ...]] = ("E01",)
    roles: ClassVar[tuple[str, ...]] = ("host",)
    seam: ClassVar[str] = "host"
    by_s: float = param(3600.0, "s ahead of the truth", most=1e9)


@dataclass
class ClockUnknown(Fault):
    """The wall clock is not trusted: no battery behind it, no time from the network."""

    name: ClassVar[str] = "clock_unknown"
    ids: ClassVar[tuple[str, ...]] = ("E02",)
    roles: ClassVar[tuple[str, ...]] = ("host",)
    seam: ClassVar[str] = "host"


@dataclass
class Killed(Fault):
    """The controller is killed without a word, and started again, with nothing in its memory, at the end."""

    name: ClassVar[str] = "killed"
    ids: ClassVar[tuple[str, ...]] = ("C11", "E07")
    roles: ClassVar[tuple[str, ...]] = ("host",)
    seam: ClassVar[str] = "host"


@dataclass
class Restarted(Fault):
    """The controller is stopped in order (SIGTERM: all devices released), and started again at the end."""

    name: ClassVar[str] = "restarted"
    ids: ClassVar[tuple[str, ...]] = ("E15",)
    roles: ClassVar[tuple[str, ...]] = ("host",)
    seam: ClassVar[str] = "host"


@dataclass
class Stalled(Fault):
    """The process gets no processor for as long as the fault lasts, as where the whole host hangs."""

    name: ClassVar[str] = "stalled"
    ids: ClassVar[tuple[str, ...]] = ("E10", "E11", "E16")
    roles: ClassVar[tuple[str, ...]] = ("host",)
    seam: ClassVar[str] = "host"


@dataclass
class CrashLoop(Fault):
    """The controller dies without a word again and again: it lives `lives_s`, and starts after `down_s`."""

    name: ClassVar[str] = "crash_loop"
    ids: ClassVar[tuple[str, ...]] = ("E14",)
    roles: ClassVar[tuple[str, ...]] = ("host",)
    seam: ClassVar[str] = "host"
    lives_s: float = param(8.0, "s from a start to the next death", least=0.1, most=LONGEST_S)
    down_s: float = param(5.0, "s from a death to the next start", least=0.1, most=LONGEST_S)

    def deaths(self, begin_s: float, end_s: float) -> Iterator[tuple[float, float]]:
        """When it dies, and when it is started again."""
        at_s = begin_s
        while at_s < end_s:
            yield at_s, at_s + self.down_s
            at_s += self.down_s + self.lives_s


@dataclass
class MemoryGone(Fault):
    """A MemoryError where the controller decides: it releases its devices and ends; started at the end."""

    name: ClassVar[str] = "memory_gone"
    ids: ClassVar[tuple[str, ...]] = ("E12",)
    roles: ClassVar[tuple[str, ...]] = ("host",)
    seam: ClassVar[str] = "host"
    pid: int = param(0, PID, least=0, most=2**31 - 1)


@dataclass
class Unhandled(Fault):
    """An error that nobody expects, in the middle of the controller: it has to end, and starts at the end."""

    name: ClassVar[str] = "unhandled"
    ids: ClassVar[tuple[str, ...]] = ("E17",)
    roles: ClassVar[tuple[str, ...]] = ("host",)
    seam: ClassVar[str] = "host"
    where: Literal["deciding", "telling", "driver"] = param(
        "deciding", "deciding; telling: what is told from outside; driver: while the meter is read"
    )


@dataclass
class FilesGone(Fault):
    """The process may open no file more, so no connection either; what is open stays open."""

    name: ClassVar[str] = "files_gone"
    ids: ClassVar[tuple[str, ...]] = ("E13",)
    roles: ClassVar[tuple[str, ...]] = ("host",)
    seam: ClassVar[str] = "host"
    pid: int = param(0, PID, least=0, most=2**31 - 1)


PLACES: tuple[type[Fault], ...] = (
    Outage,
    Flapping,
    ClockStep,
    ClockUnknown,
    Killed,
    Restarted,
    Stalled,
    CrashLoop,
    MemoryGone,
    Unhandled,
    FilesGone,
)
