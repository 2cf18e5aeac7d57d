"""Orders as ordered steps, and the steps' registers as orders again."""

from __future__ import annotations

from dataclasses import replace

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


def test_each_style_names_what_it_goes_by() -> None:
    assert {name: style.needs for name, style in STYLES.items()} == {
        "enabled_watts": (),
        "enabled_percent": ("percent_of",),
        "pinned_percent": ("percent_of", "opposite"),
        "directed_watts": ("direction",),
        "limited_amps": ("volts",),
        "import_watts": ("base",),
    }


SHARED = Control(
    style="directed_watts",
    setpoint="w",
    enable=None,
    direction="mode",
    charging_code=11.0,
    discharging_code=12.0,
    idle_code=8.0,
)
APART = replace(SHARED, setpoint="out_w", charge_setpoint="in_w")


def test_where_both_directions_share_a_register_a_turn_goes_through_0_w() -> None:
    """Otherwise the old power would for a moment go the new way, or the new power the old way."""
    charging: dict[str, Value] = {"mode": 11.0, "w": 3000.0}
    assert change(SHARED, 200.0, charging) == (("w", 0.0), ("mode", 12.0), ("w", 200.0))
    assert change(SHARED, -2000.0, charging) == (("mode", 11.0), ("w", 2000.0))
    assert change(SHARED, 0.0, charging) == (("w", 0.0), ("mode", 8.0), ("w", 0.0))


def test_where_each_direction_has_its_register_the_power_is_there_before_the_turn() -> None:
    assert change(APART, 200.0, {"mode": 11.0}) == (("out_w", 200.0), ("mode", 12.0))
    assert change(APART, -700.0, {"mode": 12.0}) == (("in_w", 700.0), ("mode", 11.0))


@pytest.mark.parametrize("control", [SHARED, APART])
@given(old_w=st.floats(-5000.0, 5000.0), new_w=st.floats(-5000.0, 5000.0))
def test_on_the_way_from_one_order_to_the_next_no_step_holds_more_than_either(
    control: Control, old_w: float, new_w: float
) -> None:
    registers: dict[str, Value] = {"w": 0.0, "in_w": 0.0, "out_w": 0.0, "mode": 8.0}
    registers.update(take(control, old_w, registers))
    assert held(control, registers) == pytest.approx(old_w)
    for name, value in change(control, new_w, registers):
        registers[name] = value
        now_w = held(control, registers)
        assert now_w is not None
        # A register of its own may still hold an older power, which is not in force until the turn.
        assert min(old_w, new_w, 0.0) <= now_w <= max(old_w, new_w, 0.0)
    assert held(control, registers) == pytest.approx(new_w)


def test_a_mode_that_is_none_of_the_three_is_no_order() -> None:
    assert held(SHARED, {"mode": 1.0, "w": 500.0}) is None
    assert held(SHARED, {"mode": 11.0, "w": None}) is None


IMPORTS = Control(style="import_watts", setpoint="pcc", enable=None, base=((1.0, "grid"), (1.0, "battery")))


def test_a_device_that_keeps_an_import_is_told_the_import_that_the_order_leads_to() -> None:
    """400 W come in while the battery gives 600: at rest 1000. To charge with 1500, import 2500."""
    values: dict[str, Value] = {"grid": 400.0, "battery": 600.0}
    assert change(IMPORTS, -1500.0, values) == (("pcc", 2500.0),)
    assert held(IMPORTS, values | {"pcc": 2500.0}) == -1500.0
    with pytest.raises(ValueError, match="not all of grid, battery are available"):
        change(IMPORTS, 100.0, {"grid": 400.0})
    assert held(IMPORTS, {"grid": 400.0, "pcc": 100.0}) is None


def test_a_remote_mode_that_comes_first_is_switched_on_after_the_lease_and_before_the_power() -> None:
    control = replace(APART, enable="remote", enable_first=True, on=4.0, off=1.0, lease=("timer", 60.0))
    assert [name for name, _ in take(control, -100.0, {})] == ["timer", "remote", "in_w", "mode"]
    assert release(control) == (("remote", 1.0), ("timer", 0.0))
    kept = replace(control, renew_lease=True, clear_lease=False)
    assert [name for name, _ in change(kept, -100.0, {})] == ["timer", "in_w", "mode"]
    assert release(kept) == (("remote", 1.0),)


PINNED = Control(
    style="pinned_percent", setpoint="out", enable="ena", percent_of="wmax", opposite="in", on=3.0
)


@given(st.floats(-5000.0, 5000.0))
def test_two_limits_that_are_each_others_negative_pin_one_power(order_w: float) -> None:
    registers: dict[str, Value] = dict(RATED)
    registers.update(take(PINNED, order_w, RATED))
    assert held(PINNED, registers) == pytest.approx(order_w, abs=1e-6)
    assert held(PINNED, registers | {"in": 150.0}) is None
