"""Plans: worked examples of what a kWh is worth, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from controller.plan_words import CHARGE_GRID, CHARGE_SUN, SELL, actions
from controller.planning.inputs import DemandTerm, Ensemble, Leave, PlanError, PlanInputs
from controller.planning.plan import PlanTable, make_plan
from tests.unit.planning.sites import BATTERY, inputs, known, scenarios


def worth(plan: PlanTable, slot: int, soc_pct: float) -> float:
    """The water value at the end of a slot."""
    levels = np.linspace(plan.soc_from_pct, plan.soc_to_pct, plan.water_values.shape[1])
    return float(np.interp(soc_pct, levels, plan.water_values[slot]))


def test_a_kwh_is_worth_what_the_dearest_load_it_can_still_serve_would_pay() -> None:
    # 2 kW of load in a dear hour and in a middling one; the tail is the median of the prices, 0.20.
    plan = make_plan(inputs(known(0, 2000, 2000, 0), [0.20, 0.50, 0.30, 0.10]))
    # The first 2 kWh save 0.50, the next two 0.30, all beyond go to the end, worth (0.20 + 0.30) / 2, and
    # there with 20 % left a fifth of the 5 % less that a full battery's are.
    assert worth(plan, 0, 10.0) == pytest.approx(0.50)
    assert worth(plan, 0, 30.0) == pytest.approx(0.30)
    assert worth(plan, 0, 60.0) == pytest.approx(0.25 * 0.99)


def test_where_the_price_never_changes_what_will_not_be_needed_is_used_rather_than_kept() -> None:
    # After the first hour 1 kWh of load is to come: of 8 kWh 7 would be left, worth 3.5 % less.
    plan = make_plan(inputs(known(1000, 1000), [0.30, 0.30]))
    assert worth(plan, 0, 80.0) == pytest.approx(0.30 * 0.965)
    assert worth(plan, 0, 5.0) == pytest.approx(0.30)


def test_what_the_contracted_import_will_not_carry_is_kept_at_any_price() -> None:
    leave = Leave(grid_charging=True, import_limit_w=4000.0)
    plan = make_plan(inputs(known(0, 6000, 0), [0.30, 0.30, 0.30], leave=leave))
    # 2 kWh of the dear hour exceed what the connection may carry; the third kWh only saves its price.
    assert worth(plan, 0, 10.0) > 10.0
    assert worth(plan, 0, 25.0) == pytest.approx(0.30)
    enough = make_plan(inputs(known(0, 4000, 0), [0.30, 0.30, 0.30], leave=leave))
    assert worth(enough, 0, 10.0) == pytest.approx(0.30)


def test_what_the_contracted_import_will_not_carry_is_not_sold_however_dear() -> None:
    leave = Leave(grid_charging=True, battery_export=True, import_limit_w=1000.0)
    plan = make_plan(inputs(known(0, 3000, 0), [0.30, 0.30, 0.30], 0.40, leave=leave))
    # 2 kWh of the middle hour exceed what the connection may carry; the third kWh is as good as sold.
    assert worth(plan, 0, 10.0) > 10.0
    assert worth(plan, 0, 30.0) == pytest.approx(0.40)


def test_losses_and_wear_lower_what_a_kwh_can_save() -> None:
    battery = replace(BATTERY, discharge_efficiency=((1.0, 0.9),), wear_per_kwh=0.02)
    plan = make_plan(inputs(known(0, 2000, 0), [0.20, 0.50, 0.10], storage=battery))
    # 0.9 x (0.50 - 0.02); 2 kWh of load take 2.22 kWh from the cells.
    assert worth(plan, 0, 20.0) == pytest.approx(0.432)
    # With 2.78 % left at the end a kWh there is worth 0.139 % less than in an empty battery.
    assert worth(plan, 0, 25.0) == pytest.approx(0.9 * (0.20 - 0.02) * 0.99861, rel=1e-5)


def test_where_it_is_not_known_what_comes_a_kwh_is_worth_the_mean() -> None:
    plan = make_plan(inputs(scenarios((0, 4000, 0), (0, 0, 0)), [0.20, 0.60, 0.20]))
    # In one of two courses it saves 0.60, in the other it is kept to the end: 0.20 less 1 %.
    assert worth(plan, 0, 20.0) == pytest.approx((0.60 + 0.198) / 2.0)
    # Of 60 % one course leaves 20 %, the other all: 1 and 3 % less.
    assert worth(plan, 0, 60.0) == pytest.approx((0.198 + 0.194) / 2.0)


def test_before_a_sunny_hour_a_kwh_is_worth_little_since_the_sun_would_be_exported_instead() -> None:
    plan = make_plan(inputs(known(0, -3000, 0), [0.30, 0.30, 0.30], 0.05))
    # Above 70 % each kWh in the battery pushes one of the sun's 3 kWh into the grid.
    # Below it is kept: at the end 95 % are stored, whose kWh are worth 4.75 % less than the first.
    assert worth(plan, 0, 65.0) == pytest.approx(0.30 * 0.9525)
    assert worth(plan, 0, 75.0) == pytest.approx(0.05)


def test_room_for_surplus_that_would_cost_money_is_worth_that_unless_the_sun_can_be_held_down() -> None:
    ahead = inputs(known(0, -8000, 2000), [0.30, 0.30, 0.30], [0.0, -0.10, 0.0])
    # At 90 % the battery takes 1 kWh of the 8: one more that is stored costs 0.10.
    assert worth(make_plan(ahead), 0, 90.0) == pytest.approx(-0.10)
    assert worth(make_plan(replace(ahead, leave=Leave(curtails=True))), 0, 90.0) == pytest.approx(0.0)


def test_with_leave_to_charge_from_the_grid_a_full_battery_spares_only_what_the_cheap_hour_asks() -> None:
    prices = [0.40, 0.10, 0.50]
    without = make_plan(inputs(known(0, 0, 4000), prices))
    with_leave = make_plan(inputs(known(0, 0, 4000), prices, leave=Leave(grid_charging=True)))
    # From 70 % the cheap hour fills it up to the brim anyhow, and from 20 % it cannot. What is left,
    # 30 and 20 %, is worth the middle price of 0.40, less 1.5 and 1 %.
    assert [worth(without, 0, soc_pct) for soc_pct in (20.0, 70.0)] == pytest.approx([0.50, 0.394])
    assert [worth(with_leave, 0, soc_pct) for soc_pct in (20.0, 70.0)] == pytest.approx([0.396, 0.10])


def test_the_reserve_is_no_part_of_what_can_be_planned_with() -> None:
    plan = make_plan(inputs(known(0, 2000), [0.20, 0.50], storage=replace(BATTERY, reserve_pct=40.0)))
    assert plan.soc_from_pct == 40.0
    assert worth(plan, 0, 59.0) == pytest.approx(0.50)
    # 1 of the 60 % above the reserve is left: a sixtieth of the 5 %.
    assert worth(plan, 0, 61.0) == pytest.approx(0.35 * (1.0 - 0.05 / 60.0))


def test_the_expected_course_charges_from_the_sun_and_serves_the_evening() -> None:
    plan = make_plan(inputs(known(-3000, 0, 2000, 4000), [0.30, 0.30, 0.30, 0.30], 0.05))
    assert plan.battery_discharge_w == pytest.approx([-3000, 0, 2000, 4000])
    assert plan.soc_pct[:, 1] == pytest.approx([80, 80, 60, 20])


@pytest.mark.parametrize("export_per_kwh", [0.0, 0.05])
def test_surplus_is_expected_to_be_stored_at_once_where_it_could_be_stored_as_well_later(
    export_per_kwh: float,
) -> None:
    # 8 kWh of sun for 5 kWh of room: whichever hours fill it, 3 kWh are exported at the same price.
    sunny = known(-2000, -2000, -2000, -2000, 2500, 2500, 2500, 2500)
    plan = make_plan(inputs(sunny, [0.30] * 8, export_per_kwh))
    assert plan.soc_pct[:4, 1].tolist() == pytest.approx([70.0, 90.0, 100.0, 100.0])


def test_where_the_sun_may_shine_or_not_what_is_charged_when_it_does_is_not_from_the_grid() -> None:
    leave = Leave(grid_charging=True)
    plan = make_plan(
        inputs(scenarios((-3000, 2000), (1000, 2000)), [0.30, 0.30], 0.05, soc_pct=0.0, leave=leave)
    )
    # In one of two courses 3 kW of surplus, in the other 1 kW of load: in the mean 1 kW of surplus.
    assert plan.net_load_w[0] == -1000.0
    assert plan.battery_discharge_w[0] == pytest.approx(-1500.0)
    assert plan.battery_grid_w[0] == 0.0
    assert actions(plan)[0] == CHARGE_SUN


def test_what_is_sold_and_what_is_bought_for_the_battery_is_told_from_the_house_s_own() -> None:
    leave = Leave(grid_charging=True, battery_export=True)
    plan = make_plan(inputs(known(-1000, 1500), [0.05, 0.40], [0.01, 0.40], soc_pct=0.0, leave=leave))
    # 4 kW charged, of which 1 kW is the sun's; then all of it goes, 1.5 kW into the house.
    assert plan.battery_grid_w == pytest.approx([-3000.0, 2500.0])
    assert actions(plan) == [CHARGE_GRID, SELL]


def test_where_buying_is_cheaper_than_selling_it_buys_in_one_hour_and_sells_in_the_other() -> None:
    leave = Leave(grid_charging=True, battery_export=True)
    plan = make_plan(inputs(known(0, 0, 0, 0), [0.05, 0.30, 0.05, 0.05], [0.1, 0.40, 0.1, 0.1], leave=leave))
    assert plan.battery_discharge_w[0] == pytest.approx(-4000, abs=300)
    assert plan.battery_discharge_w[1] == pytest.approx(4000, abs=300)


def test_the_plan_for_dispatch_carries_values_losses_and_expiry() -> None:
    table = make_plan(inputs(known(0, 2000), [0.20, 0.50], storage=replace(BATTERY, wear_per_kwh=0.02)))
    plan = table.orders_plan()
    assert plan.water_values[0] == tuple(table.water_values[0])
    assert plan.expires_at_utc_s == 6 * 3600.0
    assert plan.charge_efficiency == ((4000.0, 1.0),)
    assert plan.wear_per_kwh == 0.02
    assert plan.import_targets_w == ()


def test_the_plan_for_dispatch_has_water_values_until_it_expires_and_none_after() -> None:
    table = make_plan(replace(inputs(known(*[500] * 6), [0.30] * 6), valid_for_s=2.5 * 3600.0))
    plan = table.orders_plan()
    assert [plan.slot_of(hour * 3600.0) for hour in (0.0, 2.4, 2.5, 4.0)] == [0, 2, None, None]
    assert plan.water_values == tuple(tuple(row) for row in table.water_values[:3])


def test_a_battery_of_no_capacity_gets_a_plan_that_moves_nothing() -> None:
    plan = make_plan(inputs(known(0, 2000), [0.20, 0.50], storage=replace(BATTERY, capacity_wh=0.0)))
    assert plan.battery_discharge_w == pytest.approx([0, 0], abs=0.01)


NAN = float("nan")
GOOD = inputs(known(0, 2000), [0.20, 0.50])


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (inputs(Ensemble(np.empty((1, 0)), np.empty((1, 0)), np.ones(1)), []), "empty"),
        (inputs(known(0, NAN), [0.20, 0.50]), "pv_w has a value that is no number"),
        (inputs(known(0, 2000), [0.20, NAN]), "import_per_kwh has a value that is no number"),
        (inputs(known(0, 2000), [0.20, 5000.0]), "5000 per kWh cannot be right"),
        (inputs(known(0, 2000), [0.20, 0.3], [0.1, -5000.0]), "export price -5000"),
        (inputs(known(0, 2000), [0.20]), "import_per_kwh has the shape"),
        (replace(GOOD, ensemble=replace(GOOD.ensemble, weights=np.array([0.5]))), "add up to 1"),
        (replace(GOOD, soc_pct=NAN), "SoC"),
        (replace(GOOD, slot_s=0.0), "slot length"),
        (replace(GOOD, storage=replace(BATTERY, capacity_wh=-1.0)), "capacity"),
        (replace(GOOD, storage=replace(BATTERY, charge_efficiency=((1.0, 0.0),))), "efficiency"),
        (replace(GOOD, demand=(DemandTerm(10.0, np.ones(3, dtype=bool)),)), "demand term"),
    ],
)
def test_what_no_plan_can_be_made_from_is_refused_with_the_reason(bad: PlanInputs, says: str) -> None:
    with pytest.raises(PlanError, match=says):
        make_plan(bad)
