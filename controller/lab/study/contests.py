"""The sites of the benchmark. All of it comes from seeds: anybody gets the same, on any machine."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from importlib.resources import as_file, files
from math import cos, pi
from random import Random

import numpy as np

from controller.config import Config, load_config
from controller.lab.study.benchmark import Contest, Lying
from controller.lab.study.case import Material
from controller.planning.calendars import ALWAYS, Hours, calendar_of
from controller.planning.market import Market
from controller.planning.tariff import DemandCharge, EnergyPrice, Tariff, Tier, TimeOfUse, flat
from controller.tariff_door import TariffConfig
from simulators.faults.readings import Frozen, Spike
from simulators.traces import CsvTraces, StepTrace, SyntheticHouse

DAYS = 28
STEP_S = 60
QUARTERS = 96
SUMMER, AUTUMN = date(2025, 6, 2), date(2025, 10, 6)


def contests(days: int = DAYS) -> tuple[Contest, ...]:
    """All sites, each for so many days."""
    dynamic = Tariff(
        "dynamic prices",
        "EUR",
        EnergyPrice(None, 1.06, 0.14),
        EnergyPrice(None, 1.0, -0.01),
        fixed_per_month=6.0,
    )
    evening = Hours(frozenset(range(12)), frozenset(range(7)), 64, 84)
    peak_hours = TimeOfUse(
        calendar_of([[evening], []], complete=False), ("evening", "rest"), ((Tier(0.44),), (Tier(0.24),))
    )
    by_time = Tariff("time of use", "EUR", EnergyPrice(peak_hours), EnergyPrice(flat("feed-in", 0.06)))
    demand = Tariff(
        "demand charge",
        "EUR",
        EnergyPrice(flat("energy", 0.18)),
        EnergyPrice(flat("feed-in", 0.05)),
        (DemandCharge("peak", ((Tier(12.0),),) * 12, (ALWAYS,)),),
    )
    home = _site("home", capacity_wh=10_000.0, power_w=4000.0, load_kwh=4500.0, pv_w=6000.0)
    zero = replace(home, dispatch=replace(home.dispatch, export_limit_w=0.0))
    shop = _site("shop", capacity_wh=40_000.0, power_w=20_000.0, load_kwh=36_000.0, pv_w=15_000.0)
    shop = replace(shop, dispatch=replace(shop.dispatch, demand=TariffConfig(demand).demand))
    lying = (Lying(7.0, 7.25, Frozen), Lying(18.0, 18.2, Frozen), Lying(12.0, 12.5, Spike))
    return (
        Contest("home, dynamic prices", _material(home, "home", AUTUMN, days, dynamic)),
        Contest("home, time of use, no export", _material(zero, "zero", SUMMER, days, by_time)),
        Contest("shop, demand charge", _material(shop, "shop", AUTUMN, days, demand)),
        Contest("home, a meter that lies", _material(home, "home", AUTUMN, days, dynamic), lying),
    )


def _site(name: str, *, capacity_wh: float, power_w: float, load_kwh: float, pv_w: float) -> Config:
    """The demo's devices with another battery and another house."""
    with as_file(files("controller.lab") / "demo.toml") as path:
        config = load_config(path)
    battery = replace(
        config.dispatch.batteries[0], capacity_wh=capacity_wh, max_charge_w=power_w, max_discharge_w=power_w
    )
    policy = replace(config.dispatch.policy, reserve_pct=0.0, grid_charging=True)
    return replace(
        config,
        site=name,
        dispatch=replace(
            config.dispatch,
            batteries=(battery,),
            policy=policy,
            import_limit_w=25_000.0,
            export_limit_w=None,
            fuse_a=None,
            demand=None,
        ),
        simulation=replace(config.simulation, annual_load_kwh=load_kwh, pv_peak_w=pv_w, initial_soc_pct=50.0),
    )


def _material(config: Config, seed: str, first: date, days: int, tariff: Tariff) -> Material:
    house = SyntheticHouse(
        f"benchmark {seed}",
        first_day=first,
        load_kwh_per_year=config.simulation.annual_load_kwh,
        pv_peak_w=config.simulation.pv_peak_w,
        resolution_s=STEP_S,
    )
    instants = [number * STEP_S for number in range(days * 86_400 // STEP_S)]
    start = datetime.combine(first, datetime.min.time(), UTC)
    traces = CsvTraces(
        StepTrace(STEP_S, [house.load.at(one) for one in instants]),
        StepTrace(STEP_S, [house.pv.at(one) for one in instants]),
        {},
        start,
        float(STEP_S),
        ((0, timedelta(0)),),
    )
    return Material(config, traces, tariff, _market(seed, start, days + 2))


def _market(seed: str, start: datetime, days: int) -> Market:
    """Day-ahead prices: low at night and at a sunny noon, high in the evening, another level each day."""
    chance = Random(f"benchmark {seed} prices")
    hours = []
    for _ in range(days):
        level, sunny = 0.05 + 0.06 * chance.random(), chance.random()
        for hour in range(24):
            noon = sunny * _bump(hour, 13.0, 5.0) * 1.1
            evening = (0.5 + 0.7 * chance.random()) * _bump(hour, 19.0, 3.5)
            morning = 0.4 * _bump(hour, 8.0, 2.5)
            hours.append(level * (0.9 - noon + evening + morning) + 0.004 * (chance.random() - 0.5))
    return Market(int(start.timestamp()) // 900, np.repeat(np.array(hours), 4))


def _bump(hour: int, middle: float, half_width: float) -> float:
    away = abs(hour - middle) / half_width
    return cos(away * pi / 2.0) if away < 1.0 else 0.0
