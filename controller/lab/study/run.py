"""A whole study from the command line: check, compute with a progress bar, table, files, report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from controller.errors import RunError
from controller.lab.study.asked import Study, asked
from controller.lab.study.case import Case, Outcome
from controller.lab.study.page import Frame, study_page
from controller.lab.study.shown import rows_of, table_of, write_csv, write_parquet
from controller.lab.study.work import Notebook, ended_as_by_ctrl_c, run_here, run_on_cluster
from drivers.doors import DoorError

NOTEBOOK = "done.jsonl"


@dataclass(frozen=True, slots=True)
class StudyOptions:
    """What was asked on the command line; sizes in Wh, powers in W."""

    tariff: Path | None
    sizes_wh: tuple[float, ...]
    powers_w: tuple[float, ...]
    policies: tuple[str, ...]
    years: tuple[int, ...]
    cost_per_kwh: float
    cost_fixed: float
    life_years: float
    out: Path
    jobs: int
    scheduler: str | None


def run_study(site: Path, sources: Sequence[Path], options: StudyOptions) -> dict[Case, Outcome]:
    """All of it; DoorError for what was asked, RunError for what went wrong on the way."""
    study = asked(
        site,
        sources,
        options.tariff,
        options.sizes_wh,
        options.powers_w,
        options.policies,
        options.years,
    )
    console = Console(stderr=True)
    for note in study.notes:
        console.print(f"note: {note}", highlight=False, soft_wrap=True)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DoorError(f"--out: {options.out}: {error.strerror}") from None
    notebook = Notebook(
        options.out / NOTEBOOK, {name: material.digest for name, material in study.materials.items()}
    )
    _compute(study, notebook, options, console)
    outcomes = {case: notebook.done[case] for case in study.cases}
    _tell(site, study, outcomes, options)
    return outcomes


def _compute(study: Study, notebook: Notebook, options: StudyOptions, console: Console) -> None:
    left = [case for case in study.cases if case not in notebook.done]
    bar = Progress(
        TextColumn("computing"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("cases"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    try:
        with bar, ended_as_by_ctrl_c():
            task = bar.add_task("cases", total=len(study.cases), completed=len(study.cases) - len(left))

            def noted(outcome: Outcome) -> None:
                notebook.note(outcome)
                bar.advance(task)

            if options.scheduler is not None:
                run_on_cluster(study.materials, left, options.scheduler, noted)
            else:
                run_here(study.materials, left, options.jobs or os.cpu_count() or 1, noted)
    except KeyboardInterrupt:
        done = sum(case in notebook.done for case in study.cases)
        raise RunError(
            f"interrupted with {done} of {len(study.cases)} cases done; call it again to go on from there"
        ) from None


def _tell(site: Path, study: Study, outcomes: dict[Case, Outcome], options: StudyOptions) -> None:
    rows = rows_of(outcomes, study.cases)
    write_csv(options.out / "study.csv", rows)
    write_parquet(options.out / "study.parquet", rows)
    frame = Frame(
        study.config.site,
        study.tariff.currency,
        f"the tariff {study.tariff.name}",
        {name: material.traces.duration_s / 86_400.0 for name, material in study.materials.items()},
        options.cost_fixed,
        options.cost_per_kwh,
        options.life_years,
        study.notes,
        site.read_text(encoding="utf-8"),
        {name: material.step_s / 60.0 for name, material in study.materials.items()},
        {charge.name: charge.window_s / 60.0 for charge in study.tariff.demand},
    )
    report = options.out / "report.html"
    report.write_text(study_page(frame, outcomes, study.cases), encoding="utf-8")
    out = Console()
    for time in study.materials:
        mine = [case for case in study.cases if case.time == time]
        out.print(table_of(outcomes, mine, study.tariff.currency, out.width))
    out.print(
        f"report: {report}   figures: {options.out / 'study.csv'}, {options.out / 'study.parquet'}",
        highlight=False,
        soft_wrap=True,
    )
