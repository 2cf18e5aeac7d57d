"""What an outside forecast says of load and sun: the latest for the plan, the first for its record.

A forecast is judged by what it said of a quarter hour first, while it was still far away, since that is
what a plan stands on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite, nan

QUARTER_S = 900
MOST_W = 1e8
MOST_QUARTERS = 400 * 96


class SaidError(ValueError):
    """A forecast was refused; the text says why."""


@dataclass(frozen=True, slots=True)
class Said:
    """Mean W of one quarter hour; NaN where nothing was said."""

    load_w: float = nan
    pv_w: float = nan

    def __post_init__(self) -> None:
        for value in (self.load_w, self.pv_w):
            if value == value and not (isfinite(value) and 0.0 <= value <= MOST_W):
                raise SaidError(f"{value:g} W cannot be right; give a mean power from 0 to {MOST_W:g} W")


@dataclass(slots=True)
class Sayings:
    """By number of the quarter hour, counted from 1970."""

    latest: dict[int, Said] = field(default_factory=dict)
    first: dict[int, Said] = field(default_factory=dict)

    def learn(self, newer: dict[int, Said], utc_s: float) -> None:
        """A new forecast, told at `utc_s`; what it says of the past is no forecast."""
        now = int(utc_s // QUARTER_S)
        coming = {quarter: one for quarter, one in newer.items() if now <= quarter < now + MOST_QUARTERS}
        self.first = {at: one for at, one in self.first.items() if at >= now}
        self.latest = {at: one for at, one in self.latest.items() if at >= now} | coming
        for quarter, one in coming.items():
            self.first.setdefault(quarter, one)

    def of(self, utc_s: float) -> Said:
        """The latest of this quarter hour."""
        return self.latest.get(int(utc_s // QUARTER_S), Said())

    def first_of(self, utc_s: float) -> Said:
        """The first of this quarter hour."""
        return self.first.get(int(utc_s // QUARTER_S), Said())
