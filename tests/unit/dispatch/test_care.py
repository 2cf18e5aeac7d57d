"""Seeing that a battery was full, and how far it may be discharged while that is overdue."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.dispatch.care import CareState, least_soc_pct, observe_full
from tests.unit.dispatch.cared import (
    BIWEEKLY,
    LEAD,
    LITHIUM,
    MONTHLY,
)


@pytest.mark.parametrize(
    ("max_soc_pct", "soc_pct", "full"),
    [(100.0, 99.5, True), (100.0, 99.4, False), (90.0, 90.0, True), (90.0, 89.9, False), (99.5, 99.5, True)],
)
def test_full_is_99_5_pct_or_the_ceiling_where_that_is_lower(
    max_soc_pct: float, soc_pct: float, full: bool
) -> None:
    settings = replace(LITHIUM, max_soc_pct=max_soc_pct)
    after = observe_full(settings, CareState(5.0), soc_pct, 100.0, 7.0)
    assert after == CareState(5.0, 0.0, 100.0 if full else None)


def test_a_battery_that_is_not_full_keeps_the_same_state() -> None:
    before = CareState(5.0)
    assert observe_full(LITHIUM, before, 70.0, 100.0, 7.0) is before


def test_a_battery_has_been_full_once_it_was_so_for_a_minute() -> None:
    before = CareState(5.0, 30.0, 100.0)
    assert observe_full(LITHIUM, before, 100.0, 129.0, 1000.0) == CareState(5.0, 59.0, 129.0)
    assert observe_full(LITHIUM, before, 100.0, 130.0, 1000.0) == CareState(1000.0, 60.0, 130.0)


def test_lead_acid_has_been_full_once_absorption_was_held() -> None:
    before = CareState(5.0, 7100.0, 100.0)
    assert observe_full(LEAD, before, 100.0, 159.0, 9e5) == CareState(5.0, 7159.0, 159.0)
    assert observe_full(LEAD, replace(before, full_s=7150.0), 100.0, 150.0, 9e5) == CareState(
        9e5, 7200.0, 150.0
    )


@pytest.mark.parametrize(("absorption_s", "needed_s"), [(0.0, 60.0), (60.0, 60.0), (61.0, 61.0)])
def test_a_minute_is_the_least_that_counts(absorption_s: float, needed_s: float) -> None:
    settings = replace(LITHIUM, care=replace(MONTHLY, absorption_s=absorption_s))
    before = CareState(5.0, 0.0, 0.0)
    almost = replace(before, full_s=needed_s - 1.0)
    assert observe_full(settings, almost, 100.0, 0.5, 1000.0).last_full_utc_s == 5.0
    assert observe_full(settings, almost, 100.0, 1.0, 1000.0) == CareState(1000.0, needed_s, 1.0)


def test_a_dip_of_less_than_1_pct_does_not_end_being_full() -> None:
    before = CareState(5.0, 30.0, 100.0)
    assert observe_full(LITHIUM, before, 98.5, 110.0, 1000.0) == CareState(5.0, 40.0, 110.0)
    assert observe_full(LITHIUM, before, 98.4, 110.0, 1000.0) == CareState(5.0)


@pytest.mark.parametrize(
    ("now_s", "full_s"), [(160.0, 1060.0), (161.0, 1060.0), (9000.0, 1060.0), (40.0, 1000.0)]
)
def test_a_gap_between_readings_counts_as_a_minute_at_most_and_never_backwards(
    now_s: float, full_s: float
) -> None:
    before = CareState(5.0, 1000.0, 100.0)
    assert observe_full(LEAD, before, 100.0, now_s, 9e5) == CareState(5.0, full_s, now_s)


def test_a_battery_that_stays_full_is_written_down_once_a_minute() -> None:
    before = CareState(1000.0, 60.0, 100.0)
    assert observe_full(LITHIUM, before, 100.0, 159.0, 1059.0) is before
    assert observe_full(LITHIUM, before, 100.0, 160.0, 1060.0) == CareState(1060.0, 60.0, 160.0)


def test_without_trusted_time_the_minutes_count_but_no_date_is_written() -> None:
    before = CareState(5.0, 50.0, 100.0)
    assert observe_full(LITHIUM, before, 100.0, 109.0, None) == CareState(5.0, 59.0, 109.0)
    assert observe_full(LITHIUM, before, 100.0, 110.0, None) is before
    assert observe_full(LITHIUM, CareState(None, 50.0, 100.0), 100.0, 120.0, None) == CareState(
        None, 50.0, 100.0
    )
    assert observe_full(LITHIUM, before, 100.0, 120.0, 900.0) == CareState(900.0, 60.0, 120.0)


def test_an_unknown_soc_changes_nothing() -> None:
    before = CareState(5.0, 30.0, 100.0)
    assert observe_full(LITHIUM, before, None, 110.0, 1000.0) is before


def test_days_count_from_first_sight_of_a_battery() -> None:
    assert observe_full(LITHIUM, CareState(), 50.0, 100.0, 1000.0) == CareState(1000.0)
    assert observe_full(LITHIUM, CareState(), None, 100.0, 1000.0) == CareState(1000.0)
    assert observe_full(LITHIUM, CareState(None, 20.0, 90.0), 100.0, 100.0, 1000.0) == CareState(
        1000.0, 30.0, 100.0
    )
    unseen = CareState()
    assert observe_full(LITHIUM, unseen, 50.0, 100.0, None) is unseen


def test_a_date_in_the_future_is_not_believed() -> None:
    assert observe_full(LITHIUM, CareState(1001.0), 50.0, 100.0, 1000.0) == CareState(1000.0)
    same = CareState(1000.0)
    assert observe_full(LITHIUM, same, 50.0, 100.0, 1000.0) is same


# The minimum SoC of a lead-acid battery.


@pytest.mark.parametrize(
    ("days", "least_pct"),
    [
        (0.0, 50.0),
        (14.0, 50.0),
        (16.9, 50.0),
        (17.0, 55.0),
        (17.9, 55.0),
        (18.0, 60.0),
        (19.0, 62.0),
        (400.0, 62.0),
    ],
)
def test_the_minimum_soc_rises_a_step_a_day_once_patience_is_over(days: float, least_pct: float) -> None:
    assert least_soc_pct(LEAD, days) == least_pct


def test_the_minimum_soc_of_lithium_stays() -> None:
    assert least_soc_pct(replace(LEAD, chemistry="lithium"), 400.0) == 50.0


def test_the_minimum_soc_of_the_site_file_is_never_lowered() -> None:
    assert least_soc_pct(replace(LEAD, min_soc_pct=70.0), 18.0) == 70.0


@given(st.floats(0.0, 1000.0), st.floats(0.0, 100.0), st.floats(0.0, 50.0), st.floats(0.0, 100.0))
def test_the_minimum_soc_only_rises_with_time_and_stays_between_its_bounds(
    days: float, least_pct: float, step_pct: float, most_pct: float
) -> None:
    settings = replace(
        LEAD,
        min_soc_pct=least_pct,
        care=replace(BIWEEKLY, min_soc_step_pct=step_pct, min_soc_most_pct=most_pct),
    )
    now_pct = least_soc_pct(settings, days)
    assert least_pct <= now_pct <= max(least_pct, most_pct)
    assert least_soc_pct(settings, days + 1.0) >= now_pct
