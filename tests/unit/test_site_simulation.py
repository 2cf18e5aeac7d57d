"""`[simulation]` of a site file: what it makes of the house, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.config import ConfigError, load_config
from controller.lab.house import build_house, site_meter
from controller.lab.simulate import simulate
from simulators.cells.lead_acid import LeadAcidCells
from simulators.site import House
from simulators.systems import measured_systems
from simulators.traces import StepTrace
from tests.bench.sites import SITE

USUAL = SITE.read_text(encoding="utf-8").split("[simulation]")[0]


def a_site(tmp_path: Path, simulation: str, phase: int | None = None) -> Path:
    path = tmp_path / "house.toml"
    usual = USUAL if phase is None else USUAL.replace("[[battery]]", f"[[battery]]\nphase = {phase}", 1)
    path.write_text(f"{usual}\n[simulation]\n{simulation}\n", encoding="utf-8")
    return path


def a_house(tmp_path: Path, simulation: str, phase: int | None = None) -> House:
    config = load_config(a_site(tmp_path, simulation, phase))
    return build_house(config, StepTrace(3600.0, [900.0, 900.0]), StepTrace(3600.0, [0.0, 0.0]), 5000.0)


def test_a_site_has_the_cells_and_the_air_it_names(tmp_path: Path) -> None:
    cells = a_house(tmp_path, 'cells = "opzs"\nambient_c = 12.0').batteries[0].cells
    assert isinstance(cells, LeadAcidCells)
    assert cells.temperature_c == 12.0


def test_a_measured_system_gives_its_losses_and_its_pace_at_the_sites_rating(tmp_path: Path) -> None:
    house = a_house(tmp_path, 'system = "S2"')
    params, system = house.batteries[0].params, measured_systems()["S2"]
    assert params.dead_time_s == system.dead_time_s == 1.6
    # Half of the rating, as measured: 151.06 / 4 + 22.76 / 2 + 37.42 W of 3507 W, here of another rating.
    scale = params.rated_discharge_w / 3507.0
    assert params.discharge_loss is not None
    assert params.discharge_loss.loss_w(params.rated_discharge_w / 2) == pytest.approx(86.565 * scale)
    assert params.standby_w == pytest.approx((12.1 + 0.0 + 1.0) * scale)


def test_an_unknown_system_is_answered_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'simulation\.system: "S9" is none .* S5 \(Fronius'):
        a_house(tmp_path, 'system = "S9"')


def test_batteries_loads_and_sun_stand_on_the_phases_that_are_named(tmp_path: Path) -> None:
    house = a_house(tmp_path, "load_phase = 2", phase=3)
    house.battery(0).order(0.0, 500.0, 1e9)
    assert house.meter().reading(60.0).phase_import_w == pytest.approx((0.0, 900.0, -500.0))


def test_the_meter_of_a_site_is_wired_and_slow_as_it_says(tmp_path: Path) -> None:
    text = "[simulation.meter]\nperiod_s = 10.0\nct_phases = [2, 1, 3]\nct_reversed = [false, false, true]"
    config = load_config(a_site(tmp_path, "load_phase = 2\n" + text))
    house = build_house(config, StepTrace(15.0, [900.0, 0.0]), StepTrace(15.0, [0.0, 0.0]), 5000.0)
    house.shed(0.0)
    meter = site_meter(config, house)
    reading = meter.reading(19.0)  # as it was at 10 s
    # CT 1 sees the 900 W of L2 with the voltage of L1.
    assert reading.phase_import_w == pytest.approx((-450.0, 0.0, -0.0), abs=6.0)


def test_outages_reach_a_simulated_week(tmp_path: Path) -> None:
    text = "cells = 'lfp'\ninitial_soc_pct = 50.0\n[[simulation.outage]]\nafter_h = 2\nfor_min = 60"
    config = load_config(a_site(tmp_path, text))
    load, sun = StepTrace(3600.0, [1000.0] * 24), StepTrace(3600.0, [0.0] * 24)
    books = simulate(config, load, sun, 5000.0, 6 * 3600.0, 60.0).books
    assert books.unserved_wh == pytest.approx(1000.0 * 0.02 / 3600)
    assert books.load_wh == pytest.approx(6000.0, rel=1e-4)
    without = "[simulation.island]\nforms_grid = false\n[[simulation.outage]]\nafter_h = 2\nfor_min = 60"
    config = load_config(a_site(tmp_path, without))
    books = simulate(config, load, sun, 5000.0, 6 * 3600.0, 60.0).books
    assert books.unserved_wh == pytest.approx(1000.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('cells = "nicd"', "simulation.cells"),
        ("load_phase = 4", "simulation.load_phase"),
        ("[simulation.meter]\nct_phases = [1, 2]", "has 2 values; give 3, one a CT"),
        ("[simulation.meter]\nperiod_s = 0.0", "simulation.meter.period_s"),
        ("[[simulation.outage]]\nafter_h = 1", r"simulation.outage\[0\].for_min|for_min"),
        ("colour = 1", "simulation.colour"),
    ],
)
def test_what_makes_no_house_is_refused_with_its_key(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        load_config(a_site(tmp_path, text))


def test_a_fuse_that_melts_needs_a_fuse(tmp_path: Path) -> None:
    path = a_site(tmp_path, "fuse_melts = true")
    assert build_house(load_config(path), StepTrace(1.0, [0.0]), StepTrace(1.0, [0.0]), 1.0).fuse is not None
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(line for line in lines if not line.startswith("fuse_a")), encoding="utf-8")
    with pytest.raises(ConfigError, match="needs fuse_a in"):
        load_config(path)
