"""One case of a study: a battery of one size with one policy, through the whole time, and what it came to."""

from __future__ import annotations

import hashlib
import json
from calendar import monthrange
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import fsum, inf, nan

import numpy as np
from numpy.typing import NDArray

from controller import __version__
from controller.config import Config
from controller.dispatch.decision import Decision
from controller.dispatch.site import Snapshot
from controller.lab.inside import Inside
from controller.lab.measured import wall_of
from controller.lab.simulate import Result, Wall, pv_export_w, simulate
from controller.lab.study.plant import island_of, sized
from controller.lab.study.survival import autonomy_h, chance_pct
from controller.planning.bills import Bill, bill
from controller.planning.market import Market
from controller.planning.tariff import PriceSlots, Tariff, price_slots
from simulators.traces import CsvTraces

Floats = NDArray[np.float64]

NO_BATTERY, ORACLE = "no battery", "perfect foresight"
"""The two ends of the scale: both stand beside the policies."""
SURVIVED_H = (1.0, 2.0, 4.0, 8.0, 12.0, 24.0, 48.0, 72.0)
CURVE_POINTS = 201
SLOT_S = 900.0


@dataclass(frozen=True, slots=True)
class Case:
    """Which battery, which policy, in which of the times given."""

    time: str
    capacity_wh: float
    power_w: float
    policy: str

    @property
    def name(self) -> str:
        """For tables and plots."""
        if self.policy == NO_BATTERY:
            return NO_BATTERY
        return f"{self.capacity_wh / 1000:g} kWh / {self.power_w / 1000:g} kW, {self.policy}"


