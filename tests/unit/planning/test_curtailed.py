"""Plants that are held down: what their sun is taken to be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from controller.planning.forecast import forecast
from controller.planning.history import History
from controller.planning.skill import means, skill
from tests.unit.planning.days import DAY, SUN_W, coming, past

CAP_W = 1000.0
HELD_FROM, HELD_TO = 40, 64
"""From 10:00 to 16:00, once the battery is full."""


def held_down(slots: int, clearness: Callable[[int], float] = lambda day: 1.0) -> History:
    """A plant that may give no more than 1 kW from 10:00 on, day by day so clear."""

    def free_w(slot: int) -> float:
        return clearness(slot // DAY) * float(SUN_W[slot % DAY])

    def held(slot: int) -> bool:
        return HELD_FROM <= slot % DAY < HELD_TO and free_w(slot) > CAP_W

    history = past(slots, lambda slot: 500.0, lambda slot: CAP_W if held(slot) else free_w(slot))
    return replace(history, pv_held=np.array([held(slot) for slot in range(slots)]))


def test_a_noon_that_nobody_has_seen_free_is_told_by_morning_and_evening() -> None:
    history = held_down(10 * DAY)
    _, pv_w = means(forecast(history, coming()))
    assert pv_w[32:64] == pytest.approx(SUN_W[32:64], rel=0.1)
    _, taken_as_seen_w = means(forecast(replace(history, pv_held=None), coming()))
    assert np.median(taken_as_seen_w[HELD_FROM:HELD_TO]) < 1.1 * CAP_W


def test_it_is_never_taken_to_be_more_than_the_inverters_can_give() -> None:
    history = replace(held_down(10 * DAY), pv_rated_w=2500.0)
    assert means(forecast(history, coming()))[1][44:52].max() <= 2500.0 * 1.05


def test_a_dull_morning_still_foretells_a_dull_afternoon() -> None:
    def clearness(day: int) -> float:
        return 0.15 if day % 3 == 2 or day == 20 else 1.0

    bright, dull = (
        means(forecast(held_down(days * DAY + HELD_FROM, clearness), coming(HELD_TO - HELD_FROM)))[1].sum()
        for days in (21, 20)
    )
    clear = SUN_W[HELD_FROM:HELD_TO].sum()
    assert dull < 0.5 * clear
    assert bright > 0.7 * clear


def test_a_day_held_down_from_dawn_to_dusk_is_taken_for_one_like_the_others() -> None:
    history = held_down(10 * DAY, lambda day: 0.6)
    assert history.pv_held is not None
    pv_w, held = history.pv_w.copy(), history.pv_held.copy()
    last = slice(9 * DAY, 10 * DAY)
    pv_w[last], held[last] = np.minimum(pv_w[last], 100.0), SUN_W > 0.0
    expected_w = means(forecast(replace(history, pv_w=pv_w, pv_held=held), coming()))[1]
    assert expected_w[HELD_FROM:HELD_TO] == pytest.approx(0.6 * SUN_W[HELD_FROM:HELD_TO], rel=0.15)


def test_the_skill_of_a_forecast_is_judged_by_the_hours_in_which_the_plant_was_free() -> None:
    found = skill(held_down(12 * DAY))
    assert found is not None
    assert found.pv_error_w is not None
    assert found.pv_error_w < 60.0
