"""Charge and discharge limits by temperature and SoC."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.dispatch.derating import derated
from controller.dispatch.settings import BatterySettings, Curve
from controller.dispatch.site import BatterySite

PLAIN = BatterySettings("bat1", capacity_wh=10_000)
AT_REST = BatterySite(0, 0.0, 50.0, max_charge_w=4000.0, max_discharge_w=5000.0, temperature_c=20.0)
LITHIUM_CHARGE: Curve = ((0.0, 0.0), (10.0, 1.0), (45.0, 1.0), (55.0, 0.0))
COLD_JUMP: Curve = ((0.0, 0.0), (0.0, 0.5), (20.0, 1.0))


def test_without_curves_the_device_alone_limits() -> None:
    assert derated(PLAIN, AT_REST) == (4000.0, 5000.0)
    assert derated(PLAIN, replace(AT_REST, temperature_c=None, soc_pct=None)) == (4000.0, 5000.0)


@pytest.mark.parametrize(
    ("temperature_c", "charge_w"),
    [
        (-20.0, 0.0),
        (0.0, 0.0),
        (2.5, 1000.0),
        (5.0, 2000.0),
        (10.0, 4000.0),
        (30.0, 4000.0),
        (45.0, 4000.0),
        (50.0, 2000.0),
        (55.0, 0.0),
        (70.0, 0.0),
        (None, 0.0),
    ],
)
def test_charging_follows_the_temperature_curve(temperature_c: float | None, charge_w: float) -> None:
    settings = replace(PLAIN, charge_by_temperature=LITHIUM_CHARGE)
    assert derated(settings, replace(AT_REST, temperature_c=temperature_c)) == (charge_w, 5000.0)


@pytest.mark.parametrize(
    ("temperature_c", "discharge_w"), [(-10.0, 1250.0), (0.0, 2500.0), (10.0, 3750.0), (None, 1250.0)]
)
def test_discharging_follows_its_own_temperature_curve(
    temperature_c: float | None, discharge_w: float
) -> None:
    settings = replace(PLAIN, discharge_by_temperature=((-10.0, 0.25), (10.0, 0.75)))
    assert derated(settings, replace(AT_REST, temperature_c=temperature_c)) == (4000.0, discharge_w)


@pytest.mark.parametrize(
    ("soc_pct", "charge_w"),
    [(0.0, 4000.0), (80.0, 4000.0), (90.0, 3000.0), (100.0, 2000.0), (None, 2000.0)],
)
def test_charging_tapers_towards_full(soc_pct: float | None, charge_w: float) -> None:
    settings = replace(PLAIN, charge_by_soc=((80.0, 1.0), (100.0, 0.5)))
    assert derated(settings, replace(AT_REST, soc_pct=soc_pct)) == (charge_w, 5000.0)


@pytest.mark.parametrize(
    ("soc_pct", "discharge_w"),
    [(5.0, 1250.0), (15.0, 2500.0), (25.0, 3750.0), (90.0, 3750.0), (None, 1250.0)],
)
def test_discharging_tapers_towards_empty(soc_pct: float | None, discharge_w: float) -> None:
    settings = replace(PLAIN, discharge_by_soc=((5.0, 0.25), (25.0, 0.75)))
    assert derated(settings, replace(AT_REST, soc_pct=soc_pct)) == (4000.0, discharge_w)


def test_of_two_curves_the_tighter_counts_and_not_their_product() -> None:
    settings = replace(
        PLAIN,
        charge_by_temperature=((0.0, 0.5), (40.0, 0.5)),
        charge_by_soc=((0.0, 0.25), (100.0, 0.75)),
        discharge_by_temperature=((0.0, 0.75), (40.0, 0.75)),
        discharge_by_soc=((0.0, 0.5), (100.0, 1.0)),
    )
    assert derated(settings, replace(AT_REST, soc_pct=0.0)) == (1000.0, 2500.0)
    assert derated(settings, replace(AT_REST, soc_pct=100.0)) == (2000.0, 3750.0)


@pytest.mark.parametrize(("temperature_c", "charge_w"), [(0.0, 0.0), (0.1, 2010.0), (10.0, 3000.0)])
def test_a_jump_comes_after_its_temperature_and_not_at_it(temperature_c: float, charge_w: float) -> None:
    settings = replace(PLAIN, charge_by_temperature=COLD_JUMP)
    found_w, _ = derated(settings, replace(AT_REST, temperature_c=temperature_c))
    assert found_w == pytest.approx(charge_w)


def test_of_a_jump_between_other_points_the_side_before_it_holds_at_its_temperature() -> None:
    settings = replace(PLAIN, charge_by_temperature=((-10.0, 0.25), (0.0, 0.25), *COLD_JUMP[1:]))
    assert derated(settings, replace(AT_REST, temperature_c=0.0)) == (1000.0, 5000.0)


def test_one_point_is_the_same_share_everywhere() -> None:
    settings = replace(PLAIN, discharge_by_soc=((50.0, 0.5),))
    for soc_pct in (0.0, 50.0, 100.0):
        assert derated(settings, replace(AT_REST, soc_pct=soc_pct)) == (4000.0, 2500.0)


curves = st.lists(st.tuples(st.floats(-30, 100), st.floats(0, 1)), max_size=5).map(
    lambda points: tuple(sorted(points))
)
readings = st.one_of(st.none(), st.floats(-60, 120))


@given(curves, curves, curves, curves, readings, readings)
def test_derating_never_gives_more_than_the_device_nor_less_than_nothing(
    one: Curve, two: Curve, three: Curve, four: Curve, temperature_c: float | None, soc_pct: float | None
) -> None:
    settings = BatterySettings(
        "bat1",
        10_000,
        charge_by_temperature=one,
        discharge_by_temperature=two,
        charge_by_soc=three,
        discharge_by_soc=four,
    )
    charge_w, discharge_w = derated(settings, replace(AT_REST, temperature_c=temperature_c, soc_pct=soc_pct))
    assert 0.0 <= charge_w <= 4000.0 * (1.0 + 1e-12)
    assert 0.0 <= discharge_w <= 5000.0 * (1.0 + 1e-12)
