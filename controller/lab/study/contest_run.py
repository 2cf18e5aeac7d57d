"""`penstock study --benchmark`: every site, every controller, one table; on all cores."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from functools import lru_cache
from importlib import import_module
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from controller.errors import RunError
from controller.lab.study.benchmark import Contest, Controller, Score, bounds, compared, played
from controller.lab.study.case import NO_BATTERY, ORACLE
from controller.lab.study.contests import contests
from controller.lab.study.rivals import LpMpc, Penstock
from controller.lab.study.work import ended_as_by_ctrl_c, spread
from drivers.doors import DoorError

OWN: dict[str, Callable[[], Controller]] = {
    "economic": lambda: Penstock("economic"),
    "LP-MPC": LpMpc,
    "self_consumption": lambda: Penstock("self_consumption"),
}
"""Who always takes part, the slowest first."""
SHOWN = ("self_consumption", "economic", "LP-MPC")
BOUNDS = ""

Task = tuple[int, int, str]
"""Days, number of the site, and who plays there: a name of `OWN`, module:Class, or `BOUNDS`."""


def run_benchmark(days: int, others: Sequence[str], jobs: int = 0) -> list[Score]:
    """All scores, printed as a table too; `jobs` runs at a time (0: one for each core).

    DoorError for a controller that cannot take part, RunError when interrupted or out of memory.
    """
    for place in others:
        plugged_in(place)
    sites = range(len(_contests(days)))
    tasks = [(days, site, who) for who in (*OWN, *others, BOUNDS) for site in sites]
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("benchmark"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("runs"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    found: dict[Task, tuple[Score, ...]] = {}
    try:
        with bar, ended_as_by_ctrl_c(), closing(spread(_taken, tasks, jobs or os.cpu_count() or 1)) as runs:
            shown = bar.add_task("", total=len(tasks))
            for task, told in runs:
                found[task] = told
                bar.advance(shown)
    except KeyboardInterrupt:
        raise RunError(f"interrupted with {len(found)} of {len(tasks)} runs done") from None
    except BrokenProcessPool:
        raise RunError("a run's process died; is there enough memory? Try --jobs 1") from None
    scores: list[Score] = []
    for site in sites:
        nothing, perfect = found[days, site, BOUNDS]
        scores += compared((nothing, perfect), [found[days, site, who][0] for who in (*SHOWN, *others)])
    Console().print(table_of(scores, days))
    return scores


def _taken(task: Task) -> tuple[Task, tuple[Score, ...]]:
    days, site, who = task
    contest = _contests(days)[site]
    if who == BOUNDS:
        return task, bounds(contest)
    return task, (played(contest, OWN[who]() if who in OWN else plugged_in(who)),)


@lru_cache(1)
def _contests(days: int) -> tuple[Contest, ...]:
    return contests(days)


def plugged_in(place: str) -> Controller:
    """The controller of `module:Class`, also in the working folder; DoorError when there is none."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    module, _, name = place.partition(":")
    try:
        found = getattr(import_module(module), name)()
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise DoorError(f'--controller: "{place}" is no module:Class that can be made: {error}') from None
    for method in ("name", "begin", "order"):
        if not hasattr(found, method):
            raise DoorError(f'--controller: "{place}" has no {method}; see docs/studies.md')
    controller: Controller = found
    return controller


def table_of(scores: Sequence[Score], days: int) -> Table:
    """Site by site, for a terminal 80 columns wide."""
    title = f"Penstock benchmark, {days} days of each site, seeds fixed"
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("site, controller", no_wrap=True)
    for name in ("cost\nEUR", "of\nperfect", "limits\nbroken", "writes\na day", "full\ncycles"):
        table.add_column(name, justify="right", no_wrap=True)
    before = ""
    for one in scores:
        if one.site != before:
            table.add_row(f"[bold]{one.site}[/]")
        before = one.site
        share = "" if one.share_of_perfect_pct is None else f"{one.share_of_perfect_pct:.1f} %"
        controlled = one.controller not in (NO_BATTERY, ORACLE)
        table.add_row(
            f"  {one.controller}",
            f"{one.cost:,.2f}",
            share,
            f"{one.violation_s:,.0f} s" if controlled else "",
            f"{one.writes / days:,.0f}" if controlled else "",
            f"{one.full_cycles:.1f}" if one.controller != NO_BATTERY else "",
            end_section=one.controller == ORACLE,
        )
    return table
