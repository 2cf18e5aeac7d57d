"""The state of charge as a BMS counts it: it drifts, and finds the truth again only at full and at empty."""

from __future__ import annotations

from dataclasses import dataclass

ALMOST_FULL_PCT = 99.0
"""Counting alone never says full; the end of a charge does."""


@dataclass(frozen=True, slots=True)
class GaugeParams:
    """Errors of the current sensor: `gain_error` of what flows, and an offset in capacities an hour.

    An offset of 1e-4 is a per cent in four days. `charge_efficiency` is what the BMS believes to be kept.
    """

    gain_error: float = 0.0
    offset_per_h: float = 0.0
    charge_efficiency: float = 1.0


class Gauge:
    """Counts charge against the nameplate."""

    __slots__ = ("_params", "soc_pct")

    def __init__(self, params: GaugeParams, soc_pct: float) -> None:
        self._params = params
        self.soc_pct = soc_pct

    def count(self, discharged: float, hours: float) -> None:
        """Take in a flow, in capacities, and the time it took."""
        params = self._params
        if discharged < 0:
            discharged *= params.charge_efficiency
        seen = discharged * (1 + params.gain_error) + params.offset_per_h * hours
        counted_pct = self.soc_pct - 100 * seen
        if counted_pct > self.soc_pct and counted_pct > ALMOST_FULL_PCT:
            counted_pct = max(self.soc_pct, ALMOST_FULL_PCT)
        self.soc_pct = max(counted_pct, 0.0)

    def found(self, soc_pct: float) -> None:
        """Full or empty was recognised by the voltage."""
        self.soc_pct = soc_pct
