"""Traces from a CSV file of measured (or planned) load and PV.

The form: UTF-8, commas, a header with `timestamp,load_w,pv_w` in any order and among any others, a row
for each even step. `timestamp` is the step's start in ISO 8601 with its UTC offset, so the steps are even
over clock changes too; powers are means in W. A file that ends in `.gz` is unpacked on the way.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from array import array
from bisect import bisect_right
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from difflib import get_close_matches
from math import inf, isfinite
from pathlib import Path
from typing import TextIO

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


def read_csv(path: str | Path) -> CsvTraces:
    """The traces of a file. A file without `pv_w` has no PV, and says so in `notes`.

    Raises TraceError for a file that is missing, damaged or not of this form.
    """
    path = Path(path)
    try:
        with _open_text(path) as file:
            return _read(path, file)
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


def _read(path: Path, file: TextIO) -> CsvTraces:
    rows = csv.reader(file)
    try:
        header = [name.strip() for name in next(rows, [])]
        columns = _columns(path, header)
        reader = _Reader(path, header, columns)
        for row in rows:
            if row:
                reader.take(row, rows.line_num)
    except csv.Error as error:
        raise TraceError(f"{path}, line {rows.line_num}: {error}") from error
    return reader.traces()


def _columns(path: Path, header: list[str]) -> dict[str, int]:
    """Which column is where: the ones we read, by name."""
    if not any(header):
        raise TraceError(f"{path} is empty; it needs a header line: timestamp,load_w,pv_w")
    for name in header:
        if name and header.count(name) > 1:
            raise TraceError(f"{path}, line 1: two columns are named {name!r}")
    columns = {name: index for index, name in enumerate(header) if _is_read(name)}
    for name in ("timestamp", "load_w"):
        if name in columns:
            continue
        hint = ""
        if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
            hint = "; separate the columns by commas, and write decimals with a point"
        elif near := get_close_matches(name, header, n=1, cutoff=0.6):
            hint = f"; did you mean {near[0]!r}?"
        raise TraceError(f"{path}, line 1: no column {name!r} among {', '.join(header)}{hint}")
    return columns


def _is_read(name: str) -> bool:
    return name in ("timestamp", "load_w", "pv_w") or "price" in name


class _Reader:
    """Takes row after row and keeps what becomes traces."""

    def __init__(self, path: Path, header: list[str], columns: dict[str, int]) -> None:
        self._path = path
        self._header = header
        self._width = len(header)
        self._stamp_index = columns.pop("timestamp")
        self._columns = columns
        self._values = {name: array("d") for name in columns}
        # Name and lowest allowed value beside the place, so that taking a row looks nothing up.
        self._fields = [
            (index, self._values[name].append, -inf if "price" in name else 0.0)
            for name, index in columns.items()
        ]
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
        text = row[self._stamp_index]
        try:
            stamp = datetime.fromisoformat(text)
        except ValueError:
            raise self._error(
                line, f"column timestamp: {text!r} is not ISO 8601; write 2024-01-31T16:45:00+01:00"
            ) from None
        if stamp.tzinfo is None:
            raise self._error(
                line, f"column timestamp: {text!r} has no UTC offset; write {text}+01:00, or {text}Z for UTC"
            )
        self._take_stamp(stamp, text, line)
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
        if text[-6:] != self._offset_text:
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
        step_s = self._step_s
        notes: tuple[str, ...] = ()
        if "pv_w" not in self._values:
            notes = (f"{self._path.name} has no column pv_w: simulated without PV",)
            self._values["pv_w"] = array("d", bytes(8 * self._rows))
        return CsvTraces(
            load=StepTrace(step_s, self._values.pop("load_w")),
            pv=StepTrace(step_s, self._values.pop("pv_w")),
            prices={name: StepTrace(step_s, values) for name, values in self._values.items()},
            start=self._start,
            step_s=step_s,
            offsets=tuple(self._offsets),
            notes=notes,
            lines=tuple(self._lines),
        )

    def _error(self, line: int, what: str) -> TraceError:
        return TraceError(f"{self._path}, line {line}: {what}")

    def _bad_value(self, line: int, index: int, text: str) -> TraceError:
        name = self._header[index]
        unit = "a price" if "price" in name else "watts, 0 or more"
        try:
            value = float(text)
        except ValueError:
            what = f"{text!r} is not a number" if text.strip() else "the value is blank"
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
        return self._error(line, f"column timestamp: {what}")