@dataclass(frozen=True, slots=True)
class Material:
    """All that the cases of one time have in common; sent to whoever runs them."""

    config: Config
    traces: CsvTraces
    tariff: Tariff
    market: Market
    buys: bool = False
    sells: bool = False
    """Whether a policy that is studied charges from the grid, or sells from the battery, because it is told
    to, whatever the site file gives leave to: perfect foresight may then do so too."""

    @property
    def wall(self) -> Wall:
        """The clock of the traces."""
        return wall_of(self.traces)

    @property
    def step_s(self) -> float:
        """Of what is billed and shown: quarter hours, or the steps of the data where they do not fill one."""
        return self.traces.step_s if SLOT_S % self.traces.step_s else SLOT_S

    @property
    def rows(self) -> int:
        """How many such steps there are; a last one that is not whole is left out."""
        return int(self.traces.duration_s // self.step_s)

    @property
    def prices(self) -> PriceSlots:
        """Of each step."""
        wall = self.wall
        return price_slots(self.tariff, self.market, wall.begin_utc_s, self.step_s, self.rows, wall.offset_at)

    def means_w(self, values: Sequence[float] | Floats) -> Floats:
        """Values of each row of the data in such steps."""
        per_step = round(self.step_s / self.traces.step_s)
        by_row = np.asarray(values, dtype=np.float64)[: self.rows * per_step]
        means: Floats = by_row.reshape(self.rows, per_step).mean(axis=1)
        return means

    @property
    def digest(self) -> str:
        """The same for the same material: a study may go on only with what it began with."""
        text = hashlib.sha256(repr((__version__, self.config, self.tariff, self.buys, self.sells)).encode())
        traces = self.traces
        times = (traces.start.timestamp(), traces.step_s, traces.offsets, self.market.first)
        text.update(repr(times).encode())
        for values in (traces.load.values, traces.pv.values):
            text.update(np.asarray(values, dtype=float).tobytes())
        text.update(self.market.per_kwh.tobytes())
        return text.hexdigest()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one case came to. Energies in kWh at the AC terminals, money in the tariff's currency.

    `stored_cost` is what the battery holds less at the end than at the beginning, at the median import
    price; one that ends fuller earns nothing. `cost` is the bill with it and with wear. Lists are by month
    of the local clock, `duration_w` the import over the share of time (201 points), `soc_by_day` the mean
    SoC of each hour on the local clock of each day from `first_day` on, `survived_pct` the chance to be
    carried through `SURVIVED_H` hours without the grid. `demand_cost` has the whole charge of each month that
    the time touches, `demand_a_year` that of twelve, each month counted by the part of it that is studied;
    `demand_peaks` has the month, name and highest window of each demand charge, kW.
    """

    case: Case
    import_kwh: float
    export_kwh: float
    charged_kwh: float
    discharged_kwh: float
    energy_cost: float
    export_credit: float
    demand_cost: float
    fixed_cost: float
    wear_cost: float
    stored_cost: float
    full_cycles: float
    self_sufficiency_pct: float
    violations: int
    violation_s: float
    demand_a_year: float
    months: tuple[str, ...]
    monthly_cost: tuple[float, ...]
    monthly_peak_w: tuple[float, ...]
    duration_w: tuple[float, ...]
    first_day: str = ""
    soc_by_day: tuple[tuple[float | None, ...], ...] = ()
    survived_pct: tuple[float, ...] = ()
    autonomy_median_h: float | None = None
    autonomy_least_h: float | None = None
    demand_peaks: tuple[tuple[str, str, float], ...] = ()

    @property
    def cost(self) -> float:
        """What is to be paid, and what the battery lost in worth."""
        billed = self.energy_cost - self.export_credit + self.demand_cost + self.fixed_cost
        return billed + self.wear_cost + self.stored_cost

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Outcome:
        """From a line of `to_json`; ValueError, KeyError or TypeError when it is none."""
        values = json.loads(text)
        values["case"] = Case(**values["case"])
        values["soc_by_day"] = tuple(tuple(one) for one in values["soc_by_day"])
        values["demand_peaks"] = tuple((month, name, kw) for month, name, kw in values["demand_peaks"])
        for name in ("months", "monthly_cost", "monthly_peak_w", "duration_w", "survived_pct"):
            values[name] = tuple(values[name])
        return cls(**values)


def run_case(material: Material, case: Case) -> Outcome:
    """The whole time of one case."""
    if case.policy == NO_BATTERY:
        return _no_battery(material, case)
    if case.policy == ORACLE:
        from controller.lab.study.foresight import run_oracle

        return run_oracle(material, case)
    return _closed_loop(material, case)


def _closed_loop(material: Material, case: Case) -> Outcome:
    """The fast path; energies by the steps that are billed."""
    config, traces = sized(material.config, case.capacity_wh, case.power_w), material.traces
    policy = replace(config.dispatch.policy, name=case.policy)
    config = replace(config, dispatch=replace(config.dispatch, policy=policy))
    inside = Inside(config, material.tariff, material.wall, material.market)
    course = _Course(material.step_s, [one.capacity_wh for one in config.dispatch.batteries])
    plans = case.policy == "economic"

    def watch(snapshot: Snapshot, decision: Decision) -> bool:
        course.watch(snapshot, decision)
        return plans and inside.heard(snapshot, decision)

    result = simulate(
        config,
        traces.load,
        traces.pv,
        max(max(traces.pv.values), 1.0),
        material.rows * material.step_s,
        traces.step_s,
        wall=material.wall,
        teller=inside.told if plans else None,
        watcher=watch,
    )
    import_w, export_w = course.powers_w(result)
    return outcome(
        material,
        case,
        import_w,
        export_w,
        np.array(course.soc_pct),
        result.books.charged_wh / 1000.0,
        result.books.discharged_wh / 1000.0,
        (result.verdict.violations, result.verdict.violation_s),
        result.soc_pct,
    )


class _Course:
    """Watches a run: what the meter has counted, and the SoC, at the beginning of each step."""

    def __init__(self, step_s: float, capacities_wh: list[float]) -> None:
        self._step_s, self._capacities_wh = step_s, capacities_wh
        self._counted_wh: list[tuple[float, float]] = []
        self.soc_pct: list[float] = []

    def watch(self, snapshot: Snapshot, _: Decision) -> None:
        meter = snapshot.meter
        if meter is None or snapshot.now_s < len(self.soc_pct) * self._step_s:
            return
        self._counted_wh.append((meter.import_wh or 0.0, meter.export_wh or 0.0))
        known = [
            (one.soc_pct, capacity_wh)
            for one, capacity_wh in zip(snapshot.batteries, self._capacities_wh, strict=True)
            if one is not None and one.soc_pct is not None
        ]
        stored = fsum(soc_pct * capacity_wh for soc_pct, capacity_wh in known)
        whole_wh = fsum(capacity_wh for _, capacity_wh in known)
        self.soc_pct.append(stored / whole_wh if known else nan)

    def powers_w(self, result: Result) -> tuple[Floats, Floats]:
        """Mean import and export of each step."""
        end_wh = (result.books.import_wh, result.books.export_wh)
        steps_wh = np.diff(np.array([*self._counted_wh, end_wh]), axis=0)
        return steps_wh[:, 0] * 3600.0 / self._step_s, steps_wh[:, 1] * 3600.0 / self._step_s


def _no_battery(material: Material, case: Case) -> Outcome:
    powers_w = apart_w(material, pv_export_w(material.config.dispatch))
    return outcome(material, case, *powers_w, np.zeros(0), 0.0, 0.0)


def net_load_w(material: Material) -> Floats:
    """Load less sun of each step."""
    net_w: Floats = material.means_w(material.traces.load.values) - material.means_w(
        material.traces.pv.values
    )
    return net_w


def apart_w(material: Material, most_export_w: float = inf) -> tuple[Floats, Floats]:
    """Mean import and export of each step without a battery: meters net no minutes."""
    net_w = np.asarray(material.traces.load.values) - np.asarray(material.traces.pv.values)
    return material.means_w(np.maximum(net_w, 0.0)), material.means_w(np.clip(-net_w, 0.0, most_export_w))


def outcome(
    material: Material,
    case: Case,
    import_w: Floats,
    export_w: Floats,
    soc_pct: Floats,
    charged_kwh: float,
    discharged_kwh: float,
    violations: tuple[int, float] = (0, 0.0),
    end_soc_pct: float | None = None,
) -> Outcome:
    """The figures of a course: mean import and export and the SoC at the beginning of each step."""
    billed = billed_as(material, import_w, export_w)
    wear = material.config.planning.wear_per_kwh
    months, numbers = months_of(material)
    per_kwh = material.step_s / 3.6e6
    load_kwh = float(material.means_w(material.traces.load.values).sum()) * per_kwh
    import_kwh = float(import_w.sum()) * per_kwh
    lasted_h = _lasted_h(material, case, soc_pct)
    known_h = lasted_h[np.isfinite(lasted_h)]
    return Outcome(
        case,
        import_kwh,
        float(export_w.sum()) * per_kwh,
        charged_kwh,
        discharged_kwh,
        billed.energy_cost,
        billed.export_credit,
        billed.demand_cost,
        billed.fixed_cost,
        wear * discharged_kwh,
        0.0 if end_soc_pct is None else stored_cost(material, case.capacity_wh, end_soc_pct),
        discharged_kwh * 1000.0 / case.capacity_wh if case.capacity_wh else 0.0,
        100.0 * (1.0 - import_kwh / load_kwh) if load_kwh > 0.0 else 0.0,
        *violations,
        _demand_a_year(billed, months, np.bincount(numbers), material.step_s / 86_400.0),
        months,
        tuple(_monthly(billed, month) for month in months),
        tuple(float(import_w[numbers == place].max()) for place in range(len(months))),
        tuple(float(one) for one in np.quantile(import_w - export_w, np.linspace(1.0, 0.0, CURVE_POINTS))),
        material.traces.start.date().isoformat(),
        _by_day(material, soc_pct),
        chance_pct(lasted_h, SURVIVED_H) if len(known_h) else (),
        float(np.median(known_h)) if len(known_h) else None,
        float(known_h.min()) if len(known_h) else None,
        tuple((line.month, line.name, line.peak_kw) for line in billed.demand),
    )


def stored_cost(material: Material, capacity_wh: float, end_soc_pct: float) -> float:
    """What the battery holds less at the end than at the beginning, as money."""
    missing_kwh = max(capacity_wh * (material.config.simulation.initial_soc_pct - end_soc_pct) / 1e5, 0.0)
    return missing_kwh * stored_per_kwh(material)


def stored_per_kwh(material: Material) -> float:
    """What a kWh is worth that the battery holds less at the end."""
    part = material.config.simulation.efficiency_pct / 100.0
    return max(part * float(np.median(material.prices.import_per_kwh)), 0.0)


def billed_as(material: Material, import_w: Floats, export_w: Floats) -> Bill:
    """The bill of a course."""
    wall = material.wall
    return bill(
        material.tariff,
        import_w,
        wall.begin_utc_s,
        material.step_s,
        wall.offset_at,
        export_w=export_w,
        market=material.market,
    )


def months_of(material: Material) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """The local months of the time, and for each step which of them it is in."""
    names: list[str] = []
    numbers = np.zeros(material.rows, dtype=np.int64)
    traces, per_row = material.traces, round(material.step_s / material.traces.step_s)
    for row in range(material.rows):
        numbers[row] = _number(names, traces.timestamp(row * per_row).strftime("%Y-%m"))
    return tuple(names), numbers


def _number(names: list[str], name: str) -> int:
    if not names or names[-1] != name:
        names.append(name)
    return len(names) - 1


def _demand_a_year(
    billed: Bill, months: tuple[str, ...], steps: NDArray[np.int64], step_days: float
) -> float:
    """Twelve times the mean month's demand charges, each month weighed by the share of its days."""
    shares = {
        month: count * step_days / monthrange(int(month[:4]), int(month[5:]))[1]
        for month, count in zip(months, steps.tolist(), strict=True)
    }
    return 12.0 * fsum(line.cost * shares[line.month] for line in billed.demand) / fsum(shares.values())


def _monthly(billed: Bill, month: str) -> float:
    """All lines of one month, without wear."""
    costs = [line.cost for line in (*billed.energy, *billed.export) if line.month == month]
    costs += [line.cost for line in billed.demand if line.month == month]
    costs += [line.cost for line in billed.fixed if line.month == month]
    return fsum(costs)


def _by_day(material: Material, soc_pct: Floats) -> tuple[tuple[float | None, ...], ...]:
    """Mean SoC of each hour of each local day, None where there is none; an hour told twice is one."""
    if not len(soc_pct):
        return ()
    traces, per_row = material.traces, round(material.step_s / material.traces.step_s)
    times = [traces.timestamp(row * per_row) for row in range(min(len(soc_pct), material.rows))]
    first = times[0].date()
    place = np.array([(one.date() - first).days * 24 + one.hour for one in times])
    known = np.isfinite(soc_pct[: len(place)])
    count = np.bincount(place[known], minlength=(place[-1] // 24 + 1) * 24)
    total = np.bincount(place[known], soc_pct[: len(place)][known], minlength=len(count))
    hourly = [
        round(float(all_of / one), 1) if one else None for all_of, one in zip(total, count, strict=True)
    ]
    return tuple(tuple(hourly[day : day + 24]) for day in range(0, len(hourly), 24))


def _lasted_h(material: Material, case: Case, soc_pct: Floats) -> Floats:
    if not len(soc_pct):
        return np.zeros(0)
    island = island_of(sized(material.config, case.capacity_wh, case.power_w))
    steps = min(len(soc_pct), material.rows)
    return autonomy_h(island, net_load_w(material)[:steps], soc_pct[:steps], material.step_s)
