"""How long would the battery have carried the house, had the grid failed at any instant of the time
studied?

For every step as the beginning of an outage, with the SoC the battery really had there: load less sun is
taken from the battery down to the island's floor and surplus goes into it, until it is empty or cannot give
the power.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LONGEST_H = 168.0
"""A week: what lasts longer is said to last as long."""


@dataclass(frozen=True, slots=True)
class Island:
    """What carries the house without the grid: all batteries together, one-way efficiencies."""

    capacity_wh: float
    max_charge_w: float
    max_discharge_w: float
    charge_efficiency: float
    discharge_efficiency: float
    floor_pct: float


def autonomy_h(island: Island, net_load_w: Floats, soc_pct: Floats, step_s: float) -> Floats:
    """Hours from each step on until the first unserved load, `LONGEST_H` at most; NaN where the data ends
    first.

    `net_load_w` is load less sun of each step, `soc_pct` the SoC at its beginning.
    """
    steps, hours = len(net_load_w), step_s / 3600.0
    stored_wh = soc_pct * island.capacity_wh / 100.0
    floor_wh = island.floor_pct * island.capacity_wh / 100.0
    lasted_h = np.full(steps, np.nan)
    alive = np.arange(steps)
    for ahead in range(int(LONGEST_H / hours)):
        alive = alive[alive + ahead < steps]
        if not len(alive):
            break
        net_w = net_load_w[alive + ahead]
        now_wh = stored_wh[alive]
        room_wh = np.maximum(island.capacity_wh - now_wh, 0.0)
        into_wh = np.minimum(
            np.minimum(-net_w, island.max_charge_w) * hours * island.charge_efficiency, room_wh
        )
        need_wh = net_w * hours / island.discharge_efficiency
        left_wh = np.maximum(now_wh - floor_wh, 0.0)
        overload = net_w > island.max_discharge_w
        fails = (need_wh > left_wh) & (net_w > 0.0) | overload
        share = np.where(overload, 0.0, left_wh / np.maximum(need_wh, 1e-9))
        lasted_h[alive[fails]] = (ahead + np.minimum(share[fails], 1.0)) * hours
        stored_wh[alive] = np.where(net_w > 0.0, now_wh - np.minimum(need_wh, left_wh), now_wh + into_wh)
        alive = alive[~fails]
    else:
        lasted_h[alive] = LONGEST_H
    return lasted_h


def chance_pct(lasted_h: Floats, hours: tuple[float, ...]) -> tuple[float, ...]:
    """The share of beginnings from which the house is carried at least so many hours, %."""
    known = lasted_h[np.isfinite(lasted_h)]
    if not len(known):
        return tuple(float("nan") for _ in hours)
    return tuple(float(100.0 * np.mean(known >= one)) for one in hours)
