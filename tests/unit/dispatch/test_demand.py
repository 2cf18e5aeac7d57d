"""The demand window: counting the biller's windows, and keeping them below the month's peak."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from controller.dispatch.demand import DemandState, demand_range, peak_forecast_w, update
from controller.dispatch.orders import LocalTime, Plan
from controller.dispatch.settings import BatterySettings, DemandSettings, DispatchConfig
from controller.dispatch.site import Site

TARGET_W = 10_000.0
CONFIG = DispatchConfig(
    (BatterySettings("bat1", 50_000),), demand=DemandSettings(window_s=900, target_w=TARGET_W)
)
NO_DEMAND = replace(CONFIG, demand=None)
BEGIN_UTC_S = datetime(2024, 3, 5, 12, 0, tzinfo=UTC).timestamp()
MARCH_2024 = 2024 * 12 + 3
INFINITE_W = float("inf")


def at(
    second: float,
    pcc_import_w: float = 0.0,
    net_load_w: float | None = None,
    trusted: bool = True,
    offset_s: float = 3600.0,
    begin_utc_s: float = BEGIN_UTC_S,
) -> Site:
    """The site this many seconds after noon; the monotonic clock showed 5000 s then."""
    return Site(
        5000.0 + second,
        5000.0 + second,
        True,
        pcc_import_w,
        pcc_import_w if net_load_w is None else net_load_w,
        (),
        0.0,
        (),
        local=LocalTime(begin_utc_s + second, offset_s) if trusted else None,
    )


def begun(**changes: float | bool | None) -> DemandState:
    """A window watched from noon on, updated at noon."""
    usual = DemandState(BEGIN_UTC_S, 0.0, MARCH_2024, 0.0, 5000.0, 5000.0, True)
    return replace(usual, **changes)


def updated(state: DemandState | None, site: Site, config: DispatchConfig = CONFIG) -> DemandState:
    after = update(config, state, site)
    assert after is not None
    return after


def allowed_w(state: DemandState, site: Site, config: DispatchConfig = CONFIG) -> float:
    """How much import is still allowed."""
    found = demand_range(config, state, site)
    assert found is not None
    assert found[1] == INFINITE_W
    return site.net_load_w - found[0]


def test_a_site_without_a_demand_tariff_counts_nothing() -> None:
    assert update(NO_DEMAND, begun(), at(1.0)) is None
    assert demand_range(NO_DEMAND, begun(), at(1.0)) is None
    assert peak_forecast_w(NO_DEMAND, begun(), at(1.0)) is None


def test_before_the_first_update_nothing_is_limited() -> None:
    assert demand_range(CONFIG, None, at(1.0)) is None
    assert peak_forecast_w(CONFIG, None, at(1.0)) is None


def test_a_state_knows_nothing_at_first() -> None:
    assert DemandState() == DemandState(None, 0.0, None, 0.0, None, 0.0, False)


class TestCounting:
    def test_import_is_counted_over_the_time_since_the_last_update(self) -> None:
        one = updated(begun(), at(36.0, 5000.0))
        assert one == begun(energy_wh=50.0, updated_at_s=5036.0)
        assert updated(one, at(54.0, 2000.0)) == begun(energy_wh=60.0, updated_at_s=5054.0)

    def test_export_does_not_count_back(self) -> None:
        assert updated(begun(energy_wh=50.0), at(36.0, -5000.0)) == begun(energy_wh=50.0, updated_at_s=5036.0)

    def test_one_watt_of_import_counts(self) -> None:
        assert updated(begun(), at(36.0, 1.0)).energy_wh == pytest.approx(0.01)

    @pytest.mark.parametrize(("gap_s", "watched"), [(60.0, True), (60.5, False)])
    def test_a_long_gap_is_counted_but_the_window_is_no_longer_sure(
        self, gap_s: float, watched: bool
    ) -> None:
        after = updated(begun(), at(gap_s, 3600.0))
        assert after.energy_wh == gap_s
        assert after.watched is watched

    def test_what_was_unsure_stays_unsure(self) -> None:
        assert not updated(begun(watched=False), at(1.0)).watched


class TestWindows:
    def test_the_last_second_belongs_to_its_window(self) -> None:
        before = begun(energy_wh=1000.0, updated_at_s=5899.0)
        assert updated(before, at(899.5, 7200.0)) == begun(energy_wh=1001.0, updated_at_s=5899.5)

    def test_a_window_ends_on_the_clock_and_its_mean_is_the_months_peak(self) -> None:
        before = begun(energy_wh=1000.0, updated_at_s=5899.0)
        # 1000 Wh in a quarter of an hour are 4000 W, and 1 s at 9000 W is 10 W more
        after = updated(before, at(900.0, 9000.0))
        assert after == DemandState(BEGIN_UTC_S + 900.0, 0.0, MARCH_2024, 4010.0, 5900.0, 5900.0, True)

    def test_a_step_over_the_boundary_counts_on_both_sides(self) -> None:
        before = begun(energy_wh=1000.0, updated_at_s=5896.0)
        # 4 s at 9000 W before the boundary, 6 s at 9000 W after it
        after = updated(before, at(906.0, 9000.0))
        assert after == DemandState(BEGIN_UTC_S + 900.0, 15.0, MARCH_2024, 4040.0, 5906.0, 5900.0, True)

    def test_export_over_the_boundary_counts_on_neither_side(self) -> None:
        after = updated(begun(energy_wh=1000.0, updated_at_s=5896.0), at(906.0, -9000.0))
        assert (after.energy_wh, after.month_peak_w) == (0.0, 4000.0)

    def test_one_watt_over_the_boundary_counts(self) -> None:
        after = updated(begun(updated_at_s=5882.0), at(936.0, 1.0))
        assert after.energy_wh == pytest.approx(0.01)

    def test_a_clock_that_jumped_ahead_counts_from_the_boundary_on(self) -> None:
        # The clock says 6 s have gone since the boundary, but only 2 s went by.
        site = replace(at(906.0, 9000.0), now_s=5901.0)
        after = updated(begun(energy_wh=1000.0, updated_at_s=5899.0), site)
        assert after == DemandState(BEGIN_UTC_S + 900.0, 15.0, MARCH_2024, 4000.0, 5901.0, 5895.0, True)

    def test_a_lower_window_leaves_the_peak(self) -> None:
        before = begun(energy_wh=1000.0, month_peak_w=6000.0, updated_at_s=5899.0)
        assert updated(before, at(900.0)).month_peak_w == 6000.0

    def test_a_window_that_was_not_watched_leaves_the_peak(self) -> None:
        after = updated(begun(energy_wh=1000.0, updated_at_s=5899.0, watched=False), at(900.0, 9000.0))
        assert after == DemandState(BEGIN_UTC_S + 900.0, 0.0, MARCH_2024, 0.0, 5900.0, 5900.0, True)

    @pytest.mark.parametrize(("updated_at_s", "watched"), [(5850.0, True), (5849.5, False)])
    def test_a_long_gap_over_the_boundary_is_a_guess_in_both_windows(
        self, updated_at_s: float, watched: bool
    ) -> None:
        after = updated(begun(energy_wh=1000.0, updated_at_s=updated_at_s), at(910.0, 3600.0))
        assert after.watched is watched
        assert after.month_peak_w == (4200.0 if watched else 0.0)
        # not watched: 10 s at the limit of 9900 W
        assert after.energy_wh == (10.0 if watched else 27.5)

    def test_windows_that_were_missed_altogether_leave_no_trace(self) -> None:
        after = updated(begun(energy_wh=1000.0, updated_at_s=5899.0), at(2700.0 + 36.0, 3600.0))
        assert after == DemandState(BEGIN_UTC_S + 2700.0, 99.0, MARCH_2024, 0.0, 7736.0, 7700.0, False)

    @pytest.mark.parametrize(
        ("window_s", "offset_s", "begins_s"),
        [
            (900, 3600.0, 1800.0),
            (1800, 3600.0, 1800.0),
            (3600, 3600.0, 0.0),
            # Kathmandu, +5:45: 12:40 UTC is 18:25 there
            (900, 20_700.0, 1800.0),
            (1800, 20_700.0, 900.0),
            (3600, 20_700.0, 900.0),
            # Newfoundland, -3:30: 9:10 there
            (3600, -12_600.0, 1800.0),
        ],
    )
    def test_windows_align_with_the_local_clock(
        self, window_s: int, offset_s: float, begins_s: float
    ) -> None:
        config = replace(CONFIG, demand=DemandSettings(window_s, TARGET_W))
        after = updated(None, at(2400.0, offset_s=offset_s), config)
        assert after.window_begin_utc_s == BEGIN_UTC_S + begins_s
        assert after.window_begin_s == 5000.0 + begins_s

    def test_the_mean_is_over_the_length_of_the_window(self) -> None:
        config = replace(CONFIG, demand=DemandSettings(1800, TARGET_W))
        after = updated(begun(energy_wh=7.0, updated_at_s=6799.0), at(1800.0), config)
        assert after == DemandState(BEGIN_UTC_S + 1800.0, 0.0, MARCH_2024, 14.0, 6800.0, 6800.0, True)

    @pytest.mark.parametrize(("second", "same"), [(-60.0, True), (-61.0, False)])
    def test_a_clock_that_is_set_back_a_little_stays_in_its_window(self, second: float, same: bool) -> None:
        site = replace(at(second), now_s=5010.0)
        after = updated(begun(energy_wh=7.0, updated_at_s=5009.0), site)
        assert after.window_begin_utc_s == (BEGIN_UTC_S if same else BEGIN_UTC_S - 900.0)
        assert after.watched is same


class TestMonths:
    LAST = datetime(2024, 3, 31, 21, 45, tzinfo=UTC).timestamp()
    """A quarter to midnight on the last of March in summer time, +2:00."""

    def test_a_new_local_month_begins_without_a_peak(self) -> None:
        before = begun(
            window_begin_utc_s=self.LAST, energy_wh=1000.0, month_peak_w=6000.0, updated_at_s=5899.0
        )
        after = updated(before, at(900.0, 7200.0, offset_s=7200.0, begin_utc_s=self.LAST))
        assert after == DemandState(
            self.LAST + 900.0,
            0.0,
            MARCH_2024 + 1,
            0.0,
            5900.0,
            5900.0,
            True,
            left_month=MARCH_2024,
            left_peak_w=6000.0,
        )

    def test_the_same_instant_is_still_march_further_west(self) -> None:
        before = begun(
            window_begin_utc_s=self.LAST, energy_wh=1000.0, month_peak_w=6000.0, updated_at_s=5899.0
        )
        after = updated(before, at(900.0, 7200.0, offset_s=3600.0, begin_utc_s=self.LAST))
        assert (after.month, after.month_peak_w) == (MARCH_2024, 6000.0)


class TestWithoutKnowledge:
    def test_a_window_found_half_way_had_its_even_share(self) -> None:
        # 450 s at 9900 W
        after = updated(None, at(450.0, 3000.0))
        assert after == DemandState(BEGIN_UTC_S, 1237.5, MARCH_2024, 0.0, 5450.0, 5000.0, False)
        assert allowed_w(after, at(450.0)) == pytest.approx(9900.0)

    def test_a_restart_keeps_the_peak_and_what_was_counted_if_that_is_more(self) -> None:
        little = DemandState(BEGIN_UTC_S, 100.0, MARCH_2024, 20_000.0)
        assert updated(little, at(450.0)) == DemandState(
            BEGIN_UTC_S, 2475.0, MARCH_2024, 20_000.0, 5450.0, 5000.0, False
        )
        much = replace(little, energy_wh=2500.0)
        assert updated(much, at(450.0)).energy_wh == 2500.0

    def test_a_restart_in_a_later_window_forgets_what_was_counted(self) -> None:
        restored = DemandState(BEGIN_UTC_S - 900.0, 2500.0, MARCH_2024, 20_000.0, watched=True)
        after = updated(restored, at(36.0, 50_000.0))
        assert after == DemandState(BEGIN_UTC_S, 198.0, MARCH_2024, 20_000.0, 5036.0, 5000.0, False)

    def test_without_a_trusted_clock_a_window_runs_from_now(self) -> None:
        first = updated(None, at(10.0, 3600.0, trusted=False))
        assert first == DemandState(None, 0.0, None, 0.0, 5010.0, 5010.0, False)
        last = updated(first, at(909.5, 3600.0, trusted=False))
        assert last == DemandState(None, 899.5, None, 0.0, 5909.5, 5010.0, False)
        following = updated(last, at(910.0, 3600.0, trusted=False))
        assert following == DemandState(None, 0.0, None, 0.0, 5910.0, 5910.0, False)

    def test_a_window_no_bill_knows_never_raises_the_peak(self) -> None:
        state = updated(DemandState(None, 0.0, MARCH_2024, 500.0), at(0.0, trusted=False))
        for second in range(1, 2000, 10):
            state = updated(state, at(float(second), 90_000.0, trusted=False))
        assert (state.month, state.month_peak_w) == (MARCH_2024, 500.0)

    def test_a_clock_that_comes_to_be_trusted_begins_the_billers_window(self) -> None:
        before = updated(None, at(10.0, trusted=False))
        after = updated(before, at(450.0, 3000.0))
        assert after == DemandState(BEGIN_UTC_S, 1237.5, MARCH_2024, 0.0, 5450.0, 5000.0, False)

    def test_a_clock_no_longer_trusted_lets_the_window_run_out(self) -> None:
        within = updated(begun(energy_wh=1000.0, updated_at_s=5899.0), at(899.5, 7200.0, trusted=False))
        assert within == begun(energy_wh=1001.0, updated_at_s=5899.5)
        after = updated(within, at(900.0, 7200.0, trusted=False))
        assert after == DemandState(None, 0.0, MARCH_2024, 0.0, 5900.0, 5900.0, False)


class TestLimit:
    @pytest.mark.parametrize(
        ("second", "energy_wh", "expected_w"),
        [
            # the whole window at 99 % of the target
            (0.0, 0.0, 9900.0),
            # half of it spent in half the time
            (450.0, 1237.5, 9900.0),
            # a quarter of it spent: 1856.25 Wh in 450 s
            (450.0, 618.75, 14_850.0),
            # more than half of it spent: 900 Wh in 450 s
            (450.0, 1575.0, 7200.0),
            # no faster than at twice the limit
            (600.0, 0.0, 19_800.0),
            # all spent, and more
            (450.0, 2475.0, 0.0),
            (450.0, 3000.0, 0.0),
            # the decision stands for a cycle of 1 s: 2 Wh in 1 s
            (899.0, 2473.0, 7200.0),
            (899.5, 2473.0, 7200.0),
            (900.5, 2473.0, 7200.0),
        ],
    )
    def test_what_the_window_has_left_is_spread_over_its_remaining_time(
        self, second: float, energy_wh: float, expected_w: float
    ) -> None:
        assert allowed_w(begun(energy_wh=energy_wh), at(second)) == pytest.approx(expected_w)

    def test_the_battery_covers_what_the_import_may_not(self) -> None:
        found = demand_range(CONFIG, begun(), at(0.0, net_load_w=15_000.0))
        assert found is not None
        assert found[0] == pytest.approx(5100.0)
        assert found[1] == INFINITE_W

    def test_charging_stops_where_it_would_make_a_peak(self) -> None:
        found = demand_range(CONFIG, begun(), at(0.0, net_load_w=4000.0))
        assert found is not None
        assert found[0] == pytest.approx(-5900.0)

    @pytest.mark.parametrize(("peak_w", "limit_w"), [(9999.0, 9900.0), (20_000.0, 19_800.0)])
    def test_a_peak_that_is_already_paid_for_is_used(self, peak_w: float, limit_w: float) -> None:
        assert allowed_w(begun(month_peak_w=peak_w), at(0.0)) == pytest.approx(limit_w)

    def test_a_longer_cycle_spreads_over_itself(self) -> None:
        config = replace(CONFIG, cycle_s=10.0)
        # 2 Wh in 10 s
        assert allowed_w(begun(energy_wh=2473.0), at(899.0), config) == pytest.approx(720.0)

    def test_without_a_trusted_clock_nothing_saved_is_spent(self) -> None:
        unknown = DemandState(None, 0.0, MARCH_2024, 0.0, 5450.0, 5000.0)
        assert allowed_w(unknown, at(450.0, trusted=False)) == pytest.approx(9900.0)
        # trust came back, but this window is still none of the biller's
        assert allowed_w(unknown, at(450.0)) == pytest.approx(9900.0)
        overspent = replace(unknown, energy_wh=1575.0)
        assert allowed_w(overspent, at(450.0, trusted=False)) == pytest.approx(7200.0)
        lost = begun(energy_wh=618.75)
        assert allowed_w(lost, at(450.0, trusted=False)) == pytest.approx(9900.0)
        assert allowed_w(overspent, at(1000.0, trusted=False)) == pytest.approx(9900.0)


class TestForecast:
    def test_the_forecast_is_what_was_and_what_will_be_as_it_is(self) -> None:
        # 300 s to come at 9000 W: 750 Wh
        assert peak_forecast_w(CONFIG, begun(energy_wh=1000.0), at(600.0, 9000.0)) == pytest.approx(7000.0)

    def test_export_takes_nothing_back(self) -> None:
        assert peak_forecast_w(CONFIG, begun(energy_wh=1000.0), at(600.0, -9000.0)) == pytest.approx(4000.0)

    def test_an_import_of_one_watt_is_seen(self) -> None:
        assert peak_forecast_w(CONFIG, begun(), at(0.0, 1.0)) == pytest.approx(1.0)

    def test_after_the_end_nothing_more_comes(self) -> None:
        for trusted in (True, False):
            site = at(1000.0, 9000.0, trusted=trusted)
            assert peak_forecast_w(CONFIG, begun(energy_wh=1000.0), site) == pytest.approx(4000.0)

    def test_without_a_trusted_clock_it_is_of_the_window_that_runs(self) -> None:
        unknown = DemandState(None, 1000.0, None, 0.0, 5600.0, 5000.0)
        assert peak_forecast_w(CONFIG, unknown, at(600.0, 9000.0, trusted=False)) == pytest.approx(7000.0)


def planned(*targets_w: float) -> Plan:
    return Plan(BEGIN_UTC_S, 900.0, ((0.2,), (0.2,)), BEGIN_UTC_S + 9000.0, import_targets_w=targets_w)


def test_a_plan_in_force_sets_the_limit_of_each_slot_itself() -> None:
    # 99 % of 6 kW, although the owner's target is 10 kW and the month had 12 kW.
    state = begun(month_peak_w=12_000.0)
    site = replace(at(0.0, 3000.0), plan=planned(6000.0))
    assert allowed_w(state, site) == pytest.approx(5940.0)


@pytest.mark.parametrize(
    ("load_w", "peak_w", "lower_w"),
    [
        # Half of 99 % of 6 kW, or 99 % of the peak so far if that is more, but at most 99 % of 6 kW.
        (1000.0, 0.0, -1970.0),
        (1000.0, 4000.0, -2960.0),
        (1000.0, 9000.0, -4940.0),
        # A load between the two: nothing is charged and nothing has to be given.
        (4000.0, 0.0, 0.0),
        (7000.0, 0.0, 1060.0),
    ],
)
def test_charging_does_not_make_the_peak_that_a_plan_expects(
    load_w: float, peak_w: float, lower_w: float
) -> None:
    site = replace(at(0.0, load_w), plan=planned(6000.0))
    found = demand_range(CONFIG, begun(month_peak_w=peak_w), site)
    assert found is not None
    assert (found[0], found[1]) == (pytest.approx(lower_w), INFINITE_W)


def test_a_plan_without_a_target_for_this_slot_leaves_the_import_alone() -> None:
    found = demand_range(CONFIG, begun(), replace(at(0.0, 3000.0), plan=planned(INFINITE_W)))
    assert found is not None
    assert found[0] == -INFINITE_W


@pytest.mark.parametrize(
    "site",
    [
        replace(at(0.0, 3000.0), plan=planned()),
        replace(at(0.0, 3000.0), plan=replace(planned(6000.0), expires_at_utc_s=BEGIN_UTC_S)),
        replace(at(900.0, 3000.0), plan=planned(6000.0)),
        replace(at(0.0, 3000.0, trusted=False), plan=planned(6000.0)),
    ],
    ids=["no targets", "expired", "beyond its targets", "clock not trusted"],
)
def test_without_a_planned_target_the_owners_holds(site: Site) -> None:
    state = begun() if site.now_s < 5900.0 else begun(window_begin_utc_s=BEGIN_UTC_S + 900.0)
    assert allowed_w(state, site) == pytest.approx(9900.0)
