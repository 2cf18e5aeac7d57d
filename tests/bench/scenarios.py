"""The whole shell with its emulators on loopback TCP, in virtual time."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from controller.lab.hil import run_scenario
from controller.lab.scenario import load_scenario
from tests.bench.measure import Figure

SCENARIO = Path(__file__).parents[1] / "scenarios" / "zero_export.toml"
VIRTUAL_S = 3000.0


def shell_on_sockets() -> Figure:
    """Meter, battery and PV on their sockets, beats and samples of 1 s."""
    scenario = replace(load_scenario(SCENARIO), duration_s=VIRTUAL_S, sample_s=1.0)
    began_s = time.perf_counter()
    run_scenario(scenario)
    took_s = time.perf_counter() - began_s
    return Figure(
        "shell and emulators on loopback TCP", VIRTUAL_S / took_s, "x real time", 1000.0, at_least=True
    )
