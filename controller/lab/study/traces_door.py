"""Measured load and sun, looked over before a long run: what is most likely a mistake is said with its
line.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise
from math import inf
from pathlib import Path

from controller.clock import zone
from controller.lab.measured import cut, on_site_clock
from drivers.doors import DoorError
from simulators.traces import CsvTraces, TraceError, read_csv
from simulators.traces.columns import unit_of, watts_of

DAY_S = 86_400.0
LEAST_MEAN_W, MOST_PEAK_W = 15.0, 50e6
"""A mean load below this is kW or kWh in a column for W; a peak above no site behind one meter."""
SMALL_MEAN_W = 100.0
"""A mean load below this, 876 kWh a year, may be a small home, or Wh of each quarter hour of a usual one."""
SMALL_PART, SMALL_PEAK_W, TINY_PART = 0.05, 100.0, 0.01
"""PV whose best is below the small part of the mean load and below these watts, or below the tiny part alone,
is in kW or kWh: in W it would not be worth a column."""
RISES_PER_DAY = 1.0
"""A load or a sun that never falls in a day or more is no power; an invented one may step up so often."""
NIGHT_H = (23.0, 3.0)
"""By the local clock the sun is down then, below the polar circles; with summer time too."""
NIGHT_PART = 0.05
POLAR_DEG = 60.0
LONGEST_STEP_S = 3600.0
MOST_FLAT_S = 7 * DAY_S
"""A load that does not change for a week is a meter that was not read."""


def read_checked(path: Path, latitude_deg: float, timezone_name: str | None = None) -> CsvTraces:
    """The traces of a CSV file on the clock of the site; DoorError with file, line, value and a remedy."""
    try:
        traces = read_csv(path, None if timezone_name is None else zone(timezone_name))
    except TraceError as error:
        raise DoorError(str(error)) from None
    if traces.step_s > LONGEST_STEP_S or DAY_S % traces.step_s:
        raise DoorError(
            f"{path}: a row every {traces.step_s:g} s; give steps of an hour or less that divide a day"
        )
    if traces.duration_s < DAY_S:
        raise DoorError(f"{path}: holds {traces.duration_s / 3600.0:.1f} hours; give at least a whole day")
    traces = on_site_clock(traces, timezone_name)
    look_over(path, traces, latitude_deg)
    return traces


def look_over(path: Path, traces: CsvTraces, latitude_deg: float) -> None:
    """DoorError for what is most likely a mistake: a counter, other units, sun by night, a meter that was not
    read.
    """
    _watts(path, traces)
    _counter(path, traces)
    _small_sun(path, traces)
    _night(path, traces, latitude_deg)
    _flat(path, traces)


def doubts(path: Path, traces: CsvTraces) -> list[str]:
    """Notes on what may be a mistake, and may be none."""
    mean_w, name = sum(traces.load.values) / traces.rows, traces.load_column
    if not name.endswith("_w") or not LEAST_MEAN_W <= mean_w < SMALL_MEAN_W:
        return []
    return [
        f"{path.name}: column {name}: {mean_w:.0f} W on average are {8.76 * mean_w:.0f} kWh a year; "
        f"if these are Wh of each step, name the column {name}h"
    ]


def of_year(path: Path, traces: CsvTraces, year: int) -> CsvTraces:
    """The part of one year on the local clock; DoorError when it has less than a day of it."""
    years = [traces.timestamp(row).year for row in range(traces.rows)]
    begin, end = bisect_left(years, year), bisect_right(years, year)
    if (end - begin) * traces.step_s < DAY_S:
        raise DoorError(f"--years: {year}: {path} holds {years[0]} to {years[-1]}; give years it has")
    return cut(traces, begin, end)


def _columns(traces: CsvTraces) -> tuple[tuple[str, Sequence[float]], ...]:
    return (traces.load_column, traces.load.values), (traces.pv_column, traces.pv.values)


def _watts(path: Path, traces: CsvTraces) -> None:
    for name, values in _columns(traces):
        most_w = max(values)
        if most_w > MOST_PEAK_W:
            line = traces.line(list(values).index(most_w))
            raise DoorError(
                f"{path}, line {line}: column {name}: {most_w:g} W is more than a site behind "
                "one meter takes; give watts"
            )
    mean_w = sum(traces.load.values) / traces.rows
    if mean_w < LEAST_MEAN_W:
        most_w = max(traces.load.values)
        line = traces.line(list(traces.load.values).index(most_w))
        name = traces.load_column
        raise DoorError(
            f"{path}, line {line}: column {name}: the load is {mean_w:.3g} on average, {most_w:g} at most; "
            f"{_unit(name, traces.step_s)}"
        )


def _unit(name: str, step_s: float) -> str:
    """What to do about a column whose values are far too small."""
    if not name.endswith("_w"):
        return f"this is in watts: are the values {unit_of(name)}, as the name of the column says?"
    return (
        f"are these kW or kWh? Give watts: kW x 1000, or kWh of each step x {3.6e6 / step_s:g}, or name the "
        f"column {name.replace('_w', '_kw')} or {name.replace('_w', '_kwh')}"
    )


def _small_sun(path: Path, traces: CsvTraces) -> None:
    """PV in kW or kWh beside a load in W."""
    peak_w, mean_w = max(traces.pv.values), sum(traces.load.values) / traces.rows
    small = peak_w < SMALL_PEAK_W and peak_w < SMALL_PART * mean_w
    if peak_w > 0.0 and (small or peak_w < TINY_PART * mean_w):
        line, name = traces.line(list(traces.pv.values).index(peak_w)), traces.pv_column
        raise DoorError(
            f"{path}, line {line}: column {name}: the sun gives {peak_w:g} at most, beside a load of "
            f"{mean_w:.4g} W on average; {_unit(name, traces.step_s)}. If these are watts, leave the column "
            "out: so little changes nothing"
        )


def _counter(path: Path, traces: CsvTraces) -> None:
    """What a meter has counted, in a column for what it measures."""
    for name, values in _columns(traces):
        rises = 0
        for before, after in pairwise(values):
            if after < before:
                break
            rises += after > before
        else:
            if rises <= RISES_PER_DAY * traces.duration_s / DAY_S:
                continue
            lines, per_wh = f"{traces.line(0)} to {traces.line(traces.rows - 1)}", 3600.0 / traces.step_s
            first, last = (values[row] / watts_of(name, traces.step_s) for row in (0, -1))
            remedy = (
                "Give the mean watts of each step: what it rises within the step "
                f"x {per_wh:g} if it counts Wh, x {1000.0 * per_wh:g} if kWh"
                if name.endswith("w")
                else "Give what it rises within each step"
            )
            raise DoorError(
                f"{path}, lines {lines}: column {name}: rises from {first:g} to {last:g} and never "
                f"falls; is this a counter? {remedy}"
            )


def _night(path: Path, traces: CsvTraces, latitude_deg: float) -> None:
    """The sun does not shine at midnight: stamps in the wrong zone, or columns swapped."""
    peak_w = max(traces.pv.values)
    if peak_w <= 0.0 or abs(latitude_deg) > POLAR_DEG:
        return
    night_wh = all_wh = 0.0
    worst_w, worst_row = 0.0, 0
    per_day = round(DAY_S / traces.step_s)
    first = traces.timestamp(0)
    begin_h = first.hour + first.minute / 60.0
    offset_s = first.utcoffset()
    changes = dict(traces.offsets)
    shift_h = 0.0
    for row, watts in enumerate(traces.pv.values):
        if row in changes and offset_s is not None:
            shift_h = (changes[row] - offset_s).total_seconds() / 3600.0
        hour = (begin_h + shift_h + 24.0 * (row % per_day) / per_day) % 24.0
        all_wh += watts
        if hour >= NIGHT_H[0] or hour < NIGHT_H[1]:
            night_wh += watts
            if watts > worst_w:
                worst_w, worst_row = watts, row
    if night_wh > NIGHT_PART * all_wh or worst_w > 0.2 * peak_w:
        stamp = traces.timestamp(worst_row).isoformat(timespec="minutes")
        raise DoorError(
            f"{path}, line {traces.line(worst_row)}: column {traces.pv_column}: {worst_w:g} W at {stamp}, "
            "by night; are the stamps in another time zone than their offset says, or the columns swapped?"
        )


def _flat(path: Path, traces: CsvTraces) -> None:
    """The same load for days: the meter was not read."""
    since = 0
    for row, (before_w, load_w) in enumerate(pairwise([*traces.load.values, inf]), start=1):
        if load_w == before_w:
            continue
        if (row - 1 - since) * traces.step_s >= MOST_FLAT_S:
            begin, end = traces.line(since), traces.line(row - 1)
            raise DoorError(
                f"{path}, line {begin}: column {traces.load_column}: {before_w:g} W without any change for "
                f"{MOST_FLAT_S / DAY_S:.0f} days and more, to line {end}; give what was measured, put "
                "the load of a usual week there, or give only the rows before or after it"
            )
        since = row
