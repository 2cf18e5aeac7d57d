"""Pasts of sites as forecasts see them: days of load and sun on a local clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from controller.planning.history import Ahead, History
from controller.planning.inputs import Floats

SLOT_S = 900.0
DAY = 96
MONDAY = 1_780_264_800.0
"""1 June 2026, 00:00 in Brussels; summer time."""
SUMMER_S = 7200.0

SUN_W: Floats = 4000.0 * np.clip(np.sin((np.arange(DAY) / DAY - 0.25) * 2 * np.pi), 0.0, None)
"""A day without clouds: from 06:00 to 18:00, at most 4 kW."""


def past(slots: int, load_w: Callable[[int], float], pv_w: Callable[[int], float] | None = None) -> History:
    """So many slots from Monday midnight on; NaN where there is no sun to speak of."""
    flat = np.full(slots, 0.30)
    sun = np.array([0.0 if pv_w is None else pv_w(slot) for slot in range(slots)])
    load = np.array([load_w(slot) for slot in range(slots)], dtype=float)
    return History(MONDAY, SLOT_S, np.full(slots, SUMMER_S), load, sun, flat)


def coming(slots: int = DAY) -> Ahead:
    """So many slots on the same clock at one price."""
    return Ahead(np.full(slots, SUMMER_S), np.full(slots, 0.30))


def told(history: History, ahead: Ahead, said: Floats, will: Floats) -> tuple[History, Ahead]:
    """With an outside forecast of the load."""
    return replace(history, outside_load_w=said), replace(ahead, outside_load_w=will)
