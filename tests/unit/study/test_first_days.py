"""A site's first days under a demand charge, of which it knows nothing."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from controller.lab.study.asked import Study, asked
from controller.lab.study.case import NO_BATTERY, Outcome, run_case
from tests.unit.study.sites import BEGIN, billed_site, case_of, material_of, measured


def costs_of(found: Study) -> tuple[Outcome, Outcome]:
    """Without a battery, and with plans."""
    none, planned = (run_case(material_of(found), case_of(found, one)) for one in (NO_BATTERY, "economic"))
    return none, planned


def test_a_battery_that_charges_from_the_grid_makes_no_peak(tmp_path: Path) -> None:
    site = billed_site(tmp_path, begin_soc_pct=10.0)
    none, planned = costs_of(
        asked(site, [measured(tmp_path, days=3)], None, (8000.0,), (3000.0,), ("economic",))
    )
    assert planned.charged_kwh > 5.0
    assert planned.monthly_peak_w[0] <= 1.02 * none.monthly_peak_w[0]


def test_charge_is_kept_for_an_evening_that_nobody_has_seen(tmp_path: Path) -> None:
    """700 W all day, 4 kW from 17 to 19 h: holding it at 0 from midnight on empties 4 kWh before 6 h."""
    lines = ["timestamp,load_w,pv_w"]
    for row in range(96):
        load_w = 4000 if 68 <= row < 76 else 700
        lines.append(f"{(BEGIN + timedelta(minutes=15 * row)).isoformat()},{load_w},0")
    path = tmp_path / "first_day.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    site = billed_site(tmp_path)
    text = site.read_text(encoding="utf-8").replace("grid_charging = true", "grid_charging = false")
    site.write_text(text, encoding="utf-8")
    none, planned = costs_of(asked(site, [path], None, (8000.0,), (3000.0,), ("economic",)))
    assert none.monthly_peak_w[0] == 4000.0
    assert planned.monthly_peak_w[0] < 3000.0
