"""The batteries of a case: those of the site file at another capacity and power, each with its share."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import numpy as np

from controller.config import Config
from controller.dispatch.islanding import floor_pct
from controller.dispatch.settings import BatterySettings, DispatchConfig
from controller.lab.house import C_RATE, inverter_of
from controller.lab.study.survival import Island


def ratings_w(battery: BatterySettings) -> tuple[float, float]:
    """What it charges and discharges with; where the site file does not say, its capacity in two hours."""
    usual_w = battery.capacity_wh * C_RATE
    charge_w, discharge_w = battery.max_charge_w, battery.max_discharge_w
    return usual_w if charge_w is None else charge_w, usual_w if discharge_w is None else discharge_w


def powers_w(config: DispatchConfig) -> tuple[float, float]:
    """What all batteries together charge and discharge with."""
    charge_w, discharge_w = zip(*map(ratings_w, config.batteries), strict=True)
    return sum(charge_w), sum(discharge_w)


def sized(config: Config, capacity_wh: float, power_w: float) -> Config:
    """The site with batteries of this total capacity and discharging power.

    Each has the share of it that it has in the site file, and charges by as much faster or slower as it
    discharges: at the site's own power the ratings are the site's own.
    """
    dispatch = config.dispatch
    whole_wh = sum(one.capacity_wh for one in dispatch.batteries)
    times = power_w / powers_w(dispatch)[1]
    batteries = []
    for one in dispatch.batteries:
        charge_w, discharge_w = ratings_w(one)
        batteries.append(
            replace(
                one,
                capacity_wh=capacity_wh * one.capacity_wh / whole_wh,
                max_charge_w=charge_w * times,
                max_discharge_w=discharge_w * times,
            )
        )
    return replace(config, dispatch=replace(dispatch, batteries=tuple(batteries)))


def best_efficiency(config: Config) -> tuple[float, float]:
    """The most that comes in and out one way, at the best power of the best inverter: no bound may be worse.

    Cells with a voltage of their own lose less the slower they are used, so here they lose nothing.
    """
    one_way = config.simulation.efficiency_pct / 100.0
    if config.simulation.cells == "simple" and config.simulation.system is None:
        return one_way, one_way
    cells = sqrt(one_way) if config.simulation.cells == "simple" else 1.0
    into = out = 0.0
    for index, battery in enumerate(config.dispatch.batteries):
        rated_w = ratings_w(battery)
        inverter = inverter_of(config, index, *rated_w)
        charge_w, discharge_w = (most_w * np.linspace(0.01, 1.0, 100) for most_w in rated_w)
        loss, best = inverter.charge_loss, inverter.charge_efficiency
        into = max(into, best if loss is None else max(loss.charging_dc_w(w) / w for w in charge_w.tolist()))
        loss, best = inverter.discharge_loss, inverter.discharge_efficiency
        out = max(
            out, best if loss is None else max(w / loss.discharging_dc_w(w) for w in discharge_w.tolist())
        )
    return into * cells, out * cells


def mean_by_capacity(config: DispatchConfig, values: list[float]) -> float:
    """One value of each battery, each counted by its capacity."""
    capacities_wh = [one.capacity_wh for one in config.batteries]
    weighed = sum(wh * value for wh, value in zip(capacities_wh, values, strict=True))
    return weighed / sum(capacities_wh)


def island_of(config: Config) -> Island:
    """What carries the house without the grid."""
    dispatch, one_way = config.dispatch, config.simulation.efficiency_pct / 100.0
    floors_pct = [floor_pct(dispatch, one, islanded=True) for one in dispatch.batteries]
    return Island(
        sum(one.capacity_wh for one in dispatch.batteries),
        *powers_w(dispatch),
        one_way,
        one_way,
        mean_by_capacity(dispatch, floors_pct),
    )
