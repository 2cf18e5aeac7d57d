"""One battery of a scenario is real, here a program of its own; the rest of the house is emulated."""

from __future__ import annotations

import json
from pathlib import Path

from tests.penstock import free_ports, penstock, result_of, wait_for_port

SITE = """
site = "house-7"
[[meter]]
id = "grid"
profile = "eastron-sdm630"
connection = "tcp://127.0.0.1:{0}"
[[battery]]
id = "bat1"
profile = "sunspec-hybrid"
connection = "tcp://127.0.0.1:{1}"
capacity_wh = 10_000
[simulation]
initial_soc_pct = {2}
"""
SCENARIO = """
title = "A real battery in an emulated house"
duration_s = 14
[site]
file = "{}"
[load]
power_w = 500
[[claim]]
claim = "settles"
signal = "pcc_import_w"
to = 0
tolerance = 100
after_s = 0
within_s = 9
[[claim]]
claim = "value"
signal = "bat1.soc_pct"
at_s = 12
at_least = 69
at_most = 71
[[claim]]
claim = "refreshes"
device = "bat1"
every_s = 10
from_s = 3
"""


def test_an_emulated_meter_counts_a_real_battery_and_its_readings_are_judged(tmp_path: Path) -> None:
    there, battery, here = free_ports(3)
    real, site, scenario = tmp_path / "real.toml", tmp_path / "site.toml", tmp_path / "mixed.toml"
    real.write_text(SITE.format(there, battery, 70), encoding="utf-8")
    site.write_text(SITE.format(here, battery, 50), encoding="utf-8")
    scenario.write_text(SCENARIO.format(site), encoding="utf-8")
    with penstock("emulate", str(real)):
        wait_for_port(battery)
        told = result_of(
            "hil", str(scenario), "--real-time", "--real", "bat1", "--report", str(tmp_path / "out")
        )
    verdict = json.loads((tmp_path / "out" / "mixed.json").read_text(encoding="utf-8"))
    assert verdict["held"], told.stdout
    assert verdict["real"] == ["bat1"]
    assert verdict["slack_s"] > 1.0
    assert "with bat1 real, times are judged" in told.stdout
    virtual = result_of("hil", str(scenario), "--real", "bat1")
    assert virtual.returncode == 2
    assert "real devices know only real time; add --real-time" in virtual.stderr
