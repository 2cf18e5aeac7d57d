"""What the battery saves on each site, as a table: `python -m tests.bench.money [--data FOLDER]`."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.bench.money.fixtures import synthetic_cases
from tests.bench.money.measured import NONE, OWN, PLANNED, Savings, measure
from tests.bench.money.sites import (
    belgian_home,
    belgian_home_2015,
    belgian_home_2018,
    belgian_home_2023,
    belgian_home_capacity,
    californian_home,
    californian_home_in_colorado,
    campus,
    french_home,
)
from tests.bench.money.variants import VARIANTS
from tests.bench.money.whole import whole_controller

WIDE = 160
"""Columns of a table that goes into a file."""
CASES = {"be": belgian_home, "ca": californian_home, "campus": campus}
OTHERS = {
    "be-de2015": belgian_home_2015,
    "be-de2018": belgian_home_2018,
    "be-2023": belgian_home_2023,
    "be-peak": belgian_home_capacity,
    "ca-rd": californian_home_in_colorado,
    "fr": french_home,
    **VARIANTS,
}
"""Only when asked for: the same homes under other prices, and pieces that are no whole year of one home."""


def main() -> int:
    """One case after the other; the table at the end, and `bench-money.json`."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.money", description=__doc__)
    parser.add_argument(
        "--data", type=Path, help="folder of measured sites; else five weeks of invented ones"
    )
    cases = sorted(CASES | OTHERS)
    parser.add_argument("--case", choices=cases, action="append", help="only this one of the folder")
    parser.add_argument("--every", type=float, default=60.0, help="a new plan so often, minutes (60)")
    parser.add_argument("--told", action="store_true", help="also plans that are told load and sun exactly")
    parser.add_argument("--months", action="store_true", help="also a table of each site's months")
    asked = parser.parse_args()
    console = Console(stderr=True)
    if asked.data is None:
        chosen = synthetic_cases()
    elif not (asked.data / "residential").is_dir():
        console.print(f"{asked.data}: holds no folder residential; give the folder of measured sites")
        return 78
    else:
        chosen = [(CASES | OTHERS)[name](asked.data) for name in asked.case or CASES]
    found: list[Savings] = []
    whole: Table | None = None
    try:
        with Progress(console=console) as progress:
            for case in chosen:
                found.append(measure(case, progress, asked.every * 60.0, told=asked.told))
            if asked.data is not None and "be" in (asked.case or CASES):
                task = progress.add_task("the whole controller in that home", total=1.0)
                whole = whole_controller(asked.data, lambda share: progress.advance(task, share))
    except KeyboardInterrupt:
        console.print("interrupted; what was finished is below")
    out = Console(width=None if sys.stdout.isatty() else WIDE)
    out.print(_table(found))
    if asked.months:
        for one in found:
            out.print(_by_month(one))
    if whole is not None:
        out.print(whole)
    Path("bench-money.json").write_text(
        json.dumps([asdict(one) for one in found], indent=2), encoding="utf-8"
    )
    return 0


def _table(found: list[Savings]) -> Table:
    table = Table(title="cost with wear and peaks, and the share of what perfect foresight saves")
    for column in ("site", "none", "self-consumption", "economic", "told load and sun", "perfect foresight"):
        table.add_column(column, justify="left" if column == "site" else "right")
    table.add_column("worst month: more than self-consumption / none", justify="right")
    for one in found:
        told = "" if one.told is None else _cell(one, one.told)
        worst = f"{one.worst_month_pct(OWN):+.1f} % / {one.worst_month_pct(NONE):+.1f} %"
        table.add_row(
            one.name,
            f"{one.none:,.2f}",
            _cell(one, one.self_consumption),
            _cell(one, one.economic),
            told,
            f"{one.oracle:,.2f}",
            worst,
        )
    return table


def _by_month(one: Savings) -> Table:
    table = Table(title=f"{one.name}: months, with what is stored at their ends worth what it is good for")
    for column in ("month", "none", "self-consumption", "economic", "perfect foresight", "dearer than own"):
        table.add_column(column, justify="left" if column == "month" else "right")
    for month in one.months:
        costs = [f"{cost:,.2f}" for cost in month.costs]
        table.add_row(month.name, *costs, f"{month.dearer_pct(PLANNED, OWN):+.1f} %")
    return table


def _cell(one: Savings, cost: float) -> str:
    return f"{cost:,.2f} ({one.share(cost):.1%})"


if __name__ == "__main__":
    sys.exit(main())
