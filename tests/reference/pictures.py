"""The pictures of docs/simulation.md: `python -m tests.reference.pictures [NAME ...]`, with chromium.

Each function draws one from the models themselves, with nothing made up in between.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import date
from math import inf, log10
from pathlib import Path
from typing import Any

from controller.lab.figures import Band, Line, Panel, stacked
from simulators.cells import Cells, chemistry
from simulators.cells.fade import LeadFade, LeadLife, LfpFade, NmcFade
from simulators.cells.kibam import fitted
from simulators.cells.lead_acid import LeadAcidCells
from simulators.cells.lithium import LithiumCells
from simulators.cells.presets import Kind
from simulators.converter import InverterParams
from simulators.fuse import melting_s
from simulators.grid import GridTraces, OutageTrace
from simulators.site import BatteryUnit, House, PvUnit
from simulators.systems import measured_systems
from simulators.traces import SyntheticHouse
from tests.reference.matched import STEP_H, driven, read, same_power

FOLDER = Path(__file__).parents[2] / "docs" / "simulation"
TRACES = Path(__file__).parent / "traces"
WIDTH_PX = 920
QUIET = {"displayModeBar": False}
OURS, THEIRS, OTHER, FOURTH = "#b0413e", "#2563a8", "#1b7f5c", "#e0a100"


def a_battery(kind: Kind, soc_pct: float, **changes: float) -> Cells:
    usual = {"max_charge_w": 5000.0, "max_discharge_w": 5000.0}
    return chemistry(kind, 10_000.0, **(usual | changes)).new(soc_pct)


def reference() -> Any:
    """A week of a house in both models."""
    panels = []
    for name, title in (("lithium_week", "Lithium, 10 kWh"), ("lead_acid_week", "Lead-acid, 1.2 kWh")):
        theirs = read(TRACES / f"{name}.csv")
        ours = driven(name, theirs, same_power)
        days = [number * STEP_H / 24 for number in range(len(theirs))]
        pairs = (("NREL", theirs, THEIRS), ("Penstock", ours, OURS))
        for what, unit, values in (
            ("state of charge", "%", lambda row: row.soc_pct),
            ("voltage of a cell", "V", lambda row: row.cell_v),
        ):
            lines = [
                Line(
                    f"{who}, {what}",
                    days[1:],
                    [values(row) for row in rows[1:]],
                    colour,
                    dashed=who != "NREL",
                )
                for who, rows, colour in pairs
            ]
            panels.append(Panel(f"{title}: {what}", unit, lines))
    return stacked(panels, x_title="days")


def voltages() -> Any:
    """Cell voltages at rest and under way."""
    socs_pct = [number / 2 for number in range(1, 201)]
    panels = []
    for kind, title in (("lfp", "LFP"), ("nmc", "NMC"), ("agm", "AGM lead-acid")):
        lines = []
        volts: list[float | None]
        for word, power_w, colour in (
            ("at rest", 0.0, THEIRS),
            ("discharging in 5 h", 2000.0, OURS),
            ("charging in 5 h", -2000.0, OTHER),
        ):
            volts = []
            for soc_pct in socs_pct:
                cells = a_battery(kind, soc_pct)
                assert isinstance(cells, LithiumCells | LeadAcidCells)
                shown_v = cells.voltage(power_w)
                volts.append(shown_v if kind != "agm" or shown_v <= 2.41 else None)
            lines.append(Line(f"{title} {word}", socs_pct, volts, colour))
        panels.append(Panel(title, "V a cell", lines))
    return stacked(panels, x_title="state of charge, %")


def rates() -> Any:
    """What lead-acid gives when it is emptied faster or slower, and how it recovers."""
    hours = [number / 4 for number in range(2, 81)]
    sheets = (
        ("AGM", (106.0, 100.0, 65.0)),
        ("flooded", (109.0, 100.0, 58.0)),
        ("OPzS", (109.0, 100.0, 55.0)),
    )
    lines = [
        Line(name, hours, [fitted(*sheet).capacity_ah(hour) for hour in hours], colour)
        for (name, sheet), colour in zip(sheets, (THEIRS, OURS, OTHER), strict=True)
    ]
    figure = stacked([Panel("What it gives until empty", "% of the 10 h capacity", lines)], x_title="hours")
    figure.update_layout(height=380)
    return figure


def recovery() -> Any:
    """Emptied in an hour, then left alone."""
    wells = fitted(106.0, 100.0, 65.0)
    one_ah, two_ah = wells.share * wells.most_ah, (1 - wells.share) * wells.most_ah
    first, second = [], []
    hours = [minute / 60 for minute in range(241)]
    current_a = 65.0
    for _ in hours:
        first.append(one_ah)
        second.append(two_ah)
        if one_ah < 1.1:
            current_a = 0.0
        one_ah, two_ah = wells.after(one_ah, two_ah, current_a, 1 / 60)
    lines = [Line("well 1, at hand", hours, first, OURS), Line("well 2, bound", hours, second, THEIRS)]
    figure = stacked([Panel("AGM of 100 Ah, emptied in an hour, then at rest", "Ah", lines)], x_title="hours")
    figure.update_layout(height=380)
    return figure


def charges() -> Any:
    """How a charge ends."""
    panels = []
    for kind, title in (("lfp", "LFP"), ("agm", "AGM lead-acid: absorption, then float")):
        cells = a_battery(kind, 20.0)
        assert isinstance(cells, LithiumCells | LeadAcidCells)
        hours, powers_w, volts, socs_pct = [], [], [], []
        for minute in range(18 * 60):
            power_w = min(2500.0, cells.charge_limit_w())
            hours.append(minute / 60)
            powers_w.append(power_w)
            volts.append(cells.voltage(-power_w))
            socs_pct.append(cells.true_soc_pct)
            cells.take(-power_w / 60, 1 / 60)
        panels.append(Panel(f"{title}: power", "W", [Line(f"{kind} power", hours, powers_w, "battery")]))
        panels.append(Panel(f"{title}: voltage", "V a cell", [Line(f"{kind} voltage", hours, volts, OURS)]))
    return stacked(panels, x_title="hours")


def outage() -> Any:
    """A summer day without a grid from noon to the next morning."""
    traces = SyntheticHouse(3, first_day=date(2026, 6, 18), pv_peak_w=6000.0, resolution_s=60)
    gone = (12 * 3600.0, 18 * 3600.0)
    cells = chemistry("lfp", 6000.0, max_charge_w=3000.0, max_discharge_w=3000.0)
    house = House(
        traces.load,
        [PvUnit(traces.pv, 6000.0)],
        [BatteryUnit(cells, InverterParams(3000.0, 3000.0), 40.0)],
        grid=GridTraces(present=OutageTrace([gone])),
        trace_begin_s=6 * 3600.0,
    )
    battery = house.battery(0)
    hours: list[float] = []
    found: dict[str, list[float]] = {
        name: [] for name in ("load", "wanted", "pv", "sun", "battery", "pcc", "soc")
    }
    for minute in range(26 * 60):
        house.advance(minute * 60.0)
        hours.append(6 + minute / 60)
        unit = house.batteries[0]
        for name, value in (
            ("load", house.load_w),
            ("wanted", house.demand_w),
            ("pv", house.pv_generation_w),
            ("sun", house.available_w),
            ("battery", unit.power_w),
            ("pcc", house.pcc_import_w),
            ("soc", unit.cells.true_soc_pct),
        ):
            found[name].append(value)
        battery.order(house.now_s, house.pcc_import_w + unit.power_w, inf)
    band = Band(gone[0] / 3600, (gone[0] + gone[1]) / 3600, "no grid", "outage")
    return stacked(
        [
            Panel(
                "Load and sun; what is dotted was wanted or offered, but not served or taken",
                "W",
                [
                    Line("load wanted", hours, found["wanted"], "#94a3b8", "steps", dashed=True),
                    Line("load", hours, found["load"], "load", "steps"),
                    Line("sun", hours, found["sun"], "#f3d27a", "steps", dashed=True),
                    Line("PV", hours, found["pv"], "pv", "steps"),
                ],
            ),
            Panel(
                "Battery (charging below 0) and grid",
                "W",
                [
                    Line("battery", hours, found["battery"], "battery", "steps"),
                    Line("grid", hours, found["pcc"], "pcc", "steps"),
                ],
            ),
            Panel("State of charge", "%", [Line("SoC", hours, found["soc"], "soc")]),
        ],
        [band],
        x_title="hour",
    )


def gauge() -> Any:
    """The BMS loses count until it sees full again."""
    cells = a_battery("lfp", 30.0)
    days, true_pct, shown_pct = [], [], []
    for hour in range(24 * 40):
        charging = hour % 24 < 8
        full = hour // 24 in (28, 29)
        power_w = -515.0 if charging else 250.0
        if full:
            power_w = -900.0 if charging else 0.0
        for _ in range(12):
            limited_w = (
                max(power_w, -cells.charge_limit_w())
                if power_w < 0
                else min(power_w, cells.discharge_limit_w())
            )
            cells.take(limited_w / 12, 1 / 12)
        days.append(hour / 24)
        true_pct.append(cells.true_soc_pct)
        shown_pct.append(cells.soc_pct)
    error = [shown - true for shown, true in zip(shown_pct, true_pct, strict=True)]
    return stacked(
        [
            Panel(
                "An LFP battery that is cycled for four weeks without ever being full, and then filled",
                "%",
                [Line("true", days, true_pct, THEIRS), Line("as the BMS shows it", days, shown_pct, OURS)],
            ),
            Panel("Error of the BMS", "% points", [Line("error", days, error, OURS)]),
        ],
        x_title="days",
    )


def ageing() -> Any:
    """Ten years of a daily cycle, and of standing by."""
    years = [day / 365.25 for day in range(0, 3653, 7)]
    cycled: dict[str, list[float | None]] = {}
    rested: dict[str, list[float | None]] = {}
    for name, make, cell_v in (
        ("LFP", LfpFade, 3.3),
        ("NMC", NmcFade, 3.75),
        ("AGM", lambda: LeadFade(LeadLife(900.0, 1.2, 10.0)), 2.1),
        ("OPzS", lambda: LeadFade(LeadLife(2800.0, 1.15, 18.0)), 2.1),
    ):
        for store, depth in ((cycled, 0.6), (rested, 0.0)):
            fade = make()
            fade.rest(4383.0, 20.0, 0.5, cell_v)
            new = fade.loss
            left: list[float | None] = []
            for _ in years:
                left.append(100 * (1 - fade.loss + new) if fade.loss < 0.5 else None)
                for _ in range(7):
                    fade.rest(24.0, 25.0, 0.6 if depth else 0.95, cell_v)
                    if depth:
                        fade.half_cycle(depth, 0.2, cell_v)
                        fade.half_cycle(depth, 0.2, cell_v)
            store[name] = left
    colours = dict(zip(cycled, (THEIRS, OURS, OTHER, FOURTH), strict=True))
    return stacked(
        [
            Panel(
                "A cycle of 60 % a day, 25 C",
                "% of the capacity",
                [Line(f"{name}, cycled", years, left, colours[name]) for name, left in cycled.items()],
            ),
            Panel(
                "Standing by, nearly full, 25 C",
                "% of the capacity",
                [Line(f"{name}, standing by", years, left, colours[name]) for name, left in rested.items()],
            ),
        ],
        x_title="years",
    )


def inverters() -> Any:
    """Efficiency over power of the measured systems."""
    parts = [number / 100 for number in range(2, 101)]
    panels = []
    for title, charging in (("Charging", True), ("Discharging", False)):
        lines = []
        for (name, system), colour in zip(
            measured_systems().items(), (THEIRS, OURS, OTHER, FOURTH, "#64748b"), strict=False
        ):
            curve = system.charge_loss if charging else system.discharge_loss
            shares = []
            for part in parts:
                ac_w = part * curve.rated_w
                kept = curve.charging_dc_w(ac_w) / ac_w if charging else ac_w / curve.discharging_dc_w(ac_w)
                shares.append(100 * kept)
            lines.append(
                Line(f"{name} {system.name}, {title.lower()}", [100 * p for p in parts], shares, colour)
            )
        panels.append(Panel(title, "%", lines))
    return stacked(panels, x_title="% of the rated power")


def fuse() -> Any:
    """Time to melt, between the gates of the standard for 25 A."""
    ratings = [10 ** (number / 100) for number in range(10, 121)]
    pairs = [(25 * one, melting_s(one)) for one in ratings if melting_s(one) < inf]
    figure = stacked(
        [
            Panel(
                "A gG fuse of 25 A: time to melt, and gates of IEC 60269-1 that it passes between",
                "seconds (powers of ten)",
                [
                    Line("melts", [a for a, _ in pairs], [log10(s) for _, s in pairs], OURS),
                    Line("not sooner", [52.0, 150.0], [1.0, -1.0], OTHER, "points"),
                    Line("not later", [110.0, 260.0], [log10(5.0), -1.0], THEIRS, "points"),
                ],
            )
        ],
        x_title="A",
    )
    figure.update_layout(height=380, xaxis={"type": "log"})
    return figure


PICTURES: dict[str, Callable[[], Any]] = {
    "reference": reference,
    "voltages": voltages,
    "rates": rates,
    "recovery": recovery,
    "charges": charges,
    "outage": outage,
    "gauge": gauge,
    "ageing": ageing,
    "inverters": inverters,
    "fuse": fuse,
}


def photographed(figure: Any, path: Path) -> None:
    """The figure as a PNG, by chromium; its path is printed."""
    figure.update_layout(width=WIDTH_PX)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        drawn = figure.to_html(include_plotlyjs=True, full_html=False, config=QUIET)
        page.write_text(f"<body style='margin:0'>{drawn}</body>", encoding="utf-8")
        size = f"--window-size={WIDTH_PX},{figure.layout.height}"
        command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", size]
        command += [f"--screenshot={path}", "--virtual-time-budget=4000", page.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    print(path)


def main(names: list[str]) -> int:
    """Draw these, or all."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in names or list(PICTURES):
        photographed(PICTURES[name](), FOLDER / f"{name}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
