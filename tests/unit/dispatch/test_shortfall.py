"""A battery that takes less than it may: the sun is held to what it takes, and let go when there is room."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.dispatch.decision import Memory
from controller.dispatch.settings import MeterSettings
from controller.dispatch.shortfall import BELIEVED_S, NO_SHORTFALL, PATIENCE_S, Shortfall, shortfall
from controller.dispatch.site import BatterySite, Site
from controller.dispatch.step import step
from tests.unit.dispatch.policy_sites import a_policy, a_site
from tests.unit.dispatch.sites import PV, RUNNING, a_config, a_snapshot

CONFIG = a_policy()
FOUND = Shortfall(short_w=4000.0, soc_pct=99.0, found_at_s=0.0)


def site(now_s: float, export_w: float, charge_w: float = 200.0, soc_pct: float | None = 99.0) -> Site:
    battery = BatterySite(0, -charge_w, soc_pct, max_charge_w=5000.0, max_discharge_w=5000.0)
    return a_site(now_s=now_s, pcc_import_w=-export_w, batteries=(battery,), soc_pct=soc_pct)


def known(before: Shortfall, now: Site, limit_w: float | None = 0.0, may_w: float = 5000.0) -> Shortfall:
    return shortfall(CONFIG, before, now, limit_w, may_w)


def test_what_is_exported_for_too_long_is_what_the_battery_does_not_take() -> None:
    first = known(NO_SHORTFALL, site(10.0, 4000.0))
    assert first == Shortfall(over_since_s=10.0)
    waiting = known(first, site(10.0 + PATIENCE_S - 0.1, 4000.0))
    assert waiting.short_w == 0.0
    now_s = 10.0 + PATIENCE_S
    found = known(waiting, site(now_s, 4000.0))
    assert found == Shortfall(4000.0, 99.0, now_s, now_s)
    # The sun was held to that, and 100 W are still too much: they are added after as long again.
    again = known(found, site(now_s + PATIENCE_S, 100.0))
    assert again.short_w == 4100.0


def test_slow_batteries_and_meters_are_given_their_time() -> None:
    battery = replace(CONFIG.batteries[0], dead_time_s=1.0, time_constant_s=2.0)
    slow = replace(CONFIG, batteries=(battery,), meter=MeterSettings(0.5, 1.0))
    before = Shortfall(over_since_s=0.0)
    assert shortfall(slow, before, site(PATIENCE_S + 8.4, 3000.0), 0.0, 5000.0).short_w == 0.0
    assert shortfall(slow, before, site(PATIENCE_S + 8.5, 3000.0), 0.0, 5000.0).short_w == 3000.0


def test_it_never_exceeds_what_the_battery_may_take_beside_what_it_takes() -> None:
    before = Shortfall(over_since_s=0.0)
    assert known(before, site(60.0, 9000.0, charge_w=1500.0)).short_w == 3500.0
    assert known(FOUND, site(60.0, 0.0, charge_w=4600.0)).short_w == 400.0
    assert known(FOUND, site(60.0, 0.0), may_w=0.0) == NO_SHORTFALL


@pytest.mark.parametrize(("limit_w", "export_w"), [(0.0, 50.0), (3000.0, 3050.0), (10_000.0, 10_100.0)])
def test_a_little_more_than_the_limit_is_no_news(limit_w: float, export_w: float) -> None:
    assert known(NO_SHORTFALL, site(10.0, export_w), limit_w) == NO_SHORTFALL
    assert known(NO_SHORTFALL, site(10.0, export_w + 1.0), limit_w).over_since_s == 10.0


def test_when_the_battery_has_given_one_percent_it_is_believed_again() -> None:
    assert known(FOUND, site(60.0, 0.0, soc_pct=98.1)).short_w == 4000.0
    assert known(FOUND, site(60.0, 0.0, soc_pct=98.0)) == NO_SHORTFALL
    assert known(FOUND, site(60.0, 0.0, soc_pct=None)).short_w == 4000.0


def test_after_a_quarter_of_an_hour_half_of_it_is_tried() -> None:
    assert known(FOUND, site(BELIEVED_S - 1.0, 0.0)).short_w == 4000.0
    tried = known(FOUND, site(BELIEVED_S, 0.0))
    assert (tried.short_w, tried.found_at_s) == (2000.0, BELIEVED_S)
    assert known(tried, site(BELIEVED_S + 1.0, 0.0)) == tried


def test_without_an_export_limit_there_is_nothing_to_hold_the_sun_to() -> None:
    assert known(FOUND, site(60.0, 4000.0), None) == NO_SHORTFALL


def test_the_sun_is_held_to_what_the_battery_takes_and_the_decision_says_so() -> None:
    config = a_config(pvs=PV, export_limit_w=0.0)
    memory: Memory = replace(RUNNING, shortfall=Shortfall(over_since_s=0.0))
    snapshot = a_snapshot(-3000.0, battery_discharge_w=-200.0, soc_pct=99.0, pv_generation_w=4000.0)
    after, decision = step(config, memory, snapshot)
    assert after.shortfall.short_w == 3000.0
    # 800 W of load, and the 5000 W that the battery may less the 3000 W.
    assert decision.pv_caps_w == (2800.0,)
    assert "batteries take 3000 W less than they may; PV held to at most 2800 W" in decision.reason
