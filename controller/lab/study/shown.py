"""What came of a study in figures: a table for the terminal, and the same as CSV and Parquet."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

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
    """For the terminal."""
    several = len({case.time for case in cases}) > 1
    table = Table(title=f"What the battery is worth ({currency} over the time studied, wear included)")
    for name in ("time",) if several else ():
        table.add_column(name)
    for name in ("battery", "policy"):
        table.add_column(name)
    for name in (
        "cost",
        "saving",
        "of perfect",
        "import",
        "export",
        "cycles",
        "peak",
        "outage",
        "violations",
    ):
        table.add_column(name, justify="right")
    for case in cases:
        one, share = outcomes[case], share_pct(outcomes, case)
        battery = (
            "none"
            if case.policy == NO_BATTERY
            else f"{case.capacity_wh / 1e3:g} kWh / {case.power_w / 1e3:g} kW"
        )
        row = [case.time] if several else []
        row += [battery, "" if case.policy == NO_BATTERY else case.policy, f"{one.cost:,.2f}"]
        row += ["" if case.policy == NO_BATTERY else f"{saving(outcomes, case):,.2f}"]
        row += ["" if share is None else f"{share:.1f} %"]
        row += [f"{one.import_kwh:,.0f} kWh", f"{one.export_kwh:,.0f} kWh", f"{one.full_cycles:.0f}"]
        row += [f"{max(one.monthly_peak_w) / 1000.0:.2f} kW"]
        row += ["" if one.autonomy_median_h is None else f"{one.autonomy_median_h:.1f} h"]
        row += ["" if case.policy in (NO_BATTERY, ORACLE) else str(one.violations)]
        table.add_row(*row)
    return table


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
