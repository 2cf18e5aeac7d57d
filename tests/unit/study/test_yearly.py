"""What a short time comes to in a year: days go on, demand charges are of twelve months, cash has no wear."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controller.lab.study.asked import asked
from controller.lab.study.case import NO_BATTERY, Case, Outcome, run_case
from controller.lab.study.page import Frame, study_page
from controller.lab.study.yearly import cost_a_year, saved_a_year
from tests.unit.study.sites import billed_site, case_of, material_of


def hourly(folder: Path, begin: datetime, loads_w: list[float]) -> Path:
    lines = ["timestamp,load_w,pv_w"]
    for hour, load_w in enumerate(loads_w):
        lines.append(f"{(begin + timedelta(hours=hour)).isoformat()},{load_w:g},0")
    path = folder / "data.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def without_battery(site: Path, source: Path) -> Outcome:
    found = asked(site, [source], None, (), (), ())
    return run_case(material_of(found), case_of(found, NO_BATTERY))


def test_ten_days_of_a_month_have_its_charge_once_and_a_year_has_it_twelve_times(tmp_path: Path) -> None:
    """Days of 1 kW with a peak of 2 kW at 19 h, at 10 EUR per kW."""
    day_w = [1000.0] * 19 + [2000.0] + [1000.0] * 4
    one = without_battery(
        billed_site(tmp_path), hourly(tmp_path, datetime(2025, 7, 5, tzinfo=UTC), day_w * 10)
    )
    assert one.demand_cost == pytest.approx(20.0)
    assert one.demand_a_year == pytest.approx(240.0)
    # A day has 17 kWh at 0.40 and 8 at 0.20 EUR; fixed fees are 6 EUR a month of 31 days.
    assert cost_a_year(one, 10.0, wear=True) == pytest.approx(365.25 * (8.40 + 6.0 / 31) + 240.0)


def test_an_hour_of_a_month_is_no_month(tmp_path: Path) -> None:
    """The last hour of July has 1 kW, August a peak of 3 kW: nearly 12 x 30 EUR, not 13 months."""
    august_w = [500.0 + hour % 24 for hour in range(31 * 24)]
    august_w[100] = 3000.0
    source = hourly(tmp_path, datetime(2025, 7, 31, 23, tzinfo=UTC), [1000.0, *august_w])
    one = without_battery(billed_site(tmp_path), source)
    assert one.months == ("2025-07", "2025-08")
    assert one.demand_cost == pytest.approx(10.0 + 30.0)
    hour = 1.0 / (31 * 24)
    assert one.demand_a_year == pytest.approx(12.0 * (10.0 * hour + 30.0) / (1.0 + hour))


def test_cash_is_without_wear_and_the_page_pays_back_with_cash(tmp_path: Path) -> None:
    found = asked(
        billed_site(tmp_path),
        [hourly(tmp_path, datetime(2025, 7, 5, tzinfo=UTC), ([500.0] * 12 + [501.0] * 12) * 10)],
        None,
        (),
        (),
        ("self_consumption",),
    )
    none = run_case(material_of(found), case_of(found, NO_BATTERY))
    case = case_of(found, "self_consumption")
    # It pays 100 EUR less for energy in ten days, of which 20 EUR are wear; demand is the same.
    less = replace(none, case=case, energy_cost=none.energy_cost - 100.0, wear_cost=20.0, full_cycles=1.0)
    outcomes: dict[Case, Outcome] = {none.case: none, case: less}
    assert saved_a_year(outcomes, case, 10.0, wear=True) == pytest.approx(80.0 * 36.525)
    assert saved_a_year(outcomes, case, 10.0, wear=False) == pytest.approx(100.0 * 36.525)
    frame = Frame("small", "EUR", "a tariff", {"data": 10.0}, cost_fixed=36_525.0)
    text = study_page(frame, outcomes, [none.case, case])
    assert "it saves 80.00 EUR over this time, 2,922 EUR a year" in text
    assert "its price of 36,525 EUR is back after 10.0 years" in text
