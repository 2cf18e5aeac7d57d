"""Traces from a CSV file of measured (or planned) load and PV.

The form: UTF-8, columns separated by commas, or by semicolons or tabs and then with decimal commas too, a
header with `timestamp,load_w,pv_w` in any order and among any others (`columns.py` has the other names),
a row for each even step. `timestamp` is the step's start in ISO 8601, with its UTC offset or on the clock
of the site, so the steps are even over clock changes too; powers are means. What ends in `.gz` is unpacked.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from array import array
from bisect import bisect_right
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta, timezone, tzinfo
from itertools import chain
from math import inf, isfinite
from pathlib import Path
from typing import TextIO

from simulators.traces.columns import (
    Header,
    HeaderError,
    header_of,
    no_stamp,
    separator_of,
    unit_of,
    watts_of,
)
from simulators.traces.shape import StepTrace

_HEAD_BYTES = 4096
_UNEVEN_S = 0.002
"""Stamps may be off their even step by this much: files round them to a millisecond."""


class TraceError(ValueError):
    """A file that cannot be used as traces; the text names the place, the value and what would be right."""


@dataclass(frozen=True, slots=True)
class CsvTraces:
    """What one file holds. Trace time 0 is `start`; `notes` are for the operator, as they stand."""

    load: StepTrace
    pv: StepTrace
    prices: Mapping[str, StepTrace]
    """Every extra column with "price" in its name, in the unit that its name states."""
    start: datetime
    step_s: float
    offsets: tuple[tuple[int, timedelta], ...]
    """The local UTC offset, as (first row, offset) wherever it changes."""
    notes: tuple[str, ...] = ()
    lines: tuple[tuple[int, int], ...] = ((0, 2),)
    """Where the rows stand in the file, as (row, line) wherever a row is not on the line after the last."""
    load_column: str = "load_w"
    pv_column: str = "pv_w"

    @property
    def rows(self) -> int:
        return len(self.load.values)

    @property
    def duration_s(self) -> float:
        return self.load.duration_s

    def line(self, row: int) -> int:
        """The line of the file that a row is on; the header is line 1, and blank lines count."""
        first, line = self.lines[bisect_right(self.lines, row, key=lambda change: change[0]) - 1]
        return line + row - first

    def timestamp(self, row: int) -> datetime:
        """The start of a row's step, with the local offset that the file gives there."""
        offset = self.offsets[bisect_right(self.offsets, row, key=lambda change: change[0]) - 1][1]
        return (self.start + timedelta(seconds=row * self.step_s)).astimezone(timezone(offset))


def read_csv(path: str | Path, where: tzinfo | None = None) -> CsvTraces:
    """The traces of a file. A file without PV says so in `notes`.

    Stamps without an offset are on the clock of `where`; without it they are refused. Raises TraceError for a
    file that is missing, damaged or not of this form.
    """
    path = Path(path)
    try:
        with _open_text(path) as file:
            return _read(path, file, where)
    except OSError as error:  # gzip.BadGzipFile is one too
        raise TraceError(f"{path}: {error.strerror or error}") from error
    except EOFError as error:
        raise TraceError(f"{path}: the compressed file ends too early; copy it again") from error
    except zlib.error as error:
        raise TraceError(f"{path}: the compressed file is damaged ({error}); copy it again") from error
    except UnicodeDecodeError:
        raise TraceError(_not_text(path)) from None


def _not_text(path: Path) -> str:
    """Where a file that was read in pieces stops being UTF-8, or that it never was a text."""
    with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
        raw: bytes = file.read()
    if b"\0" in raw[:_HEAD_BYTES] and not raw.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        kind = "".join(chr(one) for one in raw[:4] if 32 < one < 127)
        return f"{path} is no text file (it begins with {kind!r}); give a CSV file in UTF-8"
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return f"{path}, line {line}: byte 0x{raw[error.start]:02x} is not UTF-8; save the file as UTF-8"
    return f"{path}: the file was changed while it was read"


def _open_text(path: Path) -> TextIO:
    if path.suffix == ".gz":
        with path.open("rb") as raw:
            if raw.read(2) != b"\x1f\x8b":
                raise TraceError(f"{path}: the name ends in .gz, but it is not a gzip file")
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    with path.open("rb") as raw:
        if raw.read(2) == b"\x1f\x8b":
            raise TraceError(f"{path}: this is a gzip file; its name must end in .gz")
    return path.open("r", encoding="utf-8-sig", newline="")


