"""Local time in steps, and calendars over it: which period of a tariff holds at each quarter hour.

Everything is asked by UTC instant with the local offset in force then, so the 23 and 25 hours of a day on
which the clocks change are neither missed nor counted twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import gcd

import numpy as np
from numpy.typing import NDArray

OffsetAt = Callable[[float], float]
"""The local offset, in seconds, in force at a UTC instant."""

DAY_S = 86_400
QUARTER_S = 900
QUARTERS = 96
NOTHING = 255
_SHAPE = (12, 7, QUARTERS)
_THURSDAY = 3  # 1 January 1970


@dataclass(frozen=True, slots=True, eq=False)
class LocalSteps:
    """Even steps from a UTC instant on, as the local clock calls them; arrays of one value a step.

    `month` is 0 to 11, `weekday` 0 for Monday, `quarter` the quarter hour of the local day, `month_number`
    counts months from year 0, `day` days from 1970 on, `offset_s` is the local offset.
    """

    begin_utc_s: float
    step_s: float
    offset_s: NDArray[np.float64]
    day: NDArray[np.int64]
    weekday: NDArray[np.int64]
    quarter: NDArray[np.int64]
    month: NDArray[np.int64]
    month_number: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.day)

    @property
    def local_s(self) -> NDArray[np.float64]:
        """What the local clock shows at each step's begin, as if it were UTC."""
        return self.begin_utc_s + self.step_s * np.arange(len(self)) + self.offset_s


def parts_of(step_s: float) -> int:
    """Into how many even parts a step of whole seconds falls, of which none lies in two quarter hours."""
    whole_s = round(step_s)
    return whole_s // gcd(whole_s, QUARTER_S) if whole_s == step_s else 1


def local_steps(begin_utc_s: float, step_s: float, count: int, offset_at: OffsetAt) -> LocalSteps:
    """The local calendar of `count` steps."""
    utc_s = begin_utc_s + step_s * np.arange(count, dtype=np.float64)
    offset_s = _offsets(utc_s, offset_at)
    local_s = np.floor(utc_s + offset_s).astype(np.int64)
    day = local_s // DAY_S
    months = local_s.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64)
    return LocalSteps(
        begin_utc_s,
        step_s,
        offset_s,
        day,
        (day + _THURSDAY) % 7,
        local_s % DAY_S // QUARTER_S,
        months % 12,
        months + 1970 * 12,
    )


def _offsets(utc_s: NDArray[np.float64], offset_at: OffsetAt) -> NDArray[np.float64]:
    """Asked at every UTC midnight, and step by step only on a day on which the offset changes."""
    found = np.empty(len(utc_s))
    if not len(utc_s):
        return found
    midnights_s = DAY_S * np.arange(utc_s[0] // DAY_S + 1.0, utc_s[-1] // DAY_S + 1.0)
    places = [0, *np.searchsorted(utc_s, midnights_s).tolist(), len(utc_s)]
    asked = [offset_at(one) for one in (float(utc_s[0]), *midnights_s.tolist(), float(utc_s[-1]))]
    for (first, end), (at_first, at_end) in zip(pairwise(places), pairwise(asked), strict=True):
        if at_first == at_end:
            found[first:end] = at_first
        else:
            found[first:end] = [offset_at(float(one)) for one in utc_s[first:end]]
    return found


@dataclass(frozen=True, slots=True)
class Hours:
    """Quarter hours that belong together: in these months (0 to 11), on these weekdays (0 is Monday).

    From quarter `first` of the local day up to, not including, `end`; `end` before or at `first` means past
    midnight, and the weekday and month are then those of the quarter itself, not of the evening before.
    """

    months: frozenset[int] = frozenset(range(12))
    weekdays: frozenset[int] = frozenset(range(7))
    first: int = 0
    end: int = QUARTERS

    def mask(self) -> NDArray[np.bool_]:
        """True where these hours are: [month][weekday][quarter]."""
        found = np.zeros(_SHAPE, dtype=np.bool_)
        quarters = np.zeros(QUARTERS, dtype=np.bool_)
        if self.first < self.end:
            quarters[self.first : self.end] = True
        else:
            quarters[self.first :] = True
            quarters[: self.end] = True
        for month in self.months:
            for weekday in self.weekdays:
                found[month, weekday] = quarters
        return found


ALWAYS = Hours()


@dataclass(frozen=True, slots=True)
class Calendar:
    """The period of each quarter hour of the local year; `table` is [month][weekday][quarter], flat."""

    table: bytes

    def at(self, steps: LocalSteps) -> NDArray[np.int64]:
        """The period of each step; NOTHING where there is none."""
        table = np.frombuffer(self.table, dtype=np.uint8).reshape(_SHAPE)
        return table[steps.month, steps.weekday, steps.quarter].astype(np.int64)

    def quarters(self) -> NDArray[np.uint8]:
        """The table in three dimensions."""
        return np.frombuffer(self.table, dtype=np.uint8).reshape(_SHAPE)


class CalendarError(ValueError):
    """Periods that overlap or leave hours out; `index` is the place of the one to mend, if it is one."""

    def __init__(self, text: str, index: int | None = None) -> None:
        super().__init__(text)
        self.index = index


def calendar_of(periods: Iterable[Iterable[Hours]], complete: bool = True) -> Calendar:
    """The calendar in which each quarter hour has the one period whose hours hold it.

    A period without hours takes all that the others leave. CalendarError when two overlap or, if the
    calendar has to be complete, when hours are left out.
    """
    table = np.full(_SHAPE, NOTHING, dtype=np.uint8)
    rest: int | None = None
    for index, hours in enumerate(periods):
        masks = [one.mask() for one in hours]
        if not masks:
            if rest is not None:
                raise CalendarError("two periods without hours; only one can take what is left", index)
            rest = index
            continue
        mask = np.logical_or.reduce(masks)
        taken = mask & (table != NOTHING)
        if taken.any():
            where = tuple(int(one[0]) for one in np.nonzero(taken))
            other = int(table[where])
            raise CalendarError(f"overlaps period {other + 1} on {instant(*where)}", index)
        table[mask] = index
    if rest is not None:
        table[table == NOTHING] = rest
    missing = np.nonzero(table == NOTHING)
    if complete and len(missing[0]):
        raise CalendarError(f"no period holds on {instant(*(int(one[0]) for one in missing))}")
    return Calendar(table.tobytes())


def calendar_from(table: NDArray[np.uint8]) -> Calendar:
    """The calendar of a ready table."""
    if table.shape != _SHAPE:
        raise CalendarError(f"a calendar has {_SHAPE} places, not {table.shape}")
    return Calendar(table.astype(np.uint8).tobytes())


MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def instant(month: int, weekday: int, quarter: int) -> str:
    """Such as `a Mon in Jan at 07:15`."""
    return f"a {DAYS[weekday]} in {MONTHS[month]} at {clock(quarter)}"


def clock(quarter: int) -> str:
    """`07:15` for quarter 29; 96 is `24:00`."""
    return f"{quarter // 4:02d}:{quarter % 4 * 15:02d}"
