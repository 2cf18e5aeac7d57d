"""A day through the fast path and through the whole shell in virtual time: the same decisions."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from controller.config import Config, load_config
from controller.dispatch.decision import Decision
from controller.lab.house import build_house, synthetic
from controller.lab.simulate import simulate
from controller.loop import ControlLoop, Cycle
from drivers.device import DeviceFacts
from drivers.simulated import SimulatedBattery, SimulatedMeter, SimulatedPv
from simulators.virtual_time import run
from tests.bench.sites import SITE

DAY_S = 86_400


def the_site() -> Config:
    """The demo's house, with zero export and a high reserve, so that the limits have something to do."""
    config = load_config(Path(SITE))
    policy = replace(config.dispatch.policy, reserve_pct=32.0)
    return replace(config, dispatch=replace(config.dispatch, export_limit_w=0.0, policy=policy))


def through_the_shell(config: Config) -> list[Decision]:
    traces = synthetic(config)
    house = build_house(config, traces.load, traces.pv, config.simulation.pv_peak_w)
    decisions: list[Decision] = []

    def note(cycle: Cycle) -> None:
        decisions.append(cycle.decision)

    async def a_day() -> None:
        facts = {entry.id: DeviceFacts(entry.id, "simulated", lease_s=30.0) for entry in config.devices}
        control = ControlLoop(
            config.dispatch,
            SimulatedMeter(facts["grid"], house.meter()),
            [SimulatedBattery(facts["bat1"], house.battery(0))],
            [SimulatedPv(facts["roof"], house.pv(0))],
            listeners=[note],
        )
        asyncio.get_running_loop().call_later(DAY_S - 0.5, control.stop)
        await control.run()

    run(a_day())
    return decisions[:-1]  # the last is the release at the stop


def through_the_fast_path(config: Config) -> list[Decision]:
    traces = synthetic(config)
    decisions: list[Decision] = []
    simulate(
        config,
        traces.load,
        traces.pv,
        config.simulation.pv_peak_w,
        DAY_S,
        config.cycle_s,
        watcher=lambda _, decision: decisions.append(decision),
    )
    return decisions


def test_a_day_decides_the_same_in_the_fast_path_and_in_the_whole_shell() -> None:
    config = the_site()
    shell, fast = through_the_shell(config), through_the_fast_path(config)
    assert len(shell) == len(fast) == DAY_S
    differing = [second for second in range(DAY_S) if shell[second] != fast[second]]
    assert differing == []
    limits = {decision.limited_by for decision in fast}
    assert {"", "full", "reserve"} <= limits, "the day should meet the limits it is about"
    assert any(decision.pv_caps_w[0] is not None for decision in fast)
