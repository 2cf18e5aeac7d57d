"""The batteries of a case: the site's own ratings, scaled together, and each counted by its capacity."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from controller.lab.simulate import simulate
from controller.lab.study.asked import asked
from controller.lab.study.case import ORACLE, run_case
from controller.lab.study.foresight import storage_of
from controller.lab.study.plant import island_of, powers_w, sized
from tests.unit.study.sites import BEGIN, a_site, case_of, material_of, measured

SECOND = """
[[battery]]
id = "bat2"
profile = "sunspec-hybrid"
connection = "tcp://127.0.0.1:5022"
capacity_wh = 2_000
min_soc_pct = 0
"""


def slow_charging(folder: Path) -> Path:
    """It charges with 1 kW and discharges with 3."""
    site = a_site(folder)
    text = site.read_text(encoding="utf-8").replace("max_charge_w = 3_000", "max_charge_w = 1_000")
    site.write_text(text, encoding="utf-8")
    return site


def uneven(folder: Path) -> Path:
    """8 kWh down to 40 %, and 2 kWh, whose rating is not said, down to 0 %."""
    site = a_site(folder)
    text = site.read_text(encoding="utf-8").replace("\n[policy]", f"{SECOND}\n[policy]\nreserve_pct = 0")
    site.write_text(text.replace("8_000", "8_000\nmin_soc_pct = 40"), encoding="utf-8")
    return site


def test_without_another_power_a_study_runs_the_ratings_of_the_site_file(tmp_path: Path) -> None:
    found = asked(slow_charging(tmp_path), [measured(tmp_path, 2)], None, (), (), ("self_consumption",))
    material, case = material_of(found), case_of(found, "self_consumption")
    traces = material.traces
    alone = simulate(
        found.config, traces.load, traces.pv, max(traces.pv.values), traces.duration_s, traces.step_s
    )
    assert case.power_w == 3000.0
    assert run_case(material, case).import_kwh == pytest.approx(alone.books.import_wh / 1000.0, abs=1e-6)
    storage = storage_of(material, case_of(found, ORACLE))
    assert (storage.max_charge_w, storage.max_discharge_w) == (1000.0, 3000.0)


def test_another_power_scales_charging_with_discharging(tmp_path: Path) -> None:
    config = asked(slow_charging(tmp_path), [measured(tmp_path, 2)], None, (), (), ()).config
    half = sized(config, 8000.0, 1500.0).dispatch
    assert powers_w(half) == (500.0, 1500.0)
    larger = sized(config, 16_000.0, 3000.0).dispatch
    assert larger.batteries[0].capacity_wh == 16_000.0
    assert powers_w(larger) == (1000.0, 3000.0)


def test_each_of_several_batteries_keeps_its_share_of_capacity_and_power(tmp_path: Path) -> None:
    config = asked(uneven(tmp_path), [measured(tmp_path, 2)], None, (), (), ()).config
    assert powers_w(config.dispatch) == (4000.0, 4000.0), "2 kWh in two hours beside 3 kW"
    doubled = sized(config, 20_000.0, 8000.0).dispatch.batteries
    assert [one.capacity_wh for one in doubled] == [16_000.0, 4000.0]
    assert [one.max_discharge_w for one in doubled] == [6000.0, 2000.0]


def test_what_several_batteries_hold_is_counted_by_their_capacities(tmp_path: Path) -> None:
    """3 kW all day from 50 %: in the evening 8 kWh stand at 40 % and 2 kWh at 0 %, together 32 %."""
    lines = ["timestamp,load_w,pv_w"]
    lines += [f"{(BEGIN + timedelta(hours=hour)).isoformat()},3000,0" for hour in range(24)]
    path = tmp_path / "dark.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = asked(uneven(tmp_path), [path], None, (), (), ("self_consumption",))
    one = run_case(material_of(found), case_of(found, "self_consumption"))
    assert one.soc_by_day[0][23] == pytest.approx(32.0, abs=0.2)
    # On the island the small one stops at the island's 10 %: (8 x 40 + 2 x 10) / 10.
    assert island_of(found.config).floor_pct == pytest.approx(34.0)
    assert storage_of(material_of(found), case_of(found, ORACLE)).floor_pct == pytest.approx(32.0)


@pytest.mark.parametrize(
    ("efficiency_pct", "policy", "notes"), [(80, "economic", 1), (80, "standby", 0), (94, "economic", 0)]
)
def test_plans_that_reckon_with_less_loss_than_the_simulated_battery_has_are_noted(
    efficiency_pct: int, policy: str, notes: int, tmp_path: Path
) -> None:
    site = a_site(tmp_path)
    text = site.read_text(encoding="utf-8")
    site.write_text(f"{text}efficiency_pct = {efficiency_pct}\n", encoding="utf-8")
    found = asked(site, [measured(tmp_path, days=1)], None, (), (), (policy,)).notes
    said = "plans reckon with 95 % each way, and the simulated plant has 80 % at best"
    assert [said in one for one in found] == [True] * notes
