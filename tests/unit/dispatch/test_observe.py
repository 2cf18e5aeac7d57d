"""What of a snapshot is trusted, and what is said of the rest."""

from __future__ import annotations

from dataclasses import replace

from controller.dispatch.observe import observe
from controller.dispatch.orders import LocalTime, Order, Orders, Plan, Prices
from controller.dispatch.plausible import NO_DOUBT, Doubt
from controller.dispatch.response import NOTHING_HEARD, Response
from controller.dispatch.settings import DispatchConfig, MeterSettings
from controller.dispatch.site import BatterySite, Missing, Site, Snapshot
from drivers.device import BatteryReading, MeterReading, PvReading
from tests.unit.dispatch.sites import FIVE_KW, PV, TWO_KW, a_config, a_snapshot

BOTH = a_config(FIVE_KW, TWO_KW)


def seen(config: DispatchConfig, snapshot: Snapshot, response: Response = NOTHING_HEARD) -> Site:
    site, _, _ = observe(config, response, NO_DOUBT, snapshot)
    assert isinstance(site, Site)
    return site


def missed(config: DispatchConfig, snapshot: Snapshot) -> Missing:
    missing, response, doubt = observe(config, NOTHING_HEARD, NO_DOUBT, snapshot)
    assert isinstance(missing, Missing)
    assert doubt is NO_DOUBT
    assert response is NOTHING_HEARD
    return missing


def test_all_that_was_heard_is_in_the_picture() -> None:
    meter = MeterReading(10.0, 300.0, (100.0, 150.0, 50.0), (229.0, 230.0, 231.0), frequency_hz=50.01)
    orders, prices = Orders(max_charge_w=Order(1.0, 99.0)), Prices(0.3, 0.1)
    plan, local = Plan(0.0, 900.0, ((0.1, 0.1),), 9e9), LocalTime(1e9, 3600.0)
    battery = BatteryReading(9.0, 500.0, 40.0, temperature_c=21.0)
    snapshot = Snapshot(
        10.5,
        meter,
        (battery,),
        (PvReading(10.0, 700.0, 5000.0),),
        orders=orders,
        prices=prices,
        plan=plan,
        local=local,
    )
    assert seen(a_config(pvs=PV), snapshot) == Site(
        now_s=10.5,
        taken_at_s=10.0,
        is_news=True,
        pcc_import_w=300.0,
        net_load_w=800.0,
        batteries=(BatterySite(0, 500.0, 40.0, 5000.0, 5000.0, 21.0),),
        pv_generation_w=700.0,
        pv_rated_w=(5000.0,),
        phase_import_w=(100.0, 150.0, 50.0),
        phase_voltage_v=(229.0, 230.0, 231.0),
        frequency_hz=50.01,
        soc_pct=40.0,
        orders=orders,
        prices=prices,
        plan=plan,
        local=local,
        pv_each_w=(700.0,),
    )


def test_the_load_is_what_pcc_battery_and_pv_give_together() -> None:
    site = seen(a_config(pvs=PV), a_snapshot(300.0, 500.0, pv_generation_w=700.0))
    assert (site.load_w, site.battery_discharge_w) == (1500.0, 500.0)
    silent = seen(a_config(pvs=PV), a_snapshot(300.0, 500.0, pvs=(None,)))
    assert (silent.load_w, silent.pv_each_w, silent.pv_silent) == (800.0, (0.0,), (True,))


def test_a_site_without_a_meter_or_a_battery_is_lost() -> None:
    assert missed(a_config(), a_snapshot(meter=None)) == Missing(
        "no reading of the meter at the PCC yet", True
    )
    assert missed(a_config(), a_snapshot(batteries=(None,))) == Missing("no reading of any battery yet", True)


def test_a_meter_is_stale_after_a_second_and_a_half_and_lost_after_two_and_a_half() -> None:
    def told(age_s: float) -> tuple[str, bool]:
        missing = missed(a_config(), a_snapshot(meter=MeterReading(10.0 - age_s, 0.0)))
        return missing.reason, missing.lost

    says = "the last reading of the meter at the PCC is {} s old, allowed are 1.5 s"
    assert isinstance(seen(a_config(), a_snapshot(meter=MeterReading(8.5, 0.0))), Site)
    assert told(2.0) == (says.format("2.0"), False)
    assert told(2.5) == (says.format("2.5"), False)
    assert told(2.75) == (says.format("2.8"), True)


