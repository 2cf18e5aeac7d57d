"""The house: load, PV, batteries and the grid on one AC bus, moved exactly from event to event.

Everything that asks or orders says at what instant, and the house moves there first. Between two events
(edge of a trace, order in effect, limit reached, lease over) every power is constant, a line or an
exponential, so a step of a second and a step of an hour cost and err the same. Equal calls give equal bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf

from drivers.simulated import BatteryPort, PvPort
from simulators.fuse import Fuse
from simulators.grid import Grid, GridTraces
from simulators.inverter import BatteryInverter, crossing_s
from simulators.island import IslandParams, Supply, Transfer
from simulators.meters import HouseMeter, MeterParams, SlowMeter
from simulators.parts import BatteryUnit, Energies, PvUnit
from simulators.ports import HouseBattery, HousePv
from simulators.pv import PvInverter
from simulators.traces import Trace

__all__ = ["BatteryUnit", "Energies", "House", "PvUnit"]


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
        island: IslandParams | None = None,
        grid: GridTraces | None = None,
        fuse_a: float | None = None,
    ) -> None:
        if phases not in (1, 3):
            raise ValueError(f"phases is {phases}; give 1 or 3")
        if not 0 < speed < inf:
            raise ValueError(f"speed is {speed:g}; give a number above 0")
        self.phases = phases
        self.speed = speed
        self.now_s = begin_s
        self.batteries = tuple(
            BatteryInverter(unit.inverter, unit.cells.new(unit.soc_pct), begin_s, speed) for unit in batteries
        )
        self.pvs = tuple(PvInverter(unit.rated_w, unit.dead_time_s) for unit in pvs)
        self.begin_s = begin_s
        self.grid = Grid()
        formers = [one for one, unit in zip(self.batteries, batteries, strict=True) if unit.forms_grid]
        self._transfer = Transfer(island or IslandParams(), self.grid, self.batteries, formers, self.pvs)
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
        self._unserved_wh = 0.0
        self._phases_wh = [0.0] * phases  # imported minus exported by each, kept while they differ
        self._meters: list[SlowMeter] = []
        self._sample_s = inf  # when the first of them measures next
        self.load_w = self.pv_generation_w = self.available_w = 0.0
        self._grid_traces = grid
        self.fuse = None if fuse_a is None else Fuse(fuse_a, phases)
        self._grid_edge_s = inf if grid is None else trace_begin_s
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
            if self._sample_s < until_s:
                until_s = self._sample_s
            moving = False
            for battery in self.batteries:
                if battery.until_s < until_s:
                    until_s = battery.until_s
                if battery.moving:
                    moving = True
            if moving:
                until_s = self._grid_turns_s(until_s)
            if self.fuse is None or not self._transfer.connected:
                self._move_to(until_s)
            else:
                self._move_through(self.fuse, until_s, moving)

    @property
    def pcc_import_w(self) -> float:
        """The true power from the grid now; negative while exporting."""
        if not self._transfer.connected:
            return 0.0
        import_w = self.load_w - self.pv_generation_w
        for battery in self.batteries:
            import_w -= battery.power_w
        return import_w

    @property
    def energies(self) -> Energies:
        return Energies(
            load_wh=self._load_wh,
            unserved_wh=self._unserved_wh,
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

    def meter(self, params: MeterParams | None = None) -> HouseMeter:
        """A meter at the PCC: one that shows the truth, or one with these weaknesses."""
        return HouseMeter(self) if params is None else SlowMeter(self, params)

    def sampled_by(self, meter: SlowMeter) -> None:
        """Stop at each of this meter's instants from now on."""
        self._meters.append(meter)
        self._sample_s = min(self._sample_s, meter.next_s)

    def battery(self, index: int) -> BatteryPort:
        return HouseBattery(self, self.batteries[index])

    def pv(self, index: int) -> PvPort:
        return HousePv(self, self.pvs[index])

    def cap(self, pv: PvInverter, pv_cap_w: float | None, expires_at_s: float) -> None:
        """Curtail a PV inverter of this house now, or lift its cap with None."""
        if pv_cap_w is None:
            if pv.cap_w is None:
                return
            pv.release(self.now_s)
        else:
            pv.cap(self.now_s, pv_cap_w, expires_at_s)
        self._settle()

    def shed(self, more_w: float) -> None:
        """Take this much more out of the load now; a negative number gives it back."""
        self._shed_w += more_w
        self._settle()

    def set_grid(
        self,
        *,
        present: bool | None = None,
        frequency_hz: float | None = None,
        voltage_v: float | None = None,
    ) -> None:
        """Let the grid go, come back, or change its frequency or no-load voltage, now.

        It does not come back behind a main fuse that has blown.
        """
        was_present = self.grid.present
        blown = self.fuse is not None and self.fuse.blown
        self.grid.change(present, frequency_hz, voltage_v, blown)
        if was_present and not self.grid.present:
            self._transfer.grid_went(self.now_s)
        elif self.grid.present and not was_present:
            self._transfer.grid_came(self.now_s)
        self._settle()

    @property
    def supply(self) -> Supply:
        """Where the house has its power from now."""
        return self._transfer.supply

    @property
    def demand_w(self) -> float:
        """What the loads want that are not shed."""
        return max(0.0, self._wanted_w - self._shed_w) if self._shed_w else self._wanted_w

    def phase_import_w(self) -> tuple[float, ...]:
        """The true power from the grid on each phase now."""
        if self._is_even or not self._transfer.connected:
            return (self.pcc_import_w / self.phases,) * self.phases
        totals_w = [self.load_w * share for share in self._load_shares]
        for unit, shares in zip(self.pvs, self._pv_shares, strict=True):
            totals_w = [w - unit.power_w * share for w, share in zip(totals_w, shares, strict=True)]
        for battery, shares in zip(self.batteries, self._battery_shares, strict=True):
            totals_w = [w - battery.power_w * share for w, share in zip(totals_w, shares, strict=True)]
        return tuple(totals_w)

    def phase_wh(self) -> tuple[float, ...]:
        """What each phase has imported minus exported since the start."""
        if self._is_even:
            return ((self.import_wh - self.export_wh) / self.phases,) * self.phases
        return tuple(self._phases_wh)

    def _shares(self, phase: int | None) -> tuple[float, ...]:
        if phase is not None and not 1 <= phase <= self.phases:
            raise ValueError(f"phase is {phase}; the house has phases 1 to {self.phases}")
        if phase is None:
            return (1 / self.phases,) * self.phases
        return tuple(float(number == phase) for number in range(1, self.phases + 1))

    def _move_through(self, fuse: Fuse, until_s: float, moving: bool) -> None:
        """Move on the grid up to an instant, or up to the end of the fuse."""
        grid = self.grid
        currents_a = [abs(w) / grid.phase_voltage_v(w) for w in self.phase_import_w()]
        melts_s = fuse.melts_in_s(currents_a)
        if melts_s < inf:
            # While an inverter is on its way the current is not that of the start for long.
            most_s = min(melts_s, 0.1) if moving else melts_s
            until_s = min(until_s, max(self.now_s + most_s, self.now_s + 1e-3))
        began_s = self.now_s
        self._move_to(until_s)
        fuse.carry(currents_a, until_s - began_s)
        if fuse.blown:
            self.set_grid()

    def _move_to(self, until_s: float) -> None:
        """Move to an instant up to which every law holds and the grid's power keeps its sign."""
        hours = (until_s - self.now_s) * self.speed / 3600
        load_wh = self.load_w * hours
        pv_wh = self.pv_generation_w * hours
        import_wh = load_wh - pv_wh
        if self._is_even:
            for battery in self.batteries:
                import_wh -= battery.move_to(until_s)
        else:
            import_wh -= self._move_phases(until_s, hours, load_wh)
        if not self._transfer.connected:
            self._unserved_wh += (self.demand_w - self.load_w) * hours
            import_wh = 0.0  # what is left of it is rounding
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
                self._settle()
        elif self._transfer.supply is Supply.ISLAND:
            self._settle()
        if until_s >= self._sample_s:
            self._sample(until_s)

    def _move_phases(self, until_s: float, hours: float, load_wh: float) -> float:
        """Move the batteries and count each phase by itself; gives what the batteries discharged, Wh."""
        phases_wh = [load_wh * share for share in self._load_shares]
        for pv, shares in zip(self.pvs, self._pv_shares, strict=True):
            for phase, share in enumerate(shares):
                phases_wh[phase] -= pv.power_w * hours * share
        discharged_wh = 0.0
        for battery, shares in zip(self.batteries, self._battery_shares, strict=True):
            energy_wh = battery.move_to(until_s)
            discharged_wh += energy_wh
            for phase, share in enumerate(shares):
                phases_wh[phase] -= energy_wh * share
        if self._transfer.connected:
            for phase, energy_wh in enumerate(phases_wh):
                self._phases_wh[phase] += energy_wh
        return discharged_wh

    def _sample(self, now_s: float) -> None:
        self._sample_s = inf
        for meter in self._meters:
            if meter.next_s <= now_s:
                meter.sample(now_s)
            if meter.next_s < self._sample_s:
                self._sample_s = meter.next_s

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
            self._load_edge_s = self._load.next_edge_s(edge_s)
        next_edge_s = min(self._load_edge_s, self._grid_edge_s)
        for index, sun in enumerate(self._suns):
            if self._sun_edges_s[index] <= edge_s:
                self.pvs[index].shine(sun.at(edge_s))
                self._sun_edges_s[index] = sun.next_edge_s(edge_s)
            if self._sun_edges_s[index] < next_edge_s:
                next_edge_s = self._sun_edges_s[index]
        self._trace_edge_s = next_edge_s
        self._edge_s = self.begin_s + (next_edge_s - self._trace_begin_s) / self.speed
        if self._grid_traces is not None and self._grid_edge_s <= edge_s:
            self._grid_edge_s = self._grid_traces.next_edge_s(edge_s)
            self._follow_grid(self._grid_traces, edge_s)
        self._settle()

    def _follow_grid(self, traces: GridTraces, edge_s: float) -> None:
        self.set_grid(
            present=None if traces.present is None else traces.present.at(edge_s) > 0,
            frequency_hz=None if traces.frequency_hz is None else traces.frequency_hz.at(edge_s),
            voltage_v=None if traces.voltage_v is None else traces.voltage_v.at(edge_s),
        )

    def _settle(self) -> None:
        """Take over what loads and PV do from now on, and when that next changes by itself."""
        transfer, demand_w = self._transfer, self.demand_w
        if transfer.supply is not Supply.GRID:
            transfer.settle(self.now_s, demand_w)
        self.load_w = 0.0 if transfer.supply is Supply.DARK else demand_w
        self.pv_generation_w = self.available_w = 0.0
        self._change_s = self._edge_s if self._edge_s < transfer.turn_s else transfer.turn_s
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
