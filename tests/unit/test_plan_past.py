"""The past that a plan is made from: whole days, so that all plans of a day are told the same by them."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from controller.past import Past, Quarter
from controller.plan_keeper import PlanKeeper
from controller.planning.forecast import forecast
from controller.planning.history import DAYS, calendar
from controller.planning.inputs import Leave, Storage
from controller.planning.loads import _usual
from controller.planning.request import PlanRequest, _ahead, _history
from tests.unit.planning.clocks import BRUSSELS, local_s, offset_in
from tests.unit.test_site_tariff import IMPORT, load

MIDNIGHT = local_s(BRUSSELS, 2026, 6, 1)
DAY_S = 86_400.0
STORAGE = Storage(10_000.0, 5000.0, 5000.0)


@pytest.fixture
def keeper(tmp_path: Path) -> PlanKeeper:
    """Of a house that has been measured for forty days, up to the evening of 1 June."""
    config = load(tmp_path, f"{IMPORT}per_kwh = 0.3\n")
    assert config.tariff is not None
    chance = Random("a house")
    past = Past(56 * DAY_S)
    for place in range(-40 * 96, 80):
        past.add(Quarter(MIDNIGHT + 900.0 * place, 1000.0 * chance.random(), 0.0, 0.0))
    return PlanKeeper(config.dispatch, config.planning, config.tariff.tariff, offset_in(BRUSSELS), past)


def request_at(keeper: PlanKeeper, utc_s: float) -> PlanRequest:
    """As the keeper makes it."""
    past, ahead = keeper._past(utc_s), keeper._course(utc_s, 192)
    return PlanRequest(utc_s, 50.0, past, ahead, STORAGE, Leave(), (), 7200.0)


def test_at_any_hour_four_weeks_of_whole_days_are_looked_back_on(keeper: PlanKeeper) -> None:
    for hour in (0, 1, 12, 19):
        history = _history(request_at(keeper, MIDNIGHT + 3600.0 * hour))
        rows = calendar(history, 7200.0).rows(history.load_w)
        assert len(rows) == DAYS + 1
        assert not any(bool((row != row).any()) for row in rows[:-1])


def test_what_they_say_of_today_is_worked_out_once_a_day(keeper: PlanKeeper) -> None:
    before = _usual.cache_info().misses
    for hour in (1, 7, 12, 19):
        request = request_at(keeper, MIDNIGHT + 3600.0 * hour)
        forecast(_history(request), _ahead(request))
    assert _usual.cache_info().misses == before + 1
