"""Which policy decides, and the two simple ones: self-consumption and standby."""

from __future__ import annotations

import math

import pytest

from controller.dispatch.orders import Order, Orders
from controller.dispatch.policies import POLICIES, wish
from controller.dispatch.policies.self_consumption import self_consumption
from controller.dispatch.policies.standby import standby
from controller.dispatch.settings import Window
from tests.unit.dispatch.policy_sites import TWO_BATTERIES, a_policy, a_site


def test_there_are_five_policies_under_the_names_of_the_site_file() -> None:
    assert list(POLICIES) == ["self_consumption", "economic", "schedule", "follow", "standby"]
    assert all(policy.__name__ == name for name, policy in POLICIES.items())


def test_the_policy_of_the_site_decides_when_it_can() -> None:
    following = a_site(300.0, orders=Orders(follow_battery_w=Order(1200.0, 11.0)))
    assert wish(a_policy(name="follow", fallback="standby"), following) == (1200.0, "follow")


def test_a_policy_that_was_ordered_decides_before_that_of_the_site() -> None:
    ordered = a_site(300.0, soc_pct=50.0, orders=Orders(policy="standby"))
    assert wish(a_policy(name="self_consumption", standby_charge_w=900.0), ordered) == (-900.0, "standby")
    unable = a_site(300.0, orders=Orders(policy="economic"))
    assert wish(a_policy(name="standby", fallback="self_consumption"), unable) == (300.0, "self_consumption")


def test_a_wish_of_zero_is_a_wish_and_no_reason_to_fall_back() -> None:
    assert wish(a_policy(name="standby", fallback="self_consumption"), a_site(300.0, soc_pct=100.0)) == (
        0.0,
        "standby",
    )


def test_the_fallback_decides_when_the_policy_lacks_something_and_is_named() -> None:
    config = a_policy(name="follow", fallback="standby", standby_charge_w=900.0)
    assert wish(config, a_site(300.0)) == (-900.0, "standby")


def test_the_fallback_itself_falls_back_to_self_consumption() -> None:
    config = a_policy(name="economic", fallback="follow", target_import_w=50.0)
    assert wish(config, a_site(300.0)) == (250.0, "self_consumption")


def test_a_policy_that_is_its_own_fallback_ends_in_self_consumption_too() -> None:
    config = a_policy(name="schedule", fallback="schedule", schedule=(Window(0, 0, "hold"),))
    assert wish(config, a_site(300.0)) == (300.0, "self_consumption")


@pytest.mark.parametrize(
    ("net_load_w", "target_import_w", "wanted_w"),
    [(300.0, 0.0, 300.0), (-300.0, 0.0, -300.0), (300.0, 500.0, -200.0), (300.0, -500.0, 800.0)],
)
def test_self_consumption_brings_the_pcc_to_its_target(
    net_load_w: float, target_import_w: float, wanted_w: float
) -> None:
    assert self_consumption(a_policy(target_import_w=target_import_w), a_site(net_load_w)) == wanted_w


@pytest.mark.parametrize(
    ("soc_pct", "wanted_w"), [(0.0, -900.0), (79.9, -900.0), (80.0, 0.0), (80.1, 0.0), (100.0, 0.0)]
)
def test_standby_charges_up_to_its_level_and_then_rests(soc_pct: float, wanted_w: float) -> None:
    config = a_policy(standby_soc_pct=80.0, standby_charge_w=900.0)
    assert standby(config, a_site(300.0, soc_pct=soc_pct), -900.0) == wanted_w


@pytest.mark.parametrize(("soc_pct", "wanted_w"), [(79.9, 0.0), (79.1, 0.0), (79.0, -900.0)])
def test_standby_at_rest_charges_again_a_percent_lower(soc_pct: float, wanted_w: float) -> None:
    config = a_policy(name="standby", standby_soc_pct=80.0, standby_charge_w=900.0)
    assert wish(config, a_site(300.0, soc_pct=soc_pct), 0.0) == (wanted_w, "standby")


def test_standby_charges_the_same_from_sun_and_from_the_grid_and_does_not_serve_the_load() -> None:
    config = a_policy(standby_charge_w=900.0)
    assert standby(config, a_site(-3000.0), 0.0) == -900.0
    assert standby(config, a_site(3000.0), 0.0) == -900.0
    assert standby(config, a_site(-3000.0, soc_pct=100.0), 0.0) == 0.0
    assert standby(config, a_site(3000.0, soc_pct=100.0), 0.0) == 0.0


def test_standby_charges_with_all_that_the_batteries_take_when_no_power_is_given() -> None:
    assert standby(a_policy(), a_site(batteries=TWO_BATTERIES), 0.0) == -7000.0


def test_standby_cannot_decide_while_the_soc_is_unknown() -> None:
    assert standby(a_policy(standby_charge_w=900.0), a_site(soc_pct=None), 0.0) is None


def test_standby_with_no_power_allowed_wants_a_plain_zero() -> None:
    wanted_w = standby(a_policy(standby_charge_w=0.0), a_site(), 0.0)
    assert wanted_w == 0.0
    assert math.copysign(1.0, wanted_w) == 1.0
