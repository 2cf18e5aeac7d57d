"""Batteries from the inside, against numbers worked out by hand from the equations they cite."""

from __future__ import annotations

from dataclasses import replace
from math import inf, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.cells import KINDS, Cells, CellsParams, chemistry
from simulators.cells.curve import Curve
from simulators.cells.fade import HalfCycles, LeadFade, LeadLife, LfpFade, NmcFade
from simulators.cells.gauge import Gauge, GaugeParams
from simulators.cells.kibam import KiBaM, fitted
from simulators.cells.lead_acid import LeadAcidCells, LeadAcidParams
from simulators.cells.lithium import LithiumCellParams, LithiumCells
from simulators.cells.presets import Kind
from simulators.converter import InverterParams, LossCurve
from simulators.site import BatteryUnit, House, PvUnit
from tests.unit.test_house import held, imbalance

EVEN_V = ((0.0, 3.0), (1.0, 3.0))
"""A cell of 3 V, whatever is in it: 3000 Wh are 1000 Ah."""


def a_lithium(soc_pct: float = 50.0, **changes: object) -> LithiumCells:
    usual: dict[str, object] = {
        "ocv": EVEN_V,
        "lowest_v": 2.0,
        "highest_v": 4.0,
        "resistance": 0.04,
        "coulombic_efficiency": 1.0,
        "self_discharge_per_h": 0.0,
        "max_charge_w": 3000.0,
        "max_discharge_w": 3000.0,
        "ambient_c": 25.0,
    }
    return LithiumCellParams(3000.0, **(usual | changes)).new(soc_pct)  # type: ignore[arg-type]


def a_lead_acid(soc_pct: float = 100.0, **changes: object) -> LeadAcidCells:
    usual = LeadAcidParams(
        2000.0,
        (1.06, 1.0, 0.65),
        LeadLife(900.0, 1.2, 10.0),
        max_charge_w=2000.0,
        max_discharge_w=2000.0,
        ambient_c=25.0,
    )
    return replace(usual, **changes).new(soc_pct)  # type: ignore[arg-type]


def test_a_curve_is_the_line_between_its_points_and_knows_the_area_below() -> None:
    curve = Curve(((0.0, 2.0), (0.5, 4.0), (1.0, 4.0)))
    assert curve.at(0.25) == pytest.approx(3.0)
    assert curve.area(0.5) == pytest.approx(1.5)
    assert curve.area(1.0) == pytest.approx(3.5)


# --- Lithium ------------------------------------------------------------------------------------------


def test_resistance_takes_its_part_of_the_voltage_and_of_the_energy() -> None:
    # 1000 Ah, 4 % of 3 V at 1000 A: 0.12 mOhm. 1440 W: 3 I - 0.00012 I2 = 1440, I = 489.59 A.
    cells = a_lithium()
    current_a = (3.0 - sqrt(9.0 - 4 * 0.00012 * 1440.0)) / 0.00024
    assert cells.voltage(1440.0) == pytest.approx(3.0 - 0.00012 * current_a)
    stored_wh = cells.take(1440.0 / 60, 1 / 60)
    assert stored_wh == pytest.approx(-3.0 * current_a / 60, rel=1e-4)
    assert 1440.0 / 60 + stored_wh == pytest.approx(-0.00012 * current_a * current_a / 60, rel=1e-3)


def test_what_the_cells_keep_of_a_charge_is_the_coulombic_efficiency() -> None:
    cells = a_lithium(coulombic_efficiency=0.99, resistance=1e-9)
    assert cells.take(-100.0, 0.1) == pytest.approx(99.0, rel=1e-6)


def test_a_battery_left_alone_discharges_itself() -> None:
    cells = a_lithium(self_discharge_per_h=1e-4)
    for _ in range(100):
        cells.take(0.0, 1.0)
    assert cells.true_soc_pct == pytest.approx(50.0 * 0.99, rel=1e-4)


