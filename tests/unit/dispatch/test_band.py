"""The band around 0 W in which an inverter cannot hold a setpoint."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.dispatch.band import borne, out_of_band
from controller.dispatch.limits import Range

WIDE = Range(-5000.0, 5000.0)


@pytest.mark.parametrize("power_w", [0.0, 100.0, -100.0, 101.0, -101.0, 5000.0, -5000.0])
@pytest.mark.parametrize("last_w", [0.0, 3000.0, -3000.0])
def test_zero_and_what_lies_outside_the_band_stay(power_w: float, last_w: float) -> None:
    assert out_of_band(power_w, 100.0, last_w, WIDE) == power_w


@pytest.mark.parametrize("power_w", [0.0, 1.0, -1.0])
def test_an_inverter_without_a_band_holds_everything(power_w: float) -> None:
    assert out_of_band(power_w, 0.0, 0.0, WIDE) == power_w


@pytest.mark.parametrize(
    ("power_w", "last_w", "expected_w"),
    [
        # at rest it starts from 60 W on
        (1.0, 0.0, 0.0),
        (59.0, 0.0, 0.0),
        (60.0, 0.0, 100.0),
        (99.0, 0.0, 100.0),
        # at work it goes on down to 40 W
        (39.0, 100.0, 0.0),
        (40.0, 100.0, 100.0),
        (59.0, 2000.0, 100.0),
        # work below the minimum, or to the other side, is no work to go on with
        (59.0, 99.0, 0.0),
        (59.0, -100.0, 0.0),
        (60.0, -100.0, 100.0),
        # charging mirrors discharging
        (-1.0, 0.0, 0.0),
        (-59.0, 0.0, 0.0),
        (-60.0, 0.0, -100.0),
        (-39.0, -100.0, 0.0),
        (-40.0, -100.0, -100.0),
        (-59.0, -99.0, 0.0),
        (-59.0, 100.0, 0.0),
    ],
)
def test_inside_the_band_the_nearer_end_is_taken_with_hysteresis(
    power_w: float, last_w: float, expected_w: float
) -> None:
    assert out_of_band(power_w, 100.0, last_w, WIDE) == expected_w


@pytest.mark.parametrize(("power_w", "expected_w"), [(0.5, 0.8), (-0.5, -0.8), (0.4, 0.0), (-0.4, 0.0)])
def test_a_band_of_less_than_a_watt_is_one_as_well(power_w: float, expected_w: float) -> None:
    assert out_of_band(power_w, 0.8, 0.0, WIDE) == expected_w
    assert out_of_band(expected_w / 2.0, 0.8, expected_w, WIDE) == expected_w


@pytest.mark.parametrize(
    ("power_w", "room", "expected_w"),
    [
        # the minimum power does not fit: rest
        (90.0, Range(-5000.0, 99.0), 0.0),
        (90.0, Range(-5000.0, 100.0), 100.0),
        (-90.0, Range(-99.0, 5000.0), 0.0),
        (-90.0, Range(-100.0, 5000.0), -100.0),
        # 0 W does not fit: the minimum power, however little is asked for
        (10.0, Range(5.0, 5000.0), 100.0),
        (-10.0, Range(-5000.0, -5.0), -100.0),
        (10.0, Range(5.0, 100.0), 100.0),
        # an edge at 0 W holds 0 W
        (10.0, Range(0.0, 5000.0), 0.0),
        (-10.0, Range(-5000.0, 0.0), 0.0),
        # neither fits
        (10.0, Range(5.0, 50.0), 10.0),
        (-10.0, Range(-50.0, -5.0), -10.0),
    ],
)
def test_the_room_has_the_last_word(power_w: float, room: Range, expected_w: float) -> None:
    assert out_of_band(power_w, 100.0, 0.0, room) == expected_w


@pytest.mark.parametrize(
    ("left", "last_w", "expected"),
    [
        # at its least of 200 W it goes on while the limit misses that by no more than 50 W
        (Range(-900.0, 150.0), 200.0, Range(-900.0, 200.0)),
        (Range(-900.0, 149.0), 200.0, Range(-900.0, 149.0)),
        (Range(-900.0, 199.0), 700.0, Range(-900.0, 200.0)),
        (Range(-900.0, 201.0), 200.0, Range(-900.0, 201.0)),
        # at rest, or at work to the other side, it does not begin so
        (Range(-900.0, 199.0), 0.0, Range(-900.0, 199.0)),
        (Range(-900.0, 199.0), -200.0, Range(-900.0, 199.0)),
        # charging mirrors discharging
        (Range(-150.0, 900.0), -200.0, Range(-200.0, 900.0)),
        (Range(-149.0, 900.0), -200.0, Range(-149.0, 900.0)),
        (Range(-199.0, 900.0), 200.0, Range(-199.0, 900.0)),
        # 0 W is borne as well
        (Range(50.0, 900.0), 0.0, Range(0.0, 900.0)),
        (Range(51.0, 900.0), 0.0, Range(51.0, 900.0)),
        (Range(-900.0, -50.0), 0.0, Range(-900.0, 0.0)),
        (Range(-900.0, -51.0), 0.0, Range(-900.0, -51.0)),
    ],
)
def test_what_a_limit_bears_is_rest_and_the_least_of_a_battery_at_work(
    left: Range, last_w: float, expected: Range
) -> None:
    assert borne(left, 200.0, last_w) == expected


@given(
    st.floats(-5000, 5000), st.floats(-5000, 5000), st.floats(0, 1), st.floats(0, 500), st.floats(-5000, 5000)
)
def test_the_room_is_never_left_and_the_band_only_where_the_room_is_all_inside(
    one_w: float, other_w: float, place: float, min_power_w: float, last_w: float
) -> None:
    room = Range(min(one_w, other_w), max(one_w, other_w))
    power_w = room.clamp(room.lower_w + place * (room.upper_w - room.lower_w))
    found_w = out_of_band(power_w, min_power_w, last_w, room)
    assert room.lower_w <= found_w <= room.upper_w
    assert found_w * power_w >= 0.0
    if 0.0 < abs(found_w) < min_power_w:
        assert found_w == power_w
        assert not room.lower_w <= 0.0 <= room.upper_w
