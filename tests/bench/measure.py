"""What one figure is, and how it is taken."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


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


def median_us(work: Callable[[], object], repeats: int) -> float:
    """The median time of one call, in microseconds."""
    times = []
    for _ in range(repeats):
        began_s = time.perf_counter()
        work()
        times.append(time.perf_counter() - began_s)
    return statistics.median(times) * 1e6
