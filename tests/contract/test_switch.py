"""Switches of loads: relay profiles, their driver, and the emulated module and house behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from controller.checking import describe
from controller.config import ConfigError, load_config
from controller.devices import open_devices
from controller.lab.emulate import built, emulated
from drivers.device import DeviceError, DeviceFacts, Switch, SwitchReading
from drivers.link import Link, LinkTiming, ModbusExceptionReply, open_link
from drivers.modbus.switch import modbus_switch
from drivers.profile import DeviceProfile, ProfileError, load_profile, shipped_profiles
from drivers.profile.relay import relay_write
from drivers.simulated import SimulatedSwitch, SwitchPort
from drivers.wire import ModbusTcpServer, Space, Unit
from simulators.relays import EmulatedRelays, SharedUnit, SwitchedLoad
from simulators.site import House
from simulators.traces import StepTrace
from tests.contract.plants import soon
from tests.penstock import free_ports

RELAYS = [profile for profile in map(load_profile, shipped_profiles()) if profile.role == "switch"]
every_module = pytest.mark.parametrize("profile", RELAYS, ids=lambda profile: profile.id)


@dataclass
class Load:
    closed: bool = True
    diary: list[bool] = field(default_factory=list)

    def reading(self, now_s: float) -> SwitchReading:
        return SwitchReading(now_s, self.closed)

    def set(self, now_s: float, closed: bool) -> None:
        self.closed = closed
        self.diary.append(closed)


@asynccontextmanager
async def on_a_socket(unit: Unit) -> AsyncIterator[Link]:
    server = ModbusTcpServer({1: unit})
    port = await server.start("127.0.0.1", 0)
    link = open_link(f"tcp://127.0.0.1:{port}", LinkTiming())
    try:
        yield link
    finally:
        await link.close()
        await server.stop()


def module(profile: DeviceProfile, loads: Mapping[int, SwitchPort]) -> EmulatedRelays:
    return EmulatedRelays(profile, loads)


@every_module
async def test_a_load_is_shed_and_restored_and_no_contact_moves_without_need(profile: DeviceProfile) -> None:
    load = Load()
    async with on_a_socket(module(profile, {1: load})) as link:
        switch: Switch = modbus_switch("boiler", profile, link, 1)
        assert (await switch.read(soon())).closed
        for closed in (True, True, False, False, True):
            await switch.set(closed, soon())
            assert (await switch.read(soon())).closed is closed
    assert load.diary == [False, True]


@every_module
async def test_a_relay_that_somebody_else_moved_is_moved_back(profile: DeviceProfile) -> None:
    load = Load()
    async with on_a_socket(module(profile, {1: load})) as link:
        switch = modbus_switch("boiler", profile, link, 1)
        await switch.set(False, soon())
        load.closed = True
        await switch.read(soon())
        await switch.set(False, soon())
        assert load.diary == [False, False]


@every_module
async def test_a_release_gives_the_load_its_power_and_confirms_it(profile: DeviceProfile) -> None:
    load = Load(closed=False)
    async with on_a_socket(module(profile, {1: load})) as link:
        await modbus_switch("boiler", profile, link, 1).release(soon())
    assert load.diary == [True]


@every_module
async def test_a_relay_that_does_not_follow_is_reported(profile: DeviceProfile) -> None:
    class Welded(Load):
        def set(self, now_s: float, closed: bool) -> None:
            self.diary.append(closed)

    load = Welded()
    async with on_a_socket(module(profile, {1: load})) as link:
        switch = modbus_switch("boiler", profile, link, 1)
        for _ in range(2):  # what failed is tried again, not taken for done
            with pytest.raises(DeviceError, match="boiler: was told to open, but reads back closed"):
                await switch.set(False, soon())
    assert load.diary == [False, False]


async def test_each_relay_of_a_module_has_its_own_load_and_the_others_stay_as_they_are() -> None:
    profile = load_profile("r421a08")
    first, eighth = Load(), Load()
    async with on_a_socket(module(profile, {1: first, 8: eighth})) as link:
        await modbus_switch("pump", profile, link, 1, channel=8).set(False, soon())
        assert (first.diary, eighth.diary) == ([], [False])
        await link.write(1, 3, (0x0100,), soon(), single=True)  # no load behind it
        assert (await link.read(1, "holding", 1, 8, soon())).words == (1, 0, 1, 0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("space", "address", "code"), [("input", 1, 2), ("holding", 0, 2), ("holding", 9, 2)]
)
async def test_an_emulated_module_has_no_other_registers(space: Space, address: int, code: int) -> None:
    async with on_a_socket(module(load_profile("r421a08"), {})) as link:
        with pytest.raises(ModbusExceptionReply) as refused:
            await link.read(1, space, address, 1, soon())
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("address", "words", "code"), [(1, (1,), 3), (9, (0x0100,), 2), (8, (0x0100, 0x0100), 2)]
)
async def test_an_emulated_module_refuses_what_moves_no_relay(
    address: int, words: tuple[int, ...], code: int
) -> None:
    load = Load()
    async with on_a_socket(module(load_profile("r421a08"), {1: load, 8: load})) as link:
        with pytest.raises(ModbusExceptionReply) as refused:
            await link.write(1, address, words, soon())
    assert (refused.value.code, load.diary) == (code, [])


async def test_a_register_that_is_neither_open_nor_closed_is_no_reading() -> None:
    class Mad:
        async def read(self, peer: str, space: Space, address: int, count: int) -> list[int]:
            return [7]

        async def write(self, peer: str, address: int, words: object) -> None: ...

    async with on_a_socket(Mad()) as link:
        with pytest.raises(
            DeviceError, match="boiler: register 1 holds 0x0007, which is neither open nor closed"
        ):
            await modbus_switch("boiler", load_profile("r421a08"), link, 1).read(soon())


def test_a_module_is_not_asked_for_relays_it_does_not_have() -> None:
    with pytest.raises(ValueError, match=r"channel is 9; .* has 1 to 8"):
        relay_write(load_profile("r421a08"), True, 9)


async def test_a_house_takes_less_while_a_load_is_shed() -> None:
    begin_s = asyncio.get_running_loop().time()
    house = House(StepTrace(3600.0, [3000.0, 500.0]), begin_s=begin_s)
    switch = SimulatedSwitch(DeviceFacts("boiler", "simulated"), SwitchedLoad(house, 2000.0))
    assert ((await switch.read(soon())).closed, house.load_w) == (True, 3000.0)
    await switch.set(False, soon())
    assert ((await switch.read(soon())).closed, house.load_w) == (False, 1000.0)
    house.advance(begin_s + 3600.0)
    assert house.load_w == 0.0, "a load cannot give back"
    house.advance(begin_s + 7200.0)
    assert house.load_w == 1000.0
    house.shed(-2000.0)
    assert house.load_w == 3000.0


async def test_two_devices_at_one_unit_answer_each_for_its_registers() -> None:
    profile = load_profile("r421a08")
    load = Load()

    class Words:
        async def read(self, peer: str, space: Space, address: int, count: int) -> list[int]:
            return [address] * count

        async def write(self, peer: str, address: int, words: object) -> None: ...

    async with on_a_socket(SharedUnit(module(profile, {1: load}), Words())) as link:
        assert (await link.read(1, "holding", 1, 1, soon())).words == (1,)
        assert (await link.read(1, "holding", 700, 2, soon())).words == (700, 700)
        await link.write(1, 1, (0x0200,), soon())
        await link.write(1, 700, (5,), soon())
        with pytest.raises(ModbusExceptionReply):
            await link.write(1, 1, (5,), soon())
    assert load.diary == [False]


SITE = """
site = "house-7"