def test_near_full_the_voltage_holds_the_charge_back() -> None:
    # 3.9 V inside, 4.0 V allowed, 0.12 mOhm: 833 A at 4 V would be 3333 W; at 3.99 V inside 333 W.
    slope = ((0.0, 3.0), (1.0, 4.0))
    cells = a_lithium(99.0, ocv=slope, taper_from_pct=100.0)
    ohm = 0.04 * 3.5 * 3.5 / 3000.0
    assert cells.charge_limit_w() == pytest.approx(4.0 * 0.01 / ohm, rel=1e-6)


def test_the_bms_lowers_the_charge_towards_full_by_what_it_counts() -> None:
    assert a_lithium(90.0).charge_limit_w() == 3000.0
    assert a_lithium(96.0).charge_limit_w() == pytest.approx(3000.0 * 4.5 / 8.5)


def test_frozen_cells_are_not_charged_and_give_less() -> None:
    cells = a_lithium(ambient_c=0.0)
    assert cells.charge_limit_w() == 0.0
    assert cells.discharge_limit_w() == pytest.approx(1800.0)
    assert a_lithium(ambient_c=2.5).charge_limit_w() == pytest.approx(450.0)


def test_cold_doubles_the_resistance() -> None:
    # exp(20000 / 8.314 * (1/273.15 - 1/298.15)) = 2.093
    warm_v, cold_v = a_lithium().voltage(300.0), a_lithium(ambient_c=0.0).voltage(300.0)
    assert (3.0 - cold_v) / (3.0 - warm_v) == pytest.approx(2.093, rel=0.01)


def test_losses_warm_a_battery_towards_where_the_air_takes_them() -> None:
    # 100 W lost at 10 W/K: 10 K warmer; 36 kJ/K by 10 W/K: time constant an hour, 63 % after it.
    cells = a_lithium(heat_j_per_k=36_000.0, cooling_w_per_k=10.0, resistance=1e-9, coulombic_efficiency=0.9)
    for _ in range(60):
        cells.take(-1000.0 / 60, 1 / 60)
    assert cells.temperature_c == pytest.approx(25.0 + 10.0 * 0.632, abs=0.05)


def test_full_and_empty_are_seen_by_the_voltage_whatever_was_counted() -> None:
    cells = a_lithium(99.0, gauge=GaugeParams(gain_error=-0.5))
    cells.take(-15.0, 0.1)
    assert cells.soc_pct == pytest.approx(99.0)  # half was counted, and counting never says full
    cells.take(-15.0, 0.1)
    assert (cells.soc_pct, cells.charge_limit_w()) == (100.0, 0.0)
    cells.take(15.0, 0.1)
    assert cells.charge_limit_w() == 0.0  # 99.5 %: not yet again
    cells.take(30.0, 0.1)
    assert cells.charge_limit_w() > 0.0


# --- The gauge ----------------------------------------------------------------------------------------


def test_a_gauge_drifts_by_its_offset_a_per_cent_in_four_days() -> None:
    gauge = Gauge(GaugeParams(offset_per_h=1e-4), 50.0)
    for _ in range(96):
        gauge.count(0.0, 1.0)
    assert gauge.soc_pct == pytest.approx(49.04)


def test_a_gauge_counts_what_its_sensor_sees() -> None:
    gauge = Gauge(GaugeParams(gain_error=0.01, charge_efficiency=0.9), 50.0)
    gauge.count(0.1, 1.0)
    assert gauge.soc_pct == pytest.approx(39.9)
    gauge.count(-0.1, 1.0)
    assert gauge.soc_pct == pytest.approx(39.9 + 9.09)


# --- Age ----------------------------------------------------------------------------------------------


def test_lfp_loses_four_per_cent_in_its_first_year_at_25_c_and_half_full() -> None:
    # 1.2571e-5 * 0.60225 * sqrt(365 * 86400 s) = 0.04252
    at_once, by_days = LfpFade(), LfpFade()
    at_once.rest(8760.0, 25.0, 0.5, 3.3)
    for _ in range(365):
        by_days.rest(24.0, 25.0, 0.5, 3.3)
    assert at_once.loss == pytest.approx(0.04252, rel=1e-3)
    assert by_days.loss == pytest.approx(at_once.loss, rel=1e-9)


