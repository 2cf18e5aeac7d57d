"""Bills: energy by period, demand by month, fixed fees, over days of 23, 24 and 25 hours, by hand."""

from __future__ import annotations

from random import Random
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.planning.bills import Bill, BillError, bill, billed_kw
from controller.planning.calendars import Hours, calendar_of
from controller.planning.market import Market, Point, market_of
from controller.planning.tariff import DemandCharge, EnergyPrice, Tariff, Tier, TimeOfUse, flat
from tests.unit.planning.clocks import BRUSSELS, LOS_ANGELES, local_s, offset_in, utc_s

DAY_AND_NIGHT = TimeOfUse(
    calendar_of([[Hours(first=28, end=88)], []]),  # 07:00 to 22:00, and the rest
    ("day", "night"),
    ((Tier(0.30),), (Tier(0.20),)),
)
NO_DEMAND = Tariff("two rates", "EUR", EnergyPrice(DAY_AND_NIGHT))
SPRING, AUTUMN = local_s(BRUSSELS, 2024, 3, 31), local_s(BRUSSELS, 2024, 10, 27)


def kwh(found: Bill) -> dict[str, float]:
    return {line.period: line.kwh for line in found.energy}


@pytest.mark.parametrize(
    ("begin_utc_s", "hours", "night_kwh"),
    [(SPRING, 23, 8.0), (AUTUMN, 25, 10.0), (local_s(BRUSSELS, 2024, 6, 1), 24, 9.0)],
)
def test_a_day_on_which_the_clocks_change_has_23_or_25_hours_and_its_night_the_difference(
    begin_utc_s: float, hours: int, night_kwh: float
) -> None:
    for step_s in (60, 900, 3600):
        import_w = np.full(hours * 3600 // step_s, 1000.0)
        found = bill(NO_DEMAND, import_w, begin_utc_s, step_s, offset_in(BRUSSELS))
        assert kwh(found) == {"day": 15.0, "night": night_kwh}
        assert found.total == pytest.approx(15 * 0.30 + night_kwh * 0.20, abs=1e-12)


@given(day=st.integers(0, 364), seed=st.integers(0, 2**32), place=st.sampled_from([BRUSSELS, LOS_ANGELES]))
def test_the_periods_of_any_days_add_up_to_every_watt_hour_exactly(
    day: int, seed: int, place: ZoneInfo
) -> None:
    chance = Random(seed)
    watts = [4 * chance.randrange(-9000, 9000) for _ in range(300)]
    begin_utc_s = utc_s(2024, 1, 1) + day * 86_400.0
    priced = Tariff("", "EUR", EnergyPrice(DAY_AND_NIGHT), feed_in=EnergyPrice(flat("feed-in", 0.05)))
    found = bill(priced, np.array(watts, dtype=np.float64), begin_utc_s, 900.0, offset_in(place))
    imported_wh = sum(one for one in watts if one > 0) // 4
    exported_wh = -sum(one for one in watts if one < 0) // 4
    assert round(sum(line.kwh * 1000.0 for line in found.energy), 6) == imported_wh
    assert round(sum(line.kwh * 1000.0 for line in found.export), 6) == exported_wh
    assert found.export_credit == pytest.approx(exported_wh * 0.05 / 1000.0)


def test_a_meter_with_two_registers_pays_and_earns_in_the_same_quarter_hour() -> None:
    priced = Tariff("", "EUR", EnergyPrice(flat("", 0.30)), feed_in=EnergyPrice(flat("", 0.10)))
    both = bill(
        priced, np.array([4000.0]), utc_s(2024, 6, 1), 900.0, offset_in(BRUSSELS), export_w=np.array([2000.0])
    )
    assert (both.energy_cost, both.export_credit) == (pytest.approx(0.30), pytest.approx(0.05))


def test_taxes_are_a_formula_on_the_market_price_and_negative_prices_earn() -> None:
    """1.2 x price + 0.05: the hours cost 0.29, 0.05 and -0.07 per kWh."""
    market = market_of(
        [Point(AUTUMN + hour * 3600, 3600, price) for hour, price in enumerate((0.2, 0.0, -0.1))]
    )
    dynamic = Tariff("", "EUR", EnergyPrice(factor=1.2, offset_per_kwh=0.05))
    found = bill(dynamic, np.full(12, 2000.0), AUTUMN, 900.0, offset_in(BRUSSELS), market=market)
    assert found.total == pytest.approx(2.0 * (0.29 + 0.05 - 0.07))


def test_a_step_longer_than_the_market_pays_the_mean_of_its_prices() -> None:
    market = market_of(
        [Point(AUTUMN + 900 * one, 900, price) for one, price in enumerate((0.1, 0.2, 0.3, 0.4))]
    )
    found = bill(
        Tariff("", "EUR", EnergyPrice()),
        np.array([1000.0]),
        AUTUMN,
        3600.0,
        offset_in(BRUSSELS),
        market=market,
    )
    assert found.total == pytest.approx(0.25)


def test_a_step_that_lies_in_two_quarter_hours_pays_each_its_part() -> None:
    """Ten minutes at 0.1, ten half at 0.1 and half at 0.4, ten at 0.4; 6 kW are 1 kWh in each."""
    market = market_of([Point(AUTUMN + 900 * one, 900, price) for one, price in enumerate((0.1, 0.4))])
    dynamic = Tariff("", "EUR", EnergyPrice())
    found = bill(dynamic, np.full(3, 6000.0), AUTUMN, 600.0, offset_in(BRUSSELS), market=market)
    assert found.total == pytest.approx(0.1 + 0.25 + 0.4)
    assert market.over(AUTUMN, 600.0, 3) == pytest.approx([0.1, 0.25, 0.4])


def test_energy_without_a_price_is_not_billed_at_a_made_up_one() -> None:
    market = market_of([Point(AUTUMN, 3600, 0.1)])
    dynamic = Tariff("", "EUR", EnergyPrice())
    with pytest.raises(BillError, match="no price for the step"):
        bill(dynamic, np.full(8, 1000.0), AUTUMN, 900.0, offset_in(BRUSSELS), market=market)
    with pytest.raises(BillError, match="follows a market"):
        bill(dynamic, np.full(8, 1000.0), AUTUMN, 900.0, offset_in(BRUSSELS))
    with pytest.raises(BillError, match="not a number"):
        bill(NO_DEMAND, np.array([np.nan]), AUTUMN, 900.0, offset_in(BRUSSELS))
    rest = np.concatenate((np.full(4, 1000.0), np.zeros(4)))
    assert bill(dynamic, rest, AUTUMN, 900.0, offset_in(BRUSSELS), market=market).total == pytest.approx(0.1)


def peaks_of(charge: DemandCharge, import_w: np.ndarray, begin_utc_s: float, step_s: float) -> list[float]:
    demand = Tariff("", "EUR", EnergyPrice(flat("", 0.0)), demand=(charge,))
    found = bill(demand, import_w, begin_utc_s, step_s, offset_in(BRUSSELS))
    return [line.peak_kw for line in found.demand]


@pytest.mark.parametrize(("window_s", "peak_kw"), [(900, 8.0), (1800, 6.0), (3600, 4.5)])
def test_the_peak_is_the_mean_of_a_window_on_the_clock(window_s: int, peak_kw: float) -> None:
    """Minutes of 8 kW from 00:15 to 00:30, of 4 kW before and 3 kW after: windows begin at full hours."""
    charge = DemandCharge("peak", ((Tier(10.0),),) * 12, window_s=window_s)
    import_w = np.repeat([4000.0, 8000.0, 3000.0, 3000.0], 15)
    assert peaks_of(charge, import_w, local_s(BRUSSELS, 2024, 6, 1), 60.0) == [peak_kw]


def test_a_window_that_straddles_no_clock_mark_counts_only_its_own_minutes() -> None:
    """15 minutes of 6 kW from 00:10 on are 10 minutes in one window and 5 in another."""
    import_w = np.zeros(60)
    import_w[10:25] = 6000.0
    charge = DemandCharge("peak", ((Tier(10.0),),) * 12)
    assert peaks_of(charge, import_w, local_s(BRUSSELS, 2024, 6, 1), 60.0) == [4.0]


@pytest.mark.parametrize(
    ("step_s", "window_s", "peak_kw"),
    [(600.0, 900, 4.0), (600.0, 1800, 2.0), (1200.0, 1800, 4.0), (240.0, 900, 1.6)],
)
def test_steps_that_do_not_fill_a_window_have_their_part_in_each(
    step_s: float, window_s: int, peak_kw: float
) -> None:
    """6 kW in the first step: ten minutes of fifteen, or of thirty; twenty of thirty; four of fifteen."""
    charge = DemandCharge("peak", ((Tier(10.0),),) * 12, window_s=window_s)
    import_w = np.zeros(round(7200 / step_s))
    import_w[0] = 6000.0
    assert peaks_of(charge, import_w, local_s(BRUSSELS, 2024, 6, 1), step_s) == [pytest.approx(peak_kw)]


def test_the_hour_that_autumn_repeats_is_two_hours_not_one_twice_as_high() -> None:
    charge = DemandCharge("peak", ((Tier(1.0),),) * 12, window_s=3600)
    assert peaks_of(charge, np.full(25 * 4, 2000.0), AUTUMN, 900.0) == [2.0]


def test_the_last_window_of_a_month_belongs_to_that_month() -> None:
    charge = DemandCharge("peak", ((Tier(1.0),),) * 12)
    import_w = np.array([1000.0, 5000.0, 2000.0])
    assert peaks_of(charge, import_w, local_s(BRUSSELS, 2024, 7, 1) - 1800, 900.0) == [5.0, 2.0]


def test_a_demand_charge_by_time_of_use_sees_only_its_own_hours() -> None:
    """Weekdays 17:00 to 20:00, a Friday and a Saturday: 3 kW at 18:00 on Friday, 9 kW at all other times."""
    import_w = np.full(192, 9000.0)
    import_w[17 * 4 : 20 * 4] = 3000.0
    evenings = (Hours(weekdays=frozenset(range(5)), first=68, end=80),)
    charge = DemandCharge("evening", ((Tier(4.0),),) * 12, evenings)
    assert peaks_of(charge, import_w, local_s(BRUSSELS, 2024, 6, 7), 900.0) == [3.0]


def test_the_belgian_capacity_tariff_is_the_mean_of_twelve_months_of_at_least_2_5_kw() -> None:
    """The peaks of nl.wikibooks.org/wiki/Energietransitie/Capaciteitstarief; they add up to 53.472 kW."""
    peaks_kw = (0.632, 4.6, 0.0, 1.028, 3.444, 4.164, 4.564, 6.0, 9.2, 5.0, 4.12, 4.88)
    capacity = DemandCharge("capacity", ((Tier(1.0),),) * 12, minimum_kw=2.5, mean_months=12)
    assert billed_kw(capacity, peaks_kw, tuple(range(12)))[-1] == pytest.approx(53.472 / 12.0)
    # A thirteenth month replaces the first, and the peak of 9.2 kW stays for a year.
    assert billed_kw(capacity, (*peaks_kw, 14.5), tuple(range(13)))[-1] == pytest.approx(
        (53.472 - 2.5 + 14.5) / 12.0
    )


def test_a_ratchet_bills_a_share_of_the_highest_month_before_as_long_as_it_looks_back() -> None:
    charge = DemandCharge("peak", ((Tier(1.0),),) * 12, ratchet_share=0.8, ratchet_months=2)
    assert billed_kw(charge, (10.0, 5.0, 5.0, 5.0, 9.0), (0, 1, 2, 3, 4)) == (10.0, 8.0, 8.0, 5.0, 9.0)
    summer = DemandCharge(
        "peak", ((Tier(1.0),),) * 12, ratchet_share=0.8, ratchet_months=11, ratchet_counts=frozenset({5, 6})
    )
    assert billed_kw(summer, (20.0, 10.0, 4.0), (4, 5, 6)) == (20.0, 10.0, 8.0)


def test_the_yearly_peak_rule_is_a_ratchet_of_the_whole_over_eleven_months() -> None:
    charge = DemandCharge("year", ((Tier(1.0),),) * 12, ratchet_share=1.0, ratchet_months=11)
    peaks = (7.0, *(1.0,) * 12)
    assert billed_kw(charge, peaks, tuple(range(13)))[10:] == (7.0, 7.0, 1.0)


def test_peaks_of_the_months_before_count_in_the_first_bill() -> None:
    capacity = DemandCharge("capacity", ((Tier(10.0),),) * 12, minimum_kw=2.5, mean_months=12)
    demand = Tariff("", "EUR", EnergyPrice(flat("", 0.0)), demand=(capacity,))
    import_w = np.full(96, 5500.0)
    begin_utc_s = local_s(BRUSSELS, 2024, 6, 1)
    alone = bill(demand, import_w, begin_utc_s, 900.0, offset_in(BRUSSELS))
    before = {"capacity": (2.0,) * 11}
    after = bill(demand, import_w, begin_utc_s, 900.0, offset_in(BRUSSELS), peaks_before_kw=before)
    assert (alone.demand_cost, after.demand_cost) == (55.0, pytest.approx(10.0 * (11 * 2.5 + 5.5) / 12))


def test_fixed_fees_go_by_local_days_and_a_part_of_a_month_costs_its_part() -> None:
    fees = Tariff("", "EUR", EnergyPrice(flat("", 0.0)), fixed_per_month=31.0, fixed_per_day=0.5)
    found = bill(fees, np.zeros(23 + 24), SPRING, 3600.0, offset_in(BRUSSELS))
    assert [(line.month, line.cost) for line in found.fixed] == [
        ("2024-03", pytest.approx(1.5)),
        ("2024-04", pytest.approx(0.5 + 31.0 / 30.0)),
    ]


def test_a_market_is_absent_where_nothing_was_published() -> None:
    market = market_of([Point(AUTUMN, 3600, 0.1), Point(AUTUMN + 7200, 1800, 0.3)])
    assert [market.at(AUTUMN + one * 1800) for one in range(-1, 6)] == [None, 0.1, 0.1, None, None, 0.3, None]
    assert market.until_utc_s == AUTUMN + 9000
    assert Market().until_utc_s is None
