"""What a battery is compared with: the same site without one, as its meter would count and its PV be held."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from controller.lab.simulate_command import simulate_site
from controller.lab.study.asked import asked
from controller.lab.study.case import NO_BATTERY, ORACLE, run_case
from tests.unit.study.sites import BEGIN, a_site, case_of, material_of

PV = '\n[[pv]]\nid = "roof"\nprofile = "sunspec-pv"\nconnection = "tcp://127.0.0.1:5022"\n\n[policy]'


def a_day(folder: Path, sun_w: Callable[[int], float]) -> Path:
    """A day by the minute: 1 kW of load, and sun by the minutes of the day."""
    lines = ["timestamp,load_w,pv_w"]
    for minute in range(24 * 60):
        at = BEGIN + timedelta(minutes=minute)
        lines.append(f"{at.isoformat()},1000,{sun_w(minute):g}")
    path = folder / "day.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def at_noon(minute: int) -> bool:
    """Four hours."""
    return 10 * 60 <= minute < 14 * 60


def limited(folder: Path, *, curtails: bool) -> Path:
    """A site that may export 1 kW."""
    site = a_site(folder)
    text = site.read_text(encoding="utf-8").replace("export_limit_w = 5_000", "export_limit_w = 1_000")
    site.write_text(text.replace("\n[policy]", PV) if curtails else text, encoding="utf-8")
    return site


def test_the_meter_counts_a_cloud_of_a_minute_with_a_battery_and_without(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """2 kW of sun in every other minute: half of the 4 hours imports 1 kW, the other half exports it."""
    source = a_day(tmp_path, lambda minute: 2000.0 if at_noon(minute) and minute % 2 else 0.0)
    site = a_site(tmp_path)
    found = asked(site, [source], None, (), (), ("self_consumption",))
    none = run_case(material_of(found), case_of(found, NO_BATTERY))
    assert (none.import_kwh, none.export_kwh) == (pytest.approx(22.0), pytest.approx(2.0))
    simulate_site(site, None, source, 60.0, True)
    simulated = json.loads(capsys.readouterr().out)
    assert simulated["import_without_battery_kwh"] == pytest.approx(22.0)
    best = run_case(material_of(found), case_of(found, ORACLE))
    assert best.cost < run_case(material_of(found), case_of(found, "self_consumption")).cost


def test_without_a_battery_pv_that_can_be_held_down_keeps_the_export_limit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """4 kW of sun beside 1 kW of load: 3 kW could go out, 1 kW may."""
    source = a_day(tmp_path, lambda minute: 4000.0 if at_noon(minute) else 0.0)
    site = limited(tmp_path, curtails=True)
    found = asked(site, [source], None, (), (), ())
    one = run_case(material_of(found), case_of(found, NO_BATTERY))
    assert (one.import_kwh, one.export_kwh) == (pytest.approx(20.0), pytest.approx(4.0))
    assert one.export_credit == pytest.approx(4.0 * 0.08)
    assert found.notes == ()
    simulate_site(site, None, source, 60.0, True)
    simulated = json.loads(capsys.readouterr().out)
    assert simulated["export_without_battery_kwh"] == pytest.approx(4.0)
    assert simulated["bill_export_credit_without_battery"] == pytest.approx(4.0 * 0.08)


def test_pv_that_nobody_can_hold_down_goes_beyond_the_limit_and_the_study_says_so(tmp_path: Path) -> None:
    source = a_day(tmp_path, lambda minute: 4000.0 if at_noon(minute) else 0.0)
    found = asked(limited(tmp_path, curtails=False), [source], None, (), (), ())
    assert run_case(material_of(found), case_of(found, NO_BATTERY)).export_kwh == pytest.approx(12.0)
    assert "day.csv: PV alone exports up to 3000 W, and the site file has no [[pv]]" in found.notes[0]