def test_of_several_old_batteries_the_newest_says_how_old() -> None:
    ages = (BatteryReading(7.0, 0.0), None, BatteryReading(8.0, 0.0), BatteryReading(7.5, 0.0))
    config = a_config(FIVE_KW, TWO_KW, TWO_KW, TWO_KW)
    assert missed(config, a_snapshot(batteries=ages)) == Missing(
        "the last reading of every battery is 2.0 s old, allowed are 1.5 s", lost=False
    )
    assert missed(a_config(), a_snapshot(batteries=(BatteryReading(7.0, 0.0),))).lost


def test_a_battery_that_is_silent_is_left_out_and_the_others_keep_their_places() -> None:
    silent = seen(BOTH, a_snapshot(100.0, batteries=(None, BatteryReading(10.0, 400.0, 60.0))))
    assert [one.index for one in silent.batteries] == [1]
    assert silent.net_load_w == 500.0
    old = seen(BOTH, a_snapshot(100.0, batteries=(BatteryReading(8.4, 900.0), BatteryReading(8.5, 400.0))))
    assert [one.index for one in old.batteries] == [1]
    assert old.net_load_w == 500.0


def test_the_newest_battery_reading_gives_the_instant_of_their_sum() -> None:
    readings = (BatteryReading(9.0, 200.0), BatteryReading(9.5, 300.0), BatteryReading(9.25, 0.0))
    config = a_config(FIVE_KW, TWO_KW, TWO_KW)
    _, response, _ = observe(config, NOTHING_HEARD, NO_DOUBT, a_snapshot(batteries=readings))
    assert response.samples == ((9.5, 500.0),)


def load_w(
    pcc_w: float,
    *readings: BatteryReading,
    meant_w: tuple[float, ...],
    config: DispatchConfig = BOTH,
) -> float:
    """The load at 10 s, after a second at which 500 W were imported and 250 W given."""
    before = Response(((9.0, 250.0),), 750.0, 0, MeterReading(9.0, 500.0), 9.0, 9.0, 250.0)
    snapshot = a_snapshot(pcc_w, batteries=readings)
    site, _, _ = observe(config, before, NO_DOUBT, snapshot, meant_w)
    assert isinstance(site, Site)
    return site.net_load_w


def test_a_battery_that_was_not_read_since_may_be_where_it_was_ordered_to() -> None:
    old, resting = BatteryReading(9.0, 250.0), BatteryReading(10.0, 0.0)
    assert load_w(0.0, old, resting, meant_w=(750.0, 0.0)) == 750.0
    assert load_w(1000.0, old, resting, meant_w=(-250.0, 0.0)) == 750.0
    assert load_w(0.0, resting, old, meant_w=(0.0, 750.0)) == 750.0
    # What even the order does not tell is load: 1200 W are between 1200 + 250 and 1200 + 750.
    assert load_w(1200.0, old, resting, meant_w=(750.0, 0.0)) == 1450.0
    assert load_w(0.0, old, resting, meant_w=(250.0, 0.0)) == 250.0
    # Of two that were not read, both may be: 250 W and up to 500 and 300 more, or 300 and 200 less.
    both = (old, BatteryReading(9.0, 0.0))
    assert load_w(-200.0, *both, meant_w=(750.0, 300.0)) == 750.0
    assert load_w(1000.0, *both, meant_w=(-50.0, -200.0)) == 750.0


def test_a_battery_that_was_read_when_the_meter_measured_is_where_it_was_read() -> None:
    resting = BatteryReading(10.0, 0.0)
    read = BatteryReading(9.5, 250.0)
    assert load_w(0.0, read, resting, meant_w=(750.0, 0.0)) == 250.0
    # Half a cycle of half a second before the meter is long enough ago.
    quick = replace(BOTH, cycle_s=0.5)
    assert load_w(0.0, BatteryReading(9.7, 250.0), resting, meant_w=(750.0, 0.0), config=quick) == 750.0
    assert load_w(0.0, BatteryReading(9.75, 250.0), resting, meant_w=(750.0, 0.0), config=quick) == 250.0
    late = replace(BOTH, meter=MeterSettings(delay_s=1.0))
    assert load_w(0.0, BatteryReading(9.0, 250.0), resting, meant_w=(750.0, 0.0), config=late) == 250.0
    assert load_w(0.0, BatteryReading(8.5, 250.0), resting, meant_w=(750.0, 0.0)) == 750.0
    # One too old to be used counts as load, wherever it was ordered to.
    too_old = BatteryReading(8.4, 250.0)
    assert load_w(400.0, too_old, resting, meant_w=(750.0, 0.0)) == load_w(
        400.0, too_old, resting, meant_w=()
    )


