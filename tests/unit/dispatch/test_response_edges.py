"""The load behind a late meter at its edges: what exactly counts as a turn, a cadence, a jump, the past."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.dispatch.response import NOTHING_HEARD, Response, follow
from controller.dispatch.settings import MeterSettings
from drivers.device import BatteryReading, MeterReading

RATED_W = 5000.0
PROMPT = MeterSettings()
"""20 % of the rating are 1000 W, 2 % are 100 W."""


def a_response(load_w: float = 0.0, battery_w: float = 0.0, **changes: object) -> Response:
    """A meter that showed this load at 10 s, beside a battery that has long given the same."""
    usual = Response(
        ((0.0, battery_w), (10.0, battery_w)),
        load_w,
        0,
        MeterReading(10.0, load_w - battery_w),
        10.0,
        10.0,
        battery_w,
    )
    return replace(usual, **changes)


def after(
    before: Response,
    pcc_w: float,
    battery_w: float = 0.0,
    now_s: float = 11.0,
    settings: MeterSettings = PROMPT,
) -> Response:
    return follow(settings, before, MeterReading(now_s, pcc_w), (now_s, battery_w), RATED_W)[0]


def test_a_reading_with_nothing_new_changes_only_when_it_was_asked() -> None:
    before = a_response(
        500.0,
        unconfirmed=-1,
        cadence_s=3.0,
        slack_s=2.0,
        turned_at_s=4.0,
        moved_w=-200.0,
        moved_at_s=5.0,
        values=((9.0, 1.0), (10.0, 500.0)),
    )
    read = ((BatteryReading(10.5, 0.0),), ())
    unchanged, news = follow(PROMPT, before, MeterReading(11.0, 500.0), (10.0, 0.0), RATED_W, read=read)
    assert not news
    assert unchanged == replace(before, polled_at_s=11.0, read=read)


def test_a_load_that_was_misread_is_put_right_while_the_meter_and_the_battery_stand_still() -> None:
    # 5000 W are given and 2000 exported, so the house takes 3000; a wrong reading had made 6106 of it.
    misread = a_response(3000.0, 5000.0, net_load_w=6106.0)
    assert after(misread, -2000.0, 5000.0, now_s=13.9).net_load_w == 6106.0
    assert after(misread, -2000.0, 5000.0, now_s=14.0).net_load_w == 3000.0
    # A battery that moved by 40 W must be seen first: until then the meter may be frozen.
    assert after(misread, -2000.0, 5040.0, now_s=14.0).net_load_w == 6106.0
    late = MeterSettings(period_s=1.0, delay_s=2.0)
    assert after(misread, -2000.0, 5000.0, now_s=17.9, settings=late).net_load_w == 6106.0
    assert after(misread, -2000.0, 5000.0, now_s=18.0, settings=late).net_load_w == 3000.0
    seen_slow = replace(misread, cadence_s=3.0)
    assert after(seen_slow, -2000.0, 5000.0, now_s=19.9).net_load_w == 6106.0
    assert after(seen_slow, -2000.0, 5000.0, now_s=20.0).net_load_w == 3000.0


def test_a_battery_that_was_not_read_when_the_value_was_new_is_taken_from_its_next_reading() -> None:
    # 1200 W were read, 1500 are ordered, and the meter has seen it; 40 W are 0.8 % of the rating.
    def heard(before: Response, now_s: float, battery_w: float, more_w: float) -> Response:
        meter = MeterReading(now_s, 300.0)
        return follow(PROMPT, before, meter, (now_s, battery_w), RATED_W, unseen_w=(-1.0, more_w))[0]

    seen = heard(a_response(1500.0, 1200.0, value=MeterReading(10.0, 600.0)), 11.0, 1200.0, 300.0)
    assert (seen.battery_then_w, seen.then_unsure) == (1200.0, True)
    still_unread = heard(seen, 12.0, 1200.0, 39.0)
    assert (still_unread.battery_then_w, still_unread.then_unsure) == (1200.0, True)
    read = heard(still_unread, 13.0, 1490.0, 38.9)
    assert (read.battery_then_w, read.then_unsure) == (1490.0, False)
    moved_on = heard(read, 14.0, 1600.0, 0.0)
    assert (moved_on.battery_then_w, moved_on.then_unsure) == (1490.0, False)
    assert not heard(a_response(1500.0, 1200.0), 11.0, 1200.0, 38.9).then_unsure


def test_a_jump_of_a_fifth_of_the_rating_is_believed_and_a_larger_one_at_the_second_reading() -> None:
    assert after(a_response(), 1000.0).net_load_w == 1000.0
    assert after(a_response(), -1000.0).net_load_w == -1000.0
    for side in (1, -1):
        jumped = after(a_response(), side * 1001.0)
        assert (jumped.net_load_w, jumped.unconfirmed) == (0.0, side)
        confirmed = after(jumped, side * 1002.0, now_s=12.0)
        assert (confirmed.net_load_w, confirmed.unconfirmed) == (side * 1002.0, 0)
        other_way = after(jumped, side * -1002.0, now_s=12.0)
        assert (other_way.net_load_w, other_way.unconfirmed) == (0.0, -side)


def test_a_load_that_moves_by_two_percent_of_the_rating_has_not_moved() -> None:
    before = a_response(moved_w=7.0, moved_at_s=3.0)
    still = after(before, 100.0)
    assert (still.moved_w, still.moved_at_s) == (7.0, 3.0)
    moved = after(before, 101.0)
    assert (moved.moved_w, moved.moved_at_s) == (101.0, 11.0)


def test_the_first_movement_of_all_is_no_turn() -> None:
    moved = after(a_response(), 500.0)
    assert (moved.turned_at_s, moved.slack_s) == (float("-inf"), 0.0)


def test_doubt_wanes_by_half_after_two_calm_minutes_down_to_half_a_second() -> None:
    def waned(slack_s: float, turned_at_s: float) -> tuple[float, float]:
        now = after(a_response(slack_s=slack_s, turned_at_s=turned_at_s), 1.0)
        return now.slack_s, now.turned_at_s

    assert waned(4.0, -109.0) == (4.0, -109.0)
    assert waned(4.0, -109.5) == (2.0, 11.0)
    assert waned(1.0, -109.5) == (0.5, 11.0)
    assert waned(0.9, -109.5) == (0.0, 11.0)
    assert waned(0.0, -109.5) == (0.0, -109.5)
    early = after(a_response(slack_s=4.0, turned_at_s=150.0, polled_at_s=199.0), 1.0, now_s=200.0)
    assert early.slack_s == 4.0


def test_the_cadence_is_learnt_from_values_that_lasted_while_the_battery_moved() -> None:
    def learnt_s(lasted_s: float, moved_w: float, cadence_s: float = 0.0, gap_s: float = 1.0) -> float:
        now_s = 10.0 + lasted_s
        before = a_response(polled_at_s=now_s - gap_s, cadence_s=cadence_s)
        return after(before, 7.0, moved_w, now_s).cadence_s

    assert learnt_s(8.0, 1000.0) == 8.0
    assert learnt_s(8.0, -1000.0) == 8.0
    assert learnt_s(8.0, 100.0) == 8.0
    assert learnt_s(8.0, 99.0) == 0.0
    assert learnt_s(8.0, 99.0, cadence_s=5.0) == 5.0
    assert learnt_s(8.0, 1000.0, cadence_s=4.0) == 6.0
    assert learnt_s(60.0, 1000.0) == 60.0
    assert learnt_s(60.5, 1000.0) == 0.0


def test_a_meter_with_news_at_every_reading_is_soon_believed_to_be_prompt() -> None:
    def learnt_s(cadence_s: float, gap_s: float = 1.0) -> float:
        before = a_response(polled_at_s=10.0, cadence_s=cadence_s)
        return after(before, 7.0, 1000.0, 10.0 + gap_s).cadence_s

    assert learnt_s(8.0) == 4.0
    assert learnt_s(1.5) == 0.75
    assert learnt_s(1.0) == 0.0
    assert learnt_s(0.5) == 0.0
    assert learnt_s(8.0, gap_s=3.0) == 4.0
    assert learnt_s(2.0, gap_s=3.0) == 0.0


def test_only_the_past_that_may_be_asked_for_is_kept() -> None:
    # 10 s of delay and 10 % of it, a period of 4 s, 45 s for turns, 18 s for a meter later than said: 78 s.
    late = MeterSettings(delay_s=10.0, period_s=4.0)

    def kept(settings: MeterSettings, span_s: float, **changes: object) -> tuple[float, ...]:
        past = tuple((at_s, 0.0) for at_s in (0.0, 10.0, 20.0, 30.0, 40.0))
        before = replace(NOTHING_HEARD, samples=past, **changes)
        return tuple(at_s for at_s, _ in after(before, 1.0, now_s=20.0 + span_s, settings=settings).samples)

    assert kept(late, 77.9)[0] == 10.0
    assert kept(late, 78.0)[0] == 20.0
    assert kept(PROMPT, 62.9)[0] == 10.0
    assert kept(PROMPT, 63.0)[0] == 20.0
    assert kept(PROMPT, 64.9, cadence_s=2.0)[0] == 10.0
    assert kept(PROMPT, 65.0, cadence_s=2.0)[0] == 20.0
    assert kept(late, 78.0, cadence_s=2.0)[0] == 20.0
    assert kept(PROMPT, 500.0) == (40.0, 520.0)


def test_what_the_battery_gave_between_two_readings_is_on_a_straight_line() -> None:
    # A prompt meter polled every second: the value is from 10 s to 11 s, the battery went 0 to 600 W.
    before = a_response(0.0)
    assert after(before, 0.0, 600.0).net_load_w == 0.0
    assert after(before, -600.5, 600.0).net_load_w == -0.5
    # With 1 s of delay (and 0.1 s of doubt) it is from 8.9 to 10.1 s: 60 W at most.
    late = MeterSettings(delay_s=1.0, period_s=1.0)
    assert after(before, 100.0, 600.0, settings=late).net_load_w == pytest.approx(100.0)
    assert after(before, -100.0, 600.0, settings=late).net_load_w == pytest.approx(-40.0)


def bounds_w(before: Response, battery_w: float, settings: MeterSettings) -> tuple[float, float]:
    """The least and the most that the battery can have given when a value of 0 W at 11 s was measured."""

    def nearest_to(load_w: float) -> float:
        meter, battery = MeterReading(11.0, 0.0), (11.0, battery_w)
        return follow(settings, replace(before, net_load_w=load_w), meter, battery, 1e6)[0].net_load_w

    return nearest_to(-1e5), nearest_to(1e5)


EACH_SECOND = MeterSettings(period_s=1.0)


def past(*samples: tuple[float, float], **changes: object) -> Response:
    return a_response(7.0, samples=samples, **changes)


def test_the_battery_moves_on_straight_lines_between_its_readings() -> None:
    assert bounds_w(past((9.0, 800.0)), 400.0, EACH_SECOND) == (400.0, 600.0)
    assert bounds_w(past((9.0, 200.0)), 600.0, EACH_SECOND) == (400.0, 600.0)
    # From 7 s on, with two readings of the battery in between.
    each_four = MeterSettings(period_s=4.0)
    deep = past((0.0, 0.0), (8.0, -300.0), (9.5, 900.0), polled_at_s=6.5)
    assert bounds_w(deep, 100.0, each_four) == (-300.0, 900.0)
    high = past((0.0, 0.0), (8.0, 900.0), (9.5, -300.0), polled_at_s=6.5)
    assert bounds_w(high, 100.0, each_four) == (-300.0, 900.0)
    assert bounds_w(past((0.0, 0.0), (10.0, 500.0)), 100.0, EACH_SECOND) == (100.0, 500.0)


def test_between_readings_more_than_two_seconds_apart_it_may_have_given_all_that_lies_between_them() -> None:
    assert bounds_w(past((8.9, 1000.0)), 400.0, EACH_SECOND) == (400.0, 1000.0)
    assert bounds_w(past((8.0, 1000.0)), 400.0, MeterSettings(delay_s=1.0, period_s=1.0)) == (400.0, 1000.0)
    # From 6.8 s to 9.2 s: after the first reading, and before the third.
    late, three = MeterSettings(delay_s=2.0, period_s=2.0), ((0.0, 0.0), (7.0, 500.0), (10.0, 900.0))
    assert bounds_w(past(*three, polled_at_s=6.0), 100.0, late) == (0.0, 900.0)
    # From 9.8 s on: the first two readings say nothing.
    assert bounds_w(past((0.0, 0.0), (4.0, 700.0), (9.0, 300.0)), 200.0, EACH_SECOND) == (200.0, 250.0)


def test_what_was_given_after_the_last_instant_that_a_value_may_be_of_says_nothing() -> None:
    # From 4.5 s to just 6.5 s, when the battery was read; then it was not until now.
    late = MeterSettings(delay_s=5.0, period_s=1.0)
    assert bounds_w(past((4.5, 100.0), (6.5, 300.0)), 900.0, late) == (100.0, 300.0)


def test_a_battery_read_last_when_the_value_can_have_been_measured_first_is_where_it_was_read() -> None:
    before, meter = past((0.0, 0.0), (10.0, 500.0)), MeterReading(11.0, 300.0)
    assert follow(EACH_SECOND, before, meter, (10.0, 500.0), RATED_W)[0].net_load_w == 800.0


def test_a_battery_that_is_read_each_five_seconds_is_not_taken_for_load() -> None:
    # A load of 300 W. Two seconds after each reading the battery jumps; the meter shows what was 2 s ago.
    late, response = MeterSettings(delay_s=2.0), None
    loads_w = []
    for now_s, battery_w, jumps_to_w in ((0.0, 0.0, 0.0), (5.0, 3000.0, 3000.0), (10.0, 2300.0, 2300.0)):
        before = NOTHING_HEARD if response is None else response
        meter = MeterReading(now_s, 300.0 - jumps_to_w)
        response, _ = follow(late, before, meter, (now_s, battery_w), 5000.0)
        loads_w.append(response.net_load_w)
    assert loads_w == [300.0, 300.0, 300.0]


RISING = ((6.0, 0.0), (8.0, 400.0), (10.0, 800.0))
"""To 11 s the battery goes from 0 to 1000 W, 200 W a second."""


def test_a_value_is_no_older_than_the_last_poll_or_the_meters_period() -> None:
    each_four = MeterSettings(period_s=4.0)
    assert bounds_w(past(*RISING), 1000.0, each_four) == (800.0, 1000.0)
    assert bounds_w(past(*RISING, polled_at_s=6.5), 1000.0, each_four) == (200.0, 1000.0)
    assert bounds_w(past(*RISING, polled_at_s=8.0), 1000.0, EACH_SECOND) == (800.0, 1000.0)
    learnt = past(*RISING, polled_at_s=8.0, seen_at_s=8.0, cadence_s=8.0)
    assert bounds_w(learnt, 1000.0, EACH_SECOND) == (400.0, 1000.0)


def test_delay_and_doubt_widen_the_time_a_value_may_be_from() -> None:
    late = MeterSettings(delay_s=2.0, period_s=1.0)
    assert bounds_w(past(*RISING), 1000.0, late) == (pytest.approx(360.0), pytest.approx(640.0))
    assert bounds_w(past(*[(at_s, power_w + 200.0) for at_s, power_w in RISING]), 1200.0, late) == (
        pytest.approx(560.0),
        pytest.approx(840.0),
    )
    assert bounds_w(past(*RISING, slack_s=1.0), 1000.0, EACH_SECOND) == (600.0, 1000.0)


def test_a_swing_of_the_house_does_not_keep_an_old_doubt_alive() -> None:
    swinging = a_response(500.0, moved_w=400.0, moved_at_s=5.0, slack_s=4.0)
    assert after(swinging, 100.0).slack_s == 2.0


def test_a_jump_that_stays_to_the_watt_is_believed_once_the_meter_must_have_measured_again() -> None:
    jumped = after(a_response(500.0, 500.0), 3000.0, 500.0)
    assert (jumped.net_load_w, jumped.unconfirmed) == (500.0, 1)
    again = after(jumped, 3000.0, 500.0, 12.0)
    assert (again.net_load_w, again.unconfirmed) == (3500.0, 0)
    slow = MeterSettings(period_s=4.0)
    waits = after(jumped, 3000.0, 500.0, 14.9, slow)
    assert (waits.net_load_w, waits.unconfirmed) == (500.0, 1)
    assert after(waits, 3000.0, 500.0, 15.0, slow).net_load_w == 3500.0
    down = after(after(a_response(500.0, 500.0), -3000.0, 500.0), -3000.0, 500.0, 12.0)
    assert (down.net_load_w, down.unconfirmed) == (-2500.0, 0)


def test_a_delay_is_not_doubted_by_less_than_the_time_between_two_looks() -> None:
    # A load that switches every half minute beside a PV cap that follows it, looked at when it has.
    looks = (
        (0, 66, 272),
        (1, 66, 56),
        (30, 330, 56),
        (31, 330, 539),
        (32, 330, 373),
        (60, 66, 320),
        (61, 66, 66),
        (90, 306, 66),
        (91, 306, 488),
        (92, 306, 343),
        (120, 66, 296),
        (121, 66, 65),
        (150, 318, 65),
    )
    response = NOTHING_HEARD
    for now_s, load_w, given_w in looks:
        response = after(response, float(load_w - given_w), float(given_w), float(now_s))
        assert response.slack_s == 0.0


def late_by(late_s: float, every_s: int, until_s: int, pause: range = range(0)) -> Response:
    """1 kW of load; the battery gives 600 W from 12 s on, seen so often and really so much later."""
    response = NOTHING_HEARD
    for at_s in range(-40, until_s + 1, every_s):
        if at_s in pause:
            continue
        pcc_w = 1000.0 + at_s // every_s % 2 - (600.0 if at_s - late_s >= 12.0 else 0.0)
        response = after(response, pcc_w, 600.0 if at_s >= 12 else 0.0, float(at_s))
    return response


def test_with_a_look_a_second_a_meter_late_by_one_is_found_and_with_one_in_four_only_more_is() -> None:
    assert late_by(1.0, 1, 13).slack_s == 2.0
    assert late_by(8.0, 4, 20).slack_s == 9.0, "8 s, found after 1, 2 and 3 s were left out"
    assert late_by(1.0, 1, 13, range(5, 9)).slack_s == 6.0, "nobody looked from 4 to 9 s"


def test_a_second_of_work_that_the_meter_has_not_shown_puts_its_delay_in_doubt() -> None:
    # 600 W for a second at 12 s are no wrong reading: that would be more than a fifth of the rating.
    response = NOTHING_HEARD
    for second in range(14):
        given_w = 600.0 if second == 12 else 0.0
        response = after(response, 1000.0 + second % 2, given_w, float(second))
    assert response.slack_s == 3.0, "late by two seconds it would not have shown it yet"


def test_a_jump_that_stands_and_that_the_battery_may_explain_after_all_changes_nothing() -> None:
    # 3000 W with the battery between -2060 and -2700 W: a load between 300 and 940 W, and it was 500 W.
    jumped = after(a_response(500.0, 500.0), 3000.0, 500.0)
    again = after(jumped, 3000.0, -2700.0, 12.0)
    assert (again.net_load_w, again.unconfirmed) == (500.0, 0)
