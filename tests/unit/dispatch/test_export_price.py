"""While export costs money the sun gives what house and batteries take, and no more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.dispatch.decision import Decision
from controller.dispatch.orders import LocalTime, Plan, Prices
from tests.unit.dispatch.sites import PV, a_config, a_snapshot, decide

LOCAL = LocalTime(1500.0, 3600.0)
PLAN = Plan(begin_utc_s=1000.0, slot_s=900.0, water_values=((0.0,),), expires_at_utc_s=9000.0)


def decided(
    export_per_kwh: float,
    soc_pct: float = 100.0,
    policy: str = "economic",
    export_limit_w: float | None = None,
) -> Decision:
    """A house with 500 W of load under 3 kW of sun, and stored charge worth nothing."""
    config = a_config(pvs=PV, export_limit_w=export_limit_w)
    config = replace(config, policy=replace(config.policy, name=policy))
    prices = Prices(0.20, export_per_kwh)
    snapshot = a_snapshot(-2500.0, soc_pct=soc_pct, pv_generation_w=3000.0)
    return decide(config, replace(snapshot, prices=prices, plan=PLAN, local=LOCAL, utc_s=LOCAL.utc_s))


def test_with_a_full_battery_the_sun_is_held_to_the_house_and_the_decision_says_why() -> None:
    decision = decided(-0.05)
    assert decision.pv_caps_w == (500.0,)
    assert "the price for export is negative; PV held to at most 500 W" in decision.reason


@pytest.mark.parametrize("export_per_kwh", [0.0, 0.05])
def test_what_costs_nothing_is_exported(export_per_kwh: float) -> None:
    decision = decided(export_per_kwh)
    assert decision.pv_caps_w == (None,)
    assert "negative" not in decision.reason


def test_a_battery_with_room_takes_all_of_it_even_where_a_kwh_stored_is_worth_nothing() -> None:
    decision = decided(-0.05, soc_pct=50.0)
    assert (decision.setpoint_w, decision.pv_caps_w) == (-2500.0, (None,))
    assert "negative" not in decision.reason


def test_only_the_policy_that_goes_by_prices_does_so() -> None:
    assert decided(-0.05, policy="self_consumption").pv_caps_w == (None,)


def test_an_export_limit_counts_no_more_while_nothing_is_to_be_exported() -> None:
    assert decided(-0.05, export_limit_w=1000.0).pv_caps_w == (500.0,)
    assert decided(0.05, export_limit_w=1000.0).pv_caps_w == (1500.0,)
