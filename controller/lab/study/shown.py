"""What came of a study in figures: a table for the terminal, and the same as CSV and Parquet."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from controller.lab.study.case import NO_BATTERY, ORACLE, Case, Outcome

LARGE_COST, LARGE_KWH, LARGE_KW = 10_000.0, 100.0, 1000.0
"""From here on a number is shown without decimals."""
LEAST_IMPORTANT = ("cycles", "export\nkWh", "import\nkWh", "outage\nh", "peak\nkW")
"""Columns of the terminal's table, in the order in which they are left out where they have no room."""
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
    "stored_cost",
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
                **{name: getattr(one, name) for name in COLUMNS[COLUMNS.index("energy_cost") :]},
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


def amounts(values: Sequence[float | None], places: int = 2) -> list[str]:
    """The numbers of one column; None is an empty cell."""
    return ["" if one is None else f"{one:z,.{places}f}" for one in values]


def places_of(values: Sequence[float], large: float, places: int = 2) -> int:
    """So many decimals for a column, and none where one of its numbers is as large as that."""
    return places if max(map(abs, values), default=0.0) < large else 0


def money_places(outcomes: Mapping[Case, Outcome], cases: Sequence[Case]) -> int:
    """Decimals of all money in a table of these cases."""
    return places_of([outcomes[case].cost for case in cases], LARGE_COST)


def energies(values_kwh: Sequence[float]) -> list[str]:
    """Of one column, with a decimal where they are small."""
    return amounts(values_kwh, places_of(values_kwh, LARGE_KWH, 1))


def peaks(values_w: Sequence[float]) -> list[str]:
    """Of one column, in kW."""
    values_kw = [one / 1000.0 for one in values_w]
    return amounts(values_kw, places_of(values_kw, LARGE_KW))


def shares(outcomes: Mapping[Case, Outcome], cases: Sequence[Case]) -> list[str]:
    """Of perfect foresight; what only costs is no share of it."""
    found = [share_pct(outcomes, case) for case in cases]
    return ["" if one is None else "none" if one < 0.0 else f"{one:.1f} %" for one in found]


def table_of(
    outcomes: Mapping[Case, Outcome], cases: Sequence[Case], currency: str, width: int = 80
) -> Table:
    """The cases of one time for a terminal of so many columns: a block for each battery, the limits below.

    No number is ever cut: what has no room is left out, the least important first, and named below.
    """
    columns = _columns(outcomes, cases)
    for left_out in range(len(LEAST_IMPORTANT) + 1):
        gone = LEAST_IMPORTANT[:left_out]
        kept = {name: cells for name, cells in columns.items() if name not in gone}
        if sum(max(map(len, (*name.split("\n"), *cells))) + 1 for name, cells in kept.items()) <= width + 1:
            break
    caption = [_broken(outcomes, cases)]
    most = max(outcomes[case].stored_cost for case in cases)
    if most >= 0.005:
        caption.append(f"up to {most:,.2f} of cost is for a battery that ends emptier than it began")
    if gone:
        caption.append(f"no room for {', '.join(name.split()[0] for name in gone)}: see study.csv")
    table = Table(
        title=f"{cases[0].time}: what the battery is worth ({currency} over the time studied, wear included)",
        box=SIMPLE_HEAD,
        padding=(0, 0),
        pad_edge=False,
        show_edge=False,
        caption="\n".join(caption),
    )
    for name in kept:
        text = name in ("kWh/kW", "policy")
        table.add_column(name, justify="left" if text else "right", overflow="fold")
    for place, (case, after) in enumerate(zip(cases, (*cases[1:], None), strict=True)):
        same = after is not None and _battery(after) == _battery(case)
        table.add_row(*(cells[place] for cells in kept.values()), end_section=not same)
    return table


def _columns(outcomes: Mapping[Case, Outcome], cases: Sequence[Case]) -> dict[str, list[str]]:
    found, places = [outcomes[case] for case in cases], money_places(outcomes, cases)
    has_battery = [case.policy != NO_BATTERY for case in cases]
    sizes = [f"{case.capacity_wh / 1e3:,.10g}/{case.power_w / 1e3:,.10g}" for case in cases]
    saved = [saving(outcomes, case) if has else None for case, has in zip(cases, has_battery, strict=True)]
    cycles = [one.full_cycles if has else None for one, has in zip(found, has_battery, strict=True)]
    return {
        "kWh/kW": [size if has else "" for size, has in zip(sizes, has_battery, strict=True)],
        "policy": [case.policy for case in cases],
        "cost": amounts([one.cost for one in found], places),
        "saving": amounts(saved, places),
        "of best": shares(outcomes, cases),
        "import\nkWh": energies([one.import_kwh for one in found]),
        "export\nkWh": energies([one.export_kwh for one in found]),
        "cycles": amounts(cycles, 0),
        "peak\nkW": peaks([max(one.monthly_peak_w) for one in found]),
        "outage\nh": amounts([one.autonomy_median_h for one in found], 1),
    }


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