def _read(path: Path, file: TextIO, where: tzinfo | None) -> CsvTraces:
    first = file.readline()
    separator = separator_of(first)
    rows = csv.reader(chain([first] if first else [], file), delimiter=separator)
    try:
        names = [name.strip() for name in next(rows, [])]
        if not any(names):
            raise TraceError(f"{path} is empty; it needs a header line: timestamp,load_w,pv_w")
        try:
            header = header_of(names)
        except HeaderError as error:
            raise TraceError(f"{path}, line 1: {error}") from None
        reader = _Reader(path, header, where, decimal_comma=separator != ",")
        for row in rows:
            if row:
                reader.take(row, rows.line_num)
    except csv.Error as error:
        raise TraceError(f"{path}, line {rows.line_num}: {error}") from error
    return reader.traces()


class _Reader:
    """Takes row after row and keeps what becomes traces."""

    def __init__(self, path: Path, header: Header, where: tzinfo | None, decimal_comma: bool) -> None:
        self._path = path
        self._header = header
        self._where = where
        self._decimal_comma = decimal_comma
        self._width = len(header.names)
        self._stamp_index = header.stamp_at
        powers = [index for index in (header.house_at, header.sun_at) if index is not None]
        self._values = {index: array("d") for index in (*powers, *header.prices_at)}
        # The lowest allowed value beside the place, so that taking a row looks nothing up.
        self._fields = [
            (index, values.append, 0.0 if index in powers else -inf) for index, values in self._values.items()
        ]
        self._local = False
        self._offset_text = ""
        self._offsets: list[tuple[int, timedelta]] = []
        self._lines: list[tuple[int, int]] = []
        self._due_line = 0
        self._start: datetime | None = None
        self._start_s = self._due_s = self._last_s = self._step_s = 0.0
        self._rows = 0

    def take(self, row: list[str], line: int) -> None:
        if len(row) != self._width:
            raise self._error(line, f"{len(row)} values, but the header names {self._width} columns")
        text = row[self._stamp_index].strip()
        try:
            stamp = datetime.fromisoformat(text)
        except ValueError:
            raise self._stamp_error(line, no_stamp(text)) from None
        if (stamp.tzinfo is None) is not self._local:
            if self._rows:
                above = "no UTC offset" if self._local else "a UTC offset"
                raise self._stamp_error(
                    line, f"{text}, but the rows above have {above}; write all of them alike"
                )
            self._local = True
        if self._local:
            stamp = self._on_site_clock(stamp, text, line)
        self._take_stamp(stamp, text, line)
        if self._decimal_comma:
            row = [one.replace(",", ".") for one in row]
        for index, keep, least in self._fields:
            try:
                value = float(row[index])
            except ValueError:
                value = -inf
            if not least <= value < inf or value == -inf:
                raise self._bad_value(line, index, row[index])
            keep(value)
        if line != self._due_line:
            self._lines.append((self._rows, line))
        self._due_line = line + 1
        self._rows += 1

    def _on_site_clock(self, stamp: datetime, text: str, line: int) -> datetime:
        """A local time with its offset; of one that the clock shows twice, what comes after the row above."""
        if self._where is None:
            raise self._stamp_error(
                line,
                f"{text!r} has no UTC offset; write {text}+01:00, or {text}Z for UTC, or say in the site "
                'file on which clock it is: timezone = "Europe/Brussels"',
            )
        local = stamp.replace(tzinfo=self._where)
        if self._rows and local.timestamp() <= self._last_s:
            local = local.replace(fold=1)
        shown = datetime.fromtimestamp(local.timestamp(), self._where)
        if shown.replace(tzinfo=None) != stamp:
            raise self._stamp_error(
                line,
                f"{text} is skipped by the clock of {self._where}: is it that of another one, such as UTC or "
                f"winter time all year? Then write the offset behind each: {text}+01:00",
            )
        return shown.astimezone(timezone(shown.utcoffset() or timedelta()))

    def _take_stamp(self, stamp: datetime, text: str, line: int) -> None:
        at_s = stamp.timestamp()
        if self._rows > 1:
            if at_s != self._due_s and abs(at_s - self._due_s) > _UNEVEN_S:
                raise self._uneven(line, text, at_s)
            self._due_s = self._start_s + (self._rows + 1) * self._step_s
        elif self._rows == 1:
            self._step_s = round(at_s - self._start_s, 3)
            if self._step_s <= 0:
                raise self._uneven(line, text, at_s)
            self._due_s = self._start_s + 2 * self._step_s
        else:
            self._start = stamp
            self._start_s = at_s
        self._last_s = at_s
        if self._local or text[-6:] != self._offset_text:
            # Without a colon the end of the text also holds seconds: then this is only slower.
            self._offset_text = text[-6:]
            offset = stamp.utcoffset()
            assert offset is not None, "its tzinfo was checked"
            if not self._offsets or self._offsets[-1][1] != offset:
                self._offsets.append((self._rows, offset))

    def traces(self) -> CsvTraces:
        if self._start is None or self._rows < 2:
            raise TraceError(
                f"{self._path}: {self._rows} rows of data; at least two are needed to tell the step"
            )
        step_s, header = self._step_s, self._header
        if header.sun_at is None:
            pv_column, pv = "pv_w", StepTrace(step_s, array("d", bytes(8 * self._rows)))
        else:
            pv_column, pv = self._power(header.sun_at)
        load_column, load = self._power(header.house_at)
        start, offsets = self._start, self._offsets
        if header.stamps_end:
            # Each step begins where the one before it ends: with its stamp, and on the clock of then.
            start -= timedelta(seconds=step_s)
            offsets = [(row + 1 if row else 0, one) for row, one in offsets if row + 1 < self._rows]
        return CsvTraces(
            load=load,
            pv=pv,
            prices={header.names[one]: StepTrace(step_s, self._values[one]) for one in header.prices_at},
            start=start,
            step_s=step_s,
            offsets=tuple(offsets),
            notes=tuple(self._notes()),
            lines=tuple(self._lines),
            load_column=load_column,
            pv_column=pv_column,
        )

    def _power(self, index: int) -> tuple[str, StepTrace]:
        name = self._header.names[index]
        watts = watts_of(name, self._step_s)
        values = self._values[index]
        return name, StepTrace(
            self._step_s, values if watts == 1.0 else array("d", (one * watts for one in values))
        )

    def _notes(self) -> Iterator[str]:
        header, name = self._header, self._path.name
        if header.sun_at is None:
            missing = "export_w" if header.at_the_grid else "pv_w"
            yield f"{name} has no column {missing}: simulated without PV"
        if header.at_the_grid:
            yield (
                f"{name}: import is simulated as the load and export as the sun; what the house used of its "
                "own sun is in neither, and self-sufficiency is counted without it"
            )
        assert self._start is not None, "there are rows"
        first = self._start
        last = datetime.fromtimestamp(self._last_s, timezone(self._offsets[-1][1]))
        since_midnight = timedelta(hours=first.hour, minutes=first.minute, seconds=first.second)
        if not header.stamps_end and since_midnight.total_seconds() == self._step_s and last.time() == time():
            yield (
                f"{name} begins at {first:%H:%M}, its last row at {last:%H:%M}: if these are the ends of the "
                "steps, name the column timestamp_end"
            )

    def _error(self, line: int, what: str) -> TraceError:
        return TraceError(f"{self._path}, line {line}: {what}")

    def _stamp_error(self, line: int, what: str) -> TraceError:
        return self._error(line, f"column {self._header.names[self._stamp_index]}: {what}")

    def _bad_value(self, line: int, index: int, text: str) -> TraceError:
        name = self._header.names[index]
        unit = "a price" if index in self._header.prices_at else f"{unit_of(name)}, 0 or more"
        try:
            value = float(text)
        except ValueError:
            what = f"{text!r} is not a number" if text.strip() else "the value is blank"
            if "," in text:
                unit += ", with a point for decimals, or separate the columns by semicolons"
        else:
            what = f"{text} is negative" if isfinite(value) else f"{text} is not a finite number"
        return self._error(line, f"column {name}: {what}; give {unit}")

    def _uneven(self, line: int, text: str, at_s: float) -> TraceError:
        gone_s = at_s - self._last_s
        if gone_s == 0:
            what = f"{text} comes twice; give each instant one row"
        elif gone_s < 0:
            what = f"{text} lies {-gone_s:g} s before the row above; sort the rows by time"
        else:
            what = (
                f"{text} comes {gone_s:g} s after the row above, but the step is {self._step_s:g} s; "
                "give every step one row"
            )
        return self._stamp_error(line, what)