[[meter]]
id = "grid"
profile = "huawei-sun2000-meter"
connection = "tcp://127.0.0.1:{port}"

[[battery]]
id = "bat1"
profile = "{battery}"
connection = "tcp://127.0.0.1:{other}"
capacity_wh = 10_000
max_charge_w = 5000
max_discharge_w = 5000

[[switch]]
id = "boiler"
profile = "r421a08"
connection = "tcp://127.0.0.1:{relays}"
unit = 7
channel = 2
sheds_w = 300
shed_below_soc_pct = 15
restore_above_soc_pct = 30

[[switch]]
id = "pump"
profile = "r421a08"
connection = "tcp://127.0.0.1:{relays}"
unit = 7
channel = 3
sheds_w = 200
"""


def a_site(tmp_path: Path, **changes: object) -> Path:
    ports = free_ports(3)
    values = {"port": ports[0], "other": ports[1], "relays": ports[2], "battery": "sunspec-hybrid"} | changes
    path = tmp_path / "house.toml"
    path.write_text(SITE.format(**values), encoding="utf-8")
    return path


async def test_an_emulated_site_sheds_a_load_that_its_meter_then_no_longer_sees(tmp_path: Path) -> None:
    config = load_config(a_site(tmp_path))
    boiler = config.switches[0]
    assert (boiler.sheds_w, boiler.shed_below_soc_pct, boiler.restore_above_soc_pct) == (300.0, 15.0, 30.0)
    assert [one.id for one in config.devices][-2:] == ["boiler", "pump"]
    stage = built(config)
    house = stage.house
    async with emulated(stage):
        devices = open_devices(config)
        try:
            whole_w = house.load_w
            await devices.switches[0].set(False, soon())
            assert house.load_w == pytest.approx(max(0.0, whole_w - 300.0))
            assert [(await switch.read(soon())).closed for switch in devices.switches] == [False, True]
            await devices.switches[0].release(soon())
            assert house.load_w == pytest.approx(whole_w)
        finally:
            await devices.close()


async def test_a_hybrid_inverter_may_be_meter_and_battery_at_one_unit(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    config = load_config(a_site(tmp_path, port=port, other=port, battery="huawei-luna2000"))
    async with emulated(built(config)):
        devices = open_devices(config)
        try:
            late = asyncio.get_running_loop().time() + 5.0
            await devices.meter.read(late)
            await devices.batteries[0].read(late)
        finally:
            await devices.close()


def test_penstock_check_says_when_a_load_is_shed(tmp_path: Path) -> None:
    lines = describe(load_config(a_site(tmp_path)))
    assert "  boiler   sheds 300 W below 15 %, gives it back above 30 %" in lines
    assert any(line.startswith("  pump     switch: R421A08 relay board") for line in lines)
    assert any("boiler never forgets an order by itself: the relays stay" in line for line in lines)


def test_a_site_says_what_is_wrong_with_a_switch(tmp_path: Path) -> None:
    path = a_site(tmp_path)
    text = path.read_text(encoding="utf-8")
    text = text.replace("channel = 2", "channel = 9").replace(
        "restore_above_soc_pct = 30", "restore_above_soc_pct = 15"
    )
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        load_config(path)
    lines = str(refused.value).splitlines()
    assert "switch[0].restore_above_soc_pct: 15 % is not above shed_below_soc_pct" in lines[0]
    assert "switch[0].channel: is 9; R421A08" in lines[1]


def test_two_switches_cannot_be_the_same_relay(tmp_path: Path) -> None:
    path = a_site(tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace("channel = 3", "channel = 2"), encoding="utf-8")
    with pytest.raises(ConfigError, match="unit 7 is already switch"):
        load_config(path)


PROFILE = """
name = "Acme R1"
role = "switch"
source = ["Acme sheet"]
confidence = "high"

