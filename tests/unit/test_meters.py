"""Meters at the PCC: current transformers in the wrong place, and meters that are slow, coarse and noisy."""

from __future__ import annotations

from math import inf
from statistics import mean, stdev

import pytest

from simulators.meters import MeterParams
from simulators.site import House, PvUnit
from tests.unit.test_house import a_battery, held


def a_lopsided_house() -> House:
    """1000, 100 and 700 W on its phases."""
    return House(held(3000.0), [PvUnit(held(900.0), 4000.0, phase=2)], [a_battery(phase=3)], phases=3)


def test_a_reversed_ct_turns_its_phase_around() -> None:
    house = a_lopsided_house()
    house.battery(0).order(0.0, 300.0, inf)
    meter = house.meter()
    meter.wire(1, reverse=True)
    reading = meter.reading(1.0)
    assert reading.phase_import_w == pytest.approx((-1000.0, 100.0, 700.0))
    assert reading.pcc_import_w == pytest.approx(-200.0)
    assert house.meter().reading(1.0).pcc_import_w == pytest.approx(1800.0)  # the truth


def test_cts_on_each_others_phases_show_half_and_the_wrong_way() -> None:
    # CT 1 sees the 100 W of L2 with the voltage of L1: cos 120 degrees, -50 W; CT 2 sees -500 W.
    house = a_lopsided_house()
    house.battery(0).order(0.0, 300.0, inf)
    meter = house.meter()
    meter.wire(1, on_phase=2)
    meter.wire(2, on_phase=1)
    reading = meter.reading(1.0)
    assert reading.phase_import_w == pytest.approx((-50.0, -500.0, 700.0))
    assert reading.phase_current_a[0] == pytest.approx(100.0 / (230.0 - 0.25 * 100.0 / 230.0))
    meter.wire(1)
    meter.wire(2)
    assert meter.reading(2.0).phase_import_w == pytest.approx((1000.0, 100.0, 700.0))


def test_the_counters_follow_what_a_wrongly_wired_meter_sees() -> None:
    house = House(held(1200.0, 1200.0))
    meter = house.meter()
    meter.reading(900.0)  # 300 Wh, rightly
    meter.wire(1, reverse=True)
    reading = meter.reading(1800.0)
    assert (reading.import_wh, reading.export_wh) == pytest.approx((300.0, 300.0))


def test_a_ct_that_the_house_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="on_phase is 2; the house has phases 1 to 1"):
        House(held(0.0)).meter().wire(1, on_phase=2)


def test_each_phase_has_its_own_books() -> None:
    house = a_lopsided_house()
    house.battery(0).order(0.0, 3000.0, inf)
    house.advance(900.0)
    assert house.phase_wh() == pytest.approx((250.0, 25.0, -500.0))


def test_a_slow_meter_measures_at_its_own_instants_whoever_moves_the_house() -> None:
    house = House(held(100.0, 900.0))
    meter = house.meter(MeterParams(period_s=10.0, delay_s=2.0, phase_s=5.0))
    house.advance(904.0)
    assert meter.reading(904.0).pcc_import_w == 100.0  # measured at 895 s; next at 905 s, seen at 907 s
    assert meter.reading(906.9).pcc_import_w == 100.0
    assert meter.reading(907.0).pcc_import_w == 900.0


def test_an_averaging_meter_shows_the_mean_of_its_period() -> None:
    house = House(held(100.0, 900.0), phases=3)
    meter = house.meter(MeterParams(period_s=1800.0, averages=True))
    assert meter.reading(1800.0).pcc_import_w == pytest.approx(500.0)
    assert meter.reading(1800.0).phase_import_w == pytest.approx((500.0 / 3,) * 3)


def test_a_coarse_meter_shows_steps_and_their_sum() -> None:
    house = a_lopsided_house()
    meter = house.meter(MeterParams(period_s=1.0, resolution_w=30.0))
    reading = meter.reading(1.0)
    assert reading.phase_import_w == (990.0, 90.0, 990.0)
    assert reading.pcc_import_w == 2070.0


def test_noise_is_as_large_as_was_said_and_the_same_from_the_same_seed() -> None:
    def readings(seed: int) -> list[float]:
        meter = House(held(500.0)).meter(MeterParams(period_s=1.0, noise_w=20.0, seed=seed))
        return [meter.reading(float(second)).pcc_import_w for second in range(1, 801)]

    first = readings(1)
    assert first == readings(1) != readings(2)
    assert mean(first) == pytest.approx(500.0, abs=3.0)
    assert stdev(first) == pytest.approx(20.0, rel=0.1)


def test_a_meter_that_cannot_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="period_s is 0"):
        MeterParams(period_s=0.0)
    with pytest.raises(ValueError, match="noise_w is -1"):
        MeterParams(period_s=1.0, noise_w=-1.0)
