"""Lock-step: a rig owns the clock; one scan a tick, the same trace every time, errors in words."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.config import Config, load_config
from controller.lab.lockstep import Outputs, Rig
from controller.lab.rig_messages import LockStepError
from controller.lab.rig_server import listening
from tests.penstock import site_file

BATTERY = {"battery_discharge_w": 0.0, "soc_pct": 50.0, "max_charge_w": 5000.0, "max_discharge_w": 5000.0}
ROOF = {"pv_generation_w": 0.0, "rated_w": 5000.0}


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load_config(site_file(tmp_path, [5020, 5021, 5022], "mqtt://127.0.0.1:1883"))


@pytest.fixture
def rig(config: Config) -> Iterator[Rig]:
    with Rig(config) as one:
        yield one


def devices(import_w: float, import_wh: float = 0.0, **changes: Any) -> dict[str, Any]:
    """What a house without sun shows, its battery at rest."""
    meter = {"pcc_import_w": import_w, "import_wh": import_wh}
    return {"grid": meter, "bat1": BATTERY, "roof": ROOF} | changes


def after(rig: Rig, seconds: int, import_w: float, **changes: Any) -> Outputs:
    """The outputs after so many ticks with a battery that never moves."""
    for second in range(seconds):
        outputs = rig.tick(1.0, devices(import_w, float(second), **changes))
    return outputs


def mode(outputs: Outputs) -> str:
    assert outputs["state"] is not None
    return str(outputs["state"]["mode"])


def test_every_tick_of_a_cycle_is_one_scan_and_a_finer_rig_gets_scans_in_between(config: Config) -> None:
    with Rig(config) as rig:
        assert [rig.tick(1.0, devices(800.0))["scans"] for _ in range(3)] == [1, 1, 1]
        assert rig.tick(1.0, devices(800.0))["at_s"] == 4.0
    with Rig(config) as rig:
        # The first tick begins the first cycle: beats at 0.1 s, 1.1 s and 2.1 s.
        scans = [rig.tick(0.1, devices(800.0))["scans"] for _ in range(22)]
    assert scans == [1, *[0] * 9, 1, *[0] * 9, 1, 0]


def test_the_controller_covers_the_house_of_a_rig(rig: Rig) -> None:
    # The battery obeys at once: 800 W of load, of which nothing is left for the grid.
    battery_w = 0.0
    for second in range(60):
        shown = {**BATTERY, "battery_discharge_w": battery_w}
        outputs = rig.tick(1.0, devices(800.0 - battery_w, second / 3600.0, bat1=shown))
        battery_w = float(outputs["orders"]["bat1"]["setpoint_w"] or 0.0)
    assert mode(outputs) == "RUNNING"
    assert battery_w == pytest.approx(800.0, abs=10.0)
    assert outputs["orders"]["roof"] == {"cap_w": None}


def test_a_device_that_a_rig_leaves_out_does_not_answer(rig: Rig) -> None:
    assert mode(after(rig, 30, 800.0)) == "RUNNING"
    assert mode(after(rig, 2, 800.0, grid=None)) == "HOLDING"
    lost = after(rig, 1, 800.0, grid=None)
    assert mode(lost) == "SAFE"
    assert lost["orders"]["bat1"] == {"setpoint_w": 0.0}
    assert mode(after(rig, 30, 800.0)) == "RUNNING"


def test_an_order_to_a_battery_that_does_not_answer_ends_with_its_lease(rig: Rig) -> None:
    held_w = after(rig, 30, 800.0)["orders"]["bat1"]["setpoint_w"]
    assert held_w == pytest.approx(800.0)
    without = devices(800.0)
    del without["bat1"]
    # sunspec-hybrid forgets an order 30 s after it was last written.
    held = [rig.tick(1.0, without)["orders"]["bat1"]["setpoint_w"] for _ in range(31)]
    assert held[28] == held_w
    assert held[29] is None


def test_orders_from_outside_hold_until_the_next_tick(rig: Rig) -> None:
    after(rig, 30, 800.0)
    outputs = rig.tick(1.0, devices(800.0, 31.0), orders={"max_discharge_w": 250.0})
    assert outputs["orders"]["bat1"] == {"setpoint_w": 250.0}
    again = rig.tick(1.0, devices(800.0, 32.0))
    assert again["state"] is not None
    assert again["state"]["limited_by"] == ""


def test_a_wall_clock_is_told_or_unknown(rig: Rig) -> None:
    first = rig.tick(1.0, devices(800.0))
    assert first["state"] is not None
    assert first["state"]["at"] is None
    told = rig.tick(1.0, devices(800.0), clock={"utc_s": 1_782_000_000.0, "offset_s": 7200.0})
    assert told["state"] is not None
    assert told["state"]["at"] == "2026-06-21T00:00:00.000Z"


@pytest.mark.parametrize(
    ("dt_s", "said", "words"),
    [
        (0.0, {}, "dt_s is 0; give more than 0 and at most the cycle of the site file, 1 s"),
        (1.5, {}, "dt_s is 1.5; give more than 0 and at most the cycle"),
        (float("nan"), {}, "dt_s is nan; give seconds, such as 1"),
        (1.0, {"gird": {}}, 'devices.gird is not in the site file; did you mean "grid"?'),
        (1.0, {"grid": {}}, "devices.grid.pcc_import_w is missing (W, all phases together)"),
        (1.0, {"grid": {"pcc_import_w": "1"}}, "devices.grid.pcc_import_w is '1': should be a valid number"),
        (1.0, {"grid": {"pcc_import_w": float("inf")}}, "devices.grid.pcc_import_w is inf"),
        (1.0, {"bat1": BATTERY | {"soc": 5}}, 'devices.bat1.soc is not a known key; did you mean "soc_pct"?'),
        (1.0, {"bat1": BATTERY | {"soc_pct": 101}}, "devices.bat1.soc_pct is 101: should be less than"),
    ],
)
def test_what_is_wrong_with_a_tick_is_said_and_nothing_moves(
    rig: Rig, dt_s: float, said: dict[str, Any], words: str
) -> None:
    rig.tick(1.0, devices(800.0))
    before = rig.trace_sha256
    with pytest.raises(LockStepError) as caught:
        rig.tick(dt_s, devices(800.0) | said)
    assert words in str(caught.value)
    assert (rig.ticks, rig.trace_sha256) == (1, before)


def test_a_rig_may_tick_inside_an_event_loop_of_its_own(config: Config) -> None:
    async def cosimulation() -> Outputs:
        with Rig(config) as rig:
            return rig.tick(1.0, devices(800.0))

    assert asyncio.run(cosimulation())["scans"] == 1


class Wire:
    """A client of `penstock rig`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def hear(self) -> Any:
        return json.loads(await self.reader.readline())

    async def ask(self, line: Any) -> Any:
        text = line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n"
        self.writer.write(text)
        return await self.hear()


