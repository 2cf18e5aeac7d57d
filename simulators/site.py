"""The house: load, PV, batteries and the grid on one AC bus, moved exactly from event to event.

Everything that asks or orders says at what instant, and the house moves there first. Between two events
(edge of a trace, order in effect, limit reached, lease over) every power is constant, a line or an
exponential, so a step of a second and a step of an hour cost and err the same. Equal calls give equal bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf

from drivers.device import BatteryReading, MeterReading, PvReading
from drivers.simulated import BatteryPort, MeterPort, PvPort
from simulators.battery import Lithium, LithiumParams
from simulators.inverter import BatteryInverter, InverterParams, crossing_s
from simulators.pv import PvInverter
from simulators.traces import Trace

NOMINAL_V = 230.0
SOURCE_OHM = 0.25
"""Resistance of mains and house lead, a phase: the reference impedance of IEC 60725 is 0.24 + j0.15 ohm."""
BAND_V = 23.0
"""Ten percent: what EN 50160 allows the voltage of a supply to be off."""
FREQUENCY_HZ = 50.0
CELL_TEMPERATURE_C = 25.0


@dataclass(frozen=True, slots=True)
class BatteryUnit:
    """A battery with its inverter; `phase` 1 to 3, or None for an equal part on each."""

    cells: LithiumParams
    inverter: InverterParams
    soc_pct: float = 50.0
    phase: int | None = None


@dataclass(frozen=True, slots=True)
class PvUnit:
    """A PV inverter and what the sun offers it, W; `phase` as for a battery."""

    sun: Trace
    rated_w: float
    dead_time_s: float = 0.5
    phase: int | None = None


@dataclass(frozen=True, slots=True)
class Energies:
    """The books since the start, Wh, all >= 0; `charged_wh` and `discharged_wh` at the AC terminals.

    import + pv + discharged = load + export + charged
    stored = stored at the start + charged - discharged - lost
    """

    load_wh: float
    pv_wh: float
    curtailed_wh: float
    import_wh: float
    export_wh: float
    charged_wh: float
    discharged_wh: float
    lost_wh: float
    stored_wh: float


class House:
    """The plant behind the ports. Sun, load and battery contents pass `speed` times as fast as real time.

    Inverters keep their own pace at any speed. `begin_s` is the clock's instant at the start, and
    `trace_begin_s` where in the traces the house starts. Energies count the fast time: at speed 288 a
    kilowatt makes 24 kWh in five minutes.
    """

    def __init__(
        self,
        load: Trace,
        pvs: Sequence[PvUnit] = (),
        batteries: Sequence[BatteryUnit] = (),
        *,
        phases: int = 1,
        load_phase: int | None = None,
        speed: float = 1.0,
        begin_s: float = 0.0,
        trace_begin_s: float = 0.0,
    ) -> None:
        if phases not in (1, 3):
            raise ValueError(f"phases is {phases}; give 1 or 3")
        if not 0 < speed < inf:
            raise ValueError(f"speed is {speed:g}; give a number above 0")
        self.phases = phases
        self.speed = speed
        self.now_s = begin_s
        self.batteries = tuple(
            BatteryInverter(unit.inverter, Lithium(unit.cells, unit.soc_pct), begin_s, speed)
            for unit in batteries
        )
        self.pvs = tuple(PvInverter(unit.rated_w, unit.dead_time_s) for unit in pvs)
        self.begin_s = begin_s
        self._trace_begin_s = trace_begin_s
        self._load = load
        self._wanted_w = self._shed_w = 0.0
        self._suns = tuple(unit.sun for unit in pvs)
        self._load_shares = self._shares(load_phase)
        self._battery_shares = tuple(self._shares(unit.phase) for unit in batteries)
        self._pv_shares = tuple(self._shares(unit.phase) for unit in pvs)
        phases_named = (load_phase, *(unit.phase for unit in batteries), *(unit.phase for unit in pvs))
        self._is_even = all(phase is None for phase in phases_named)
        self.import_wh = self.export_wh = self._load_wh = self._pv_wh = self.available_wh = 0.0
        self.load_w = self.pv_generation_w = self.available_w = 0.0
        self._load_edge_s = trace_begin_s  # the traces' next edges, in their own time
        self._sun_edges_s = [trace_begin_s] * len(pvs)
        self._trace_edge_s = trace_begin_s  # the first of them
        self._edge_s = begin_s  # the same on the house's clock
        self._change_s = begin_s  # when load or PV next change
        self._follow_traces()

    def advance(self, now_s: float) -> None:
        """Move to an instant; moving there again changes nothing. ValueError when it lies in the past."""
        if now_s == self.now_s:
            return
        if now_s < self.now_s:
            raise ValueError(f"the house is at {self.now_s} s and cannot go back to {now_s} s")
        while self.now_s < now_s:
            until_s = self._change_s if self._change_s < now_s else now_s
            moving = False
            for battery in self.batteries:
                if battery.until_s < until_s:
                    until_s = battery.until_s
                if battery.moving:
                    moving = True
            self._move_to(self._grid_turns_s(until_s) if moving else until_s)

    @property
    def pcc_import_w(self) -> float:
        """The true power from the grid now; negative while exporting."""
        import_w = self.load_w - self.pv_generation_w
        for battery in self.batteries:
            import_w -= battery.power_w
        return import_w

    @property
    def energies(self) -> Energies:
        return Energies(
            load_wh=self._load_wh,
            pv_wh=self._pv_wh,
            curtailed_wh=self.available_wh - self._pv_wh,
            import_wh=self.import_wh,
            export_wh=self.export_wh,
            charged_wh=_total(battery.charged_wh for battery in self.batteries),
            discharged_wh=_total(battery.discharged_wh for battery in self.batteries),
            lost_wh=_total(battery.lost_wh for battery in self.batteries),
            stored_wh=_total(battery.cells.stored_wh for battery in self.batteries),
        )

    def time_to_limit_s(self, now_s: float, marks_wh: Sequence[Sequence[float]] = ()) -> float:
        """Seconds until a battery is full, empty or at its next charge limit, at the power last ordered.

        Or at one of its `marks_wh`, ascending contents for each battery that matter to who asks.
        """
        self.advance(now_s)
        soonest_s = inf
        for index, battery in enumerate(self.batteries):
            soonest_s = min(soonest_s, battery.time_to_limit_s(marks_wh[index] if marks_wh else ()))
        return soonest_s

    def meter(self) -> MeterPort:
        """The meter at the PCC."""
        return _Meter(self)

    def battery(self, index: int) -> BatteryPort:
        return _Battery(self, self.batteries[index])

    def pv(self, index: int) -> PvPort:
        return _Pv(self, self.pvs[index])

    def cap(self, pv: PvInverter, pv_cap_w: float | None, expires_at_s: float) -> None:
        """Curtail a PV inverter of this house now, or lift its cap with None."""
        if pv_cap_w is None:
            if pv.cap_w is None:
                return
            pv.release(self.now_s)
        else:
            pv.cap(self.now_s, pv_cap_w, expires_at_s)
        self._sum_pv()

    def shed(self, more_w: float) -> None:
        """Take this much more out of the load now; a negative number gives it back."""
        self._shed_w += more_w
        self.load_w = max(0.0, self._wanted_w - self._shed_w)

    def phase_import_w(self) -> tuple[float, ...]:
        """The true power from the grid on each phase now."""
        if self._is_even:
            return (self.pcc_import_w / self.phases,) * self.phases
        totals_w = [self.load_w * share for share in self._load_shares]
        for unit, shares in zip(self.pvs, self._pv_shares, strict=True):
            totals_w = [w - unit.power_w * share for w, share in zip(totals_w, shares, strict=True)]
        for battery, shares in zip(self.batteries, self._battery_shares, strict=True):
            totals_w = [w - battery.power_w * share for w, share in zip(totals_w, shares, strict=True)]
        return tuple(totals_w)

    def _shares(self, phase: int | None) -> tuple[float, ...]:
        if phase is not None and not 1 <= phase <= self.phases:
            raise ValueError(f"phase is {phase}; the house has phases 1 to {self.phases}")
        if phase is None:
            return (1 / self.phases,) * self.phases
        return tuple(float(number == phase) for number in range(1, self.phases + 1))

    def _move_to(self, until_s: float) -> None:
        """Move to an instant up to which every law holds and the grid's power keeps its sign."""
        hours = (until_s - self.now_s) * self.speed / 3600
        load_wh = self.load_w * hours
        pv_wh = self.pv_generation_w * hours
        import_wh = load_wh - pv_wh
        for battery in self.batteries:
            import_wh -= battery.move_to(until_s)
        self._load_wh += load_wh
        self._pv_wh += pv_wh
        self.available_wh += self.available_w * hours
        if import_wh >= 0:
            self.import_wh += import_wh
        else:
            self.export_wh -= import_wh
        self.now_s = until_s
        if until_s >= self._change_s:
            for pv in self.pvs:
                pv.obey(until_s)
            if until_s >= self._edge_s:
                self._follow_traces()
            else:
                self._sum_pv()

    def _grid_turns_s(self, until_s: float) -> float:
        """The instant up to `until_s` where import turns to export or back; `until_s` if it does not.

        Two outputs on their way at different pace could turn it twice: then both energies are low by
        the same small area, and their difference stays exact.
        """
        length_s = until_s - self.now_s
        start_w = end_w = self.load_w - self.pv_generation_w
        for battery in self.batteries:
            start_w -= battery.power_w
            end_w -= battery.power_after_w(length_s)
        if start_w * end_w > -1e-3:  # a milliwatt beside a watt: rounding, not a turn
            return until_s

        def import_w(seconds: float) -> float:
            grid_w = self.load_w - self.pv_generation_w
            for battery in self.batteries:
                grid_w -= battery.power_after_w(seconds)
            return grid_w

        turn_s = self.now_s + crossing_s(import_w, length_s, start_w, end_w)
        return turn_s if self.now_s < turn_s < until_s else until_s

    def _follow_traces(self) -> None:
        """Take the values after the edge reached; the next edge."""
        edge_s = self._trace_edge_s
        if self._load_edge_s <= edge_s:
            self._wanted_w = self._load.at(edge_s)
            self.load_w = max(0.0, self._wanted_w - self._shed_w) if self._shed_w else self._wanted_w
            self._load_edge_s = self._load.next_edge_s(edge_s)
        next_edge_s = self._load_edge_s
        for index, sun in enumerate(self._suns):
            if self._sun_edges_s[index] <= edge_s:
                self.pvs[index].shine(sun.at(edge_s))
                self._sun_edges_s[index] = sun.next_edge_s(edge_s)
            if self._sun_edges_s[index] < next_edge_s:
                next_edge_s = self._sun_edges_s[index]
        self._trace_edge_s = next_edge_s
        self._edge_s = self.begin_s + (next_edge_s - self._trace_begin_s) / self.speed
        self._sum_pv()

    def _sum_pv(self) -> None:
        """Take over what the PV inverters give and when that next changes."""
        self.pv_generation_w = self.available_w = 0.0
        self._change_s = self._edge_s
        for pv in self.pvs:
            self.pv_generation_w += pv.power_w
            self.available_w += pv.available_w
            if pv.until_s < self._change_s:
                self._change_s = pv.until_s


