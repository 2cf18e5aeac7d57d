"""Prices of a market by quarter hour, as far as they have been published; what has not is absent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from controller.planning.calendars import parts_of

QUARTER_S = 900
STEPS_S = tuple(QUARTER_S * quarters for quarters in range(1, 97) if 96 % quarters == 0)
"""How long one price may hold: quarter hours that make up a day."""
STEPS = "prices hold for 15 minutes or a multiple of it that divides a day"
MOST_PER_KWH = 5.0
"""The harmonised limits of the European day-ahead market are within this; beyond it is a wrong unit."""
MOST_QUARTERS = 400 * 96


class PriceError(ValueError):
    """Prices were refused; the text says which and why. `index` is the place of the point, if it is one."""

    def __init__(self, text: str, index: int | None = None) -> None:
        super().__init__(text)
        self.index = index


@dataclass(frozen=True, slots=True)
class Point:
    """The price of one kWh from one UTC instant on, for so long."""

    begin_utc_s: float
    step_s: float
    per_kwh: float


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """`per_kwh` of the quarter hours from number `first` on (they count from 1970), NaN where absent."""

    first: int = 0
    per_kwh: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    @property
    def until_utc_s(self) -> float | None:
        """The end of the last quarter hour that is known, None when none is."""
        known = np.flatnonzero(~np.isnan(self.per_kwh))
        return None if not len(known) else float((self.first + int(known[-1]) + 1) * QUARTER_S)

    def at(self, utc_s: float) -> float | None:
        """The price at an instant."""
        place = int(utc_s // QUARTER_S) - self.first
        if not 0 <= place < len(self.per_kwh) or np.isnan(self.per_kwh[place]):
            return None
        return float(self.per_kwh[place])

    def over(self, begin_utc_s: float, step_s: float, count: int) -> NDArray[np.float64]:
        """The mean price of each of `count` steps, NaN where a quarter hour of it is absent."""
        parts = parts_of(step_s)
        begin_s = begin_utc_s + step_s * np.arange(count)
        within_s = step_s / parts * np.arange(parts)
        places = np.floor((begin_s[:, None] + within_s) / QUARTER_S).astype(np.int64) - self.first
        inside = (places >= 0) & (places < len(self.per_kwh))
        found = np.full(places.shape, np.nan)
        found[inside] = self.per_kwh[places[inside]]
        mean: NDArray[np.float64] = found.mean(axis=1)
        return mean

    def joined(self, newer: Market, keep_from_utc_s: float | None) -> Market:
        """Both, the newer where both know a price, without what ended before `keep_from_utc_s`.

        None while nobody knows what time it is: then the newer is kept whole, and of the older what fits
        beside it, for `MOST_QUARTERS` in all.
        """
        kept = [one for one in (self, newer) if len(one.per_kwh)]
        if not kept:
            return self
        if keep_from_utc_s is None:
            oldest = kept[-1].first + len(kept[-1].per_kwh) - MOST_QUARTERS
        else:
            oldest = int(keep_from_utc_s // QUARTER_S)
        first = max(min(one.first for one in kept), oldest)
        end = min(max(one.first + len(one.per_kwh) for one in kept), first + MOST_QUARTERS)
        values = np.full(max(end - first, 0), np.nan)
        for one in kept:
            begin, stop = max(one.first, first), min(one.first + len(one.per_kwh), end)
            if begin < stop:
                part = one.per_kwh[begin - one.first : stop - one.first]
                known = ~np.isnan(part)
                values[begin - first : stop - first][known] = part[known]
        return Market(first, values)


def market_of(points: Sequence[Point]) -> Market:
    """The market of these points in any order; PriceError names the first that cannot be right.

    Not a number, beyond `MOST_PER_KWH`, off the quarter hours or told twice: then nothing of it is taken, for
    a wrong unit or clock makes its neighbours wrong too. A gap is no error: those hours are absent.
    """
    if not points:
        raise PriceError("holds no price")
    first = min(_quarter(point, index) for index, point in enumerate(points))
    end = max(_quarter(point, index) + int(point.step_s) // QUARTER_S for index, point in enumerate(points))
    if end - first > MOST_QUARTERS:
        raise PriceError(f"spans {(end - first) // 96} days; {MOST_QUARTERS // 96} are the most")
    values = np.full(end - first, np.nan)
    for index, point in enumerate(points):
        begin = _quarter(point, index) - first
        part = values[begin : begin + int(point.step_s) // QUARTER_S]
        if not np.isnan(part).all():
            raise PriceError(f"two prices for the time from {point.begin_utc_s:.0f} (UTC seconds)", index)
        part[:] = point.per_kwh
    return Market(first, values)


def _quarter(point: Point, index: int) -> int:
    if not isfinite(point.per_kwh):
        raise PriceError(f"a price of {point.per_kwh:g} is no price", index)
    if abs(point.per_kwh) > MOST_PER_KWH:
        usual = f"prices lie between -{MOST_PER_KWH:g} and {MOST_PER_KWH:g}; is it per MWh?"
        raise PriceError(f"{point.per_kwh:g} per kWh cannot be right: {usual}", index)
    if point.step_s not in STEPS_S:
        raise PriceError(f"a step of {point.step_s:g} s; {STEPS}", index)
    if not isfinite(point.begin_utc_s) or abs(point.begin_utc_s) > 1e11 or point.begin_utc_s % QUARTER_S:
        raise PriceError(f"{point.begin_utc_s:g} (UTC seconds) is not on a quarter hour", index)
    return int(point.begin_utc_s) // QUARTER_S


def gaps(market: Market) -> list[tuple[float, float]]:
    """Times without a price between the first and the last, as UTC seconds from and to."""
    absent = np.flatnonzero(np.isnan(market.per_kwh))
    if not len(absent):
        return []
    breaks = np.flatnonzero(np.diff(absent) > 1)
    begins = np.concatenate(([absent[0]], absent[breaks + 1]))
    ends = np.concatenate((absent[breaks], [absent[-1]])) + 1
    return [
        (float((market.first + begin) * QUARTER_S), float((market.first + end) * QUARTER_S))
        for begin, end in zip(begins, ends, strict=True)
    ]