async def connected(port: int) -> Wire:
    return Wire(*await asyncio.open_connection("127.0.0.1", port))


async def test_an_hour_over_tcp_takes_seconds(config: Config) -> None:
    async with listening(config, "127.0.0.1", 0) as port:
        wire = await connected(port)
        assert await wire.hear() == {
            "penstock": "rig",
            "version": 1,
            "site": "house-7",
            "cycle_s": 1.0,
            "devices": {"grid": "meter", "bat1": "battery", "roof": "pv"},
        }
        began_s = time.process_time()
        battery_w = 0.0
        for second in range(3600):
            shown = {**BATTERY, "battery_discharge_w": battery_w}
            load_w = 600.0 + 700.0 * (second // 90 % 4)
            said = {"dt_s": 1.0, "devices": devices(load_w - battery_w, float(second), bat1=shown)}
            battery_w = (await wire.ask(said))["orders"]["bat1"]["setpoint_w"] or 0.0
        took_s = time.process_time() - began_s
        assert (await wire.ask({"end": True}))["ticks"] == 3600
        wire.writer.close()
    assert took_s < 10.0  # of processor time, rig and controller together


async def test_what_is_wrong_on_the_wire_is_answered_in_words(config: Config) -> None:
    async with listening(config, "127.0.0.1", 0) as port:
        wire = await connected(port)
        await wire.hear()
        answer = await wire.ask(b"tick!\n")
        assert answer["error"].startswith("not JSON")
        answer = await wire.ask({"dt_s": 1.0})
        assert answer["error"].startswith("devices is missing")
        answer = await wire.ask({"version": 2, "dt_s": 1.0, "devices": {}})
        assert answer["error"] == "version is 2; this program speaks 1"
        answer = await wire.ask({"dt_s": 9.0, "devices": {}})
        assert answer["error"].startswith("dt_s is 9;")
        assert (await wire.ask({"dt_s": 1.0, "devices": {}}))["tick"] == 1
        too_long = await wire.ask(b" " * 1_200_000 + b"\n")
        assert too_long == {"ok": False, "error": "a line is at most 1000000 bytes long"}
        wire.writer.close()
