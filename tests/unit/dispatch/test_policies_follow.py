"""Follow: setpoints from outside with their lease, and the frequency response."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.dispatch.orders import NO_ORDERS, Order, Orders
from controller.dispatch.policies.follow import follow
from controller.dispatch.settings import FrequencySettings
from tests.unit.dispatch.policy_sites import a_policy, a_site

DROOP = FrequencySettings(
    w_per_hz=10_000.0,
    most_w=2000.0,
    nominal_hz=50.0,
    deadband_hz=0.25,
    soc_low_pct=40.0,
    soc_high_pct=60.0,
    recover_w=500.0,
)
BATTERY = Orders(follow_battery_w=Order(-800.0, expires_at_s=11.0))
PCC = Orders(follow_pcc_w=Order(-900.0, expires_at_s=11.0))
BOTH = Orders(follow_battery_w=Order(-800.0, 11.0), follow_pcc_w=Order(-900.0, 11.0))


def wanted_w(
    orders: Orders = NO_ORDERS, frequency: FrequencySettings | None = None, **changes: object
) -> float | None:
    return follow(a_policy(frequency=frequency), a_site(300.0, orders=orders, **changes))


def test_an_order_for_the_battery_is_followed_as_it_stands() -> None:
    assert wanted_w(BATTERY) == -800.0


def test_an_order_for_the_pcc_is_what_the_battery_leaves_there() -> None:
    assert wanted_w(PCC) == 1200.0


def test_an_order_for_the_battery_goes_before_one_for_the_pcc() -> None:
    assert wanted_w(BOTH) == -800.0


def test_an_order_of_zero_is_an_order() -> None:
    assert wanted_w(Orders(follow_battery_w=Order(0.0, 11.0), follow_pcc_w=Order(900.0, 11.0))) == 0.0
    assert wanted_w(Orders(follow_pcc_w=Order(0.0, 11.0))) == 300.0


def test_an_order_ends_with_its_lease_and_then_the_other_one_counts() -> None:
    assert wanted_w(BOTH, now_s=10.999) == -800.0
    assert wanted_w(
        Orders(follow_battery_w=Order(-800.0, 11.0), follow_pcc_w=Order(-900.0, 12.0)), now_s=11.0
    ) == (1200.0)
    assert wanted_w(BOTH, now_s=11.0) is None


def test_without_orders_and_frequency_response_it_cannot_decide() -> None:
    assert wanted_w() is None
    assert wanted_w(frequency_hz=49.0) is None


def test_a_response_without_a_measured_frequency_leaves_the_order_and_cannot_decide_alone() -> None:
    assert wanted_w(BATTERY, DROOP) == -800.0
    assert wanted_w(frequency=DROOP) is None


@pytest.mark.parametrize(
    ("frequency_hz", "response_w"),
    [
        (49.0, 2000.0),
        (49.5, 2000.0),
        (49.55, 2000.0),
        (49.625, 1250.0),
        (49.74, 100.0),
        (49.75, 0.0),
        (50.0, 0.0),
        (50.25, 0.0),
        (50.26, -100.0),
        (50.375, -1250.0),
        (50.45, -2000.0),
        (50.5, -2000.0),
        (51.0, -2000.0),
    ],
)
def test_outside_of_the_dead_band_the_response_rises_to_its_cap(
    frequency_hz: float, response_w: float
) -> None:
    assert wanted_w(frequency=DROOP, frequency_hz=frequency_hz) == pytest.approx(response_w, abs=1e-6)
    assert wanted_w(BATTERY, DROOP, frequency_hz=frequency_hz) == pytest.approx(-800 + response_w, abs=1e-6)
    assert wanted_w(PCC, DROOP, frequency_hz=frequency_hz) == pytest.approx(1200 + response_w, abs=1e-6)


@pytest.mark.parametrize(
    ("soc_pct", "recovery_w"),
    [(0.0, -500.0), (39.9, -500.0), (40.0, 0.0), (50.0, 0.0), (60.0, 0.0), (60.1, 500.0), (None, 0.0)],
)
def test_inside_the_dead_band_the_soc_is_led_back_to_its_band(
    soc_pct: float | None, recovery_w: float
) -> None:
    assert wanted_w(frequency=DROOP, frequency_hz=50.0, soc_pct=soc_pct) == recovery_w
    for half_way_hz in (49.875, 50.125):
        assert wanted_w(frequency=DROOP, frequency_hz=half_way_hz, soc_pct=soc_pct) == 0.5 * recovery_w
    for edge_hz in (49.75, 50.25):
        assert wanted_w(frequency=DROOP, frequency_hz=edge_hz, soc_pct=soc_pct) == 0.0


def test_the_way_back_to_the_soc_band_goes_a_percent_deep() -> None:
    config = a_policy(name="follow", frequency=DROOP)

    def back_w(soc_pct: float, before_w: float) -> float | None:
        return follow(config, a_site(frequency_hz=50.0, soc_pct=soc_pct), before_w)

    assert (back_w(59.1, 500.0), back_w(59.0, 500.0), back_w(59.1, -1.0)) == (500.0, 0.0, 0.0)
    assert (back_w(40.9, -500.0), back_w(41.0, -500.0), back_w(40.9, 1.0)) == (-500.0, 0.0, 0.0)


def test_without_a_dead_band_the_soc_is_led_back_at_the_nominal_frequency_only() -> None:
    no_band = replace(DROOP, deadband_hz=0.0)
    assert wanted_w(frequency=no_band, frequency_hz=50.0, soc_pct=70.0) == 500.0


def test_the_soc_is_not_led_back_against_an_order_nor_outside_of_the_dead_band() -> None:
    assert wanted_w(BATTERY, DROOP, frequency_hz=50.0, soc_pct=10.0) == -800.0
    assert wanted_w(frequency=DROOP, frequency_hz=49.625, soc_pct=10.0) == 1250.0
    assert wanted_w(frequency=DROOP, frequency_hz=50.375, soc_pct=90.0) == -1250.0


def test_a_recovery_of_zero_watts_is_a_plain_zero() -> None:
    quiet = FrequencySettings(10_000.0, 2000.0)
    recovery_w = wanted_w(frequency=quiet, frequency_hz=50.0, soc_pct=10.0)
    assert recovery_w == 0.0
    assert math.copysign(1.0, recovery_w) == 1.0


@pytest.mark.parametrize(
    ("nominal_hz", "frequency_hz", "believed"),
    [
        (50.0, 42.4, False),
        (50.0, 42.5, True),
        (50.0, 57.5, True),
        (50.0, 57.6, False),
        (50.0, 60.0, False),
        (60.0, 60.0, True),
        (60.0, 50.0, False),
        (50.0, 0.0, False),
        (50.0, 500.0, False),
    ],
)
def test_a_frequency_that_no_grid_has_counts_as_none(
    nominal_hz: float, frequency_hz: float, believed: bool
) -> None:
    settings = FrequencySettings(10_000.0, 2000.0, nominal_hz)
    assert (wanted_w(frequency=settings, frequency_hz=frequency_hz) is not None) is believed
    assert (wanted_w(BATTERY, settings, frequency_hz=frequency_hz) == -800.0) is (
        not believed or frequency_hz == nominal_hz
    )


@given(st.floats(42.5, 57.5), st.floats(42.5, 57.5))
def test_a_lower_frequency_never_means_less_discharge_nor_any_more_than_the_cap(
    one_hz: float, other_hz: float
) -> None:
    low_w = wanted_w(frequency=DROOP, frequency_hz=min(one_hz, other_hz))
    high_w = wanted_w(frequency=DROOP, frequency_hz=max(one_hz, other_hz))
    assert low_w is not None
    assert high_w is not None
    assert -2000.0 <= high_w <= low_w <= 2000.0
