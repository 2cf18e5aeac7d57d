"""Homes nobody has lived in: the measured ones with other prices, batteries or leave: what carries over?

Nothing in the planner was chosen by them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from controller.planning.inputs import Leave
from tests.bench.money.course import Case
from tests.bench.money.sites import HOME, belgian_home, californian_home, published


def small_battery(data: Path) -> Case:
    """5 kWh and 2.5 kW."""
    storage = replace(HOME, capacity_wh=5000.0, max_charge_w=2500.0, max_discharge_w=2500.0)
    return replace(belgian_home(data), name="Belgian home, 5 kWh / 2.5 kW", storage=storage)


def large_battery(data: Path) -> Case:
    """20 kWh and 5 kW."""
    storage = replace(HOME, capacity_wh=20_000.0, max_charge_w=5000.0, max_discharge_w=5000.0)
    return replace(belgian_home(data), name="Belgian home, 20 kWh / 5 kW", storage=storage)


def slow_battery(data: Path) -> Case:
    """15 kWh and 2.3 kW, 0.9 each way."""
    lossy = ((1.0, 0.9),)
    storage = replace(
        HOME,
        capacity_wh=15_000.0,
        max_charge_w=2300.0,
        max_discharge_w=2300.0,
        charge_efficiency=lossy,
        discharge_efficiency=lossy,
    )
    return replace(belgian_home(data), name="Belgian home, 15 kWh / 2.3 kW, lossy", storage=storage)


def sun_only(data: Path) -> Case:
    """The grid may not charge, the battery may not feed in."""
    return replace(belgian_home(data), name="Belgian home, battery from the sun alone", leave=Leave())


def no_sun(data: Path) -> Case:
    """No PV: the battery lives on prices alone."""
    case = belgian_home(data)
    return replace(case, name="Belgian home, no PV", pv_w=np.zeros(case.steps))


def time_of_use(data: Path) -> Case:
    """The Belgian home on the Californian time of use; exports earn 0.04."""
    case = belgian_home(data)
    local_s = case.utc_s + case.offset_s
    hour = local_s % 86_400.0 / 3600.0
    free = (local_s // 86_400.0 + 3) % 7 >= 5
    month = local_s.astype("datetime64[s]").astype("datetime64[M]").astype(np.intp) % 12 + 1
    summer, day = (month >= 6) & (month <= 9), (hour >= 8) & (hour < 16)
    dear = np.where(summer, np.where(free, 0.37, 0.48), 0.36)
    buy = np.where((hour >= 16) & (hour < 21), dear, np.where(day & ~summer, 0.25, 0.27))
    return replace(
        case,
        name="Belgian home, Californian TOU",
        import_per_kwh=buy,
        export_per_kwh=np.full(case.steps, 0.04),
        known_until=np.full(case.steps, case.steps),
        leave=Leave(grid_charging=True),
    )


def dynamic_california(data: Path) -> Case:
    """The Californian home on the Belgian prices of 2024, hour by hour of the local day."""
    case, prices = californian_home(data), belgian_home(data)
    first = int((case.utc_s[0] + case.offset_s[0]) % 86_400.0 // 3600.0)
    buy, sell = (
        np.resize(np.roll(one.reshape(-1, 4).mean(axis=1), -first), case.steps)
        for one in (prices.import_per_kwh, prices.export_per_kwh)
    )
    return replace(
        case,
        name="Californian home, Belgian dynamic prices",
        import_per_kwh=buy,
        export_per_kwh=sell,
        known_until=published(case.utc_s, case.offset_s),
        leave=Leave(grid_charging=True, battery_export=True),
    )


VARIANTS: dict[str, Callable[[Path], Case]] = {
    "be-5": small_battery,
    "be-20": large_battery,
    "be-lossy": slow_battery,
    "be-sun-only": sun_only,
    "be-no-sun": no_sun,
    "be-tou": time_of_use,
    "ca-dynamic": dynamic_california,
}
