"""`penstock scan`, and a site of devices that say themselves what they are."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

from controller.config import load_config
from controller.devices import open_devices
from controller.errors import RunError
from controller.lab.emulate import built, emulated
from controller.scanning import SLOW_REPLY_S, TIMING, scan
from drivers.profile import load_profile, shipped_profiles
from drivers.wire import Manners, ModbusFault, ModbusTcpServer, Space, Unit, rtu_frames
from drivers.wire.conversation import Converse, mbap_frames
from simulators.emulator import emulated_unit
from simulators.virtual_time import run
from tests.contract.plants import PLANTS, RATING
from tests.penstock import free_ports, result_of
from tests.unit.sunspec_site import COMMON, HYBRID_103, IDLE_124, RATING_120, Device, image

SITE = """
site = "house-7"
[[meter]]
id = "grid"
profile = "sunspec"
connection = "tcp://127.0.0.1:{}"
[[battery]]
id = "bat1"
profile = "sunspec"
connection = "tcp://127.0.0.1:{}"
capacity_wh = 10_000
[[pv]]
id = "roof"
profile = "sunspec"
connection = "tcp://127.0.0.1:{}"
"""


GIVES_UP: list[tuple[Converse, str, float]] = [(mbap_frames, "tcp", 8.5), (rtu_frames, "rtu+tcp", 4.0)]


def emulator(name: str) -> Unit:
    profile = load_profile(name)
    return emulated_unit(profile, PLANTS[profile.role](), serial="SN-1", rating=RATING)


def scanned(unit: Unit, unit_id: int = 1, manners: Manners | None = None) -> tuple[str, list[str]]:
    """Where this unit was served as unit 1, and what a scan of it says; in virtual time."""

    async def whole() -> tuple[str, list[str]]:
        server = ModbusTcpServer({1: unit}, manners=manners or Manners())
        connection = f"tcp://127.0.0.1:{await server.start('127.0.0.1', 0)}"
        try:
            return connection, await scan(connection, unit_id)
        finally:
            await server.stop()

    return run(whole(), quiesce_s=0.001)


def pasted(lines: Sequence[str]) -> dict[str, object]:
    """The tables that a scan proposes, as a site file would read them."""
    start = next(i for i, line in enumerate(lines) if line.startswith("["))
    return tomllib.loads("\n".join(lines[start:]))


def test_a_sunspec_battery_says_what_it_is_and_what_it_can_do() -> None:
    connection, lines = scanned(emulator("sunspec-hybrid"))
    text = "\n".join(lines)
    assert lines[0] == f"{connection} unit 1: Penstock Emulated hybrid, serial SN-1, version ?"
    assert "battery_discharge_w -3200 W, soc_pct 62.9 %" in text
    assert "can be ordered in W (model 704)" in text
    assert "an order lasts 30 s, and after that: the inverter's own program" in text
    assert pasted(lines)["battery"] == [
        {"id": "bat1", "profile": "sunspec", "connection": connection, "unit": 1, "capacity_wh": 10_000}
    ]


def test_a_sunspec_meter_and_a_pv_inverter_are_told_apart_from_a_battery() -> None:
    for name, role, told in (
        ("sunspec-meter", "meter", "pcc_import_w 459 W"),
        ("sunspec-pv", "pv", "can be curtailed in percent of 121.WMax (model 123)"),
    ):
        _, lines = scanned(emulator(name))
        assert told in "\n".join(lines)
        assert list(pasted(lines)) == [role]


def test_a_hybrid_shows_its_dc_inputs_and_the_limits_of_what_is_known() -> None:
    modules = [{"IDStr": "MPPT 1", "DCW": 2500}, {"IDStr": "MPPT 2"}]
    models = ((1, COMMON), (103, HYBRID_103), (120, RATING_120), (124, IDLE_124))
    more = ((160, {"N": 2, "DCW_SF": 0, "module": modules}), (715, {"LocRemCtl": 1}), [64_999, 0])
    device = Device(image(*models, *more))
    text = "\n".join(scanned(device)[1])
    assert "can be ordered in percent of 124.WChaMax (model 124)" in text
    assert "MPPT 1 2500 W, MPPT 2 no power given" in text
    assert "PV on the same DC side counts as battery" in text
    assert "switched to local at the device" in text
    assert "64999 not published by SunSpec" in text
    assert device.writes == []


@pytest.mark.parametrize(
    "name",
    # By voltages; by state of charge and a code of its control; by its own word for off.
    ["eastron-sdm630", "sungrow-sh", "marstek-venus"],
)
def test_a_device_without_sunspec_is_recognised_by_its_values(name: str) -> None:
    connection, lines = scanned(emulator(name))
    assert lines[0].startswith(f"{connection} unit 1: answers, but not in SunSpec (it has no SunSpec map")
    assert any(line.startswith(f"  {name}: ") for line in lines)
    assert list(pasted(lines)) == [load_profile(name).role]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        # A state of charge and a power; a power for each phase; nothing but one power.
        ("foxess-h3", "battery_discharge_w -3200 W, soc_pct 63 %"),
        ("victron-gx-meter", "pcc_import_w 459 W, phase_import_w.1 690 W"),
        ("sma-meter", "pcc_import_w 459 W"),
    ],
)
def test_a_device_that_shows_too_little_to_be_sure_is_named_as_one_that_it_could_be(
    name: str, told: str
) -> None:
    _, lines = scanned(emulator(name))
    (possible,) = (line for line in lines if line.startswith("  could be "))
    assert possible.startswith(f"  could be {name}: ")
    assert told in possible
    assert not any("no known profile" in line or "these fit" in line for line in lines)
    assert list(pasted(lines)) == [load_profile(name).role]


def test_every_known_device_but_a_relay_is_named_by_a_scan() -> None:
    for name in shipped_profiles():
        profile = load_profile(name)
        if name.startswith("sunspec-") or profile.role == "switch":
            continue
        lines = scanned(emulator(name))[1]
        assert any(line.startswith((f"  {name}: ", f"  could be {name}: ")) for line in lines), name


@pytest.mark.parametrize("name", ["huawei-luna2000", "huawei-sun2000-meter"])
def test_a_device_that_hears_nothing_right_after_connecting_is_recognised(name: str) -> None:
    deaf_s = load_profile(name).transport.connect_delay_ms / 1000.0
    _, lines = scanned(emulator(name), manners=Manners(deaf_s=deaf_s))
    assert any(line.startswith((f"  {name}: ", f"  could be {name}: ")) for line in lines)


class Slow:
    """A unit that takes its time for each answer."""

    def __init__(self, unit: Unit, takes_s: float) -> None:
        self._unit = unit
        self._takes_s = takes_s

    async def read(self, peer: str, space: Space, address: int, count: int) -> Sequence[int]:
        await asyncio.sleep(self._takes_s)
        return await self._unit.read(peer, space, address, count)

    async def write(self, peer: str, address: int, words: Sequence[int]) -> None:
        raise ModbusFault(1)


@pytest.mark.parametrize("takes_s", [1.5, 3.0])
@pytest.mark.parametrize("name", ["huawei-luna2000", "huawei-sun2000-meter", "sunspec-hybrid"])
def test_a_device_that_takes_seconds_for_each_answer_is_recognised(name: str, takes_s: float) -> None:
    _, lines = scanned(Slow(emulator(name), takes_s), manners=Manners(deaf_s=1.0))
    assert list(pasted(lines)) == [load_profile(name).role]


def test_a_reply_may_take_as_long_as_the_slowest_known_device_wants_it() -> None:
    transports = [load_profile(name).transport for name in shipped_profiles()]
    assert max(one.timeout_ms for one in transports) <= 1000.0 * SLOW_REPLY_S


@pytest.mark.parametrize(("converse", "scheme", "gives_up_s"), GIVES_UP)
def test_a_scan_of_a_unit_that_is_not_there_soon_gives_up(
    converse: Converse, scheme: str, gives_up_s: float
) -> None:
    """2 s after connecting it asks; it asks a second time after 5 s on TCP, where Huawei is slow, or 1 s."""

    async def whole() -> float:
        server = ModbusTcpServer({1: Zeros()}, Manners(missing_unit="silent"), converse)
        port = await server.start("127.0.0.1", 0)
        began_s = asyncio.get_running_loop().time()
        with pytest.raises(RunError, match="unit 9 does not answer"):
            await scan(f"{scheme}://127.0.0.1:{port}", 9)
        await server.stop()
        return asyncio.get_running_loop().time() - began_s

    assert run(whole(), quiesce_s=0.001) <= gives_up_s


def test_a_scan_is_as_patient_after_connecting_as_any_known_device_wants_it() -> None:
    transports = [load_profile(name).transport for name in shipped_profiles()]
    assert max(one.connect_delay_ms for one in transports) <= 1000.0 * TIMING.connect_delay_s
    assert max(one.min_gap_ms for one in transports) <= 1000.0 * TIMING.min_gap_s


def test_a_device_that_takes_no_orders_is_told_what_it_lacks() -> None:
    lines = scanned(
        Device(image((1, COMMON), (103, HYBRID_103), (713, {"SoC": 40, "Pct_SF": 0}), (704, {})))
    )[1]
    assert lines[-4:] == [
        "  nothing of use here: neither a meter, nor a battery or PV that takes orders",
        "  as meter    no: a meter has one of 201 to 204 or 211 to 214",
        "  as battery  no: that needs model 704 with WSet, or 124 with StorCtl_Mod and WChaMax, implemented",
        "  as pv       no: that needs model 704 or 123 with WMaxLimPct, and 702, 121 or 120 with its WMax, "
        "implemented",
    ]


class Zeros:
    """A device that has every register, and nothing in it."""

    async def read(self, peer: str, space: Space, address: int, count: int) -> Sequence[int]:
        return [0] * count

    async def write(self, peer: str, address: int, words: Sequence[int]) -> None:
        raise ModbusFault(1)


def test_registers_full_of_nothing_fit_no_profile() -> None:
    _, lines = scanned(Zeros())
    assert lines[1].startswith("  no known profile fits what it shows now. A device that shows only zeros")
    assert lines[-1].endswith("docs/add-a-device.md shows how to write one")


def test_where_nothing_answers_is_said_in_a_line() -> None:
    with pytest.raises(RunError, match=r"unit 9 does not answer.*another unit may: try --unit"):
        scanned(Zeros(), unit_id=9)


def test_a_device_whose_only_connection_is_taken_is_told_as_that() -> None:
    async def whole() -> None:
        server = ModbusTcpServer({1: Zeros()}, manners=Manners(max_clients=1))
        port = await server.start("127.0.0.1", 0)
        _, other = await asyncio.open_connection("127.0.0.1", port)
        try:
            await scan(f"tcp://127.0.0.1:{port}", 1)
        finally:
            other.close()
            await server.stop()

    with pytest.raises(RunError, match="or another program has the only connection: end that first"):
        run(whole(), quiesce_s=0.001)


def test_a_scan_of_a_closed_port_exits_with_1_and_one_line() -> None:
    result = result_of("scan", f"127.0.0.1:{free_ports(1)[0]}")
    assert (result.returncode, result.stdout) == (1, "")
    assert len(result.stderr.splitlines()) == 1
    assert "connection refused" in result.stderr
    assert "next try" not in result.stderr


def test_what_is_no_address_is_a_usage_error() -> None:
    result = result_of("scan", "ftp://127.0.0.1")
    assert result.returncode == 2
    assert "scheme 'ftp' is not" in result.stderr


def site(tmp_path: Path) -> Path:
    path = tmp_path / "house.toml"
    path.write_text(SITE.format(*free_ports(3)), encoding="utf-8")
    return path


async def test_a_site_of_sunspec_devices_is_emulated_read_and_ordered(tmp_path: Path) -> None:
    config = load_config(site(tmp_path))
    stage = built(config)
    house = stage.house
    async with emulated(stage):
        devices = open_devices(config)
        by_s = asyncio.get_running_loop().time() + 10.0
        meter, battery = await devices.meter.read(by_s), await devices.batteries[0].read(by_s)
        inverter = await devices.pvs[0].read(by_s)
        assert inverter.rated_w == pytest.approx(house.pvs[0].rated_w, rel=0.01)
        assert (battery.soc_pct, battery.capacity_wh) == (50.0, 10_000.0)
        assert len(meter.phase_import_w) == 3
        await devices.batteries[0].order(-500.0, by_s)
        await devices.pvs[0].cap(1000.0, by_s)
        await devices.batteries[0].release(by_s)
        await devices.pvs[0].release(by_s)
        await devices.close()


def test_a_site_of_sunspec_devices_is_described_without_asking_them(tmp_path: Path) -> None:
    result = result_of("check", str(site(tmp_path)))
    assert result.returncode == 0
    assert result.stdout.count("what its SunSpec models say (see penstock scan)") == 3


def test_the_models_are_not_loaded_for_a_site_without_a_sunspec_device() -> None:
    program = """
import asyncio, sys
from importlib.resources import files
from pathlib import Path
import controller.supervisor
from controller.config import load_config
from controller.devices import open_devices
async def main():
    open_devices(load_config(Path(str(files("controller.lab") / "demo.toml"))))
asyncio.run(main())
print([name for name in sys.modules if name.startswith("sunspec2")])
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