def test_a_thousand_deep_cycles_cost_lfp_by_their_root() -> None:
    # 100 % deep at C/2: (0.0630 * 0.5 + 0.0971) * (4.0253 * 0.4**3 + 1.0923) * sqrt(1000) % = 5.49 %
    fade = LfpFade()
    for _ in range(2000):
        fade.half_cycle(1.0, 0.5, 3.3)
    assert fade.loss == pytest.approx(0.0549, rel=2e-3)


def test_nmc_ages_by_its_voltage() -> None:
    # (7.543 * 3.7 - 23.75) * 1e6 * exp(-6976 / 298.15) * 365**0.75 = 0.0240
    fade = NmcFade()
    fade.rest(8760.0, 25.0, 0.5, 3.7)
    assert fade.loss == pytest.approx(0.0240, rel=0.01)
    # 80 % deep around 3.667 V: (7.6e-4 + 4.081e-3 * 0.8) * sqrt(500 cycles * 2 * 2.15 Ah * 0.8) = 0.167
    cycled = NmcFade()
    for _ in range(1000):
        cycled.half_cycle(0.8, 1.0, 3.667)
    assert cycled.loss == pytest.approx(0.167, rel=5e-3)


def test_lead_acid_is_used_up_after_the_cycles_of_its_data_sheet_or_its_years() -> None:
    cycled = LeadFade(LeadLife(900.0, 1.2, 10.0))
    for _ in range(1800):
        cycled.half_cycle(0.5, 0.1, 2.0)
    assert cycled.loss == pytest.approx(0.2)
    aged = LeadFade(LeadLife(900.0, 1.2, 10.0))
    aged.rest(5 * 8766.0, 30.0, 1.0, 2.25)  # 10 K warmer: half the life
    assert aged.loss == pytest.approx(0.2)


def test_half_cycles_are_found_with_their_depth_and_rate() -> None:
    cycles = HalfCycles(1.0)
    found = []
    for soc in (0.9, 0.8, 0.7, 0.705, 0.6, 0.65, 0.8, 0.7):
        half = cycles.watch(soc, 0.5)
        if half is not None:
            found.append(half)
    assert [depth for depth, _ in found] == pytest.approx([0.4, 0.2])  # a dent of half a per cent is no turn
    assert found[0][1] == pytest.approx(0.4 / 3.0)  # six half hours


def test_a_battery_that_fades_keeps_its_state_of_charge_and_gains_resistance() -> None:
    cells = a_lithium(50.0, fade=LfpFade)
    before_v = cells.voltage(1000.0)
    for _ in range(365):
        cells.take(0.0, 24.0)
    assert cells.health == pytest.approx(1 - 0.04252, rel=1e-3)
    assert cells.true_soc_pct == pytest.approx(50.0)
    assert cells.stored_wh == pytest.approx(1500.0 * cells.health)
    assert cells.voltage(1000.0) < before_v


# --- Lead-acid ----------------------------------------------------------------------------------------

WELLS = fitted(106.0, 100.0, 65.0)


def test_the_wells_give_the_capacities_of_the_data_sheet() -> None:
    assert [WELLS.capacity_ah(hours) for hours in (20.0, 10.0, 1.0)] == pytest.approx([106.0, 100.0, 65.0])
    with pytest.raises(ValueError, match="do not fall with the current"):
        fitted(100.0, 100.0, 50.0)


@settings(deadline=None)
@given(st.floats(-30.0, 30.0), st.floats(0.01, 5.0), st.lists(st.floats(0.0, 1.0), max_size=6))
def test_the_wells_go_the_same_way_in_one_step_and_in_many(
    current_a: float, hours: float, cuts: list[float]
) -> None:
    one_ah, two_ah = WELLS.share * 50.0, (1 - WELLS.share) * 50.0 + 3.0
    whole = WELLS.after(one_ah, two_ah, current_a, hours)
    assert sum(whole) == pytest.approx(one_ah + two_ah - current_a * hours)
    now_h = 0.0
    for end_h in [*(hours * cut for cut in sorted(cuts)), hours]:
        one_ah, two_ah = WELLS.after(one_ah, two_ah, current_a, end_h - now_h)
        now_h = end_h
    assert (one_ah, two_ah) == pytest.approx(whole, abs=1e-9)


