"""Billed peaks as a plan sees them: what was had this month, and what earlier months say of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from controller.planning.calendars import Hours
from controller.planning.peaks import peaks_ahead
from controller.planning.request import Peak
from controller.planning.tariff import DemandCharge, Tier
from tests.unit.planning.clocks import BRUSSELS, local_s, offset_in

CHARGE = DemandCharge("peak", ((Tier(10.0),),) * 12)
NOW = local_s(BRUSSELS, 2026, 8, 2)


def past(*peaks_kw: float) -> np.ndarray:
    """Months up to August that import nothing but for their first quarter hour; yesterday is the last day."""
    first_month = 9 - len(peaks_kw)
    quarters = {
        local_s(BRUSSELS, 2026, first_month + place, 1): 1000.0 * peak_kw
        for place, peak_kw in enumerate(peaks_kw)
    }
    whole = {NOW - 900.0 * back: 0.0 for back in range(1, 97)}
    return np.array(sorted({**whole, **quarters}.items()))


def peak(*peaks_kw: float) -> Peak:
    """Of the day to come."""
    (found,) = peaks_ahead([CHARGE], past(*peaks_kw), NOW, 900.0, 96, offset_in(BRUSSELS))
    return found


def test_what_this_month_has_had_is_paid_for() -> None:
    assert peak(4.0).peak_so_far_w == pytest.approx(4000.0)


def test_the_lowest_of_three_months_is_expected_of_this_one_too() -> None:
    assert peak(8.0, 6.0, 7.0, 1.0).expected_peak_w == pytest.approx(6000.0)


def test_two_months_say_nothing_of_a_third() -> None:
    assert peak(8.0, 6.0, 1.0).expected_peak_w == 0.0


def test_a_peak_knows_how_long_its_month_still_is() -> None:
    # On 2 August 30 of its 31 days are left.
    assert peak(4.0).ends == 30 * 96


def test_without_any_past_every_kilowatt_of_the_month_is_still_to_be_paid() -> None:
    (found,) = peaks_ahead([CHARGE], np.zeros((0, 2)), NOW, 900.0, 96, offset_in(BRUSSELS))
    assert (found.price_per_kw, found.peak_so_far_w, found.expected_peak_w) == (10.0, 0.0, 0.0)


def test_a_window_that_begins_within_the_hours_counts_whole_and_one_that_began_before_not_at_all() -> None:
    # Hours from 17:30 to 20:15, windows of an hour: those from 18:00, 19:00 and 20:00 on are billed.
    charge = replace(CHARGE, hours=(Hours(first=70, end=81),), window_s=3600)
    (found,) = peaks_ahead([charge], np.zeros((0, 2)), NOW, 900.0, 96, offset_in(BRUSSELS))
    assert np.flatnonzero(found.applies).tolist() == list(range(72, 84))
    # Asked for in the middle of the last one.
    (found,) = peaks_ahead([charge], np.zeros((0, 2)), NOW + 20.5 * 3600.0, 900.0, 8, offset_in(BRUSSELS))
    assert np.flatnonzero(found.applies).tolist() == [0, 1]
