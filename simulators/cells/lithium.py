"""A lithium battery by its voltage: open-circuit curve, resistance, losses, heat, age, and what its BMS says.

The equivalent circuit is a voltage over state of charge and a resistance (Plett, Battery Management Systems
1, 2015, chapter 2, without its slower parts). What is stored is the area under the voltage, so that what is
lost on the way (resistance, coulombic efficiency, self-discharge, fading) is the rest, to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import exp, inf, sqrt

from simulators.cells.curve import Curve, Points, at
from simulators.cells.fade import GAS_J_PER_MOL_K, KELVIN, Fade, HalfCycles
from simulators.cells.gauge import Gauge, GaugeParams

SLOW_H = 1 / 60
"""Temperature and age follow in steps of at least a minute."""
CHARGED, DRAINED = 0.9995, 0.0005
"""States of charge at which the knees of the voltage are seen, and the end of charge or discharge."""
BACK = 0.01
"""So much lower (or higher) it may charge (or discharge) again."""
RESISTANCE_J_PER_MOL = 20_000.0
"""How the resistance falls with warmth: twice as much at 0 C as at 25 C."""


@dataclass(frozen=True, slots=True)
class LithiumCellParams:
    """What never changes about a lithium battery; see `presets.py` for numbers and where they are from.

    `capacity_wh` is the content when new, from 0 to 100 %. `resistance` is the voltage lost at a current of
    one capacity an hour and 25 C, as a share of the mean voltage. The derating curves are points [C, share].
    Without `fade` it does not age; with it, it has been on the shelf for `shelf_h` before it is new here: the
    laws are steepest at the very start.
    """

    capacity_wh: float
    ocv: Points
    lowest_v: float
    highest_v: float
    fade: Callable[[], Fade] | None = None
    max_charge_w: float = inf
    max_discharge_w: float = inf
    resistance: float = 0.035
    coulombic_efficiency: float = 0.998
    leaks_per_h: float = 3e-5
    taper_from_pct: float = 92.0
    charge_by_temperature: Points = ((0.0, 0.0), (5.0, 0.3), (15.0, 1.0), (45.0, 1.0), (55.0, 0.0))
    discharge_by_temperature: Points = ((-20.0, 0.0), (0.0, 0.6), (10.0, 1.0), (50.0, 1.0), (60.0, 0.0))
    heat_j_per_k: float = 0.0
    cooling_w_per_k: float = 0.0
    ambient_c: float = 20.0
    shelf_h: float = 0.0
    gauge: GaugeParams = field(default_factory=GaugeParams)

    def new(self, soc_pct: float) -> LithiumCells:
        """A new battery, as warm as the air around it."""
        return LithiumCells(self, soc_pct)


class LithiumCells:
    """A `Cells`. Voltages are of one cell, charge in capacities when new: the number of cells falls out."""

    __slots__ = (
        "_ah",
        "_curve",
        "_cycles",
        "_drained",
        "_fade",
        "_full",
        "_gauge",
        "_limits_w",
        "_loss_new",
        "_loss_slow_wh",
        "_ohm",
        "_size",
        "_slow_h",
        "_soc",
        "_throughput",
        "params",
        "temperature_c",
    )

    def __init__(self, params: LithiumCellParams, soc_pct: float) -> None:
        if not 0 <= soc_pct <= 100:
            raise ValueError(f"soc_pct is {soc_pct:g}; give a percentage from 0 to 100")
        if not 0 < params.capacity_wh < inf:
            raise ValueError(f"capacity_wh is {params.capacity_wh:g}; give a number above 0")
        self.params = params
        self.temperature_c = params.ambient_c
        self._curve = Curve(params.ocv)
        mean_v = self._curve.area(1.0)
        self._ah = params.capacity_wh / mean_v  # of all cells put in parallel
        self._size = 1.0  # what is left of it, a share
        self._soc = soc_pct / 100
        self._gauge = Gauge(params.gauge, soc_pct)
        self._full = self._drained = False
        self._fade = params.fade() if params.fade is not None else None
        self._loss_new = 0.0
        if self._fade is not None:
            self._fade.rest(params.shelf_h, 20.0, 0.5, self._curve.at(0.5))
            self._loss_new = self._fade.loss
        self._cycles = HalfCycles(self._soc)
        self._slow_h = self._loss_slow_wh = self._throughput = 0.0
        self._ohm = 0.0
        self._limits_w: tuple[float, float] | None = None
        self._warm()

    @property
    def capacity_wh(self) -> float:
        return self.params.capacity_wh

    @property
    def stored_wh(self) -> float:
        return self._ah * self._size * self._curve.area(self._soc)

    @property
    def empty_wh(self) -> float:
        return 0.0

    @property
    def soc_pct(self) -> float:
        return self._gauge.soc_pct

    @property
    def true_soc_pct(self) -> float:
        return 100 * self._soc

    @property
    def health(self) -> float:
        return self._size

    @property
    def full_cycles(self) -> float:
        """Equivalent full cycles: charge that went in and out, in twice the capacity when new."""
        return self._throughput / 2

    def voltage(self, discharge_w: float) -> float:
        """The voltage of a cell at this power."""
        return self._curve.at(self._soc) - self._current_a(discharge_w) * self._ohm

    def charge_limit_w(self) -> float:
        return (self._limits_w or self._limit())[0]

    def discharge_limit_w(self) -> float:
        return (self._limits_w or self._limit())[1]

    def next_step_wh(self) -> float:
        return inf if self._full else self._ah * self._size * self._curve.area(1.0)

    def gain(self, discharge_w: float) -> float:
        open_v = self._curve.at(self._soc)
        at_v = open_v - self._current_a(discharge_w) * self._ohm
        return open_v / at_v * (self.params.coulombic_efficiency if discharge_w < 0 else 1.0)

    def good_for_h(self, discharge_w: float) -> float:
        if discharge_w == 0:
            return 1.0
        part = 0.002 if self._soc > 0.9 and discharge_w < 0 else 0.005
        return min(part * self.params.capacity_wh / abs(discharge_w), 1 / 12)

    def take(self, discharge_wh: float, hours: float) -> float:
        if hours <= 0:
            return 0.0
        before_wh = self.stored_wh
        moved = -self.params.leaks_per_h * hours * self._soc
        if discharge_wh:
            current_a = self._current_a(discharge_wh / hours)
            flown = current_a * hours / self._ah
            self._gauge.count(flown, hours)
            if flown < 0:
                self._throughput -= flown
                flown *= self.params.coulombic_efficiency
            else:
                self._throughput += flown
            moved -= flown / self._size
        else:
            self._gauge.count(0.0, hours)
        self._soc += moved
        self._recognise()
        stored_wh = self.stored_wh - before_wh
        self._limits_w = None
        self._slow_h += hours
        self._loss_slow_wh -= discharge_wh + stored_wh
        if self._slow_h >= SLOW_H:
            self._slowly()
            stored_wh = self.stored_wh - before_wh
        return stored_wh

    def arrive(self, stored_wh: float) -> None:
        """Nothing: the content follows from the charge alone."""

    def _current_a(self, discharge_w: float) -> float:
        """From P = I (U - I R), the smaller root; beyond the most that there is, the current of the most."""
        open_v = self._curve.at(self._soc)
        inside = open_v * open_v - 4 * self._ohm * discharge_w
        return 2 * discharge_w / (open_v + sqrt(inside)) if inside > 0 else open_v / (2 * self._ohm)

    def _limit(self) -> tuple[float, float]:
        params, open_v = self.params, self._curve.at(self._soc)
        charge_w = discharge_w = 0.0
        if not self._full:
            taper_pct = 100.0 - params.taper_from_pct
            near_full = (100.5 - self._gauge.soc_pct) / (taper_pct + 0.5) if taper_pct > 0 else 1.0
            charge_w = params.max_charge_w * min(1.0, near_full)
            charge_w *= at(params.charge_by_temperature, self.temperature_c)
            most_a = max(params.highest_v - open_v, 0.0) / self._ohm
            charge_w = min(charge_w, params.highest_v * most_a)
        if not self._drained:
            discharge_w = params.max_discharge_w * at(params.discharge_by_temperature, self.temperature_c)
            most_a = max(open_v - params.lowest_v, 0.0) / self._ohm
            discharge_w = min(discharge_w, params.lowest_v * most_a)
        self._limits_w = (charge_w, discharge_w)
        return self._limits_w

    def _recognise(self) -> None:
        """The BMS sees the knees of the voltage, whatever it has counted."""
        if self._soc >= CHARGED:
            if not self._full:
                self._gauge.found(100.0)
            self._full = True
        elif self._soc < CHARGED - BACK:
            self._full = False
        if self._soc <= DRAINED:
            if not self._drained:
                self._gauge.found(0.0)
            self._drained = True
        elif self._soc > DRAINED + BACK:
            self._drained = False

    def _slowly(self) -> None:
        """Let warmth and age catch up."""
        params, hours = self.params, self._slow_h
        if params.cooling_w_per_k > 0:
            rise_k = self._loss_slow_wh / hours / params.cooling_w_per_k
            rest_c = params.ambient_c + rise_k
            kept = exp(-hours * 3600 * params.cooling_w_per_k / params.heat_j_per_k)
            self.temperature_c = rest_c + (self.temperature_c - rest_c) * kept
        if self._fade is not None:
            cell_v = self._curve.at(self._soc)
            self._fade.rest(hours, self.temperature_c, self._soc, cell_v)
            half = self._cycles.watch(self._soc, hours)
            if half is not None:
                self._fade.half_cycle(half[0], half[1], cell_v)
            # What fades takes its charge along: the state of charge stays.
            self._size = max(1.0 + self._loss_new - self._fade.loss, 0.05)
        self._slow_h = self._loss_slow_wh = 0.0
        self._warm()

    def _warm(self) -> None:
        kelvin = self.temperature_c + KELVIN
        colder = exp(RESISTANCE_J_PER_MOL / GAS_J_PER_MOL_K * (1 / kelvin - 1 / 298.15))
        # The resistance rises as the capacity fades, in equal shares.
        self._ohm = self.params.resistance * colder * (2.0 - self._size) * self._curve.area(1.0) / self._ah