def test_only_the_counter_of_a_meter_that_counts_exactly_is_in_the_picture() -> None:
    snapshot = a_snapshot(300.0)
    assert snapshot.meter is not None
    counting = replace(snapshot, meter=replace(snapshot.meter, import_wh=9.0))
    exact = replace(a_config(), meter=MeterSettings(counts_exactly=True))
    assert (seen(a_config(), counting).counted_wh, seen(exact, counting).counted_wh) == (None, 9.0)


def test_the_state_of_charge_of_the_site_is_weighted_by_capacity() -> None:
    def whole_pct(*socs_pct: float | None) -> float | None:
        readings = tuple(BatteryReading(10.0, 0.0, soc_pct) for soc_pct in socs_pct)
        return seen(BOTH, a_snapshot(batteries=readings)).soc_pct

    # 10 kWh at 80 % and 4 kWh at 10 %: 8.4 of 14 kWh.
    assert whole_pct(80.0, 10.0) == 60.0
    assert whole_pct(None, 10.0) == 10.0
    assert whole_pct(None, None) is None


def test_the_state_of_charge_of_a_silent_battery_counts_by_its_own_capacity_only() -> None:
    readings = (None, BatteryReading(10.0, 0.0, 30.0))
    assert seen(BOTH, a_snapshot(batteries=readings)).soc_pct == 30.0


def test_a_pv_inverter_counts_until_its_reading_is_lost_and_is_silent_then() -> None:
    config = a_config(pvs=PV * 2)

    def given(*pvs: PvReading | None) -> tuple[float, tuple[float, ...], tuple[bool, ...]]:
        site = seen(config, a_snapshot(pvs=pvs))
        return site.pv_generation_w, site.pv_each_w, site.pv_silent

    assert given(PvReading(10.0, 700.0), PvReading(7.5, 600.0)) == (1300.0, (700.0, 600.0), ())
    assert given(PvReading(10.0, 700.0), PvReading(7.4, 600.0)) == (700.0, (700.0, 0.0), (False, True))
    assert given(None, PvReading(10.0, 600.0)) == (600.0, (0.0, 600.0), (True, False))
    assert given(PvReading(10.0, 700.0), PvReading(7.4, 50.0)) == (700.0, (700.0, 0.0), ()), "it sleeps"


def test_the_tighter_of_owner_and_device_bounds_each_direction() -> None:
    def limits(
        charge_w: float | None, discharge_w: float | None, configured: bool = True
    ) -> tuple[float, float]:
        settings = FIVE_KW if configured else replace(FIVE_KW, max_charge_w=None, max_discharge_w=None)
        reading = BatteryReading(10.0, 0.0, 50.0, max_discharge_w=discharge_w, max_charge_w=charge_w)
        (battery,) = seen(a_config(settings), a_snapshot(batteries=(reading,))).batteries
        return battery.max_charge_w, battery.max_discharge_w

    assert limits(None, None) == (5000.0, 5000.0)
    assert limits(3000.0, 4000.0) == (3000.0, 4000.0)
    assert limits(6000.0, 7000.0) == (5000.0, 5000.0)
    assert limits(3000.0, 4000.0, configured=False) == (3000.0, 4000.0)
    assert limits(None, None, configured=False) == (0.0, 0.0)


def test_derating_is_in_the_picture_and_leaves_the_rest_of_the_battery_as_it_is() -> None:
    cold = replace(FIVE_KW, charge_by_temperature=((0.0, 0.0), (10.0, 1.0)))
    reading = BatteryReading(10.0, 250.0, 45.0, temperature_c=5.0)
    assert seen(a_config(cold), a_snapshot(batteries=(reading,))).batteries == (
        BatterySite(0, 250.0, 45.0, 2500.0, 5000.0, 5.0),
    )
    hot = replace(FIVE_KW, discharge_by_temperature=((40.0, 1.0), (50.0, 0.0)))
    reading = BatteryReading(10.0, 250.0, 45.0, temperature_c=45.0)
    assert seen(a_config(hot), a_snapshot(batteries=(reading,))).batteries == (
        BatterySite(0, 250.0, 45.0, 5000.0, 2500.0, 45.0),
    )


