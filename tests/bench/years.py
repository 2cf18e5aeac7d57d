"""`python -m tests.bench.years DATA`: every policy over a measured year, and a campus against its peaks.

DATA is a folder with `residential/be_home1_2024_15min.csv.gz` and `commercial/it_campus_2015_15min.csv.gz`
(see their README for sources). The campus has no PV: it is modelled from its irradiance column. The plan of
the `economic` policy is a table made by hand: a kWh is worth the mean price when empty, nothing when full.
"""

from __future__ import annotations

import csv
import gzip
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from rich.console import Console
from rich.table import Table

from controller.config import Config, load_config
from controller.dispatch.decision import Decision
from controller.dispatch.orders import NO_ORDERS, Order, Orders, Plan
from controller.dispatch.settings import DemandSettings, DispatchConfig, PolicySettings, Window
from controller.dispatch.site import Snapshot
from controller.lab.simulate import Result, Wall, simulate
from simulators.traces import CsvTraces, StepTrace, read_csv
from tests.bench.sites import SITE

CAMPUS_PV_W = 400_000.0
PERFORMANCE = 0.85
"""What a PV plant gives of its peak at 1000 W/m2, losses and heat included."""
CAMPUS_WH, CAMPUS_W = 500_000.0, 250_000.0
TARGET_SHARE = 0.92
"""The owner's target for each month, as a share of that month's peak without a battery."""

Prices = Callable[[float], tuple[float, float]]


def wall(traces: CsvTraces) -> Wall:
    """The clock of the file."""
    changes = tuple((row * traces.step_s, offset.total_seconds()) for row, offset in traces.offsets)
    return Wall(traces.start.timestamp(), changes)


def home(data: Path) -> list[tuple[str, Result]]:
    """The Belgian home of 2024 with each policy, on the demo's battery."""
    traces = read_csv(data / "residential" / "be_home1_2024_15min.csv.gz")
    base = load_config(SITE)
    night = Window(22 * 3600, 6 * 3600, "charge", 2000.0, 60.0)
    evening = Window(17 * 3600, 22 * 3600, "discharge", 1500.0)
    policies = {
        "self_consumption": PolicySettings(reserve_pct=20.0),
        "economic": PolicySettings("economic", grid_charging=True, battery_export=True),
        "schedule": PolicySettings("schedule", schedule=(night, evening)),
        "follow": PolicySettings("follow"),
        "standby": PolicySettings("standby", standby_soc_pct=90.0),
    }
    values = ((0.25, 0.22, 0.19, 0.16, 0.1),) * (366 * 24)
    plan = Plan(traces.start.timestamp(), 3600.0, values, float("inf"))
    found = []
    for name, policy in policies.items():
        config = replace(base, dispatch=replace(base.dispatch, policy=policy))
        follow_w = Order(500.0, float("inf"))
        result = simulate(
            config,
            traces.load,
            traces.pv,
            max(traces.pv.values),
            traces.duration_s,
            traces.step_s,
            wall=wall(traces),
            orders=Orders(follow_pcc_w=follow_w) if name == "follow" else NO_ORDERS,
            prices=(traces.prices["import_price_eur_per_kwh"], traces.prices["export_price_eur_per_kwh"]),
            plan=plan,
        )
        found.append((name, result))
    return found


def campus_traces(data: Path, folder: Path) -> CsvTraces:
    """The campus with PV from its irradiance."""
    source = data / "commercial" / "it_campus_2015_15min.csv.gz"
    path = folder / "campus.csv"
    with gzip.open(source, "rt", encoding="utf-8") as file, path.open("w", encoding="utf-8") as out:
        out.write("timestamp,load_w,pv_w\n")
        for row in csv.DictReader(file):
            pv_w = CAMPUS_PV_W * PERFORMANCE * float(row["ghi_w_per_m2"]) / 1000.0
            out.write(f"{row['timestamp']},{row['load_w']},{max(pv_w, 0.0):.0f}\n")
    return read_csv(path)


