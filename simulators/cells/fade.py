"""How batteries age: with time, warmth and state of charge, and with every half cycle by its depth.

The laws are square roots and powers of time or throughput under constant conditions. Under changing ones the
loss grows from where it is, with the slope that the law of the moment has there: for a square root that means
that squares add up.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, sqrt
from typing import Protocol

KELVIN = 273.15
GAS_J_PER_MOL_K = 8.314


class Fade(Protocol):
    """The loss of capacity so far."""

    @property
    def loss(self) -> float:
        """Of the capacity when new, a share of 1."""
        ...

    def rest(self, hours: float, temperature_c: float, soc_share: float, cell_v: float) -> None:
        """Grow older without cycling."""
        ...

    def half_cycle(self, depth: float, c_rate: float, cell_v: float) -> None:
        """One way of a cycle: its depth, mean rate and mean cell voltage."""
        ...


class LfpFade:
    """LFP against graphite: Naumann et al., J. Energy Storage 17 (2018) and J. Power Sources 451 (2020).

    The first is for time, the second for cycles; their terms for resistance are left out.
    """

    __slots__ = ("_cycle_squared", "_rest_squared")

    def __init__(self) -> None:
        self._rest_squared = self._cycle_squared = 0.0

    @property
    def loss(self) -> float:
        return sqrt(self._rest_squared) + sqrt(self._cycle_squared)

    def rest(self, hours: float, temperature_c: float, soc_share: float, cell_v: float) -> None:
        warmth = exp(-17126.0 / GAS_J_PER_MOL_K * (1 / (temperature_c + KELVIN) - 1 / 298.15))
        middle = soc_share - 0.5
        rate = 1.2571e-5 * warmth * (2.8575 * middle * middle * middle + 0.60225)
        self._rest_squared += rate * rate * hours * 3600

    def half_cycle(self, depth: float, c_rate: float, cell_v: float) -> None:
        middle = depth - 0.6
        rate = 0.01 * (0.0630 * c_rate + 0.0971) * (4.0253 * middle * middle * middle + 1.0923)
        self._cycle_squared += rate * rate * depth / 2


class NmcFade:
    """NMC against graphite: Schmalstieg et al., J. Power Sources 257 (2014), for a cell of 2.15 Ah."""

    __slots__ = ("_cycle_squared", "_rest_power")

    def __init__(self) -> None:
        self._rest_power = self._cycle_squared = 0.0  # loss by time to the 4/3; loss by cycles squared

    @property
    def loss(self) -> float:
        root = sqrt(self._rest_power)
        return root * sqrt(root) + sqrt(self._cycle_squared)

    def rest(self, hours: float, temperature_c: float, soc_share: float, cell_v: float) -> None:
        rate = max(7.543 * cell_v - 23.75, 1e-3) * 1e6 * exp(-6976.0 / (temperature_c + KELVIN))
        self._rest_power += exp(4 / 3 * log(rate)) * hours / 24

    def half_cycle(self, depth: float, c_rate: float, cell_v: float) -> None:
        off_v = cell_v - 3.667
        rate = 7.348e-3 * off_v * off_v + 7.6e-4 + 4.081e-3 * depth
        self._cycle_squared += rate * rate * 2.15 * depth


@dataclass(frozen=True, slots=True)
class LeadLife:
    """From a data sheet: cycles to 80 % of the capacity at a depth of 0.5, how they fall with depth, float.

    `float_years` are at 20 C.
    """

    cycles_at_half: float
    depth_exponent: float
    float_years: float


class LeadFade:
    """Lead-acid: Miner's rule over half cycles and time, as in Bindner et al. (Risoe-R-1515, 2005).

    A life is used up at 80 % of the capacity, linearly. Each 10 K halve the life on float (IEC 60896-21).
    """

    __slots__ = ("_life", "used")

    def __init__(self, life: LeadLife) -> None:
        self._life = life
        self.used = 0.0

    @property
    def loss(self) -> float:
        return 0.2 * self.used

    def rest(self, hours: float, temperature_c: float, soc_share: float, cell_v: float) -> None:
        pace = exp(log(2.0) * (temperature_c - 20) / 10)
        self.used += hours / 8766 / self._life.float_years * pace

    def half_cycle(self, depth: float, c_rate: float, cell_v: float) -> None:
        life = self._life
        self.used += 0.5 / life.cycles_at_half * exp(life.depth_exponent * log(depth / 0.5))


class HalfCycles:
    """Finds the half cycles in a state of charge that goes up and down: a turn counts from 1 % on."""

    __slots__ = ("_extreme", "_hours", "_rising", "_turn")

    TURN = 0.01

    def __init__(self, soc_share: float) -> None:
        self._turn = self._extreme = soc_share
        self._hours = 0.0  # of flow since the turn
        self._rising = False

    def watch(self, soc_share: float, hours: float) -> tuple[float, float] | None:
        """Depth and mean C rate of the half cycle that has just ended, if one has."""
        self._hours += hours
        if (soc_share > self._extreme) if self._rising else (soc_share < self._extreme):
            self._extreme = soc_share
            return None
        if abs(soc_share - self._extreme) < self.TURN:
            return None
        depth, flown_h = abs(self._extreme - self._turn), self._hours
        self._turn, self._extreme = self._extreme, soc_share
        self._rising = not self._rising
        self._hours = 0.0
        return (depth, depth / flown_h) if depth > self.TURN and flown_h > 0 else None
