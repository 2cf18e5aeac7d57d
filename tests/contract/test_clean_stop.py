"""A controller that is stopped leaves nothing behind on the wire: no order, no cap, no load without power."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from controller.config import load_config
from controller.devices import open_devices
from controller.dispatch.modes import Mode
from controller.errors import RunError
from controller.lab.emulate import emulated
from controller.lab.stage import Stage
from controller.loop import ControlLoop, Cycle
from controller.supervisor import run_site
from simulators.traces import StepTrace
from simulators.virtual_time import run
from tests.penstock import free_ports

SITE = """
site = "house-7"

[grid]
export_limit_w = 0

[[meter]]
id = "grid"
profile = "eastron-sdm630"
connection = "tcp://127.0.0.1:{}"

[[battery]]
id = "bat1"
profile = "sunspec-hybrid"
connection = "tcp://127.0.0.1:{}"
capacity_wh = 10_000

[[pv]]
id = "roof"
profile = "sunspec-pv"
connection = "tcp://127.0.0.1:{}"

[[switch]]
id = "boiler"
profile = "r421a08"
connection = "tcp://127.0.0.1:{}"
sheds_w = 300

[simulation]
initial_soc_pct = 100
"""
SUN_W, LOAD_W = 4000.0, 1000.0


def test_a_clean_stop_ends_orders_lifts_caps_and_gives_loads_their_power_on_the_wire(tmp_path: Path) -> None:
    path = tmp_path / "house.toml"
    path.write_text(SITE.format(*free_ports(4)), encoding="utf-8")
    config = load_config(path)
    capped_w: list[float | None] = []

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        load, sun = StepTrace(3600.0, [LOAD_W]), StepTrace(3600.0, [SUN_W])
        stage = Stage(config, load, sun, 5000.0, wired=True, begin_s=loop.time())

        def stop_in_time(cycle: Cycle) -> None:
            if cycle.snapshot.orders.stop:
                return
            capped_w.append(cycle.decision.pv_caps_w[0])
            if cycle.seq == 60:
                # Shed at the last moment, so that only the stop can restore it.
                stage.loads[0].set(loop.time(), closed=False)
                control.stop()

        async with emulated(stage):
            devices = open_devices(config)
            control = ControlLoop(
                config.dispatch,
                devices.meter,
                devices.batteries,
                devices.pvs,
                devices.switches,
                listeners=(stop_in_time,),
            )
            await control.run()
            await devices.close()
            assert control.memory.mode is Mode.STOPPED
            assert stage.loads[0].reading(loop.time()).closed
            await asyncio.sleep(5.0)  # much less than any lease
            reading = stage.pvs[0].reading(loop.time())
            assert (reading.pv_generation_w, reading.cap_w) == (SUN_W, None)
            assert stage.batteries[0].reading(loop.time()).setpoint_w is None

    run(scenario(), quiesce_s=0.001)
    cap_w = capped_w[-1]
    assert cap_w is not None
    assert cap_w <= LOAD_W, "a full battery under a zero-export limit: the sun was capped to the load"


async def test_a_battery_that_never_forgets_and_is_out_of_reach_at_the_stop_fails_the_program(
    tmp_path: Path,
) -> None:
    """As when somebody pulls the cable and then stops the controller: exit code 1, and what to do."""
    path = tmp_path / "house.toml"
    text = SITE.partition("[[pv]]")[0].format(*free_ports(2)).replace("sunspec-hybrid", "goodwe-et")
    text += 'max_charge_w = 5_000\nmax_discharge_w = 5_000\n[state]\nfolder = "state"\n'
    path.write_text(text, encoding="utf-8")
    config = load_config(path)
    loop, stop, ordered = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    load, sun = StepTrace(3600.0, [LOAD_W]), StepTrace(3600.0, [0.0])
    stage = Stage(config, load, sun, 5000.0, wired=True, begin_s=loop.time())

    def hear(cycle: Cycle) -> None:
        if cycle.batteries[0].writes:
            ordered.set()

    async with emulated(stage):
        running = asyncio.create_task(run_site(config, (hear,), stop))
        await ordered.wait()
    stop.set()
    with pytest.raises(RunError, match=r"bat1 was not released, and what it was last ordered may stay on \("):
        await running
