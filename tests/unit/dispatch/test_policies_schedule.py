"""Schedule: windows on the clock on the wall, over midnight and through both changes of summer time."""

from __future__ import annotations

import pytest

from controller.dispatch.orders import LocalTime
from controller.dispatch.policies import wish
from controller.dispatch.policies.schedule import schedule
from controller.dispatch.settings import Window
from tests.unit.dispatch.policy_sites import a_policy, a_site

HOUR_S = 3600
DAY_S = 86_400
MONDAY_UTC_S = 1_795_392_000.0  # 23 November 2026, 00:00 UTC
MONDAY = 739_943  # the same day as date.toordinal counts: 719_163 for 1970 + 20_780 days
TUESDAY, SATURDAY, SUNDAY = MONDAY + 1, MONDAY + 5, MONDAY + 6


def local(day: int, hour: float, offset_s: float = 3600.0) -> LocalTime:
    """The instant at which this is the time on the wall."""
    return LocalTime(MONDAY_UTC_S + (day - MONDAY) * DAY_S + hour * HOUR_S - offset_s, offset_s)


def wanted_w(window: Window, day: int, hour: float) -> float | None:
    return schedule(a_policy(schedule=(window,)), a_site(300.0, local=local(day, hour)))


def discharge(from_h: float, to_h: float, **changes: object) -> Window:
    return Window(int(from_h * HOUR_S), int(to_h * HOUR_S), "discharge", 700.0, **changes)


def test_the_helper_of_these_tests_tells_the_day_and_the_time() -> None:
    monday = local(MONDAY, 7.5)
    assert (monday.day, monday.second, monday.weekday) == (MONDAY, 27_000.0, 0)
    assert (local(SUNDAY, 0.0).weekday, local(SUNDAY, 23.9).weekday) == (6, 6)


@pytest.mark.parametrize(
    ("hour", "expected_w"), [(6.999, None), (7.0, 700.0), (8.0, 700.0), (8.999, 700.0), (9.0, None)]
)
def test_a_window_begins_at_from_and_ends_before_to(hour: float, expected_w: float | None) -> None:
    assert wanted_w(discharge(7, 9), MONDAY, hour) == expected_w


@pytest.mark.parametrize(
    ("day", "hour", "expected_w"),
    [
        (SATURDAY, 5.0, None),
        (SATURDAY, 21.999, None),
        (SATURDAY, 22.0, 700.0),
        (SATURDAY, 23.999, 700.0),
        (SUNDAY, 0.0, 700.0),
        (SUNDAY, 5.999, 700.0),
        (SUNDAY, 6.0, None),
        (SUNDAY, 22.0, None),
    ],
)
def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins(
    day: int, hour: float, expected_w: float | None
) -> None:
    assert wanted_w(discharge(22, 6, weekdays=frozenset({5})), day, hour) == expected_w


def test_the_night_from_sunday_reaches_into_monday() -> None:
    window = discharge(22, 6, weekdays=frozenset({6}))
    assert wanted_w(window, MONDAY, 5.0) == 700.0
    assert wanted_w(window, SUNDAY, 5.0) is None


@pytest.mark.parametrize(
    ("first_day", "last_day", "days"),
    [
        (None, None, [True, True, True, True]),
        (TUESDAY, None, [False, True, True, True]),
        (None, TUESDAY, [True, True, False, False]),
        (TUESDAY, TUESDAY + 1, [False, True, True, False]),
        (TUESDAY, TUESDAY, [False, True, False, False]),
    ],
)
def test_dates_bound_a_window_and_are_themselves_included(
    first_day: int | None, last_day: int | None, days: list[bool]
) -> None:
    window = discharge(7, 9, first_day=first_day, last_day=last_day)
    assert [wanted_w(window, MONDAY + day, 8.0) is not None for day in range(4)] == days


def test_dates_of_a_window_over_midnight_are_those_of_its_evenings() -> None:
    window = discharge(22, 6, first_day=TUESDAY, last_day=TUESDAY)
    found = [wanted_w(window, day, hour) for day in (TUESDAY, TUESDAY + 1) for hour in (5.0, 23.0)]
    assert found == [None, 700.0, 700.0, None]


def test_a_whole_day_is_from_midnight_to_24_00() -> None:
    window = discharge(0, 24, weekdays=frozenset({0}))
    assert [wanted_w(window, MONDAY, hour) for hour in (0.0, 12.0, 23.999)] == [700.0] * 3
    assert wanted_w(window, TUESDAY, 0.0) is None


def test_from_and_to_at_the_same_time_are_24_hours() -> None:
    window = discharge(7, 7, weekdays=frozenset({0}))
    found = [
        wanted_w(window, *at) for at in ((MONDAY, 6.999), (MONDAY, 7.0), (TUESDAY, 6.999), (TUESDAY, 7.0))
    ]
    assert found == [None, 700.0, 700.0, None]


def test_the_first_window_that_matches_wins() -> None:
    windows = (discharge(7, 9), Window(8 * HOUR_S, 10 * HOUR_S, "charge", 900.0))
    config = a_policy(schedule=windows)
    found = [schedule(config, a_site(local=local(MONDAY, hour))) for hour in (7.5, 8.5, 9.5, 10.5)]
    assert found == [700.0, 700.0, -900.0, None]


