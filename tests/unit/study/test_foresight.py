"""Perfect foresight goes by the windows that are billed, however long the steps of the data are."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.lab.study.asked import asked
from controller.lab.study.case import NO_BATTERY, ORACLE, Material, run_case
from controller.lab.study.foresight import billed_peaks, foreseen, storage_of
from tests.unit.study.sites import a_site, measured
from tests.unit.study.test_cases import case_of


def billed_site(folder: Path, window_min: int, hours: str = "") -> Path:
    site = a_site(folder)
    charge = (
        f'[[tariff.demand]]\nname = "peak"\nper_kw = 10.0\nwindow_min = {window_min}\n{hours}\n[simulation]'
    )
    site.write_text(site.read_text(encoding="utf-8").replace("[simulation]", charge), encoding="utf-8")
    return site


def material_with(folder: Path, minutes: int, window_min: int, hours: str = "") -> Material:
    path = measured(folder, days=2, minutes=minutes)
    site = billed_site(folder, window_min, hours)
    return next(iter(asked(site, [path], None, (8000.0,), (3000.0,), ()).materials.values()))


@pytest.mark.parametrize("minutes", [5, 10, 15, 20, 60])
@pytest.mark.parametrize("window_min", [15, 30, 60])
def test_the_bill_of_its_course_has_the_peak_it_chose(minutes: int, window_min: int, tmp_path: Path) -> None:
    path = measured(tmp_path, days=2, minutes=minutes)
    found = asked(billed_site(tmp_path, window_min), [path], None, (8000.0,), (3000.0,), ())
    material, case = next(iter(found.materials.values())), case_of(found, ORACLE)
    chosen_w = foreseen(material, storage_of(material, case)).peaks_w
    assert len(chosen_w) == 1
    best, none = run_case(material, case), run_case(material, case_of(found, NO_BATTERY))
    # Two days of a month of 31 pay for the whole peak.
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
