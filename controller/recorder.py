"""Records a running site: takes each cycle from the loop, has it written by a thread, never makes it wait.

The newest cycles are held in memory until the disk has taken them; while it refuses, the oldest give way.
When the controller leaves its normal work, the minutes around that are kept as an incident, beside the
running record and for longer.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.clock import BUILT_UTC_S
from controller.disk_thread import DiskThread
from controller.dispatch.decision import Memory
from controller.dispatch.modes import Mode
from controller.dispatch.orders import LocalTime
from controller.dispatch.settings import DispatchConfig
from controller.dispatch.site import Snapshot
from controller.journal import Aside, Recorded, SegmentWriter, Start, begun_utc_s, next_path, segments
from controller.loop import Cycle
from controller.site_state import StateConfig

log = logging.getLogger("penstock.journal")

WRITE_EVERY_S = 60.0
RETRY_S = 10.0
SEGMENT_S = 3600.0
SEGMENT_BYTES = 8 * 1024 * 1024
MOST_WAITING = 3600
"""So many cycles wait in memory for a disk that does not take them."""
BEFORE_S, AFTER_S = 300.0, 120.0
"""What an incident file holds before and after the change of mode."""
LONGEST_INCIDENT_S = 1800.0
MOST_REMEMBERED = 8000
MOST_AGED = 2
"""So many segments are deleted for their age when a new one is begun."""
CLOSE_WITHIN_S = 2.0
INCIDENT_MODES = frozenset({Mode.HOLDING, Mode.SAFE, Mode.ISLANDED, Mode.FAULT})
_ADDRESS = re.compile(r"(\b[a-z+]+://)[^\s]+")
"""Where a device is says nothing of what happened, and is nobody's business who gets the recording."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A cycle and the memory before it, from which a segment can begin."""

    cycle: Recorded
    memory: Memory


@dataclass(slots=True)
class _Incident:
    begun_s: float
    due_s: float
    word: str
    why: str


