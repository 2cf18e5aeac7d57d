"""The public benchmark: fixed sites, tariffs, plants and faults; any controller against perfect foresight.

A controller is an object with a `name`, `begin(told)` and `order(view)`; it is asked as often as on site
while something changes, and given what a controller there would have: readings with the meter's faults in
them, prices as far as they are published, its own past. What it orders goes to the plant; money, limits,
writes and wear are counted there. `contests.py` has the sites, `rivals.py` this controller and a rival.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from controller.config import Config
from controller.dispatch.orders import LocalTime, Prices
from controller.dispatch.site import Snapshot
from controller.lab.house import build_house
from controller.lab.inside import Inside
from controller.lab.judge import LimitJudge, Verdict
from controller.lab.study.case import NO_BATTERY, ORACLE, Case, Material, billed_as, run_case, stored_cost
from controller.lab.study.foresight import leave_of, storage_of
from controller.planning.inputs import Leave, Storage
from controller.planning.tariff import price_slots
from simulators.faults.behaviour import FaultyMeter
from simulators.faults.model import Active, Fault

Floats = NDArray[np.float64]

MINUTE_S = 60.0
QUIET, MOST = 3, 15
"""Load and sun change once a minute, a second before the first decision. From then on a controller is asked
every second, as on site, until it has had nothing new to say 3 times in a row (the battery has come to rest
by then), at most 15 times."""
SLOT_S = 900.0
LOOK_AHEAD = 192
WRITE_W = 10.0
"""A setpoint that differs by less is not written again."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a controller knows from the beginning: the site, its battery, and what it may do."""

    config: Config
    storage: Storage
    leave: Leave
    planner: Inside
    """A planner of its own, of this site, for a controller that wants one; `rivals.py` shows how."""
    slots_per_hour: int = round(3600.0 / SLOT_S)


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What a controller sees at one decision; quarter hours are numbered by `slot` from the beginning.

    `load_w` and `pv_w` are of now, by the readings in `snapshot`. `import_per_kwh` and `export_per_kwh`
    begin with this quarter hour and end with the last whose prices are published; `past_net_load_w` are
    those before this one, oldest first.
    """

    snapshot: Snapshot
    local: LocalTime
    slot: int
    load_w: float
    pv_w: float
    soc_pct: float
    import_per_kwh: Floats
    export_per_kwh: Floats
    past_net_load_w: Floats


@dataclass(frozen=True, slots=True)
class Answer:
    """What is ordered until the next decision: discharge of the battery, and a cap on the PV or None."""

    battery_discharge_w: float
    pv_cap_w: float | None = None


class Controller(Protocol):
    """What takes part."""

    @property
    def name(self) -> str:
        """For the table."""

    def begin(self, told: Told) -> None:
        """A new site and time."""

    def order(self, view: View) -> Answer:
        """What to do until the next decision, in a second or in a minute."""


@dataclass(frozen=True, slots=True)
class Lying:
    """A fault of the meter, from hour to hour of each day."""

    begin_h: float
    end_h: float
    fault: Callable[[], Fault]


@dataclass(frozen=True, slots=True)
class Contest:
    """One site of the benchmark: one battery, and one PV inverter or none."""

    name: str
    material: Material
    meter_faults: tuple[Lying, ...] = ()

    @property
    def battery(self) -> tuple[float, float]:
        """Capacity in Wh and power in W."""
        one = self.material.config.dispatch.batteries[0]
        return one.capacity_wh, one.max_discharge_w or one.capacity_wh / 2.0


@dataclass(frozen=True, slots=True)
class Score:
    """How one controller did on one site. `cost` is the bill with wear; violations are counted at the
    plant.
    """

    site: str
    controller: str
    cost: float
    share_of_perfect_pct: float | None = None
    violation_s: float = 0.0
    writes: int = 0
    full_cycles: float = 0.0


@dataclass(slots=True)
class Books:
    """What a run leaves behind; powers are means of quarter hours."""

    import_w: list[float] = field(default_factory=list)
    export_w: list[float] = field(default_factory=list)
    writes: int = 0
    discharged_wh: float = 0.0
    soc_pct: float = 0.0
    verdict: Verdict = field(default_factory=Verdict)


def bounds(contest: Contest) -> tuple[Score, Score]:
    """What a site costs without a battery, and what one that knew all in advance would leave of that."""
    nothing = run_case(contest.material, Case("", 0.0, 0.0, NO_BATTERY))
    perfect = run_case(contest.material, Case("", *contest.battery, ORACLE))
    return (
        Score(contest.name, NO_BATTERY, nothing.cost),
        Score(contest.name, ORACLE, perfect.cost, 100.0, full_cycles=perfect.full_cycles),
    )


def played(contest: Contest, controller: Controller) -> Score:
    """One controller on one site; its share of perfect foresight is not known yet (`compared`)."""
    material, books = contest.material, run(contest, controller)
    billed = billed_as(material, np.array(books.import_w), np.array(books.export_w))
    cost = billed.total + material.config.planning.wear_per_kwh * books.discharged_wh / 1000.0
    cost += stored_cost(material, contest.battery[0], books.soc_pct)
    return Score(
        contest.name,
        controller.name,
        cost,
        violation_s=books.verdict.violation_s,
        writes=books.writes,
        full_cycles=books.discharged_wh / contest.battery[0],
    )


def compared(between: tuple[Score, Score], scores: Sequence[Score]) -> list[Score]:
    """The scores of one site between its bounds, each with its share of what perfect foresight saves."""
    nothing, perfect = between
    best = nothing.cost - perfect.cost
    shown = [
        replace(one, share_of_perfect_pct=100.0 * (nothing.cost - one.cost) / best if best > 0.01 else None)
        for one in scores
    ]
    return [nothing, *shown, perfect]


def run(contest: Contest, controller: Controller) -> Books:
    """One controller through the whole time of one site, with the sun, load, prices and faults of all."""
    one = _Run(contest, controller)
    for minute in range(int(contest.material.rows * SLOT_S / MINUTE_S)):
        one.minute(minute * MINUTE_S)
    return one.books


class _Run:
    """Plant, meter, books and view of one run."""

    def __init__(self, contest: Contest, controller: Controller) -> None:
        self._material, self._controller = contest.material, controller
        material, traces = contest.material, contest.material.traces
        peak_w = max(max(traces.pv.values), 1.0)
        self._house = build_house(material.config, traces.load, traces.pv, peak_w, trace_begin_s=1.0)
        self._meter = FaultyMeter(self._house.meter(), _faults(contest))
        self._battery, self._pv = self._house.battery(0), self._house.pv(0)
        self._wall = material.wall
        self._planner = Inside(material.config, material.tariff, material.wall, material.market)
        self.books = Books()
        self._judge = LimitJudge(material.config.dispatch, self.books.verdict)
        self._past_w: list[float] = []
        self._slot_w: list[float] = []
        self._prices: tuple[tuple[int, int], Floats, Floats] | None = None
        self._ordered = Answer(0.0)
        self._counted_wh = (0.0, 0.0)
        storage = storage_of(material, Case("", *contest.battery, ORACLE))
        controller.begin(Told(material.config, storage, leave_of(material), self._planner))

    def minute(self, begin_s: float) -> None:
        """The decisions of one minute, and what comes of them."""
        local = self._wall.at(begin_s)
        self._planner.told(begin_s, local)
        now_s, asked, quiet, end_s = begin_s, 0, 0, begin_s + MINUTE_S
        while now_s < end_s:
            before, asked = self._ordered, asked + 1
            view = self._view(now_s, local)
            self._carry_out(now_s, self._controller.order(view))
            quiet = quiet + 1 if self._ordered == before else 0
            until_s = min(now_s + 1.0, end_s)
            if asked >= MOST or quiet >= QUIET:
                # Nothing new to say until the battery's own limits change, or the minute is over.
                until_s = min(max(now_s + self._house.time_to_limit_s(now_s), until_s), end_s)
                asked = quiet = 0
            self._pass(view.snapshot, until_s, end_s - 1.0)
            now_s = until_s
        self._slot_w.append(view.load_w - view.pv_w)
        if (begin_s + MINUTE_S) % SLOT_S == 0.0:
            self._end_slot()

    def _pass(self, snapshot: Snapshot, until_s: float, change_s: float) -> None:
        """Time goes on; what load and sun do when they change is judged apart from what was before."""
        if snapshot.now_s < change_s < until_s:
            self._judge.watch(self._house, snapshot, change_s)
            snapshot = replace(snapshot, now_s=change_s)
        self._judge.watch(self._house, snapshot, until_s)

    def _view(self, now_s: float, local: LocalTime) -> View:
        buy, sell = self._ahead(local)
        meter, battery = self._meter.reading(now_s), self._battery.reading(now_s)
        pvs = (self._pv.reading(now_s),) if self._material.config.pvs else ()
        pv_w = pvs[0].pv_generation_w if pvs else 0.0
        prices = Prices(float(buy[0]), float(sell[0])) if len(buy) else None
        snapshot = Snapshot(now_s, meter, (battery,), pvs, utc_s=local.utc_s, local=local, prices=prices)
        return View(
            snapshot,
            local,
            int(now_s // SLOT_S),
            meter.pcc_import_w + pv_w + battery.battery_discharge_w,
            pv_w,
            battery.soc_pct or 0.0,
            buy,
            sell,
            np.array(self._past_w),
        )

    def _ahead(self, local: LocalTime) -> tuple[Floats, Floats]:
        """Prices from this quarter hour on as far as published, two days at most."""
        market = self._planner.keeper.market
        slot = int(local.utc_s // SLOT_S)
        key = (slot, len(market.per_kwh))
        if self._prices is None or self._prices[0] != key:
            offset_at = self._wall.offset_at
            found = price_slots(self._material.tariff, market, slot * SLOT_S, SLOT_S, LOOK_AHEAD, offset_at)
            self._prices = (key, found.import_per_kwh[: found.known], found.export_per_kwh[: found.known])
        return self._prices[1], self._prices[2]

    def _carry_out(self, now_s: float, answer: Answer) -> None:
        if abs(answer.battery_discharge_w - self._ordered.battery_discharge_w) > WRITE_W:
            self.books.writes += 1
        self._battery.order(now_s, answer.battery_discharge_w, inf)
        if self._material.config.pvs and answer.pv_cap_w != self._ordered.pv_cap_w:
            self.books.writes += 1
            if answer.pv_cap_w is None:
                self._pv.release(now_s)
            else:
                self._pv.cap(now_s, answer.pv_cap_w, inf)
        self._ordered = answer

    def _end_slot(self) -> None:
        import_wh, export_wh = self._house.import_wh, self._house.export_wh
        self.books.import_w.append((import_wh - self._counted_wh[0]) * 3600.0 / SLOT_S)
        self.books.export_w.append((export_wh - self._counted_wh[1]) * 3600.0 / SLOT_S)
        self._counted_wh = (import_wh, export_wh)
        self.books.discharged_wh = self._house.energies.discharged_wh
        self.books.soc_pct = self._battery.reading(self._house.now_s).soc_pct or 0.0
        self._past_w.append(float(np.mean(self._slot_w)))
        self._slot_w.clear()


def _faults(contest: Contest) -> Active:
    active = Active()
    for day in range(int(contest.material.traces.duration_s // 86_400.0)):
        for one in contest.meter_faults:
            begin_s = (day * 24.0 + one.begin_h) * 3600.0
            active.add(one.fault(), begin_s, (day * 24.0 + one.end_h) * 3600.0)
    return active
