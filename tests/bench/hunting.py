"""The stability matrix as a table: the worst of each meter over all inverters, measured as the field does."""

from __future__ import annotations

from collections import defaultdict

from rich.table import Table

from controller.lab.stability import Outcome, cases, run
from tests.bench.measure import Figure

IMPORT_CT_PER_KWH, EXPORT_CT_PER_KWH = 30.0, 8.0


def matrix() -> tuple[Figure, Table]:
    """How many of the cases are not as they should be, and the worst figures by meter."""
    outcomes = [run(case) for case in cases()]
    bad = sum(not outcome.good for outcome in outcomes)
    figure = Figure(f"stability, {len(outcomes)} cases", float(bad), "not good", 0.0)
    return figure, _table(outcomes)


def _table(outcomes: list[Outcome]) -> Table:
    table = Table(title="load step of 40 %, right profile, worst over all inverters")
    for column in (
        "meter delay",
        "period",
        "dead time",
        "settled",
        "of allowed",
        "overshoot",
        "deviation",
        "crossings",
        "import",
        "export",
        "regret",
    ):
        table.add_column(column, justify="right")
    groups: dict[tuple[float, float], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        if outcome.case.profile_error == 0.0:
            groups[outcome.case.meter_delay_s, outcome.case.meter_period_s].append(outcome)
    for (delay_s, period_s), group in groups.items():
        share = max(one.settled_s / one.case.settle_within_s for one in group)
        table.add_row(
            f"{delay_s:g} s",
            f"{period_s:g} s",
            f"{max(one.dead_s for one in group):.1f} s",
            f"{max(one.settled_s for one in group):.1f} s",
            f"{100 * share:.0f} %",
            f"{max(one.overshoot_pct for one in group):.1f} %",
            f"{max(one.deviation_w for one in group):.0f} W",
            f"{max(one.crossings_per_h for one in group):.0f}/h",
            f"{max(one.avoidable_import_wh for one in group):.1f} Wh",
            f"{max(one.avoidable_export_wh for one in group):.1f} Wh",
            f"{max(_regret_ct(one) for one in group):.2f} ct",
        )
    return table


def _regret_ct(outcome: Outcome) -> float:
    """What the step cost more than without any delay: bought dear, or sold cheap what is bought back."""
    sold = IMPORT_CT_PER_KWH - EXPORT_CT_PER_KWH
    return (outcome.avoidable_import_wh * IMPORT_CT_PER_KWH + outcome.avoidable_export_wh * sold) / 1000.0
