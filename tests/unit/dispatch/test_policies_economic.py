"""Economic: this minute's prices against the water value, without hunting where they meet."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.dispatch.orders import LocalTime, Plan, Prices
from controller.dispatch.policies.economic import economic
from controller.dispatch.site import BatterySite, Site
from tests.unit.dispatch.policy_sites import TWO_BATTERIES, a_policy, a_site

AT = LocalTime(1500.0, 3600.0)
USUAL = Prices(import_per_kwh=0.30, export_per_kwh=0.05)


def a_plan(*levels: float) -> Plan:
    return Plan(begin_utc_s=1000.0, slot_s=900.0, water_values=(levels,), expires_at_utc_s=9000.0)


def priced(net_load_w: float, worth: float, prices: Prices = USUAL, **changes: object) -> Site:
    usual: dict[str, object] = {"prices": prices, "plan": a_plan(worth), "local": AT}
    return a_site(net_load_w, **(usual | changes))


def wants(site: Site, leave: str = "") -> float | None:
    config = a_policy(grid_charging="charge" in leave, battery_export="export" in leave)
    return economic(config, site, 0.0)


LEAVES = ("", "charge", "export", "charge and export")

# Import 0.30, export 0.05; 5 kW to charge, 4 kW to discharge. One row: net load, worth of a kWh in the
# battery, and the discharge wanted with no leave, with leave to charge, to export, to do both.
LADDER = [
    (2000.0, 0.01, (2000.0, 2000.0, 4000.0, 4000.0)),
    (2000.0, 0.05, (2000.0, 2000.0, 2000.0, 2000.0)),
    (2000.0, 0.20, (2000.0, 2000.0, 2000.0, 2000.0)),
    (2000.0, 0.30, (2000.0, 2000.0, 2000.0, 2000.0)),
    (2000.0, 0.40, (0.0, -5000.0, 0.0, -5000.0)),
    (0.0, 0.01, (0.0, 0.0, 4000.0, 4000.0)),
    (0.0, 0.05, (0.0, 0.0, 0.0, 0.0)),
    (0.0, 0.20, (0.0, 0.0, 0.0, 0.0)),
    (0.0, 0.30, (0.0, 0.0, 0.0, 0.0)),
    (0.0, 0.40, (0.0, -5000.0, 0.0, -5000.0)),
    (-2000.0, 0.01, (0.0, 0.0, 4000.0, 4000.0)),
    (-2000.0, 0.05, (-2000.0, -2000.0, -2000.0, -2000.0)),
    (-2000.0, 0.20, (-2000.0, -2000.0, -2000.0, -2000.0)),
    (-2000.0, 0.30, (-2000.0, -2000.0, -2000.0, -2000.0)),
    (-2000.0, 0.40, (-2000.0, -5000.0, -2000.0, -5000.0)),
    (1.0, 0.20, (1.0, 1.0, 1.0, 1.0)),
    (-1.0, 0.20, (-1.0, -1.0, -1.0, -1.0)),
    # More surplus than the battery takes, more load than it gives: asked for in full, the rating answers.
    (-6000.0, 0.20, (-6000.0, -6000.0, -6000.0, -6000.0)),
    (-6000.0, 0.40, (-6000.0, -6000.0, -6000.0, -6000.0)),
    (6000.0, 0.20, (6000.0, 6000.0, 6000.0, 6000.0)),
    (6000.0, 0.01, (6000.0, 6000.0, 6000.0, 6000.0)),
]


@pytest.mark.parametrize(("net_load_w", "worth", "wanted_w"), LADDER)
def test_the_battery_works_up_to_where_the_price_meets_the_water_value(
    net_load_w: float, worth: float, wanted_w: tuple[float, ...]
) -> None:
    assert tuple(wants(priced(net_load_w, worth), leave) for leave in LEAVES) == wanted_w


def test_what_comes_to_the_same_now_and_later_is_done_now_for_only_now_is_certain() -> None:
    # The plan expects to fill up later anyway, for 0.05 a kWh of surplus as now; rounding aside.
    for worth in (0.05, 0.05 - 1e-12):
        assert wants(priced(-2000.0, worth), "charge and export") == -2000.0
    assert wants(priced(-2000.0, 0.05 - 1e-9)) == 0.0
    # Nothing is paid for export, and nothing is expected to be gained by storing.
    assert wants(priced(-2000.0, 0.0, Prices(0.30, 0.0))) == -2000.0
    # A price that never changes: what is kept would save as much later.
    for worth in (0.30, 0.30 + 1e-12):
        assert wants(priced(1000.0, worth), "charge and export") == 1000.0
    assert wants(priced(1000.0, 0.30 + 1e-9)) == 0.0


def test_where_peaks_are_billed_load_that_comes_to_the_same_waits_for_a_peak_that_nobody_expects() -> None:
    def billed(net_load_w: float, worth: float) -> Site:
        site = priced(net_load_w, worth)
        assert site.plan is not None
        return replace(
            site, plan=replace(site.plan, import_targets_w=(4000.0,) * len(site.plan.water_values))
        )

    assert wants(billed(1000.0, 0.30)) == 0.0
    assert wants(billed(1000.0, 0.30 - 1e-9)) == 1000.0
    assert wants(billed(-2000.0, 0.05)) == -2000.0, "surplus is stored at once all the same"


# Gains in ct/h, by hand; C is to charge at 5 kW, D to discharge at 4 kW.
ODD_PRICES = [
    # Paid for importing, charged for exporting: take all there is.
    (-0.05, -0.10, 2000.0, 0.0, (0.0, -5000.0, 0.0, -5000.0)),
    (-0.05, -0.10, -2000.0, 0.0, (-2000.0, -5000.0, -2000.0, -5000.0)),
    # A fixed feed-in tariff above a negative import price.
    # C: 7 x 5 = 35; D: -7 x 1 + 6 x 3 = 11.
    (-0.05, 0.08, 1000.0, 0.02, (0.0, -5000.0, 4000.0, -5000.0)),
    # C: 1 x 5 = 5; D: -1 x 1 + 12 x 3 = 35.
    (-0.05, 0.08, 1000.0, -0.04, (0.0, -5000.0, 4000.0, 4000.0)),
    # D: -7 x 3 + 6 x 1 = -15.
    (-0.05, 0.08, 3000.0, 0.02, (0.0, -5000.0, 0.0, -5000.0)),
    # C: -6 x 3 + 7 x 2 = -4; D: 6 x 4 = 24.
    (-0.05, 0.08, -3000.0, 0.02, (0.0, 0.0, 4000.0, 4000.0)),
    # C: -6 x 1 + 7 x 4 = 22; D: 6 x 4 = 24.
    (-0.05, 0.08, -1000.0, 0.02, (0.0, -5000.0, 4000.0, 4000.0)),
    # C: -5 x 1 + 8 x 4 = 27; D: 5 x 4 = 20.
    (-0.05, 0.08, -1000.0, 0.03, (0.0, -5000.0, 4000.0, -5000.0)),
]


@pytest.mark.parametrize(
    ("import_price_per_kwh", "export_price_per_kwh", "net_load_w", "worth", "wanted_w"), ODD_PRICES
)
def test_negative_and_upside_down_prices_are_weighed_as_a_whole(
    import_price_per_kwh: float,
    export_price_per_kwh: float,
    net_load_w: float,
    worth: float,
    wanted_w: tuple[float, ...],
) -> None:
    site = priced(net_load_w, worth, Prices(import_price_per_kwh, export_price_per_kwh))
    assert tuple(wants(site, leave) for leave in LEAVES) == wanted_w


def test_leave_to_charge_and_export_is_for_all_batteries_together() -> None:
    assert wants(priced(0.0, 0.40, batteries=TWO_BATTERIES), "charge") == -7000.0
    assert wants(priced(0.0, 0.01, batteries=TWO_BATTERIES), "export") == 5000.0


@pytest.mark.parametrize("missing", ["prices", "plan", "local", "soc_pct"])
def test_without_prices_plan_clock_or_soc_it_cannot_decide(missing: str) -> None:
    assert wants(priced(2000.0, 0.20)) == 2000.0
    assert wants(priced(2000.0, 0.20, **{missing: None})) is None


def at(utc_s: float, expires_at_utc_s: float) -> float | None:
    plan = Plan(1000.0, 900.0, ((0.10,), (0.40,), ()), expires_at_utc_s)
    return wants(priced(2000.0, 0.0, plan=plan, local=LocalTime(utc_s, 3600.0)))


def test_each_slot_of_the_plan_counts_in_its_own_time_and_utc_is_what_counts() -> None:
    assert [at(utc_s, 9000.0) for utc_s in (1000.0, 1899.9, 1900.0, 2799.9)] == [2000.0, 2000.0, 0.0, 0.0]


def test_a_plan_is_none_before_its_begin_after_its_slots_and_from_its_expiry_on() -> None:
    assert at(999.9, 9000.0) is None
    assert at(3700.0, 9000.0) is None
    assert at(2499.9, 2500.0) == 0.0
    assert at(2500.0, 2500.0) is None


def test_a_slot_without_values_is_no_plan() -> None:
    assert at(2800.0, 9000.0) is None


# Levels at 0, 50 and 100 %: worth 0.40, 0.30, 0.10, so 0.002 less for each % below 50, 0.004 above.
# Charging counts 1 % higher, discharging 1 % lower.
@pytest.mark.parametrize(
    ("soc_pct", "worth_stored", "worth_kept"),
    [
        (0.0, 0.398, 0.400),
        (0.5, 0.397, 0.400),
        (1.0, 0.396, 0.400),
        (25.0, 0.348, 0.352),
        (49.0, 0.300, 0.304),
        (50.0, 0.296, 0.302),
        (51.0, 0.292, 0.300),
        (75.0, 0.196, 0.204),
        (99.0, 0.100, 0.108),
        (100.0, 0.100, 0.104),
    ],
)
def test_the_water_value_is_a_straight_line_between_levels(
    soc_pct: float, worth_stored: float, worth_kept: float
) -> None:
    def at_price(import_per_kwh: float) -> float | None:
        prices = Prices(import_per_kwh, 0.0)
        site = priced(1000.0, 0.0, prices, plan=a_plan(0.40, 0.30, 0.10), soc_pct=soc_pct)
        return wants(site, "charge")

    assert at_price(worth_stored - 1e-9) == -5000.0
    assert at_price(worth_stored + 1e-9) == 0.0
    assert at_price(worth_kept - 1e-9) == 0.0
    assert at_price(worth_kept + 1e-9) == 1000.0


@pytest.mark.parametrize(("soc_pct", "rests_at_pct"), [(45.0, 49.0), (55.0, 51.0)])
def test_where_price_and_water_value_meet_the_battery_comes_to_rest_and_does_not_swing(
    soc_pct: float, rests_at_pct: float
) -> None:
    # 0.40 at 0 %, 0.20 at 100 %: 0.30 at 50 %, which is what the grid asks. 10 kWh, 1 kW of load.
    begin_pct, powers_w = soc_pct, []
    for _ in range(3600):
        site = priced(1000.0, 0.0, plan=a_plan(0.40, 0.20), soc_pct=round(soc_pct, 1))
        wanted_w = wants(site, "charge and export")
        assert wanted_w is not None
        powers_w.append(wanted_w)
        soc_pct -= wanted_w / 3600.0 / 10_000.0 * 100.0
    busy_w = -5000.0 if begin_pct < 50.0 else 1000.0
    assert set(powers_w) == {busy_w, 0.0}
    assert powers_w == sorted(powers_w, key=lambda power_w: power_w == 0.0)
    assert soc_pct == pytest.approx(rests_at_pct, abs=0.1)


# 90 % in, 80 % out, 2 ct wear a kWh out; import 0.30, export 0.05. Worth it, per kWh in the cells:
# sun from 0.05 / 0.9 = 0.0556 on, grid from 0.30 / 0.9 = 0.3333 on; given to the load
# below 0.8 x (0.30 - 0.02) = 0.224, to the grid below 0.8 x (0.05 - 0.02) = 0.024.
@pytest.mark.parametrize(
    ("net_load_w", "worth", "wanted_w"),
    [
        (-2000.0, 0.055, 0.0),
        (-2000.0, 0.056, -2000.0),
        (-2000.0, 0.332, -2000.0),
        (-2000.0, 0.334, -5000.0),
        (1000.0, 0.334, -5000.0),
        (1000.0, 0.332, 0.0),
        (1000.0, 0.225, 0.0),
        (1000.0, 0.223, 1000.0),
        (1000.0, 0.025, 1000.0),
        (1000.0, 0.023, 4000.0),
    ],
)
def test_losses_and_wear_widen_the_band_in_which_the_battery_rests(
    net_load_w: float, worth: float, wanted_w: float
) -> None:
    plan = replace(
        a_plan(worth),
        charge_efficiency=((0.0, 0.9),),
        discharge_efficiency=((0.0, 0.8),),
        wear_per_kwh=0.02,
    )
    assert wants(priced(net_load_w, 0.0, plan=plan), "charge and export") == wanted_w


def test_a_power_at_which_the_inverter_wastes_too_much_is_not_worth_it() -> None:
    # 50 % at 100 W, 90 % from 1 kW on: a kWh kept for 0.20 costs 0.40 as 100 W, and 0.22 as 1 kW.
    plan = replace(a_plan(0.20), discharge_efficiency=((100.0, 0.5), (1000.0, 0.9)))
    assert wants(priced(100.0, 0.0, plan=plan)) == 0.0
    assert wants(priced(1000.0, 0.0, plan=plan)) == 1000.0
    # A kWh of surplus would earn 0.05; 0.50 or 0.90 kWh reach the cells, at 0.08 each: 0.04, or 0.072.
    plan = replace(a_plan(0.08), charge_efficiency=((100.0, 0.5), (1000.0, 0.9)))
    assert wants(priced(-100.0, 0.0, plan=plan)) == 0.0
    assert wants(priced(-1000.0, 0.0, plan=plan)) == -1000.0


def test_levels_may_span_a_part_of_the_soc_only() -> None:
    # 0.40 at 20 %, 0.20 at 80 %: at 50 % the middle, below and above the ends; 1 % less or more is 0.0033.
    plan = replace(a_plan(0.40, 0.20), soc_from_pct=20.0, soc_to_pct=80.0)
    for soc_pct, kept in ((50.0, 0.3033), (10.0, 0.40), (90.0, 0.20)):
        for price, wanted_w in ((kept - 0.001, 0.0), (kept + 0.001, 1000.0)):
            assert wants(priced(1000.0, 0.0, Prices(price, 0.0), plan=plan, soc_pct=soc_pct)) == wanted_w


def test_levels_may_span_a_single_percent() -> None:
    # 0.40 at 49 %, 0.20 at 50 %: at 50.5 % a percent less is at 49.5 %, where it is 0.30.
    plan = replace(a_plan(0.40, 0.20), soc_from_pct=49.0, soc_to_pct=50.0)
    for price, wanted_w in ((0.299, 0.0), (0.301, 1000.0)):
        assert wants(priced(1000.0, 0.0, Prices(price, 0.0), plan=plan, soc_pct=50.5)) == wanted_w


def test_levels_that_span_nothing_count_as_one() -> None:
    plan = replace(a_plan(0.40, 0.20), soc_from_pct=50.0, soc_to_pct=50.0)
    assert wants(priced(1000.0, 0.0, plan=plan)) == 0.0


def test_a_battery_that_may_neither_charge_nor_discharge_now_rests() -> None:
    blocked = (BatterySite(0, 0.0, 50.0, max_charge_w=0.0, max_discharge_w=0.0),)
    assert wants(priced(0.0, 0.40, batteries=blocked), "charge and export") == 0.0


def cost(net_load_w: float, discharge_w: float, prices: Prices, worth: float) -> float:
    """What is paid at the PCC, and the worth of what left the battery."""
    pcc_import_w = net_load_w - discharge_w
    bill = pcc_import_w * (prices.import_per_kwh if pcc_import_w > 0.0 else prices.export_per_kwh)
    return bill + worth * discharge_w


per_kwh = st.floats(-1.0, 1.0)


@given(
    st.floats(-20_000, 20_000),
    st.builds(Prices, per_kwh, per_kwh),
    per_kwh,
    st.sampled_from(LEAVES),
    st.floats(0.0, 1.0),
)
def test_no_power_it_has_leave_for_costs_less_than_the_one_it_wants(
    net_load_w: float, prices: Prices, worth: float, leave: str, share: float
) -> None:
    wanted_w = wants(priced(net_load_w, worth, prices), leave)
    assert wanted_w is not None
    least_w = -5000.0 if "charge" in leave else max(min(net_load_w, 0.0), -5000.0)
    most_w = 4000.0 if "export" in leave else min(max(net_load_w, 0.0), 4000.0)
    given_w = min(max(wanted_w, -5000.0), 4000.0)
    assert least_w <= given_w <= most_w
    other_w = least_w + share * (most_w - least_w)
    assert cost(net_load_w, given_w, prices, worth) <= cost(net_load_w, other_w, prices, worth) + 1e-6
    for edge_w in (least_w, 0.0, most_w, min(max(net_load_w, least_w), most_w)):
        assert cost(net_load_w, given_w, prices, worth) <= cost(net_load_w, edge_w, prices, worth) + 1e-6
