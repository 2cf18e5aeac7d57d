"""`penstock commission`: asks for consent, shows how far it is, prints what came of it."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from controller.config import Config, load_config
from controller.lab import writable
from controller.lab.commission.findings import Finding, Terms
from controller.lab.commission.guardian import Guardian
from controller.lab.commission.paper import line, page_of, printed, ready
from controller.lab.commission.procedure import Report, Watcher, commission
from controller.lab.extras import need

USUAL_W = 1000.0
LEAST_W, MOST_W = 100.0, 100_000.0


def commission_site(
    site: Path, consent_w: float | None, yes: bool, curtail_pv: bool, lease_wait_s: float, page: Path | None
) -> bool:
    """Run it; whether the controller may go live. `KeyboardInterrupt` after a Ctrl-C, all released."""
    config = load_config(site)
    if page is not None:
        need("--report", "lab", "plotly")
        writable.page(page, "--report")
    logging.getLogger("drivers").setLevel(logging.ERROR)  # what fails is part of the report
    console = Console(stderr=True)
    terms = Terms(_consent_w(config, consent_w, yes, console), curtail_pv, lease_wait_s)
    report = Report(config, terms)
    with Guardian(site) as guardian:
        ended = asyncio.run(commission_with_signals(config, terms, report, console, guardian.guard))
    if ended:
        printed(report, Console())
    else:
        _say_interrupted(report, console)
    if page is not None:
        writable.write(page, page_of(report))
        console.print(f"written: {page}")
    if not ended:
        raise KeyboardInterrupt
    return ready(report)


def _consent_w(config: Config, consent_w: float | None, yes: bool, console: Console) -> float:
    """The power that was consented to; typer.Exit when there is no consent."""
    if consent_w is not None and not LEAST_W <= consent_w <= MOST_W:
        raise typer.BadParameter(f"{consent_w:g}: give {LEAST_W:g} to {MOST_W:g} W", param_hint="--consent-w")
    if yes:
        if consent_w is None:
            raise typer.BadParameter("--yes needs --consent-w, such as --consent-w 1000", param_hint="--yes")
        return consent_w
    if not sys.stdin.isatty():
        raise typer.BadParameter(
            "nobody is there to consent; give --consent-w 1000 --yes", param_hint="--consent-w"
        )
    names = ", ".join(one.id for one in config.batteries)
    console.print(
        f"This will charge and discharge {names} in small steps, for some minutes each, within the\n"
        "limits of the site file, and release everything at the end. Stop every other program that\n"
        "orders these devices, and let the house be as quiet as it can. Ctrl-C ends it at any time.",
        highlight=False,
    )
    if consent_w is None:
        consent_w = typer.prompt(
            "At most how many W for each battery?", default=USUAL_W, type=float, err=True
        )
        if not LEAST_W <= consent_w <= MOST_W:
            raise typer.BadParameter(f"{consent_w:g}: give {LEAST_W:g} to {MOST_W:g} W")
    if not typer.confirm(f"Charge and discharge {names} with up to {consent_w:g} W?", err=True):
        console.print("Nothing was ordered.")
        raise typer.Exit(1)
    return consent_w


async def commission_with_signals(
    config: Config,
    terms: Terms,
    report: Report,
    console: Console,
    ordering: Callable[[str], None] = lambda device: None,
) -> bool:
    """False when SIGINT or SIGTERM ended it: then everything is released all the same."""
    loop = asyncio.get_running_loop()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        shown = progress.add_task("connecting")

        def found(finding: Finding) -> None:
            progress.console.print(line(finding))

        watcher = Watcher(lambda text: progress.update(shown, description=text), found, ordering)
        work = asyncio.create_task(commission(config, terms, watcher, report))

        def interrupt(number: signal.Signals) -> None:
            progress.console.print(f"{number.name}: releasing the devices")
            loop.remove_signal_handler(number)  # the next one ends the program at once
            work.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, interrupt, number)
        try:
            await work
        except asyncio.CancelledError:
            return False
    return True


def _say_interrupted(report: Report, console: Console) -> None:
    if report.not_released:
        for why in report.not_released:
            console.print(why, style="bold red")
    else:
        console.print("Interrupted; every device that was ordered is released.")
