"""What commissioning leaves behind: the verdict, the lines for the site file, the page with the plots."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table as Lines
from rich.text import Text

from controller.lab.commission.findings import WORDS, Finding, blocking
from controller.lab.commission.procedure import Report

STYLES = {"stop": "bold red", "unsure": "yellow", "warn": "cyan", "good": "green"}
TONES = {"stop": "bad", "unsure": "bad", "warn": "quiet", "good": "good"}
ORDER = ("stop", "unsure", "warn", "good")


def verdict(report: Report) -> tuple[str, bool]:
    """The sentence for the owner, and whether the controller may go live."""
    wrong = [one for one in report.findings if one.kind == "stop"]
    open_ = [one for one in report.findings if one.kind == "unsure"]
    if wrong:
        because = "; ".join(f"{one.device}: {one.text}" for one in wrong)
        return f"Do not go live because {because}.", False
    if open_:
        because = "; ".join(f"{one.device}: {one.text}" for one in open_)
        return f"Do not go live yet, because this is not proven: {because}.", False
    return "Ready to go live: every device is what the site file says, and does what it is told.", True


def line(finding: Finding) -> Text:
    """One finding for the terminal."""
    return Text.assemble(
        (f"{WORDS[finding.kind]:7}", STYLES[finding.kind]),
        f"{finding.device}: {finding.check}: {finding.text}",
    )


def printed(report: Report, console: Console) -> None:
    """The report on the terminal."""
    table = Lines(title=f"Commissioning of {report.config.site}", title_justify="left", show_edge=False)
    for heading in ("", "device", "check", "what was found"):
        table.add_column(heading)
    for one in _sorted(report.findings):
        table.add_row(
            Text(WORDS[one.kind], STYLES[one.kind]), Text(one.device), Text(one.check), Text(one.text)
        )
    console.print(table)
    lines = snippet(report)
    if lines:
        console.print("\nMeasured; for the table of each device in the site file:\n", style="bold")
        console.print("\n".join(lines), markup=False, highlight=False)
    text, good = verdict(report)
    console.print()
    console.print(Text(text, "bold green" if good else "bold red"))


def snippet(report: Report) -> list[str]:
    """Lines for the site file."""
    lines: list[str] = []
    meter = [("period_s", report.meter_period_s), ("delay_s", report.meter_delay_s)]
    if any(value > 0 for _, value in meter):
        lines.append(f"# {report.config.meter.id}: in the table [[meter]] itself")
        lines += [f"{name} = {value:g}" for name, value in meter if value > 0]
    for device, found in report.responses.items():
        smallest_w = report.smallest_w.get(device, 0.0)
        lines += ["", f"# {device}"] if lines else [f"# {device}"]
        if smallest_w > 50.0:
            lines.append(f"min_power_w = {smallest_w:g}  # in the table [[battery]] itself")
        lines += [
            "[battery.response]",
            f"dead_time_s = {found.dead_time_s:g}",
            f"time_constant_s = {found.time_constant_s:g}",
        ]
        if found.ramp_w_per_s is not None:
            lines.append(f"ramp_w_per_s = {found.ramp_w_per_s:g}")
    return lines


def page_of(report: Report) -> str:
    """The report as a page; needs the extra `lab`."""
    from controller.lab.figures import Line, Panel, stacked
    from controller.lab.report import Data, Heading, Part, Plot, Table, Words, page

    text, good = verdict(report)
    findings = _sorted(report.findings)
    parts: list[Part] = [
        Words(text, "good stamp" if good else "bad stamp"),
        Words(
            f"Consented: {report.terms.consent_w:.0f} W of charging and discharging for each battery.",
            "quiet",
        ),
        Heading("What was found"),
        Table(
            ("", "device", "check", "what was found"),
            [(WORDS[one.kind], one.device, one.check, one.text) for one in findings],
            [TONES[one.kind] for one in findings],
        ),
    ]
    lines = snippet(report)
    if lines:
        parts.append(Data("Lines for the site file", "\n".join(lines)))
    for device, samples in report.samples.items():
        if not samples:
            continue
        begin_s = samples[0].at_s
        x = [one.at_s - begin_s for one in samples]
        power = Panel(
            f"{device}: ordered and done",
            "W",
            [
                Line("ordered", x, [one.order_w for one in samples], "setpoint", "steps"),
                Line("battery", x, [one.battery.battery_discharge_w for one in samples], "battery"),
            ],
        )
        grid = Panel(
            "what the meter saw",
            "W",
            [Line("import", x, [one.meter.pcc_import_w for one in samples], "pcc")],
        )
        parts += [Heading(device), Plot(stacked([power, grid], x_title="time, s"), _caption(report, device))]
    return page(f"Commissioning of {report.config.site}", parts)


def _caption(report: Report, device: str) -> str:
    found = report.responses.get(device)
    if found is None:
        return "Positive discharges and imports. Where nothing is ordered, the line ends."
    ramp = "" if found.ramp_w_per_s is None else f", ramp {found.ramp_w_per_s:.0f} W/s"
    return (
        f"Dead time {found.dead_time_s:.1f} s, time constant {found.time_constant_s:.1f} s{ramp}. "
        "Positive discharges and imports. Where nothing is ordered, the line ends."
    )


def _sorted(findings: Sequence[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda one: ORDER.index(one.kind))


def ready(report: Report) -> bool:
    """Whether the controller may go live."""
    return not blocking(report.findings)
