"""Batteries and PV inverters that show more than they can do: as good as no reading (B05, B08)."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from controller.dispatch.decision import Memory
from controller.dispatch.modes import Mode
from controller.dispatch.plausible import most_w, possible
from controller.dispatch.settings import BatterySettings
from controller.dispatch.site import Snapshot
from controller.dispatch.step import step
from drivers.device import BatteryReading, MeterReading, PvReading
from tests.unit.dispatch.sites import FIVE_KW, PV, RUNNING, TWO_KW, a_config

UNRATED = BatterySettings("bat1", 10_000.0)


@pytest.mark.parametrize(
    ("settings", "told", "expected_w"),
    [
        # 1.3 times the largest rating known, and 500 W.
        (FIVE_KW, BatteryReading(0.0, 0.0), 7000.0),
        (replace(FIVE_KW, max_charge_w=0.0), BatteryReading(0.0, 0.0), 7000.0),
        (replace(FIVE_KW, max_discharge_w=0.0), BatteryReading(0.0, 0.0), 7000.0),
        (FIVE_KW, BatteryReading(0.0, 0.0, max_charge_w=0.0, max_discharge_w=0.0), 7000.0),
        (FIVE_KW, BatteryReading(0.0, 0.0, max_charge_w=10_000.0), 13_500.0),
        (FIVE_KW, BatteryReading(0.0, 0.0, max_discharge_w=10_000.0), 13_500.0),
        # Rated 0 W, not moved at all: 500 W.
        (replace(FIVE_KW, max_charge_w=0.0, max_discharge_w=0.0), BatteryReading(0.0, 0.0), 500.0),
        # Not rated by the owner: 10 kWh in 20 min are 30 kW.
        (UNRATED, BatteryReading(0.0, 0.0, max_charge_w=0.0, max_discharge_w=5000.0), 39_500.0),
        (replace(UNRATED, max_charge_w=5000.0), BatteryReading(0.0, 0.0), 39_500.0),
        (replace(UNRATED, max_discharge_w=5000.0), BatteryReading(0.0, 0.0), 39_500.0),
    ],
)
def test_the_most_a_battery_can_do_is_by_the_largest_rating_known(
    settings: BatterySettings, told: BatteryReading, expected_w: float
) -> None:
    assert most_w(settings, told) == expected_w


def heard(battery_w: float, pv_w: float = 0.0, pv_rated_w: float | None = 4000.0) -> Snapshot:
    read = BatteryReading(10.0, battery_w, 50.0), PvReading(10.0, pv_w, pv_rated_w)
    return Snapshot(10.0, MeterReading(10.0, 0.0), (read[0],), (read[1],))


def test_a_power_that_can_be_true_is_left_alone() -> None:
    config = a_config(pvs=PV)
    for snapshot in (
        heard(7000.0, 5700.0),
        heard(-7000.0, -5700.0),
        heard(0.0, 99e6, None),
        heard(0.0, 99e6, 0.0),
        Snapshot(10.0, None, (None,), (None,)),
    ):
        assert possible(config, ((), ()), snapshot) == (snapshot, "")


def test_what_was_read_before_stands_in_the_place_of_a_power_that_cannot_be() -> None:
    config = a_config(FIVE_KW, TWO_KW, pvs=PV)
    before = (BatteryReading(9.0, 100.0), BatteryReading(9.0, 200.0)), (PvReading(9.0, 300.0),)
    for battery_w, pv_w in ((7001.0, 5701.0), (-7001.0, -5701.0), (float("nan"), float("nan"))):
        good = BatteryReading(10.0, 50.0)
        both = replace(heard(battery_w, pv_w), batteries=(heard(battery_w).batteries[0], good))
        found, why = possible(config, before, both)
        assert (found.batteries, found.pvs) == ((before[0][0], good), before[1])
        assert why == (
            f"bat1 shows {battery_w:.0f} W, more than it can do, and is not believed; "
            f"roof shows {pv_w:.0f} W, more than it can do, and is not believed"
        )
        first, _ = possible(config, ((), ()), both)
        assert (first.batteries, first.pvs) == ((None, good), (None,))
        # One of the two only leaves the other as it was heard.
        assert possible(config, before, replace(both, pvs=(before[1][0],)))[0].pvs == before[1]
        assert possible(config, before, replace(both, batteries=before[0]))[0].batteries == before[0]


def test_each_device_is_judged_by_itself_whatever_the_one_before_it_says() -> None:
    config = a_config(FIVE_KW, TWO_KW, pvs=(*PV, replace(PV[0], id="shed")))
    cannot, unrated = BatteryReading(10.0, 9000.0, 50.0), PvReading(10.0, 9000.0)
    snapshot = replace(
        heard(0.0), batteries=(cannot, cannot), pvs=(unrated, PvReading(10.0, 9000.0, rated_w=4000.0))
    )
    found, why = possible(config, ((), ()), snapshot)
    assert (found.batteries, found.pvs) == ((None, None), (unrated, None))
    not_believed = "shows 9000 W, more than it can do, and is not believed"
    assert why == f"bat1 {not_believed}; bat2 {not_believed}; shed {not_believed}"
    beside_silent = replace(snapshot, batteries=(None, cannot), pvs=(None, None))
    assert possible(config, ((), ()), beside_silent)[1] == f"bat2 {not_believed}"


def seconds(*powers_w: float, memory: Memory = RUNNING) -> list[tuple[Mode, float | None, str]]:
    """Mode, order and note of each second of a battery that shows this, in a house that it carries."""
    found = []
    for second, shown_w in enumerate(powers_w, start=10):
        now_s = float(second)
        meter, battery = MeterReading(now_s, 0.1 * second), BatteryReading(now_s, shown_w, 50.0)
        memory, decision = step(a_config(deadband_w=10.0), memory, Snapshot(now_s, meter, (battery,)))
        found.append((decision.mode, decision.battery_setpoints_w[0], decision.note))
    return found


def test_one_reading_that_cannot_be_true_moves_nothing_and_is_said() -> None:
    found = seconds(3000.0, 3000.0, 32_767.0, 3000.0)
    assert [mode for mode, _, _ in found] == [Mode.RUNNING] * 4
    assert [order_w for _, order_w, _ in found] == pytest.approx([3001.0] * 4)
    said = "bat1 shows 32767 W, more than it can do, and is not believed"
    assert [note for _, _, note in found] == ["", "", said, ""]


def test_a_battery_that_goes_on_showing_what_cannot_be_is_lost() -> None:
    modes = [mode for mode, _, _ in seconds(3000.0, *[32_767.0] * 4)]
    assert modes == [Mode.RUNNING, Mode.RUNNING, Mode.HOLDING, Mode.SAFE, Mode.SAFE]


def test_what_cannot_be_is_said_beside_what_else_there_is_to_say() -> None:
    config = a_config(FIVE_KW, TWO_KW)
    memory = RUNNING
    for now_s, soc_pct, shown_w in ((10.0, 50.0, 0.0), (11.0, 70.0, 9000.0)):
        both = BatteryReading(now_s, 0.0, soc_pct), BatteryReading(now_s, shown_w, 50.0)
        memory, decision = step(config, memory, Snapshot(now_s, MeterReading(now_s, now_s), both))
    assert decision.note == (
        "bat1: its SoC jumped, counting on 50 %; bat2 shows 9000 W, more than it can do, and is not believed"
    )


def test_a_battery_in_its_own_program_may_do_more_than_the_site_file_lets_it() -> None:
    # On the island a 10 kW inverter carries 9 kW, although its owner charges and discharges it with 5 kW.
    found = seconds(9000.0, 9000.0, memory=Memory(mode=Mode.STOPPED))
    assert found[0][2] == "", "stopped, it runs its own program"
    assert found[1][2] != "", "started, it is ordered to rest"


@pytest.mark.parametrize("shown_w", [-5000.0, 0.0, 6900.0, 32_767.0])
def test_one_wrong_reading_of_a_battery_does_not_break_the_export_limit(shown_w: float) -> None:
    """30 houses that move every few seconds; export of more than 600 W (500 W allowed) ends within 5 s."""
    config = a_config(FIVE_KW, pvs=PV, export_limit_w=500.0, deadband_w=10.0)
    for seed in range(30):
        draw = random.Random(seed)
        every_s, loads_w = draw.choice((3, 5, 7, 10, 20, 30)), [draw.uniform(500.0, 4500.0) for _ in range(4)]
        memory, given_w, cap_w, wrong_at, over_s = Memory(), 0.0, None, 40 + draw.randrange(30), 0
        for second in range(150):
            pv_w = 1500.0 if cap_w is None else min(1500.0, cap_w)
            pcc_w, now_s = loads_w[second // every_s % 4] - pv_w - given_w, float(second)
            over_s = over_s + 1 if pcc_w < -600.0 and second >= wrong_at else 0
            assert over_s <= 5, (seed, second)
            snapshot = Snapshot(
                now_s + 0.05,
                MeterReading(now_s, pcc_w, import_wh=now_s),
                (BatteryReading(now_s, shown_w if second == wrong_at else given_w, 50.0),),
                (PvReading(now_s, pv_w, 6000.0, cap_w),),
            )
            memory, decision = step(config, memory, snapshot)
            given_w += ((decision.battery_setpoints_w[0] or 0.0) - given_w) * 0.8
            cap_w = decision.pv_caps_w[0]
