"""Perfect foresight on sites small enough for working out by hand: hours, and a battery of 1 or 2 kWh."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from controller.lab.oracle import BilledPeak, Foresight, perfect_foresight
from controller.planning.inputs import DemandTerm, Leave, Storage

LOSSLESS = ((1.0, 1.0),)
KWH = Storage(1000.0, 1000.0, 1000.0, LOSSLESS, LOSSLESS, min_soc_pct=0.0)
GRID = Leave(grid_charging=True)
ALL = np.ones(2, dtype=bool)


def foresight(
    net_load_w: tuple[float, ...],
    buy: tuple[float, ...],
    sell: tuple[float, ...] = (0.0, 0.0),
    storage: Storage = KWH,
    leave: Leave = GRID,
    soc_pct: float = 0.0,
    demand: tuple[DemandTerm, ...] = (),
) -> Foresight:
    prices = (np.array(buy), np.array(sell)[: len(buy)])
    peaks = [BilledPeak.of_steps(term) for term in demand]
    return perfect_foresight(np.array(net_load_w), *prices, 3600.0, storage, leave, soc_pct, peaks)


def test_a_kwh_bought_cheap_serves_the_dear_hour() -> None:
    best = foresight((1000.0, 1000.0), (0.1, 0.5))
    assert best.cost == pytest.approx(2 * 0.1)
    assert best.discharge_w == pytest.approx([-1000.0, 1000.0])
    assert best.soc_pct == pytest.approx([100.0, 0.0])


@pytest.mark.parametrize(
    ("per_kwh", "cost", "end_pct"), [(None, 0.5, 100.0), (0.2, 0.2, 0.0), (0.7, 0.5, 100.0)]
)
def test_what_is_missing_at_the_end_is_paid_for_where_it_has_a_price_and_else_there_must_be_none(
    per_kwh: float | None, cost: float, end_pct: float
) -> None:
    # One hour of 1 kW at 0.5, and a full battery of 1 kWh.
    hour = (np.array([1000.0]), np.array([0.5]), np.array([0.0]))
    best = perfect_foresight(*hour, 3600.0, KWH, GRID, 100.0, (), per_kwh)
    assert (best.cost, best.soc_pct[-1]) == (pytest.approx(cost), pytest.approx(end_pct, abs=1e-9))


def test_losses_both_ways_are_paid_for() -> None:
    lossy = replace(KWH, charge_efficiency=((1.0, 0.9),), discharge_efficiency=((1.0, 0.9),))
    best = foresight((1000.0, 1000.0), (0.1, 0.5), storage=lossy)
    assert best.cost == pytest.approx(2 * 0.1 + (1 - 0.81) * 0.5)


def test_wear_beyond_the_difference_of_prices_makes_it_rest() -> None:
    assert foresight((1000.0, 1000.0), (0.1, 0.5), storage=replace(KWH, wear_per_kwh=0.41)).cost == (
        pytest.approx(0.6)
    )


def test_without_leave_only_the_sun_fills_it() -> None:
    assert foresight((1000.0, 1000.0), (0.1, 0.5), leave=Leave()).cost == pytest.approx(0.6)
    assert foresight((-1000.0, 1000.0), (0.1, 0.5), (0.05, 0.05), leave=Leave()).cost == pytest.approx(0.0)


def test_without_leave_nothing_stored_is_sold() -> None:
    sold = foresight((0.0, 0.0), (0.1, 0.5), (0.0, 0.4), leave=Leave(True, battery_export=True))
    kept = foresight((0.0, 0.0), (0.1, 0.5), (0.0, 0.4))
    assert (sold.cost, kept.cost) == (pytest.approx(0.1 - 0.4), pytest.approx(0.0))


def test_an_import_limit_leaves_half_a_kwh_to_charge() -> None:
    best = foresight((1000.0, 1000.0), (0.1, 0.5), leave=Leave(True, import_limit_w=1500.0))
    assert best.cost == pytest.approx(1.5 * 0.1 + 0.5 * 0.5)


def test_an_export_limit_is_kept_unless_the_sun_alone_breaks_it() -> None:
    selling = Leave(battery_export=True, export_limit_w=400.0)
    best = foresight((0.0, 0.0), (0.5, 0.5), (0.4, 0.3), leave=selling, soc_pct=100.0, storage=KWH)
    assert best.discharge_w.sum() == pytest.approx(0.0)  # it has to end as full as it began
    sunny = foresight((-1400.0, 0.0), (0.5, 0.5), (0.4, 0.3), leave=selling)
    assert sunny.discharge_w[0] >= -1000.0
    assert sunny.cost == pytest.approx(-1.4 * 0.4)


def test_a_peak_is_shared_out_evenly_over_two_hours() -> None:
    battery = replace(KWH, capacity_wh=2000.0, max_charge_w=2000.0, max_discharge_w=2000.0)
    term = DemandTerm(10.0, ALL)
    best = foresight((3000.0, 1000.0), (0.0, 0.0), storage=battery, soc_pct=50.0, demand=(term,))
    assert best.peaks_w == pytest.approx((2000.0,))
    assert best.cost == pytest.approx(20.0)


def test_what_a_window_of_two_hours_had_in_one_it_may_have_less_in_the_other() -> None:
    """3 kW and 1 kW are 2 kW for the bill: there is nothing for the battery to do."""
    two = (np.array([3000.0, 1000.0]), np.zeros(2), np.zeros(2))
    billed = BilledPeak(10.0, 0.0, np.arange(2), np.zeros(2, dtype=int), np.full(2, 0.5))
    best = perfect_foresight(*two, 3600.0, replace(KWH, wear_per_kwh=0.01), GRID, 0.0, (billed,))
    assert (best.cost, best.peaks_w) == (pytest.approx(20.0), pytest.approx((2000.0,)))
    assert best.discharge_w == pytest.approx([0.0, 0.0])


def test_a_peak_that_was_had_already_is_paid_anyhow() -> None:
    term = DemandTerm(10.0, ALL, peak_so_far_w=2500.0)
    best = foresight((2400.0, 1000.0), (0.0, 0.0), demand=(term,))
    assert best.peaks_w == pytest.approx((2500.0,))


def test_hours_in_which_no_peak_counts_may_import_what_they_like() -> None:
    term = DemandTerm(10.0, np.array([False, True]))
    assert foresight((3000.0, 1000.0), (0.0, 0.0), demand=(term,)).peaks_w == pytest.approx((0.0,))


def test_a_price_below_zero_does_not_make_it_charge_and_discharge_at_once() -> None:
    lossy = replace(KWH, charge_efficiency=((1.0, 0.5),), discharge_efficiency=((1.0, 0.5),))
    best = foresight((0.0,), (-0.1,), (-0.1,), storage=lossy, soc_pct=100.0)
    assert best.cost == pytest.approx(0.0)


def test_a_battery_found_below_its_floor_is_no_reason_to_give_up() -> None:
    best = foresight((1000.0, 1000.0), (0.1, 0.5), storage=replace(KWH, reserve_pct=50.0), soc_pct=20.0)
    assert best.soc_pct[-1] >= 20.0


def test_where_an_inverter_curtails_the_battery_takes_what_could_not_be_sold() -> None:
    # Noon has 1 kW more than may be sold; the morning sells for a little more, so nothing is stored before.
    three = (np.array([-1000.0, -2000.0, 1000.0]), np.full(3, 0.50), np.array([0.11, 0.10, 0.10]))
    leave = Leave(export_limit_w=1000.0, curtails=True)
    best = perfect_foresight(*three, 3600.0, KWH, leave, 0.0)
    assert best.discharge_w == pytest.approx([0.0, -1000.0, 1000.0])
    assert best.cost == pytest.approx(-0.11 - 0.10)
    # A battery that is full leaves it to the inverter: 1 kW is lost, 1 kW sold.
    full = perfect_foresight(*(one[1:2] for one in three), 3600.0, KWH, leave, 100.0)
    assert full.cost == pytest.approx(-0.10)


def test_where_an_inverter_curtails_nothing_is_sold_at_a_negative_price() -> None:
    # 3 kW of surplus, of which the battery takes 1 kW; the rest would cost 0.20.
    two = (np.array([-3000.0, 1000.0]), np.array([0.50, 0.50]), np.array([-0.10, 0.05]))
    sells = perfect_foresight(*two, 3600.0, KWH, Leave(), 0.0)
    assert sells.cost == pytest.approx(2.0 * 0.10)
    curtails = perfect_foresight(*two, 3600.0, KWH, Leave(curtails=True), 0.0)
    assert curtails.cost == pytest.approx(0.0)
    assert curtails.discharge_w == pytest.approx([-1000.0, 1000.0])


def test_where_export_earns_more_than_import_costs_nothing_is_bought_to_be_sold_at_the_same_instant() -> None:
    two = (np.array([1000.0, -1000.0]), np.full(2, 0.20), np.full(2, 0.40))
    alone = perfect_foresight(*two, 3600.0, KWH, Leave(), 0.0)
    assert alone.cost == pytest.approx(0.20 - 0.40)
    # With leave to charge and to sell: 1 kWh bought beside the load, and 2 kW sold in the second hour.
    trading = perfect_foresight(*two, 3600.0, KWH, Leave(grid_charging=True, battery_export=True), 0.0)
    assert trading.cost == pytest.approx(2.0 * 0.20 - 2.0 * 0.40)
    assert trading.discharge_w == pytest.approx([-1000.0, 1000.0])
