"""Invented sites for the bench without measured data: a home with PV and a workshop with a demand charge.

Load, clouds and prices come from a fixed seed: they show that the bench works and prove nothing about money.
"""

from __future__ import annotations

import numpy as np

from controller.planning.inputs import DemandTerm, Floats, Leave, Storage
from tests.bench.money.course import Case
from tests.bench.money.sites import HOME, published

DAYS, DAY, STEP_S = 35, 96, 900.0
BEGIN_UTC_S, OFFSET_S = 1_777_586_400.0, 7200.0
"""1 May 2026, 00:00, on a summer clock two hours ahead of UTC."""
WORKSHOP = Storage(40_000.0, 20_000.0, 20_000.0, wear_per_kwh=0.02, min_soc_pct=0.0)


def synthetic_cases() -> list[Case]:
    """Five weeks each."""
    chance = np.random.default_rng(20_260_501)
    return [_home(chance), _workshop(chance)]


def _clock() -> tuple[Floats, Floats, Floats]:
    slots = np.arange(DAYS * DAY)
    return BEGIN_UTC_S + STEP_S * slots, np.full(len(slots), OFFSET_S), slots % DAY / 4.0


def _home(chance: np.random.Generator) -> Case:
    """Dear evenings, cheap noons when the sun shines, and an evening's load that varies."""
    utc_s, offset_s, hour = _clock()
    clear = np.repeat(chance.choice([0.25, 0.6, 1.0], DAYS), DAY)
    pv_w = 4000.0 * clear * np.clip(np.sin((hour - 6.0) / 14.0 * np.pi), 0.0, None)
    busy = np.repeat(chance.choice([0.6, 1.0, 1.5], DAYS), DAY)
    load_w = (300.0 + 1200.0 * busy * ((hour >= 17.0) & (hour < 22.5))) * chance.uniform(0.7, 1.3, len(hour))
    market = 0.09 - 0.05 * np.sin((hour - 8.0) / 10.0 * np.pi) * ((hour > 8.0) & (hour < 18.0)) * clear
    market += 0.08 * ((hour >= 18.0) & (hour < 21.0))
    until = published(utc_s, offset_s)
    buy, sell = 1.08 * market + 0.13, 0.98 * market - 0.015
    leave = Leave(grid_charging=True, battery_export=True)
    return Case(
        "invented home, dynamic", utc_s, offset_s, STEP_S, load_w, pv_w, buy, sell, until, HOME, leave
    )


def _workshop(chance: np.random.Generator) -> Case:
    """A working day's load with a hump at noon, and a charge on each month's peak."""
    utc_s, offset_s, hour = _clock()
    day = np.arange(len(hour)) // DAY
    works = (day % 7 != 1) & (day % 7 != 2)  # 1 May 2026 is a Friday
    busy = np.repeat(chance.uniform(0.8, 1.2, DAYS), DAY)
    hump = np.clip(np.sin((hour - 7.0) / 10.0 * np.pi), 0.0, None) ** 2
    load_w = 6000.0 + 34_000.0 * works * busy * hump * chance.uniform(0.95, 1.05, len(hour))
    month = (utc_s + offset_s).astype("datetime64[s]").astype("datetime64[M]").astype(int)
    demand = tuple(DemandTerm(15.0, month == number) for number in np.unique(month))
    buy = np.where((hour >= 7.0) & (hour < 22.0), 0.22, 0.16)
    none = np.zeros(len(hour))
    known = np.full(len(hour), len(hour))
    leave = Leave(grid_charging=True)
    return Case(
        "invented workshop, demand charge",
        utc_s,
        offset_s,
        STEP_S,
        load_w,
        none,
        buy,
        none,
        known,
        WORKSHOP,
        leave,
        demand,
    )
