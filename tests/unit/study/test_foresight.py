"""Perfect foresight goes by the windows that are billed, however long the steps of the data are."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from controller.lab.study.asked import Study, asked
from controller.lab.study.case import NO_BATTERY, ORACLE, Material, run_case
from controller.lab.study.foresight import billed_peaks, foreseen, leave_of, reserve_yields, storage_of
from controller.lab.study.plant import best_efficiency
from tests.unit.study.sites import BEGIN, a_site, billed_site, case_of, material_of, measured


def material_with(folder: Path, minutes: int, window_min: int, hours: str = "") -> Material:
    path = measured(folder, days=2, minutes=minutes)
    site = billed_site(folder, f"window_min = {window_min}\n{hours}")
    return material_of(asked(site, [path], None, (8000.0,), (3000.0,), ()))


@pytest.mark.parametrize("minutes", [5, 10, 15, 20, 60])
@pytest.mark.parametrize("window_min", [15, 30, 60])
def test_the_bill_of_its_course_has_the_peak_it_chose(minutes: int, window_min: int, tmp_path: Path) -> None:
    path = measured(tmp_path, days=2, minutes=minutes)
    site = billed_site(tmp_path, f"window_min = {window_min}")
    found = asked(site, [path], None, (8000.0,), (3000.0,), ())
    material, case = material_of(found), case_of(found, ORACLE)
    chosen_w = foreseen(material, storage_of(material, case)).peaks_w
    assert len(chosen_w) == 1
    best, none = run_case(material, case), run_case(material, case_of(found, NO_BATTERY))
    assert best.demand_cost == pytest.approx(10.0 * chosen_w[0] / 1000.0, abs=1e-3)
    assert best.demand_cost < none.demand_cost


@pytest.mark.parametrize(
    ("minutes", "window_min", "windows", "shares"),
    [
        (15, 15, 192, {1.0}),
        (5, 15, 192, {1.0}),  # 5-min data are studied by the quarter hour
        (15, 60, 48, {0.25}),
        (10, 15, 192, {1 / 3, 2 / 3}),
        (20, 60, 48, {1 / 3}),
        (60, 60, 48, {1.0}),
        (60, 15, 192, {1.0}),
    ],
)
def test_a_step_counts_in_each_window_by_its_part(
    minutes: int, window_min: int, windows: int, shares: set[float], tmp_path: Path
) -> None:
    (billed,) = billed_peaks(material_with(tmp_path, minutes, window_min))
    assert billed.windows == windows
    assert sorted({round(float(one), 9) for one in billed.share}) == pytest.approx(sorted(shares))


def quarters(folder: Path, load_w: dict[int, int]) -> Path:
    """A day of quarter hours with 500 W, but for some hours."""
    lines = ["timestamp,load_w,pv_w"]
    for row in range(96):
        at = BEGIN + timedelta(minutes=15 * row)
        lines.append(f"{at.isoformat()},{load_w.get(at.hour, 595 - row)},0")
    path = folder / "day.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def studied(folder: Path, more: str, policies: tuple[str, ...], load_w: dict[int, int]) -> Study:
    """The small site with other lines in [policy]."""
    site = a_site(folder)
    text = site.read_text(encoding="utf-8").replace("grid_charging = true", more)
    site.write_text(text, encoding="utf-8")
    return asked(site, [quarters(folder, load_w)], None, (), (), policies)


def test_it_goes_below_the_reserve_where_the_controller_has_to_for_the_import_limit(tmp_path: Path) -> None:
    """11 kW at 18 h, 9 may be bought: 2 kWh come from below the reserve of 50 %, which is where it begins."""
    found = studied(tmp_path, "reserve_pct = 50", ("self_consumption",), {18: 11_000})
    material, case = material_of(found), case_of(found, ORACLE)
    assert np.flatnonzero(reserve_yields(material)).tolist() == [72, 73, 74, 75]
    best, own = run_case(material, case), run_case(material, case_of(found, "self_consumption"))
    assert own.soc_by_day[0][23] == pytest.approx(50.0 - 2.0 / 0.95 / 8.0 * 100.0, abs=1.0)
    assert best.cost <= own.cost
    soc_pct = foreseen(material, storage_of(material, case)).soc_pct
    assert min(soc_pct[:72]) == pytest.approx(50.0), "not before"


def test_it_may_buy_for_the_battery_where_a_policy_that_is_studied_does(tmp_path: Path) -> None:
    for policy, buys in (("self_consumption", False), ("standby", True)):
        found = studied(tmp_path, "grid_charging = false", (policy,), {})
        assert leave_of(material_of(found)).grid_charging is buys, policy


@pytest.mark.parametrize("cells", ["lfp", "nmc"])
def test_cells_of_physics_lose_nothing_in_it(cells: str, tmp_path: Path) -> None:
    """Of the 95 % one way the inverter has its root, and the cells lose the less the slower they are used."""
    found = studied(tmp_path, "grid_charging = true", ("self_consumption",), {})
    simulation = replace(found.config.simulation, cells=cells)
    assert best_efficiency(found.config) == (0.95, 0.95)
    assert best_efficiency(replace(found.config, simulation=simulation)) == pytest.approx((0.95**0.5,) * 2)


def test_of_a_price_in_steps_there_is_no_bound_and_the_study_says_so(tmp_path: Path) -> None:
    tiers = [[{"rate": 0.2, "max": 10.0}, {"rate": 0.4}]]
    always = [[0] * 24] * 12
    rate = {"energyratestructure": tiers, "energyweekdayschedule": always, "energyweekendschedule": always}
    (tmp_path / "rate.json").write_text(json.dumps(rate), encoding="utf-8")
    source = quarters(tmp_path, {})
    found = asked(a_site(tmp_path), [source], tmp_path / "rate.json", (), (), ("self_consumption",))
    assert ORACLE not in {case.policy for case in found.cases}
    assert "perfect foresight is left out: a kWh has another price" in found.notes[-1]


def test_only_windows_of_the_hours_that_are_billed_count(tmp_path: Path) -> None:
    hours = 'from = "17:00"\nto = "20:00"'
    (billed,) = billed_peaks(material_with(tmp_path, 15, 30, hours))
    assert billed.windows == 12
    assert sorted({int(one) % 96 // 4 for one in billed.step}) == [17, 18, 19]
