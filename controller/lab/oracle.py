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

KW_H_PER_W_S = 1.0 / 3.6e6


class OracleError(RuntimeError):
    """HiGHS found no optimum; the sentence says what it found."""


@dataclass(frozen=True, slots=True, eq=False)
class Foresight:
    """What would have been best: `cost` with wear and peaks, and the course of it at the end of each step."""

    cost: float
    discharge_w: Floats
    soc_pct: Floats
    peaks_w: tuple[float, ...]


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


def perfect_foresight(
    net_load_w: Floats,
    import_per_kwh: Floats,
    export_per_kwh: Floats,
    step_s: float,
    storage: Storage,
    leave: Leave,
    soc_pct: float,
    demand: Sequence[DemandTerm] = (),
) -> Foresight:
    """The cheapest course of the battery, ending no emptier than it began.

    Costs are energy at the PCC, wear, and each term's price for its highest mean import. Binary variables
    keep the battery from charging and discharging at once only where doing both would pay.
    """
    steps = len(net_load_w)
    hours = step_s / 3600.0
    net_kw = net_load_w / 1000.0
    charge, discharge, bought, sold, stored = (np.arange(steps) + one * steps for one in range(5))
    peaks = 5 * steps + np.arange(len(demand))
    into, out = storage.charge_efficiency[-1][1], storage.discharge_efficiency[-1][1]
    both_pays = _both_pays(import_per_kwh, export_per_kwh, storage.wear_per_kwh, into * out)
    switches = 5 * steps + len(demand) + np.arange(len(both_pays))
    cost = np.zeros(5 * steps + len(demand) + len(both_pays))
    cost[discharge] = storage.wear_per_kwh * hours
    cost[bought], cost[sold] = import_per_kwh * hours, -export_per_kwh * hours
    cost[peaks] = [term.per_kw for term in demand]
    low, high = np.zeros(len(cost)), np.full(len(cost), np.inf)
    high[charge], high[discharge] = storage.max_charge_w / 1000.0, storage.max_discharge_w / 1000.0
    if not leave.grid_charging:
        high[charge] = np.minimum(high[charge], np.maximum(-net_kw, 0.0))
    if not leave.battery_export:
        high[discharge] = np.minimum(high[discharge], np.maximum(net_kw, 0.0))
    if leave.import_limit_w is not None:
        high[bought] = np.maximum(leave.import_limit_w / 1000.0, net_kw)
    if leave.export_limit_w is not None:
        high[sold] = np.maximum(leave.export_limit_w / 1000.0, -net_kw)
    capacity_kwh = storage.capacity_wh / 1000.0
    begin_kwh = capacity_kwh * soc_pct / 100.0
    low[stored] = min(capacity_kwh * storage.floor_pct / 100.0, begin_kwh)
    high[stored] = max(capacity_kwh * storage.max_soc_pct / 100.0, begin_kwh)
    low[stored[-1]] = begin_kwh
    low[peaks] = [term.peak_so_far_w / 1000.0 for term in demand]
    high[switches] = 1.0
    rows = _Rows([], [], [], [], [])
    rows.add([(bought, 1.0), (sold, -1.0), (charge, -1.0), (discharge, 1.0)], net_kw, net_kw)
    before = np.concatenate([[begin_kwh], np.zeros(steps - 1)])
    rows.add([(stored, 1.0), (charge, -into * hours), (discharge, hours / out)], before, before)
    rows.rows.append(np.arange(1, steps) + steps)
    rows.columns.append(stored[:-1])
    rows.values.append(np.full(steps - 1, -1.0))
    for peak, term in zip(peaks, demand, strict=True):
        counted = np.flatnonzero(term.applies)
        most = np.zeros(len(counted))
        rows.add([(bought[counted], 1.0), (np.full(len(counted), peak), -1.0)], most - np.inf, most)
    if len(both_pays):
        none, most = np.full(len(both_pays), -np.inf), np.zeros(len(both_pays))
        rows.add([(charge[both_pays], 1.0), (switches, -storage.max_charge_w / 1000.0)], none, most)
        rows.add(
            [(discharge[both_pays], 1.0), (switches, storage.max_discharge_w / 1000.0)],
            none,
            most + storage.max_discharge_w / 1000.0,
        )
    found, objective = _solve(cost, low, high, rows, switches)
    return Foresight(
        objective,
        (found[discharge] - found[charge]) * 1000.0,
        found[stored] / max(capacity_kwh, 1e-9) * 100.0,
        tuple(found[peaks] * 1000.0),
    )


def _both_pays(buy: Floats, sell: Floats, wear: float, round_trip: float) -> NDArray[np.intp]:
    """Steps in which charging and discharging at once would earn: by a price upside down, or by burning."""
    burns = np.minimum(buy, sell) * (1.0 - round_trip) + wear * round_trip < 0.0
    return np.flatnonzero((sell > buy) | burns)


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
    highs = highspy.Highs()
    highs.silent()
    highs.passModel(model)
    highs.run()
    status = highs.getModelStatus()
    if status != highspy.HighsModelStatus.kOptimal:
        raise OracleError(f"HiGHS ended with: {highs.modelStatusToString(status)}")
    return np.asarray(highs.getSolution().col_value), highs.getInfo().objective_function_value