def test_the_current_that_empties_well_1_in_time_does_so() -> None:
    wells = KiBaM(0.4, 0.8, 100.0)
    out_a = wells.most_a(30.0, 70.0, 0.5)
    assert wells.after(30.0, 40.0, out_a, 0.5)[0] == pytest.approx(0.0, abs=1e-9)
    in_a = wells.most_in_a(30.0, 70.0, 0.5)
    assert wells.after(30.0, 40.0, -in_a, 0.5)[0] == pytest.approx(40.0)


def discharged_wh(cells: Cells, power_w: float) -> float:
    """What it gives at this power until it cannot any more."""
    given_wh = 0.0
    while cells.discharge_limit_w() >= power_w:
        cells.take(power_w / 120, 1 / 120)
        given_wh += power_w / 120
    return given_wh


def test_a_lead_acid_battery_gives_less_the_faster_it_is_emptied_and_less_when_cold() -> None:
    slow_wh = discharged_wh(a_lead_acid(), 200.0)
    assert slow_wh == pytest.approx(2000.0, rel=0.05)  # its capacity in 10 h
    assert discharged_wh(a_lead_acid(), 1300.0) < 0.75 * slow_wh
    assert discharged_wh(a_lead_acid(ambient_c=0.0), 200.0) < 0.85 * slow_wh


def test_a_lead_acid_battery_that_was_cut_off_recovers_at_rest() -> None:
    cells = a_lead_acid()
    while cells.discharge_limit_w() > 0:
        cells.take(min(1500.0, cells.discharge_limit_w()) / 120, 1 / 120)
    assert cells.soc_pct == 0.0
    for _ in range(120):
        cells.take(0.0, 1 / 60)
    assert cells.discharge_limit_w() > 500.0


def charged(cells: LeadAcidCells, hours: int) -> float:
    """Charge as fast as it lets; the power at the end."""
    for _ in range(hours * 60):
        limit_w = cells.charge_limit_w()
        cells.take(-limit_w / 60, 1 / 60)
    return cells.charge_limit_w()


def test_a_charge_ends_with_absorption_and_then_float() -> None:
    cells = a_lead_acid(50.0)
    assert cells.charge_limit_w() > 400.0
    charged(cells, 5)
    assert cells.voltage(-cells.charge_limit_w()) == pytest.approx(2.40, abs=0.02)
    float_w = charged(cells, 30)
    assert cells.floats
    assert cells.soc_pct == pytest.approx(100.0, abs=0.5)
    # On float all of the current makes gas: 1000 Ah * 2e-4 * exp(11 * (2.25 - 2.23) + 0.06 * 5) at 2.25 V.
    assert float_w == pytest.approx(2.25 * 1000.0 * 2e-4 * 1.682, rel=0.3)


def test_a_battery_on_float_stays_full_and_one_left_alone_does_not() -> None:
    floating, alone = a_lead_acid(), a_lead_acid()
    charged(floating, 24 * 30)
    for _ in range(24 * 30):
        alone.take(0.0, 1.0)
    assert floating.true_soc_pct > 99.0
    assert 92.0 < alone.true_soc_pct < 98.5


# --- Any of them in a house ---------------------------------------------------------------------------


def a_kind(kind: Kind, capacity_wh: float = 6000.0) -> CellsParams:
    return chemistry(kind, capacity_wh, max_charge_w=4000.0, max_discharge_w=4000.0)


def test_every_kind_can_be_had_by_name() -> None:
    for kind in KINDS:
        assert a_kind(kind).new(50.0).capacity_wh == 6000.0  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"soc_pct": 101.0}, {"capacity_wh": 0.0}])
def test_a_battery_that_cannot_exist_is_refused(wrong: dict[str, float]) -> None:
    for kind in ("lfp", "agm"):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            a_kind(kind, wrong.get("capacity_wh", 6000.0)).new(wrong.get("soc_pct", 50.0))  # type: ignore[arg-type]


