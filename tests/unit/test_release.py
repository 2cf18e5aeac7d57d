"""A release is tried until the time of a clean stop is over, and what stays on after it is said aloud."""

from __future__ import annotations

import asyncio
import logging

import pytest

from controller.dispatch.settings import BatterySettings, DispatchConfig
from controller.loop import RELEASE_WITHIN_S, ControlLoop
from controller.station import BatteryStation
from drivers.device import DeviceError, DeviceFacts
from simulators.virtual_time import run
from tests.unit.modbus_site import ENABLE, RELEASE, Site, a_battery, in_virtual_time, now_s, soon
from tests.unit.test_loop import ScriptedBattery, ScriptedMeter, run_for

FORGETS = DeviceFacts("bat1", "scripted", lease_s=30.0, lease_fallback="its own program")
NEVER_FORGETS = DeviceFacts("bat1", "scripted", lease_fallback="the last order stays on for ever")


class Stubborn(ScriptedBattery):
    """Refuses as many releases as the test says."""

    refusals = 0

    async def release(self, deadline_s: float) -> None:
        if self.refusals > 0:
            self.refusals -= 1
            raise DeviceError("bat1: no answer to the release")
        await super().release(deadline_s)


def stopped(battery: Stubborn, after_s: float = 5.5) -> tuple[ControlLoop, float]:
    """The loop after a clean stop, and how long that took."""
    control = ControlLoop(
        DispatchConfig((BatterySettings("bat1", 10_000),)), ScriptedMeter(pcc_import_w=500.0), (battery,)
    )

    async def scenario() -> float:
        await run_for(control, after_s)
        return now_s() - after_s

    return control, run(scenario())


@pytest.mark.parametrize("what", ["a lost request", "a lost connection"])
def test_one_request_lost_at_the_stop_leaves_no_order_in_force_on_the_wire(what: str) -> None:
    async def scenario(site: Site) -> None:
        station = BatteryStation(site.battery())
        await station.device.order(-1500.0, soon())  # type: ignore[union-attr]  # it is a battery
        site.unit.writes.clear()
        others: list[asyncio.Task[None]] = []

        async def lose(address: int) -> None:
            site.unit.before_write = None
            if what == "a lost connection":
                others.append(asyncio.create_task(site.hang_up()))
            await asyncio.sleep(10.0)

        site.unit.before_write = lose
        assert await station.release(now_s() + RELEASE_WITHIN_S)
        assert site.unit.writes[-len(RELEASE) :] == RELEASE
        assert site.unit.registers[ENABLE] == 0
        await asyncio.gather(*others)

    in_virtual_time(a_battery(), scenario)


def test_a_release_is_tried_again_after_a_tenth_of_a_second_and_twice_as_long_each_time() -> None:
    battery = Stubborn(facts=NEVER_FORGETS)
    battery.refusals = 3
    control, took_s = stopped(battery)
    assert took_s == pytest.approx(0.1 + 0.2 + 0.4)
    assert battery.orders[-1] == (pytest.approx(6.2), None)
    assert control.left_behind == ()


def test_a_device_that_never_forgets_and_cannot_be_released_is_told_of_aloud(
    caplog: pytest.LogCaptureFixture,
) -> None:
    battery = Stubborn(facts=NEVER_FORGETS)
    battery.refusals = 1000
    control, took_s = stopped(battery)
    assert took_s <= RELEASE_WITHIN_S
    assert control.left_behind == (
        "bat1 was not released, and what it was last ordered may stay on (the last order stays on for ever): "
        "see to it at the device, or start the controller again",
    )
    assert [one.message for one in caplog.records if one.levelno == logging.CRITICAL] == [
        *control.left_behind
    ]


def test_a_device_that_forgets_by_itself_is_left_to_its_lease() -> None:
    battery = Stubborn(facts=FORGETS)
    battery.refusals = 1000
    assert stopped(battery)[0].left_behind == ()


def test_a_device_that_never_answered_holds_nothing_of_ours() -> None:
    battery = Stubborn(facts=NEVER_FORGETS, delay_s=lambda now: 60.0, deaf=lambda now: True)
    battery.refusals = 1000
    assert stopped(battery)[0].left_behind == ()


def test_an_order_of_which_no_answer_came_may_hold_all_the_same() -> None:
    battery = Stubborn(facts=NEVER_FORGETS, deaf=lambda now: True)
    battery.refusals = 1000
    assert len(stopped(battery)[0].left_behind) == 1