def test_a_reading_that_was_there_before_is_no_news() -> None:
    snapshot = a_snapshot(800.0)
    first, response, _ = observe(a_config(), NOTHING_HEARD, NO_DOUBT, snapshot)
    again, kept, _ = observe(a_config(), response, NO_DOUBT, replace(snapshot, now_s=11.0))
    assert isinstance(first, Site)
    assert isinstance(again, Site)
    assert (first.is_news, again.is_news, again.net_load_w) == (True, False, 800.0)
    assert kept is response


def test_the_meters_delay_is_taken_from_the_site_file() -> None:
    # What the meter shows at 10 s is from 5 s, before the battery gave 1 kW: there is no load of 1 kW.
    config = replace(a_config(), meter=MeterSettings(delay_s=5.0, period_s=1.0))
    before = Response(((0.0, 0.0), (8.0, 0.0)), polled_at_s=9.0)
    assert seen(config, a_snapshot(0.0, 1000.0), before).net_load_w == 0.0


def test_nonsense_is_not_lost_before_it_lasts() -> None:
    shows = missed(a_config(), a_snapshot(meter=MeterReading(10.0, float("nan"))))
    assert shows == Missing("the meter at the PCC shows no number", lost=False)


def test_a_distrusted_meter_is_lost_and_the_doubt_is_kept() -> None:
    doubt = Doubt(reversed_strikes=3, distrusted_at_s=5.0)
    missing, response, after = observe(a_config(), NOTHING_HEARD, doubt, a_snapshot(800.0))
    assert isinstance(missing, Missing)
    assert missing.lost
    assert missing.reason.startswith("the meter at the PCC follows the battery the wrong way round")
    assert after is doubt
    assert response.polled_at_s == 10.0, "it goes on being heard"


def test_a_small_part_of_the_rating_is_one_of_the_nameplate_of_all_batteries_together() -> None:
    # The gate is 20 % of 7 kW: a jump of 1300 W is believed at once, one of 1500 W waits for a second value.
    full = tuple(BatteryReading(10.0, 0.0, 50.0, max_charge_w=0.0, max_discharge_w=0.0) for _ in range(2))
    before = Response(((9.0, 0.0),), 0.0, 0, MeterReading(9.0, 0.0), 9.0, 9.0)

    def load_w(pcc_w: float, config: DispatchConfig = BOTH) -> float:
        return seen(config, a_snapshot(pcc_w, batteries=full), before).net_load_w

    assert (load_w(1300.0), load_w(1500.0)) == (1300.0, 0.0)
    mostly_charging = a_config(replace(FIVE_KW, max_discharge_w=10.0), replace(TWO_KW, max_discharge_w=None))
    assert (load_w(1300.0, mostly_charging), load_w(1500.0, mostly_charging)) == (1300.0, 0.0)
    mostly_giving = a_config(replace(FIVE_KW, max_charge_w=10.0), replace(TWO_KW, max_charge_w=None))
    assert (load_w(1300.0, mostly_giving), load_w(1500.0, mostly_giving)) == (1300.0, 0.0)


def test_pv_heard_again_in_a_cycle_without_a_new_meter_reading_changes_nothing_yet() -> None:
    config = a_config(pvs=PV)
    _, first, _ = observe(config, NOTHING_HEARD, NO_DOUBT, a_snapshot(300.0, 500.0, pvs=(None,)))
    again = a_snapshot(300.0, 900.0, pv_generation_w=700.0, now_s=10.4)
    again = replace(again, meter=MeterReading(10.0, 300.0))
    site, after, doubt = observe(config, first, NO_DOUBT, again)
    assert isinstance(site, Site)
    # 300 W and 500 W, and the 700 W that are known now.
    assert (site.load_w, doubt) == (1500.0, NO_DOUBT)
    assert after.samples == ((10.0, 1200.0),)