LOSSES = LossCurve(4600.0, 150.0, 30.0, 40.0)
events = st.lists(
    st.tuples(
        st.floats(0.01, 7200.0),
        st.sampled_from(["order 0", "order 1", "release", "gone", "back", "cap", ""]),
        st.floats(-6000.0, 6000.0),
    ),
    max_size=20,
)


@settings(deadline=None)
@given(
    steps=events,
    kinds=st.tuples(st.sampled_from(KINDS), st.sampled_from(KINDS)),
    soc_pct=st.floats(0.0, 100.0),
    speed=st.sampled_from([1.0, 60.0]),
    ramp_w_per_s=st.sampled_from([inf, 400.0]),
)
def test_the_books_close_with_every_kind_of_battery_whatever_happens(
    steps: list[tuple[float, str, float]],
    kinds: tuple[Kind, Kind],
    soc_pct: float,
    speed: float,
    ramp_w_per_s: float,
) -> None:
    curved = InverterParams(
        4600.0,
        4600.0,
        charge_loss=LOSSES,
        discharge_loss=LOSSES,
        min_power_w=60.0,
        resolution_w=10.0,
        ramp_w_per_s=ramp_w_per_s,
    )
    units = [
        BatteryUnit(a_kind(kinds[0]), curved, soc_pct),
        BatteryUnit(a_kind(kinds[1]), InverterParams(3000.0, 3000.0), 100.0 - soc_pct, 3, forms_grid=False),
    ]
    house = House(
        held(300.0, 2500.0, 900.0), [PvUnit(held(0.0, 5000.0), 4600.0)], units, phases=3, speed=speed
    )
    stored_wh, now_s = house.energies.stored_wh, 0.0
    for step_s, event, power_w in steps:
        if event.startswith("order"):
            house.battery(int(event[-1])).order(now_s, power_w, now_s + 900.0)
        elif event == "release":
            house.battery(0).release(now_s)
        elif event in ("gone", "back"):
            house.set_grid(present=event == "back")
        elif event == "cap":
            house.pv(0).cap(now_s, abs(power_w), now_s + 600.0)
        before = house.energies
        now_s += step_s / speed
        house.advance(now_s)
        assert imbalance(house, stored_wh) < 1e-9
        assert house.energies.lost_wh >= before.lost_wh - 1e-6
        for battery in house.batteries:
            assert -0.5 <= battery.cells.true_soc_pct <= 100.5
            assert 0.0 <= battery.cells.soc_pct <= 100.0


def test_losses_over_power_come_back_as_the_power_they_were() -> None:
    # 4600 W: 150 + 30 + 40 W lost. 2300 W: 37.5 + 15 + 40.
    assert LOSSES.charging_dc_w(4600.0) == 4380.0
    assert LOSSES.discharging_dc_w(2300.0) == 2392.5
    assert LOSSES.charging_ac_w(4380.0) == pytest.approx(4600.0)
    assert LOSSES.discharging_ac_w(2392.5) == pytest.approx(2300.0)


def test_an_inverter_takes_orders_in_its_steps_and_from_its_least_power_on() -> None:
    params = InverterParams(4000.0, 5000.0, min_power_w=75.0, resolution_w=50.0)
    assert [params.taken_w(w) for w in (60.0, 80.0, -120.0, 9000.0, -9000.0)] == [
        0.0,
        100.0,
        -100.0,
        5000.0,
        -4000.0,
    ]


def test_a_loss_curve_empties_the_battery_by_what_it_says() -> None:
    cells = chemistry("simple", 10_000.0, max_charge_w=inf, max_discharge_w=inf, efficiency=1.0)
    params = InverterParams(
        4600.0, 4600.0, discharge_loss=LOSSES, standby_w=0.0, dead_time_s=0.0, time_constant_s=0.0
    )
    house = House(held(0.0), (), [BatteryUnit(cells, params, 50.0)])
    house.battery(0).order(0.0, 2300.0, inf)
    house.advance(3600.0)
    assert house.energies.stored_wh == pytest.approx(5000.0 - 2392.5)
    assert house.energies.lost_wh == pytest.approx(92.5)
