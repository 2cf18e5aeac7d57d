"""The season in a forecast of the sun: growing days in spring, fading ones in autumn, on any continent."""

from __future__ import annotations

import numpy as np
import pytest

from controller.planning.forecast import forecast
from controller.planning.history import DAY_S, Ahead, History, calendar
from controller.planning.inputs import Floats
from controller.planning.season import above_the_clouds, as_today, day_h
from controller.planning.skill import means

DAYS = 28
NOON_W = 3000.0
"""What the plant gives at noon under the sun overhead."""


def radians(*degrees: float) -> Floats:
    return np.radians(np.array(degrees))


def sunny(begin: str, degrees: float, slot_s: float = 900.0, slots: int | None = None) -> Floats:
    """Four weeks and more without a cloud at this latitude."""
    per_day = round(DAY_S / slot_s)
    slots = (DAYS + 2) * per_day if slots is None else slots
    first = int(np.datetime64(begin).astype("datetime64[D]").astype(int))
    day = first + np.arange(slots) // per_day
    declination = np.radians(23.44) * np.sin(2.0 * np.pi * (day - 79.0) / 365.25)
    hour_angle = ((np.arange(slots) % per_day + 0.5) / per_day - 0.5) * 2.0 * np.pi
    here = np.radians(degrees)
    height = np.sin(here) * np.sin(declination) + np.cos(here) * np.cos(declination) * np.cos(hour_angle)
    return NOON_W * np.clip(height, 0.0, None)


def history_of(begin: str, pv_w: Floats, slot_s: float = 900.0) -> History:
    """On a clock of UTC."""
    begin_s = float(np.datetime64(begin).astype("datetime64[s]").astype(int))
    load_w, flat, offset_s = np.full(len(pv_w), 500.0), np.full(len(pv_w), 0.30), np.zeros(len(pv_w))
    return History(begin_s, slot_s, offset_s, load_w, pv_w, flat)


def factors(begin: str, degrees: float) -> Floats:
    """What each of four weeks without a cloud is multiplied by, the oldest first."""
    history = history_of(begin, sunny(begin, degrees)[: DAYS * 96])
    days = calendar(history, 0.0)
    return as_today(days.rows(history.pv_w), days)


def test_a_day_lasts_twelve_hours_at_the_equinox_and_sixteen_in_the_north_at_midsummer() -> None:
    assert day_h(radians(0.0, 50.0), radians(0.0, 0.0)) == pytest.approx([12.0, 12.0])
    # cos(half a day) = -tan 50 tan 23.44 = -1.1918 x 0.4336 = -0.5167: 121.1 degrees each way, at 15 an hour.
    assert day_h(radians(50.0), radians(23.44)) == pytest.approx([16.15], abs=0.01)


def test_at_sixty_degrees_an_equinox_gives_half_of_what_it_gives_at_the_equator() -> None:
    assert above_the_clouds(radians(0.0, 60.0), radians(0.0, 0.0)) == pytest.approx([1.0, 0.5])


@pytest.mark.parametrize(
    ("begin", "degrees"),
    [("2026-02-20", 50.0), ("2026-09-01", 50.0), ("2026-09-01", -35.0), ("2026-06-05", 50.0)],
)
def test_what_the_sun_gave_four_weeks_ago_is_raised_in_spring_and_lowered_in_autumn(
    begin: str, degrees: float
) -> None:
    """Found from the length of the days alone; a plant on the level, so its own yield is the true factor."""
    by_day = sunny(begin, degrees).reshape(-1, 96).sum(axis=1)
    truth = by_day[DAYS] / by_day[0]
    assert factors(begin, degrees)[0] == pytest.approx(truth, rel=0.08)


def test_nothing_is_said_of_the_season_before_there_are_three_days() -> None:
    history = history_of("2026-03-01", sunny("2026-03-01", 50.0, slots=2 * 96))
    days = calendar(history, 0.0)
    assert as_today(days.rows(history.pv_w), days).tolist() == [1.0] * days.days


def test_tomorrow_in_march_is_not_expected_to_be_as_dull_as_the_mean_of_four_weeks() -> None:
    """Ten springs, each day 30 to 100 % clear by chance: right is the mean of that at tomorrow's sun."""
    begin, found, before = "2026-02-25", [], []
    truth_w = sunny(begin, 50.0)
    tomorrow = truth_w[DAYS * 96 : (DAYS + 1) * 96].sum()
    for spring in range(10):
        clear = np.random.default_rng(spring).uniform(0.3, 1.0, DAYS)
        past_w = truth_w[: DAYS * 96] * np.repeat(clear, 96)
        right = clear.mean() * tomorrow
        _, pv_w = means(forecast(history_of(begin, past_w), Ahead(np.zeros(96), np.full(96, 0.30))))
        found.append(pv_w.sum() / right)
        before.append(past_w.sum() / DAYS / right)
    assert np.mean(before) < 0.85
    assert np.mean(found) == pytest.approx(1.0, abs=0.07)


def test_an_hour_after_sunrise_a_plant_of_sunny_days_is_expected_to_give_what_it_gave() -> None:
    """Measured by the hour, in June at 34 degrees: dawn and noon of one hour each differ tenfold."""
    begin, hours = "2026-06-01", (DAYS + 1) * 24
    haze = np.repeat(np.random.default_rng(5).uniform(0.9, 1.0, DAYS + 1), 24)
    truth_w = sunny(begin, 34.0, 3600.0, hours) * haze
    now = DAYS * 24 + 7
    ahead = Ahead(np.zeros(14), np.full(14, 0.30))
    expected = means(forecast(history_of(begin, truth_w[:now], 3600.0), ahead))[1].sum()
    assert expected == pytest.approx(truth_w[now : now + 14].sum(), rel=0.05)
