"""Perfect foresight goes by the windows that are billed, however long the steps of the data are."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.lab.study.asked import asked
from controller.lab.study.case import NO_BATTERY, ORACLE, Material, run_case
from controller.lab.study.foresight import billed_peaks, foreseen, storage_of
from tests.unit.study.sites import billed_site, case_of, material_of, measured


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


def test_only_windows_of_the_hours_that_are_billed_count(tmp_path: Path) -> None:
    hours = 'from = "17:00"\nto = "20:00"'
    (billed,) = billed_peaks(material_with(tmp_path, 15, 30, hours))
    assert billed.windows == 12
    assert sorted({int(one) % 96 // 4 for one in billed.step}) == [17, 18, 19]
