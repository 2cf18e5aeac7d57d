"""`penstock simulate`: reads what to simulate, shows how far it is, prints what came of it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from controller.clock import zone
from controller.config import Config, load_config
from controller.lab.billing import Bills, bill_numbers, bill_rows, bills, planner
from controller.lab.house import synthetic
from controller.lab.measured import from_quarter_hour, invented_wall, on_site_clock, wall_of
from controller.lab.simulate import Result, Wall, simulate
from controller.lab.study.traces_door import doubts, look_over
from drivers.doors import DoorError
from simulators.traces import CsvTraces, StepTrace, Trace, TraceError, read_csv

DAY_S = 86_400.0


def simulate_site(site: Path, days: int | None, source: Path | None, step_s: float, as_json: bool) -> bool:
    """Run it and print the result; False when the controller broke a limit it could have kept."""
    config = load_config(site)
    console = Console(stderr=True)
    began_s = time.perf_counter()
    result, billed = (
        _synthetic(config, days or 1, step_s, console)
        if source is None
        else _measured(config, days, source, console)
    )
    took_s = time.perf_counter() - began_s
    if as_json:
        json.dump(_numbers(result) | bill_numbers(billed), sys.stdout, indent=2)
        print()
    else:
        table = _table(config, result, took_s)
        for row in bill_rows(billed):
            table.add_row(*row)
        Console().print(table)
    return result.verdict.violations == 0


def _synthetic(config: Config, days: int, step_s: float, console: Console) -> tuple[Result, Bills | None]:
    resolution_s = int(step_s) if step_s >= 1 and step_s == int(step_s) and DAY_S % step_s == 0 else 1
    traces = synthetic(config, resolution_s)
    duration_s = days * DAY_S
    wall = invented_wall(config.simulation.start, duration_s, config.timezone)
    house = (traces.load, traces.pv, config.simulation.pv_peak_w)
    return _run(config, house, duration_s, step_s, wall, None, console)


def _run(
    config: Config,
    house: tuple[Trace, Trace, float],
    duration_s: float,
    step_s: float,
    wall: Wall,
    columns: Mapping[str, StepTrace] | None,
    console: Console,
) -> tuple[Result, Bills | None]:
    inside, note = planner(config, wall, columns, duration_s)
    if note:
        console.print(f"note: {note}", highlight=False, soft_wrap=True)
    with _progress(console, duration_s) as shown:
        result = simulate(
            config,
            *house,
            duration_s,
            step_s,
            wall=wall,
            teller=None if inside is None else inside.told,
            watcher=None if inside is None else inside.heard,
            progress=shown.to,
        )
    for why, times in () if inside is None else inside.refusals.items():
        console.print(f"note: {times} times no plan: {why}", highlight=False, soft_wrap=True)
    return result, None if inside is None else bills(inside, result)


def _measured(
    config: Config, days: int | None, source: Path, console: Console
) -> tuple[Result, Bills | None]:
    try:
        where = None if config.timezone is None else zone(config.timezone)
        traces = on_site_clock(read_csv(source, where), config.timezone)
    except TraceError as error:
        raise DoorError(str(error)) from None
    for note in (*traces.notes, *_doubts(config, source, traces)):
        console.print(f"note: {note}", highlight=False, soft_wrap=True)
    if config.tariff is not None:
        traces, cut = from_quarter_hour(source, traces)
        if cut:
            console.print(f"note: {source.name}: {cut}", highlight=False, soft_wrap=True)
    duration_s = _duration_s(source, traces, days)
    house = (traces.load, traces.pv, max(traces.pv.values))
    return _run(config, house, duration_s, traces.step_s, wall_of(traces), traces.prices, console)


def _doubts(config: Config, source: Path, traces: CsvTraces) -> list[str]:
    """What a study would refuse is simulated, and doubted."""
    try:
        look_over(source, traces, config.simulation.latitude_deg)
    except DoorError as error:
        return [str(error)]
    return doubts(source, traces)


def _duration_s(source: Path, traces: CsvTraces, days: int | None) -> float:
    if days is None:
        return traces.duration_s
    if days * DAY_S > traces.duration_s:
        raise DoorError(f"{source}: holds {traces.duration_s / DAY_S:g} days; --days {days} is more")
    return days * DAY_S


class _Shown:
    """A progress bar that the run can move."""

    def __init__(self, console: Console, duration_s: float) -> None:
        self._bar = Progress(
            TextColumn("simulating"),
            BarColumn(),
            TextColumn("{task.completed:.0f} of {task.total:.0f} days"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("simulate", total=duration_s / DAY_S)

    def __enter__(self) -> _Shown:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def to(self, done_s: float) -> None:
        self._bar.update(self._task, completed=done_s / DAY_S)


def _progress(console: Console, duration_s: float) -> _Shown:
    return _Shown(console, duration_s)


def _numbers(result: Result) -> dict[str, Any]:
    books, verdict = result.books, result.verdict
    return {
        "days": result.duration_s / DAY_S,
        "decisions": result.decisions,
        "load_kwh": books.load_wh / 1000,
        "unserved_kwh": books.unserved_wh / 1000,
        "pv_kwh": books.pv_wh / 1000,
        "pv_curtailed_kwh": books.curtailed_wh / 1000,
        "import_kwh": books.import_wh / 1000,
        "export_kwh": books.export_wh / 1000,
        "import_without_battery_kwh": result.import_without_wh / 1000,
        "export_without_battery_kwh": result.export_without_wh / 1000,
        "battery_charged_kwh": books.charged_wh / 1000,
        "battery_discharged_kwh": books.discharged_wh / 1000,
        "battery_lost_kwh": books.lost_wh / 1000,
        "full_cycles": result.full_cycles,
        "soc_pct": result.soc_pct,
        "battery_health_pct": result.health_pct,
        "self_sufficiency_pct": result.self_sufficiency_pct,
        "self_sufficiency_without_battery_pct": result.self_sufficiency_without_pct,
        "limit_violations": verdict.violations,
        "limit_violation_s": verdict.violation_s,
        "limit_worst_w": verdict.worst_w,
        "beyond_control_s": verdict.beyond_control_s,
        "energy_imbalance_pct": result.imbalance_pct,
    }


def _table(config: Config, result: Result, took_s: float) -> Table:
    numbers, verdict = _numbers(result), result.verdict
    title = f"{config.site}: {numbers['days']:g} days, {result.decisions:,} decisions in {took_s:.1f} s"
    table = Table(title=title, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column()

    def energy(name: str, key: str, note: str = "") -> None:
        table.add_row(name, f"{numbers[key]:,.1f} kWh", note)

    unserved = numbers["unserved_kwh"]
    energy("load", "load_kwh", f"{unserved:,.1f} kWh more was wanted in the dark" if unserved > 0.05 else "")
    curtailed = numbers["pv_curtailed_kwh"]
    energy("PV", "pv_kwh", f"{curtailed:,.1f} kWh curtailed" if curtailed > 0.05 else "")
    energy("import", "import_kwh", f"{numbers['import_without_battery_kwh']:,.1f} kWh without the battery")
    energy("export", "export_kwh", f"{numbers['export_without_battery_kwh']:,.1f} kWh without the battery")
    energy(
        "charged",
        "battery_charged_kwh",
        f"{numbers['battery_lost_kwh']:,.1f} kWh lost in battery and inverter",
    )
    energy("discharged", "battery_discharged_kwh", f"{result.full_cycles:,.1f} full cycles")
    if result.health_pct < 100.0:
        table.add_row("capacity left", f"{result.health_pct:.2f} %", "")
    without = f"{result.self_sufficiency_without_pct:z.1f} % without the battery"
    table.add_row("self-sufficiency", f"{result.self_sufficiency_pct:z.1f} %", without)
    worst = (
        f"{verdict.violation_s:,.0f} s, worst {verdict.worst_w:,.0f} W too much" if verdict.violations else ""
    )
    table.add_row("limit violations", str(verdict.violations), worst)
    if verdict.beyond_control_s:
        table.add_row(
            "beyond control", f"{verdict.beyond_control_s:,.0f} s", "no device could have kept the limit"
        )
    table.add_row("energy imbalance", f"{result.imbalance_pct:.1e} %", "")
    return table
