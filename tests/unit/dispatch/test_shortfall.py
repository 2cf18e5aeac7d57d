"""A battery that takes less than it may: the sun is held to what it takes, and a little more is tried."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.dispatch.decision import Memory
from controller.dispatch.settings import MeterSettings
from controller.dispatch.shortfall import NO_SHORTFALL, Shortfall, shortfall
from controller.dispatch.site import BatterySite, Site
from controller.dispatch.step import step
from tests.unit.dispatch.policy_sites import a_policy, a_site
from tests.unit.dispatch.sites import PV, RUNNING, a_config, a_snapshot

CONFIG = a_policy()
FOUND = Shortfall(takes_w=200.0, soc_pct=99.0, known_s=0.0)
TRIED = replace(FOUND, takes_w=240.0, trying=True)
"""After a minute in which it took the 200 W, 40 W more are tried."""


def site(now_s: float, export_w: float = 0.0, charge_w: float = 200.0, soc_pct: float | None = 99.0) -> Site:
    battery = BatterySite(0, -charge_w, soc_pct, max_charge_w=5000.0, max_discharge_w=5000.0)
    return a_site(now_s=now_s, pcc_import_w=-export_w, batteries=(battery,), soc_pct=soc_pct)


def known(before: Shortfall, now: Site, limit_w: float | None = 0.0, *, held: bool = True) -> Shortfall:
    return shortfall(CONFIG, before, now, limit_w, held)


def test_who_exports_for_four_seconds_has_a_battery_that_takes_no_more_than_it_does() -> None:
    first = known(NO_SHORTFALL, site(10.0, 4000.0))
    assert first == Shortfall(over_since_s=10.0)
    assert known(first, site(13.9, 4000.0)) == first
    found = known(first, site(14.0, 4000.0))
    assert found == Shortfall(200.0, 99.0, 14.0, 14.0)
    # It tapers: 150 W now. That is found after two seconds, as it is known to be near full.
    assert known(found, site(15.9, 50.1, charge_w=150.0)) == found
    assert known(found, site(16.0, 50.1, charge_w=150.0)) == Shortfall(150.0, 99.0, 16.0, 16.0)


def test_what_is_found_ends_the_export_however_much_more_the_battery_may_take() -> None:
    config = a_config(pvs=PV, export_limit_w=0.0)
    memory: Memory = replace(RUNNING, shortfall=Shortfall(over_since_s=0.0))
    snapshot = a_snapshot(-300.0, battery_discharge_w=-200.0, soc_pct=99.0, pv_generation_w=1300.0)
    after, decision = step(config, memory, snapshot)
    assert after.shortfall.takes_w == 200.0
    # 800 W of load, and the 200 W that the battery takes.
    assert decision.pv_caps_w == (1000.0,)
    told = "batteries take no more than 200 W of the 5000 W they may; PV held to at most 1000 W"
    assert told in decision.reason


def test_slow_batteries_and_meters_are_given_their_time() -> None:
    battery = replace(CONFIG.batteries[0], dead_time_s=1.0, time_constant_s=2.0)
    slow = replace(CONFIG, batteries=(battery,), meter=MeterSettings(0.5, 1.0))
    before = Shortfall(over_since_s=0.0)
    assert shortfall(slow, before, site(12.4, 3000.0), 0.0, held=False).takes_w is None
    assert shortfall(slow, before, site(12.5, 3000.0), 0.0, held=False).takes_w == 200.0


def test_for_a_battery_that_discharges_instead_the_sun_gives_so_much_less() -> None:
    config = a_config(pvs=PV, export_limit_w=0.0)
    memory: Memory = replace(RUNNING, shortfall=Shortfall(over_since_s=0.0))
    snapshot = a_snapshot(-1000.0, battery_discharge_w=500.0, pv_generation_w=1300.0)
    after, decision = step(config, memory, snapshot)
    assert after.shortfall.takes_w == -500.0
    # Of 800 W of load the battery gives 500 W.
    assert decision.pv_caps_w == (300.0,)
    assert "batteries discharge 500 W whatever they are ordered" in decision.reason
    assert known(after.shortfall, site(60.0, charge_w=-100.0)).takes_w == -100.0


@pytest.mark.parametrize(("limit_w", "export_w"), [(0.0, 50.0), (3000.0, 3050.0), (10_000.0, 10_100.0)])
def test_a_little_more_than_the_limit_is_no_news(limit_w: float, export_w: float) -> None:
    assert known(NO_SHORTFALL, site(10.0, export_w), limit_w) == NO_SHORTFALL
    assert known(NO_SHORTFALL, site(10.0, export_w + 1.0), limit_w).over_since_s == 10.0


def test_export_that_ends_by_itself_is_nobodys_fault() -> None:
    assert known(Shortfall(over_since_s=10.0), site(12.0)) == NO_SHORTFALL
    assert known(replace(FOUND, over_since_s=1.0), site(12.0)) == FOUND


def test_while_no_soc_is_known_the_one_at_which_it_was_found_stays() -> None:
    found = known(replace(FOUND, over_since_s=1.0), site(3.0, 500.0, charge_w=150.0, soc_pct=None))
    assert found == Shortfall(150.0, 99.0, 3.0, 3.0)


def test_when_the_battery_has_given_one_percent_there_is_room_again() -> None:
    assert known(FOUND, site(50.0, soc_pct=98.1)) == FOUND
    assert known(FOUND, site(50.0, soc_pct=98.0)) == NO_SHORTFALL
    assert known(FOUND, site(50.0, 70.0, soc_pct=98.0)) == Shortfall(over_since_s=50.0)
    assert known(FOUND, site(50.0, soc_pct=None)) == FOUND


def test_what_it_is_seen_to_take_is_what_it_takes_and_all_of_it_ends_the_matter() -> None:
    assert known(FOUND, site(50.0, charge_w=900.0)) == replace(FOUND, takes_w=900.0)
    assert known(FOUND, site(50.0, charge_w=5000.0)) == NO_SHORTFALL
    assert known(TRIED, site(5.0, charge_w=900.0)) == replace(TRIED, takes_w=900.0), "also during a try"


def test_all_of_it_is_what_all_batteries_are_rated() -> None:
    batteries = (BatterySite(0, -3000.0, 99.0, 5000.0, 5000.0), BatterySite(1, -1500.0, 99.0, 2000.0, 2000.0))
    both = a_site(now_s=50.0, batteries=batteries, soc_pct=99.0)
    assert known(FOUND, both) == replace(FOUND, takes_w=4500.0)


def test_after_a_minute_forty_watts_more_are_tried_where_there_is_sun_for_them() -> None:
    assert known(FOUND, site(59.9)) == FOUND
    assert known(FOUND, site(60.0)) == replace(TRIED, known_s=60.0)
    assert known(FOUND, site(600.0), held=False) == FOUND


def test_what_was_tried_and_taken_is_doubled_at_once_up_to_a_tenth_of_the_rating() -> None:
    assert known(TRIED, site(11.9, charge_w=240.0)) == TRIED
    later = replace(TRIED, known_s=100.0)
    assert known(later, site(111.9, charge_w=240.0)) == later
    more = known(TRIED, site(12.0, charge_w=220.0))
    assert more == Shortfall(320.0, 99.0, 12.0, try_w=80.0, trying=True)
    large = replace(TRIED, takes_w=2000.0, try_w=400.0, hold_s=480.0)
    assert known(large, site(12.0, charge_w=2000.0)) == Shortfall(
        2500.0, 99.0, 12.0, try_w=500.0, hold_s=60.0, trying=True
    )
    last = replace(TRIED, takes_w=4600.0, try_w=400.0)
    assert known(last, site(12.0, charge_w=4600.0)) == NO_SHORTFALL


def test_what_was_refused_is_tried_again_each_time_later() -> None:
    refused = known(TRIED, site(12.0, 40.0, charge_w=219.0))
    assert refused == Shortfall(200.0, 99.0, 12.0, try_w=80.0, hold_s=120.0)
    often = replace(TRIED, try_w=80.0, hold_s=900.0)
    assert known(often, site(12.0, 40.0, charge_w=190.0)) == Shortfall(
        160.0, 99.0, 12.0, try_w=80.0, hold_s=900.0
    )
    # A large site may export 10 kW: 1 % more is borne, 1.6 % are tried.
    assert known(often, site(12.0, charge_w=160.0), 10_000.0).try_w == 160.0
    assert known(TRIED, site(12.0, charge_w=160.0), 10_000.0).try_w == 80.0, "or twice what was refused"


def test_a_try_that_exports_too_much_ends_after_two_seconds() -> None:
    large = replace(TRIED, takes_w=700.0, try_w=500.0, over_since_s=1.0)
    assert known(large, site(2.9, 500.0)) == large
    assert known(large, site(3.0, 500.0)) == Shortfall(200.0, 99.0, 3.0, 3.0, 80.0, 120.0)


def test_a_try_without_sun_tells_nothing() -> None:
    assert known(TRIED, site(12.0, charge_w=100.0), held=False) == replace(FOUND, known_s=12.0)


def test_without_an_export_limit_there_is_nothing_to_hold_the_sun_to() -> None:
    assert known(FOUND, site(60.0, 4000.0), None) == NO_SHORTFALL


def test_export_while_the_batteries_are_meant_to_discharge_is_not_theirs_to_take() -> None:
    # A cap that opened a moment ago, or an inverter that gives 3 % more than it is ordered.
    discharging = site(14.0, 300.0, charge_w=-2400.0)
    for meant_w in (2400.0, 2330.0, 2300.0):
        assert shortfall(CONFIG, Shortfall(over_since_s=0.0), discharging, 0.0, True, meant_w) == NO_SHORTFALL
    assert shortfall(CONFIG, Shortfall(over_since_s=0.0), discharging, 0.0, True, 0.0).takes_w == -2400.0


def test_export_by_batteries_that_give_more_than_they_are_meant_to_is_made_up_for_by_the_sun() -> None:
    # Another controller has the battery discharge 2400 W where 1900 W would do: 500 W are exported.
    beyond = site(14.0, 500.0, charge_w=-2400.0)
    for meant_w, takes_w in ((1900.0, -2400.0), (2280.0, -2400.0), (2290.0, None)):
        found = shortfall(CONFIG, Shortfall(over_since_s=10.0), beyond, 0.0, True, meant_w)
        assert found.takes_w == takes_w
    small = site(14.0, 500.0, charge_w=-200.0)
    for meant_w, takes_w in ((149.0, -200.0), (150.0, None)):
        assert shortfall(CONFIG, Shortfall(over_since_s=10.0), small, 0.0, True, meant_w).takes_w == takes_w