[points]
relay = {address = 5, type = "u16", gives = "closed", true_when = [1], every = "fast", access = "rw"}

[relay]
point = "relay"
close = 1
open = 0

[lease]
none = "it stays as it is"

[[examples]]
source = "Acme sheet"
registers.5 = "0001"
reading.closed = true

[[examples]]
source = "Acme sheet"
registers.5 = "0001"
set_closed = false
writes = ["5 0000"]

[[examples]]
source = "Acme sheet"
registers.5 = "0001"
set_closed = true
writes = ["5 0001"]
"""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("[relay]\npoint", "[relay]\nbogus", "bogus is not a known key"),
        ('point = "relay"', 'point = "rely"', 'relay.point: "rely" is not a point; did you mean "relay"?'),
        (', access = "rw"', "", "must be one register with gives"),
        ("open = 0", "open = 1", "relay.open: is written to close it too"),
        ("close = 1", "close = 1\nchannels = 64", ""),
        ("address = 5", "address = 65535", "cannot be read"),
        ('none = "it stays as it is"', 'timer = "relay"\nfallback = "x"', "lease: is missing; say none"),
        ('writes = ["5 0000"]', 'writes = ["5 0002"]', "the order is written as ['5 0000']"),
        ("set_closed = true", "set_closed = false", "the order is written as"),
        (
            'set_closed = true\nwrites = ["5 0001"]',
            "reading.closed = true",
            "an example with set_closed = true",
        ),
        ('role = "switch"', 'role = "meter"', "relay: is there, but a meter has no relays"),
    ],
)
def test_a_relay_profile_that_is_wrong_says_what_to_do(tmp_path: Path, old: str, new: str, told: str) -> None:
    path = tmp_path / "acme.toml"
    assert old in PROFILE
    path.write_text(PROFILE.replace(old, new), encoding="utf-8")
    if not told:
        load_profile(str(path))
        return
    with pytest.raises(ProfileError) as refused:
        load_profile(str(path))
    assert told in str(refused.value)


def test_a_switch_without_relays_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "acme.toml"
    path.write_text(PROFILE.replace('[relay]\npoint = "relay"\nclose = 1\nopen = 0\n', ""), encoding="utf-8")
    with pytest.raises(ProfileError, match="relay: is missing; say with point, close and open"):
        load_profile(str(path))
