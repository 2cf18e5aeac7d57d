"""Faults of the host (catalogue E): who runs the controller carries them out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from simulators.faults.model import Fault, param


@dataclass
class ClockStep(Fault):
    """The wall clock is `by_s` off; the monotonic clock, by which everything is controlled, is not."""

    name: ClassVar[str] = "clock_step"
    ids: ClassVar[tuple[str, ...]] = ("E01",)
    roles: ClassVar[tuple[str, ...]] = ("host",)
    seam: ClassVar[str] = "host"
    by_s: float = param(3600.0, "s ahead of the truth")


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
    """The process gets no processor when the fault begins, for as long as it lasts; nothing else stops."""

    name: ClassVar[str] = "stalled"
    ids: ClassVar[tuple[str, ...]] = ("E10", "E11")
    roles: ClassVar[tuple[str, ...]] = ("host",)
    seam: ClassVar[str] = "host"


PLACES: tuple[type[Fault], ...] = (
    ClockStep,
    ClockUnknown,
    Killed,
    Restarted,
    Stalled,
)
