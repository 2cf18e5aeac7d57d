"""Faults of the disk with state and journal (E04 to E09); the laboratory carries them out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from simulators.faults.model import Fault, param


@dataclass
class DiskFault(Fault):
    """The base of disk faults: the disk is well."""

    roles: ClassVar[tuple[str, ...]] = ("host",)
    seam: ClassVar[str] = "disk"

    def refuses(self) -> bool:
        """Whether it takes nothing that is written now."""
        return False

    def loses(self) -> bool:
        """Whether what is written now may or may not be on it afterwards; asked once for each write."""
        return False


@dataclass
class DiskFull(DiskFault):
    """No file can grow."""

    name: ClassVar[str] = "disk_full"
    ids: ClassVar[tuple[str, ...]] = ("E04",)


@dataclass
class DiskReadOnly(DiskFault):
    """The file system was mounted read-only, as Linux does after an error of an SD card."""

    name: ClassVar[str] = "disk_read_only"
    ids: ClassVar[tuple[str, ...]] = ("E05",)

    def refuses(self) -> bool:
        return True


@dataclass
class FsyncFails(DiskFault):
    """A sync fails `count` times: what was written may be lost, and a later sync says nothing of it."""

    name: ClassVar[str] = "fsync_fails"
    ids: ClassVar[tuple[str, ...]] = ("E06",)
    count: int = param(1, "how often", least=1, most=1_000_000)
    _failed: int = field(init=False, repr=False, compare=False, default=0)

    def loses(self) -> bool:
        self._failed += 1
        return self._failed <= self.count


@dataclass
class StateDamaged(DiskFault):
    """A controller that starts during the fault finds the state file damaged; so are as many copies of it."""

    name: ClassVar[str] = "state_damaged"
    ids: ClassVar[tuple[str, ...]] = ("E08", "E09")
    how: Literal["flipped", "torn", "empty", "newer"] = param(
        "flipped", "a page of other bytes, cut in the middle, no bytes, or of a later version"
    )
    copies: int = param(0, "1: the copy of the last start is damaged too", least=0, most=1)


DISKS: tuple[type[Fault], ...] = (DiskFull, DiskReadOnly, FsyncFails, StateDamaged)
