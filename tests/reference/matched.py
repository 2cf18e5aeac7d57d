"""Our batteries with the parameters of the reference ones, driven as those were, and how far apart they end.

The reference traces are rows of a quarter of an hour: current and power of that time, and what the reference
showed after it. Ours gets either the same power (then charge may differ, and so the state of charge) or the
same current (then energy may).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from math import exp
from pathlib import Path

from simulators.cells.fade import LeadLife
from simulators.cells.lead_acid import LeadAcidCells, LeadAcidParams
from simulators.cells.lithium import LithiumCellParams, LithiumCells

STEP_H = 0.25
PARTS = 15
"""Steps of ours in one of the reference's."""
TRACES = ("lithium_power", "lithium_week", "lead_acid_power", "lead_acid_week")

# Lithium: cells of 3.2 Ah, 14 in series, 62 beside; V and Ah at full, end of the exponential part, nominal.
SERIES, STRINGS, CELL_AH, CELL_OHM = 14, 62, 3.2, 0.04
FULL_V, EXP_V, NOMINAL_V = 4.2, 3.53, 3.342
EXP_AH, NOMINAL_AH, C_RATE = 2.584, 3.126, 0.2

# Lead-acid: a block of 12 V.
BLOCK_CELLS = 6
C20_AH, C10_AH, C1_AH = 100.0, 93.0, 60.0
BLOCK_CELL_OHM = 0.0015


@dataclass(frozen=True, slots=True)
class Row:
    """A quarter of an hour: of the pack, except `cell_v`; wells are those of KiBaM, 0 for lithium."""

    current_a: float
    power_w: float
    cell_v: float
    soc_pct: float
    one_ah: float = 0.0
    two_ah: float = 0.0


@dataclass(frozen=True, slots=True)
class Found:
    """How far apart the models are in something, and how far they may be."""

    name: str
    apart: float
    allowed: float
    unit: str


def tremblay_v(soc_share: float) -> float:
    """The voltage of the lithium cell at rest: Tremblay and Dessaint, World Electric Vehicle J. 3 (2009)."""
    a_v, b_per_ah = FULL_V - EXP_V, 3.0 / EXP_AH
    k_v = (FULL_V - NOMINAL_V + a_v * (exp(-b_per_ah * NOMINAL_AH) - 1)) * (CELL_AH - NOMINAL_AH) / NOMINAL_AH
    e0_v = FULL_V + k_v + CELL_OHM * CELL_AH * C_RATE - a_v
    return e0_v - k_v / soc_share + a_v * exp(-b_per_ah * CELL_AH * (1 - soc_share))


# Depth of discharge (%) and open-circuit voltage of a lead-acid cell, given to both models.
LEAD_V = ((0.0, 2.10), (10.0, 2.085), (30.0, 2.05), (50.0, 2.01), (70.0, 1.965), (90.0, 1.91), (100.0, 1.87))


def lithium(soc_pct: float) -> LithiumCells:
    """14 cells in series, 62 beside each other."""
    points = tuple((number / 200, tremblay_v(max(number / 200, 0.02))) for number in range(201))
    mean_v = sum(volts for _, volts in points[:-1]) / 200
    ah = CELL_AH * STRINGS
    return LithiumCellParams(
        capacity_wh=ah * SERIES * mean_v,
        ocv=points,
        lowest_v=2.5,
        highest_v=4.3,
        resistance=CELL_OHM * CELL_AH / mean_v,
        coulombic_efficiency=1.0,
        leaks_per_h=0.0,
    ).new(soc_pct)


def lead_acid(soc_pct: float) -> LeadAcidCells:
    """One block; nothing gasses and nothing ages, as in the reference."""
    return LeadAcidParams(
        capacity_wh=C10_AH * 2.0 * BLOCK_CELLS,
        capacities=(C20_AH / C10_AH, 1.0, C1_AH / C10_AH),
        life=LeadLife(1e12, 1.0, 1e12),
        ocv=tuple((1 - depth_pct / 100, volts) for depth_pct, volts in reversed(LEAD_V)),
        resistance=BLOCK_CELL_OHM * C10_AH,
        thickening=0.0,
        gas_per_h=0.0,
    ).new(soc_pct)


