"""A disk for a scenario whose disk fails: state and journal of the site are kept in a folder on it.

A full disk is one for the whole process, in `host_limits.py`. What else the disk does is done to what the
keeper and the recorder would write. A killed controller leaves the folder as it was at that instant.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from controller.black_box import BlackBox
from controller.clock import WallClock
from controller.config import Config
from controller.keeper import Keeper
from controller.lab.scenario import Scenario
from controller.lab.stage import Stage
from controller.loop import ControlLoop, Cycle
from controller.recorder import Recorder
from controller.store import BEFORE, NAME, Kept, Store, StoreError
from controller.store_read import read_only
from simulators.faults.disk import DiskFault, StateDamaged
from simulators.faults.model import Active

HOST = "host"


class _Trouble:
    """What the disk does now."""

    def __init__(self, active: Active, loop: asyncio.AbstractEventLoop) -> None:
        self._active = active
        self._loop = loop

    def faults(self) -> list[DiskFault]:
        return [one for one in self._active.at(self._loop.time()) if isinstance(one, DiskFault)]

    def error(self) -> OSError | None:
        """What comes of a write now."""
        for one in self.faults():
            if one.refuses():
                return OSError(errno.EROFS, os.strerror(errno.EROFS))
            if one.loses():
                return OSError(errno.EIO, os.strerror(errno.EIO))
        return None


class _FaultyKeeper(Keeper):
    trouble: _Trouble

    def _opened(self) -> tuple[Kept | None, StoreError | None]:
        if any(one.refuses() for one in self.trouble.faults()):
            return read_only(self._folder), StoreError(f"{self._folder}: {os.strerror(errno.EROFS)}")
        return super()._opened()

    def _ready_store(self) -> Store:
        error = self.trouble.error()
        if error is not None:
            raise StoreError(f"{self._folder}: {error.strerror}", untrusted=error.errno == errno.EIO)
        return super()._ready_store()


class _FaultyRecorder(Recorder):
    trouble: _Trouble

    def _append(self, batch: Sequence[Any], now_s: float, lost: bool) -> None:
        if any(one.refuses() for one in self.trouble.faults()):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        super()._append(batch, now_s, lost)


class DiskSide:
    """The folder, and what one life of the controller after the other keeps there."""

    def __init__(self, config: Config, stage: Stage, clock: WallClock, folder: Path) -> None:
        self._config = config
        self._clock = clock
        self._above = folder
        self._folder = folder / "0"
        self._lives = 0
        self._trouble = _Trouble(stage.board.active(HOST), asyncio.get_running_loop())
        self._life: tuple[BlackBox, asyncio.Task[None]] | None = None
        stage.alarms = self._alarms

    def _alarms(self) -> tuple[float, float]:
        names = () if self._life is None else self._life[0].alarms()
        return float("disk" in names), float("set_aside" in names)

    async def begin(self, control: ControlLoop) -> None:
        """Give a new controller what was kept."""
        for fault in self._trouble.faults():
            if isinstance(fault, StateDamaged) and self._folder.exists():
                for name in (NAME, BEFORE)[: 1 + fault.copies]:
                    damage(self._folder / name, fault.how)
        config = self._config
        keeper = _FaultyKeeper(self._folder, config.dispatch, self._clock, {})
        recorder = _FaultyRecorder(config.site, config.dispatch, replace(config.state, folder=self._folder))
        keeper.trouble = recorder.trouble = self._trouble
        box = BlackBox(keeper, recorder)
        await box.prepare(control)
        self._life = box, asyncio.create_task(box.run(), name="black box")

    def heard(self, cycle: Cycle) -> None:
        """One cycle."""
        assert self._life is not None, "begun"
        box, running = self._life
        if running.done():
            running.result()  # it ends by an error alone
        box.heard(cycle)

    async def end(self, control: ControlLoop, killed: bool) -> None:
        """The controller is gone; of a killed one the folder stays as it is."""
        assert self._life is not None, "begun"
        (box, running), self._life = self._life, None
        left = self._folder
        if killed:
            self._lives += 1
            self._folder = self._above / str(self._lives)
            shutil.copytree(left, self._folder)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await box.close(control, orderly=not killed)


def damage(path: Path, how: str) -> None:
    """Do this to a state file, if it is there; what belongs to it and is not in it yet is lost with it."""
    if not path.exists():
        return
    if how == "newer":
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA user_version=99")
        db.close()
        return
    data = path.read_bytes()
    path.with_name(f"{path.name}-wal").unlink(missing_ok=True)
    if how == "empty":
        path.write_bytes(b"")
    elif how == "torn":
        path.write_bytes(data[: len(data) // 2])
    else:
        path.write_bytes(bytes(0xFF ^ one for one in data[:1024]) + data[1024:])


@contextmanager
def disk_side(
    scenario: Scenario, config: Config, stage: Stage, clock: WallClock
) -> Iterator[DiskSide | None]:
    """The disk; None where none fails. The stage then sees the alarms that are about it."""
    if not any(isinstance(one.made(), DiskFault) for one in scenario.faults):
        yield None
        return
    with TemporaryDirectory(prefix="penstock-") as folder:
        yield DiskSide(config, stage, clock, Path(folder))
