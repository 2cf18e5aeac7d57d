"""The scan cycle in virtual time: its beat, its patience, and what it does when devices fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from controller.alarms import alarms
from controller.dispatch.modes import Mode
from controller.dispatch.orders import Order, Orders, Prices
from controller.dispatch.settings import BatterySettings, DispatchConfig, LoadSettings, PvSettings
from controller.loop import ControlLoop, Cycle, Told
from drivers.device import BatteryReading, DeviceError, DeviceFacts, MeterReading, PvReading, SwitchReading
from drivers.guard import GuardError
from simulators.virtual_time import VirtualTimeLoop, run


def now_s() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class ScriptedMeter:
    """A meter whose answers take as long, or fail, as the test says for that second."""

    pcc_import_w: float = 500.0
    delay_s: Callable[[float], float] = lambda now: 0.0
    broken: Callable[[float], bool] = lambda now: False
    facts: DeviceFacts = field(default_factory=lambda: DeviceFacts("grid", "scripted"))
    closed: bool = False

    async def read(self, deadline_s: float) -> MeterReading:
        began_s = now_s()
        pause_s = min(self.delay_s(began_s), deadline_s - began_s)
        if pause_s > 0:
            await asyncio.sleep(pause_s)
        if self.broken(began_s) or self.delay_s(began_s) > deadline_s - began_s:
            raise DeviceError("grid: no answer")
        return MeterReading(now_s(), self.pcc_import_w)

    async def close(self) -> None:
        self.closed = True


@dataclass
class ScriptedBattery:
    """A battery that notes its orders with the time they came."""

    orders: list[tuple[float, float | None]] = field(default_factory=list)
    delay_s: Callable[[float], float] = lambda now: 0.0
    refuse: str = ""
    power_w: float = 0.0
    deaf: Callable[[float], bool] = lambda now: False
    facts: DeviceFacts = field(default_factory=lambda: DeviceFacts("bat1", "scripted"))
    closed: bool = False
    outcome: str = ""

    async def read(self, deadline_s: float) -> BatteryReading:
        pause_s = min(self.delay_s(now_s()), deadline_s - now_s())
        if pause_s > 0:
            await asyncio.sleep(pause_s)
            if now_s() >= deadline_s:
                raise DeviceError("bat1: no answer")
        return BatteryReading(now_s(), self.power_w, 50.0, 5000.0, 5000.0)

    async def order(self, battery_discharge_w: float, deadline_s: float) -> None:
        if self.refuse:
            raise GuardError(self.refuse)
        if self.deaf(now_s()):
            raise DeviceError("bat1: no answer to the order")
        self.orders.append((now_s(), battery_discharge_w))

    async def release(self, deadline_s: float) -> None:
        self.orders.append((now_s(), None))

    async def close(self) -> None:
        self.closed = True


def site(
    meter: ScriptedMeter, *batteries: ScriptedBattery, cycle_s: float = 1.0
) -> tuple[ControlLoop, list[Cycle]]:
    cycles: list[Cycle] = []
    config = DispatchConfig(
        tuple(BatterySettings(f"bat{n}", 10_000) for n, _ in enumerate(batteries, 1)), cycle_s=cycle_s
    )
    return ControlLoop(config, meter, batteries, listeners=(cycles.append,)), cycles


async def run_for(control: ControlLoop, seconds: float) -> None:
    asyncio.get_running_loop().call_later(seconds, control.stop)
    await control.run()


def test_the_beat_is_kept_to_the_second_for_an_hour() -> None:
    control, cycles = site(ScriptedMeter(), ScriptedBattery())
    run(run_for(control, 3599.5))
    assert [cycle.snapshot.now_s for cycle in cycles[:-1]] == [float(second) for second in range(3600)]
    assert control.timing.overruns == 0


def test_a_tenth_of_a_second_is_a_possible_beat() -> None:
    control, cycles = site(ScriptedMeter(), ScriptedBattery(), cycle_s=0.1)
    run(run_for(control, 10.05))
    assert len(cycles) - 1 == 101
    assert cycles[100].snapshot.now_s == pytest.approx(10.0, abs=1e-9)


def test_a_decision_reaches_the_battery_in_the_same_cycle() -> None:
    battery = ScriptedBattery()
    control, _ = site(ScriptedMeter(pcc_import_w=500.0), battery)
    run(run_for(control, 2.5))
    assert battery.orders[:3] == [(0.0, 0.0), (1.0, 0.0), (2.0, 500.0)]


def test_a_slow_cycle_is_counted_and_never_caught_up_in_a_burst() -> None:
    control, cycles = site(ScriptedMeter(), ScriptedBattery())
    stalls = iter([3.0])

    def stall(cycle: Cycle) -> None:
        if cycle.seq == 5:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualTimeLoop)
            loop._set_clock(loop.time() + next(stalls, 0.0))  # the host stood still

    control.listeners = (cycles.append, stall)
    run(run_for(control, 12.5))
    starts = [cycle.snapshot.now_s for cycle in cycles[:-1]]
    assert starts == [0.0, 1.0, 2.0, 3.0, 4.0, 8.0, 9.0, 10.0, 11.0, 12.0]
    assert (control.timing.overruns, control.timing.missed_beats) == (1, 3)


def test_a_silent_battery_delays_the_others_once_and_then_no_more() -> None:
    dead = ScriptedBattery(delay_s=lambda now: 60.0)
    alive = ScriptedBattery()
    control, cycles = site(ScriptedMeter(), dead, alive)
    run(run_for(control, 8.5))
    late_s = [cycle.timing.read_s for cycle in cycles[-2:]]
    assert [round(cycle.snapshot.now_s % 1.0, 3) for cycle in cycles[1:-1]] == [0.0] * 8
    assert late_s[0] < 0.01
    assert [power for _, power in alive.orders[3:8]] == [500.0] * 5


def test_a_battery_that_takes_longer_than_a_beat_is_read_at_every_second_one_and_delays_nobody() -> None:
    slow = ScriptedBattery(delay_s=lambda now: 1.2)
    control, cycles = site(ScriptedMeter(), slow)
    run(run_for(control, 9.5))
    readings = [cycle.snapshot.batteries[0] for cycle in cycles]
    assert sorted({one.taken_at_s for one in readings if one is not None}) == [1.2, 3.2, 5.2, 7.2, 9.2]
    assert [round(cycle.timing.read_s, 3) for cycle in cycles[1:-1]] == [0.0] * 9


def test_a_device_that_was_late_once_is_waited_for_again_once_it_answers_in_time() -> None:
    # The meter takes 0.9 s at 3 s and 50 ms otherwise: from 5 s on decisions wait for it again.
    meter = ScriptedMeter(delay_s=lambda now: 0.9 if round(now) == 3 else 0.05)
    control, cycles = site(meter, ScriptedBattery())
    run(run_for(control, 8.5))
    ages_s = {
        round(one.snapshot.now_s): one.snapshot.now_s - one.snapshot.meter.taken_at_s for one in cycles[:-1]
    }
    assert {at_s: round(age_s, 2) for at_s, age_s in ages_s.items() if at_s >= 5} == {
        5: 0.0,
        6: 0.0,
        7: 0.0,
        8: 0.0,
    }


def test_on_a_serial_line_nobody_holds_the_others_up_for_longer_than_a_beat() -> None:
    slow = ScriptedBattery(delay_s=lambda now: 1.2, facts=DeviceFacts("bat1", "scripted", serial=True))
    control, cycles = site(ScriptedMeter(), slow)
    run(run_for(control, 9.5))
    assert [cycle.snapshot.batteries[0] for cycle in cycles] == [None] * len(cycles)


def test_a_lost_meter_holds_then_rests_the_battery_within_three_seconds() -> None:
    battery = ScriptedBattery()
    control, cycles = site(ScriptedMeter(broken=lambda now: now > 10), battery)
    run(run_for(control, 15.5))
    modes = {round(cycle.snapshot.now_s): cycle.decision.mode for cycle in cycles[:-1]}
    assert [modes[second] for second in (10, 11, 12, 13)] == [
        Mode.RUNNING,
        Mode.RUNNING,
        Mode.HOLDING,
        Mode.SAFE,
    ]
    first_zero_s = next(at_s for at_s, power in battery.orders if at_s > 10 and power == 0.0)
    assert first_zero_s <= 13.0


def test_a_meter_that_comes_back_is_trusted_again_after_ten_seconds() -> None:
    control, cycles = site(ScriptedMeter(broken=lambda now: 10 < now < 20), ScriptedBattery())
    run(run_for(control, 40.5))
    again_s = next(
        cycle.snapshot.now_s
        for cycle in cycles
        if cycle.snapshot.now_s > 20 and cycle.decision.mode is Mode.RUNNING
    )
    assert 30.0 <= again_s <= 31.0


def test_an_order_refused_by_the_guard_latches_a_fault() -> None:
    battery = ScriptedBattery(refuse="bat1: 9000 W is more than the nameplate's 5000 W")
    control, cycles = site(ScriptedMeter(), battery)
    run(run_for(control, 3.5))
    assert cycles[1].decision.mode is Mode.FAULT
    assert "nameplate" in cycles[1].decision.reason


def rung_s(battery: ScriptedBattery) -> list[float]:
    """At which seconds of the first minute the alarm `not_followed` was on."""
    control, _ = site(ScriptedMeter(), battery)
    found: list[float] = []

    def hear(cycle: Cycle) -> None:
        if "not_followed" in alarms(cycle, ()):
            found.append(cycle.snapshot.now_s)

    control.listeners = (hear,)
    run(run_for(control, 60.5))
    return found


def test_a_battery_that_is_read_but_takes_no_order_for_ten_seconds_rings_until_one_gets_through() -> None:
    heard_s = rung_s(ScriptedBattery(deaf=lambda now: 20.0 <= now < 40.0))
    assert heard_s == [float(second) for second in range(31, 41)]


def test_a_battery_that_another_controller_orders_rings_contended() -> None:
    control, cycles = site(ScriptedMeter(), ScriptedBattery(outcome="foreign"))
    run(run_for(control, 2.5))
    assert {"contended", "not_followed"} <= set(alarms(cycles[-1], ()))
    control, cycles = site(ScriptedMeter(), ScriptedBattery(outcome="reverted"))
    run(run_for(control, 2.5))
    assert "contended" not in alarms(cycles[-1], ()), "it went its own way by itself"


def test_an_order_that_fails_for_two_seconds_rings_nothing() -> None:
    assert rung_s(ScriptedBattery(deaf=lambda now: 20.0 <= now < 22.0)) == []


def test_why_no_order_gets_through_is_told_once_for_each_reason(caplog: pytest.LogCaptureFixture) -> None:
    class Contended(ScriptedBattery):
        async def order(self, battery_discharge_w: float, deadline_s: float) -> None:
            if now_s() < 10.0:
                raise DeviceError("bat1: no answer within 0.5 s")
            if now_s() < 20.0:
                raise DeviceError(f"bat1: given way to another controller, next try in {40 - now_s():.0f} s")

    control, _ = site(ScriptedMeter(), Contended())
    run(run_for(control, 30.5))
    assert [one.message for one in caplog.records if one.message.startswith("bat1")] == [
        "bat1: no answer within 0.5 s",
        "bat1: given way to another controller, next try in 30 s",
    ]


def test_a_clean_stop_releases_every_battery_and_closes_every_device() -> None:
    meter, battery = ScriptedMeter(), ScriptedBattery()
    control, cycles = site(meter, battery)
    run(run_for(control, 5.5))
    assert battery.orders[-1] == (5.5, None)
    assert cycles[-1].decision.mode is Mode.STOPPED
    assert meter.closed
    assert battery.closed


def test_a_clean_stop_lifts_every_cap_and_gives_every_load_its_power() -> None:
    @dataclass
    class Roof(ScriptedBattery):
        async def read(self, deadline_s: float) -> PvReading:  # type: ignore[override]  # a roof is no battery
            return PvReading(now_s(), 4000.0, 5000.0)

        async def cap(self, pv_cap_w: float | None, deadline_s: float) -> None:
            """Curtailed or not, what counts here is the end."""

    @dataclass
    class Relay(ScriptedBattery):
        async def read(self, deadline_s: float) -> SwitchReading:  # type: ignore[override]  # nor is a relay
            return SwitchReading(now_s(), closed=False)

        async def set(self, closed: bool, deadline_s: float) -> None:
            """As above."""

    roof, relay = Roof(), Relay()
    config = DispatchConfig(
        (BatterySettings("bat1", 10_000),), pvs=(PvSettings("roof"),), loads=(LoadSettings("boiler", 2000.0),)
    )
    control = ControlLoop(config, ScriptedMeter(), (ScriptedBattery(),), (roof,), (relay,))
    run(run_for(control, 5.5))
    assert roof.orders == relay.orders == [(5.5, None)]
    assert roof.closed
    assert relay.closed


def test_what_was_told_from_outside_reaches_the_decision_at_every_beat() -> None:
    control, cycles = site(ScriptedMeter(), ScriptedBattery())
    control.told = lambda now_s, local: Told(Orders(import_limit_w=Order(1000.0, 3.0)), Prices(0.3, 0.1))
    run(run_for(control, 2.5))
    assert cycles[0].snapshot.orders.import_limit_w == Order(1000.0, 3.0)
    assert cycles[0].snapshot.prices == Prices(0.3, 0.1)
    assert cycles[-1].snapshot.orders.stop, "the stop wins over whatever was told"


def test_a_bug_in_the_core_ends_the_loop_and_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("controller.loop.step", broken)
    control, _ = site(ScriptedMeter(), ScriptedBattery())
    with pytest.raises(ZeroDivisionError):
        run(run_for(control, 5.5))


def test_a_bug_in_a_driver_ends_the_loop_and_is_not_swallowed() -> None:
    class Buggy(ScriptedBattery):
        async def read(self, deadline_s: float) -> BatteryReading:
            raise KeyError("a bug")

    control, _ = site(ScriptedMeter(), Buggy())
    with pytest.raises(KeyError):
        run(run_for(control, 5.5))
