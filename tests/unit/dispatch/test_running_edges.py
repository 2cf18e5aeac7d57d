"""What a cycle with good readings hands on, from one cycle to the next and from one part to another."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.dispatch.decision import Memory
from controller.dispatch.orders import Order, Orders
from controller.dispatch.pv_trim import PvTrim
from controller.dispatch.shortfall import Shortfall
from controller.dispatch.soc import Charge
from controller.dispatch.step import step
from controller.dispatch.trim import EXACT, Trim
from drivers.device import BatteryReading, MeterReading
from tests.unit.dispatch.sites import FIVE_KW, PV, RUNNING, TWO_KW, a_config, a_snapshot, decide


@pytest.mark.parametrize(("wanted_before_w", "wanted_w"), [(-900.0, -900.0), (0.0, 0.0)])
def test_a_battery_that_is_being_filled_goes_on_to_its_level(wanted_before_w: float, wanted_w: float) -> None:
    # From rest it begins again a percent below the 80 %.
    config = a_config(standby_soc_pct=80.0, standby_charge_w=900.0)
    snapshot = a_snapshot(300.0, soc_pct=79.5, orders=Orders(policy="standby"))
    assert decide(config, snapshot, replace(RUNNING, wanted_w=wanted_before_w)).wanted_w == wanted_w


def test_what_is_known_of_an_imprecise_pv_inverter_is_kept() -> None:
    known = PvTrim(-70.0)
    after, _ = step(
        a_config(pvs=PV, export_limit_w=0.0),
        replace(RUNNING, pv_trim=known),
        a_snapshot(300.0, pv_generation_w=500.0),
    )
    assert after.pv_trim == known


@pytest.mark.parametrize(("trim", "short_since_s"), [(Trim(discharge_factor=1.073), 10.0), (EXACT, None)])
def test_beyond_an_import_limit_a_battery_that_no_trim_helps_is_short_of_its_order(
    trim: Trim, short_since_s: float | None
) -> None:
    # Of 500 W that may be imported it is 600; of 2000 W meant it gives 1900, and 8 % more is all a trim does.
    config = a_config(FIVE_KW, TWO_KW, import_limit_w=500.0)
    memory = replace(RUNNING, battery_setpoints_w=(2000.0, 0.0), trims=(trim, EXACT))
    batteries = (BatteryReading(10.0, 1900.0, 50.0), BatteryReading(10.0, 0.0, 50.0))
    after, _ = step(config, memory, a_snapshot(600.0, batteries=batteries))
    assert (after.followings[0].short_since_s if after.followings else None) == short_since_s


@pytest.mark.parametrize(
    ("counted_pct", "note"),
    [
        (99.0, "batteries take no more than 200 W of the 5000 W they may"),
        (
            50.0,
            "bat1: its SoC jumped, counting on 50 %; "
            "batteries take no more than 200 W of the 5000 W they may",
        ),
    ],
)
def test_what_holds_the_sun_back_is_said_beside_what_is_wrong_with_the_batteries(
    counted_pct: float, note: str
) -> None:
    memory: Memory = replace(
        RUNNING,
        shortfall=Shortfall(over_since_s=0.0),
        charges=(Charge(9.0, counted_pct, counted_pct),),
    )
    snapshot = a_snapshot(-300.0, battery_discharge_w=-200.0, soc_pct=99.0, pv_generation_w=1300.0)
    assert decide(a_config(pvs=PV, export_limit_w=0.0), snapshot, memory).note == note


def pair(first_pct: float, second_pct: float) -> tuple[BatteryReading, BatteryReading]:
    return BatteryReading(10.0, 0.0, first_pct), BatteryReading(10.0, 0.0, second_pct)


def test_two_batteries_that_do_all_that_is_wanted_are_held_back_by_nothing() -> None:
    for pcc_w in (700.0, -700.0):
        decision = decide(a_config(FIVE_KW, TWO_KW), a_snapshot(pcc_w, batteries=pair(50.0, 50.0)))
        assert (decision.setpoint_w, decision.limited_by) == (pcc_w, "")


def test_the_unit_that_works_alone_goes_on_while_another_is_hardly_better() -> None:
    config = a_config(replace(FIVE_KW, efficient_from_w=1000.0), replace(TWO_KW, efficient_from_w=1000.0))
    snapshot = a_snapshot(500.0, batteries=pair(54.0, 50.0))
    for before_w, setpoints_w in (((0.0, 400.0), (0.0, 500.0)), ((400.0, 0.0), (500.0, 0.0))):
        memory = replace(RUNNING, battery_setpoints_w=before_w)
        assert decide(config, snapshot, memory).battery_setpoints_w == setpoints_w


@pytest.mark.parametrize(("edge_w", "pcc_w"), [(5000.0, 4995.0), (-5000.0, -4995.0)])
def test_at_the_end_of_its_rating_a_battery_is_not_written_to_for_five_watts(
    edge_w: float, pcc_w: float
) -> None:
    memory = replace(RUNNING, setpoint_w=edge_w, battery_setpoints_w=(edge_w,))
    snapshot = a_snapshot(pcc_w - edge_w, battery_discharge_w=edge_w)
    assert decide(a_config(deadband_w=10.0), snapshot, memory).setpoint_w == edge_w


@pytest.mark.parametrize(
    ("most_w", "setpoints_w"),
    [(500.0, (200.0, 200.0)), (400.0, (200.0, 200.0)), (350.0, (200.0, 100.0)), (250.0, (100.0, 100.0))],
)
def test_what_one_inverter_gives_more_because_it_cannot_do_less_is_not_left_for_the_next(
    most_w: float, setpoints_w: tuple[float, float]
) -> None:
    # 10 A at 230 V carry 2300 W of the 2400 W of each of two phases; neither inverter can hold 100 W.
    coarse = replace(FIVE_KW, min_power_w=200.0)
    config = a_config(replace(coarse, phase=1), replace(coarse, phase=2), fuse_a=10.0, target_import_w=4800.0)
    meter = MeterReading(10.0, 4800.0, (2400.0, 2400.0, 0.0))
    orders = Orders(max_discharge_w=Order(most_w, 20.0))
    snapshot = a_snapshot(meter=meter, batteries=pair(50.0, 50.0), orders=orders)
    assert decide(config, snapshot).battery_setpoints_w == setpoints_w
