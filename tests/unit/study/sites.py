"""A small study: two weeks of a synthetic home by the hour, on a tariff by time of use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from controller.lab.study.asked import Study
from controller.lab.study.case import Case, Material
from simulators.traces import SyntheticHouse

SITE = """
site = "small"

[grid]
import_limit_w = 9_000
export_limit_w = 5_000
phases = 1

[[meter]]
id = "grid"
profile = "eastron-sdm630"
connection = "tcp://127.0.0.1:5020"

[[battery]]
id = "bat1"
profile = "sunspec-hybrid"
connection = "tcp://127.0.0.1:5021"
capacity_wh = 8_000
max_charge_w = 3_000
max_discharge_w = 3_000

[policy]
grid_charging = true

[tariff]
currency = "EUR"
per_month = 6.0

[[tariff.import.period]]
name = "day"
per_kwh = 0.40
from = "06:00"
to = "22:00"

[[tariff.import.period]]
name = "night"
per_kwh = 0.20
from = "22:00"
to = "06:00"

[tariff.export]
per_kwh = 0.08

[simulation]
latitude_deg = 50
"""
BEGIN = datetime(2025, 5, 5, tzinfo=UTC)


def a_site(folder: Path) -> Path:
    path = folder / "small.toml"
    path.write_text(SITE, encoding="utf-8")
    return path


def billed_site(folder: Path, more: str = "", begin_soc_pct: float = 50.0) -> Path:
    """The same with a demand charge, which `more` lines tell more of."""
    path = a_site(folder)
    charge = f'[[tariff.demand]]\nname = "peak"\nper_kw = 10.0\n{more}\n[simulation]'
    text = path.read_text(encoding="utf-8").replace("[simulation]", charge)
    path.write_text(f"{text}initial_soc_pct = {begin_soc_pct}\n", encoding="utf-8")
    return path


def material_of(study: Study) -> Material:
    """That of its only time."""
    return next(iter(study.materials.values()))


def case_of(study: Study, policy: str) -> Case:
    """The first case with this policy."""
    return next(case for case in study.cases if case.policy == policy)


def measured(folder: Path, days: int = 14, name: str = "spring.csv", minutes: int = 60) -> Path:
    """A CSV as a meter would leave it."""
    house = SyntheticHouse(
        "study", first_day=BEGIN.date(), load_kwh_per_year=4000.0, pv_peak_w=4000.0, resolution_s=3600
    )
    lines = ["timestamp,load_w,pv_w"]
    for row in range(24 * 60 * days // minutes):
        at_s = row * minutes * 60.0
        at = BEGIN + timedelta(seconds=at_s)
        lines.append(f"{at.isoformat()},{house.load.at(at_s):.0f},{house.pv.at(at_s):.0f}")
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
