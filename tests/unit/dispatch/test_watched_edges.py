"""Small things that nothing else watches: each was found by a change to the code that no test noticed."""

from __future__ import annotations

from dataclasses import replace

from controller.dispatch.care import care
from controller.dispatch.decision import Memory
from controller.dispatch.demand import demand_range
from controller.dispatch.modes import Mode
from controller.dispatch.observe import observe
from controller.dispatch.orders import LocalTime, Plan, Prices
from controller.dispatch.plausible import NO_DOUBT, judge
from controller.dispatch.policies.economic import economic
from controller.dispatch.response import NOTHING_HEARD, Response, follow
from controller.dispatch.settings import MeterSettings
from controller.dispatch.site import BatterySite, Snapshot
from controller.dispatch.step import step
from drivers.device import BatteryReading, MeterReading, PvReading
from tests.unit.dispatch.cared import LITHIUM, full_days_ago
from tests.unit.dispatch.cared import a_config as a_cared_config
from tests.unit.dispatch.cared import a_site as a_cared_site
from tests.unit.dispatch.policy_sites import a_site
from tests.unit.dispatch.sites import FIVE_KW, PV, RUNNING, TWO_KW, a_config
from tests.unit.dispatch.test_demand import BEGIN_UTC_S, CONFIG, at, begun

NOON_UTC_S = 1_780_000_000.0


def test_a_battery_that_does_not_know_its_charge_is_not_filled_from_the_grid_for_care() -> None:
    unknown = BatterySite(0, 0.0, None, 3000.0, 3000.0)
    site = a_cared_site(unknown, prices=Prices(0.05, 0.02))
    _, wishes = care(a_cared_config(LITHIUM, grid_charging=True), (full_days_ago(31),), site)
    assert [one.charge_w for one in wishes] == [None]


def test_what_a_window_has_left_is_counted_on_the_billers_clock() -> None:
    # The wall clock was set 300 s on since noon: 300 s are left, not 600. 9.9 kW x 900 s / 300 s = 29.7 kW,
    # of which no more than twice the limit may be spent at once.
    site = at(300.0, net_load_w=30_000.0)
    early = replace(site, local=LocalTime(BEGIN_UTC_S + 600.0, 3600.0))
    as_seen, as_billed = demand_range(CONFIG, begun(), site), demand_range(CONFIG, begun(), early)
    assert as_seen is not None
    assert as_billed is not None
    assert (as_seen[0], as_billed[0]) == (30_000.0 - 14_850.0, 30_000.0 - 19_800.0)


def after_readings(*rows: tuple[float, float, float]) -> str:
    """Why the site is not believed after rows of (time, PCC, battery), or nothing."""
    config, memory = a_config(FIVE_KW), RUNNING
    for now_s, pcc_w, battery_w in rows:
        snapshot = Snapshot(now_s, MeterReading(now_s, pcc_w), (BatteryReading(now_s, battery_w, 50.0),))
        memory, decision = step(config, memory, snapshot)
    return decision.missing


def test_a_meter_that_stands_still_while_the_battery_moves_is_lost() -> None:
    rows = [(10.0 + second, 800.0, 200.0 * second) for second in range(8)]
    assert "is it frozen?" in after_readings(*rows)


def test_a_reversed_meter_is_lost() -> None:
    rows = [(10.0 + second, 600.0 * second, 600.0 * second) for second in range(5)]
    assert "the wrong way round" in after_readings(*rows)


def test_how_far_a_battery_must_move_to_say_something_grows_with_its_rating() -> None:
    # Five percent of 10 kW are 500 W.
    def value(watts: float, at_s: float) -> Response:
        past = ((0.0, 0.0), (at_s, watts)) if at_s else ((0.0, 0.0),)
        return Response(past, value=MeterReading(at_s, watts), seen_at_s=at_s, battery_then_w=watts)

    for watts, strikes in ((499.0, 0), (500.0, 1)):
        doubt, _ = judge(CONFIG, NO_DOUBT, value(0.0, 0.0), value(watts, 1.0), True, 10_000.0)
        assert doubt.reversed_strikes == strikes


def test_a_slot_of_the_plan_lasts_to_its_end() -> None:
    config = a_config(FIVE_KW)
    dear_then_cheap = Plan(NOON_UTC_S, 900.0, ((0.5, 0.5), (0.0, 0.0)), NOON_UTC_S + 1800.0)
    site = a_site(net_load_w=1000.0, prices=Prices(0.3, 0.1), plan=dear_then_cheap)
    for second, wanted_w in ((0.0, 0.0), (899.9, 0.0), (900.0, 1000.0), (1799.9, 1000.0)):
        now = replace(site, local=LocalTime(NOON_UTC_S + second, 0.0))
        assert economic(config, now, 0.0) == wanted_w, second


def test_a_silent_pv_inverter_stays_silent_while_the_meter_shows_nothing_new() -> None:
    config, battery = a_config(FIVE_KW, pvs=PV), BatteryReading(10.0, 0.0, 50.0)
    meter = MeterReading(10.0, 500.0)
    heard = Snapshot(10.0, meter, (battery,), (PvReading(10.0, 1000.0),))
    _, response, doubt = observe(config, NOTHING_HEARD, NO_DOUBT, heard)
    for now_s in (11.0, 12.0):
        same = Snapshot(
            now_s, replace(meter, taken_at_s=now_s), (replace(battery, taken_at_s=now_s),), (None,)
        )
        _, response, doubt = observe(config, response, doubt, same)
    assert response.pv_heard == (False,)


def test_two_samples_close_together_count_as_one() -> None:
    # The past reaches back 45 s + 18 s, 70 samples at most: those closer than 0.9 s to the last but one go.
    response = NOTHING_HEARD
    for now_s in (0.0, 0.4, 0.8):
        meter = MeterReading(now_s, 100.0 + now_s)
        response, _ = follow(MeterSettings(), response, meter, (now_s, 0.0), 5000.0)
    assert [at_s for at_s, _ in response.samples] == [0.0, 0.8]


def test_the_last_order_of_a_silent_battery_counts_while_its_lease_lasts() -> None:
    # 5 kW may be exported; the silent battery may still give 2 kW until 30 s after it was last heard.
    silent = replace(TWO_KW, lease_s=30.0)
    config = a_config(FIVE_KW, silent, pvs=PV, export_limit_w=5000.0)
    memory = Memory(Mode.SAFE, heard=((0.0, 90.0), (2000.0, 90.0)))
    for now_s, cap_w in ((100.0, 3000.0), (120.0, 3000.0), (121.0, 5000.0)):
        snapshot = Snapshot(
            now_s, None, (BatteryReading(now_s, 0.0, 50.0), None), (PvReading(now_s, 4000.0, 6000.0),)
        )
        assert step(config, memory, snapshot)[1].pv_caps_w == (cap_w,)
