"""The fast path: hand-worked days, decisions where they are needed, and the same ones as the whole shell."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from controller.config import Config, load_config
from controller.dispatch.decision import Decision
from controller.dispatch.orders import NO_ORDERS, Plan, Prices
from controller.dispatch.settings import DemandSettings
from controller.dispatch.site import Snapshot
from controller.lab.house import build_house
from controller.lab.simulate import Wall, simulate
from controller.loop import ControlLoop, Cycle, Told
from drivers.device import DeviceFacts
from drivers.simulated import SimulatedBattery, SimulatedMeter, SimulatedPv
from simulators.traces import StepTrace, SyntheticHouse
from simulators.virtual_time import run

SITE = """
site = "house-7"

[grid]
import_limit_w = 9_000
export_limit_w = 0
phases = 3

[[meter]]
id = "grid"
profile = "eastron-sdm630"
connection = "tcp://127.0.0.1:5020"

[[battery]]
id = "bat1"
profile = "sunspec-hybrid"
connection = "tcp://127.0.0.1:5021"
capacity_wh = 10_000
max_charge_w = 5_000
max_discharge_w = 5_000

[[pv]]
id = "roof"
profile = "sunspec-pv"
connection = "tcp://127.0.0.1:5022"

[policy]
reserve_pct = 20

