"""Curves through points: voltage over state of charge with its exact area, and shares over temperature."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

Points = Sequence[tuple[float, float]]

_PARTS = 200


class Curve:
    """Straight lines over 0 to 1, resampled on an even grid so that a look-up takes no search.

    Beyond both ends the first and last line go on.
    """

    __slots__ = ("_areas", "_slopes", "_values")

    def __init__(self, points: Points) -> None:
        values = [at(points, number / _PARTS) for number in range(_PARTS + 1)]
        self._values = values
        self._slopes = [values[n + 1] - values[n] for n in range(_PARTS)]
        areas = [0.0]
        for number in range(_PARTS):
            areas.append(areas[-1] + (values[number] + values[number + 1]) / 2 / _PARTS)
        self._areas = areas

    def at(self, x: float) -> float:
        """The value."""
        scaled = x * _PARTS
        part = 0 if scaled < 0 else int(scaled) if scaled < _PARTS else _PARTS - 1
        return self._values[part] + self._slopes[part] * (scaled - part)

    def area(self, x: float) -> float:
        """The integral from 0; over all of it, the mean."""
        scaled = x * _PARTS
        part = 0 if scaled < 0 else int(scaled) if scaled < _PARTS else _PARTS - 1
        beyond = scaled - part
        return self._areas[part] + beyond * (self._values[part] + self._slopes[part] * beyond / 2) / _PARTS


def at(points: Points, x: float) -> float:
    """On the straight lines between ascending points; beyond the ends as at the ends."""
    index = bisect_right(points, x, key=_first)
    if index == 0:
        return points[0][1]
    if index == len(points):
        return points[-1][1]
    (x0, y0), (x1, y1) = points[index - 1], points[index]
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0)


def _first(point: tuple[float, float]) -> float:
    return point[0]
