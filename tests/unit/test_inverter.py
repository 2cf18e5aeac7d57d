"""One battery inverter and one PV inverter by themselves: time, limits, losses, leases."""

from __future__ import annotations

from math import e, exp, inf, log

import pytest

from simulators.battery import Lithium, LithiumParams
from simulators.inverter import BatteryInverter, InverterParams, crossing_s
from simulators.pv import PvInverter

CELLS = LithiumParams(10_000.0, charge_efficiency=1.0, discharge_efficiency=1.0, taper_from_pct=100.0)


def an_inverter(soc_pct: float = 50.0, speed: float = 1.0, **changes: float) -> BatteryInverter:
    usual = {
        "rated_charge_w": 5000.0,
        "rated_discharge_w": 5000.0,
        "charge_efficiency": 0.95,
        "discharge_efficiency": 0.95,
        "standby_w": 0.0,
        "dead_time_s": 0.0,
        "time_constant_s": 0.0,
    }
    params = InverterParams(**(usual | changes))
    return BatteryInverter(params, Lithium(CELLS, soc_pct), speed=speed)


def moved(inverter: BatteryInverter, now_s: float) -> BatteryInverter:
    """Moves as a plant does: from event to event."""
    while inverter.until_s <= now_s:
        inverter.move_to(inverter.until_s)
    inverter.move_to(now_s)
    return inverter


def test_charging_1000_w_for_an_hour_at_95_percent_stores_950_wh() -> None:
    inverter = an_inverter()
    inverter.order(-1000.0, inf)
    moved(inverter, 3600.0)
    assert inverter.cells.stored_wh == pytest.approx(5950.0)
    assert inverter.charged_wh == pytest.approx(1000.0)
    assert inverter.lost_wh == pytest.approx(50.0)


def test_discharging_950_w_for_an_hour_at_95_percent_takes_1000_wh() -> None:
    inverter = an_inverter()
    inverter.order(950.0, inf)
    moved(inverter, 3600.0)
    assert inverter.cells.stored_wh == pytest.approx(4000.0)
    assert inverter.discharged_wh == pytest.approx(950.0)
    assert inverter.lost_wh == pytest.approx(50.0)


def test_an_order_acts_after_the_dead_time_and_not_before() -> None:
    inverter = an_inverter(dead_time_s=0.5)
    inverter.order(2000.0, inf)
    assert moved(inverter, 0.499).power_w == 0.0
    assert moved(inverter, 0.5).power_w == 2000.0


def test_after_one_time_constant_63_percent_of_the_order_are_there() -> None:
    inverter = an_inverter(time_constant_s=2.0)
    inverter.order(1000.0, inf)
    assert moved(inverter, 2.0).power_w == pytest.approx(1000.0 * (1 - 1 / e))
    # The energy of an exponential: 1000 W * (2 s - 2 s * (1 - 1/e)) = 2000/e Ws.
    assert inverter.discharged_wh == pytest.approx(2000.0 / e / 3600)


def test_the_output_settles_exactly_on_the_order() -> None:
    inverter = an_inverter(time_constant_s=2.0)
    inverter.order(1000.0, inf)
    # 0.1 W from the target after 2 s * ln(1000 / 0.1) = 18.4 s.
    assert moved(inverter, 2.0 * log(1000.0 / 0.1) - 0.01).power_w < 1000.0
    assert moved(inverter, 2.0 * log(1000.0 / 0.1) + 0.01).power_w == 1000.0


def test_a_ramp_of_500_w_per_s_takes_4_s_for_2000_w() -> None:
    inverter = an_inverter(ramp_w_per_s=500.0)
    inverter.order(2000.0, inf)
    assert moved(inverter, 1.0).power_w == pytest.approx(500.0)
    assert moved(inverter, 4.0).power_w == 2000.0
    assert inverter.discharged_wh == pytest.approx(4000.0 / 3600)  # a triangle of 2000 W and 4 s


def test_a_ramp_gives_way_to_the_lag_where_the_lag_is_slower() -> None:
    inverter = an_inverter(ramp_w_per_s=1000.0, time_constant_s=0.5)
    inverter.order(2000.0, inf)
    assert moved(inverter, 1.5).power_w == pytest.approx(1500.0)  # 500 W to go: 500 / 0.5 s = the ramp
    assert moved(inverter, 2.0).power_w == pytest.approx(2000.0 - 500.0 / e)


