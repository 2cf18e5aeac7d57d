"""What every trace offers, and the trace with an even step."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from math import floor
from typing import Protocol


class Trace(Protocol):
    """A value that is constant from one edge to the next; it has a value at every time, before 0 too."""

    def at(self, t_s: float) -> float:
        """The value from `t_s` on."""
        ...

    def next_edge_s(self, t_s: float) -> float:
        """The first instant after `t_s` at which the value may change; inf when it never does."""
        ...


class StepTrace:
    """Values held for `step_s` each, the first from time 0; after the last it begins again."""

    __slots__ = ("step_s", "values")

    def __init__(self, step_s: float, values: Iterable[float]) -> None:
        self.step_s = step_s
        self.values = values if isinstance(values, array) else array("d", values)
        if not step_s > 0 or not self.values:
            raise ValueError("a trace needs a step above 0 s and at least one value")

    @property
    def duration_s(self) -> float:
        return self.step_s * len(self.values)

    def at(self, t_s: float) -> float:
        value: float = self.values[self._step_at(t_s) % len(self.values)]
        return value

    def next_edge_s(self, t_s: float) -> float:
        return (self._step_at(t_s) + 1) * self.step_s

    def _step_at(self, t_s: float) -> int:
        number = floor(t_s / self.step_s)
        # The division may round an edge down into the step before it, where time would stand still.
        return number + 1 if (number + 1) * self.step_s <= t_s else number
