"""What the broker did not hear: means of every minute of an outage, kept on disk, delivered afterwards.

The minutes are those of UTC. Written is one row a minute and only while the broker is away, by a thread. A
disk that refuses keeps nobody waiting: the newest day then stays in memory.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from zlib import crc32

from controller.disk_thread import DiskThread, Result
from controller.messages import BackfillMessage, StateMessage
from controller.store import REFUSALS, DamagedError, StoreError, named, set_aside
from controller.telemetry import iso

log = logging.getLogger("penstock.mqtt")

MINUTE_S = 60
MOST_MINUTES = 14 * 24 * 60
"""Two weeks; the oldest minute gives way."""
MOST_IN_MEMORY = 24 * 60
LATE_S = 10.0
"""A connection that was lost within this time after a minute may have lost that minute's end too."""
MEANS = ("pcc_import_w", "load_w", "pv_generation_w", "battery_discharge_w", "setpoint_w")
CLOSE_WITHIN_S = 2.0
NAME = "backfill.db"

_TABLE = "CREATE TABLE IF NOT EXISTS minutes (minute INTEGER PRIMARY KEY, message BLOB, crc INTEGER)"

Row = tuple[int, bytes]
"""The minute, counted from 1970, and the message."""


class Minutes:
    """From the states of a minute to its means."""

    def __init__(self) -> None:
        self._minute: int | None = None
        self._sums = dict.fromkeys(MEANS, 0.0)
        self._counts = dict.fromkeys(MEANS, 0)
        self._last: StateMessage | None = None
        self._cycles = 0

    def add(self, state: StateMessage, utc_s: float) -> Row | None:
        """One state; the minute before, when this is the first of another one."""
        minute, done = int(utc_s // MINUTE_S), None
        if minute != self._minute:
            done = self._row()
            self._minute, self._cycles = minute, 0
            self._sums, self._counts = dict.fromkeys(MEANS, 0.0), dict.fromkeys(MEANS, 0)
        for name in MEANS:
            value = getattr(state, name)
            if value is not None:
                self._sums[name] += value
                self._counts[name] += 1
        self._last, self._cycles = state, self._cycles + 1
        return done

    def _row(self) -> Row | None:
        if self._minute is None or self._last is None:
            return None
        means = {
            name: round(self._sums[name] / self._counts[name], 1) if self._counts[name] else None
            for name in MEANS
        }
        message = BackfillMessage(
            at=iso(float(self._minute * MINUTE_S)) or "",
            mode=self._last.mode,
            policy=self._last.policy,
            soc_pct=self._last.soc_pct,
            cycles=self._cycles,
            **means,
        )
        return self._minute, message.model_dump_json().encode()


class MinuteFile:
    """The rows on disk. Every method blocks, and raises StoreError or OSError when the disk refuses.

    A file that cannot be understood is set aside, a row that is not whole is dropped.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME

    def _using(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            return self._once(work)
        except DamagedError as error:
            log.warning("%s; it was set aside as %s", error, set_aside(self._path))
            return self._once(work)

    def _once(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        try:
            with closing(sqlite3.connect(self._path, timeout=5.0)) as db, db:
                db.execute(_TABLE)
                return work(db)
        except REFUSALS as error:
            raise named(error, self._path) from None

    def add(self, rows: Sequence[Row]) -> int:
        """Keep these too, and of all the newest `MOST_MINUTES`; how many were added."""

        def work(db: sqlite3.Connection) -> int:
            whole = [(minute, message, crc32(message)) for minute, message in rows]
            db.executemany("INSERT OR REPLACE INTO minutes VALUES (?, ?, ?)", whole)
            old = "SELECT minute FROM minutes ORDER BY minute DESC LIMIT -1 OFFSET ?"
            db.execute(f"DELETE FROM minutes WHERE minute IN ({old})", (MOST_MINUTES,))
            return len(rows)

        return self._using(work)

    def oldest(self, number: int) -> list[Row]:
        """The oldest rows; none when there is no file."""

        def work(db: sqlite3.Connection) -> list[Row]:
            found = db.execute("SELECT minute, message, crc FROM minutes ORDER BY minute LIMIT ?", (number,))
            rows: list[Row] = []
            for minute, message, crc in found.fetchall():
                if isinstance(message, bytes) and crc == crc32(message):
                    rows.append((minute, message))
                else:
                    db.execute("DELETE FROM minutes WHERE minute = ?", (minute,))
            return rows

        return self._using(work) if self._path.exists() else []

    def remove(self, rows: Sequence[Row]) -> None:
        """These were delivered."""
        minutes = [(minute,) for minute, _ in rows]
        self._using(lambda db: db.executemany("DELETE FROM minutes WHERE minute = ?", minutes))


class Backlog:
    """The minutes of an outage: `note` on each beat, `oldest` and `delivered` by the connection."""

    def __init__(self, folder: Path) -> None:
        self._file = MinuteFile(folder)
        self._disk = DiskThread("backfill")
        self._minutes = Minutes()
        self._done: tuple[Row, float] | None = None
        self._away_s = float("-inf")
        self._waiting: deque[Row] = deque(maxlen=MOST_IN_MEMORY)
        self._writing: asyncio.Task[None] | None = None
        self._refused = ""

    def note(self, state: StateMessage, utc_s: float | None, now_s: float, connected: bool) -> None:
        """One beat; never waits. Without any clock there is no telling which minute it is."""
        if not connected:
            self._away_s = now_s
        if self._done is not None and now_s >= self._done[1] + LATE_S:
            row, ended_s = self._done
            self._done = None
            if self._away_s >= ended_s - MINUTE_S:
                self._keep(row)
        if utc_s is None:
            return
        row_done = self._minutes.add(state, utc_s)
        if row_done is not None:
            self._done = row_done, now_s

    async def oldest(self, number: int) -> list[Row]:
        """What is to be delivered next."""
        rows = await self._tried(lambda: self._file.oldest(number))
        return rows or list(self._waiting)[:number]

    async def delivered(self, rows: Sequence[Row]) -> None:
        """The broker has these."""
        self._waiting = deque((row for row in self._waiting if row not in rows), MOST_IN_MEMORY)
        await self._tried(lambda: self._file.remove(rows))

    async def close(self) -> None:
        """Write what still waits."""
        if self._done is not None and self._away_s >= self._done[1] - MINUTE_S:
            self._waiting.append(self._done[0])
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await self._write()
        self._disk.close()

    def _keep(self, row: Row) -> None:
        self._waiting.append(row)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    async def _write(self) -> None:
        rows = list(self._waiting)
        if not rows:
            return
        added = await self._tried(lambda: self._file.add(rows))
        if added:
            self._refused = ""
            self._waiting = deque((row for row in self._waiting if row not in rows), MOST_IN_MEMORY)

    async def _tried(self, work: Callable[[], Result]) -> Result | None:
        """What the disk says; None when it refuses, which is told once."""
        try:
            found = await self._disk.do(work)
        except (StoreError, OSError) as error:
            if str(error) != self._refused:
                log.warning("minutes of the outage cannot be kept on disk (%s); the last day is kept", error)
            self._refused = str(error)
            return None
        return found
