"""What outlives the process, as it is written down: one pydantic model, checked when it is read.

Everything is kept by the ids of the site file, so that a battery more or less between two starts gives each
the memory that is its own. Monotonic times are not kept: after a restart they mean nothing.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf

from pydantic import BaseModel, ConfigDict, Field

from controller.dispatch.care import CareState
from controller.dispatch.decision import Memory
from controller.dispatch.demand import DemandState
from controller.dispatch.islanding import IslandState
from controller.dispatch.limits import NO_LATCHES, Latches
from controller.dispatch.modes import Mode
from controller.dispatch.settings import DispatchConfig
from controller.energy import Books, Counter, MeterCounters


class Kept(BaseModel):
    """A part of the state: a number that is no number, or a missing key, makes the whole unreadable."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class KeptBattery(Kept):
    """What is remembered of one battery."""

    empty: bool = False
    full: bool = False
    at_reserve: bool = False
    last_full_utc_s: float | None = None


class KeptDemand(Kept):
    """The billing window, the month's peak so far, and the month that the clock left last with its peak."""

    window_begin_utc_s: float | None = None
    energy_wh: float = 0.0
    month: int | None = None
    month_peak_w: float = 0.0
    left_month: int | None = None
    left_peak_w: float = 0.0


class KeptIsland(Kept):
    """Whether the grid is gone, and which loads had their power, by their id."""

    islanded: bool = False
    loads_closed: dict[str, bool] = Field(default_factory=dict)


class KeptCounter(Kept):
    """One energy counter."""

    milliwh: int = Field(0, ge=0)
    part: float = Field(0.0, ge=0, lt=1)


class KeptEnergy(Kept):
    """The energy books, and the meter's own counters with the trusted time at which they were read."""

    imported: KeptCounter = KeptCounter()
    exported: KeptCounter = KeptCounter()
    charged: KeptCounter = KeptCounter()
    discharged: KeptCounter = KeptCounter()
    pv: KeptCounter = KeptCounter()
    load: KeptCounter = KeptCounter()
    meter_import_wh: float | None = None
    meter_export_wh: float | None = None
    meter_utc_s: float | None = None


class KeptOrder(Kept):
    """An order in force: its end by the wall clock, whether that was trusted, and the time left when saved.

    `name` is that of the command, a dot, and the key it set.
    """

    name: str
    value: float | bool | str
    expires_utc_s: float
    left_s: float
    trusted: bool


class State(Kept):
    """All that is saved together. `fault` is a latched fault, empty after an orderly end.

    `budgets_utc_s` is for each device and register that wears out when it was written in the last 24 h.
    """

    saved_utc_s: float | None = None
    mode: Mode = Mode.STARTING
    fault: str = ""
    batteries: dict[str, KeptBattery] = Field(default_factory=dict)
    demand: KeptDemand | None = None
    island: KeptIsland | None = None
    energy: KeptEnergy = KeptEnergy()
    budgets_utc_s: dict[str, dict[int, list[float]]] = Field(default_factory=dict)


def kept_batteries(config: DispatchConfig, memory: Memory) -> dict[str, KeptBattery]:
    """Latches and care of each battery."""
    kept = {}
    for index, settings in enumerate(config.batteries):
        latches = memory.latches[index] if index < len(memory.latches) else NO_LATCHES
        care = memory.care[index] if index < len(memory.care) else CareState()
        kept[settings.id] = KeptBattery(
            empty=latches.empty,
            full=latches.full,
            at_reserve=latches.at_reserve,
            last_full_utc_s=care.last_full_utc_s,
        )
    return kept


def kept_demand(demand: DemandState | None) -> KeptDemand | None:
    """The window and the month of the bill."""
    if demand is None:
        return None
    return KeptDemand(
        window_begin_utc_s=demand.window_begin_utc_s,
        energy_wh=demand.energy_wh,
        month=demand.month,
        month_peak_w=demand.month_peak_w,
        left_month=demand.left_month,
        left_peak_w=demand.left_peak_w,
    )


def kept_island(config: DispatchConfig, island: IslandState | None) -> KeptIsland | None:
    """The island and its loads."""
    if island is None:
        return None
    closed = island.loads_closed if len(island.loads_closed) == len(config.loads) else ()
    ids = [one.id for one in config.loads][: len(closed)]
    return KeptIsland(
        islanded=island.islanded_since_s is not None, loads_closed=dict(zip(ids, closed, strict=True))
    )


def kept_energy(books: Books) -> KeptEnergy:
    """The counters."""

    def kept(counter: Counter) -> KeptCounter:
        return KeptCounter(milliwh=counter.milliwh, part=counter.part)

    meter = books.meter
    return KeptEnergy(
        imported=kept(books.imported),
        exported=kept(books.exported),
        charged=kept(books.charged),
        discharged=kept(books.discharged),
        pv=kept(books.pv),
        load=kept(books.load),
        meter_import_wh=None if meter is None else meter.import_wh,
        meter_export_wh=None if meter is None else meter.export_wh,
        meter_utc_s=None if meter is None else meter.utc_s,
    )


def restored_memory(config: DispatchConfig, state: State, now_s: float) -> Memory:
    """The memory to start with: restricted as ever, a latched fault and an island as they were left."""
    kept = [state.batteries.get(one.id) for one in config.batteries]
    latches: tuple[Latches, ...] = ()
    care: tuple[CareState, ...] = ()
    if any(one is not None for one in kept):
        known = [one or KeptBattery() for one in kept]
        latches = tuple(Latches(one.empty, one.full, one.at_reserve) for one in known)
        care = tuple(CareState(one.last_full_utc_s) for one in known)
    demand = None
    if config.demand is not None and state.demand is not None:
        was = state.demand
        demand = DemandState(
            was.window_begin_utc_s,
            was.energy_wh,
            was.month,
            was.month_peak_w,
            left_month=was.left_month,
            left_peak_w=was.left_peak_w,
        )
    mode = Mode.FAULT if state.fault else Mode.STARTING
    memory = Memory(mode=mode, latches=latches, demand=demand, care=care)
    return replace(memory, island=_restored_island(config, state.island, now_s))


def _restored_island(config: DispatchConfig, kept: KeptIsland | None, now_s: float) -> IslandState | None:
    """An island goes on as if it began now, so the grid has to prove itself for the whole delay again."""
    if kept is None:
        return None
    closed = tuple(kept.loads_closed.get(one.id, True) for one in config.loads)
    if not kept.islanded and all(closed):
        return None
    return IslandState(
        islanded_since_s=now_s if kept.islanded else None,
        loads_closed=closed,
        switched_at_s=(-inf,) * len(closed),
    )


def restored_books(state: State) -> Books:
    """The counters as they were saved; what flowed since, only the meter's own counters can tell."""
    energy = state.energy
    meter = None
    if energy.meter_import_wh is not None and energy.meter_export_wh is not None:
        meter = MeterCounters(energy.meter_import_wh, energy.meter_export_wh, None, energy.meter_utc_s)

    def counter(kept: KeptCounter) -> Counter:
        return Counter(kept.milliwh, kept.part)

    return Books(
        counter(energy.imported),
        counter(energy.exported),
        counter(energy.charged),
        counter(energy.discharged),
        counter(energy.pv),
        counter(energy.load),
        meter,
    )