def _total(values: Iterable[float]) -> float:
    """A plain sum: the built-in one rounds differently from Python 3.12 on."""
    total = 0.0
    for value in values:
        total += value
    return total


def _voltage_v(phase_import_w: float) -> float:
    """What a phase has left at this power; a connection for more is stiffer, and stays inside the band."""
    drop_v = SOURCE_OHM * phase_import_w / NOMINAL_V
    return NOMINAL_V - max(-BAND_V, min(BAND_V, drop_v))


class _Meter:
    def __init__(self, house: House) -> None:
        self._house = house

    def reading(self, now_s: float) -> MeterReading:
        house = self._house
        house.advance(now_s)
        phase_import_w = house.phase_import_w()
        voltages_v = tuple([_voltage_v(power_w) for power_w in phase_import_w])
        return MeterReading(
            taken_at_s=now_s,
            pcc_import_w=house.pcc_import_w,
            phase_import_w=phase_import_w,
            phase_voltage_v=voltages_v,
            phase_current_a=tuple([abs(w) / v for w, v in zip(phase_import_w, voltages_v, strict=True)]),
            frequency_hz=FREQUENCY_HZ,
            import_wh=house.import_wh,
            export_wh=house.export_wh,
        )


class _Battery:
    def __init__(self, house: House, unit: BatteryInverter) -> None:
        self._house = house
        self._unit = unit

    def reading(self, now_s: float) -> BatteryReading:
        self._house.advance(now_s)
        unit = self._unit
        return BatteryReading(
            taken_at_s=now_s,
            battery_discharge_w=unit.power_w,
            soc_pct=unit.cells.soc_pct,
            max_discharge_w=unit.max_discharge_w,
            max_charge_w=unit.max_charge_w,
            capacity_wh=unit.cells.params.capacity_wh,
            temperature_c=CELL_TEMPERATURE_C,
            grid_present=True,
            fault=False,
            setpoint_w=unit.held_w,
        )

    def order(self, now_s: float, battery_discharge_w: float, expires_at_s: float) -> None:
        self._house.advance(now_s)
        self._unit.order(battery_discharge_w, expires_at_s)

    def release(self, now_s: float) -> None:
        self._house.advance(now_s)
        self._unit.release()


class _Pv:
    def __init__(self, house: House, unit: PvInverter) -> None:
        self._house = house
        self._unit = unit

    def reading(self, now_s: float) -> PvReading:
        self._house.advance(now_s)
        return PvReading(
            taken_at_s=now_s,
            pv_generation_w=self._unit.power_w,
            rated_w=self._unit.rated_w,
            cap_w=self._unit.cap_w,
        )

    def cap(self, now_s: float, pv_cap_w: float, expires_at_s: float) -> None:
        self._house.advance(now_s)
        self._house.cap(self._unit, pv_cap_w, expires_at_s)

    def release(self, now_s: float) -> None:
        self._house.advance(now_s)
        self._house.cap(self._unit, None, inf)
