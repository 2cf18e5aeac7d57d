"""`penstock study --benchmark`: every site, every controller, one table."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from controller.lab.study.benchmark import Controller, Score, compete
from controller.lab.study.case import NO_BATTERY, ORACLE
from controller.lab.study.contests import contests
from controller.lab.study.rivals import LpMpc, Penstock
from drivers.doors import DoorError


def run_benchmark(days: int, others: Sequence[str]) -> list[Score]:
    """All scores, printed as a table too."""
    controllers: list[Controller] = [Penstock("self_consumption"), Penstock("economic"), LpMpc()]
    controllers += [plugged_in(one) for one in others]
    console = Console(stderr=True)
    scores: list[Score] = []
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task("benchmark", total=1.0)
        for contest in contests(days):

            def told(name: str, share: float, site: str = contest.name) -> None:
                bar.update(task, description=f"{site}: {name}", completed=share)

            scores += compete(contest, controllers, told)
    Console().print(table_of(scores, days))
    return scores


def plugged_in(place: str) -> Controller:
    """The controller of `module:Class`; DoorError when there is none."""
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
