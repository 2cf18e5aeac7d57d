"""What a site has measured, slot by slot, and how it is laid out in days for forecasts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.planning.inputs import Floats

DAY_S = 86_400.0
DAYS = 28
"""A forecast looks back four weeks: long enough for weekdays, short enough for the season."""
SUNDAY_IS = 6
FIRST_WEEKDAY = 3
"""1 January 1970 was a Thursday; Monday is 0."""


class HistoryError(ValueError):
    """Why these measurements are no history."""


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Mean values of slots without a gap, oldest first; NaN where something was not measured or not known.

    `offset_s` is the local clock's offset from UTC in each slot. `outside_*` is what an outside forecast had
    said for the slot, a day ahead. `pv_rated_w` is what the PV inverters say they can give, 0 where they say
    nothing; in slots where `pv_held` they were held down, and could have given more than they did.
    """

    begin_utc_s: float
    slot_s: float
    offset_s: Floats
    load_w: Floats
    pv_w: Floats
    import_per_kwh: Floats
    outside_load_w: Floats | None = None
    outside_pv_w: Floats | None = None
    pv_rated_w: float = 0.0
    pv_held: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        slots = len(self.load_w)
        optional = [one for one in (self.outside_load_w, self.outside_pv_w) if one is not None]
        for values in (self.offset_s, self.pv_w, self.import_per_kwh, *optional):
            if len(values) != slots:
                raise HistoryError(f"load has {slots} slots and another column {len(values)}: give as many")
        if self.slot_s <= 0.0 or DAY_S % self.slot_s:
            raise HistoryError(f"slots of {self.slot_s:g} s do not fill a day evenly")

    @property
    def end_utc_s(self) -> float:
        """The end of the last slot."""
        return self.begin_utc_s + len(self.load_w) * self.slot_s

    def until(self, slots: int) -> History:
        """The first `slots` of it, as it was known then."""
        said_load_w, said_pv_w = (
            None if one is None else one[:slots] for one in (self.outside_load_w, self.outside_pv_w)
        )
        return replace(
            self,
            offset_s=self.offset_s[:slots],
            load_w=self.load_w[:slots],
            pv_w=self.pv_w[:slots],
            import_per_kwh=self.import_per_kwh[:slots],
            outside_load_w=said_load_w,
            outside_pv_w=said_pv_w,
            pv_held=None if self.pv_held is None else self.pv_held[:slots],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Ahead:
    """The slots to come: local offset, prices (NaN: not published yet), an outside forecast if any."""

    offset_s: Floats
    import_per_kwh: Floats
    outside_load_w: Floats | None = None
    outside_pv_w: Floats | None = None

    @property
    def slots(self) -> int:
        """How many."""
        return len(self.offset_s)


@dataclass(frozen=True, slots=True, eq=False)
class Calendar:
    """The last days up to today, as rows of `per_day` slots; today ends at `now` in row and column."""

    slot_s: float
    per_day: int
    days: int
    now: int
    first_day: int
    count: int

    def rows(self, values: Floats, shift: NDArray[np.intp] | None = None) -> Floats:
        """`values` of the history as days x slots, NaN before its begin and after now."""
        if not self.count:
            return np.full((self.days, self.per_day), np.nan)
        slots, before = self.days * self.per_day, self.count - (self.days - 1) * self.per_day - self.now
        if shift is None or not shift.any():
            found = np.full(slots, np.nan)
            first, end = max(-before, 0), min(self.count - before, slots)
            found[first:end] = values[before + first : before + end]
            return found.reshape(self.days, self.per_day)
        place = np.arange(slots) + before
        known = (place >= 0) & (place < self.count)
        place = place + shift[np.clip(place, 0, self.count - 1)]
        known &= (place >= 0) & (place < self.count)
        found = np.where(known, values[np.clip(place, 0, self.count - 1)], np.nan)
        return found.reshape(self.days, self.per_day)

    def free_days(self, days: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which of these days, counted from the first row, are Saturdays or Sundays."""
        return _free(self.first_day + days)


def free_slots(begin_utc_s: float, slot_s: float, offset_s: Floats) -> NDArray[np.bool_]:
    """Which slots, one after the other from an instant on, are of a Saturday or Sunday on the local clock."""
    local_s = begin_utc_s + slot_s * np.arange(len(offset_s)) + offset_s
    return _free(local_s // DAY_S)


def _free(days: NDArray[Any]) -> NDArray[np.bool_]:
    """Which days, counted from 1970 on, are Saturdays or Sundays."""
    return np.asarray((days + FIRST_WEEKDAY) % 7 >= SUNDAY_IS - 1)


def or_zero(values: Floats) -> Floats:
    """The values, 0 where there is none."""
    return np.where(np.isfinite(values), values, 0.0)


def quantiles(values: Floats, shares: Floats) -> Floats:
    """Along the last axis what these shares of `values` lie below: as `numpy.quantile` has it, quicker."""
    last = values.shape[-1] - 1
    place = shares * last
    low = place.astype(np.intp)
    ordered = np.sort(values, axis=-1)
    below, above = ordered[..., low], ordered[..., np.minimum(low + 1, last)]
    return np.asarray(below + (above - below) * (place - low))


def calendar(history: History, offset_s: float) -> Calendar:
    """The days of the history, on the clock that is in force now."""
    per_day = round(DAY_S / history.slot_s)
    local_s = history.end_utc_s + offset_s
    today, now = divmod(round(local_s / history.slot_s), per_day)
    count = len(history.load_w)
    days = min(DAYS, max(-(-(count - now) // per_day), 0)) + 1
    return Calendar(history.slot_s, per_day, days, now, int(today) - days + 1, count)


def ahead_rows(values: Floats, rows: Floats, now: int, per_day: int) -> Floats:
    """Days x slots from today on: what the history says of today, then `values` of the slots to come."""
    days = -(-(now + len(values)) // per_day)
    found = np.full(days * per_day, np.nan)
    found[:now] = rows[-1, :now]
    found[now : now + len(values)] = values
    return found.reshape(days, per_day)
