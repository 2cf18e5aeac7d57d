"""`penstock study`: which battery, which tariff, does it pay, how long does it carry the house; and the
benchmark.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controller.lab.extras import need
from drivers.doors import DoorError

Numbers = tuple[float, ...]


def numbers(text: str | None, option: str, scale: float, such_as: str = "5,10,15") -> Numbers:
    """Numbers above zero, separated by commas, times `scale`; DoorError when they are not, or when there are
    none; without the option none.
    """
    if text is None:
        return ()
    found = []
    for part in text.split(","):
        try:
            value = float(part)
        except ValueError:
            raise DoorError(f'{option}: "{part.strip()}" is no number; give such as {such_as}') from None
        if not 0.0 < value < 1e6:
            raise DoorError(f"{option}: {value:g} cannot be; give such as {such_as}")
        found.append(value * scale)
    return tuple(dict.fromkeys(found))


def whole_years(text: str | None) -> tuple[int, ...]:
    """The years of `--years`; DoorError when they are none."""
    found = numbers(text, "--years", 1.0, "2023,2024")
    for one in found:
        if one != int(one):
            raise DoorError(f"--years: {one:g} is no year; give such as 2023,2024")
    return tuple(int(one) for one in found)


def wanted_policies(text: str) -> tuple[str, ...]:
    """The policies of `--policies`; DoorError for one that is not known, or when there are none."""
    from controller.lab.study.asked import POLICIES

    wanted = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    for policy in wanted:
        if policy not in POLICIES:
            raise DoorError(f'--policies: "{policy}" is none; there are {", ".join(POLICIES)}')
    return wanted


Site = Annotated[Path | None, typer.Argument(help="The site file; not for --benchmark.", metavar="SITE")]
Sources = Annotated[
    list[Path] | None,
    typer.Option("--from", help="Measured CSV: timestamp, load_w, pv_w. Several: one study of each."),
]
Tariff = Annotated[
    Path | None, typer.Option(help="A TOML file with [tariff], or a URDB rate as JSON; else the site's.")
]
Sizes = Annotated[str | None, typer.Option(help="Capacities to try, kWh, such as 5,10,15.")]
Powers = Annotated[
    str | None, typer.Option(help="Powers to try, kW, such as 3,5; else the site's own ratings.")
]
Policies = Annotated[
    str, typer.Option(help="Policies to compare: self_consumption, economic, schedule, standby.")
]
Years = Annotated[
    str | None, typer.Option(help="Only these years of the data, one study of each: 2023,2024.")
]
PerKwh = Annotated[float, typer.Option("--price-per-kwh", help="Installed price of a kWh of battery.", min=0)]
Fixed = Annotated[float, typer.Option("--price-fixed", help="Price that any battery has on top.", min=0)]
Life = Annotated[float, typer.Option(help="For what a battery may cost.", min=1, max=50)]
Out = Annotated[Path, typer.Option(help="Folder for report, CSV, Parquet and what is done so far.")]
Jobs = Annotated[int, typer.Option(help="Cases at a time; 0: one for each core.", min=0, max=256)]
Scheduler = Annotated[
    str | None, typer.Option(help="A Dask scheduler instead of this machine: tcp://10.0.0.5:8786.")
]
Benchmark = Annotated[bool, typer.Option("--benchmark", help="The public benchmark.")]
Controllers = Annotated[
    list[str] | None, typer.Option(help="For --benchmark: module:Class of another controller.")
]
Days = Annotated[int, typer.Option(help="For --benchmark: days of each site.", min=2, max=366)]


def study(
    site: Site = None,
    source: Sources = None,
    tariff: Tariff = None,
    sizes: Sizes = None,
    power: Powers = None,
    policies: Policies = "self_consumption,economic",
    years: Years = None,
    cost_per_kwh: PerKwh = 0.0,
    cost_fixed: Fixed = 0.0,
    life_years: Life = 15.0,
    out: Out = Path("study"),
    jobs: Jobs = 0,
    scheduler: Scheduler = None,
    benchmark: Benchmark = False,
    controller: Controllers = None,
    days: Days = 28,
) -> None:
    """What a battery is worth, against perfect foresight.

    Closed loop with the controller's own decisions over measured load and sun, for every size, power and
    policy, against no battery and against the best that could be done with the future known. Prints a table
    and writes report.html, study.csv and study.parquet. Interrupted, it goes on where it was when called
    again.
    """
    if benchmark:
        need("a benchmark", "study", "highspy")
        from controller.lab.study.contest_run import run_benchmark

        run_benchmark(days, tuple(controller or ()), jobs)
        return
    if site is None or not source:
        raise typer.BadParameter("give a site file and --from with measured data, or --benchmark")
    need("a study", "study", "highspy", "plotly", "pyarrow")
    from controller.lab.study.run import StudyOptions, run_study

    run_study(
        site,
        tuple(source),
        StudyOptions(
            tariff,
            numbers(sizes, "--sizes", 1000.0),
            numbers(power, "--power", 1000.0),
            wanted_policies(policies),
            whole_years(years),
            cost_per_kwh,
            cost_fixed,
            life_years,
            out,
            jobs,
            scheduler,
        ),
    )