def read(path: Path) -> list[Row]:
    """A reference trace."""
    with path.open(newline="", encoding="utf-8") as file:
        return [Row(**{name: float(value) for name, value in row.items()}) for row in csv.DictReader(file)]


def write(path: Path, rows: Iterable[Row]) -> None:
    """Six digits of each."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in fields(Row)])
        for row in rows:
            writer.writerow([f"{value:.8g}" for value in asdict(row).values()])


def begun(name: str, soc_pct: float) -> LithiumCells | LeadAcidCells:
    """Our battery of this trace."""
    return lithium(soc_pct) if name.startswith("lithium") else lead_acid(soc_pct)


Power = Callable[[LithiumCells | LeadAcidCells, Row], float]


def same_power(cells: LithiumCells | LeadAcidCells, row: Row) -> float:
    """The reference's power."""
    return row.power_w


def same_current(cells: LithiumCells | LeadAcidCells, row: Row) -> float:
    """The power that makes the reference's current in ours."""
    if row.current_a == 0:
        return 0.0
    series = SERIES if isinstance(cells, LithiumCells) else BLOCK_CELLS
    power_w = row.power_w
    for _ in range(30):
        power_w = row.current_a * series * cells.voltage(power_w)
    return power_w


def driven(name: str, reference: list[Row], power: Power) -> list[Row]:
    """Ours through the same time; powers are means."""
    first = reference[0]
    size_ah = CELL_AH * STRINGS if name.startswith("lithium") else 0.0
    cells = begun(name, first.soc_pct)
    rows = [first]
    for row in reference[1:]:
        energy_wh = 0.0
        for _ in range(PARTS):
            power_w = power(cells, row)
            cells.take(power_w * STEP_H / PARTS, STEP_H / PARTS)
            energy_wh += power_w * STEP_H / PARTS
        one_ah, two_ah = cells.wells_ah if isinstance(cells, LeadAcidCells) else (size_ah, 0.0)
        shown_v = cells.voltage(power(cells, row))
        parts = BLOCK_CELLS if isinstance(cells, LeadAcidCells) else 1
        rows.append(
            Row(
                row.current_a,
                energy_wh / STEP_H,
                shown_v,
                cells.true_soc_pct,
                one_ah / parts,
                two_ah / parts,
            )
        )
    return rows


def compared(name: str, reference: list[Row]) -> list[Found]:
    """How far apart the two models are, and how far they may be."""
    powered = driven(name, reference, same_power)
    flown = driven(name, reference, same_current)
    pairs = list(zip(reference[1:], powered[1:], strict=True))
    found = [
        Found(f"{name}: SoC", max(abs(a.soc_pct - b.soc_pct) for a, b in pairs), 2.0, "% points"),
        Found(f"{name}: voltage", max(100 * abs(b.cell_v / a.cell_v - 1) for a, b in pairs), 3.0, "%"),
    ]
    for word, sign in (("out", 1.0), ("in", -1.0)):
        theirs_wh = sum(max(sign * row.power_w, 0.0) for row in reference[1:])
        ours_wh = sum(max(sign * row.power_w, 0.0) for row in flown[1:])
        found.append(Found(f"{name}: energy {word}", 100 * abs(ours_wh / theirs_wh - 1), 1.0, "%"))
    if name.startswith("lead"):
        full_ah = reference[0].one_ah + reference[0].two_ah
        full_ah *= 100 / reference[0].soc_pct
        wells = max(
            max(abs(a.one_ah - b.one_ah), abs(a.two_ah - b.two_ah))
            for a, b in zip(reference[1:], flown[1:], strict=True)
        )
        found.append(Found(f"{name}: wells", 100 * wells / full_ah, 0.01, "% of capacity"))
    return found
