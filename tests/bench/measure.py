"""What one figure is, and how it is taken."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
ROUND = 1000


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure and what it should be: at most (or, for `at_least`, at least) the target."""

    name: str
    value: float
    unit: str
    target: float
    at_least: bool = False
    note: str = ""

    @property
    def met(self) -> bool:
        return self.value >= self.target if self.at_least else self.value <= self.target


def median_us(work: Callable[[T], object], given: Iterable[T]) -> float:
    """The median time of one call, in microseconds; making what is given to it does not count.

    Of rounds of a thousand calls the quickest counts: what else the machine was doing is no part of the work.
    """
    medians, times = [], []
    for one in given:
        began_s = time.perf_counter()
        work(one)
        times.append(time.perf_counter() - began_s)
        if len(times) == ROUND:
            medians.append(statistics.median(times))
            times.clear()
    return min(medians) * 1e6
