"""`penstock study`: which battery, which tariff, does it pay, how long does it carry the house; and the
benchmark.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from drivers.doors import DoorError

Numbers = tuple[float, ...]


def numbers(text: str | None, option: str, scale: float) -> Numbers:
    """Numbers above zero, separated by commas, times `scale`; DoorError when they are not."""
    if not text:
        return ()
    found = []
    for part in text.split(","):
        try:
            value = float(part)
        except ValueError:
            raise DoorError(f'{option}: "{part.strip()}" is no number; give such as 5,10,15') from None
        if not 0.0 < value < 1e6:
            raise DoorError(f"{option}: {value:g} is no size; give numbers above 0")
        found.append(value * scale)
    return tuple(dict.fromkeys(found))


def study(
    site: Annotated[
        Path | None, typer.Argument(help="The site file; not for --benchmark.", metavar="SITE")
    ] = None,
    source: Annotated[
        list[Path] | None,
        typer.Option("--from", help="Measured CSV: timestamp, load_w, pv_w. Several: one study of each."),
    ] = None,
    tariff: Annotated[
        Path | None, typer.Option(help="A TOML file with [tariff], or a URDB rate as JSON; else the site's.")
    ] = None,
    sizes: Annotated[str | None, typer.Option(help="Capacities to try, kWh, such as 5,10,15.")] = None,
    power: Annotated[str | None, typer.Option(help="Powers to try, kW, such as 3,5.")] = None,
    policies: Annotated[
        str, typer.Option(help="Policies to compare: self_consumption, economic, schedule, standby.")
    ] = "self_consumption,economic",
    price_per_kwh: Annotated[float, typer.Option(help="Installed price of a kWh of battery.", min=0)] = 0.0,
    price_fixed: Annotated[float, typer.Option(help="Price that any battery has on top.", min=0)] = 0.0,
    life_years: Annotated[float, typer.Option(help="For what a battery may cost.", min=1, max=50)] = 15.0,
    out: Annotated[
        Path, typer.Option(help="Folder for report, CSV, Parquet and what is done so far.")
    ] = Path("study"),
    jobs: Annotated[int, typer.Option(help="Cases at a time; 0: one for each core.", min=0, max=256)] = 0,
    scheduler: Annotated[
        str | None,
        typer.Option(help="A Dask scheduler instead of this machine: tcp://10.0.0.5:8786."),
    ] = None,
    benchmark: Annotated[bool, typer.Option("--benchmark", help="The public benchmark.")] = False,
    controller: Annotated[
        list[str] | None, typer.Option(help="For --benchmark: module:Class of another controller.")
    ] = None,
    days: Annotated[int, typer.Option(help="For --benchmark: days of each site.", min=2, max=366)] = 28,
) -> None:
    """What a battery is worth, against perfect foresight.

    Closed loop with the controller's own decisions over measured load and sun, for every size, power and
    policy, against no battery and against the best that could be done with the future known. Prints a table
    and writes report.html, study.csv and study.parquet. Interrupted, it goes on where it was when called
    again.
    """
    if benchmark:
        from controller.lab.study.contest_run import run_benchmark

        run_benchmark(days, tuple(controller or ()))
        return
    if site is None or not source:
        raise typer.BadParameter("give a site file and --from with measured data, or --benchmark")
    from controller.lab.study.run import StudyOptions, run_study

    wanted = tuple(dict.fromkeys(part.strip() for part in policies.split(",") if part.strip()))
    run_study(
        site,
        tuple(source),
        StudyOptions(
            tariff,
            numbers(sizes, "--sizes", 1000.0),
            numbers(power, "--power", 1000.0),
            wanted,
            price_per_kwh,
            price_fixed,
            life_years,
            out,
            jobs,
            scheduler,
        ),
    )
