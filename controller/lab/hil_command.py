"""`penstock hil`: runs scenarios one after the other, prints the verdicts and writes the reports."""

from __future__ import annotations

import json
import re
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import cast

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from controller.lab import writable
from controller.lab.extras import need
from controller.lab.hil import How, check_wires, elsewhere, run_scenario
from controller.lab.lines import WAYS, Way
from controller.lab.scenario import Scenario, load_scenario, scenario_of
from controller.lab.verdict import REPEAT, Verdict, judge, junit, trace
from drivers.doors import DoorError, one_line


def run_all(
    paths: Sequence[Path],
    how: How,
    site: Path | None,
    folder: Path | None,
    over: str,
    real: Sequence[str] = (),
) -> bool:
    """Run, print and write; whether every claim of every scenario held.

    DoorError for a file and typer.BadParameter for an option that is wrong, before anything runs.
    """
    way = _way(over)
    if way is not None and how == "fast":
        raise typer.BadParameter(
            "with --fast there is no wire; leave one of the two out", param_hint="--over"
        )
    if (site is not None or real) and how != "real":
        hint = "--real" if real else "--site"
        raise typer.BadParameter("real devices know only real time; add --real-time", param_hint=hint)
    if folder is not None:
        need("--report", "lab", "plotly")
    scenarios = [load_scenario(path, site) for path in paths]
    if how != "fast":
        for one in scenarios:
            check_wires(one, way)
    names = [one.path.stem for one in scenarios]
    if folder is not None and len(set(names)) < len(names):
        raise typer.BadParameter(
            "two scenarios have the same file name; their reports would overwrite each other",
            param_hint="--report",
        )
    if folder is not None:
        writable.folder(folder, "--report")
    console, verdicts, took = Console(highlight=False), [], []
    for scenario in scenarios:
        verdict, seconds = _run(scenario, how, _real(scenario, site is not None, real), way)
        verdicts.append(verdict)
        took.append(seconds)
        for line in _lines(verdict, seconds):
            console.print(one_line(line), markup=False, soft_wrap=True)
        if folder is not None:
            _written(folder / scenario.path.stem, verdict)
    held = sum(one.held and not one.why_not_certified for one in verdicts)
    if len(verdicts) > 1:
        console.print(f"{held} of {len(verdicts)} scenarios held, in {sum(took):.0f} s", markup=False)
    if folder is not None:
        writable.write(folder / "junit.xml", junit(verdicts, took))
        console.print(f"reports in {folder}", markup=False)
    return held == len(verdicts)


def _written(stem: Path, verdict: Verdict) -> None:
    from controller.lab.verdict_page import html  # its plots are of an extra

    writable.write(stem.with_name(f"{stem.name}.html"), html(verdict))
    writable.write(stem.with_name(f"{stem.name}.json"), trace(verdict))


def repeat(report: Path) -> bool:
    """Run again what a report was made of; whether the decisions are the same."""
    told = read_report(report)
    path = report.parent / told["file"]
    scenario = scenario_of(path, told["scenario"], tomllib.loads(told["scenario"]), told["site"])
    how = cast(How, told["how"])
    verdict, seconds = _run(scenario, how, frozenset(), _way(told.get("over", "")))
    same = verdict.record.trace_hash == told["trace_sha256"]
    console = Console(highlight=False)
    for line in _lines(verdict, seconds):
        console.print(one_line(line), markup=False, soft_wrap=True)
    if same:
        console.print(f"the same trace: {verdict.record.trace_hash}", markup=False)
    else:
        console.print(
            f"another trace: {verdict.record.trace_hash}, the report has {told['trace_sha256']}", markup=False
        )
        if how == "real":
            console.print("a run in real time is never quite the same; run it in virtual time", markup=False)
    return same


def read_report(path: Path) -> dict[str, str]:
    """What a report (HTML) keeps for its repetition; DoorError when it is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DoorError(f"{path}: cannot be read: {error}") from None
    found = re.search(rf"<summary>{REPEAT}</summary><pre>(.*?)</pre>", text, re.DOTALL)
    if found is None:
        raise DoorError(f"{path}: is no report of penstock hil; give the .html file that --report wrote")
    told: dict[str, str] = json.loads(unescape(found[1]))
    return told


def _way(over: str) -> Way | None:
    """typer.BadParameter when there is no such wire."""
    if not over:
        return None
    for way in WAYS:
        if way == over:
            return way
    raise typer.BadParameter(f"{over}: there is {', '.join(WAYS)}", param_hint="--over")


def _real(scenario: Scenario, by_address: bool, named: Sequence[str]) -> frozenset[str]:
    """The devices that are real: those named, and with a site file those that are not on this host."""
    return frozenset(named) | (elsewhere(scenario.config) if by_address else frozenset())


def _run(scenario: Scenario, how: How, real: frozenset[str], way: Way | None) -> tuple[Verdict, float]:
    began_s = time.perf_counter()
    with _shown(scenario) as progress:
        record = run_scenario(
            scenario,
            how,
            real,
            lambda done_s: progress.update(0, completed=done_s),  # type: ignore[arg-type]  # the one task
            way,
        )
    return judge(scenario, how, record, real, way), time.perf_counter() - began_s


@contextmanager
def _shown(scenario: Scenario) -> Iterator[Progress]:
    console = Console(stderr=True)
    bar = Progress(
        TextColumn(scenario.path.stem),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f} s"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    bar.add_task("run", total=scenario.duration_s)
    with bar:
        yield bar


def _lines(verdict: Verdict, seconds: float) -> Iterator[str]:
    scenario = verdict.scenario
    word = "FAIL" if not verdict.held else "????" if verdict.why_not_certified else "ok  "
    yield f"{word} {scenario.path.stem}: {scenario.title} ({scenario.duration_s:g} s in {seconds:.1f} s)"
    if verdict.why_not_certified:
        yield f"     not certified: {verdict.why_not_certified}"
    for note in verdict.notes:
        yield f"     {note}"
    for name, _, judged in verdict.claims:
        if judged.held is None:
            yield f"     {name}: not judged: {judged.text}"
        elif not judged.held:
            yield f"     {name}: {judged.text}"
