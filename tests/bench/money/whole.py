"""The Belgian home through `penstock study`: the whole controller on the laboratory's plant, every second.

The loop of `course.py` has the policies alone and a battery as the planner sees it. Here `step` decides with
all its limits, and the plant has lags, a charge taper and standby losses.
"""

from __future__ import annotations

import gzip
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.table import Table

from controller.lab.study.asked import asked
from controller.lab.study.shown import table_of
from controller.lab.study.work import run_here

HOME = "be_home1_2024_15min.csv.gz"
SITE = """
site = "be-home1"
grid = {import_limit_w = 9200, export_limit_w = 9200, phases = 1}
policy = {grid_charging = true, battery_export = true}
planning = {wear_per_kwh = 0.02}

[[meter]]
id = "grid"
profile = "eastron-sdm630"
connection = "tcp://127.0.0.1:5020"

[[battery]]
id = "bat1"
profile = "sunspec-hybrid"
connection = "tcp://127.0.0.1:5021"
capacity_wh = 10000
max_charge_w = 4000
max_discharge_w = 4000

[tariff]
currency = "EUR"
import = {market = true}
export = {market = true, factor = 0.9064002959674436, offset_per_kwh = -0.1322519422863485}
prices = {csv = "home.csv", column = "import_price_eur_per_kwh"}
"""
"""Export earns 0.98 x day-ahead - 0.015, import costs 1.0812 x day-ahead + 0.12936: one gives the other."""


def whole_controller(data: Path, advance: Callable[[float], None]) -> Table:
    """The study's own table; `advance` hears how much of it is done, as a share."""
    with tempfile.TemporaryDirectory() as folder:
        measured, site = Path(folder) / "home.csv", Path(folder) / "site.toml"
        measured.write_bytes(gzip.decompress((data / "residential" / HOME).read_bytes()))
        site.write_text(SITE, encoding="utf-8")
        study = asked(site, [measured], None, (10_000.0,), (4000.0,), ("self_consumption", "economic"))
    outcomes = run_here(
        study.materials, study.cases, os.cpu_count() or 1, lambda _: advance(1.0 / len(study.cases))
    )
    return table_of(outcomes, study.cases, study.tariff.currency)
