"""The fast path: the site's own `step` on the plant, without a shell, as fast as it goes.

Decisions fall on an even step, and in between wherever the site's next beat could decide otherwise, however
coarse the step is here: a battery is full, empty, slowed down by its BMS or at its reserve; at the start, on
a ramp, after a PV cap that changes what there is to see, and until a late meter has seen the last step.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import inf

from controller.config import Config
from controller.dispatch.decision import Decision, Memory
from controller.dispatch.limits import HYSTERESIS_PCT
from controller.dispatch.modes import Mode
from controller.dispatch.orders import NO_ORDERS, LocalTime, Orders, Plan, Prices
from controller.dispatch.policies.economic import AHEAD_PCT
from controller.dispatch.running import ASKING
from controller.dispatch.settings import BatterySettings, DispatchConfig
from controller.dispatch.shortfall import NO_SHORTFALL
from controller.dispatch.site import Snapshot
from controller.dispatch.step import step
from controller.lab.collector import without_collector
from controller.lab.house import build_house, site_meter
from controller.lab.judge import LimitJudge, Verdict
from controller.loop import Teller, Told
from simulators.site import Energies, House
from simulators.traces import Trace


@dataclass(frozen=True, slots=True)
class Wall:
    """The wall clock of a simulated time: UTC at its start, and the local offset from each second on."""

    begin_utc_s: float
    offsets_s: tuple[tuple[float, float], ...] = ((0.0, 0.0),)

    def at(self, now_s: float) -> LocalTime:
        """The local time after `now_s`."""
        index = bisect_right(self.offsets_s, (now_s, inf)) - 1
        return LocalTime(self.begin_utc_s + now_s, self.offsets_s[index][1])

    def offset_at(self, utc_s: float) -> float:
        """The local offset at a UTC instant."""
        return self.at(max(utc_s - self.begin_utc_s, 0.0)).offset_s


@dataclass(frozen=True, slots=True)
class World:
    """What is told to the site from outside of it."""

    wall: Wall | None
    orders: Orders
    prices: tuple[Trace, Trace] | None
    plan: Plan | None
    teller: Teller | None = None

    def told(self, now_s: float, local: LocalTime | None) -> Told:
        """Orders, prices and plan of this instant."""
        if self.teller is not None:
            return self.teller(now_s, local)
        prices = None
        if self.prices is not None:
            prices = Prices(self.prices[0].at(now_s), self.prices[1].at(now_s))
        return Told(self.orders, prices, self.plan)


Watcher = Callable[[Snapshot, Decision], bool | None]
Progress = Callable[[float], None]

PROGRESS_EVERY = 2000
QUARTER_S = 900.0
"""Prices, plans and billing windows change at whole quarter hours of UTC: then it is decided anew, however
coarse the step."""
METERED_S = 900.0


@dataclass(frozen=True, slots=True)
class Metered:
    """What the meter at the PCC has counted so far, and what it would have without a battery, Wh."""

    import_wh: float
    export_wh: float
    import_without_wh: float
    export_without_wh: float


@dataclass(slots=True)
class Result:
    """What a simulated time came to; energies in Wh, at the AC terminals."""

    duration_s: float
    decisions: int = 0
    energies: Energies | None = None
    stored_before_wh: float = 0.0
    import_without_wh: float = 0.0
    export_without_wh: float = 0.0
    capacity_wh: float = 0.0
    soc_pct: float = 0.0
    health_pct: float = 100.0
    verdict: Verdict = field(default_factory=Verdict)
    metered: list[Metered] = field(default_factory=list)
    """At the begin, every `METERED_S`, and at the end; between two decisions by their time."""

    @property
    def books(self) -> Energies:
        """The energies; there are some once the run has ended."""
        if self.energies is None:
            raise ValueError("the run has not ended")
        return self.energies

    @property
    def self_sufficiency_pct(self) -> float:
        """The part of the load that did not come from the grid."""
        return _share_pct(self.books.load_wh - self.books.import_wh, self.books.load_wh)

    @property
    def self_sufficiency_without_pct(self) -> float:
        """The same without any battery."""
        return _share_pct(self.books.load_wh - self.import_without_wh, self.books.load_wh)

    @property
    def full_cycles(self) -> float:
        """Equivalent full cycles: what was discharged, in capacities."""
        return self.books.discharged_wh / self.capacity_wh

    @property
    def imbalance_pct(self) -> float:
        """What the energy books do not account for, of what went through the site."""
        books = self.books
        site_wh = books.import_wh + books.pv_wh + books.discharged_wh
        site_wh -= books.load_wh + books.export_wh + books.charged_wh
        kept_wh = books.charged_wh - books.discharged_wh - books.lost_wh
        cells_wh = books.stored_wh - self.stored_before_wh - kept_wh
        return _share_pct(abs(site_wh) + abs(cells_wh), books.load_wh + books.export_wh + books.charged_wh)


def _mean(house: House, values: list[float]) -> float:
    """The mean over the batteries by their capacities."""
    part = whole = 0.0
    for battery, value in zip(house.batteries, values, strict=True):
        part += battery.cells.capacity_wh * value
        whole += battery.cells.capacity_wh
    return part / whole


def _share_pct(part: float, whole: float) -> float:
    return 100.0 * part / whole if whole > 0.0 else 0.0


def exactly_counted(config: DispatchConfig) -> DispatchConfig:
    """For a time whose beats are far apart: import between them is what the plant's meter has counted."""
    return replace(config, meter=replace(config.meter, counts_exactly=True))