def test_a_newer_order_turns_the_output_round_on_its_way() -> None:
    inverter = an_inverter(ramp_w_per_s=1000.0)
    inverter.order(3000.0, inf)
    moved(inverter, 1.0).order(-1000.0, inf)
    assert moved(inverter, 1.5).power_w == pytest.approx(500.0)
    assert moved(inverter, 3.0).power_w == -1000.0


def test_orders_in_flight_take_effect_one_after_the_other() -> None:
    inverter = an_inverter(dead_time_s=1.0)
    inverter.order(1000.0, inf)
    moved(inverter, 0.4).order(2000.0, inf)
    assert moved(inverter, 1.0).power_w == 1000.0
    assert moved(inverter, 1.3).power_w == 1000.0
    assert moved(inverter, 1.4).power_w == 2000.0


def test_an_order_above_the_rating_is_cut_to_it() -> None:
    inverter = an_inverter()
    inverter.order(-9000.0, inf)
    assert moved(inverter, 1.0).power_w == -5000.0
    assert inverter.held_w == -5000.0


def test_at_the_end_of_its_lease_the_inverter_goes_to_rest_by_itself() -> None:
    inverter = an_inverter(dead_time_s=0.5)
    inverter.order(1000.0, expires_at_s=30.0)
    assert moved(inverter, 29.9).power_w == 1000.0
    assert moved(inverter, 30.0).power_w == 0.0
    assert inverter.held_w is None


def test_repeating_an_order_keeps_its_lease_alive() -> None:
    inverter = an_inverter()
    inverter.order(1000.0, expires_at_s=30.0)
    moved(inverter, 20.0).order(1000.0, expires_at_s=50.0)
    assert moved(inverter, 49.9).power_w == 1000.0
    assert moved(inverter, 50.0).power_w == 0.0


def test_a_lease_that_ends_within_the_dead_time_leaves_no_order_behind() -> None:
    inverter = an_inverter(dead_time_s=1.0)
    inverter.order(1000.0, expires_at_s=0.5)
    assert moved(inverter, 5.0).power_w == 0.0
    assert inverter.discharged_wh == 0.0


def test_a_released_inverter_holds_no_order_and_rests_after_the_dead_time() -> None:
    inverter = an_inverter(dead_time_s=0.5)
    inverter.order(1000.0, inf)
    moved(inverter, 2.0).release()
    assert inverter.held_w is None
    assert moved(inverter, 2.4).power_w == 1000.0
    assert moved(inverter, 2.5).power_w == 0.0


def test_at_rest_the_inverter_draws_its_standby_power_from_the_ac_side() -> None:
    inverter = an_inverter(standby_w=6.0)
    moved(inverter, 3600.0)
    assert inverter.power_w == -6.0
    assert inverter.charged_wh == pytest.approx(6.0)
    assert inverter.lost_wh == pytest.approx(6.0)
    assert inverter.cells.stored_wh == 5000.0


def test_charging_stops_in_the_instant_the_battery_is_full() -> None:
    inverter = an_inverter(soc_pct=90.5)
    inverter.order(-1000.0, inf)
    moved(inverter, 7200.0)
    assert inverter.power_w == 0.0
    assert inverter.cells.stored_wh == 10_000.0
    assert inverter.charged_wh == pytest.approx(1000.0)  # 950 Wh of room at 0.95


def test_discharging_stops_in_the_instant_the_battery_is_empty() -> None:
    inverter = an_inverter(soc_pct=10.0)
    inverter.order(2000.0, inf)
    moved(inverter, 3600.0)
    assert inverter.power_w == 0.0
    assert inverter.cells.stored_wh == 0.0
    assert inverter.discharged_wh == pytest.approx(950.0)


def test_a_battery_that_fills_on_the_way_to_its_order_stops_at_full() -> None:
    inverter = an_inverter(soc_pct=99.995, time_constant_s=1.0)  # 0.5 Wh of room
    inverter.order(-5000.0, inf)
    moved(inverter, 60.0)
    assert inverter.cells.stored_wh == 10_000.0
    assert inverter.charged_wh == pytest.approx(0.5 / 0.95)
    assert inverter.power_w == 0.0


def test_in_the_taper_the_output_is_what_the_bms_allows() -> None:
    cells = LithiumParams(10_000.0, max_charge_w=4000.0, charge_efficiency=1.0)
    params = InverterParams(5000.0, 5000.0, charge_efficiency=0.95, dead_time_s=0.0, time_constant_s=0.0)
    inverter = BatteryInverter(params, Lithium(cells, soc_pct=95.0))
    inverter.order(-5000.0, inf)
    assert moved(inverter, 1.0).power_w == pytest.approx(-0.45 * 4000.0 / 0.95)
    assert inverter.max_charge_w == pytest.approx(0.45 * 4000.0 / 0.95)


