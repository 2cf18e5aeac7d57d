"""The month's peak when the clock shows another month for a while."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from controller.dispatch.demand import DemandState
from tests.unit.dispatch.test_demand import BEGIN_UTC_S, MARCH_2024, at, begun, updated

YEAR_S, MONTH_S = 365 * 86_400.0, 30 * 86_400.0


@pytest.mark.parametrize("away_s", [(YEAR_S,), (-MONTH_S,), (YEAR_S, 2 * YEAR_S, MONTH_S)])
def test_a_clock_that_comes_back_from_another_month_finds_the_peak_of_this_one(
    away_s: tuple[float, ...],
) -> None:
    state = begun(month_peak_w=6000.0)
    for second, one_s in enumerate(away_s, 1):
        state = updated(state, at(float(second), begin_utc_s=BEGIN_UTC_S + one_s))
        assert state.month_peak_w == 0.0
    back = updated(state, at(10.0))
    assert (back.month, back.month_peak_w) == (MARCH_2024, 6000.0)


def test_a_peak_made_while_the_clock_was_wrong_is_left_to_that_month() -> None:
    state = begun(month=MARCH_2024 + 12, month_peak_w=50.0, left_month=MARCH_2024, left_peak_w=6000.0)
    back = updated(replace(state, window_begin_utc_s=BEGIN_UTC_S + YEAR_S), at(10.0))
    assert (back.month_peak_w, back.left_month, back.left_peak_w) == (6000.0, MARCH_2024 + 12, 50.0)


def test_without_a_trusted_clock_both_months_are_remembered() -> None:
    state = begun(month_peak_w=50.0, left_month=MARCH_2024 - 1, left_peak_w=6000.0)
    after = updated(state, at(900.0, trusted=False))
    assert (after.month_peak_w, after.left_month, after.left_peak_w) == (50.0, MARCH_2024 - 1, 6000.0)


def test_the_month_that_was_left_is_remembered_while_a_window_runs() -> None:
    state = begun(left_month=MARCH_2024 - 1, left_peak_w=6000.0)
    after = updated(state, at(10.0))
    assert (after.left_month, after.left_peak_w) == (MARCH_2024 - 1, 6000.0)


def test_the_same_month_of_another_year_is_another_month() -> None:
    restored = DemandState(BEGIN_UTC_S, 5.0, MARCH_2024 - 12, 6000.0)
    assert updated(restored, at(10.0)).month_peak_w == 0.0


def test_december_is_followed_by_january() -> None:
    midnight_utc_s = datetime(2025, 1, 1, tzinfo=UTC).timestamp()
    december = updated(None, at(-1.0, offset_s=0.0, begin_utc_s=midnight_utc_s))
    january = updated(december, at(0.0, offset_s=0.0, begin_utc_s=midnight_utc_s))
    assert (december.month, january.month) == (2024 * 12 + 12, 2025 * 12 + 1)
