"""A battery is filled up now and then: by sun, at a cheap time, or because it has waited long enough."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.dispatch.care import CareState, CareWish, care, due_first
from controller.dispatch.decision import Memory
from controller.dispatch.limits import Range
from controller.dispatch.modes import Mode
from controller.dispatch.orders import LocalTime, Plan, Prices
from controller.dispatch.settings import BatterySettings, CareSettings, DispatchConfig, PolicySettings
from controller.dispatch.site import Site, Snapshot
from controller.dispatch.step import step
from drivers.device import BatteryReading, MeterReading
from tests.unit.dispatch.cared import (
    DAY_S,
    LEAD,
    LITHIUM,
    NOW_UTC_S,
    PLAIN,
    a_battery,
    a_config,
    a_site,
    full_days_ago,
)


def wish_of(
    settings: BatterySettings,
    days: float,
    site: Site,
    grid_charging: bool = False,
    seen_s: float | None = None,
) -> CareWish | None:
    """What one battery wants that was last full so many days ago."""
    wishes = care(a_config(settings, grid_charging=grid_charging), (full_days_ago(days, seen_s),), site)[1]
    return wishes[0] if wishes else None


def charged(
    days: float, site: Site, settings: BatterySettings = LITHIUM, leave: bool = False
) -> float | None:
    one = wish_of(settings, days, site, leave)
    assert one is not None, "nothing is due"
    return one.charge_w


def test_a_site_without_care_keeps_no_states_and_wishes_nothing() -> None:
    states: tuple[CareState, ...] = ()
    assert care(a_config(PLAIN), states, a_site(a_battery())) == ((), ())
    kept = (CareState(3.0),)
    assert care(a_config(PLAIN), kept, a_site(a_battery()))[0] is kept


def test_a_battery_that_is_not_due_wishes_nothing_and_its_state_stays_the_same_object() -> None:
    states = (full_days_ago(29.99),)
    after, wishes = care(a_config(LITHIUM), states, a_site(a_battery(), surplus_w=900.0))
    assert after is states
    assert wishes == ()


def test_a_battery_is_due_on_the_day() -> None:
    wishes = care(a_config(LITHIUM), (full_days_ago(30.0),), a_site(a_battery(), surplus_w=900.0))[1]
    assert wishes == (CareWish(5.0, 900.0, False, "rack: charged to full, last full 30 days ago"),)


def test_a_first_sight_sets_the_date_and_wishes_nothing() -> None:
    states, wishes = care(a_config(LITHIUM), (), a_site(a_battery(), surplus_w=900.0))
    assert (states, wishes) == ((CareState(NOW_UTC_S),), ())


def test_without_trusted_time_there_is_no_care_and_the_state_is_kept() -> None:
    states = (full_days_ago(400.0),)
    after, wishes = care(a_config(LITHIUM), states, a_site(a_battery(), surplus_w=900.0, utc_s=None))
    assert after is states
    assert wishes == ()
    assert care(a_config(LITHIUM), (CareState(),), a_site(a_battery(), utc_s=None)) == ((CareState(),), ())


def test_without_trusted_time_every_battery_is_still_seen_to_be_full() -> None:
    batteries = (a_battery(100.0, index=0), a_battery(100.0, index=1))
    states, _ = care(a_config(LITHIUM, LITHIUM), (), a_site(*batteries, utc_s=None))
    assert states == (CareState(None, 0.0, 100.0), CareState(None, 0.0, 100.0))


def test_a_battery_that_is_not_due_does_not_end_the_round() -> None:
    batteries = (a_battery(index=0), a_battery(index=1))
    states = (full_days_ago(1.0), full_days_ago(40.0))
    wishes = care(a_config(LITHIUM, LITHIUM), states, a_site(*batteries, surplus_w=900.0))[1]
    assert [one.charge_w for one in wishes] == [None, 900.0]


def test_a_battery_that_was_held_full_is_not_due_any_more() -> None:
    states = (CareState(NOW_UTC_S - 40 * DAY_S, 50.0, 90.0),)
    after, wishes = care(a_config(LITHIUM), states, a_site(a_battery(100.0), surplus_w=900.0))
    assert (after, wishes) == ((CareState(NOW_UTC_S, 60.0, 100.0),), ())


def test_a_silent_battery_keeps_its_state_and_the_others_are_cared_for() -> None:
    states = (full_days_ago(40.0), full_days_ago(41.0))
    other = replace(LITHIUM, id="other", min_soc_pct=7.0)
    after, wishes = care(a_config(LITHIUM, other), states, a_site(a_battery(index=1), surplus_w=900.0))
    assert after is states
    assert wishes == (
        CareWish(5.0),
        CareWish(7.0, 900.0, False, "other: charged to full, last full 41 days ago"),
    )


def test_a_battery_without_care_is_left_out_beside_one_with_it() -> None:
    batteries = (a_battery(index=0), a_battery(index=1), a_battery(index=2))
    states = (full_days_ago(99.0), full_days_ago(40.0), full_days_ago(99.0))
    after, wishes = care(a_config(PLAIN, LITHIUM, PLAIN), states, a_site(*batteries, surplus_w=900.0))
    assert after is states
    assert wishes == (
        CareWish(8.0),
        CareWish(5.0, 900.0, False, "rack: charged to full, last full 40 days ago"),
        CareWish(8.0),
    )


def test_new_states_of_one_battery_leave_those_of_the_others() -> None:
    first, last = full_days_ago(1.0), full_days_ago(2.0)
    batteries = (a_battery(index=0), a_battery(99.5, index=1), a_battery(index=2))
    after, _ = care(
        a_config(LITHIUM, LITHIUM, LITHIUM), (first, full_days_ago(3.0), last), a_site(*batteries)
    )
    assert after[0] is first
    assert after[1] == full_days_ago(3.0, seen_s=100.0)
    assert after[2] is last


def test_surplus_is_given_out_once() -> None:
    batteries = (a_battery(index=0, max_charge_w=1000.0), a_battery(index=1), a_battery(index=2))
    states = (full_days_ago(40.0), full_days_ago(40.0), full_days_ago(40.0))
    wishes = care(a_config(LITHIUM, LITHIUM, LITHIUM), states, a_site(*batteries, surplus_w=1500.0))[1]
    assert [one.charge_w for one in wishes] == [1000.0, 500.0, None]


def test_what_the_grid_gives_one_battery_leaves_no_surplus_for_the_next() -> None:
    batteries = (a_battery(index=0, max_charge_w=1000.0), a_battery(index=1))
    states = (full_days_ago(60.0), full_days_ago(30.0))
    for surplus_w, second_w in ((900.0, None), (1500.0, 500.0)):
        site = a_site(*batteries, surplus_w=surplus_w)
        wishes = care(a_config(LITHIUM, LITHIUM, grid_charging=True), states, site)[1]
        assert [one.charge_w for one in wishes] == [1000.0, second_w]


def test_surplus_that_one_battery_cannot_take_is_all_for_the_next() -> None:
    batteries = (a_battery(index=0, max_charge_w=0.0), a_battery(index=1))
    states = (full_days_ago(40.0), full_days_ago(40.0))
    wishes = care(a_config(LITHIUM, LITHIUM), states, a_site(*batteries, surplus_w=900.0))[1]
    assert [one.charge_w for one in wishes] == [None, 900.0]


def test_the_least_surplus_counts() -> None:
    assert charged(40.0, a_site(a_battery(), surplus_w=0.5)) == 0.5


@pytest.mark.parametrize("days", [0.5, 1.0])
def test_a_full_charge_may_be_wanted_every_day(days: float) -> None:
    daily = replace(LITHIUM, care=CareSettings(full_every_days=days))
    assert charged(days, a_site(a_battery(), surplus_w=900.0), daily) == 900.0


def test_without_sun_and_leave_nothing_is_charged() -> None:
    assert charged(400.0, a_site(a_battery())) is None
    assert charged(400.0, a_site(a_battery(), surplus_w=-700.0)) is None
    assert charged(400.0, a_site(a_battery()), LEAD) is None


@pytest.mark.parametrize(("days", "charge_w"), [(30.0, None), (59.9, None), (60.0, 4000.0)])
def test_lithium_waits_for_sun_until_twice_the_time_and_then_takes_the_grid(
    days: float, charge_w: float | None
) -> None:
    assert charged(days, a_site(a_battery()), leave=True) == charge_w


def test_lithium_charges_from_surplus_in_the_meantime() -> None:
    assert charged(40.0, a_site(a_battery(), surplus_w=900.0), leave=True) == 900.0
    assert charged(40.0, a_site(a_battery(), surplus_w=9000.0), leave=True) == 4000.0


def test_lead_acid_takes_the_grid_as_soon_as_it_is_due() -> None:
    assert charged(14.0, a_site(a_battery()), LEAD, leave=True) == 4000.0
    assert charged(14.0, a_site(a_battery(), surplus_w=900.0), LEAD) == 900.0


PLAN = Plan(NOW_UTC_S - 900.0, 900.0, ((9.0, 9.0, 9.0), (0.40, 0.30, 0.10)), NOW_UTC_S + 1.0)


@pytest.mark.parametrize(
    ("soc_pct", "import_per_kwh", "charge_w"),
    [
        (0.0, 0.40, 4000.0),
        (0.0, 0.41, None),
        (50.0, 0.30, 4000.0),
        (50.0, 0.3005, None),
        (25.0, 0.35, 4000.0),
        (25.0, 0.36, None),
        (75.0, 0.19, 4000.0),
        (75.0, 0.21, None),
        (100.0, 0.10, 4000.0),
        (100.0, 0.11, None),
        (101.0, 0.10, 4000.0),
        (101.0, 0.11, None),
        (-1.0, 0.40, 4000.0),
        (-1.0, 0.41, None),
    ],
)
def test_lithium_takes_the_grid_when_power_costs_no_more_than_it_is_worth(
    soc_pct: float, import_per_kwh: float, charge_w: float | None
) -> None:
    site = a_site(a_battery(soc_pct), prices=Prices(import_per_kwh, 0.0), plan=PLAN)
    assert charged(40.0, site, leave=True) == charge_w
    assert charged(40.0, site, leave=False) is None


@pytest.mark.parametrize(
    ("begin_s", "expires_s", "cheap"),
    [
        (-1800.0, 1.0, False),
        (-1799.0, 1.0, True),
        (-900.0, 1.0, True),
        (-899.0, 1.0, True),
        (0.0, 1.0, True),
        (1.0, 1.0, False),
        (0.0, 0.0, False),
        (0.0, 0.5, True),
    ],
)
def test_a_plan_counts_inside_its_slots_and_before_its_end(
    begin_s: float, expires_s: float, cheap: bool
) -> None:
    plan = Plan(NOW_UTC_S + begin_s, 900.0, ((0.4, 0.4), (0.4, 0.4)), NOW_UTC_S + expires_s)
    site = a_site(a_battery(), prices=Prices(0.3, 0.0), plan=plan)
    assert charged(40.0, site, leave=True) == (4000.0 if cheap else None)


def test_the_slot_of_now_is_taken() -> None:
    plan = Plan(NOW_UTC_S - 900.0, 900.0, ((0.1, 0.1), (0.4, 0.4), (0.1, 0.1)), NOW_UTC_S + 9000.0)
    assert charged(40.0, a_site(a_battery(), prices=Prices(0.3, 0.0), plan=plan), leave=True) == 4000.0
    late = replace(plan, begin_utc_s=NOW_UTC_S - 899.0)
    assert charged(40.0, a_site(a_battery(), prices=Prices(0.3, 0.0), plan=late), leave=True) is None


@pytest.mark.parametrize(("import_per_kwh", "charge_w"), [(-0.01, 4000.0), (0.0, 4000.0), (0.01, None)])
def test_without_a_plan_only_power_that_costs_nothing_is_cheap(
    import_per_kwh: float, charge_w: float | None
) -> None:
    site = a_site(a_battery(), prices=Prices(import_per_kwh, 0.0))
    assert charged(40.0, site, leave=True) == charge_w


def test_a_plan_without_prices_says_nothing() -> None:
    assert charged(40.0, a_site(a_battery(), plan=PLAN), leave=True) is None


def test_a_battery_that_takes_nothing_or_does_not_tell_its_soc_is_not_held_from_its_work() -> None:
    for battery in (a_battery(max_charge_w=0.0), a_battery(None)):
        for settings in (LITHIUM, LEAD):
            assert charged(60.0, a_site(battery, surplus_w=900.0), settings, leave=True) is None
    cheap = a_site(a_battery(None), prices=Prices(-1.0, 0.0))
    assert charged(40.0, cheap, leave=True) is None


def test_a_raised_minimum_soc_is_wished_and_explained_without_any_charge() -> None:
    assert wish_of(LEAD, 18.0, a_site(a_battery())) == CareWish(
        60.0, None, False, "cellar: minimum SoC raised to 60 %, last full 18 days ago"
    )
    assert wish_of(LEAD, 14.0, a_site(a_battery())) == CareWish(50.0)


def test_a_raised_minimum_soc_is_wished_beside_a_charge() -> None:
    assert wish_of(LEAD, 18.0, a_site(a_battery(), surplus_w=700.0)) == CareWish(
        60.0, 700.0, False, "cellar: charged to full, last full 18 days ago"
    )


def test_an_overdue_battery_that_is_full_is_held_there_past_its_ceiling() -> None:
    site = a_site(a_battery(100.0), surplus_w=700.0)
    assert wish_of(LEAD, 15.0, site, seen_s=99.0) == CareWish(
        50.0, 700.0, True, "cellar: held full, last full 15 days ago"
    )
    assert wish_of(LEAD, 15.0, a_site(a_battery(100.0)), seen_s=99.0) == CareWish(50.0)


@pytest.mark.parametrize(("max_soc_pct", "absorbing"), [(99.4, False), (99.5, True)])
def test_a_ceiling_that_the_owner_set_lower_is_kept(max_soc_pct: float, absorbing: bool) -> None:
    settings = replace(LEAD, max_soc_pct=max_soc_pct)
    one = wish_of(settings, 15.0, a_site(a_battery(max_soc_pct), surplus_w=700.0), seen_s=99.0)
    assert one is not None
    assert one.absorbing is absorbing


def test_two_hours_of_absorption_end_the_wish_and_lower_the_minimum_again() -> None:
    config = a_config(LEAD, grid_charging=True)
    states = (full_days_ago(20.0),)
    wished = []
    for minute in range(125):
        site = replace(a_site(a_battery(100.0), utc_s=NOW_UTC_S + 60.0 * minute), now_s=100.0 + 60.0 * minute)
        states, wishes = care(config, states, site)
        wished.append(bool(wishes))
    assert wished == [minute < 120 for minute in range(125)]
    assert states[0].last_full_utc_s == NOW_UTC_S + 124 * 60.0


@given(
    st.lists(
        st.tuples(st.none() | st.floats(0.0, 100.0), st.floats(0.0, 5000.0), st.floats(0.0, 100.0)),
        min_size=1,
        max_size=4,
    ),
    st.floats(-5000.0, 5000.0),
)
def test_without_leave_to_charge_from_the_grid_care_never_asks_for_more_than_the_surplus(
    batteries: list[tuple[float | None, float, float]], surplus_w: float
) -> None:
    config = a_config(*(LEAD if index % 2 else LITHIUM for index in range(len(batteries))))
    states = tuple(full_days_ago(days) for _, _, days in batteries)
    sites = tuple(a_battery(soc, index, charge_w) for index, (soc, charge_w, _) in enumerate(batteries))
    left_w = max(surplus_w, 0.0)
    for one in care(config, states, a_site(*sites, surplus_w=surplus_w))[1]:
        if one.charge_w is not None:
            assert 0.0 < one.charge_w <= left_w + 1e-9
            left_w -= one.charge_w


def test_the_levels_of_a_plan_begin_and_end_where_it_says() -> None:
    # From 20 to 80 %: at 35 %, a quarter of the way, a kWh is worth 0.4 - 0.25 x 0.2 = 0.35.
    plan = Plan(NOW_UTC_S, 900.0, ((0.4, 0.2),), NOW_UTC_S + 900.0, soc_from_pct=20.0, soc_to_pct=80.0)
    for import_per_kwh, charge_w in ((0.34, 4000.0), (0.36, None)):
        site = a_site(a_battery(35.0), prices=Prices(import_per_kwh, 0.0), plan=plan)
        assert charged(40.0, site, leave=True) == charge_w


def test_a_battery_that_does_not_tell_its_soc_is_not_filled_from_the_grid() -> None:
    site = a_site(a_battery(None), prices=Prices(0.0, 0.0), plan=PLAN)
    assert charged(40.0, site, leave=True) is None


FREE = Range(-4000.0, 4000.0)
DUE, AT_EASE = CareWish(5.0, 3000.0), CareWish(5.0)


def kept(power_w: float, *wishes: CareWish, rooms: tuple[Range, ...] = (FREE, FREE)) -> tuple[Range, ...]:
    """The allowed rooms once what is due is kept for who is due; the preferred ones must be the same."""
    batteries = (a_battery(index=0), a_battery(index=1))
    preferred, allowed = due_first(power_w, power_w, (rooms, rooms), wishes, batteries)
    assert preferred == allowed
    return allowed


def test_what_care_asks_for_a_battery_is_charged_into_that_one() -> None:
    assert kept(-5000.0, DUE, AT_EASE) == (Range(-4000.0, -3000.0), FREE)
    assert kept(-5000.0, AT_EASE, DUE) == (FREE, Range(-4000.0, -3000.0))
    assert kept(-5000.0, DUE, DUE) == (Range(-4000.0, -3000.0), Range(-4000.0, -2000.0))


def test_no_battery_is_discharged_to_fill_one_that_is_due() -> None:
    assert kept(-1000.0, DUE, AT_EASE) == (Range(-4000.0, -1000.0), FREE)
    assert kept(-0.5, DUE, AT_EASE) == (Range(-4000.0, -0.5), FREE)
    assert kept(0.0, DUE, AT_EASE) == (FREE, FREE)
    assert kept(500.0, DUE, AT_EASE) == (FREE, FREE)
    assert kept(-1000.0) == (FREE, FREE), "nobody is due"


def test_what_is_kept_for_a_battery_that_is_due_leaves_the_reserve_of_the_other_one() -> None:
    at_reserve, batteries = Range(-4000.0, 0.0), (a_battery(index=0), a_battery(index=1))
    preferred, allowed = due_first(
        -5000.0, -5000.0, ((at_reserve, FREE), (FREE, FREE)), (AT_EASE, DUE), batteries
    )
    assert preferred == (at_reserve, Range(-4000.0, -3000.0))
    assert allowed == (FREE, Range(-4000.0, -3000.0))


def test_a_full_lead_acid_battery_is_held_at_absorption_while_the_other_one_rests() -> None:
    config = DispatchConfig(
        (replace(LEAD, max_charge_w=4000.0, max_discharge_w=4000.0), PLAIN),
        policy=PolicySettings(grid_charging=True, deadband_w=0.0),
    )
    readings = (BatteryReading(10.0, -200.0, 99.8), BatteryReading(10.0, 0.0, 40.0, 3000.0, 3000.0))
    snapshot = Snapshot(10.0, MeterReading(10.0, 700.0), readings, local=LocalTime(NOW_UTC_S, 0.0))
    overdue = Memory(
        mode=Mode.RUNNING,
        fresh_since_s=0.0,
        fresh_at_s=9.0,
        care=(full_days_ago(20.0, seen_s=9.0), CareState()),
    )
    _, decision = step(config, overdue, snapshot)
    # The house takes 500 W; before, the emptier battery was given what the full one left.
    assert decision.battery_setpoints_w == (-4000.0, 0.0)
