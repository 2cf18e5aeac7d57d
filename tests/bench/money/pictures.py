"""The pictures of docs/planning.md: `python -m tests.bench.money.pictures DATA`, with chromium.

One is a plan for the Belgian home, made as a site makes it; the other shows the shares in that page's table.
"""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from controller.lab.figures import Line, Panel, bars, stacked
from controller.planning.plan import PlanTable, make_plan
from tests.bench.money.planners import plan_inputs
from tests.bench.money.sites import belgian_home
from tests.reference.pictures import photographed

DOCS = Path(__file__).parents[3] / "docs"
SHOWN_FROM = datetime(2024, 4, 14, 13, tzinfo=UTC)
SHOWN_H = 33
BEGIN_SOC_PCT = 38.0
SMALL_PRINT = re.compile(r" \(.*?\)|, \d+ kW.*")
ROW_PX = 52
ROW = re.compile(
    r"^\| (?P<site>[^|]+) \|[^|]+\| [^|]*\((?P<own>[\d.]+) %\) \|.*\*\*(?P<plans>[\d.]+) %\*\* \|$"
)


def a_plan(data: Path) -> Any:
    """Prices, water value, expected load and battery, expected charge."""
    case = belgian_home(data)
    step = int(np.searchsorted(case.utc_s, SHOWN_FROM.timestamp()))
    table = make_plan(plan_inputs(case, step, BEGIN_SOC_PCT, np.zeros(case.steps)))
    shown = int(SHOWN_H * 3600.0 / table.slot_s)
    offset = timedelta(seconds=float(case.offset_s[step]))
    begin = SHOWN_FROM.replace(tzinfo=None) + offset
    when = [begin + timedelta(seconds=slot * table.slot_s) for slot in range(shown)]

    def line(name: str, values: Any, colour: str, steps: bool = True, dashed: bool = False) -> Line:
        return Line(name, when, values[:shown].tolist(), colour, "steps" if steps else "line", dashed)

    soc = [
        line(name, table.soc_pct[:, row], "soc", steps=False, dashed=row != 1)
        for row, name in enumerate(("low", "middle", "high"))
    ]
    money = [
        line("import price", table.import_per_kwh, "price"),
        line("export price", table.export_per_kwh, "mode"),
        line("water value", _worth(table), "soc"),
    ]
    power = [
        line("net load", table.net_load_w, "load"),
        line("battery discharge", table.battery_discharge_w, "battery"),
    ]
    return stacked(
        [
            Panel("Price and water value", "EUR/kWh", money),
            Panel("Expected net load and battery", "W", power),
            Panel("Expected SoC, 8 of 10 courses inside", "%", soc),
        ]
    )


def _worth(table: PlanTable) -> Any:
    """The water value in each slot at the charge that is expected at its end."""
    levels_pct = np.linspace(table.soc_from_pct, table.soc_to_pct, table.water_values.shape[1])
    pairs = zip(table.soc_pct[:, 1], table.water_values, strict=True)
    return np.array([np.interp(soc_pct, levels_pct, row) for soc_pct, row in pairs])


def the_shares() -> Any:
    """The table of docs/planning.md; raises ValueError when it is not found there."""
    lines = (DOCS / "planning.md").read_text(encoding="utf-8").splitlines()
    rows = [found for found in map(ROW.match, lines) if found is not None]
    if not rows:
        raise ValueError("docs/planning.md: no table with shares of perfect foresight")
    sites = [
        SMALL_PRINT.sub("", row["site"]).replace(", ", ",<br>").replace(" on ", "<br>on ") for row in rows
    ]
    shares = {
        "self-consumption": [float(row["own"]) for row in rows],
        "plans": [float(row["plans"]) for row in rows],
    }
    figure = bars("Share of the saving of perfect foresight", "", sites, shares)
    for trace in figure.data:  # the sites' names are too long to stand under bars
        trace.x, trace.y, trace.orientation = trace.y, trace.x, "h"
    figure.update_xaxes(type="linear", range=[0, 100], title_text="%")
    figure.update_yaxes(type="category", autorange="reversed")
    figure.update_layout(height=110 + ROW_PX * len(rows), margin={"l": 240})
    return figure


def main(data: Path) -> int:
    """Draw both."""
    photographed(a_plan(data), DOCS / "planning-plan.png")
    photographed(the_shares(), DOCS / "planning-shares.png")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
