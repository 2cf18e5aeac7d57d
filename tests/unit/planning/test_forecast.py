"""Forecasts from a site's own past: what they say of days that can be told by heart, and of next to none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from controller.planning.forecast import filled_prices, forecast
from controller.planning.history import Ahead, History, HistoryError, calendar
from controller.planning.inputs import Floats
from controller.planning.loads import MEMORY_DAYS, UNKNOWN_W, YOUNG, bins, chances, told_by_others
from controller.planning.skill import means, skill
from tests.unit.planning.days import DAY, MONDAY, SLOT_S, SUMMER_S, SUN_W, coming, past, told

NAN = float("nan")


def expected(history: History, ahead: Ahead) -> tuple[Floats, Floats]:
    """Mean load and PV, after a look at the chain itself."""
    ensemble = forecast(history, ahead)
    assert ensemble.weights.sum() == pytest.approx(1.0)
    assert ensemble.transition is not None
    assert np.allclose(ensemble.transition.sum(axis=-1), 1.0)
    assert np.isfinite(ensemble.net_load_w).all()
    return means(ensemble)


def cloudy(day: int) -> bool:
    """A sky that is clear on two days of three."""
    return day % 3 == 2


def test_parts_of_a_day_are_means_of_equally_likely_values() -> None:
    found, edges = bins(np.array([[1.0, 2.0, 3.0, 4.0]]), np.ones((1, 4)), 2)
    assert found.tolist() == [[1.5, 3.5]]
    assert edges.tolist() == [[2.0]]
    # 1 counts three times as much as 5: the lower half is all 1, the upper one 1 and 5 in equal parts.
    assert bins(np.array([[1.0, 5.0]]), np.array([[3.0, 1.0]]), 2)[0].tolist() == [[1.0, 3.0]]


def test_what_follows_a_state_is_counted_and_a_gap_breaks_the_chain() -> None:
    course = np.array([0, 0, 1, NAN, 0, 1, 1], dtype=float)
    assert chances(course, 2, 1.0) == pytest.approx(np.array([[2 / 5, 3 / 5], [1 / 3, 2 / 3]]))


def test_a_load_that_never_changes_goes_on() -> None:
    load_w, pv_w = expected(past(10 * DAY, lambda slot: 700.0), coming())
    assert load_w == pytest.approx(np.full(DAY, 700.0))
    assert pv_w.tolist() == [0.0] * DAY


def test_working_days_and_free_days_differ() -> None:
    def office(slot: int) -> float:
        return 300.0 if slot // DAY % 7 >= 5 else 3000.0

    history = past(19 * DAY, office)  # to the end of a Friday
    load_w, _ = expected(history, coming(3 * DAY))
    saturday, monday = load_w[:DAY].mean(), load_w[2 * DAY :].mean()
    assert saturday < 1000.0
    assert monday > 2000.0


def test_what_is_usual_is_told_by_the_days_before_today() -> None:
    """Two days of 500 W; this night from 00:00 to 06:00 2 kW; it is noon."""
    night = range(2 * DAY, 2 * DAY + 24)
    history = past(2 * DAY + 48, lambda slot: 2000.0 if slot in night else 500.0)
    load_w, _ = expected(history, coming())
    assert load_w[48 + 8 : 48 + 12] == pytest.approx(load_w[48 + 32 : 48 + 36], rel=0.08)


def test_a_day_of_the_past_is_told_by_all_days_but_itself() -> None:
    working = np.zeros(3, dtype=bool)
    rows = np.repeat([[100.0], [200.0], [600.0]], DAY, axis=1)
    # Each slot is told by itself and its neighbours: three times the other days, and once the mean of 300 W.
    near, far = 3.0 * np.exp(-1.0 / MEMORY_DAYS), 3.0 * np.exp(-2.0 / MEMORY_DAYS)
    first_w = (near * 200.0 + far * 600.0 + YOUNG * 300.0) / (near + far + YOUNG)
    middle_w = (near * 700.0 + YOUNG * 300.0) / (2.0 * near + YOUNG)
    told_w = told_by_others(rows, working)
    assert told_w[0] == pytest.approx(np.full(DAY, first_w))
    assert told_w[1] == pytest.approx(np.full(DAY, middle_w))


def test_before_there_is_a_whole_day_what_is_usual_is_told_by_today() -> None:
    history = past(DAY // 2, lambda slot: 2000.0 if slot >= 32 else 200.0)
    load_w, _ = expected(history, coming())
    assert load_w[48 + 36 : 48 + 44].mean() > 2.0 * load_w[48 + 8 : 48 + 24].mean()


def test_a_house_whose_people_are_away_is_expected_to_need_less_tonight() -> None:
    """Now and then two days at a fifth of the usual load; it is noon, the last night was one or the other."""

    def load(slot: int, away: frozenset[int]) -> float:
        return 200.0 if slot // DAY in away else 1000.0

    def tonight_w(away: frozenset[int]) -> float:
        history = past(20 * DAY + 48, lambda slot: load(slot, away))
        return float(expected(history, coming())[0][:24].mean())

    before = {3, 4, 8, 9, 14, 15}
    assert tonight_w(frozenset(before)) > 750.0
    assert tonight_w(frozenset(before | {19, 20})) < 500.0


def test_a_house_that_is_empty_for_the_first_time_in_weeks_is_expected_to_need_less() -> None:
    """Away for the first time in three weeks, since yesterday morning: a fifth of the usual 600 to 1400 W.

    With three levels of equal share these hours were lost among other quiet ones: 812 W were expected.
    """
    usual_w = np.random.default_rng(2).uniform(600.0, 1400.0, 21 * DAY)

    def load(slot: int) -> float:
        return float(usual_w[slot]) * (0.2 if slot >= 19 * DAY + 32 else 1.0)

    load_w, _ = expected(past(20 * DAY + 72, load), coming())
    assert load_w[:16].mean() < 750.0


def test_the_sun_of_days_without_clouds_comes_back_and_the_night_is_dark() -> None:
    history = past(10 * DAY, lambda slot: 500.0, lambda slot: float(SUN_W[slot % DAY]))
    _, pv_w = expected(history, coming())
    assert pv_w[:20].max() < 100.0
    assert pv_w[32:64] == pytest.approx(SUN_W[32:64], rel=0.1)


def test_a_cloudy_morning_lowers_the_afternoon() -> None:
    def sun(dark: bool) -> History:
        def pv_w(slot: int) -> float:
            day, today = divmod(slot, DAY)
            covered = dark if day == 20 else cloudy(day)
            return float(SUN_W[today]) * (0.2 if covered else 1.0)

        return past(20 * DAY + 48, lambda slot: 500.0, pv_w)

    afternoons = [expected(sun(dark), coming(24))[1].sum() for dark in (True, False)]
    clear = SUN_W[48:72].sum()
    assert afternoons[0] < 0.5 * clear
    assert afternoons[1] > 0.7 * clear


def test_prices_that_dip_at_noon_foretell_the_sun() -> None:
    def with_prices(dip_tomorrow: bool) -> tuple[History, Ahead]:
        clear = np.random.default_rng(7).random(28) < 0.5
        history = past(
            28 * DAY,
            lambda slot: 500.0,
            lambda slot: float(SUN_W[slot % DAY]) * (1.0 if clear[slot // DAY] else 0.2),
        )
        dipping = np.where((np.arange(DAY) >= 40) & (np.arange(DAY) < 64), 0.05, 0.30)
        prices = np.concatenate([dipping if one else np.full(DAY, 0.30) for one in clear])
        tomorrow = dipping if dip_tomorrow else np.full(DAY, 0.30)
        return replace(history, import_per_kwh=prices), replace(coming(), import_per_kwh=tomorrow)

    bright, dull = (expected(*with_prices(dip))[1].sum() for dip in (True, False))
    assert bright > 0.75 * SUN_W.sum()
    assert dull < 0.45 * SUN_W.sum()


@pytest.mark.parametrize("slots", [0, 4, DAY])
def test_a_site_with_next_to_no_past_gets_a_wide_forecast_and_no_error(slots: int) -> None:
    ensemble = forecast(past(slots, lambda slot: 600.0 + 300.0 * (slot % 2), lambda slot: 0.0), coming())
    assert np.isfinite(ensemble.load_w).all()
    assert np.ptp(ensemble.load_w[:, 10]) >= 0.25 * ensemble.load_w[:, 10].mean()


def test_a_home_nobody_has_measured_is_taken_for_a_usual_one() -> None:
    load_w, pv_w = expected(past(0, lambda slot: 0.0), coming())
    assert load_w == pytest.approx(np.full(DAY, UNKNOWN_W))
    assert not pv_w.any()


def rated(history: History) -> History:
    """The same site, whose inverters say that they can give 6 kW."""
    return replace(history, pv_rated_w=6000.0)


def test_before_its_first_sun_a_plant_is_expected_to_give_any_share_of_its_rating() -> None:
    ensemble = forecast(rated(past(20, lambda slot: 500.0)), coming())
    pv_w = np.unique(ensemble.pv_w[:, 51 - 20].round(6))
    # At 12:52 of the day that stands in: six states, (k + 0.5) / 6 of 0.7 x 6 kW x cos(0.125 / 12 pi).
    assert pv_w[[0, -1]] == pytest.approx(4200.0 * np.cos(0.125 / 12 * np.pi) * np.array([1, 11]) / 12)
    assert len(pv_w) == len(np.unique(ensemble.pv_w[:, 60 - 20].round(6))) == 6
    assert not ensemble.pv_w[:, : 28 - 20].any()


def test_on_its_first_day_the_afternoon_of_a_plant_is_as_clear_as_its_morning() -> None:
    def afternoon(share: float) -> float:
        history = rated(past(48, lambda slot: 500.0, lambda slot: share * float(SUN_W[slot])))
        return float(expected(history, coming(24))[1].sum())

    assert afternoon(0.1) < 0.5 * afternoon(1.0)
    assert afternoon(1.0) > 0.5 * SUN_W[48:72].sum()


def test_a_plant_that_gave_nothing_on_its_first_day_is_expected_to_give_nothing() -> None:
    assert not expected(rated(past(DAY, lambda slot: 500.0)), coming())[1].any()


def test_what_was_not_measured_is_left_out() -> None:
    history = past(9 * DAY, lambda slot: NAN if 100 <= slot < 300 else 700.0)
    assert expected(history, coming())[0] == pytest.approx(np.full(DAY, 700.0))


def test_the_habit_of_seven_oclock_stays_at_seven_when_the_clocks_go_back() -> None:
    """The kettle of 07:00 to 08:00, three weeks of summer time, then a day of winter time."""
    history = past(21 * DAY, lambda slot: 3000.0 if 28 <= slot % DAY < 32 else 100.0)
    winter = Ahead(np.full(DAY, SUMMER_S - 3600.0), np.full(DAY, 0.30))
    load_w, _ = expected(history, winter)  # begins at 23:00 on the new clock
    assert load_w[32:36].mean() > 1800.0
    assert load_w[26:30].mean() < 700.0


def test_days_are_rows_from_midnight_and_today_is_as_long_as_it_has_been() -> None:
    history = past(2 * DAY + 3, lambda slot: float(slot))
    days = calendar(history, SUMMER_S)
    rows = days.rows(history.load_w)
    assert rows.shape == (3, DAY)
    assert rows[1, 0] == DAY
    assert rows[2, :3].tolist() == [192.0, 193.0, 194.0]
    assert np.isnan(rows[2, 3:]).all()
    assert days.free_days(np.arange(7)).tolist() == [False] * 5 + [True] * 2  # from Monday on


def test_columns_of_different_lengths_are_no_history() -> None:
    with pytest.raises(HistoryError, match="give as many"):
        History(MONDAY, SLOT_S, np.zeros(3), np.zeros(3), np.zeros(2), np.zeros(3))
    with pytest.raises(HistoryError, match="do not fill a day"):
        History(MONDAY, 1000.0, *(np.zeros(3) for _ in range(4)))


def test_an_outside_forecast_that_was_right_is_followed_and_one_that_was_not_is_not() -> None:
    """Days of 500 W and 1500 W by chance: nobody could know, but for the one who says so."""
    chance = np.random.default_rng(3)
    high = np.repeat(chance.random(28) < 0.5, DAY)
    truth = np.where(high, 1500.0, 500.0)
    noise = np.where(np.repeat(chance.random(28) < 0.5, DAY), 1500.0, 500.0)
    history = past(28 * DAY, lambda slot: float(truth[slot]))
    will = np.full(DAY, 1500.0)
    right, wrong = (expected(*told(history, coming(), said, will))[0].mean() for said in (truth, noise))
    alone = expected(history, coming())[0].mean()
    assert right > alone + 150.0
    assert abs(wrong - alone) < 100.0


def test_prices_not_published_yet_are_like_those_of_the_days_before() -> None:
    yesterday, working = np.arange(4.0), np.zeros(8, dtype=bool)
    today = filled_prices(yesterday, np.array([9.0, NAN, NAN, 7.0]), working, 4)
    assert today.tolist() == pytest.approx([9.0, 1.0, 2.0, 7.0])
    alone = filled_prices(np.empty(0), np.array([0.4, NAN, NAN]), working[:3], 4)
    assert alone.tolist() == pytest.approx([0.4] * 3)


def test_the_price_of_a_saturday_is_guessed_from_saturdays_and_sundays_more_than_from_fridays() -> None:
    """Weeks from Monday on, 30 ct on working days and 10 ct on free days; the next day is a Saturday."""
    free = np.arange(27) % 7 >= 5
    past = np.where(free[:26], 0.10, 0.30)
    saturday = float(filled_prices(past, np.array([NAN]), free, 1)[0])
    # A day weighs exp(-age / 10), one of the other kind a fifth of it. Free days are 5, 6, 12, 13, 19 and 20
    # days old: 0.607 + 0.549 + 0.301 + 0.273 + 0.150 + 0.135 = 2.014. All 26 days weigh 9.728, so the working
    # days 7.714 / 5 = 1.543, and (2.014 x 0.10 + 1.543 x 0.30) / 3.557 = 0.187.
    assert saturday == pytest.approx(0.187, abs=0.001)
    friday = float(filled_prices(past[:25], np.array([NAN]), free[:26], 1)[0])
    assert friday > 0.28


def test_the_skill_of_a_forecast_is_its_error_beside_that_of_saying_like_yesterday() -> None:
    """500 W and 1500 W by turns: like yesterday is 1 kW off every day."""
    shown = skill(past(10 * DAY, lambda slot: 1500.0 if slot // DAY % 2 else 500.0))
    assert shown is not None
    assert shown.days == 7
    assert shown.load_like_yesterday_w == pytest.approx(1000.0)
    assert shown.load_error_w is not None
    assert shown.load_error_w < 750.0
    assert (shown.pv_error_w, shown.pv_like_yesterday_w) == (0.0, 0.0)


def test_there_is_no_skill_to_speak_of_before_two_days_nor_of_what_was_never_measured() -> None:
    assert skill(past(2 * DAY - 1, lambda slot: 500.0)) is None
    unmeasured = skill(past(3 * DAY, lambda slot: NAN))
    assert unmeasured is not None
    assert unmeasured.load_error_w is None
