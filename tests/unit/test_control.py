"""Orders as ordered steps, and the steps' registers as orders again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.control import STYLES, Control, change, held, release, take
from drivers.registers import Value

WATTS = Control(
    style="enabled_watts",
    setpoint="wset",
    enable="ena",
    prepare=(("fallback", 0.0),),
    select=(("mod", 1.0),),
    lease=("timer", 30.0),
)
PERCENT = Control(
    style="enabled_percent", setpoint="limit", enable="ena", percent_of="wmax", enable_each_time=True
)
RATED: dict[str, Value] = {"wmax": 5000.0}


def test_taking_over_arms_the_lease_before_the_value_and_enables_last() -> None:
    assert take(WATTS, -1500.0, {}) == (
        ("fallback", 0.0),
        ("timer", 30.0),
        ("wset", -1500.0),
        ("mod", 1.0),
        ("ena", 1.0),
    )


def test_a_device_taken_over_needs_only_the_new_value() -> None:
    assert change(WATTS, 2000.0, {}) == (("wset", 2000.0),)


def test_a_device_that_wants_it_is_enabled_with_each_change() -> None:
    assert change(PERCENT, 1250.0, RATED) == (("limit", 25.0), ("ena", 1.0))


def test_releasing_disables_before_the_timer_is_cleared() -> None:
    assert release(WATTS) == (("ena", 0.0), ("timer", 0.0))
    assert release(PERCENT) == (("ena", 0.0),)


def test_a_cap_above_the_nameplate_is_a_hundred_percent() -> None:
    assert take(PERCENT, 6000.0, RATED) == (("limit", 100.0), ("ena", 1.0))


@pytest.mark.parametrize("wmax", [None, 0.0, -5000.0, "5000"])
def test_without_a_nameplate_there_are_no_percent(wmax: Value) -> None:
    with pytest.raises(ValueError, match="1250 W cannot be said in percent"):
        take(PERCENT, 1250.0, {"wmax": wmax})
    assert held(PERCENT, {"limit": 25.0, "ena": 1.0, "wmax": wmax}) is None


@pytest.mark.parametrize(
    ("changed", "order_w"),
    [
        ({}, -1500.0),
        ({"ena": 0.0}, None),
        ({"ena": None}, None),
        ({"mod": 0.0}, None),
        ({"wset": None}, None),
        ({"wset": 0.0}, 0.0),
    ],
)
def test_an_order_is_held_only_while_enabled_and_selected(
    changed: dict[str, Value], order_w: float | None
) -> None:
    assert held(WATTS, {"wset": -1500.0, "mod": 1.0, "ena": 1.0} | changed) == order_w


def test_every_point_that_is_used_is_named_once() -> None:
    assert WATTS.points() == ("wset", "ena", "fallback", "mod", "timer")
    assert PERCENT.points() == ("limit", "ena", "wmax")


@given(st.sampled_from((WATTS, PERCENT)), st.floats(0.0, 5000.0))
def test_the_registers_after_taking_over_amount_to_the_order(control: Control, order_w: float) -> None:
    registers: dict[str, Value] = dict(RATED)
    registers.update(take(control, order_w, RATED))
    assert held(control, registers) == pytest.approx(order_w)
    registers.update(release(control))
    assert held(control, registers) is None


@given(st.floats(-1e4, 1e4), st.sampled_from((0.0, 1.0)), st.integers(0, 5))
def test_nothing_stale_takes_effect_while_a_device_is_taken_over(
    left_over_w: float, mode: float, done: int
) -> None:
    """Whatever a disabled device held before, no step on the way enables any other order than ours."""
    registers: dict[str, Value] = {"wset": left_over_w, "mod": mode, "timer": 3600.0, "ena": 0.0}
    for name, value in take(WATTS, 700.0, {})[:done]:
        registers[name] = value
        if registers["ena"] == 1.0:
            assert registers["timer"] == 30.0
    assert held(WATTS, registers) in (None, 700.0)


def test_each_style_says_whether_it_needs_to_know_what_100_percent_are() -> None:
    assert {name: style.needs_percent_of for name, style in STYLES.items()} == {
        "enabled_watts": False,
        "enabled_percent": True,
    }
