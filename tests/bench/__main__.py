"""Measures, prints the table, writes `bench.json`; exit code 1 when a target was missed."""

from __future__ import annotations

import json
import platform
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.core import a_year, shell_in_virtual_time, steps
from tests.bench.fleet import scan_against_bare, thirty_two_devices
from tests.bench.hunting import matrix
from tests.bench.measure import Figure
from tests.bench.planning import one_plan
from tests.bench.plant import plant_step
from tests.bench.replays import replay_of_a_day
from tests.bench.scenarios import shell_on_sockets
from tests.bench.wires import start_and_size

ADDITIONS = 10_000_000


def main() -> int:
    """All figures, one after the other: nothing else should run on this machine."""
    console = Console(stderr=True)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with console.status("measuring ..."):
            figures += [steps(1, 25.0), steps(8, 80.0), shell_in_virtual_time(), shell_on_sockets()]
            figures += [plant_step("simple", 10.0), plant_step("lfp", 10.0), plant_step("agm", 20.0)]
            figures += [scan_against_bare(folder), thirty_two_devices(folder)]
            figures += start_and_size(folder)
            figures += [a_year(), one_plan()]
            figures += replay_of_a_day(folder)
            hunting, table = matrix()
            figures.append(hunting)
    Console().print(table)
    host = _host()
    _show(figures, host)
    Path("bench.json").write_text(_json(figures, host), encoding="utf-8")
    return 0 if all(figure.met for figure in figures) else 1


def _host() -> dict[str, str | float]:
    """What the figures depend on beside the program: how fast this interpreter is, on this machine, now."""
    began_s = time.process_time()
    total = 0
    for number in range(ADDITIONS):
        total += number
    took_s = time.process_time() - began_s
    return {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "ten_million_additions_s": round(took_s, 3),
    }


def _show(figures: list[Figure], host: dict[str, str | float]) -> None:
    title = f"penstock on {host['machine']}, Python {host['python']}; it adds up ten million numbers in "
    table = Table(title=f"{title}{host['ten_million_additions_s']} s")
    for column in ("what", "measured", "target", "", "note"):
        table.add_column(column)
    for figure in figures:
        target = f"{'>=' if figure.at_least else '<='} {figure.target:g}"
        measured = f"{figure.value:,.2f} {figure.unit}"
        table.add_row(figure.name, measured, target, "ok" if figure.met else "MISSED", figure.note)
    Console().print(table)


def _json(figures: list[Figure], host: dict[str, str | float]) -> str:
    return json.dumps(
        {"host": host, "figures": [asdict(one) | {"met": one.met} for one in figures]}, indent=2
    )


if __name__ == "__main__":
    sys.exit(main())
