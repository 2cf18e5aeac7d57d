"""What a house that is only played needs for planning: its own clock, a past, and prices from a seed."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, date, datetime
from math import cos, pi
from random import Random

from controller.clock import WallClock
from controller.config import Config
from controller.dispatch.orders import LocalTime
from controller.past import QUARTER_S, Past, Quarter
from simulators.site import House
from simulators.traces import SyntheticHouse

DAY_S = 86_400.0
PAST_DAYS = 14
MEAN_PER_KWH = 0.09
_NOON, _EVENING = 13, 19


def midnight(day: date) -> datetime:
    """The begin of a day in the house, whose local time is UTC."""
    return datetime.combine(day, datetime.min.time(), UTC)


def house_clock(config: Config, house: House) -> WallClock:
    """The time of day in the house, which passes as fast as its sun and load."""
    begin_utc_s = midnight(config.simulation.start).timestamp() + config.simulation.start_hour * 3600.0

    def read() -> tuple[float | None, LocalTime | None]:
        utc_s = begin_utc_s + (asyncio.get_running_loop().time() - house.begin_s) * house.speed
        return utc_s, LocalTime(utc_s, 0.0)

    return read


def lived(config: Config, keep_s: float) -> Past:
    """The days before the house's first: what it used and what the sun gave, without a battery."""
    wanted = config.simulation
    traces = SyntheticHouse(
        wanted.seed,
        first_day=wanted.start,
        load_kwh_per_year=wanted.annual_load_kwh,
        pv_peak_w=wanted.pv_peak_w,
        latitude_deg=wanted.latitude_deg,
        resolution_s=int(QUARTER_S),
    )
    midnight_utc_s = midnight(wanted.start).timestamp()
    history = Past(keep_s)
    end = int(wanted.start_hour * 3600.0 // QUARTER_S)
    for quarter in range(-PAST_DAYS * 96, end):
        at_s = quarter * QUARTER_S
        load_w, pv_w = traces.load.at(at_s), traces.pv.at(at_s)
        history.add(Quarter(midnight_utc_s + at_s, load_w, pv_w, max(load_w - pv_w, 0.0)))
    return history


def day_ahead(config: Config, days: int = 120, midnight_utc_s: float | None = None) -> bytes:
    """Hourly prices as a message, from before the house's first day on: cheap at a sunny noon, dear later.

    `midnight_utc_s` is where its first day begins; at midnight of UTC when left out.
    """
    chance = Random(f"{config.simulation.seed}:prices")
    if midnight_utc_s is None:
        midnight_utc_s = midnight(config.simulation.start).timestamp()
    begin_utc_s = midnight_utc_s - PAST_DAYS * DAY_S
    prices = []
    for _ in range(PAST_DAYS + days):
        level = MEAN_PER_KWH * (0.6 + 0.8 * chance.random())
        sunny = chance.random()
        for hour in range(24):
            dip = sunny * _bump(hour, _NOON, 5.0)
            peak = (0.6 + 0.8 * sunny) * _bump(hour, _EVENING, 3.0)
            prices.append(round(level * (1.0 - 1.2 * dip + peak) + 0.01 * (chance.random() - 0.5), 5))
    begins = [begin_utc_s + hour * 3600.0 for hour in range(len(prices))]
    return json.dumps({"unit": "EUR / kWh", "unix_seconds": begins, "price": prices}).encode()


def _bump(hour: int, middle: int, half_width: float) -> float:
    """1 in the middle, 0 from so many hours away on."""
    away = abs(hour - middle) / half_width
    return cos(away * pi / 2.0) if away < 1.0 else 0.0
