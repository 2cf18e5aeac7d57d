"""Measured data made ready to be run and billed: on the site's own clock, from a quarter hour on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta, timezone
from math import ceil, gcd
from pathlib import Path

import numpy as np

from controller.clock import local_time, zone
from controller.lab.simulate import Wall
from controller.planning.calendars import QUARTER_S, local_steps
from drivers.doors import DoorError
from simulators.traces import CsvTraces, StepTrace

QUARTER_MS = 1000 * QUARTER_S


def wall_of(traces: CsvTraces) -> Wall:
    """The clock of the traces."""
    changes = tuple((row * traces.step_s, one.total_seconds()) for row, one in traces.offsets)
    return Wall(traces.start.timestamp(), changes)


def on_site_clock(traces: CsvTraces, timezone_name: str | None) -> CsvTraces:
    """The same instants as the clock of this time zone calls them; without one as their stamps do.

    Tariffs and schedules go by it, as on site, whatever offset the file is written in.
    """
    if timezone_name is None:
        return traces
    offsets = [
        (row, timedelta(seconds=offset_s))
        for row, offset_s in _offsets_s(traces.start.timestamp(), traces.step_s, traces.rows, timezone_name)
    ]
    return replace(traces, start=traces.start.astimezone(timezone(offsets[0][1])), offsets=tuple(offsets))


def invented_wall(first_day: date, duration_s: float, timezone_name: str | None) -> Wall:
    """The clock of an invented house, from midnight of its first day on; without a time zone that is UTC."""
    if timezone_name is None:
        return Wall(datetime.combine(first_day, time(), UTC).timestamp())
    begin_s = datetime.combine(first_day, time(), zone(timezone_name)).timestamp()
    changes = _offsets_s(begin_s, QUARTER_S, ceil(duration_s / QUARTER_S), timezone_name)
    return Wall(begin_s, tuple((row * QUARTER_S, offset_s) for row, offset_s in changes))


def _offsets_s(begin_s: float, step_s: float, rows: int, timezone_name: str) -> list[tuple[int, float]]:
    """The local UTC offset, with the row from which on it holds."""
    where = zone(timezone_name)

    def offset_at(utc_s: float) -> float:
        return local_time(utc_s, where).offset_s

    offsets_s = local_steps(begin_s, step_s, rows, offset_at).offset_s
    changes = [0, *(np.flatnonzero(np.diff(offsets_s)) + 1).tolist()]
    return [(row, float(offsets_s[row])) for row in changes]


def from_quarter_hour(path: Path, traces: CsvTraces) -> tuple[CsvTraces, str]:
    """What is left from the first row on that begins with a quarter hour of the clock, and a note if any.

    Prices change and peaks are billed at quarter hours, whenever data begin. DoorError where no row ever
    begins with one.
    """
    begin_ms, step_ms = round(traces.start.timestamp() * 1000.0), round(traces.step_s * 1000.0)
    cycle = QUARTER_MS // gcd(step_ms, QUARTER_MS)  # then the rows come to the same places again
    for row in range(min(cycle, traces.rows)):
        if (begin_ms + row * step_ms) % QUARTER_MS == 0:
            return (cut(traces, row, traces.rows), _left_out(traces, row)) if row else (traces, "")
    raise DoorError(
        f"{path}: begins at {traces.start.isoformat()} and has a row every {traces.step_s:g} s; none of them "
        "begins with a quarter hour of the clock, as prices and billed peaks do; give rows of which some "
        "begin at :00, :15, :30 or :45"
    )


def _left_out(traces: CsvTraces, row: int) -> str:
    many = f"{row} rows before it are" if row > 1 else "the row before it is"
    return f"begins with the quarter hour at {traces.timestamp(row).isoformat()}: {many} left out"


def cut(traces: CsvTraces, begin: int, end: int) -> CsvTraces:
    """The rows from `begin` up to, but not with, `end`."""

    def part(trace: StepTrace) -> StepTrace:
        return StepTrace(trace.step_s, trace.values[begin:end])

    since = max(row for row, _ in traces.offsets if row <= begin)
    breaks = [(row - begin, line) for row, line in traces.lines if begin < row < end]
    return replace(
        traces,
        load=part(traces.load),
        pv=part(traces.pv),
        prices={name: part(one) for name, one in traces.prices.items()},
        start=traces.timestamp(begin),
        offsets=tuple((max(row - begin, 0), one) for row, one in traces.offsets if since <= row < end),
        lines=((0, traces.line(begin)), *breaks),
    )
