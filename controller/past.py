"""The site's own past in quarter hours: mean load, sun and import, kept over a restart.

A quarter hour that was not seen for the most part is left out: what is not known is absent. The file is text,
one line a quarter hour, so a torn last line costs that one quarter hour.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger("penstock.planner")

QUARTER_S = 900.0
SEEN_SHARE = 0.8
"""A quarter hour counts if so much of it was seen."""
FILE = "history.csv"
_MOST_W = 1e9
_FEWEST_ROWS = 96


@dataclass(frozen=True, slots=True)
class Quarter:
    """Means over one quarter hour; `import_w` is at the PCC and never below 0, as the biller counts.

    `said_*` is what an outside forecast had said of it first, None where it said nothing. For the share
    `pv_held_share` of the time PV inverters were held down: they could have given more.
    """

    begin_utc_s: float
    load_w: float
    pv_w: float
    import_w: float
    said_load_w: float | None = None
    said_pv_w: float | None = None
    pv_held_share: float = 0.0


_COLUMNS = tuple(one.name for one in fields(Quarter))
_HEAD = ",".join(_COLUMNS)
_MEASURED = 4
"""So many columns stand in every line; the others may be empty or missing."""


class Collector:
    """Turns readings into quarter hours: each holds until the next, but no longer than `gap_s`.

    Two readings with what the meter has counted tell the import between them better than the first one does.
    """

    def __init__(self, done: Callable[[Quarter], None], gap_s: float = 30.0) -> None:
        self._done = done
        self._gap_s = gap_s
        self._last: tuple[float, float, float, float, bool] | None = None
        self._counted_wh: float | None = None
        self._begin_utc_s: float | None = None
        self._seen_s = 0.0
        self._held_s = 0.0
        self._sums_ws = (0.0, 0.0, 0.0)

    def take(
        self,
        utc_s: float,
        load_w: float,
        pv_w: float,
        import_w: float,
        pv_held: bool = False,
        counted_wh: float | None = None,
    ) -> None:
        """One reading. A clock that went back starts its quarter hour anew."""
        last, self._last = self._last, (utc_s, load_w, pv_w, import_w, pv_held)
        before_wh, self._counted_wh = self._counted_wh, counted_wh
        if last is None or utc_s < last[0]:
            self._start(utc_s // QUARTER_S * QUARTER_S)
            return
        between_w = last[3]
        if before_wh is not None and counted_wh is not None and utc_s > last[0]:
            between_w = (counted_wh - before_wh) * 3600.0 / (utc_s - last[0])
        at_s, end_s = last[0], min(utc_s, last[0] + self._gap_s)
        while at_s < end_s:
            begin_utc_s = at_s // QUARTER_S * QUARTER_S
            if begin_utc_s != self._begin_utc_s:
                self._finish()
                self._start(begin_utc_s)
            part_s = min(end_s, begin_utc_s + QUARTER_S) - at_s
            self._seen_s += part_s
            self._held_s += part_s * last[4]
            load_ws, pv_ws, import_ws = self._sums_ws
            self._sums_ws = (
                load_ws + last[1] * part_s,
                pv_ws + last[2] * part_s,
                import_ws + max(between_w, 0.0) * part_s,
            )
            at_s += part_s
        if self._begin_utc_s is not None and utc_s >= self._begin_utc_s + QUARTER_S:
            self._finish()
            self._start(utc_s // QUARTER_S * QUARTER_S)

    def _start(self, begin_utc_s: float) -> None:
        self._begin_utc_s, self._seen_s, self._held_s = begin_utc_s, 0.0, 0.0
        self._sums_ws = (0.0, 0.0, 0.0)

    def _finish(self) -> None:
        if self._begin_utc_s is None or self._seen_s < SEEN_SHARE * QUARTER_S:
            return
        load_w, pv_w, import_w = (one / self._seen_s for one in self._sums_ws)
        held_share = self._held_s / self._seen_s
        self._done(Quarter(self._begin_utc_s, load_w, pv_w, import_w, pv_held_share=held_share))


class Past:
    """Quarter hours in order of time, as many as fill `keep_s`.

    A clock may jump and be right again: what it called the future stands behind the rest until that time
    comes, and displaces no more than its own number.
    """

    def __init__(self, keep_s: float, quarters: Iterable[Quarter] = ()) -> None:
        self._most = max(int(keep_s // QUARTER_S), 1)
        self.quarters: deque[Quarter] = deque()
        self._rows = np.empty((_FEWEST_ROWS, len(_COLUMNS)))
        self._end = 0
        for one in quarters:
            self.add(one)

    @property
    def table(self) -> NDArray[np.float64]:
        """The same as rows of numbers, in the order of `Quarter`; NaN where nothing was said."""
        return self._rows[self._end - len(self.quarters) : self._end]

    def before(self, end_utc_s: float) -> NDArray[np.float64]:
        """The rows of the table that began before this instant."""
        table = self.table
        return table[: int(np.searchsorted(table[:, 0], end_utc_s))]

    def add(self, quarter: Quarter) -> bool:
        """Whether it was taken: one that is known already is no news."""
        place = len(self.quarters)
        if self.quarters and quarter.begin_utc_s <= self.quarters[-1].begin_utc_s:
            place = len(self.before(quarter.begin_utc_s))
            if self.quarters[place].begin_utc_s == quarter.begin_utc_s:
                return False
        if self._end == len(self._rows):
            kept = self.table
            self._rows = np.empty((max(2 * len(kept), _FEWEST_ROWS), len(_COLUMNS)))
            self._rows[: len(kept)], self._end = kept, len(kept)
        row = self._end - len(self.quarters) + place
        self._rows[row + 1 : self._end + 1] = self._rows[row : self._end]
        self._rows[row] = [getattr(quarter, column) for column in _COLUMNS]
        self._end += 1
        self.quarters.insert(place, quarter)
        if len(self.quarters) > self._most:
            self.quarters.popleft()
        return True


def read_past(folder: Path, keep_s: float) -> Past:
    """What the file holds; lines that are no quarter hour are left out and counted."""
    path = folder / FILE
    past = Past(keep_s)
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return past
    except OSError as error:
        log.warning("%s: cannot be read: %s; the past is not known", path, error.strerror)
        return past
    strange = 0
    for line in text.splitlines():
        quarter = _quarter(line)
        if quarter is None:
            strange += not line.startswith(_COLUMNS[0])
        else:
            past.add(quarter)
    if strange:
        log.warning("%s: %d lines are no quarter hour; left out", path, strange)
    return past


def append_past(folder: Path, quarter: Quarter) -> None:
    """One more line; OSError when the disk refuses."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    with path.open("a+b") as file:
        end = file.seek(0, os.SEEK_END)
        if end:
            file.seek(end - 1)
            torn = file.read(1) != b"\n"
        text = f"{_HEAD}\n" if not end else "\n" if torn else ""
        file.write((text + _line(quarter)).encode())