@pytest.mark.parametrize(
    ("window", "expected_w"),
    [
        (Window(0, DAY_S, "charge", 700.0), -700.0),
        (Window(0, DAY_S, "discharge", 700.0), 700.0),
        (Window(0, DAY_S, "hold"), 0.0),
        (Window(0, DAY_S, "pcc", 700.0), -400.0),
        (Window(0, DAY_S, "pcc", -700.0), 1000.0),
        (Window(0, DAY_S, "pcc", 0.0), 300.0),
    ],
)
def test_a_window_charges_discharges_holds_or_keeps_the_pcc(window: Window, expected_w: float) -> None:
    assert wanted_w(window, MONDAY, 12.0) == expected_w


@pytest.mark.parametrize(
    ("action", "soc_pct", "expected_w"),
    [
        ("charge", 79.9, -700.0),
        ("charge", 80.0, 0.0),
        ("charge", 80.1, 0.0),
        ("charge", None, None),
        ("discharge", 80.1, 700.0),
        ("discharge", 80.0, 0.0),
        ("discharge", 79.9, 0.0),
        ("discharge", None, None),
    ],
)
def test_a_window_with_a_soc_holds_once_it_is_reached(
    action: str, soc_pct: float | None, expected_w: float | None
) -> None:
    window = Window(0, DAY_S, action, 700.0, soc_pct=80.0)
    site = a_site(local=local(MONDAY, 12.0), soc_pct=soc_pct)
    under_way_w = -1.0 if action == "charge" else 1.0
    assert schedule(a_policy(schedule=(window,)), site, under_way_w) == expected_w


@pytest.mark.parametrize(
    ("action", "soc_pct", "expected_w"),
    [("charge", 79.1, 0.0), ("charge", 79.0, -700.0), ("discharge", 80.9, 0.0), ("discharge", 81.0, 700.0)],
)
def test_a_window_at_rest_goes_for_its_soc_again_a_percent_from_it(
    action: str, soc_pct: float, expected_w: float
) -> None:
    window = Window(0, DAY_S, action, 700.0, soc_pct=80.0)
    site = a_site(local=local(MONDAY, 12.0), soc_pct=soc_pct)
    config = a_policy(name="schedule", schedule=(window,))
    assert schedule(config, site, 0.0) == expected_w
    # Who says nothing of before is at rest.
    assert schedule(config, site) == expected_w
    assert wish(config, site) == (expected_w, "schedule")


@pytest.mark.parametrize(("action", "expected_w"), [("charge", -700.0), ("discharge", 700.0)])
def test_a_window_without_a_soc_needs_none(action: str, expected_w: float) -> None:
    site = a_site(local=local(MONDAY, 12.0), soc_pct=None)
    assert schedule(a_policy(schedule=(Window(0, DAY_S, action, 700.0),)), site) == expected_w


def test_without_a_trusted_clock_or_windows_it_cannot_decide() -> None:
    assert schedule(a_policy(schedule=(Window(0, DAY_S, "hold"),)), a_site(local=None)) is None
    assert schedule(a_policy(), a_site(local=local(MONDAY, 12.0))) is None


# Europe/Brussels: at 01:00 UTC on Sunday 29 March 2026 the clock goes from 02:00 to 03:00,
# at 01:00 UTC on Sunday 25 October 2026 from 03:00 back to 02:00.
SPRING_UTC_S = 1_774_746_000.0
AUTUMN_UTC_S = 1_792_890_000.0


def in_brussels(window: Window, utc_s: float) -> bool:
    offset_s = 7200.0 if SPRING_UTC_S <= utc_s < AUTUMN_UTC_S else 3600.0
    site = a_site(local=LocalTime(utc_s, offset_s))
    return schedule(a_policy(schedule=(window,)), site) == 700.0


def hours_around(window: Window, change_utc_s: float) -> list[float]:
    """The quarter hours in which it holds, two days before to two after, in h from the change."""
    return [hour for hour in quarters(-48, 48) if in_brussels(window, change_utc_s + hour * HOUR_S)]


def quarters(first_h: float, end_h: float) -> list[float]:
    return [quarter / 4 for quarter in range(int(first_h * 4), int(end_h * 4))]


def test_the_hour_that_spring_skips_does_not_come() -> None:
    assert hours_around(discharge(2, 3, weekdays=frozenset({6})), SPRING_UTC_S) == []


def test_the_hour_that_autumn_repeats_comes_twice() -> None:
    window = discharge(2, 3, weekdays=frozenset({6}))
    assert hours_around(window, AUTUMN_UTC_S) == quarters(-1, 1)
    assert not in_brussels(window, AUTUMN_UTC_S - HOUR_S - 1.0)
    assert in_brussels(window, AUTUMN_UTC_S - 1.0)
    assert in_brussels(window, AUTUMN_UTC_S + HOUR_S - 1.0)
    assert not in_brussels(window, AUTUMN_UTC_S + HOUR_S)


def test_the_night_of_the_change_is_an_hour_shorter_or_longer() -> None:
    # From Saturday 22:00 to Sunday 06:00: 21:00 to 04:00 UTC in spring, 20:00 to 05:00 UTC in autumn.
    window = discharge(22, 6, weekdays=frozenset({5}))
    assert hours_around(window, SPRING_UTC_S) == quarters(-4, 3)
    assert hours_around(window, AUTUMN_UTC_S) == quarters(-5, 4)


def test_the_day_of_the_change_has_23_or_25_hours() -> None:
    # Sunday from midnight to midnight: 23:00 to 22:00 UTC in spring, 22:00 to 23:00 UTC in autumn.
    window = discharge(0, 24, weekdays=frozenset({6}))
    assert hours_around(window, SPRING_UTC_S) == quarters(-2, 21)
    assert hours_around(window, AUTUMN_UTC_S) == quarters(-3, 22)
