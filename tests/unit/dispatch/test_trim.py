"""An inverter that is a few percent off is ordered so that it does what is meant."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.dispatch.decision import Memory
from controller.dispatch.limits import Range
from controller.dispatch.modes import Mode
from controller.dispatch.settings import DispatchConfig
from controller.dispatch.site import BatterySite, Site
from controller.dispatch.step import step
from controller.dispatch.trim import EXACT, Trim, Trims, learn, trimmed_w
from drivers.device import BatteryReading
from tests.unit.dispatch.sites import FIVE_KW, RUNNING, TWO_KW, a_config, a_snapshot

ALONE = DispatchConfig((FIVE_KW,))
WHOLE = Range(-5000.0, 5000.0)


def site(now_s: float, done_w: float, pcc_import_w: float = 0.0) -> Site:
    battery = BatterySite(0, done_w, 50.0, 5000.0, 5000.0)
    return Site(now_s, now_s, True, pcc_import_w, pcc_import_w + done_w, (battery,), 0.0, ())


def after(*looks: tuple[float, float, float], before: Trims = (), config: DispatchConfig = ALONE) -> Trims:
    """What is known after these (time, meant, done)."""
    for now_s, meant_w, done_w in looks:
        before = learn(config, before, (meant_w,), site(now_s, done_w))
    return before


def test_while_a_limit_is_exceeded_smaller_powers_and_errors_tell_something() -> None:
    config = replace(ALONE, import_limit_w=0.0)

    def found(meant_w: float, done_w: float) -> Trims:
        known: Trims = ()
        for second in range(4):
            known = learn(config, known, (meant_w,), site(float(second), done_w, pcc_import_w=60.0))
        return known

    assert found(300.0, 279.0)[0].discharge_factor == pytest.approx(1.049)
    assert found(300.0, 280.0) == ()
    assert found(199.0, 178.0) == ()


def test_who_has_stood_still_for_ten_seconds_five_percent_short_is_ordered_so_much_more() -> None:
    looks = [(float(second), 2000.0, 1900.0) for second in range(11)]
    assert after(*looks[:10]) == (Trim(still_since_s=0.0, meant_w=2000.0, done_w=1900.0),)
    # 70 % of the 5 % at a time.
    (found,) = after(*looks)
    assert (found.charge_factor, found.discharge_factor, found.still_since_s) == (
        1.0,
        pytest.approx(1.035),
        None,
    )
    assert trimmed_w(found, 2000.0, WHOLE, 0.0) == pytest.approx(2070.0)
    assert trimmed_w(found, -2000.0, WHOLE, 0.0) == -2000.0
    assert trimmed_w(found, 0.0, WHOLE, 0.0) == 0.0


def test_charging_has_a_factor_of_its_own_and_too_much_is_made_less() -> None:
    (found,) = after(*[(float(second), -2000.0, -2100.0) for second in range(11)])
    assert (found.charge_factor, found.discharge_factor) == (pytest.approx(0.965), 1.0)
    assert trimmed_w(found, -2000.0, WHOLE, 0.0) == pytest.approx(-1930.0)


def test_dead_time_and_three_time_constants_are_waited_for() -> None:
    slow = DispatchConfig((replace(FIVE_KW, dead_time_s=2.0, time_constant_s=1.0),))
    looks = [(float(second), 2000.0, 1900.0) for second in range(16)]
    assert after(*looks[:15], config=slow)[0].discharge_factor == 1.0
    assert after(*looks, config=slow)[0].discharge_factor > 1.03


def test_while_a_limit_is_exceeded_three_seconds_are_enough() -> None:
    found: Trims = ()
    config = replace(ALONE, export_limit_w=0.0)
    for second in range(4):
        assert all(trim.charge_factor == 1.0 for trim in found)
        found = learn(config, found, (-2000.0,), site(float(second), -1900.0, pcc_import_w=-100.0))
    assert found[0].charge_factor == pytest.approx(1.035)


@pytest.mark.parametrize(
    ("meant_w", "done_w"),
    [
        (2000.0, 1980.0),  # 20 W
        (4000.0, 3975.0),  # 0.5 % of the rating
        (499.0, 470.0),  # less than a tenth of the rating
        (2000.0, 1699.0),  # 15 %: it does something else
        (-2000.0, 100.0),
        (0.0, -30.0),
    ],
)
def test_what_is_hardly_off_or_far_off_tells_nothing(meant_w: float, done_w: float) -> None:
    looks = [(float(second), meant_w, done_w) for second in range(60)]
    assert all(trim == EXACT for trim in after(*looks))
    learning = (Trim(still_since_s=0.0, meant_w=meant_w, done_w=done_w),)
    assert after((60.0, meant_w, done_w), before=learning) == (replace(learning[0], still_since_s=None),)


def test_one_that_follows_a_law_of_its_own_tells_nothing() -> None:
    own = DispatchConfig((replace(FIVE_KW, obeys=False),))
    assert after(*[(float(second), 2000.0, 1900.0) for second in range(60)], config=own) == ()


@pytest.mark.parametrize("step_w", [0.0, 51.0])
def test_what_still_moves_by_more_than_one_percent_of_the_rating_is_waited_for(step_w: float) -> None:
    looks = [(5.0 * n, 2000.0 + step_w * n, 1900.0 + step_w * n) for n in range(6)]
    (found,) = after(*looks)
    assert (found.discharge_factor == 1.0) is (step_w > 0.0)


def test_at_its_rating_a_battery_cannot_be_ordered_more_but_it_can_be_ordered_less() -> None:
    at_most = [(float(second), 5000.0, 4800.0) for second in range(60)]
    assert after(*at_most) == ()
    (found,) = after(*[(float(second), 5000.0, 5200.0) for second in range(11)])
    assert found.discharge_factor < 1.0
    assert trimmed_w(Trim(discharge_factor=1.05), 4900.0, WHOLE, 0.0) == 5000.0


def test_no_factor_is_farther_from_one_than_eight_percent_and_it_is_unlearnt_again() -> None:
    near_full = (Trim(charge_factor=1.07),)
    (most,) = after(*[(float(second), -2000.0, -1710.0) for second in range(11)], before=near_full)
    assert most.charge_factor == 1.08
    # With room again it does 8 % more than is meant, then 2.4 %.
    (less,) = after(*[(float(second), -2000.0, -2160.0) for second in range(11)], before=(most,))
    assert less.charge_factor == pytest.approx(1.08 * 0.944)


def test_below_what_an_inverter_can_hold_nothing_is_trimmed() -> None:
    assert trimmed_w(Trim(discharge_factor=1.05), 200.0, WHOLE, 200.0) == 200.0
    assert trimmed_w(Trim(discharge_factor=0.95), 205.0, WHOLE, 200.0) == 205.0
    assert trimmed_w(Trim(discharge_factor=0.95), 300.0, WHOLE, 200.0) == pytest.approx(285.0)


def test_a_silent_battery_is_left_as_it_was_known_and_ordered_what_is_meant() -> None:
    config = a_config(FIVE_KW, TWO_KW)
    known = (Trim(discharge_factor=1.05), Trim(discharge_factor=1.02))
    memory = replace(RUNNING, trims=known, battery_setpoints_w=(100.0, 100.0))
    snapshot = a_snapshot(900.0, batteries=(None, BatteryReading(10.0, 100.0, 50.0)))
    after, decision = step(config, memory, snapshot)
    assert after.trims == known
    assert after.battery_setpoints_w == (0.0, 1000.0)
    assert decision.battery_setpoints_w == after.orders_w == (0.0, pytest.approx(1020.0))
    assert decision.setpoint_w == 1000.0


@given(gain=st.floats(0.93, 1.07), load_w=st.floats(-4500.0, 4500.0))
def test_the_connection_point_comes_to_what_was_meant_with_any_gain(gain: float, load_w: float) -> None:
    config, done_w = a_config(), 0.0
    memory: Memory = RUNNING
    for second in range(10, 60):
        snapshot = a_snapshot(load_w - done_w, done_w, now_s=float(second))
        memory, decision = step(config, memory, snapshot)
        assert decision.mode is Mode.RUNNING
        done_w = gain * (decision.battery_setpoints_w[0] or 0.0)
    # 2 % of a load that is too small to learn from, or what counts as nothing.
    assert abs(load_w - done_w) <= (26.0 if abs(load_w) >= 550.0 else 40.0)
