"""A battery that falls silent and goes on: what it gives is known until the meter says otherwise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.dispatch.modes import Mode
from controller.dispatch.observe import with_batteries
from controller.dispatch.response import Response
from controller.dispatch.site import Snapshot
from controller.dispatch.step import step
from drivers.device import BatteryReading, MeterReading
from tests.unit.dispatch.sites import FIVE_KW, RUNNING, TWO_KW, a_config, a_snapshot

PAIR = a_config(FIVE_KW, TWO_KW)
BOTH = Response(((8.0, 3500.0), (9.0, 4000.0)), 6000.0, battery_then_w=4000.0)
"""A load of 6000 W; both batteries together gave 4000 W last."""
HEARD = ((2500.0, 9.0), (1500.0, 9.0))
SILENT = ((2500.0, 9.0), (1500.0, 5.0))
OLD_S = 10.0 - PAIR.stale_after_s - 0.1


def readings(*taken_at_s: float | None) -> Snapshot:
    given_w = (2500.0, 1500.0, 700.0)
    found = [
        None if at_s is None else BatteryReading(at_s, one_w, 50.0)
        for at_s, one_w in zip(taken_at_s, given_w, strict=False)
    ]
    return a_snapshot(now_s=10.0, batteries=tuple(found))


def test_what_one_gave_when_it_fell_silent_is_load_of_the_others_no_longer() -> None:
    found = with_batteries(PAIR, BOTH, HEARD, readings(10.0, OLD_S))
    assert (found.net_load_w, found.battery_then_w) == (4500.0, 2500.0)
    assert found.samples == ((8.0, 2000.0), (9.0, 2500.0))


def test_what_one_gives_when_it_is_heard_again_is_taken_back() -> None:
    alone = Response(((8.0, 2000.0), (9.0, 2500.0)), 4500.0, battery_then_w=2500.0)
    assert with_batteries(PAIR, alone, SILENT, readings(10.0, 10.0)) == BOTH


THREE = a_config(FIVE_KW, TWO_KW, TWO_KW)


@pytest.mark.parametrize(
    ("heard_at_s", "read_at_s", "net_load_w"),
    [
        # Both fall silent, or are heard again, in the same cycle: 1500 and 700 W.
        ((9.0, 9.0, 9.0), (10.0, OLD_S, OLD_S), 3800.0),
        ((9.0, 5.0, 5.0), (10.0, 10.0, 10.0), 8200.0),
        # One that was never read tells nothing of the others.
        ((4.0, 9.0, 9.0), (None, 10.0, OLD_S), 5300.0),
        # A reading of 1.5 s ago is still one of now.
        ((9.0, 9.0, 9.0), (10.0, 8.5, 10.0), 6000.0),
    ],
)
def test_each_battery_is_taken_off_or_back_by_its_own_silence(
    heard_at_s: tuple[float, ...], read_at_s: tuple[float | None, ...], net_load_w: float
) -> None:
    heard = tuple((0.0, at_s) for at_s in heard_at_s)
    assert with_batteries(THREE, BOTH, heard, readings(*read_at_s)).net_load_w == net_load_w


def test_what_fell_silent_is_not_taken_off_again_while_the_site_waits_for_its_meter() -> None:
    memory = replace(RUNNING, mode=Mode.HOLDING, response=BOTH, heard=HEARD)
    for _ in range(2):
        memory, decision = step(PAIR, memory, replace(readings(10.0, OLD_S), meter=MeterReading(8.0, 2000.0)))
        assert (decision.mode, memory.response.net_load_w) == (Mode.HOLDING, 6000.0)


def test_a_battery_that_was_not_read_in_this_cycle_is_where_it_was_ordered_to() -> None:
    # It gave 250 W and was ordered 750 W; 500 W were imported, and now nothing is.
    before = Response(((9.0, 250.0),), 750.0, 0, MeterReading(9.0, 500.0), 9.0, 9.0, 250.0)
    batteries = (BatteryReading(9.0, 250.0, 50.0), BatteryReading(10.0, 0.0, 50.0))
    memory = replace(RUNNING, response=before, battery_setpoints_w=(750.0, 0.0))
    after, _ = step(PAIR, memory, a_snapshot(0.0, batteries=batteries))
    assert after.response.net_load_w == 750.0


def test_while_the_same_are_heard_or_none_is_the_load_is_what_it_was() -> None:
    for heard, snapshot in (
        (HEARD, readings(10.0, 10.0)),
        (SILENT, readings(10.0, OLD_S)),
        (SILENT, readings(10.0, None)),
        (HEARD, readings(OLD_S, OLD_S)),
        ((), readings(10.0, 10.0)),
    ):
        assert with_batteries(PAIR, BOTH, heard, snapshot) is BOTH


def test_a_battery_that_falls_silent_and_goes_on_leaves_nothing_for_the_other_to_do() -> None:
    # 3000 W of load, half of it from each; from 12 s on only the line to the second is lost.
    memory, orders_w = replace(RUNNING, battery_setpoints_w=(1500.0, 1500.0)), []
    for second in range(10, 24):
        now_s = float(second)
        second_one = BatteryReading(min(now_s, 12.0), 1500.0, 50.0)
        batteries = (BatteryReading(now_s, 1500.0, 50.0), second_one)
        memory, decision = step(PAIR, memory, a_snapshot(second % 2, now_s=now_s, batteries=batteries))
        orders_w.append(decision.battery_setpoints_w[0] or 0.0)
    assert max(abs(one_w - 1500.0) for one_w in orders_w[4:]) <= 1.0