[simulation]
initial_soc_pct = 50
efficiency_pct = 90.25
"""
DAY_S = 86_400.0


@pytest.fixture
def config(tmp_path: Path) -> Config:
    path = tmp_path / "house.toml"
    path.write_text(SITE, encoding="utf-8")
    return load_config(path)


def held(*values_w: float) -> StepTrace:
    """Each value for an hour."""
    return StepTrace(3600.0, values_w)


def test_a_night_of_1000_w_takes_the_battery_to_its_reserve_and_no_further(config: Config) -> None:
    result = simulate(config, held(1000.0), held(0.0), 6000.0, 12 * 3600.0, 3600.0)
    # 3000 Wh above the reserve give 2707.5 Wh at 0.9025; the stop is seen by the next beat, 1 s late.
    assert result.books.discharged_wh == pytest.approx(2707.5, abs=1.0)
    assert result.soc_pct == pytest.approx(20.0, abs=0.01)
    assert result.books.load_wh == pytest.approx(12_000.0)
    assert result.verdict.violations == 0


def test_a_battery_that_fills_within_the_hour_leaves_the_rest_to_curtailment(config: Config) -> None:
    result = simulate(config, held(500.0), held(0.0, 4000.0, 4000.0, 4000.0), 6000.0, 4 * 3600.0, 3600.0)
    assert result.soc_pct == pytest.approx(100.0)
    # Zero export: what the battery and the house cannot take is not generated.
    assert result.books.export_wh < 20.0
    assert result.books.curtailed_wh > 3000.0
    assert result.verdict.violations == 0


@pytest.mark.parametrize("step_s", [600.0, 900.0, 1200.0, 3600.0])
def test_the_meter_is_written_down_at_every_quarter_hour_however_long_the_steps_of_the_data(
    config: Config, step_s: float
) -> None:
    # An hour of 1 kW, then one of 4 kW.
    values_w = [1000.0] * round(3600 / step_s) + [4000.0] * round(3600 / step_s)
    result = simulate(config, StepTrace(step_s, tuple(values_w)), held(0.0), 1.0, 7200.0, step_s)
    assert [one.import_without_wh for one in result.metered] == pytest.approx(
        [0.0, 250.0, 500.0, 750.0, 1000.0, 2000.0, 3000.0, 4000.0, 5000.0]
    )


def test_an_end_within_a_quarter_hour_is_written_down_too(config: Config) -> None:
    result = simulate(config, held(1000.0), held(0.0), 1.0, 1200.0, 1200.0)
    assert [one.import_without_wh for one in result.metered] == pytest.approx([0.0, 250.0, 1000.0 / 3.0])


def test_the_books_of_a_simulated_week_close(config: Config) -> None:
    house = SyntheticHouse(3, resolution_s=900)
    result = simulate(config, house.load, house.pv, 6000.0, 7 * DAY_S, 900.0)
    assert result.imbalance_pct < 1e-9
    assert result.books.import_wh > 0.0


def test_a_finer_step_comes_to_nearly_the_same_energies(config: Config) -> None:
    house = SyntheticHouse(3, resolution_s=900)
    coarse, fine = (
        simulate(config, house.load, house.pv, 6000.0, DAY_S, step_s).books for step_s in (900.0, 60.0)
    )
    assert fine.import_wh == pytest.approx(coarse.import_wh, rel=0.01, abs=20.0)
    assert fine.discharged_wh == pytest.approx(coarse.discharged_wh, rel=0.01, abs=20.0)


def test_progress_is_told_now_and_again(config: Config) -> None:
    told: list[float] = []
    simulate(config, held(500.0), held(0.0), 6000.0, 5000.0, 1.0, progress=told.append)
    assert told == sorted(told)
    assert len(told) >= 2


def test_a_day_through_the_fast_path_and_through_the_whole_shell_has_the_same_decisions(
    config: Config,
) -> None:
    dispatch = replace(config.dispatch, cycle_s=5.0, stale_after_s=7.5, lost_after_s=12.5)
    config = replace(config, cycle_s=5.0, dispatch=dispatch)
    traces = SyntheticHouse(3, first_day=date(2024, 6, 22), resolution_s=60)
    fast: list[tuple[float, Decision]] = []

    def note(snapshot: Snapshot, decision: Decision) -> None:
        fast.append((snapshot.now_s, decision))

    simulate(config, traces.load, traces.pv, 6000.0, DAY_S, 5.0, watcher=note)
    slow = shell_decisions(config, traces)
    assert len(fast) == len(slow) == 17_280
    assert fast == slow
    # A day that has it all: charging, discharging, curtailment.
    assert min(one.setpoint_w for _, one in fast) < -1000.0
    assert max(one.setpoint_w for _, one in fast) > 1000.0
    assert any(one.pv_caps_w != (None,) for _, one in fast)


def shell_decisions(config: Config, traces: SyntheticHouse) -> list[tuple[float, Decision]]:
    """A day of the scan cycle in virtual time, on in-process devices."""
    heard: list[tuple[float, Decision]] = []
    house = build_house(config, traces.load, traces.pv, 6000.0)

    def listen(cycle: Cycle) -> None:
        heard.append((cycle.snapshot.now_s, cycle.decision))

    async def day() -> None:
        control = ControlLoop(
            config.dispatch,
            SimulatedMeter(DeviceFacts("grid", "simulated"), house.meter()),
            [SimulatedBattery(DeviceFacts("bat1", "simulated"), house.battery(0))],
            [SimulatedPv(DeviceFacts("roof", "simulated"), house.pv(0))],
            listeners=[listen],
        )
        asyncio.get_running_loop().call_at(DAY_S - 1.0, control.stop)
        await control.run()

    run(day())
    return [one for one in heard if one[0] % config.cycle_s == 0.0]


def test_what_is_told_reaches_every_decision_and_water_values_are_followed_within_a_step(
    config: Config,
) -> None:
    # A kWh is worth 0.40 up to 60 % and nothing above; power costs 0.30. From 50 %, 10 kWh: 1 kWh is bought.
    values = tuple(0.4 if level <= 60 else 0.0 for level in range(101))
    plan = Plan(0.0, DAY_S, (values,), DAY_S)
    policy = replace(config.dispatch.policy, name="economic", grid_charging=True)
    result = simulate(
        replace(config, dispatch=replace(config.dispatch, policy=policy)),
        held(0.0),
        held(0.0),
        1.0,
        4 * 3600.0,
        3600.0,
        wall=Wall(0.0),
        teller=lambda now_s, local: Told(NO_ORDERS, Prices(0.30, 0.05), plan),
    )
    assert result.soc_pct == pytest.approx(60.0, abs=1.5)


def when_decided(config: Config, wall: Wall | None, news_at_s: float = -1.0) -> list[float]:
    """The instants of 2 h with a decision each hour at least; at one of them something new is heard of."""
    at_s: list[float] = []

    def watch(snapshot: Snapshot, _: Decision) -> bool:
        at_s.append(snapshot.now_s)
        return snapshot.now_s == news_at_s

    simulate(config, held(500.0), held(0.0), 1.0, 7200.0, 3600.0, wall=wall, watcher=watch)
    return [one for one in at_s if one > 60.0]


def test_what_is_new_to_tell_is_told_at_the_next_beat(config: Config) -> None:
    assert when_decided(config, None)[0] == 3600.0
    assert when_decided(config, None, 3600.0)[:2] == [3600.0, 3601.0]


def test_a_policy_of_prices_is_asked_at_every_quarter_hour_of_utc(config: Config) -> None:
    policy = replace(config.dispatch.policy, name="economic")
    priced = replace(config, dispatch=replace(config.dispatch, policy=policy))
    # The clock begins seven minutes past: the quarter hours are 480 s later and from then on.
    quarters_s = [one for one in when_decided(priced, Wall(7 * 60.0)) if (one + 420.0) % 900.0 == 0.0]
    assert quarters_s == [480.0 + 900.0 * quarter for quarter in range(8)]
    assert 480.0 not in when_decided(config, Wall(7 * 60.0))


def test_where_peaks_are_billed_it_is_decided_at_the_begin_of_every_window(config: Config) -> None:
    billed = replace(config, dispatch=replace(config.dispatch, demand=DemandSettings(900, 2000.0)))
    assert {900.0 * quarter for quarter in range(1, 8)} <= set(when_decided(billed, Wall(0.0)))
    assert 900.0 not in when_decided(config, Wall(0.0))


def test_behind_a_late_meter_and_a_slow_inverter_it_comes_to_what_a_decision_a_second_comes_to(
    tmp_path: Path,
) -> None:
    slow = "[battery.response]\ndead_time_s = 3\ntime_constant_s = 1\n\n[[pv]]"
    text = SITE.replace("[[pv]]", slow).replace("import_limit_w = 9_000", "import_limit_w = 4_000")
    (tmp_path / "late.toml").write_text(
        text + "\n[simulation.meter]\nperiod_s = 1\ndelay_s = 1\n", encoding="utf-8"
    )
    late = load_config(tmp_path / "late.toml")
    load = StepTrace(120.0, (1000.0, 4000.0, 500.0, 3500.0, 800.0, 5000.0) * 5)
    sun = StepTrace(120.0, ((0.0, 3000.0, 6000.0, 0.0, 5000.0, 2000.0, 6000.0) * 5)[:30])
    skipping, every_second = (simulate(late, load, sun, 6000.0, 3600.0, step_s) for step_s in (120.0, 1.0))
    assert skipping.decisions < every_second.decisions
    # Within 1 % of the 2467 Wh that the house uses: caps open in steps, which the two take at other seconds.
    for name in ("import_wh", "export_wh", "charged_wh", "discharged_wh"):
        assert getattr(skipping.books, name) == pytest.approx(getattr(every_second.books, name), abs=24.67), (
            name
        )
