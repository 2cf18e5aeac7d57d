"""The last gate lets no order through that the hardware should never see."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.device import DeviceError
from drivers.guard import Guard, GuardError


def a_guard(writes_per_day: int | None = None) -> Guard:
    return Guard(rated_charge_w=3000.0, rated_discharge_w=5000.0, writes_per_day=writes_per_day)


@pytest.mark.parametrize("battery_discharge_w", [0.0, 5000.0, 5000.5, -3000.0, -3000.5])
def test_an_order_inside_the_nameplate_passes(battery_discharge_w: float) -> None:
    a_guard().check(battery_discharge_w)


@pytest.mark.parametrize("battery_discharge_w", [5000.6, -3000.6, 1e9, math.inf, -math.inf, math.nan])
def test_an_order_beyond_the_nameplate_or_no_number_is_refused(battery_discharge_w: float) -> None:
    with pytest.raises(GuardError):
        a_guard().check(battery_discharge_w)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_whatever_passes_is_within_half_a_watt_of_the_nameplate(battery_discharge_w: float) -> None:
    try:
        a_guard().check(battery_discharge_w)
    except GuardError:
        assert not -3000.0 <= battery_discharge_w <= 5000.0
    else:
        assert -3000.5 <= battery_discharge_w <= 5000.5


def test_a_refusal_tells_the_operator_the_order_and_the_nameplate() -> None:
    with pytest.raises(DeviceError, match=r"order of 7000\.0 W: the nameplate allows -3000 W to 5000 W"):
        a_guard().check(7000.0)


def test_a_cap_of_nothing_passes_and_a_negative_or_endless_one_does_not() -> None:
    a_guard().check_cap(0.0)
    for pv_cap_w in (-1.0, math.nan, math.inf):
        with pytest.raises(GuardError):
            a_guard().check_cap(pv_cap_w)


def test_the_write_budget_is_one_of_any_24_hours_and_not_of_a_calendar_day() -> None:
    guard = a_guard(writes_per_day=2)
    guard.spend_write(now_s=0.0)
    guard.spend_write(now_s=80_000.0)
    with pytest.raises(GuardError, match="all 2 of 24 h are used up, the next is free in 1 min"):
        guard.spend_write(now_s=86_340.0)
    guard.spend_write(now_s=86_400.0)
    with pytest.raises(GuardError):
        guard.spend_write(now_s=86_401.0)
    guard.spend_write(now_s=166_400.0)


def test_a_device_that_does_not_wear_may_be_written_for_ever() -> None:
    guard = a_guard(writes_per_day=None)
    for second in range(1000):
        guard.spend_write(now_s=float(second))


@given(st.lists(st.floats(0.0, 3600.0), max_size=200), st.integers(1, 5))
def test_no_24_hours_ever_see_more_writes_than_the_budget(gaps_s: list[float], budget: int) -> None:
    guard, now_s, written_at_s = a_guard(writes_per_day=budget), 0.0, []
    for gap_s in gaps_s:
        now_s += gap_s * 12
        try:
            guard.spend_write(now_s)
        except GuardError:
            continue
        written_at_s.append(now_s)
    for start_s in written_at_s:
        assert sum(0.0 <= at_s - start_s < 86_400.0 for at_s in written_at_s) <= budget


def test_a_nameplate_that_guards_nothing_is_no_nameplate() -> None:
    for rated_w in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="guards nothing"):
            Guard(rated_w, 5000.0, None)
    with pytest.raises(ValueError, match="at least 1"):
        Guard(3000.0, 5000.0, 0)
