"""The grid at the connection point: whether it is there, its frequency and its voltage."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

NOMINAL_V = 230.0
NOMINAL_HZ = 50.0
SOURCE_OHM = 0.25
"""Resistance of mains and house lead, a phase: the reference impedance of IEC 60725 is 0.24 + j0.15 ohm."""
BAND_V = 23.0
"""Ten percent: what EN 50160 allows the voltage of a supply to be off."""


@dataclass(slots=True)
class Grid:
    """`voltage_v` is that of a phase without load; both values are kept for the return while it is gone."""

    present: bool = True
    frequency_hz: float = NOMINAL_HZ
    voltage_v: float = NOMINAL_V

    def change(self, present: bool | None, frequency_hz: float | None, voltage_v: float | None) -> None:
        """Take over what is given. ValueError for a frequency or voltage that no grid has."""
        if frequency_hz is not None and not (isfinite(frequency_hz) and frequency_hz > 0):
            raise ValueError(f"frequency_hz is {frequency_hz:g}; give a number above 0")
        if voltage_v is not None and not (isfinite(voltage_v) and voltage_v > 0):
            raise ValueError(f"voltage_v is {voltage_v:g}; give a number above 0, or present=False")
        if frequency_hz is not None:
            self.frequency_hz = frequency_hz
        if voltage_v is not None:
            self.voltage_v = voltage_v
        if present is not None:
            self.present = present

    def shown_hz(self) -> float:
        """What a meter shows, 0 without a grid."""
        return self.frequency_hz if self.present else 0.0

    def phase_voltage_v(self, phase_import_w: float) -> float:
        """What a phase has left at this power; a bigger connection is stiffer, and stays inside the band."""
        if not self.present:
            return 0.0
        drop_v = SOURCE_OHM * phase_import_w / self.voltage_v
        return self.voltage_v - max(-BAND_V, min(BAND_V, drop_v))
