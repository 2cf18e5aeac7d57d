"""What a profile says of a device's wire is what its driver does, seen by a raw device that keeps a diary."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import pytest

from controller.config import Config, load_config
from controller.devices import open_devices
from controller.lab.emulate import built, emulated
from drivers import rtu
from drivers.device import DeviceError
from tests.penstock import free_ports
from tests.unit.raw_modbus import RawDevice, frame, in_virtual_time, now_s, read_frame, read_pdu
from tests.unit.raw_rtu import RawLine

PROFILE = """
name = "Odd"
role = "battery"
source = ["made up"]
confidence = "medium"
[transport]
max_read_registers = 6
max_gap_registers = 2
min_gap_ms = 70
connect_delay_ms = 1500
timeout_ms = 200
retry_exceptions = [6, 9]
turnaround_ms = 90
hold_off_ms = 800
max_clients = 1
missing_unit = "silent"
[points]
w = {address = 0, type = "s32", unit = "W", gives = "battery_discharge_w", every = "fast"}
soc = {address = 4, type = "u16", unit = "%", gives = "soc_pct", every = "fast", range = [0, 100]}
t = {address = 5, type = "s32", unit = "C", gives = "temperature_c", every = "fast"}
cap = {address = 10, type = "u16", unit = "Wh", gives = "capacity_wh", every = "fast"}
set = {address = 20, type = "s32", unit = "W", access = "rw", every = "third"}
on = {address = 30, type = "u16", access = "rw", function = 6, every = "third"}
[control]
style = "enabled_watts"
setpoint = "set"
enable = "on"
[lease]
none = "stays on"
[[examples]]
source = "by hand"
registers.0 = "0000 0064 0000 0000 0032 0000 0014"
reading.battery_discharge_w = 100.0
[[examples]]
source = "by hand"
registers.0 = "0000"
take_w = 500.0
writes = ["20 0000 01F4", "30 0001"]
[[examples]]
source = "by hand"
registers.0 = "0000"
release = true
writes = ["30 0000"]
"""
SITE = """
site = "odd"
[[meter]]
id = "grid"
profile = "eastron-sdm72dm-v2"
connection = "tcp://127.0.0.1:{1}"
[[battery]]
id = "bat1"
profile = "./odd.toml"
connection = "{0}"
capacity_wh = 5000
max_charge_w = 1000
max_discharge_w = 1000
"""


def site_of(folder: Path, connection: str, meter_port: int = 1) -> Config:
    (folder / "odd.toml").write_text(PROFILE, encoding="utf-8")
    path = folder / "house.toml"
    path.write_text(SITE.format(connection, meter_port), encoding="utf-8")
    return load_config(path)


@dataclass
class Diary:
    """Answers every read with ones and confirms every write, after 10 ms; the first few with an exception."""

    refusals: list[int] = field(default_factory=list)
    asked: list[tuple[int, int, int]] = field(default_factory=list)
    asked_at_s: list[float] = field(default_factory=list)
    answered_at_s: list[float] = field(default_factory=list)

    async def reply(self, pdu: bytes) -> bytes:
        function, address, count = pdu[0], int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big")
        self.asked.append((function, address, count))
        self.asked_at_s.append(now_s())
        await asyncio.sleep(0.01)
        self.answered_at_s.append(now_s())
        if self.refusals:
            return bytes((function | 0x80, self.refusals.pop(0)))
        return bytes((function, 2 * count)) + bytes((0, 1)) * count if function in (3, 4) else pdu[:5]

    async def over_tcp(self, writer: asyncio.StreamWriter, transaction: int, unit: int, pdu: bytes) -> None:
        writer.write(frame(transaction, unit, await self.reply(pdu)))

    async def over_rtu(self, line: RawLine, unit: int, pdu: bytes) -> None:
        line.say(rtu.framed(unit, await self.reply(pdu)))

    @property
    def silences_s(self) -> list[float]:
        return [next_ - last for last, next_ in zip(self.answered_at_s, self.asked_at_s[1:], strict=False)]


def test_a_driver_keeps_to_what_the_profile_says_of_the_wire(tmp_path: Path) -> None:
    diary = Diary()

    async def scenario() -> None:
        async with RawDevice(diary.over_tcp) as device:
            devices = open_devices(site_of(tmp_path, f"tcp://127.0.0.1:{device.port}"))
            (battery,) = devices.batteries
            await battery.read(now_s() + 5.0)
            assert diary.asked_at_s[0] - device.connected_at_s[0] >= 1.5, "silence after connecting"
            # 2 and 3 are read along, 7 to 9 are one too many; 5 to 6 would make it 7, and is not split.
            assert diary.asked == [(3, 0, 5), (3, 5, 2), (3, 10, 1), (3, 20, 2), (3, 30, 1)]
            await battery.order(500.0, now_s() + 5.0)
            assert diary.asked[5:7] == [(16, 20, 2), (6, 30, 1)], "each register by the function it wants"
            assert min(diary.silences_s) >= 0.07 - 1e-6, "silence between two requests"
            await devices.close()

    in_virtual_time(scenario())


def test_a_device_that_is_busy_in_its_own_way_is_asked_again_and_another_refusal_counts(
    tmp_path: Path,
) -> None:
    diary = Diary(refusals=[6, 9])

    async def scenario() -> None:
        async with RawDevice(diary.over_tcp) as device:
            devices = open_devices(site_of(tmp_path, f"tcp://127.0.0.1:{device.port}"))
            (battery,) = devices.batteries
            assert (await battery.read(now_s() + 5.0)).battery_discharge_w == 0x10001
            assert diary.asked[:3] == [(3, 0, 5)] * 3
            diary.refusals = [5]  # busy to others, but not in this profile's words
            with pytest.raises(DeviceError, match=r"\(exception 5\)"):
                await battery.read(now_s() + 5.0)
            await devices.close()

    in_virtual_time(scenario())


def test_on_a_serial_line_the_turnaround_and_the_hold_off_are_the_profiles(tmp_path: Path) -> None:
    diary = Diary()
    silent = False

    async def handle(line: RawLine, unit: int, pdu: bytes) -> None:
        if silent:
            diary.asked_at_s.append(now_s())
        else:
            await diary.over_rtu(line, unit, pdu)

    async def scenario() -> None:
        nonlocal silent
        line = RawLine(handle)
        with patch("drivers.link.rtu.open_port", line.open):
            devices = open_devices(site_of(tmp_path, "rtu:///dev/ttyTEST?baud=115200"))
            (battery,) = devices.batteries
            await battery.read(now_s() + 5.0)
            assert min(diary.silences_s) >= 0.09 - 1e-6, "0.07 s are not enough for it"
            silent = True
            with pytest.raises(DeviceError, match=r"no answer within 0\.2"):
                await battery.read(now_s() + 5.0)
            in_vain, silent = len(diary.asked_at_s) - 1, False
            await battery.read(now_s() + 5.0)
            waited_s = diary.asked_at_s[in_vain + 1] - diary.asked_at_s[in_vain]
            assert waited_s >= 0.2 + 0.8 - 1e-6, "its patience, and how late an answer may still come"
            await devices.close()

    in_virtual_time(scenario())


def test_an_emulated_device_has_the_wire_of_its_profile_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        port, meter_port = free_ports(2)
        config = site_of(tmp_path, f"tcp://127.0.0.1:{port}", meter_port)
        async with emulated(built(config)):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(frame(1, 1, read_pdu(3, 0, 2)))
            await asyncio.sleep(1.6)  # swallowed: it came within 1.5 s of connecting
            writer.write(frame(2, 9, read_pdu(3, 0, 2)))  # no such unit: no word
            writer.write(frame(3, 1, read_pdu(3, 0, 7)))  # longer than it allows
            assert await read_frame(reader) == (3, 1, bytes((0x83, 3)))
            second, other = await asyncio.open_connection("127.0.0.1", port)
            assert await second.read() == b"", "one client at a time"
            other.close()
            writer.close()

    in_virtual_time(scenario())
