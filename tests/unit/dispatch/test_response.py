"""The load behind a meter that is late, slow or both, and a battery that moves meanwhile."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.dispatch.response import NOTHING_HEARD, Response, follow
from controller.dispatch.settings import MeterSettings
from drivers.device import MeterReading

RATED_W = 5000.0
PROMPT = MeterSettings()


def after(
    response: Response,
    now_s: float,
    pcc_w: float,
    battery_w: float,
    settings: MeterSettings = PROMPT,
) -> Response:
    return follow(settings, response, MeterReading(now_s, pcc_w), (now_s, battery_w), RATED_W)[0]


def heard(*seconds: tuple[float, float, float], settings: MeterSettings = PROMPT) -> Response:
    """The response after these (time, PCC, battery)."""
    response = NOTHING_HEARD
    for now_s, pcc_w, battery_w in seconds:
        response = after(response, now_s, pcc_w, battery_w, settings)
    return response


def test_the_first_reading_is_the_load_as_it_stands() -> None:
    assert heard((0.0, 800.0, 500.0)).net_load_w == 1300.0


def test_a_load_that_moves_a_little_is_believed_at_once() -> None:
    assert heard((0.0, 0.0, 500.0), (1.0, 900.0, 500.0)).net_load_w == 1400.0


def test_the_gate_is_a_fifth_of_the_rating() -> None:
    assert heard((0.0, 0.0, 500.0), (1.0, 1000.0, 500.0)).net_load_w == 1500.0
    jumped = heard((0.0, 0.0, 500.0), (1.0, 1000.5, 500.0))
    assert (jumped.net_load_w, jumped.unconfirmed) == (500.0, 1)


def test_a_jump_is_believed_when_the_next_reading_confirms_it() -> None:
    jumped = heard((0.0, 0.0, 500.0), (1.0, 3000.0, 500.0))
    assert after(jumped, 2.0, 2950.0, 500.0).net_load_w == 3450.0
    down = heard((0.0, 0.0, 3500.0), (1.0, -3000.0, 3500.0))
    assert (down.net_load_w, down.unconfirmed) == (3500.0, -1)
    assert after(down, 2.0, -2900.0, 3500.0).net_load_w == 600.0


def test_a_spike_of_one_reading_moves_nothing() -> None:
    spike = heard((0.0, 0.0, 500.0), (1.0, 9000.0, 500.0))
    calm = after(spike, 2.0, 10.0, 500.0)
    assert (spike.net_load_w, calm.net_load_w, calm.unconfirmed) == (500.0, 510.0, 0)


def test_a_jump_up_does_not_confirm_a_jump_down() -> None:
    up = heard((0.0, 0.0, 500.0), (1.0, 9000.0, 500.0))
    down = after(up, 2.0, -9000.0, 500.0)
    assert (down.net_load_w, down.unconfirmed) == (500.0, -1)


def test_the_same_values_again_are_no_news() -> None:
    first = heard((0.0, 300.0, 500.0))
    again, news = follow(PROMPT, first, MeterReading(1.0, 300.0), (1.0, 700.0), RATED_W)
    assert not news
    assert (again.net_load_w, again.seen_at_s, again.polled_at_s) == (800.0, 0.0, 1.0)
    assert again.samples[-1] == (1.0, 700.0)


@pytest.mark.parametrize(
    "change",
    [
        {"pcc_import_w": 301.0},
        {"phase_import_w": (100.0, 100.0, 101.0)},
        {"phase_voltage_v": (230.1,)},
        {"phase_current_a": (1.3,)},
        {"frequency_hz": 50.01},
        {"import_wh": 1.0},
        {"export_wh": 1.0},
    ],
)
def test_any_changed_value_is_news(change: dict[str, object]) -> None:
    first = heard((0.0, 300.0, 500.0))
    _, news = follow(PROMPT, first, replace(MeterReading(1.0, 300.0), **change), (1.0, 500.0), RATED_W)
    assert news


def test_a_late_meter_is_paired_with_what_the_battery_did_then() -> None:
    # The meter shows what was 2 s ago: then the battery still gave 0 W, now it gives 1000 W.
    late = MeterSettings(delay_s=2.0, period_s=0.2)
    start = ((0.0, 999.0, 0.0), (1.0, 1001.0, 0.0), (2.0, 1000.0, 0.0), (3.0, 999.0, 1000.0))
    response = heard(*start, settings=late)
    assert response.net_load_w == pytest.approx(1000.0, abs=1.0)
    response = after(response, 4.0, 1000.0, 1000.0, late)
    assert response.net_load_w == pytest.approx(1000.0, abs=1.0)
    # At 5.2 s it shows the time from 3.0 to 3.2 s, when the battery gave 1000 W.
    response = after(response, 5.2, 0.0, 1000.0, late)
    assert response.net_load_w == pytest.approx(1000.0, abs=1.0)


def test_a_load_that_the_battery_may_explain_has_not_changed() -> None:
    # A meter with a new value every second: the battery went from 0 to 1000 W in that very second.
    slow = MeterSettings(period_s=1.0)
    response = heard((0.0, 1000.0, 0.0), (1.0, 999.0, 0.0), (2.0, 400.0, 1000.0), settings=slow)
    assert response.net_load_w == pytest.approx(999.0, abs=1e-9)


def test_a_load_beyond_what_the_battery_may_explain_moves_to_the_nearest_edge() -> None:
    slow = MeterSettings(period_s=1.0)
    response = heard((0.0, 1000.0, 0.0), (1.0, 999.0, 0.0), (2.0, 1400.0, 1000.0), settings=slow)
    # Between 1400 + 0 and 1400 + 1000 W; the load was 999 W.
    assert response.net_load_w == pytest.approx(1400.0, abs=1e-9)
    response = heard((0.0, 1000.0, 0.0), (1.0, 999.0, 0.0), (2.0, -500.0, 1000.0), settings=slow)
    assert response.net_load_w == pytest.approx(500.0, abs=1e-9)


def test_the_cadence_is_learnt_from_values_that_should_have_changed() -> None:
    response = heard((0.0, 1000.0, 0.0))
    for second in range(1, 5):
        response = after(response, float(second), 1000.0, 1000.0)
    response = after(response, 5.0, 0.0, 1000.0)
    assert response.cadence_s == 5.0
    quick = after(after(response, 6.0, 1.0, 1000.0), 7.0, 2.0, 1000.0)
    assert quick.cadence_s == 1.25


def test_an_idle_house_does_not_make_a_meter_slow() -> None:
    response = heard((0.0, 1000.0, 500.0))
    for second in range(1, 30):
        response = after(response, float(second), 1000.0, 500.0)
    assert after(response, 30.0, 1001.0, 500.0).cadence_s == 0.0


def test_a_pause_of_over_a_minute_teaches_nothing_about_the_meter() -> None:
    response = after(heard((0.0, 1000.0, 0.0)), 40.0, 1000.0, 1000.0)
    response = after(response, 61.0, 0.0, 1000.0)
    assert response.cadence_s == 0.0


def swinging(late_s: float, settings: MeterSettings, until_s: int) -> Response:
    """1 kW of load; the battery gives 600 W from 12 s on, and the meter really is late by `late_s`."""
    response = NOTHING_HEARD
    for second in range(until_s + 1):
        pcc_w = 1000.0 + second % 2 - (600.0 if second - late_s >= 12.0 else 0.0)
        response = after(response, float(second), pcc_w, 600.0 if second >= 12 else 0.0, settings)
    return response


def test_a_load_that_swings_with_the_battery_puts_the_meters_delay_in_doubt() -> None:
    # From 13 s on the load seems to be 1600 W, from 17 s on 1000 W again: the meter is 5 s late.
    assert swinging(5.0, PROMPT, 16).slack_s == 0.0
    turned = swinging(5.0, PROMPT, 17)
    assert (turned.slack_s, turned.turned_at_s) == (6.0, 17.0)


def test_a_meter_that_is_earlier_than_its_profile_says_is_found_out_too() -> None:
    # The profile says 10 s, the meter shows the battery at once: from 23 s on the load is 1000 W again.
    late = MeterSettings(delay_s=10.0)
    assert max(swinging(0.0, late, second).slack_s for second in range(12, 30)) == 11.0


def test_a_house_that_swings_by_itself_does_not_put_the_meters_delay_in_doubt() -> None:
    response = heard((0.0, 0.0, 500.0), (1.0, 500.0, 500.0))
    turned = after(response, 20.0, 100.0, 500.0)
    assert (turned.slack_s, turned.turned_at_s) == (0.0, 20.0)


def test_movements_far_apart_are_the_house_and_not_the_meter() -> None:
    before = swinging(5.0, PROMPT, 16)
    just = replace(before, moved_at_s=17.0 - 45.0)
    assert after(just, 17.0, 401.0, 600.0).slack_s == 6.0
    long_ago = replace(before, moved_at_s=17.0 - 45.1)
    assert after(long_ago, 17.0, 401.0, 600.0).slack_s == 0.0


def test_the_doubt_about_the_delay_wanes_when_all_is_calm() -> None:
    response = replace(heard((0.0, 0.0, 500.0)), slack_s=2.0, turned_at_s=0.0)
    assert after(response, 120.0, 1.0, 500.0).slack_s == 2.0
    calm = after(response, 120.5, 1.0, 500.0)
    assert (calm.slack_s, calm.turned_at_s) == (1.0, 120.5)
    assert after(replace(calm, slack_s=0.9), 241.5, 2.0, 500.0).slack_s == 0.0


def test_doubt_about_the_delay_widens_the_window() -> None:
    # With 2 s of doubt a reading at 3 s may be of any instant since 0.8 s, when the battery gave 0 W.
    base = heard((0.0, 1000.0, 0.0), (1.0, 1001.0, 0.0), (2.0, 400.0, 600.0))
    unsure = replace(base, slack_s=2.0, turned_at_s=2.0, net_load_w=1000.0)
    assert after(unsure, 3.0, 900.0, 600.0).net_load_w == 1000.0
    sure = replace(base, slack_s=0.0, net_load_w=1000.0)
    assert after(sure, 3.0, 900.0, 600.0).net_load_w == 1500.0


def test_only_so_much_of_the_past_is_kept() -> None:
    response = NOTHING_HEARD
    for number in range(1000):
        response = after(response, number * 0.1, 1000.0 + number % 2, float(number))
    assert 60 <= len(response.samples) <= 80
    assert response.samples[-1] == (pytest.approx(99.9), 999.0)
    assert response.samples[0][0] >= 99.9 - 64.0


def test_a_battery_reading_that_is_not_newer_is_not_kept_twice() -> None:
    response = heard((1.0, 100.0, 500.0))
    later, _ = follow(PROMPT, response, MeterReading(2.0, 200.0), (1.0, 500.0), RATED_W)
    assert later.samples == ((1.0, 500.0),)


def test_what_is_caused_by_our_own_pv_cap_is_no_change_of_the_load() -> None:
    # 4000 W of sun on 500 W of load, capped to 1000 W: meter and PV move by 3000 W in the same second.
    before, _ = follow(PROMPT, NOTHING_HEARD, MeterReading(0.0, -3500.0), (0.0, 4000.0), RATED_W, 4000.0)
    after_cap, _ = follow(PROMPT, before, MeterReading(1.0, -500.0), (1.0, 1000.0), RATED_W, 1000.0)
    assert (after_cap.net_load_w, after_cap.unconfirmed, after_cap.pv_w) == (500.0, 0, 1000.0)
