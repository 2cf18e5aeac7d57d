"""The house of a site file: `[simulation]` and the devices' profiles make the plant behind them."""

from __future__ import annotations

from dataclasses import replace
from math import inf, sqrt

from controller.config import Config, ConfigError
from simulators.cells import chemistry
from simulators.converter import InverterParams
from simulators.grid import GridTraces, OutageTrace
from simulators.island import IslandParams
from simulators.meters import HouseMeter, MeterParams
from simulators.site import BatteryUnit, House, PvUnit
from simulators.systems import UnknownSystemError, measured_system
from simulators.traces import SyntheticHouse, Trace

C_RATE = 0.5
"""Rating of an emulated battery whose site file gives none: its capacity in two hours."""

_RESOLUTIONS_S = (1, 5, 10, 30, 60, 300, 900, 1800, 3600)
_EDGES_PER_S = 1.0 / 3.0
"""Of load and sun, in real seconds: a controller that decides every second must be able to follow."""


class Part:
    """A share of a trace, for one of several PV inverters."""

    def __init__(self, trace: Trace, share: float) -> None:
        self._trace = trace
        self._share = share

    def at(self, t_s: float) -> float:
        return self._trace.at(t_s) * self._share

    def next_edge_s(self, t_s: float) -> float:
        return self._trace.next_edge_s(t_s)


def synthetic(config: Config, resolution_s: int = 1) -> SyntheticHouse:
    """Load and sun of `[simulation]`; time 0 is midnight of its first day."""
    wanted = config.simulation
    return SyntheticHouse(
        wanted.seed,
        first_day=wanted.start,
        load_kwh_per_year=wanted.annual_load_kwh,
        pv_peak_w=wanted.pv_peak_w,
        latitude_deg=wanted.latitude_deg,
        resolution_s=resolution_s,
    )


def resolution_s(speed: float) -> int:
    """How fine the invented day is when it passes at this speed; in real time, to the second."""
    if speed <= 1.0:
        return 1
    return next((one for one in _RESOLUTIONS_S if one * _EDGES_PER_S >= speed), _RESOLUTIONS_S[-1])


def build_house(
    config: Config,
    load: Trace,
    sun: Trace,
    sun_peak_w: float,
    *,
    speed: float = 1.0,
    begin_s: float = 0.0,
    trace_begin_s: float = 0.0,
) -> House:
    """The plant. Without `[[pv]]` in the site file the sun still shines, on PV that nobody can curtail."""
    inverters = len(config.pvs) or 1
    pvs = [
        PvUnit(
            Part(sun, 1.0 / inverters),
            rated_w=max(sun_peak_w / inverters, 1.0),
            dead_time_s=config.pvs[index].profile.response.dead_time_s if config.pvs else 0.0,
            phase=config.simulation.pv_phase,
        )
        for index in range(inverters)
    ]
    wanted = config.simulation
    outages = GridTraces(present=OutageTrace(wanted.outages_s)) if wanted.outages_s else None
    island = wanted.island
    return House(
        load,
        pvs,
        [_battery(config, index) for index in range(len(config.batteries))],
        phases=config.phases,
        load_phase=wanted.load_phase,
        speed=speed,
        begin_s=begin_s,
        trace_begin_s=trace_begin_s,
        island=IslandParams(island.transfer_s, island.restart_s, island.resync_s),
        grid=outages,
        fuse_a=config.dispatch.fuse_a if wanted.fuse_melts else None,
    )


def site_meter(config: Config, house: House, otherwise: MeterParams | None = None) -> HouseMeter:
    """The meter at the PCC, with the weaknesses of `[simulation.meter]`; with these when there is none."""
    wanted = config.simulation.meter
    if wanted is None:
        return house.meter(otherwise)
    meter = house.meter(
        MeterParams(
            wanted.period_s,
            wanted.delay_s,
            averages=wanted.averages,
            noise_w=wanted.noise_w,
            resolution_w=wanted.resolution_w,
            seed=config.simulation.seed,
        )
    )
    right = tuple(range(1, config.phases + 1))
    on_phases = wanted.ct_phases or right
    turned = wanted.ct_reversed or (False,) * config.phases
    for ct, on_phase, reverse in zip(right, on_phases, turned, strict=True):
        if on_phase != ct or reverse:
            meter.wire(ct, on_phase=on_phase, reverse=reverse)
    return meter


def _battery(config: Config, index: int) -> BatteryUnit:
    settings, wanted = config.dispatch.batteries[index], config.simulation
    one_way = sqrt(wanted.efficiency_pct / 100.0)
    default_w = settings.capacity_wh * C_RATE
    charge_w = default_w if settings.max_charge_w is None else settings.max_charge_w
    discharge_w = default_w if settings.max_discharge_w is None else settings.max_discharge_w
    cells = chemistry(
        wanted.cells,
        settings.capacity_wh,
        max_charge_w=charge_w,
        max_discharge_w=inf if wanted.cells == "simple" else discharge_w / one_way,
        efficiency=one_way,
        ambient_c=wanted.ambient_c,
    )
    return BatteryUnit(
        cells,
        inverter_of(config, index, charge_w, discharge_w),
        soc_pct=wanted.initial_soc_pct,
        phase=settings.phase,
        forms_grid=wanted.island.forms_grid,
    )


def inverter_of(config: Config, index: int, charge_w: float, discharge_w: float) -> InverterParams:
    """With the pace of its profile, or all of a measured system."""
    response = config.batteries[index].profile.response
    one_way = sqrt(config.simulation.efficiency_pct / 100.0)
    usual = InverterParams(
        rated_charge_w=charge_w,
        rated_discharge_w=discharge_w,
        charge_efficiency=one_way,
        discharge_efficiency=one_way,
        dead_time_s=response.dead_time_s,
        time_constant_s=response.time_constant_s,
        ramp_w_per_s=response.ramp_w_per_s or inf,
    )
    if config.simulation.system is None:
        return usual
    try:
        system = measured_system(config.simulation.system)
    except UnknownSystemError as error:
        raise ConfigError(f"{config.path}: simulation.system: {error}") from None
    return replace(
        usual,
        charge_loss=system.charging(charge_w),
        discharge_loss=system.discharging(discharge_w),
        standby_w=system.standby_at_w(discharge_w),
        dead_time_s=system.dead_time_s,
        time_constant_s=system.time_constant_s,
    )