def simulate(
    config: Config,
    load: Trace,
    sun: Trace,
    sun_peak_w: float,
    duration_s: float,
    step_s: float,
    *,
    trace_begin_s: float = 0.0,
    wall: Wall | None = None,
    orders: Orders = NO_ORDERS,
    prices: tuple[Trace, Trace] | None = None,
    plan: Plan | None = None,
    teller: Teller | None = None,
    watcher: Watcher | None = None,
    progress: Progress | None = None,
) -> Result:
    """Run the site for `duration_s` with a decision at least every `step_s`.

    `prices` are of import and export, per kWh; a `teller` takes the place of orders, prices and plan.
    `watcher` is shown every snapshot and decision; by True it says that the teller has news for the next
    beat, such as a plan. `progress` is told the seconds done now and again.
    """
    with without_collector():
        return _simulated(
            config,
            (load, sun, sun_peak_w, trace_begin_s),
            duration_s,
            step_s,
            World(wall, orders, prices, plan, teller),
            watcher,
            progress,
        )


def _simulated(
    config: Config,
    house_and_sun: tuple[Trace, Trace, float, float],
    duration_s: float,
    step_s: float,
    world: World,
    watcher: Watcher | None,
    progress: Progress | None,
) -> Result:
    load, sun, sun_peak_w, trace_begin_s = house_and_sun
    house = build_house(config, load, sun, sun_peak_w, trace_begin_s=trace_begin_s)
    site = _Site(config, house, world)
    result = Result(duration_s, stored_before_wh=house.energies.stored_wh)
    # A jump is believed at the second look; beats longer than a second come to it later.
    slow_s = site.meter_lag_s + 2.0 * max(config.cycle_s - 1.0, 0.0)
    judge = LimitJudge(config.dispatch, result.verdict, slow_s)
    now_s, grid_step, news = 0.0, 0, False
    quarterly = config.dispatch.policy.name == "economic" or config.dispatch.demand is not None
    metering, most_export_w = _Metering(house, result), pv_export_w(config.dispatch)
    past_s = 0.0 if world.wall is None else world.wall.begin_utc_s % QUARTER_S
    while now_s < duration_s:
        snapshot, decision = site.decide(now_s)
        result.decisions += 1
        if watcher is not None:
            news = watcher(snapshot, decision) is True
        metering.note(now_s)
        if now_s >= (grid_step + 1) * step_s:
            grid_step = int(now_s / step_s)
        next_s = min((grid_step + 1) * step_s, duration_s)
        if quarterly:
            next_s = min(next_s, ((now_s + past_s) // QUARTER_S + 1.0) * QUARTER_S - past_s)
        if next_s - now_s > config.cycle_s:
            unseen = now_s - max(grid_step * step_s, site.moved_at_s) < site.meter_lag_s
            unchanged_s = 0.0 if unseen or news else site.unchanged_for_s(now_s, decision)
            next_s = min(next_s, now_s + max(unchanged_s, config.cycle_s))
        _count_without(result, house, next_s - now_s, most_export_w)
        judge.watch(house, snapshot, next_s)
        now_s = next_s
        if now_s >= (grid_step + 1) * step_s:
            grid_step += 1
        if progress is not None and result.decisions % PROGRESS_EVERY == 0:
            progress(now_s)
    house.advance(duration_s)
    metering.end(duration_s)
    result.energies = house.energies
    result.capacity_wh = sum(one.capacity_wh for one in config.dispatch.batteries)
    result.soc_pct = _mean(house, [one.cells.true_soc_pct for one in house.batteries])
    result.health_pct = _mean(house, [100.0 * one.cells.health for one in house.batteries])
    return result


class _Site:
    """The devices' side of a decision: readings in, orders out, no wires in between."""

    def __init__(self, config: Config, house: House, world: World) -> None:
        self._config = exactly_counted(config.dispatch)
        self._memory = Memory()
        self._world = world
        self._house = house
        self._marks_wh = [
            _marks_wh(settings, self._config.policy.reserve_pct, battery.cells.capacity_wh)
            for settings, battery in zip(self._config.batteries, house.batteries, strict=True)
        ]
        self._capacity_wh = sum(one.capacity_wh for one in self._config.batteries)
        self._caps_before_w: tuple[float | None, ...] = ()
        self.moved_at_s = 0.0
        """When something on site moved last that a late meter has to see first."""
        self._powers_w: list[float] = []
        self._meter = site_meter(config, house)
        self.meter_lag_s = self._meter.lag_s
        self._batteries = [house.battery(index) for index in range(len(config.batteries))]
        self._pvs = [house.pv(index) for index in range(len(config.pvs))]

    def decide(self, now_s: float) -> tuple[Snapshot, Decision]:
        """Read everything at `now_s`, decide, and order it."""
        world = self._world
        local = None if world.wall is None else world.wall.at(now_s)
        told = world.told(now_s, local)
        snapshot = Snapshot(
            now_s,
            self._meter.reading(now_s),
            tuple([one.reading(now_s) for one in self._batteries]),
            tuple([one.reading(now_s) for one in self._pvs]),
            utc_s=None if local is None else local.utc_s,
            local=local,
            orders=told.orders,
            prices=told.prices,
            plan=told.plan,
        )
        if self.meter_lag_s:
            self._watch_moves(now_s)
        self._caps_before_w = self._memory.pv_caps_w
        self._memory, decision = step(self._config, self._memory, snapshot)
        for battery, setpoint_w in zip(self._batteries, decision.battery_setpoints_w, strict=True):
            if setpoint_w is None:
                battery.release(now_s)
            else:
                battery.order(now_s, setpoint_w, inf)
        for pv, cap_w in zip(self._pvs, decision.pv_caps_w, strict=True):
            if cap_w is None:
                pv.release(now_s)
            else:
                pv.cap(now_s, cap_w, inf)
        return snapshot, decision

    def _watch_moves(self, now_s: float) -> None:
        before_w, house = self._powers_w, self._house
        self._powers_w = [one.power_w for one in house.batteries] + [one.power_w for one in house.pvs]
        deadband_w = self._config.policy.deadband_w
        moved = [abs(now - one) > deadband_w for now, one in zip(self._powers_w, before_w, strict=False)]
        if any(moved) or any(one.heads_w != one.power_w for one in house.batteries):
            self.moved_at_s = now_s

    def unchanged_for_s(self, now_s: float, decision: Decision) -> float:
        """How long the next decisions would be the same while load and sun are; 0 if nobody can tell.

        At the start, on a ramp, after a new PV cap, while the meter has to confirm something and while a
        battery does less than it was ordered the next beat decides on what it then sees.
        """
        response = self._memory.response
        seen_w = 0.0 if response.value is None else response.value.pcc_import_w + response.samples[-1][1]
        unsure = abs(seen_w - response.net_load_w) > self._config.policy.deadband_w
        if unsure or response.unconfirmed or ASKING in decision.note:
            return 0.0
        if decision.mode is not Mode.RUNNING or self._memory.soft_start or decision.limited_by == "ramp":
            return 0.0
        if decision.pv_caps_w != self._caps_before_w:
            return 0.0
        if self._memory.followings or self._memory.shortfall != NO_SHORTFALL:
            return 0.0
        if self._memory.pv_trim.still_since_s is not None:
            return 0.0
        if any(trim.still_since_s is not None for trim in self._memory.trims):
            return 0.0
        unchanged_s = self._house.time_to_limit_s(now_s, self._marks_wh)
        if decision.policy == "economic" and decision.setpoint_w:
            # Water values change with the SoC: it may move by as much as `economic` looks ahead.
            unchanged_s = min(unchanged_s, self._capacity_wh * 36.0 * AHEAD_PCT / abs(decision.setpoint_w))
        return unchanged_s


def _marks_wh(settings: BatterySettings, reserve_pct: float, capacity_wh: float) -> list[float]:
    """The contents at which dispatch changes its mind about a battery."""
    floors_pct = (settings.min_soc_pct, max(reserve_pct, settings.min_soc_pct))
    marks_pct = {pct + back_pct for pct in floors_pct for back_pct in (0.0, HYSTERESIS_PCT)}
    marks_pct |= {settings.max_soc_pct, settings.max_soc_pct - HYSTERESIS_PCT}
    return sorted(capacity_wh * pct / 100 for pct in marks_pct)


class _Metering:
    """Writes down what the meter has counted at every quarter hour, also where no decision falls on it."""

    def __init__(self, house: House, result: Result) -> None:
        self._house, self._result = house, result
        self._last, self._last_s = Metered(0.0, 0.0, 0.0, 0.0), 0.0

    def note(self, now_s: float) -> None:
        """At every decision; from one to the next power stands still."""
        metered, counted = self._result.metered, self._counted()
        while len(metered) * METERED_S < now_s:
            metered.append(self._between(counted, now_s, len(metered) * METERED_S))
        if len(metered) * METERED_S == now_s:
            metered.append(counted)
        self._last, self._last_s = counted, now_s

    def end(self, now_s: float) -> None:
        """When all is done."""
        self.note(now_s)
        if now_s % METERED_S:
            self._result.metered.append(self._last)

    def _counted(self) -> Metered:
        house, result = self._house, self._result
        return Metered(house.import_wh, house.export_wh, result.import_without_wh, result.export_without_wh)

    def _between(self, after: Metered, after_s: float, at_s: float) -> Metered:
        part = (at_s - self._last_s) / (after_s - self._last_s)

        def at(name: str) -> float:
            first, last = getattr(self._last, name), getattr(after, name)
            return float(first + part * (last - first))

        return Metered(at("import_wh"), at("export_wh"), at("import_without_wh"), at("export_without_wh"))


def pv_export_w(config: DispatchConfig) -> float:
    """What PV alone exports at most: inverters that can be held down keep the site's export limit."""
    return inf if config.export_limit_w is None or not config.pvs else config.export_limit_w


def _count_without(result: Result, house: House, seconds: float, most_export_w: float) -> None:
    """What the grid would have had to do without a battery, at this load and the sun that was offered."""
    if not house.grid.present:
        return
    net_w, hours = house.load_w - house.available_w, seconds / 3600.0
    if net_w > 0.0:
        result.import_without_wh += net_w * hours
    else:
        result.export_without_wh += min(-net_w, most_export_w) * hours