class Recorder:
    """The flight recorder of one site: `heard` on each cycle, `run` beside the loop, `close` after it."""

    def __init__(self, site: str, config: DispatchConfig, where: StateConfig) -> None:
        self._site = site
        self._config = config
        self._where = where
        self._disk = DiskThread("journal")
        self._memory = Memory()
        self._stations: tuple[str, ...] = ()
        self._waiting: deque[_Kept] = deque(maxlen=MOST_WAITING)
        self._remembered: deque[_Kept] = deque(maxlen=MOST_REMEMBERED)
        self._incident: _Incident | None = None
        self._mode = Mode.STARTING
        self._lost = False
        self._writer: SegmentWriter | None = None
        self._writer_begun_s = 0.0
        self._bell = asyncio.Event()
        self.alarm = ""
        """Why nothing is recorded now; empty when all is well."""

    def begin(self, memory: Memory) -> None:
        """The memory before the first cycle."""
        self._memory = memory

    def rings(self, now_s: float) -> bool:
        """Whether nothing is recorded now."""
        return self.alarm != "" or self._disk.silent(now_s)

    def heard(self, cycle: Cycle) -> None:
        """One cycle; never waits."""
        stations = cycle.stations
        self._stations = tuple([one.id for one in stations])
        timing = cycle.timing
        aside = Aside(
            cycle.seq,
            round(timing.read_s * 1e3),
            timing.overruns,
            tuple([_ADDRESS.sub(r"\1...", one.error or one.write_error) for one in stations]),
            tuple([one.outcome for one in stations]),
        )
        self._add(Recorded(cycle.snapshot, cycle.decision, aside))
        self._memory = cycle.memory
        mode, now_s = cycle.decision.mode, cycle.snapshot.now_s
        if mode is not self._mode and mode in INCIDENT_MODES:
            self._note_incident(
                now_s, mode.value, f"{self._mode.value} -> {mode.value}: {cycle.decision.reason}"
            )
        self._mode = mode
        if self._incident is not None and now_s >= self._incident.due_s:
            self._bell.set()

    def failed(self, snapshot: Snapshot | None) -> None:
        """The program ended by an error; where the core failed on this snapshot, it ends the record."""
        known = self._remembered[-1].cycle.snapshot if self._remembered else None
        if snapshot is None or snapshot is known:
            return
        self._add(Recorded(snapshot, None, Aside(0)))
        self._note_incident(snapshot.now_s, "ERROR", "the program ended by an error while it decided")

    async def run(self) -> None:
        """Write now and again, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(RETRY_S if self.alarm else WRITE_EVERY_S):
                    await self._bell.wait()
            except TimeoutError:
                pass
            self._bell.clear()
            await self._write()

    async def close(self) -> None:
        """Write the rest, and the incident under way."""
        if self._incident is not None:
            self._incident.due_s = float("-inf")
        try:
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await self._write()
                await self._disk.do(self._closed)
        except TimeoutError:
            log.warning(
                "%s: the last cycles were not recorded within %g s", self._where.folder, CLOSE_WITHIN_S
            )
        self._disk.close()

    # --- on the loop -----------------------------------------------------------------------------------

    def _add(self, recorded: Recorded) -> None:
        kept = _Kept(recorded, self._memory)
        self._lost = self._lost or len(self._waiting) == MOST_WAITING
        self._waiting.append(kept)
        remembered = self._remembered
        remembered.append(kept)
        from_s = recorded.snapshot.now_s - BEFORE_S if self._incident is None else self._incident.begun_s
        while remembered[0].cycle.snapshot.now_s < from_s:
            remembered.popleft()

    def _note_incident(self, now_s: float, word: str, why: str) -> None:
        incident = self._incident
        if incident is None:
            self._incident = _Incident(now_s - BEFORE_S, now_s + AFTER_S, word, why)
        else:
            incident.due_s = min(now_s + AFTER_S, incident.begun_s + LONGEST_INCIDENT_S)

    async def _write(self) -> None:
        now_s = asyncio.get_running_loop().time()
        batch, lost, incident = tuple(self._waiting), self._lost, self._incident
        due = incident is not None and now_s >= incident.due_s
        around = tuple(self._remembered) if due else ()
        try:
            await self._disk.do(lambda: self._append(batch, now_s, lost))
            self._taken(batch)
            self._lost = False
            if incident is not None and around:
                await self._disk.do(lambda: self._keep_incident(incident, around))
                self._incident = None
        except OSError as error:
            if not self.alarm:
                log.error("%s: %s; control goes on, unrecorded", self._where.folder, error.strerror)
            self.alarm = f"{self._where.folder}: {error.strerror}"
            self._lost = True
            return
        if self.alarm:
            log.info("recording again in %s", self._where.folder)
        self.alarm = ""

    def _taken(self, batch: Sequence[_Kept]) -> None:
        """What was written need not wait any more; meanwhile more came, and the oldest may have given way."""
        if not batch:
            return
        last = batch[-1]
        while self._waiting:
            if self._waiting.popleft() is last:
                break

    # --- in the thread ---------------------------------------------------------------------------------

    def _append(self, batch: Sequence[_Kept], now_s: float, lost: bool) -> None:
        """Into the segment under way, or a new one after an hour, after a gap, and when that was removed."""
        if self._writer is not None and not self._writer.path.exists():
            self._closed(sync=False)
        if self._writer is not None and (lost or now_s - self._writer_begun_s >= SEGMENT_S):
            self._closed()
        if not batch:
            return
        begun = False
        if self._writer is None:
            self._writer = self._begun(self._where.journal, batch[0], "", "")
            self._writer_begun_s, begun = now_s, True
        try:
            self._writer.add([one.cycle for one in batch])
        except OSError:
            if begun:
                self._writer.path.unlink(missing_ok=True)
            self._closed(sync=False)
            raise
        if begun:
            self._prune(batch[-1].cycle.snapshot.local)
        if self._writer.size > SEGMENT_BYTES:
            self._closed()

    def _begun(self, folder: Path, first: _Kept, word: str, why: str) -> SegmentWriter:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        start = Start(self._site, self._config, first.memory, self._stations, why)
        return SegmentWriter(next_path(folder, first.cycle.snapshot.utc_s, word), start)

    def _keep_incident(self, incident: _Incident, around: Sequence[_Kept]) -> None:
        folder = self._where.incidents
        writer = self._begun(folder, around[0], incident.word, incident.why)
        try:
            writer.add([one.cycle for one in around])
        finally:
            writer.close()
        log.warning("incident kept: %s", writer.path)
        _delete(segments(folder)[: -self._where.keep_incidents])

    def _prune(self, local: LocalTime | None) -> None:
        """Delete the oldest segments beyond the bounds of size and age; never the one being written.

        The size is the bound that always holds. Of age only a trusted clock tells, and that may have jumped:
        then no more are deleted than come.
        """
        found = segments(self._where.journal)[:-1]
        aged = [] if local is None else _older_than(found, local.utc_s - self._where.keep_s, local.utc_s)
        sizes = [one.stat().st_size for one in found]
        total, deleted = sum(sizes), dict.fromkeys(aged[:MOST_AGED])
        for path, size in zip(found, sizes, strict=True):
            if total > self._where.keep_bytes:
                deleted[path] = None
            total -= size if path in deleted else 0
        _delete(tuple(deleted))

    def _closed(self, sync: bool = True) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close(sync)


def _older_than(found: Sequence[Path], begun_before_utc_s: float, now_utc_s: float) -> list[Path]:
    """The segments begun before that, oldest first.

    A time of the future or before the clock was set says nothing; such a segment is as old as the one before.
    """
    older: list[Path] = []
    known_utc_s: float | None = None
    for path in found:
        begun = begun_utc_s(path)
        if begun is not None and BUILT_UTC_S <= begun <= now_utc_s:
            known_utc_s = max(begun, known_utc_s or begun)
        if known_utc_s is not None and known_utc_s < begun_before_utc_s:
            older.append(path)
    return older


def _delete(paths: Sequence[Path]) -> None:
    """What cannot be deleted stays; recording goes on."""
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s cannot be deleted: %s", path, error.strerror)
