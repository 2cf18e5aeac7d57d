"""Batteries from the inside, against numbers worked out by hand from the equations they cite."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import pytest

from simulators.cells.curve import Curve
from simulators.cells.fade import HalfCycles, LeadFade, LeadLife, LfpFade, NmcFade
from simulators.cells.gauge import Gauge, GaugeParams
from simulators.cells.lithium import LithiumCellParams

EVEN_V = ((0.0, 3.0), (1.0, 3.0))
"""A cell of 3 V, whatever is in it: 3000 Wh are 1000 Ah."""


A_LITHIUM = LithiumCellParams(
    3000.0,
    ocv=EVEN_V,
    lowest_v=2.0,
    highest_v=4.0,
    max_charge_w=3000.0,
    max_discharge_w=3000.0,
    resistance=0.04,
    coulombic_efficiency=1.0,
    leaks_per_h=0.0,
    ambient_c=25.0,
)


def test_a_curve_is_the_line_between_its_points_and_knows_the_area_below() -> None:
    curve = Curve(((0.0, 2.0), (0.5, 4.0), (1.0, 4.0)))
    assert curve.at(0.25) == pytest.approx(3.0)
    assert curve.area(0.5) == pytest.approx(1.5)
    assert curve.area(1.0) == pytest.approx(3.5)


# --- Lithium ------------------------------------------------------------------------------------------


def test_resistance_takes_its_part_of_the_voltage_and_of_the_energy() -> None:
    # 1000 Ah, 4 % of 3 V at 1000 A: 0.12 mOhm. 1440 W: 3 I - 0.00012 I2 = 1440, I = 489.59 A.
    cells = A_LITHIUM.new(50.0)
    current_a = (3.0 - sqrt(9.0 - 4 * 0.00012 * 1440.0)) / 0.00024
    assert cells.voltage(1440.0) == pytest.approx(3.0 - 0.00012 * current_a)
    stored_wh = cells.take(1440.0 / 60, 1 / 60)
    assert stored_wh == pytest.approx(-3.0 * current_a / 60, rel=1e-4)
    assert 1440.0 / 60 + stored_wh == pytest.approx(-0.00012 * current_a * current_a / 60, rel=1e-3)


def test_what_the_cells_keep_of_a_charge_is_the_coulombic_efficiency() -> None:
    cells = replace(A_LITHIUM, coulombic_efficiency=0.99, resistance=1e-9).new(50.0)
    assert cells.take(-100.0, 0.1) == pytest.approx(99.0, rel=1e-6)


def test_a_battery_left_alone_discharges_itself() -> None:
    cells = replace(A_LITHIUM, leaks_per_h=1e-4).new(50.0)
    for _ in range(100):
        cells.take(0.0, 1.0)
    assert cells.true_soc_pct == pytest.approx(50.0 * 0.99, rel=1e-4)


def test_near_full_the_voltage_holds_the_charge_back() -> None:
    # 3.9 V inside, 4.0 V allowed, 0.12 mOhm: 833 A at 4 V would be 3333 W; at 3.99 V inside 333 W.
    slope = ((0.0, 3.0), (1.0, 4.0))
    cells = replace(A_LITHIUM, ocv=slope, taper_from_pct=100.0).new(99.0)
    ohm = 0.04 * 3.5 * 3.5 / 3000.0
    assert cells.charge_limit_w() == pytest.approx(4.0 * 0.01 / ohm, rel=1e-6)


def test_the_bms_lowers_the_charge_towards_full_by_what_it_counts() -> None:
    assert A_LITHIUM.new(90.0).charge_limit_w() == 3000.0
    assert A_LITHIUM.new(96.0).charge_limit_w() == pytest.approx(3000.0 * 4.5 / 8.5)


def test_frozen_cells_are_not_charged_and_give_less() -> None:
    cells = replace(A_LITHIUM, ambient_c=0.0).new(50.0)
    assert cells.charge_limit_w() == 0.0
    assert cells.discharge_limit_w() == pytest.approx(1800.0)
    assert replace(A_LITHIUM, ambient_c=2.5).new(50.0).charge_limit_w() == pytest.approx(450.0)


def test_cold_doubles_the_resistance() -> None:
    # exp(20000 / 8.314 * (1/273.15 - 1/298.15)) = 2.093
    warm_v, cold_v = (
        A_LITHIUM.new(50.0).voltage(300.0),
        replace(A_LITHIUM, ambient_c=0.0).new(50.0).voltage(300.0),
    )
    assert (3.0 - cold_v) / (3.0 - warm_v) == pytest.approx(2.093, rel=0.01)


def test_losses_warm_a_battery_towards_where_the_air_takes_them() -> None:
    # 100 W lost at 10 W/K: 10 K warmer; 36 kJ/K by 10 W/K: time constant an hour, 63 % after it.
    cells = replace(
        A_LITHIUM, heat_j_per_k=36_000.0, cooling_w_per_k=10.0, resistance=1e-9, coulombic_efficiency=0.9
    ).new(50.0)
    for _ in range(60):
        cells.take(-1000.0 / 60, 1 / 60)
    assert cells.temperature_c == pytest.approx(25.0 + 10.0 * 0.632, abs=0.05)


def test_full_and_empty_are_seen_by_the_voltage_whatever_was_counted() -> None:
    cells = replace(A_LITHIUM, gauge=GaugeParams(gain_error=-0.5)).new(99.0)
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
    cells = replace(A_LITHIUM, fade=LfpFade).new(50.0)
    before_v = cells.voltage(1000.0)
    for _ in range(365):
        cells.take(0.0, 24.0)
    assert cells.health == pytest.approx(1 - 0.04252, rel=1e-3)
    assert cells.true_soc_pct == pytest.approx(50.0)
    assert cells.stored_wh == pytest.approx(1500.0 * cells.health)
    assert cells.voltage(1000.0) < before_v