@dataclass(frozen=True, slots=True)
class Month:
    """One month of the campus: peaks of 15-min mean import with the battery and without, W."""

    name: str
    without_w: float
    with_battery_w: float
    result: Result


def campus_config(base: Config, target_w: float) -> Config:
    """500 kWh and 250 kW at a campus with a demand tariff."""
    battery = replace(
        base.dispatch.batteries[0], capacity_wh=CAMPUS_WH, max_charge_w=CAMPUS_W, max_discharge_w=CAMPUS_W
    )
    dispatch: DispatchConfig = replace(
        base.dispatch,
        batteries=(battery,),
        demand=DemandSettings(900, target_w),
        import_limit_w=2e6,
        export_limit_w=1e6,
        fuse_a=None,
        policy=PolicySettings("standby", standby_soc_pct=95.0, standby_charge_w=CAMPUS_W),
    )
    return replace(base, dispatch=dispatch)


def campus(data: Path, folder: Path) -> list[Month]:
    """The campus month by month, each with its own target, the battery kept full for its peaks."""
    traces = campus_traces(data, folder)
    rows: dict[str, list[int]] = {}
    for row in range(traces.rows):
        rows.setdefault(traces.timestamp(row).strftime("%Y-%m"), []).append(row)
    return [_month(traces, name, one[0], one[-1] + 1) for name, one in rows.items()]


def _month(traces: CsvTraces, name: str, first: int, end: int) -> Month:
    load, sun = traces.load.values[first:end], traces.pv.values[first:end]
    without_w = max(one - other for one, other in zip(load, sun, strict=True))
    imports_wh: list[float] = []

    def watch(snapshot: Snapshot, _: Decision) -> None:
        if snapshot.now_s >= len(imports_wh) * traces.step_s and snapshot.meter is not None:
            imports_wh.append(snapshot.meter.import_wh or 0.0)

    changes = tuple(((row - first) * traces.step_s, offset.total_seconds()) for row, offset in traces.offsets)
    result = simulate(
        campus_config(load_config(SITE), TARGET_SHARE * without_w),
        StepTrace(traces.step_s, load),
        StepTrace(traces.step_s, sun),
        CAMPUS_PV_W,
        (end - first) * traces.step_s,
        traces.step_s,
        wall=Wall(traces.timestamp(first).timestamp(), changes),
        watcher=watch,
    )
    imports_wh.append(result.books.import_wh)
    most_wh = max(later - before for before, later in pairwise(imports_wh))
    return Month(name, without_w, most_wh * 3600.0 / traces.step_s, result)


def main(data: Path) -> int:
    """Print both tables; 1 when a limit was violated or a peak was raised."""
    console = Console()
    table = Table(
        "policy", "import", "export", "cycles", "violations", "imbalance", title="Belgian home, 2024"
    )
    violations = 0
    for name, result in home(data):
        books, verdict = result.books, result.verdict
        violations += verdict.violations
        kwh = (f"{books.import_wh / 1000:,.0f} kWh", f"{books.export_wh / 1000:,.0f} kWh")
        cycles = f"{result.full_cycles:.0f}"
        table.add_row(name, *kwh, cycles, str(verdict.violations), f"{result.imbalance_pct:.0e} %")
    console.print(table)
    with tempfile.TemporaryDirectory() as folder:
        months = campus(data, Path(folder))
    table = Table("month", "without", "with battery", "lower by", "violations", title="Campus, monthly peaks")
    raised = 0
    for month in months:
        violations += month.result.verdict.violations
        raised += month.with_battery_w >= month.without_w
        cut = f"{100 * (1 - month.with_battery_w / month.without_w):.1f} %"
        peaks = (f"{month.without_w / 1000:.1f} kW", f"{month.with_battery_w / 1000:.1f} kW")
        table.add_row(month.name, *peaks, cut, str(month.result.verdict.violations))
    console.print(table)
    return 1 if violations or raised else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
