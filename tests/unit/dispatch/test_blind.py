"""A meter whose power is noise beside an offset is told from an honest one that follows a load."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from controller.dispatch.blind import BLIND, SEES, Blind, ask_blind
from controller.dispatch.decision import Decision, Memory
from controller.dispatch.limited import Limited
from controller.dispatch.modes import Mode
from controller.dispatch.orders import NO_ORDERS, Order, Orders
from controller.dispatch.response import Response
from controller.dispatch.running import ASKING
from controller.dispatch.settings import DispatchConfig, MeterSettings
from controller.dispatch.site import BatterySite
from controller.dispatch.step import step
from drivers.device import BatteryReading, MeterReading
from tests.unit.dispatch.policy_sites import a_site
from tests.unit.dispatch.sites import FIVE_KW, PV, RUNNING, a_config, a_snapshot

CONFIG = a_config(deadband_w=10.0)
STANDS = Blind(37.0, 1500.0)
ASKED = Blind(37.0, 2000.0, 100.0)
FOUND = replace(ASKED, found=True)


def asked(
    before: Blind,
    load_w: float,
    now_s: float = 100.0,
    room_w: tuple[float, float] = (-5000.0, 5000.0),
    pcc_w: float = 40.0,
    is_news: bool = True,
    config: DispatchConfig = CONFIG,
) -> tuple[Blind, float]:
    """What is known once the batteries seem to face this load, and by how much they were moved to ask."""
    battery = BatterySite(0, 0.0, 50.0, max_charge_w=5000.0, max_discharge_w=5000.0)
    site = a_site(now_s=now_s, taken_at_s=now_s, pcc_import_w=pcc_w, is_news=is_news, batteries=(battery,))
    limited = Limited(2000.0, *room_w)
    after, asks = ask_blind(config, before, site, Response(net_load_w=load_w), limited, 5000.0)
    assert asks == (limited.power_w != 2000.0)
    return after, limited.power_w - 2000.0


def test_a_power_stands_while_it_is_within_thirty_watts() -> None:
    # 0.4 of the 75 W by which a battery of 5 kW is moved to ask.
    assert asked(Blind(), 1500.0, pcc_w=37.0) == (STANDS, 0.0)
    assert asked(STANDS, 1700.0, pcc_w=67.0) == (STANDS, 0.0)
    assert asked(STANDS, 1700.0, pcc_w=7.0) == (STANDS, 0.0)
    assert asked(STANDS, 1700.0, pcc_w=67.1) == (Blind(67.1, 1700.0), 0.0)
    assert asked(ASKED, 1700.0, pcc_w=6.9) == (Blind(6.9, 1700.0), 0.0)
    assert asked(STANDS, 1500.0, pcc_w=900.0, is_news=False) == (STANDS, 0.0), "nothing was measured"


def test_what_is_faced_is_known_once_a_large_jump_has_been_confirmed() -> None:
    site = a_site(4000.0, taken_at_s=100.0)
    limited = Limited(2000.0, -5000.0, 5000.0)
    assert ask_blind(CONFIG, STANDS, site, Response(unconfirmed=1), limited, 5000.0) == (SEES, False)


def test_it_is_asked_once_what_the_battery_faces_has_moved_by_five_hundred_watts_meanwhile() -> None:
    assert asked(STANDS, 1999.0) == (STANDS, 0.0)
    assert asked(STANDS, 2000.0) == (ASKED, -75.0)
    assert asked(STANDS, 1000.0) == (Blind(37.0, 1000.0, 100.0), -75.0)


def test_large_batteries_have_to_move_by_a_tenth_of_their_rating() -> None:
    site = a_site(40.0, taken_at_s=100.0)
    for load_w, asks in ((2499.0, False), (2500.0, True)):
        limited = Limited(2000.0, -10_000.0, 10_000.0)
        assert ask_blind(CONFIG, STANDS, site, Response(net_load_w=load_w), limited, 10_000.0)[1] is asks


def test_it_is_asked_by_little_for_eleven_seconds_and_then_by_five_hundred_watts_for_eleven() -> None:
    # Half of the 4 s in which a prompt meter must see the battery, and of the 18 s by which one may be later.
    for now_s, moved_w in ((100.0, -75.0), (110.9, -75.0), (111.0, -500.0), (121.9, -500.0), (122.0, -75.0)):
        assert asked(ASKED, 2000.0, now_s) == (ASKED, moved_w)


def test_what_the_limits_leave_no_room_for_is_not_asked_and_not_held_against_the_meter() -> None:
    assert asked(STANDS, 2000.0, room_w=(1950.0, 2050.0)) == (STANDS, 0.0)
    assert asked(ASKED, 2300.0, room_w=(1950.0, 2050.0)) == (Blind(37.0, 2300.0), 0.0)
    assert asked(ASKED, 2000.0, 111.0, (1900.0, 2100.0)) == (ASKED, 0.0), "then the first question ends"


def test_one_that_sees_neither_question_is_blind() -> None:
    assert asked(ASKED, 1500.0, 121.9)[0] == ASKED
    assert asked(ASKED, 1970.0, 122.0)[0] == ASKED, "a battery that is deaf tells nothing of the meter"
    assert asked(ASKED, 1500.0, 122.0, is_news=False)[0] == ASKED, "nor does a value that it had before"
    assert asked(ASKED, 1969.0, 122.0) == (FOUND, 0.0)
    assert asked(ASKED, 2031.0, 122.0) == (FOUND, 0.0)
    late = a_config(meter=MeterSettings(delay_s=3.0, period_s=1.0))  # 13.5 s each
    assert not asked(ASKED, 1500.0, 126.9, config=late)[0].found
    assert asked(ASKED, 1500.0, 127.0, config=late)[0].found


class House:
    """A house read once a second, with a battery that does what it is ordered within the second."""

    def __init__(self, load_w: Callable[[float], float], orders: Orders = NO_ORDERS) -> None:
        self.load_w, self.orders = load_w, orders
        self.memory: Memory = replace(RUNNING, fresh_at_s=0.0, decided_at_s=0.0)
        self.now_s = self.battery_w = self.pcc_w = 0.0
        self.noise = random.Random(7)

    def second(self, offset_w: float | None = None, hz: float | None = None) -> Decision:
        """One more, with a meter that shows this and noise, or the truth."""
        self.now_s += 1.0
        self.pcc_w = self.load_w(self.now_s) - self.battery_w
        shown_w = self.pcc_w if offset_w is None else offset_w + self.noise.uniform(-10.0, 10.0)
        battery = BatteryReading(self.now_s, self.battery_w, 50.0)
        snapshot = a_snapshot(
            now_s=self.now_s,
            meter=MeterReading(self.now_s, shown_w, frequency_hz=hz),
            batteries=(battery,),
            orders=self.orders,
        )
        self.memory, decision = step(a_config(FIVE_KW), self.memory, snapshot)
        self.battery_w = decision.battery_setpoints_w[0] or 0.0
        return decision


@pytest.mark.parametrize("offset_w", [37.0, -37.0, 120.0])
def test_a_battery_that_runs_after_an_offset_is_stopped_within_a_minute(offset_w: float) -> None:
    house = House(lambda now_s: 1500.0)
    for _ in range(10):
        house.second()
    decisions = [house.second(offset_w) for _ in range(60)]
    assert (decisions[-1].mode, decisions[-1].missing) == (Mode.SAFE, BLIND)
    assert ASKING in [one.note for one in decisions]
    assert abs(house.battery_w) <= 75.0, "0 W, or the question at rest"


def test_a_blind_meter_goes_on_being_asked_at_rest_and_is_believed_when_it_sees_again() -> None:
    house = House(lambda now_s: 1500.0)
    for _ in range(10):
        house.second()
    at_rest_w = [house.second(37.0).battery_setpoints_w[0] for _ in range(160)]
    assert set(at_rest_w[-90:]) == {0.0, -75.0}
    assert [house.second().mode for _ in range(14)][-1] is Mode.RUNNING


def test_nothing_is_asked_of_a_blind_meter_at_rest_against_an_order() -> None:
    house = House(lambda now_s: 1500.0, Orders(max_charge_w=Order(5000.0, 1e9)))
    at_rest_w = [house.second(37.0).battery_setpoints_w[0] for _ in range(160)]
    assert set(at_rest_w[-90:]) == {0.0}


@pytest.mark.parametrize("w_per_s", [1.0, 15.0, 29.0, 31.0, 33.0, 75.0])
def test_an_honest_meter_beside_a_load_that_rises_and_falls_steadily_answers_at_once(w_per_s: float) -> None:
    # The controller is a second late, so the PCC stands at what the load moves in one: as with a blind meter.
    def load_w(now_s: float) -> float:
        way_w = w_per_s * now_s % 6000.0
        return 500.0 + min(way_w, 6000.0 - way_w) + now_s % 3.0  # no load moves to the bit

    house = House(load_w)
    decisions = [house.second() for _ in range(1800)]
    assert {one.mode for one in decisions} == {Mode.RUNNING}
    # Once in 500 W, for a second or two; for up to 11 s where the load turns in that very second.
    assert sum(one.note == ASKING for one in decisions) <= 1800 * w_per_s / 500.0 * 2.0 + 22.0


def test_a_question_is_broken_off_when_readings_are_missing() -> None:
    house = House(lambda now_s: 1500.0)
    for _ in range(10):
        house.second()
    while house.memory.blind.asked_at_s is None:
        house.second(37.0)
    missing = a_snapshot(now_s=house.now_s + 2.0, meter=MeterReading(house.now_s, 37.0))
    memory, decision = step(a_config(FIVE_KW), house.memory, missing)
    assert (decision.mode, memory.blind) == (Mode.HOLDING, SEES)


def test_a_device_that_is_heard_again_is_no_movement() -> None:
    config = a_config(FIVE_KW, pvs=PV)
    memory = replace(RUNNING, response=Response(pv_heard=(False,)), blind=STANDS)
    after, _ = step(config, memory, a_snapshot(40.0, 1000.0, pv_generation_w=2000.0))
    assert after.blind == Blind(40.0, 3040.0)


def test_a_meter_whose_power_stays_the_same_is_asked_before_it_is_taken_to_be_frozen() -> None:
    # Nothing else of this load moves: with the controller a second late the PCC stands at 28 W to the bit.
    house = House(lambda now_s: 500.0 + 28.0 * now_s)
    decisions = [house.second(hz=50.0 + now_s % 3 / 1000.0) for now_s in range(100)]
    assert {one.mode for one in decisions} == {Mode.RUNNING}
    assert ASKING in [one.note for one in decisions]


def test_a_blind_meter_that_falls_silent_is_still_blind_and_one_that_shows_another_power_sees_again() -> None:
    memory = replace(RUNNING, mode=Mode.SAFE, blind=FOUND)
    after, decision = step(CONFIG, memory, a_snapshot(meter=None))
    assert (after.blind, decision.missing) == (FOUND, "no reading of the meter at the PCC yet")
    after, decision = step(CONFIG, after, a_snapshot(66.9))
    assert (after.blind, decision.missing) == (FOUND, BLIND)
    after, decision = step(CONFIG, after, a_snapshot(67.1))
    assert (after.blind, decision.missing) == (SEES, "")