def test_from_95_to_100_percent_the_taper_takes_as_long_as_its_steps_do() -> None:
    cells = LithiumParams(10_000.0, max_charge_w=4000.0, charge_efficiency=1.0)
    params = InverterParams(5000.0, 5000.0, charge_efficiency=1.0, dead_time_s=0.0, time_constant_s=0.0)
    inverter = BatteryInverter(params, Lithium(cells, soc_pct=95.0))
    inverter.order(-5000.0, inf)
    # 100 Wh each at 45, 35, 25, 15 and 5 % of 4000 W: 25 Wh/kW * (1/0.45 + ... + 1/0.05) h.
    hours = 0.025 * sum(1 / share for share in (0.45, 0.35, 0.25, 0.15, 0.05))
    assert moved(inverter, hours * 3600 - 1.0).cells.stored_wh < 10_000.0
    assert moved(inverter, hours * 3600 + 1.0).cells.stored_wh == 10_000.0


def test_an_inverter_knows_how_long_its_order_can_last() -> None:
    inverter = an_inverter(soc_pct=50.0, dead_time_s=0.5)
    assert inverter.time_to_limit_s() == inf
    inverter.order(950.0, inf)
    assert inverter.time_to_limit_s() == pytest.approx(5 * 3600.0)
    inverter.order(-1000.0, inf)
    assert inverter.time_to_limit_s() == pytest.approx(5000.0 / 950.0 * 3600.0)


def test_at_speed_60_the_contents_pass_60_times_as_fast_but_the_lag_does_not() -> None:
    inverter = an_inverter(speed=60.0, time_constant_s=1.0)
    inverter.order(-1000.0, inf)
    assert moved(inverter, 1.0).power_w == pytest.approx(-1000.0 * (1 - exp(-1.0)))
    before_wh = moved(inverter, 30.0).cells.stored_wh
    assert moved(inverter, 90.0).cells.stored_wh - before_wh == pytest.approx(950.0)


@pytest.mark.parametrize("wrong_w", [float("nan"), inf, -inf])
def test_an_order_that_is_no_number_is_refused(wrong_w: float) -> None:
    with pytest.raises(ValueError, match="is no order"):
        an_inverter().order(wrong_w, inf)


@pytest.mark.parametrize(
    "wrong",
    [{"charge_efficiency": 0.0}, {"standby_w": -1.0}, {"dead_time_s": float("nan")}, {"ramp_w_per_s": 0.0}],
)
def test_an_inverter_that_cannot_exist_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        an_inverter(**wrong)


def test_pv_gives_what_the_sun_offers_up_to_its_rating() -> None:
    pv = PvInverter(rated_w=4000.0)
    pv.shine(3000.0)
    assert pv.power_w == 3000.0
    pv.shine(4500.0)
    assert pv.power_w == pv.available_w == 4000.0


def test_a_cap_acts_after_the_dead_time_and_ends_with_its_lease() -> None:
    pv = PvInverter(rated_w=4000.0, dead_time_s=0.5)
    pv.shine(3000.0)
    pv.cap(0.0, 1000.0, expires_at_s=30.0)
    assert (pv.power_w, pv.until_s, pv.cap_w) == (3000.0, 0.5, 1000.0)
    pv.obey(0.5)
    assert (pv.power_w, pv.until_s) == (1000.0, 30.0)
    pv.obey(30.0)
    assert (pv.power_w, pv.until_s, pv.cap_w) == (3000.0, inf, None)


def test_a_lifted_cap_gives_everything_again_after_the_dead_time() -> None:
    pv = PvInverter(rated_w=4000.0, dead_time_s=0.5)
    pv.shine(3000.0)
    pv.cap(0.0, 1000.0, inf)
    pv.obey(0.5)
    pv.release(2.0)
    assert (pv.power_w, pv.cap_w) == (1000.0, None)
    pv.obey(2.5)
    assert pv.power_w == 3000.0


def test_a_negative_cap_is_refused() -> None:
    with pytest.raises(ValueError, match="is no cap"):
        PvInverter(rated_w=4000.0).cap(0.0, -1.0, inf)


def test_crossing_finds_where_an_exponential_passes_zero() -> None:
    def value(seconds: float) -> float:
        return 100.0 - 300.0 * exp(-seconds / 2.0)

    assert crossing_s(value, 20.0, value(0.0), value(20.0)) == pytest.approx(2.0 * log(3.0))
