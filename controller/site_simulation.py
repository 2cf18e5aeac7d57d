"""`[simulation]` of the site file: the house that `emulate`, `demo`, `simulate` and scenarios build."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Watts = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Phase = Annotated[int, Field(ge=1, le=3)]
CellKind = Literal["simple", "lfp", "nmc", "agm", "flooded", "opzs"]

Conflict = tuple[tuple[str | int, ...], str]


class SimulationTable(BaseModel):
    """Unknown keys are errors, numbers are never taken from strings."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SimulatedMeterTable(SimulationTable):
    """`[simulation.meter]`: what sets the meter apart from the truth."""

    period_s: float = Field(1.0, gt=0, le=3600, description="it measures this often, s")
    delay_s: Seconds = Field(0.0, description="and shows each value this much later, s")
    averages: bool = Field(False, description="true: the mean of the period, not the value at its end")
    noise_w: Watts = Field(0.0, description="standard deviation of the noise of each phase, W")
    resolution_w: Watts = Field(0.0, description="steps of the power of each phase, W")
    ct_phases: list[Phase] = Field(
        default_factory=list, max_length=3, description="the phase each CT is on, such as [2, 1, 3]"
    )
    ct_reversed: list[bool] = Field(
        default_factory=list, max_length=3, description="which CTs are the wrong way round"
    )


class SimulatedIslandTable(SimulationTable):
    """`[simulation.island]`: how the inverters change between grid and island."""

    forms_grid: bool = Field(True, description="false: no inverter carries the house without the grid")
    transfer_s: Seconds = Field(0.02, description="dark between grid and island, s")
    restart_s: Seconds = Field(10.0, description="after an overload, before the next attempt, s")
    resync_s: Seconds = Field(60.0, description="of good grid before the inverters join it, s")


class OutageTable(SimulationTable):
    """`[[simulation.outage]]`: the grid is gone for a while."""

    after_h: float = Field(ge=0, le=1e5, description="hours after midnight of the first day")
    for_min: float = Field(gt=0, le=1e6, description="how long, minutes")


class Simulation(SimulationTable):
    """`[simulation]`: the house that `emulate`, `demo` and `simulate` put behind the devices."""

    seed: int = Field(1, ge=0, description="the same seed gives the same house, sun and clouds")
    start: date = Field(date(2026, 6, 1), description="first day, such as 2026-06-01")
    start_hour: float = Field(9.0, ge=0, lt=24, description="hour of that day at which it begins, local")
    annual_load_kwh: float = Field(4000.0, gt=0, le=1e7, description="what the house uses in a year, kWh")
    pv_peak_w: Watts = Field(5000.0, description="what the PV gives at best, W")
    latitude_deg: float = Field(50.0, ge=-65, le=65, description="north is positive")
    initial_soc_pct: Percent = Field(50.0, description="of every battery at the start, %")
    efficiency_pct: float = Field(
        95.0, gt=50, le=100, description="of converter and simple cells together, one way, %"
    )
    speed: float = Field(
        1.0, ge=1, le=3600, description="sun, load, contents and the meter's counters pass this much faster"
    )
    cells: CellKind = Field(
        "simple", description='"simple" is fast; "lfp", "nmc", "agm", "flooded", "opzs" have physics'
    )
    system: str | None = Field(None, description='losses of a measured system, such as "S2"; see the docs')
    ambient_c: float = Field(20.0, ge=-30, le=50, description="air around the batteries, C")
    fuse_melts: bool = Field(False, description="true: the main fuse of [grid] melts by its curve")
    load_phase: Phase | None = Field(None, description="the phase of all loads; even when left out")
    pv_phase: Phase | None = Field(None, description="the phase of the PV; even when left out")
    meter: SimulatedMeterTable | None = None
    island: SimulatedIslandTable = SimulatedIslandTable()
    outage: list[OutageTable] = Field(default_factory=list, max_length=1000)


@dataclass(frozen=True, slots=True)
class SimulatedMeter:
    """See `SimulatedMeterTable`."""

    period_s: float
    delay_s: float
    averages: bool
    noise_w: float
    resolution_w: float
    ct_phases: tuple[int, ...]
    ct_reversed: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class SimulatedIsland:
    """See `SimulatedIslandTable`."""

    forms_grid: bool = True
    transfer_s: float = 0.02
    restart_s: float = 10.0
    resync_s: float = 60.0


@dataclass(frozen=True, slots=True)
class SimulationConfig:
    """The emulated house; see `Simulation` for what each value means. `outages_s` are begin and length."""

    seed: int
    start: date
    start_hour: float
    annual_load_kwh: float
    pv_peak_w: float
    latitude_deg: float
    initial_soc_pct: float
    efficiency_pct: float
    speed: float
    cells: CellKind = "simple"
    system: str | None = None
    ambient_c: float = 20.0
    fuse_melts: bool = False
    load_phase: int | None = None
    pv_phase: int | None = None
    meter: SimulatedMeter | None = None
    island: SimulatedIsland = SimulatedIsland()
    outages_s: tuple[tuple[float, float], ...] = ()


def simulation_config(table: Simulation) -> SimulationConfig:
    """The table, frozen."""
    values = table.model_dump(exclude={"meter", "island", "outage"})
    meter = None
    if table.meter is not None:
        wiring = (tuple(table.meter.ct_phases), tuple(table.meter.ct_reversed))
        plain = table.meter.model_dump(exclude={"ct_phases", "ct_reversed"})
        meter = SimulatedMeter(**plain, ct_phases=wiring[0], ct_reversed=wiring[1])
    return SimulationConfig(
        **values,
        meter=meter,
        island=SimulatedIsland(**table.island.model_dump()),
        outages_s=tuple((one.after_h * 3600.0, one.for_min * 60.0) for one in table.outage),
    )


def simulation_conflicts(table: Simulation, phases: int, fuse_a: float | None) -> list[Conflict]:
    """What is wrong between keys that are right by themselves."""
    found: list[Conflict] = []
    for name in ("load_phase", "pv_phase"):
        phase = getattr(table, name)
        if phase is not None and phase > phases:
            found.append((("simulation", name), f"{phase}, but the grid has {phases} phase(s)"))
    if table.fuse_melts and fuse_a is None:
        found.append((("simulation", "fuse_melts"), "needs fuse_a in [grid]"))
    meter = table.meter
    if meter is not None:
        for name in ("ct_phases", "ct_reversed"):
            count = len(getattr(meter, name))
            if count not in (0, phases):
                found.append((("simulation", "meter", name), f"has {count} values; give {phases}, one a CT"))
        if any(phase > phases for phase in meter.ct_phases):
            found.append((("simulation", "meter", "ct_phases"), f"the grid has {phases} phase(s)"))
    return found
