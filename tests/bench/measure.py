"""What one figure is, and how it is taken."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


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
    """The median time of one call, in microseconds; making what is given to it does not count."""
    times = []
    for one in given:
        began_s = time.perf_counter()
        work(one)
        times.append(time.perf_counter() - began_s)
    return statistics.median(times) * 1e6
