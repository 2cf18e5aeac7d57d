"""A meter that is alive but whose power is not: a CT that came off, a register that nobody fills."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.dispatch.decision import Decision, Memory
from controller.dispatch.modes import Mode
from controller.dispatch.plausible import ASKED_VALUES, NO_DOUBT, asks_w
from controller.dispatch.response import Response
from controller.dispatch.running import ASKING
from controller.dispatch.settings import MeterSettings, PvSettings
from controller.dispatch.step import step
from drivers.device import BatteryReading, MeterReading, PvReading
from tests.unit.dispatch.sites import FIVE_KW, PV, RUNNING, a_config, a_snapshot


class Alive:
    """A site read once a second, whose meter has another frequency each time."""

    def __init__(self, pvs: tuple[PvSettings, ...] = ()) -> None:
        self.config = a_config(FIVE_KW, pvs=pvs)
        self.memory: Memory = replace(RUNNING, decided_at_s=0.0)
        self.now_s = 0.0

    def reads(self, pcc_import_w: float, battery_discharge_w: float, *pvs_w: float) -> Decision:
        self.now_s += 1.0
        meter = MeterReading(self.now_s, pcc_import_w, frequency_hz=50.0 + 0.001 * (self.now_s % 7.0))
        battery = BatteryReading(self.now_s, battery_discharge_w, 50.0)
        pvs = tuple([PvReading(self.now_s, one_w, rated_w=5000.0) for one_w in pvs_w])
        snapshot = a_snapshot(now_s=self.now_s, meter=meter, batteries=(battery,), pvs=pvs)
        self.memory, decision = step(self.config, self.memory, snapshot)
        return decision


def modes(site: Alive, pcc_import_w: float, *battery_w: float) -> list[str]:
    return [site.reads(pcc_import_w, one_w).mode.value for one_w in battery_w]


def test_a_power_that_stays_although_the_battery_moved_is_not_believed_after_four_seconds() -> None:
    site = Alive()
    assert modes(site, 300.0, 500.0, 500.0) == ["RUNNING", "RUNNING"]
    assert modes(site, 300.0, 540.0, 540.0, 540.0, 540.0) == ["RUNNING"] * 4, "0.8 % of 5 kW are 40 W"
    decision = site.reads(300.0, 540.0)
    assert (decision.mode, decision.missing.endswith("is it frozen?")) == (Mode.SAFE, True)


def test_another_power_even_by_a_watt_is_news() -> None:
    site = Alive()
    assert set(modes(site, 300.0, 500.0, 500.0, 540.0, 540.0, 540.0, 540.0)) == {"RUNNING"}
    assert site.reads(301.0, 540.0).mode is Mode.RUNNING
    assert set(modes(site, 300.0, 540.0, 540.0, 540.0, 540.0, 540.0, 540.0)) == {"RUNNING"}


def test_a_battery_is_looked_at_from_the_newest_power_on() -> None:
    # It moves by 40 W as the power changes, and not since.
    site = Alive()
    assert set(modes(site, 300.0, 500.0, 500.0)) == {"RUNNING"}
    assert set(modes(site, 301.0, *[540.0] * 8)) == {"RUNNING"}


def test_a_battery_that_moved_less_than_a_meter_must_see_says_nothing() -> None:
    site = Alive()
    assert set(modes(site, 300.0, 500.0, 500.0, *[539.0] * 20)) == {"RUNNING"}


def test_a_battery_that_is_back_before_four_seconds_are_over_begins_the_wait_anew() -> None:
    site = Alive()
    assert set(modes(site, 300.0, 500.0, 500.0, 540.0, 540.0, 500.0, *[540.0] * 4)) == {"RUNNING"}
    assert modes(site, 300.0, 540.0) == ["SAFE"]


def test_a_power_that_stays_while_sun_and_load_fall_alike_is_believed() -> None:
    site = Alive(PV)
    site.reads(300.0, 500.0, 2000.0)
    site.reads(300.0, 500.0, 2000.0)
    assert {site.reads(300.0, 500.0, 1900.0).mode for _ in range(8)} == {Mode.RUNNING}


@pytest.mark.parametrize(
    ("more_w", "mode"),
    [(0.0, "SAFE"), (1960.0, "SAFE"), (1961.0, "RUNNING"), (2039.0, "RUNNING"), (2040.0, "SAFE")],
)
def test_a_battery_that_takes_just_what_the_sun_gives_more_moves_nothing_at_the_meter(
    more_w: float, mode: str
) -> None:
    # It charges 2 kW more, and PV gives so much more than 1 kW.
    site = Alive()
    site.config = a_config(FIVE_KW, pvs=PV)
    found = [site.reads(0.0, 0.0, 1000.0).mode.value for _ in range(3)]
    found += [site.reads(0.0, -2000.0, 1000.0 + more_w).mode.value for _ in range(8)]
    assert (found[2], found[-1]) == ("RUNNING", mode)


def test_it_is_not_believed_either_when_the_battery_is_back_where_it_was() -> None:
    site = Alive()
    modes(site, 300.0, 500.0, 500.0, *[540.0] * 5)
    assert set(modes(site, 300.0, *[500.0] * 60)) == {"SAFE"}
    # Ten seconds of another power prove the meter.
    assert modes(site, 299.0, *[0.0] * 12)[-1] == "RUNNING"


@pytest.mark.parametrize(
    ("powers_w", "asked"),
    [
        ([0.0] * 26, True),
        ([0.0] * 25, False),
        ([5.0, 5.0] + [0.0] * 26, True),
        # Each stands in the row of zeros, so that it is too short.
        ([0.0] * 30 + [5.0, 0.0], False),
        ([0.0] * 30 + [5.0, 0.0, 0.0], False),
        ([5.0] * 30 + [0.0], False),
        ([5.0] * 30, False),
    ],
)
def test_it_takes_twenty_five_zeros_in_a_row_before_the_newest_to_ask(
    powers_w: list[float], asked: bool
) -> None:
    values = tuple([(float(second), power_w) for second, power_w in enumerate(powers_w)])
    newest_s = values[-1][0]
    meter = MeterReading(newest_s, powers_w[-1])
    heard = Response(value=meter, seen_at_s=newest_s, values=values)
    found_w = asks_w(MeterSettings(), heard, NO_DOUBT, newest_s, 5000.0, 10.0)
    assert found_w == (75.0 if asked else 0.0)


@pytest.mark.parametrize(("power_w", "asked"), [(0.0, True), (103.0, False)])
def test_a_meter_that_shows_nothing_but_zeros_is_asked_although_it_is_alive(
    power_w: float, asked: bool
) -> None:
    site = Alive()
    notes = [site.reads(power_w, 0.0).note for _ in range(ASKED_VALUES)]
    assert ASKING not in notes
    decision = site.reads(power_w, 0.0)
    assert (decision.note == ASKING) is asked
    if asked:  # 1.5 % of 5 kW, to the side that has room
        assert decision.battery_setpoints_w == (-75.0,)
