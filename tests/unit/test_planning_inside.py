"""Planning in a simulated time: made where something acts on it, and what it foresees holds a limit."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from controller.config import Config
from controller.dispatch.settings import CareSettings
from controller.lab.inside import Inside
from controller.lab.simulate import Result, Wall, simulate
from controller.planning.market import Market
from simulators.traces import StepTrace
from tests.unit.planning.clocks import BRUSSELS, local_s
from tests.unit.test_site_tariff import SITE, load

DAY_S = 86_400.0
FLAT = "[tariff]\nimport = {per_kwh = 0.30}\nexport = {per_kwh = 0.05}\n"
LIMITED = SITE + "grid_charging = true\n[grid]\nimport_limit_w = 3000\n"


def four_days(config: Config) -> tuple[Inside, Result]:
    """A house of 500 W that cooks with 6 kW each evening from 18 to 19 h; the sun does not shine."""
    assert config.tariff is not None
    wall = Wall(local_s(BRUSSELS, 2026, 1, 12), ((0.0, 3600.0),))
    inside = Inside(config, config.tariff.tariff, wall, Market())
    hours_w = [6000.0 if hour % 24 == 18 else 500.0 for hour in range(4 * 24)]
    result = simulate(
        config,
        StepTrace(3600.0, hours_w),
        StepTrace(3600.0, [0.0]),
        1.0,
        4 * DAY_S,
        900.0,
        wall=wall,
        teller=inside.told,
        watcher=inside.heard,
    )
    return inside, result


def test_what_the_connection_cannot_carry_is_charged_before_at_a_flat_price(tmp_path: Path) -> None:
    inside, result = four_days(load(tmp_path, FLAT, LIMITED))
    # The first evening nobody knows of; on the others 3 kWh are there when they are asked for.
    assert inside.plans > 90
    assert result.verdict.violations == 0
    assert result.verdict.beyond_control_s <= 3600.0


@pytest.mark.parametrize("cares", [False, True])
def test_a_plan_is_made_only_where_something_acts_on_it(cares: bool, tmp_path: Path) -> None:
    config = load(tmp_path, FLAT, LIMITED.replace('"economic"', '"self_consumption"'))
    if cares:
        care = CareSettings(full_every_days=30.0)
        batteries = tuple(replace(one, care=care) for one in config.dispatch.batteries)
        config = replace(config, dispatch=replace(config.dispatch, batteries=batteries))
    inside, _ = four_days(config)
    assert bool(inside.plans) is cares


def test_the_past_of_a_simulated_time_is_what_its_meter_has_counted(tmp_path: Path) -> None:
    """Ten-minute steps of a load that jumps: a battery that follows it leaves no import but in its lag."""
    config = load(tmp_path, FLAT + "demand = [{name = 'peak', per_kw = 6.0, window_min = 30}]\n")
    assert config.tariff is not None
    wall = Wall(local_s(BRUSSELS, 2026, 1, 12), ((0.0, 3600.0),))
    inside = Inside(config, config.tariff.tariff, wall, Market())
    jumps = StepTrace(600.0, [500.0, 2000.0, 1000.0, 2500.0] * 9)
    dark = StepTrace(3600.0, [0.0])
    result = simulate(config, jumps, dark, 1.0, 6 * 3600.0, 600.0, wall=wall, watcher=inside.heard)
    counted_wh = [one.import_wh for one in result.metered]
    seen_wh = [quarter.import_w / 4.0 for quarter in inside.keeper.history.quarters]
    assert len(seen_wh) == 23
    flowed_wh = [after - before for before, after in pairwise(counted_wh)]
    assert seen_wh == pytest.approx(flowed_wh[:23], abs=1e-6)
