"""NREL's BatteryStateful (System Advisor Model, through PySAM) over constant powers and a week of a house.

In current mode: in power mode the lead-acid one misses the power asked for by up to a seventh. KiBaM is not
scaled by `nominal_energy`, so both are set. `StatePack` reads 0 before the first step.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

from PySAM import BatteryStateful

from simulators.traces import SyntheticHouse
from tests.reference.matched import (
    BLOCK_CELL_OHM,
    BLOCK_CELLS,
    C1_AH,
    C10_AH,
    C20_AH,
    CELL_AH,
    CELL_OHM,
    LEAD_V,
    SERIES,
    STEP_H,
    STRINGS,
    TRACES,
    Found,
    Row,
    compared,
    write,
)

WEEK_STEPS = 7 * 96
FLAT = [[-20.0, 100.0], [0.0, 100.0], [20.0, 100.0], [50.0, 100.0]]
"""Capacity over temperature: the same everywhere."""


CONSTANT = ((2.5, 3000.0), (1.0, 0.0), (4.0, -1800.0), (2.0, 0.0), (12.0, 500.0), (2.0, 0.0))
"""Hours and W, one after the other."""


def battery(name: str, soc_pct: float) -> BatteryStateful.BatteryStateful:
    """The reference of a trace, ready to step."""
    lithium = name.startswith("lithium")
    model = BatteryStateful.default("NMCGraphite" if lithium else "LeadAcid")
    values: dict[str, object] = {
        "control_mode": 0.0,
        "dt_hr": STEP_H,
        "input_current": 0.0,
        "minimum_SOC": 0.0,
        "maximum_SOC": 100.0,
        "initial_SOC": soc_pct,
        "cap_vs_temp": FLAT,
    }
    if lithium:
        values |= {
            "nominal_voltage": 3.6 * SERIES,
            "nominal_energy": CELL_AH * STRINGS * 3.6 * SERIES / 1000,
            "resistance": CELL_OHM,
        }
    else:
        values |= {
            "nominal_voltage": 2.0 * BLOCK_CELLS,
            "nominal_energy": C20_AH * 2.0 * BLOCK_CELLS / 1000,
            "Qfull": C20_AH,
            "leadacid_q20": C20_AH,
            "leadacid_q10": C10_AH,
            "leadacid_qn": C1_AH,
            "leadacid_tn": 1.0,
            "resistance": BLOCK_CELL_OHM,
            "voltage_matrix": [list(point) for point in LEAD_V],
        }
    for key, value in values.items():
        model.value(key, value)
    model.setup()
    return model


def asked_w(name: str) -> Iterator[float]:
    """The power of each step, positive out of the battery: constant ones, or a house's load less its sun."""
    scale = 1.0 if name.startswith("lithium") else 0.08
    if name.endswith("power"):
        for hours, power_w in CONSTANT:
            yield from [scale * power_w] * int(hours / STEP_H)
        return
    house = SyntheticHouse(7, first_day=date(2026, 4, 13), pv_peak_w=4000.0, resolution_s=900)
    for step in range(WEEK_STEPS):
        at_s = step * STEP_H * 3600
        yield scale * min(max(house.load.at(at_s) - house.pv.at(at_s), -2500.0), 2500.0)


def stepped(name: str) -> list[Row]:
    """The reference through its trace; it rests at 90 % and at 25 %."""
    soc_pct = 80.0
    model = battery(name, soc_pct)
    state, cell = model.StatePack, model.StateCell
    lead_acid = name.startswith("lead")

    def wells() -> tuple[float, float]:
        return (cell.q1_0, cell.q2_0) if lead_acid else (0.0, 0.0)

    voltage_v = (2.0 * BLOCK_CELLS) if lead_acid else (3.6 * SERIES)
    rows = [Row(0.0, 0.0, voltage_v / (BLOCK_CELLS if lead_acid else SERIES), soc_pct, *wells())]
    for power_w in asked_w(name):
        rests = (power_w < 0 and soc_pct > 90.0) or (power_w > 0 and soc_pct < 25.0)
        model.value("input_current", 0.0 if rests else power_w / voltage_v)
        model.execute(0)
        soc_pct, voltage_v = state.SOC, state.V
        rows.append(Row(state.I, 1000 * state.P, cell.cell_voltage, soc_pct, *wells()))
    return rows


def run(folder: Path) -> list[Found]:
    """Run the reference, write its traces, and compare ours with each."""
    folder.mkdir(exist_ok=True)
    found: list[Found] = []
    for name in TRACES:
        rows = stepped(name)
        write(folder / f"{name}.csv", rows)
        found += compared(name, rows)
    return found
