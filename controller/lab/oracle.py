"""The yardstick: what perfect foresight would have done, as a linear programme solved by HiGHS.

It is never the controller. One solve sees the whole time at once, every load, sun and price of it, and every
billed peak; its saving is what no controller can exceed. Needs the extra `study`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import highspy
import numpy as np
from numpy.typing import NDArray

from controller.planning.inputs import DemandTerm, Floats, Leave, Storage


class OracleError(RuntimeError):
    """HiGHS found no optimum; the sentence says what it found."""


@dataclass(frozen=True, slots=True, eq=False)
class Foresight:
    """What would have been best: `cost` with wear and peaks, and the course of it at the end of each step."""

    cost: float
    discharge_w: Floats
    soc_pct: Floats
    peaks_w: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class BilledPeak:
    """One peak that is billed: `per_kw` for the highest of its windows' mean imports, or for `least_w`.

    A window's mean import is the sum of `share` times the import of each `step` that says it lies in it; its
    number is in `window`, from 0 to the last without a gap.
    """

    per_kw: float
    least_w: float
    step: NDArray[np.intp]
    window: NDArray[np.intp]
    share: Floats

    @classmethod
    def of_steps(cls, term: DemandTerm) -> BilledPeak:
        """Where windows are as long as steps."""
        step = np.flatnonzero(term.applies)
        return cls(term.per_kw, term.peak_so_far_w, step, np.arange(len(step)), np.ones(len(step)))

    @property
    def windows(self) -> int:
        """How many there are."""
        return int(self.window[-1]) + 1 if len(self.window) else 0


@dataclass(slots=True)
class _Rows:
    """Constraint rows in the making, as triplets."""

    rows: list[NDArray[np.intp]]
    columns: list[NDArray[np.intp]]
    values: list[Floats]
    low: list[Floats]
    high: list[Floats]
    count: int = 0

    def add(
        self, terms: Sequence[tuple[NDArray[np.intp], Floats | float]], low: Floats, high: Floats
    ) -> None:
        """As many rows as `low` has: low <= sum of value x column <= high."""
        place = np.arange(len(low)) + self.count
        for columns, value in terms:
            self.rows.append(place)
            self.columns.append(columns)
            self.values.append(np.broadcast_to(np.asarray(value, dtype=float), columns.shape))
        self.low.append(low)
        self.high.append(high)
        self.count += len(low)


@dataclass(frozen=True, slots=True, eq=False)
class _Columns:
    """Where each unknown stands: six for each step (kW; kWh), one for each billed peak, one more."""

    charge: NDArray[np.intp]
    discharge: NDArray[np.intp]
    bought: NDArray[np.intp]
    sold: NDArray[np.intp]
    stored: NDArray[np.intp]
    below: NDArray[np.intp]
    peaks: NDArray[np.intp]

    @property
    def count(self) -> int:
        """How many there are."""
        return 6 * len(self.charge) + len(self.peaks) + 1

    @property
    def missing(self) -> int:
        """The kWh by which the battery ends emptier than it began."""
        return self.count - 1

    @classmethod
    def of(cls, steps: int, peaks: int) -> _Columns:
        """For so many steps and peaks."""
        first, second, third, fourth, fifth, sixth = (np.arange(steps) + one * steps for one in range(6))
        return cls(first, second, third, fourth, fifth, sixth, 6 * steps + np.arange(peaks))


def perfect_foresight(
    net_load_w: Floats,
    import_per_kwh: Floats,
    export_per_kwh: Floats,
    step_s: float,
    storage: Storage,
    leave: Leave,
    soc_pct: float,
    demand: Sequence[BilledPeak] = (),
    missing_per_kwh: float | None = None,
    apart_w: tuple[Floats, Floats] | None = None,
    reserve_yields: NDArray[np.bool_] | None = None,
) -> Foresight:
    """The cheapest course of the battery, ending no emptier than it began, or paying for each kWh it does.

    Where inverters curtail, no more than the export limit is sold, and surplus beyond it may be lost, or all
    of it while its price is negative. Costs are energy at the PCC, wear, and each peak's price for its
    highest window. `apart_w` are the means of load beyond the sun and of surplus where a step has both: the
    battery may cover the one and take the other. In steps in which the reserve yields it may be discharged
    below it, and stay there. Binary variables keep the battery from charging and discharging at once, and the
    site from buying and selling at once, only where doing both would pay.
    """
    costs = leave.curtails & (export_per_kwh < 0.0)
    columns = _Columns.of(len(net_load_w), len(demand))
    hours, net_kw = step_s / 3600.0, net_load_w / 1000.0
    capacity_kwh, begin_kwh = storage.capacity_wh / 1000.0, storage.capacity_wh * soc_pct / 1e5
    into, out = storage.charge_efficiency[-1][1], storage.discharge_efficiency[-1][1]
    burns = _burns(import_per_kwh, export_per_kwh, storage.wear_per_kwh, into * out)
    export_per_kwh = np.where(costs, 0.0, export_per_kwh)
    high = _most(columns, net_kw, storage, leave, costs, apart_w)
    trades = np.flatnonzero(
        (export_per_kwh > import_per_kwh) & ~costs & (high[columns.bought] > 0.0) & (high[columns.sold] > 0.0)
    )
    switches = len(high) + np.arange(len(burns) + len(trades))
    cost = np.zeros(len(high) + len(switches))
    cost[columns.discharge] = storage.wear_per_kwh * hours
    cost[columns.bought], cost[columns.sold] = import_per_kwh * hours, -export_per_kwh * hours
    cost[columns.peaks] = [one.per_kw for one in demand]
    cost[columns.missing] = missing_per_kwh or 0.0
    low, high = np.zeros(len(cost)), np.append(high, np.ones(len(switches)))
    spilt_kw = _spilt_kw(net_kw, leave)
    high[columns.sold] -= spilt_kw
    high[columns.stored] = max(capacity_kwh * storage.max_soc_pct / 100.0, begin_kwh)
    high[columns.missing] = 0.0 if missing_per_kwh is None else begin_kwh
    low[columns.peaks] = [one.least_w / 1000.0 for one in demand]
    rows = _Rows([], [], [], [], [])
    _balance(rows, columns, net_kw, spilt_kw)
    _store(rows, columns, begin_kwh, hours * into, hours / out)
    low[columns.stored] = _floor_kwh(rows, columns, storage, begin_kwh, hours / out, reserve_yields)
    _peaks(rows, columns, demand)
    _end(rows, columns, begin_kwh)
    _one_way(rows, columns.charge[burns], columns.discharge[burns], high, switches[: len(burns)])
    _one_way(rows, columns.bought[trades], columns.sold[trades], high, switches[len(burns) :])
    found, objective = _solve(cost, low, high, rows, switches)
    return Foresight(
        objective,
        (found[columns.discharge] - found[columns.charge]) * 1000.0,
        found[columns.stored] / max(capacity_kwh, 1e-9) * 100.0,
        tuple(found[columns.peaks] * 1000.0),
    )


def _spilt_kw(net_kw: Floats, leave: Leave) -> Floats:
    """The surplus beyond what may be exported, where inverters curtail."""
    if not leave.curtails or leave.export_limit_w is None:
        return np.zeros(len(net_kw))
    return np.maximum(-net_kw - leave.export_limit_w / 1000.0, 0.0)


def _end(rows: _Rows, columns: _Columns, begin_kwh: float) -> None:
    """What is stored at the end, and what is missing of it, are as much as there was at the begin."""
    stored, missing, least = columns.stored[-1:], np.array([columns.missing]), np.array([begin_kwh])
    rows.add([(stored, 1.0), (missing, 1.0)], least, least + np.inf)


def _most(
    columns: _Columns,
    net_kw: Floats,
    storage: Storage,
    leave: Leave,
    costs: NDArray[np.bool_],
    apart_w: tuple[Floats, Floats] | None,
) -> Floats:
    """Ratings, what the site gives leave to, and the limits at the PCC, unless the load alone breaks them."""
    high = np.full(columns.count, np.inf)
    high[columns.charge] = storage.max_charge_w / 1000.0
    high[columns.discharge] = storage.max_discharge_w / 1000.0
    load_kw, surplus_kw = np.maximum(net_kw, 0.0), np.maximum(-net_kw, 0.0)
    need_kw, spare_kw = (load_kw, surplus_kw) if apart_w is None else (apart_w[0] / 1e3, apart_w[1] / 1e3)
    if not leave.grid_charging:
        high[columns.charge] = np.minimum(high[columns.charge], spare_kw)
    # While export costs nothing is sold from the battery, and what is lost is as surplus sold for nothing.
    own = costs if leave.battery_export else np.ones(len(net_kw), dtype=bool)
    high[columns.discharge[own]] = np.minimum(high[columns.discharge[own]], need_kw[own])
    high[columns.bought] = np.maximum(np.where(costs, load_kw, net_kw) + high[columns.charge], 0.0)
    high[columns.sold] = np.maximum(high[columns.discharge] - net_kw, 0.0)
    high[columns.sold[costs]] = surplus_kw[costs]
    if leave.import_limit_w is not None:
        most_kw = np.maximum(leave.import_limit_w / 1000.0, net_kw)
        high[columns.bought] = np.minimum(high[columns.bought], most_kw)
    if leave.export_limit_w is not None:
        most_kw = np.maximum(leave.export_limit_w / 1000.0, -net_kw)
        high[columns.sold] = np.minimum(high[columns.sold], most_kw)
    return high


def _balance(rows: _Rows, columns: _Columns, net_kw: Floats, spilt_kw: Floats) -> None:
    """What is bought covers load and charging less sun and discharging; so much of the sun may be spilt."""
    terms = [(columns.bought, 1.0), (columns.sold, -1.0), (columns.charge, -1.0), (columns.discharge, 1.0)]
    rows.add(terms, net_kw, net_kw + spilt_kw)


def _store(rows: _Rows, columns: _Columns, begin_kwh: float, into_kwh: float, out_of_kwh: float) -> None:
    """What is stored at the end of a step follows from the end of the step before."""
    steps, first = len(columns.stored), rows.count
    before = np.concatenate([[begin_kwh], np.zeros(steps - 1)])
    terms = [
        (columns.stored, 1.0),
        (columns.charge, -into_kwh),
        (columns.discharge, out_of_kwh),
    ]
    rows.add(terms, before, before)
    rows.rows.append(np.arange(1, steps) + first)
    rows.columns.append(columns.stored[:-1])
    rows.values.append(np.full(steps - 1, -1.0))


def _floor_kwh(
    rows: _Rows,
    columns: _Columns,
    storage: Storage,
    begin_kwh: float,
    out_of_kwh: float,
    yields: NDArray[np.bool_] | None,
) -> float:
    """The least that is ever stored; what of it is below the reserve was discharged while that yields."""
    capacity_kwh = storage.capacity_wh / 1000.0
    reserve_kwh = capacity_kwh * storage.floor_pct / 100.0
    if yields is None or not yields.any():
        return min(reserve_kwh, begin_kwh)
    steps = len(columns.stored)
    reserve, most = np.full(steps, reserve_kwh), np.zeros(steps)
    rows.add([(columns.stored, 1.0), (columns.below, 1.0)], reserve, reserve + np.inf)
    first, most[0] = rows.count, max(reserve_kwh - begin_kwh, 0.0)
    taken_kwh = np.where(yields, -out_of_kwh, 0.0)
    rows.add([(columns.below, 1.0), (columns.discharge, taken_kwh)], most - np.inf, most)
    rows.rows.append(np.arange(1, steps) + first)
    rows.columns.append(columns.below[:-1])
    rows.values.append(np.full(steps - 1, -1.0))
    return min(capacity_kwh * storage.min_soc_pct / 100.0, begin_kwh)


def _peaks(rows: _Rows, columns: _Columns, demand: Sequence[BilledPeak]) -> None:
    """No window that is billed has a higher mean import than its peak."""
    for peak, billed in zip(columns.peaks, demand, strict=True):
        first, most = rows.count, np.zeros(billed.windows)
        rows.add([(np.full(len(most), peak), -1.0)], most - np.inf, most)
        rows.rows.append(billed.window + first)
        rows.columns.append(columns.bought[billed.step])
        rows.values.append(billed.share)


def _one_way(
    rows: _Rows,
    one: NDArray[np.intp],
    other: NDArray[np.intp],
    most: Floats,
    switches: NDArray[np.intp],
) -> None:
    """Where its switch is 1 the one may flow, up to its most, and where it is 0 the other."""
    if not len(switches):
        return
    none = np.full(len(switches), -np.inf)
    rows.add([(one, 1.0), (switches, -most[one])], none, np.zeros(len(switches)))
    rows.add([(other, 1.0), (switches, most[other])], none, most[other])


def _burns(buy: Floats, sell: Floats, wear: float, round_trip: float) -> NDArray[np.intp]:
    """Steps in which charging and discharging at once would earn by what it burns."""
    return np.flatnonzero(np.minimum(buy, sell) * (1.0 - round_trip) + wear * round_trip < 0.0)


class _Quiet(highspy.Highs):
    """HiGHS without a word: its banner comes when callbacks are enabled, before one can ask for silence."""

    def enableCallbacks(self) -> None:  # noqa: N802  # its name in highspy
        self.silent()
        super().enableCallbacks()  # type: ignore[no-untyped-call]  # highspy has no types


def _solve(
    cost: Floats, low: Floats, high: Floats, rows: _Rows, switches: NDArray[np.intp]
) -> tuple[Floats, float]:
    """The values of all columns at the optimum, and its cost."""
    at = np.concatenate(rows.rows)
    order = np.argsort(at, kind="stable")
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = len(cost), rows.count
    model.col_cost_, model.col_lower_, model.col_upper_ = cost, low, high
    model.row_lower_, model.row_upper_ = np.concatenate(rows.low), np.concatenate(rows.high)
    model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    model.a_matrix_.start_ = np.searchsorted(at[order], np.arange(rows.count + 1)).astype(np.int32)
    model.a_matrix_.index_ = np.concatenate(rows.columns)[order].astype(np.int32)
    model.a_matrix_.value_ = np.concatenate(rows.values)[order]
    if len(switches):
        kinds = np.full(len(cost), highspy.HighsVarType.kContinuous)
        kinds[switches] = highspy.HighsVarType.kInteger
        model.integrality_ = kinds.tolist()
    highs = _Quiet()  # type: ignore[no-untyped-call]  # highspy has no types
    highs.passModel(model)
    highs.run()
    status = highs.getModelStatus()
    if status != highspy.HighsModelStatus.kOptimal:
        raise OracleError(f"HiGHS ended with: {highs.modelStatusToString(status)}")
    return np.asarray(highs.getSolution().col_value), highs.getInfo().objective_function_value
