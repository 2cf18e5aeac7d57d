"""The value of a peak: targets worked out by hand for an hour that stands out of a flat load."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from controller.planning.demand import HIGHER, peak_targets
from controller.planning.inputs import DemandTerm, Leave, PlanInputs, Storage
from controller.planning.plan import make_plan
from tests.unit.planning.sites import LOSSLESS, inputs, known, scenarios

# 5 kWh and 8 kW: targets are tried every 8 kW x 1.5 / 24 = 0.5 kW below the highest load.
BATTERY = Storage(5000.0, 8000.0, 8000.0, LOSSLESS, LOSSLESS, min_soc_pct=0.0)
LOAD_W = (10_000.0, 10_000.0, 20_000.0, 10_000.0)
ALL = np.ones(4, dtype=bool)


def site(term: DemandTerm, **changes: object) -> PlanInputs:
    """10 kW but for one hour of 20 kW, a full battery, and one price of energy."""
    usual = inputs(known(*LOAD_W), [0.20] * 4, storage=BATTERY, soc_pct=100.0, demand=(term,))
    return replace(usual, **changes)


def test_a_full_battery_takes_its_5_kwh_off_the_peak() -> None:
    assert peak_targets(site(DemandTerm(10.0, ALL))).import_w == pytest.approx(np.full(4, 15_000.0))


def test_what_it_takes_is_held_until_the_peak_with_a_margin_and_no_longer() -> None:
    stored_kwh = peak_targets(site(DemandTerm(10.0, ALL))).stored_kwh
    # A tenth more than expected is 22 kW: 7 kWh above the target, of which the battery holds 5.
    assert HIGHER == 1.1
    assert stored_kwh == pytest.approx([5.0, 5.0, 0.0, 0.0])


def test_what_only_a_worse_day_would_need_is_worth_its_chance() -> None:
    # 18 kW had been already: a tenth more than expected needs 4 kWh; the worst day, 26 kW, needs all 5.
    targets = peak_targets(site(DemandTerm(10.0, ALL, peak_so_far_w=18_000.0)))
    level_kwh = np.linspace(0.0, 5.0, targets.worth.shape[1])
    # A kWh less raises the peak by half a kW of 10 each, on one of two days above 4 kWh and on both below.
    assert targets.worth[1] == pytest.approx(
        np.where(level_kwh < 4.0, 5.0, np.where(level_kwh < 5.0, 2.5, 0.0))
    )
    assert not targets.worth[2:].any()


def test_what_can_still_be_bought_before_the_peak_need_not_be_held_earlier() -> None:
    term, leave = DemandTerm(10.0, ALL, peak_so_far_w=18_000.0), Leave(grid_charging=True)
    # 22 kW less 18 kW are 4 kWh; the hour before buys half of the 7 kWh that fit below a load of 11 kW.
    assert peak_targets(site(term, leave=leave)).stored_kwh == pytest.approx([0.5, 4.0, 0.0, 0.0])


def test_a_peak_that_was_had_already_is_not_fought_below() -> None:
    targets = peak_targets(site(DemandTerm(10.0, ALL, peak_so_far_w=18_000.0)))
    assert targets.import_w == pytest.approx(np.full(4, 18_000.0))


def test_hours_that_are_not_billed_have_no_target() -> None:
    targets = peak_targets(site(DemandTerm(10.0, np.array([True, True, False, True]))))
    assert targets.import_w[2] == np.inf


def test_an_empty_battery_with_leave_fills_before_the_peak_and_without_leave_cannot() -> None:
    term = DemandTerm(10.0, ALL)
    with_leave = peak_targets(site(term, soc_pct=0.0, leave=Leave(grid_charging=True)))
    without = peak_targets(site(term, soc_pct=0.0))
    assert with_leave.import_w[0] == pytest.approx(15_000.0)
    assert without.import_w[0] == pytest.approx(20_000.0)


def test_what_is_held_for_the_peak_is_worth_more_than_any_price() -> None:
    plan = make_plan(site(DemandTerm(10.0, ALL)))
    assert plan.water_values[1][:-1].min() >= 0.40
    assert plan.water_values[2].max() < 0.40
    assert plan.import_target_w == pytest.approx(np.full(4, 15_000.0))


def test_a_demand_charge_of_nothing_is_none() -> None:
    assert np.isinf(peak_targets(site(DemandTerm(0.0, ALL))).import_w).all()


def test_a_target_is_raised_when_the_day_turns_out_bad_and_not_for_the_fear_of_it() -> None:
    # Now 14 kW, three hours of 5 kW to charge in, then 14 kW on nine days of ten and 20 kW on one.
    usual, bad = (14e3, 5e3, 5e3, 5e3, 14e3), (14e3, 5e3, 5e3, 5e3, 20e3)
    days = scenarios(*[usual] * 9, bad)
    term, leave = DemandTerm(10.0, np.ones(5, dtype=bool)), Leave(grid_charging=True)
    ahead = inputs(days, [0.20] * 5, storage=BATTERY, soc_pct=100.0, demand=(term,), leave=leave)
    # Dispatch holds 99 %: 5 kWh take 14 kW down to 9 kW, so to 99 % of the candidate 9.5 kW. The bad day
    # will need 15.5 kW, and is known by then: the battery is full again after three hours of 4.4 kW of room.
    assert peak_targets(ahead).import_w == pytest.approx(np.full(5, 9500.0))


def test_a_peak_that_counts_only_after_tomorrow_morning_has_its_target_too() -> None:
    load_w = [10_000.0] * 28 + [20_000.0, 10_000.0]
    term = DemandTerm(10.0, np.arange(30) == 28)
    ahead = inputs(known(*load_w), [0.20] * 30, storage=BATTERY, soc_pct=100.0, demand=(term,))
    # 5 kWh below 20 kW are 15 kW, which is 99 % of 15.15 kW: the next candidate is 15.5 kW.
    assert peak_targets(ahead).import_w[28] == pytest.approx(15_500.0)
