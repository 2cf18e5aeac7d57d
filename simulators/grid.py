"""The grid at the connection point: whether it is there, its frequency and its voltage."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf, isfinite

from simulators.traces import Trace

NOMINAL_V = 230.0
NOMINAL_HZ = 50.0
SOURCE_OHM = 0.25
"""Resistance of mains and house lead, a phase: the reference impedance of IEC 60725 is 0.24 + j0.15 ohm."""
BAND_V = 23.0
"""Ten percent: what EN 50160 allows the voltage of a supply to be off."""


@dataclass(slots=True)
class Grid:
    """`voltage_v` is that of a phase without load; both values are kept for the return while it is gone.

    It may be `supplied` as far as the main fuse, and `present` only behind a sound one.
    """

    supplied: bool = True
    present: bool = True
    frequency_hz: float = NOMINAL_HZ
    voltage_v: float = NOMINAL_V

    def change(
        self, supplied: bool | None, frequency_hz: float | None, voltage_v: float | None, cut: bool
    ) -> None:
        """Take over what is given. ValueError for a frequency or voltage that no grid has."""
        if frequency_hz is not None and not (isfinite(frequency_hz) and frequency_hz > 0):
            raise ValueError(f"frequency_hz is {frequency_hz:g}; give a number above 0")
        if voltage_v is not None and not (isfinite(voltage_v) and voltage_v > 0):
            raise ValueError(f"voltage_v is {voltage_v:g}; give a number above 0, or present=False")
        if frequency_hz is not None:
            self.frequency_hz = frequency_hz
        if voltage_v is not None:
            self.voltage_v = voltage_v
        if supplied is not None:
            self.supplied = supplied
        self.present = self.supplied and not cut

    def shown_hz(self) -> float:
        """What a meter shows, 0 without a grid."""
        return self.frequency_hz if self.present else 0.0

    def phase_voltage_v(self, phase_import_w: float) -> float:
        """What a phase has left at this power; a bigger connection is stiffer, and stays inside the band."""
        if not self.present:
            return 0.0
        drop_v = SOURCE_OHM * phase_import_w / self.voltage_v
        return self.voltage_v - max(-BAND_V, min(BAND_V, drop_v))


class OutageTrace:
    """1 while there is a grid, 0 in outages: pairs of begin and length, s, in any order."""

    def __init__(self, outages: Iterable[tuple[float, float]]) -> None:
        self._changes: list[tuple[float, float]] = []
        for begin_s, length_s in sorted(outages):
            if self._changes and begin_s <= self._changes[-1][0]:
                self._changes[-1] = (max(self._changes[-1][0], begin_s + length_s), 1.0)
            else:
                self._changes += [(begin_s, 0.0), (begin_s + length_s, 1.0)]

    def at(self, t_s: float) -> float:
        index = bisect_right(self._changes, (t_s, inf))
        return self._changes[index - 1][1] if index else 1.0

    def next_edge_s(self, t_s: float) -> float:
        index = bisect_right(self._changes, (t_s, inf))
        return self._changes[index][0] if index < len(self._changes) else inf


@dataclass(frozen=True, slots=True)
class GridTraces:
    """What the grid does by itself; `present` is above 0 while it is there. None: nothing of that."""

    present: Trace | None = None
    frequency_hz: Trace | None = None
    voltage_v: Trace | None = None

    def next_edge_s(self, t_s: float) -> float:
        """When the first of them next changes."""
        edges_s = (one.next_edge_s(t_s) for one in (self.present, self.frequency_hz, self.voltage_v) if one)
        return min(edges_s, default=inf)
