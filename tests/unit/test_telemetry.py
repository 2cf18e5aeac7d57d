"""What the messages say, and that they never invent a number."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from controller.dispatch.modes import Mode
from controller.loop import Cycle
from controller.telemetry import device_messages, state_message
from drivers.device import MeterReading
from simulators.virtual_time import run
from tests.unit.sites import CONFIG, a_house, a_loop, constant


def cycles_of(load_w: float, sun_w: float, seconds: float = 30.5) -> list[Cycle]:
    cycles: list[Cycle] = []
    control = a_loop(a_house(constant(load_w), constant(sun_w)), cycles.append)

    async def go() -> None:
        asyncio.get_running_loop().call_later(seconds, control.stop)
        await control.run()

    run(go())
    return cycles


def test_state_balances_load_pv_battery_and_grid() -> None:
    state = state_message(CONFIG, cycles_of(load_w=700.0, sun_w=3000.0)[-2])
    assert state.mode is Mode.RUNNING
    assert state.load_w == pytest.approx(700.0, abs=0.5)
    assert state.pv_generation_w == pytest.approx(3000.0, abs=0.5)
    assert state.setpoint_w == pytest.approx(-2300.0, abs=10.0)
    assert state.pcc_import_w == pytest.approx(0.0, abs=10.0)
    assert state.reason == "storing the surplus"
    assert state.age_s == {"grid": 0.0, "bat1": 0.0, "roof": 0.0}


def test_a_reading_that_is_too_old_is_null_and_not_zero() -> None:
    cycle = cycles_of(load_w=700.0, sun_w=0.0)[-2]
    old = replace(cycle.snapshot, meter=MeterReading(cycle.snapshot.now_s - 2.0, 700.0))
    state = state_message(CONFIG, replace(cycle, snapshot=old))
    assert state.pcc_import_w is None
    assert state.load_w is None
    assert state.battery_discharge_w is not None


def test_the_time_is_utc_and_null_while_unknown() -> None:
    cycle = cycles_of(load_w=700.0, sun_w=0.0)[-2]
    assert state_message(CONFIG, cycle).at is None
    known = replace(cycle, snapshot=replace(cycle.snapshot, utc_s=1_800_000_000.25))
    assert state_message(CONFIG, known).at == "2027-01-15T08:00:00.250Z"


def test_every_device_says_what_it_reads_and_what_it_was_ordered() -> None:
    meter, battery, roof = device_messages(cycles_of(load_w=700.0, sun_w=3000.0)[-2])
    assert (meter.id, meter.online, meter.setpoint_w, meter.error) == ("grid", True, None, "")
    assert battery.setpoint_w == pytest.approx(-2300.0, abs=10.0)
    assert battery.readings["soc_pct"] == pytest.approx(50.0, abs=0.5)
    assert battery.lease_s == 30.0
    assert roof.readings["pv_generation_w"] == pytest.approx(3000.0, abs=0.5)


def test_what_became_of_an_order_is_told_while_it_stands() -> None:
    outcomes: list[str] = []
    control = a_loop(
        a_house(constant(700.0), constant(3000.0)),
        lambda cycle: outcomes.append(" ".join(one.outcome for one in device_messages(cycle))),
    )

    async def go() -> None:
        asyncio.get_running_loop().call_later(5.5, control.stop)
        await control.run()

    run(go())
    assert outcomes[0] == "  "
    assert outcomes[5] == " applied "


def test_the_messages_are_json_without_nan() -> None:
    cycle = cycles_of(load_w=700.0, sun_w=3000.0)[-2]
    for message in (state_message(CONFIG, cycle), *device_messages(cycle)):
        assert "NaN" not in message.model_dump_json()
