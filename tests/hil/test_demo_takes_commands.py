"""`penstock demo` takes commands over MQTT, faults among them: what a newcomer tries first."""

from __future__ import annotations

import asyncio

from tests.contract.running_site import V311, asking
from tests.penstock import free_ports, penstock, wait_for_port


async def test_a_newcomer_charges_the_battery_silences_the_meter_and_wakes_it_again() -> None:
    (port,) = free_ports(1)
    state = "penstock/demo/state"
    with penstock("demo", "--port", str(port)):
        await asyncio.to_thread(wait_for_port, port)
        async with asking(port, V311, "demo") as asker:
            await asker.until(state, mode="RUNNING")
            reply = await asker.asked("setpoint", "a", battery_discharge_w=-1234.0)
            assert reply["result"] == "applied"
            await asker.until(state, policy="follow", wanted_w=-1234.0)
            wrong = await asker.asked("inject", "b", device="grid", fault="silence")
            assert wrong["reason"] == "there is no fault 'silence'; did you mean silent?"
            host = await asker.asked("inject", "c", device="host", fault="killed")
            assert host["result"] == "refused"
            silent = await asker.asked("inject", "d", device="grid", fault="silent")
            assert silent["in_force"] == {"device": "grid", "fault": "silent"}
            await asker.until(state, mode="SAFE")
            assert (await asker.asked("inject", "e"))["result"] == "applied"
            await asker.until(state, mode="RUNNING")