def rewrite_past(folder: Path, past: Past) -> None:
    """Only what is kept, in one step; OSError when the disk refuses."""
    folder.mkdir(parents=True, exist_ok=True)
    path, new = folder / FILE, folder / f"{FILE}.new"
    with new.open("wb") as file:
        file.write((f"{_HEAD}\n" + "".join(map(_line, past.quarters))).encode())
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _line(one: Quarter) -> str:
    measured = f"{one.begin_utc_s:.0f},{one.load_w:.1f},{one.pv_w:.1f},{one.import_w:.1f}"
    said = ["" if value is None else f"{value:.1f}" for value in (one.said_load_w, one.said_pv_w)]
    return ",".join([measured, *said, f"{one.pv_held_share:.2f}"]) + "\n"


def _quarter(line: str) -> Quarter | None:
    parts = line.split(",")
    parts += [""] * (len(_COLUMNS) - len(parts))
    if len(parts) != len(_COLUMNS):
        return None
    try:
        begin_utc_s, load_w, pv_w, import_w = (float(part) for part in parts[:_MEASURED])
        said_load_w, said_pv_w, held = (float(part) if part else None for part in parts[_MEASURED:])
    except ValueError:
        return None
    known_w = [one for one in (load_w, pv_w, import_w, said_load_w, said_pv_w) if one is not None]
    held_share = held or 0.0
    if not all(isfinite(one) and abs(one) < _MOST_W for one in known_w) or not 0.0 <= held_share <= 1.0:
        return None
    if not isfinite(begin_utc_s) or begin_utc_s < 0.0 or begin_utc_s % QUARTER_S:
        return None
    return Quarter(begin_utc_s, load_w, pv_w, import_w, said_load_w, said_pv_w, held_share)
