"""A billing window by the meter's counter, in a simulated time where minutes lie between two beats."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.dispatch.test_demand import at, begun, updated


def test_what_was_counted_goes_before_the_power_of_now() -> None:
    first = updated(begun(counted_wh=70.0), replace(at(300.0, 9000.0), counted_wh=170.0))
    assert first == begun(energy_wh=100.0, updated_at_s=5300.0, counted_wh=170.0)
    later = updated(first, replace(at(301.0, 0.0), counted_wh=172.5))
    assert later.energy_wh == pytest.approx(102.5)


def test_a_counted_window_makes_the_months_peak_however_long_the_gaps() -> None:
    before = begun(energy_wh=100.0, updated_at_s=5300.0, counted_wh=170.0)
    after = updated(before, replace(at(900.0, 9000.0), counted_wh=570.0))
    assert after.month_peak_w == pytest.approx(2000.0)
    assert (after.energy_wh, after.watched, after.counted_wh) == (0.0, True, 570.0)


def test_a_gap_over_the_boundary_is_shared_by_its_time() -> None:
    """90 Wh in 900 s of which two thirds lie before: 60 Wh more there, 30 Wh here."""
    before = begun(energy_wh=100.0, updated_at_s=5300.0, counted_wh=0.0)
    after = updated(before, replace(at(1200.0, 9000.0), counted_wh=90.0))
    assert after.energy_wh == pytest.approx(30.0)
    assert after.month_peak_w == pytest.approx(640.0)


def test_a_counter_that_began_just_now_says_nothing_of_before() -> None:
    first = updated(None, replace(at(0.0, 500.0), counted_wh=9.0))
    assert first.counted_wh == 9.0
    unknown = updated(begun(), replace(at(36.0, 5000.0), counted_wh=9.0))
    assert unknown == begun(energy_wh=50.0, updated_at_s=5036.0, counted_wh=9.0)


def test_the_same_instant_twice_counts_once() -> None:
    again = updated(begun(counted_wh=9.0), replace(at(0.0, 5000.0), counted_wh=9.0))
    assert again == begun(counted_wh=9.0)


def test_without_a_trusted_clock_it_counts_too() -> None:
    site = replace(at(10.0, trusted=False), counted_wh=5.0)
    first = updated(None, site)
    after = updated(first, replace(at(310.0, 9000.0, trusted=False), counted_wh=25.0))
    assert after.energy_wh == pytest.approx(20.0)
