"""The value of a peak: targets worked out by hand for an hour that stands out of a flat load."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from controller.planning.demand import falling, peak_targets
from controller.planning.inputs import DemandTerm, Leave, PlanInputs, Storage
from controller.planning.plan import make_plan
from tests.unit.planning.sites import LOSSLESS, inputs, known, scenarios

# 5 kWh and 8 kW: levels are 8 kW x 1.5 / 24 = 0.5 kW apart below the highest load, and 99 % of one is held.
BATTERY = Storage(5000.0, 8000.0, 8000.0, LOSSLESS, LOSSLESS, min_soc_pct=0.0)
LOAD_W = (10_000.0, 10_000.0, 20_000.0, 10_000.0)
ALL = np.ones(4, dtype=bool)


def site(term: DemandTerm, **changes: object) -> PlanInputs:
    """10 kW but for one hour of 20 kW, a full battery, and one price of energy."""
    usual = inputs(known(*LOAD_W), [0.20] * 4, storage=BATTERY, soc_pct=100.0, demand=(term,))
    return replace(usual, **changes)


def test_a_full_battery_takes_its_5_kwh_off_the_peak() -> None:
    # 99 % of 15.5 kW leave 4.7 kWh of the hour to the battery, 99 % of 15 kW would leave 5.2.
    assert peak_targets(site(DemandTerm(10.0, ALL))).import_w == pytest.approx(np.full(4, 15_500.0))


def test_a_kwh_is_worth_its_kilowatt_until_the_peak_and_nothing_afterwards() -> None:
    worth = peak_targets(site(DemandTerm(10.0, ALL))).worth
    # Without any of the 5 kWh the month costs 200, with all of them 155.
    assert worth[1].mean() == pytest.approx(9.0, rel=0.1)
    assert worth[2].max() < 0.01


def test_a_kwh_that_the_peak_does_not_need_is_worth_nothing() -> None:
    # 18 kW had been already: 99 % of that leave 2.2 kWh to the battery.
    worth = peak_targets(site(DemandTerm(10.0, ALL, peak_so_far_w=18_000.0))).worth
    level_kwh = np.linspace(0.0, 5.0, worth.shape[1])
    assert worth[1][level_kwh < 1.8].min() > 1.0
    assert worth[1][level_kwh > 2.9].max() < 0.01


def test_what_can_still_be_bought_before_the_peak_need_not_be_held_earlier() -> None:
    term, leave = DemandTerm(10.0, ALL, peak_so_far_w=18_000.0), Leave(grid_charging=True)
    worth = peak_targets(site(term, leave=leave)).worth
    # The hour before buys up to 7.8 kWh below 99 % of 18 kW.
    assert worth[0].max() < 0.01
    assert worth[1][0] > 1.0


def test_a_peak_that_was_had_already_is_not_fought_below() -> None:
    targets = peak_targets(site(DemandTerm(10.0, ALL, peak_so_far_w=18_000.0)))
    assert targets.import_w == pytest.approx(np.full(4, 18_000.0))


def test_hours_that_are_not_billed_have_no_target() -> None:
    targets = peak_targets(site(DemandTerm(10.0, np.array([True, True, False, True]))))
    assert targets.import_w[2] == np.inf


def test_an_empty_battery_with_leave_fills_before_the_peak_and_without_leave_cannot() -> None:
    # Up to the 16 kW that were had already it may charge 5.8 kW an hour.
    term = DemandTerm(10.0, ALL, peak_so_far_w=16_000.0)
    with_leave = peak_targets(site(term, soc_pct=0.0, leave=Leave(grid_charging=True)))
    without = peak_targets(site(term, soc_pct=0.0))
    assert with_leave.import_w[2] == pytest.approx(16_000.0)
    assert without.import_w[2] == pytest.approx(20_000.0)


def test_no_charging_is_counted_on_that_could_make_the_peak() -> None:
    # Nothing was had yet: batteries charge up to half the target, and 10 kW of load is more than that.
    targets = peak_targets(site(DemandTerm(10.0, ALL), soc_pct=0.0, leave=Leave(grid_charging=True)))
    assert targets.import_w[2] == pytest.approx(20_000.0)


def test_what_is_held_for_the_peak_is_worth_more_than_any_price() -> None:
    plan = make_plan(site(DemandTerm(10.0, ALL)))
    assert plan.water_values[1][:-1].min() >= 0.40
    assert plan.water_values[2].max() < 0.40
    assert plan.import_target_w == pytest.approx(np.full(4, 15_500.0))


def test_charge_that_helps_only_as_a_whole_is_worth_the_same_at_each_of_its_levels() -> None:
    rows = falling(
        np.array([[0.0, 4.0, 2.0, 2.0, 0.0], [3.0, 2.0, 0.0, 1.0, 0.0], [5.0, 4.0, 3.0, 2.0, 1.0]])
    )
    assert rows.tolist() == [[2.0, 2.0, 2.0, 2.0, 0.0], [3.0, 2.0, 0.5, 0.5, 0.0], [5.0, 4.0, 3.0, 2.0, 1.0]]


def test_a_demand_charge_of_nothing_is_none() -> None:
    assert np.isinf(peak_targets(site(DemandTerm(0.0, ALL))).import_w).all()


def test_a_target_is_raised_when_the_day_turns_out_bad_and_not_for_the_fear_of_it() -> None:
    # Now 14 kW, three hours of 5 kW to charge in, then 14 kW on nine days of ten and 20 kW on one.
    usual, bad = (14e3, 5e3, 5e3, 5e3, 14e3), (14e3, 5e3, 5e3, 5e3, 20e3)
    days = scenarios(*[usual] * 9, bad)
    term = DemandTerm(10.0, np.ones(5, dtype=bool), peak_so_far_w=9000.0)
    leave = Leave(grid_charging=True)
    ahead = inputs(days, [0.20] * 5, storage=BATTERY, soc_pct=100.0, demand=(term,), leave=leave)
    # 5 kWh take 14 kW down to 9 kW. Levels are 11 kW / 24 = 458 W apart from the 9 kW that were had: 99 % of
    # the second can be held. The bad day will need 15 kW, and is known by then: three hours fill the battery.
    assert peak_targets(ahead).import_w[0] == pytest.approx(9458.3, abs=0.1)


def test_a_peak_that_counts_only_after_tomorrow_morning_has_its_target_too() -> None:
    load_w = [10_000.0] * 28 + [20_000.0, 10_000.0]
    term = DemandTerm(10.0, np.arange(30) == 28)
    ahead = inputs(known(*load_w), [0.20] * 30, storage=BATTERY, soc_pct=100.0, demand=(term,))
    assert peak_targets(ahead).import_w[28] == pytest.approx(15_500.0)


def test_the_next_month_has_a_peak_of_its_own() -> None:
    # The month that ends after two hours has had 30 kW and has nothing to defend; the next one has.
    this = DemandTerm(10.0, np.array([True, True, False, False]), peak_so_far_w=30_000.0, ends=2)
    following = DemandTerm(10.0, np.array([False, False, True, True]), ends=746)
    ahead = replace(site(this), demand=(this, following))
    assert peak_targets(ahead).import_w == pytest.approx([30_000.0, 30_000.0, 15_500.0, 15_500.0])
