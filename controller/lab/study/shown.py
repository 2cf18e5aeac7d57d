"""What came of a study in figures: a table for the terminal, and the same as CSV and Parquet."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from controller.lab.study.case import NO_BATTERY, ORACLE, Case, Outcome

COLUMNS = (
    "time",
    "capacity_kwh",
    "power_kw",
    "policy",
    "cost",
    "saving",
    "share_of_perfect_pct",
    "energy_cost",
    "export_credit",
    "demand_cost",
    "fixed_cost",
    "wear_cost",
    "import_kwh",
    "export_kwh",
    "charged_kwh",
    "discharged_kwh",
    "full_cycles",
    "self_sufficiency_pct",
    "violations",
    "violation_s",
    "autonomy_median_h",
    "autonomy_least_h",
)


def rows_of(outcomes: Mapping[Case, Outcome], cases: Sequence[Case]) -> list[dict[str, float | str | None]]:
    """One row a case, in the order of `cases`: the columns of `COLUMNS`."""
    rows: list[dict[str, float | str | None]] = []
    for case in cases:
        one = outcomes[case]
        rows.append(
            {
                "time": case.time,
                "capacity_kwh": case.capacity_wh / 1000.0,
                "power_kw": case.power_w / 1000.0,
                "policy": case.policy,
                "cost": one.cost,
                "saving": saving(outcomes, case),
                "share_of_perfect_pct": share_pct(outcomes, case),
                **{name: getattr(one, name) for name in COLUMNS[7:]},
            }
        )
    return rows


def saving(outcomes: Mapping[Case, Outcome], case: Case) -> float:
    """What the case costs less than no battery, wear included."""
    return outcomes[Case(case.time, 0.0, 0.0, NO_BATTERY)].cost - outcomes[case].cost


def share_pct(outcomes: Mapping[Case, Outcome], case: Case) -> float | None:
    """The saving as a share of what perfect foresight saves; None where that saves nothing."""
    best = outcomes.get(Case(case.time, case.capacity_wh, case.power_w, ORACLE))
    if case.policy == NO_BATTERY or best is None:
        return None
    most = saving(outcomes, best.case)
    return 100.0 * saving(outcomes, case) / most if most > 0.01 else None


def table_of(outcomes: Mapping[Case, Outcome], cases: Sequence[Case], currency: str) -> Table:
    """For a terminal 80 columns wide: a block for each battery, the limits broken below it."""
    title = f"What the battery is worth ({currency} over the time studied, wear included)"
    table = Table(
        title=title, box=SIMPLE_HEAD, padding=(0, 0), pad_edge=False, caption=_broken(outcomes, cases)
    )
    several = len({case.time for case in cases}) > 1
    for name in ("time", "kWh/kW", "policy") if several else ("kWh/kW", "policy"):
        table.add_column(name, no_wrap=True)
    for name in (
        "cost",
        "saving",
        "of best",
        "import\nkWh",
        "export\nkWh",
        "cycles",
        "peak\nkW",
        "outage\nh",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for case, after in zip(cases, (*cases[1:], None), strict=True):
        one, share, has_battery = outcomes[case], share_pct(outcomes, case), case.policy != NO_BATTERY
        row = [case.time] if several else []
        row += [f"{case.capacity_wh / 1e3:g}/{case.power_w / 1e3:g}" if has_battery else "", case.policy]
        row += [f"{one.cost:,.2f}", f"{saving(outcomes, case):,.2f}" if has_battery else ""]
        row += ["" if share is None else f"{share:.1f} %", f"{one.import_kwh:,.0f}", f"{one.export_kwh:,.0f}"]
        row += [f"{one.full_cycles:.0f}" if has_battery else "", f"{max(one.monthly_peak_w) / 1000.0:.2f}"]
        row += ["" if one.autonomy_median_h is None else f"{one.autonomy_median_h:.1f}"]
        same = after is not None and _battery(after) == _battery(case)
        table.add_row(*row, end_section=not same)
    return table


def _battery(case: Case) -> tuple[str, float, float]:
    return case.time, case.capacity_wh, case.power_w


def _broken(outcomes: Mapping[Case, Outcome], cases: Sequence[Case]) -> str:
    """Whether limits were kept, for below the table."""
    broken = [case for case in cases if outcomes[case].violations]
    if not broken:
        return "no limit was broken"
    said = [
        f"{case.name}: {outcomes[case].violations} ({outcomes[case].violation_s:.0f} s)" for case in broken
    ]
    return "limits broken: " + "; ".join(said)


def write_csv(path: Path, rows: Sequence[Mapping[str, float | str | None]]) -> None:
    """UTF-8, commas; an empty field is what does not apply."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for row in rows:
            writer.writerow({name: "" if value is None else value for name, value in row.items()})


def write_parquet(path: Path, rows: Sequence[Mapping[str, float | str | None]]) -> None:
    """The same for data tools. Needs the extra `study`."""
    import pyarrow
    import pyarrow.parquet

    columns = {name: [row[name] for row in rows] for name in COLUMNS}
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
