"""A dozen of the library in real time, over TCP, on serial lines and over TLS: five minutes for each kind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

LIBRARY = Path(__file__).parents[1] / "scenarios"
DOZEN = (
    "zero_export",
    "soft_export_15s",
    "ul1741_pcs",
    "operator_import",
    "two_share",
    "link_silent",
    "link_late",
    "link_garbage",
    "meter_frozen",
    "meter_x10",
    "battery_reboots",
    "controller_killed",
)
LONGEST_S = 900.0


@pytest.mark.parametrize("way", ["tcp", "rtu", "tls"])
def test_a_dozen_scenarios_hold_in_real_time_too(tmp_path: Path, way: str) -> None:
    words = ("hil", "--real-time", "--over", way, "--report", str(tmp_path))
    running = [
        subprocess.Popen([sys.executable, "-m", "controller", *words, str(LIBRARY / f"{name}.toml")])
        for name in DOZEN
    ]
    for one in running:
        one.wait(LONGEST_S)
    told = {name: json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8")) for name in DOZEN}
    # Whether this host keeps the beat is not for a test to ask; that the claims hold, is.
    broken = [
        (name, claim["text"]) for name, one in told.items() for claim in one["claims"] if not claim["held"]
    ]
    assert broken == []
