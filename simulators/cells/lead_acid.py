"""A lead-acid battery: two wells, gas, absorption and float, and a life counted in depths.

Charge is in the two wells of `kibam.py`: a discharge ends when the first of them is empty, sooner at a higher
current, and goes on after a rest. The open-circuit voltage is that of the charge in both. Near full, part of
the current makes gas: Schiffer et al., J. Power Sources 168 (2007), whose law also gives the float current
and the self-discharge. The charge ends as chargers end it: constant power, then absorption at constant
voltage until the current is small, then float.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp, frexp, inf, ldexp, sqrt

from simulators.cells.curve import Curve, Points, at
from simulators.cells.fade import HalfCycles, LeadFade, LeadLife
from simulators.cells.gauge import Gauge, GaugeParams
from simulators.cells.kibam import KiBaM, fitted

SLOW_H = 1 / 60
"""Temperature and age follow in steps of at least a minute."""
MOMENT_H = 0.1
"""Power is allowed that the wells can keep up for this long."""
TAIL = 0.02
"""Absorption ends at this current, in capacities an hour, or after `LONGEST_ABSORPTION_H`."""
LONGEST_ABSORPTION_H = 6.0
BULK_AGAIN = 0.97
"""Float ends and bulk begins when the battery is emptier than this."""
RECOVERED = 0.08
"""After the end of a discharge, well 1 must have come back by so much."""


@dataclass(frozen=True, slots=True)
class LeadAcidParams:
    """What never changes about a lead-acid battery; see `presets.py` for numbers and where they are from.

    `capacity_wh` is that of a discharge in 10 h, at 2 V a cell. `capacities` are those in 20, 10 and 1 h, in
    parts of it. `resistance` is the voltage lost at a current of one capacity (10 h) an hour, V a cell.
    Charging loses more as the plates fill up, by `thickening` (Copetti et al., Progress in Photovoltaics 1,
    1993, for the form): at a tenth of the capacity an hour a cell is at 2.4 V when it is 85 % full. Gas is
    what flows at 2.23 V and 20 C, in capacities an hour. Voltages are of a cell at 25 C.
    """

    capacity_wh: float
    capacities: tuple[float, float, float]
    life: LeadLife
    ocv: Points = ((0.0, 1.94), (0.25, 1.995), (0.5, 2.045), (0.75, 2.09), (1.0, 2.13))
    max_charge_w: float = inf
    max_discharge_w: float = inf
    resistance: float = 0.06
    thickening: float = 11.0
    acceptance_per_h: float = 1.0
    lowest_v: float = 1.80
    absorption_v: float = 2.40
    float_v: float = 2.25
    gas_per_h: float = 2e-4
    gas_per_v: float = 11.0
    gas_per_k: float = 0.06
    volts_per_k: float = -0.004
    cold_per_k: float = 0.007
    discharge_by_temperature: Points = ((-20.0, 0.3), (0.0, 0.8), (20.0, 1.0))
    heat_j_per_k: float = 0.0
    cooling_w_per_k: float = 0.0
    ambient_c: float = 20.0
    gauge: GaugeParams = field(default_factory=lambda: GaugeParams(charge_efficiency=0.95))

    @property
    def wells(self) -> KiBaM:
        """Two wells, Ah at 2 V."""
        ah = self.capacity_wh / 2.0
        c20, c10, c1 = self.capacities
        return fitted(c20 * ah, c10 * ah, c1 * ah)

    def new(self, soc_pct: float) -> LeadAcidCells:
        """A new battery, as warm as the air around it, its wells at one height."""
        return LeadAcidCells(self, soc_pct)


class LeadAcidCells:
    """A `Cells`; voltages are of one cell, charge in Ah of all cells put in parallel."""

    __slots__ = (
        "_absorbed_h",
        "_ah",
        "_curve",
        "_cycles",
        "_drained",
        "_fade",
        "_floats",
        "_gauge",
        "_limits_w",
        "_loss_slow_wh",
        "_ohm",
        "_one_ah",
        "_size",
        "_slow_h",
        "_throughput_ah",
        "_two_ah",
        "_wells",
        "params",
        "temperature_c",
    )

    def __init__(self, params: LeadAcidParams, soc_pct: float) -> None:
        if not 0 <= soc_pct <= 100:
            raise ValueError(f"soc_pct is {soc_pct:g}; give a percentage from 0 to 100")
        if not 0 < params.capacity_wh < inf:
            raise ValueError(f"capacity_wh is {params.capacity_wh:g}; give a number above 0")
        self.params = params
        self.temperature_c = params.ambient_c
        self._curve = Curve(params.ocv)
        self._wells = params.wells
        self._ah = params.capacity_wh / 2.0
        self._size = 1.0
        both_ah = self._wells.most_ah * soc_pct / 100
        self._one_ah = both_ah * self._wells.share
        self._two_ah = both_ah - self._one_ah
        self._gauge = Gauge(params.gauge, soc_pct)
        self._floats = self._drained = False
        self._absorbed_h = 0.0
        self._fade = LeadFade(params.life)
        self._cycles = HalfCycles(soc_pct / 100)
        self._slow_h = self._loss_slow_wh = self._throughput_ah = 0.0
        self._ohm = params.resistance / self._ah
        self._limits_w: tuple[float, float] | None = None

    @property
    def capacity_wh(self) -> float:
        return self.params.capacity_wh

    @property
    def wells_ah(self) -> tuple[float, float]:
        """What is in well 1 and in well 2."""
        return self._one_ah, self._two_ah

    @property
    def stored_wh(self) -> float:
        return self._wells.most_ah * self._size * self._curve.area(self._soc())

    @property
    def empty_wh(self) -> float:
        """A discharge ends when well 1 is empty, whatever is in well 2; that one refills it is left out."""
        at_hand_ah = max(self._head() - self._lowest_head(), 0.0) * self._one_most_ah()
        return self.stored_wh - at_hand_ah * self._curve.at(self._soc())

    @property
    def soc_pct(self) -> float:
        return self._gauge.soc_pct

    @property
    def true_soc_pct(self) -> float:
        return 100 * self._soc()

    @property
    def health(self) -> float:
        return self._size

    @property
    def full_cycles(self) -> float:
        """Equivalent full cycles of the 10 h capacity when new."""
        return self._throughput_ah / self._ah / 2

    @property
    def floats(self) -> bool:
        """Whether the charger holds it at float."""
        return self._floats

    def voltage(self, discharge_w: float) -> float:
        """The voltage of a cell at this power."""
        open_v = self._curve.at(self._soc())
        return open_v - self._current_a(discharge_w) * self._resistance(discharge_w < 0)

    def charge_limit_w(self) -> float:
        return (self._limits_w or self._limit())[0]

    def discharge_limit_w(self) -> float:
        return (self._limits_w or self._limit())[1]

    def next_step_wh(self) -> float:
        missing_ah = self._wells.most_ah * self._size - self._one_ah - self._two_ah
        if self._floats or missing_ah < 0.01 * self._ah:
            return inf
        return self.stored_wh + missing_ah * self._curve.at(1.0)

    def gain(self, discharge_w: float) -> float:
        open_v = self._curve.at(self._soc())
        at_v = self.voltage(discharge_w)
        if discharge_w > 0:
            return open_v / at_v
        current_a = -discharge_w / at_v
        return open_v / at_v * max(1.0 - self._gas_a(at_v) / current_a, 0.0) if current_a > 0 else 0.0

    def good_for_h(self, discharge_w: float) -> float:
        if discharge_w == 0:
            return 0.5
        part = 0.002 if discharge_w < 0 and self._head() > 0.85 else 0.005
        return max(min(part * self.params.capacity_wh / abs(discharge_w), 1 / 12), 1 / 360)

    def take(self, discharge_wh: float, hours: float) -> float:
        if hours <= 0:
            return 0.0
        before_wh = self.stored_wh
        current_a = 0.0
        at_v = self._curve.at(self._soc())
        if discharge_wh:
            current_a = self._current_a(discharge_wh / hours)
            at_v -= current_a * self._resistance(discharge_wh < 0)
            self._throughput_ah += abs(current_a) * hours
        inner_a = current_a if current_a > 0 else current_a + self._gas_a(at_v)
        one_ah, two_ah = self._wells.after(self._one_ah, self._two_ah, inner_a, hours)
        self._one_ah, self._two_ah = max(one_ah, 0.0), max(two_ah, 0.0)
        if one_ah + two_ah > self._wells.most_ah * self._size:  # what does not fit has become gas
            self._one_ah = self._one_most_ah()
            self._two_ah = self._wells.most_ah * self._size - self._one_ah
        self._gauge.count(current_a * hours / self._ah, hours)
        stored_wh = self.stored_wh - before_wh
        self._limits_w = None
        self._follow_charger(hours, charges=current_a < 0)
        self._slow_h += hours
        self._loss_slow_wh -= discharge_wh + stored_wh
        if self._slow_h >= SLOW_H:
            self._slowly()
            stored_wh = self.stored_wh - before_wh
        return stored_wh

    def arrive(self, stored_wh: float) -> None:
        """Nothing: the content follows from the charge alone."""

    def _soc(self) -> float:
        return (self._one_ah + self._two_ah) / (self._wells.most_ah * self._size)

    def _one_most_ah(self) -> float:
        return self._wells.most_ah * self._size * self._wells.share

    def _head(self) -> float:
        """How full well 1 is."""
        return self._one_ah / self._one_most_ah()

    def _lowest_head(self) -> float:
        """What cold acid does not give (IEC 60896-11: about 0.7 % of the capacity a degree)."""
        return max(0.0, self.params.cold_per_k * (25.0 - self.temperature_c)) + 0.005

    def _resistance(self, charging: bool) -> float:
        if not charging:
            return self._ohm
        head = min(self._head(), 1.0)
        return self._ohm * (1.0 + self.params.thickening * head / (1.05 - head))

    def _gas_a(self, at_v: float) -> float:
        params = self.params
        hotter = params.gas_per_v * (at_v - 2.23) + params.gas_per_k * (self.temperature_c - 20.0)
        return self._ah * params.gas_per_h * exp(min(hotter, 20.0))

    def _current_a(self, discharge_w: float) -> float:
        """From P = I (U - I R), the smaller root; beyond the most that there is, the current of the most."""
        open_v, ohm = self._curve.at(self._soc()), self._resistance(discharge_w < 0)
        inside = open_v * open_v - 4 * ohm * discharge_w
        return 2 * discharge_w / (open_v + sqrt(inside)) if inside > 0 else open_v / (2 * ohm)

    def _charge_v(self) -> float:
        params = self.params
        level_v = params.float_v if self._floats else params.absorption_v
        return level_v + params.volts_per_k * (self.temperature_c - 25.0)

    def _limit(self) -> tuple[float, float]:
        params, open_v, both_ah = self.params, self._curve.at(self._soc()), self._one_ah + self._two_ah
        charge_v = self._charge_v()
        held_a = max(charge_v - open_v, 0.0) / self._resistance(charging=True)
        missing_ah = max(self._wells.most_ah * self._size - both_ah, 0.0)
        into_a = min(
            self._wells.most_in_a(self._one_ah / self._size, both_ah / self._size, MOMENT_H) * self._size,
            params.acceptance_per_h * missing_ah,
        )
        current_a = min(held_a, into_a + self._gas_a(charge_v))
        charge_w = min(params.max_charge_w, _stepped(charge_v * current_a))
        discharge_w = 0.0
        lowest_ah = self._lowest_head() * self._one_most_ah()
        if not self._drained and self._one_ah > lowest_ah:
            held_a = max(open_v - params.lowest_v, 0.0) / self._ohm
            out_a = min(held_a, self._wells.most_a(self._one_ah - lowest_ah, both_ah, MOMENT_H))
            warm_w = params.max_discharge_w * at(params.discharge_by_temperature, self.temperature_c)
            discharge_w = min(warm_w, out_a * (open_v - out_a * self._ohm))
            if out_a < 0.005 * self._ah:
                discharge_w, self._drained = 0.0, True
        self._limits_w = (charge_w, discharge_w)
        return self._limits_w

    def _follow_charger(self, hours: float, charges: bool) -> None:
        """Absorption, float and back; the end of a discharge and the recovery from it."""
        head, soc = self._head(), self._soc()
        if self._floats:
            self._floats = soc > BULK_AGAIN
            self._absorbed_h = 0.0
        elif charges:
            held_a = max(self._charge_v() - self._curve.at(soc), 0.0) / self._resistance(True)
            if head > 0.9:
                self._absorbed_h += hours
            if soc > BULK_AGAIN and (held_a < TAIL * self._ah or self._absorbed_h > LONGEST_ABSORPTION_H):
                self._floats = True
                self._gauge.found(100.0)
        if self._one_ah <= self._lowest_head() * self._one_most_ah():
            if not self._drained:
                self._gauge.found(0.0)
            self._drained = True
        elif self._drained and head > self._lowest_head() + RECOVERED:
            self._drained = False

    def _slowly(self) -> None:
        """Let warmth and age catch up."""
        params, hours = self.params, self._slow_h
        if params.cooling_w_per_k > 0:
            rest_c = params.ambient_c + self._loss_slow_wh / hours / params.cooling_w_per_k
            kept = exp(-hours * 3600 * params.cooling_w_per_k / params.heat_j_per_k)
            self.temperature_c = rest_c + (self.temperature_c - rest_c) * kept
        self._fade.rest(hours, self.temperature_c, self._soc(), 0.0)
        half = self._cycles.watch(self._soc(), hours)
        if half is not None:
            self._fade.half_cycle(half[0], half[1], 0.0)
        before, self._size = self._size, max(1.0 - self._fade.loss, 0.05)
        # What fades takes its charge along: the heights stay.
        self._one_ah *= self._size / before
        self._two_ah *= self._size / before
        self._ohm = params.resistance / self._ah * (2.0 - self._size)
        self._slow_h = self._loss_slow_wh = 0.0


def _stepped(limit_w: float) -> float:
    """In steps of a sixteenth to an eighth, downwards: a charger that follows its limit does not chase it."""
    part, exponent = frexp(limit_w)
    return ldexp(int(part * 16) / 16, exponent)
