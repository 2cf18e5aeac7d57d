"""How the sun of the season grows or fades: what the last weeks would have given, had they been today.

In spring a plant gives a quarter more than four weeks before, and a forecast from those weeks is as much too
low. Weather hides that in what the plant gives, but not in how long it gives something: from the length of
the days in the last weeks follows the latitude, and from the latitude how the sun above the clouds changed.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from controller.planning.history import Calendar, or_zero
from controller.planning.inputs import Floats

TILT = np.radians(23.44)
YEAR_DAYS, EQUINOX_DAY = 365.25, 79.0
"""Days from 1 January to the equinox in March."""
LATITUDES = np.radians(np.arange(-60.0, 61.0, 2.0))
USUAL_DEGREES, USUALLY_WITHIN = 40.0, 12.0
"""Where homes are, north or south; it counts little once the days have grown longer or shorter."""
SEEN_SHARE = 0.01
"""Above this share of the brightest slot a plant is seen to give something."""
MISSED_H, MISSED_WITHIN_H = 0.7, 1.0
"""For so long in a day with sun above the horizon a plant gives nothing: roof and hills are in its way."""
CLOUDS_H = 0.7
"""By so much clouds make a day seem shorter or longer."""
FEWEST_DAYS, SHORTEST_H = 3, 2.0
LEAST_SUN = 0.05
"""Beyond the polar circle there is a time without sun, which no share can be taken of."""


def as_today(rows: Floats, days: Calendar) -> Floats:
    """For each day of the past what its sun is to be multiplied by, to be like a day of today."""
    whole = np.isfinite(rows).all(axis=1)
    seen_w = or_zero(rows)
    seen_h = (seen_w > SEEN_SHARE * seen_w.max()).sum(axis=1) * days.slot_s / 3600.0
    return _to_last(np.where(whole, seen_h, np.nan).tobytes(), days.first_day)


@lru_cache(maxsize=2)
def _to_last(seen_h_of_days: bytes, first_day: int) -> Floats:
    """Of days of these lengths, NaN where they were not whole; kept, as every plan of a day asks the same."""
    seen_h = np.frombuffer(seen_h_of_days)
    numbers = first_day + np.arange(len(seen_h))
    declination = TILT * np.sin(2.0 * np.pi * (numbers - EQUINOX_DAY) / YEAR_DAYS)
    chosen = seen_h > SHORTEST_H
    if chosen.sum() < FEWEST_DAYS:
        return np.ones(len(seen_h))
    likely = _likely(seen_h[chosen], declination[chosen])
    sun = np.maximum(above_the_clouds(LATITUDES[:, None], declination[None, :]), LEAST_SUN)
    found = np.asarray(likely @ (sun[:, -1:] / sun))
    found.setflags(write=False)
    return found


def _likely(seen_h: Floats, declination: Floats) -> Floats:
    """How likely each latitude is, after days of these lengths."""
    more_h = seen_h[None, :] - day_h(LATITUDES[:, None], declination[None, :]) + MISSED_H
    # What the plant misses is the same every day, and not known.
    always_h = more_h.sum(axis=1) / (len(seen_h) + (CLOUDS_H / MISSED_WITHIN_H) ** 2)
    doubt = (((more_h - always_h[:, None]) / CLOUDS_H) ** 2).sum(axis=1) + (always_h / MISSED_WITHIN_H) ** 2
    doubt += ((np.abs(np.degrees(LATITUDES)) - USUAL_DEGREES) / USUALLY_WITHIN) ** 2
    likely = np.exp(-0.5 * (doubt - doubt.min()))
    return np.asarray(likely / likely.sum())


def day_h(latitude: Floats, declination: Floats) -> Floats:
    """From sunrise to sunset; angles in radians."""
    return np.asarray(24.0 / np.pi * _half_day(latitude, declination))


def above_the_clouds(latitude: Floats, declination: Floats) -> Floats:
    """What a level square metre gets in a day, where an equinox at the equator counts as 1.

    Duffie and Beckman, Solar Engineering of Thermal Processes, chapter 1.10.
    """
    half = _half_day(latitude, declination)
    level = half * np.sin(latitude) * np.sin(declination)
    return np.asarray(level + np.cos(latitude) * np.cos(declination) * np.sin(half))


def _half_day(latitude: Floats, declination: Floats) -> Floats:
    """The hour angle of sunset."""
    return np.asarray(np.arccos(np.clip(-np.tan(latitude) * np.tan(declination), -1.0, 1.0)))
