"""`[state]` and `[journal]` of the site file: where memory and flight recorder live, and how much is kept.

Without `folder` systemd's `$STATE_DIRECTORY` is taken, and without that a folder beside the site file.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

MIB = 1024 * 1024
DAY_S = 86_400.0

Conflict = tuple[tuple[str | int, ...], str]


class StateTable(BaseModel):
    """`[state]`: what must survive a power cut."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    folder: str | None = Field(None, min_length=1, description="folder for memory, counters and journal")


class JournalTable(BaseModel):
    """`[journal]`: the flight recorder, every cycle to the bit."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    keep_mib: int = Field(256, ge=8, le=1_000_000, description="most it may take on the disk, MiB")
    keep_days: float = Field(30.0, gt=0, le=3650, description="older cycles are deleted, days")
    incidents: int = Field(50, ge=1, le=10_000, description="so many incident files are kept")


@dataclass(frozen=True, slots=True)
class StateConfig:
    """Where state and journal are, and the bounds of the journal."""

    folder: Path
    keep_bytes: int
    keep_s: float
    keep_incidents: int

    @property
    def journal(self) -> Path:
        """The folder of the flight recorder."""
        return self.folder / "journal"

    @property
    def incidents(self) -> Path:
        """The folder of the incidents that were kept."""
        return self.folder / "incidents"


def state_config(path: Path, site: str, state: StateTable, journal: JournalTable) -> StateConfig:
    """What holds for the site file at `path`."""
    by_systemd = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if state.folder is not None:
        folder = path.parent / Path(state.folder).expanduser()
    elif by_systemd:
        folder = Path(by_systemd) / site
    else:
        folder = path.with_name(f"{path.stem}-state")
    return StateConfig(folder, journal.keep_mib * MIB, journal.keep_days * DAY_S, journal.incidents)


def state_conflicts(folder: Path) -> list[Conflict]:
    """A file that stands where the folder, or one above it, is to be."""
    for one in (folder, *folder.parents):
        if os.path.exists(one):
            if os.path.isdir(one):
                return []
            return [(("state", "folder"), f"{one} is a file; give a folder for state and journal")]
    return []
