"""What real devices ask of the driver: other units, single-register writes, complete sets, wear, variants."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import cast

import pytest

from drivers.device import DeviceError
from drivers.guard import GuardError
from drivers.link import Link, ModbusExceptionReply, Words
from drivers.modbus import ModbusBattery, modbus_battery
from drivers.profile import DeviceProfile, load_profile
from drivers.wire import Space
from simulators.virtual_time import run

WEARING = """
name = "Keeps its settings in flash"
role = "battery"
source = ["made up"]
confidence = "low"
[defaults]
type = "s16"
[points]
w = {address = 0, unit = "W", gives = "battery_discharge_w", every = "fast"}
order = {address = 10, unit = "W", access = "rw", writes_per_day = 2, every = "third"}
on = {address = 11, access = "rw", writes_per_day = 2, every = "third"}
[control]
style = "enabled_watts"
setpoint = "order"
enable = "on"
enable_each_time = true
[lease]
none = "stays on"
repeat_s = 10
[[examples]]
source = "by hand"
registers.0 = "03E8"
reading.battery_discharge_w = 1000.0
[[examples]]
source = "by hand"
registers.0 = "0000"
take_w = 500.0
writes = ["10 01F4", "11 0001"]
[[examples]]
source = "by hand"
registers.0 = "0000"
release = true
writes = ["11 0000"]
"""


class Wire:
    """In place of a link: registers by unit, kind and address, and a diary of what was asked and written."""

    def __init__(self) -> None:
        self.connects = 1
        self.spared = self.serial = False
        self.takes_s = 0.0
        self.registers: dict[tuple[int, Space, int], int] = {}
        self.missing: set[int] = set()
        self.reads: list[tuple[int, str, int, int]] = []
        self.writes: list[tuple[int, int, tuple[int, ...], int]] = []

    async def read(self, unit: int, space: Space, address: int, count: int, deadline_s: float) -> Words:
        self.reads.append((unit, space, address, count))
        await asyncio.sleep(self.takes_s)
        if address in self.missing:
            raise ModbusExceptionReply("illegal data address (exception 2)", 2)
        words = tuple(self.registers.get((unit, space, at), 0) for at in range(address, address + count))
        return Words(words, asyncio.get_running_loop().time())

    async def write(
        self,
        unit: int,
        address: int,
        words: Sequence[int],
        deadline_s: float,
        *,
        single: bool = False,
        on_connect: int | None = None,
    ) -> None:
        assert on_connect in (None, self.connects)
        self.writes.append((unit, address, tuple(words), 6 if single else 16))
        for offset, word in enumerate(words):
            self.registers[unit, "holding", address + offset] = word


def soon() -> float:
    return asyncio.get_running_loop().time() + 0.5


def driven(
    profile: DeviceProfile, scenario: Callable[[ModbusBattery, Wire], Awaitable[None]], unit: int = 1
) -> Wire:
    wire = Wire()

    async def whole() -> None:
        link = cast(Link, wire)
        battery = modbus_battery("bat1", profile, link, unit, max_charge_w=5000.0, max_discharge_w=5000.0)
        await scenario(battery, wire)

    run(whole())
    return wire


def test_points_at_another_unit_are_read_and_written_there() -> None:
    async def scenario(battery: ModbusBattery, wire: Wire) -> None:
        wire.registers[100, "holding", 843] = 88
        wire.registers[227, "holding", 12] = 120  # x 10 W
        reading = await battery.read(soon())
        assert (reading.soc_pct, reading.battery_discharge_w) == (88.0, -1200.0)
        await battery.order(-1500.0, soon())

    wire = driven(load_profile("victron-gx-mode3"), scenario, unit=227)
    assert (100, "holding", 2902, 1) in wire.reads
    assert wire.writes[-2:] == [(227, 37, (1500,), 16), (100, 2902, (3,), 16)]


@pytest.mark.parametrize(("takes_s", "at_once"), [(0.1, 3), (0.3, 1)])
def test_of_a_slow_device_one_block_at_a_time_is_read_beside_the_fast_one(
    takes_s: float, at_once: int
) -> None:
    async def scenario(battery: ModbusBattery, wire: Wire) -> None:
        wire.takes_s = takes_s
        for _ in range(8):  # the first readings tell how slow it is
            await battery.read(soon() + 5.0)
            await asyncio.sleep(1.0)
        further: list[list[int]] = []
        for _ in range(30):
            wire.reads.clear()
            await battery.read(soon() + 5.0)
            further.append([address for _, _, address, _ in wire.reads[1:]])
            await asyncio.sleep(1.0)
        assert max(map(len, further)) == at_once
        assert {one for some in further for one in some} == {37003, 37007, 47511}, "none is forgotten"

    driven(load_profile("goodwe-et"), scenario)


def test_each_register_is_written_with_the_function_it_wants() -> None:
    async def scenario(battery: ModbusBattery, wire: Wire) -> None:
        wire.missing = {46001}
        await battery.order(-1500.0, soon())

    writes = driven(load_profile("foxess-h3"), scenario).writes
    assert [(address, function) for _, address, _, function in writes] == [
        (44001, 6),
        (44002, 16),
        (44000, 6),
    ]


def test_a_fox_with_the_registers_of_later_firmware_is_told_its_profile_and_not_ordered() -> None:
    async def scenario(battery: ModbusBattery, wire: Wire) -> None:
        with pytest.raises(DeviceError, match="needs_profile_foxess_h3_smart is 0"):
            await battery.order(-1500.0, soon())

    assert driven(load_profile("foxess-h3"), scenario).writes == []


def test_a_complete_set_goes_into_one_request() -> None:
    async def scenario(battery: ModbusBattery, wire: Wire) -> None:
        await battery.order(-2000.0, soon())
        await battery.order(1000.0, soon())
        await battery.release(soon())
        assert battery.writes_by_register == {40149: 3, 40151: 3}

    writes = driven(load_profile("sma-hybrid"), scenario).writes
    assert [words for _, _, words, _ in writes] == [
        (0xFFFF, 0xF830, 0, 802),
        (0, 1000, 0, 802),
        (0, 803),
        (0, 0),
    ]


def test_what_cannot_be_read_is_never_asked_for() -> None:
    async def scenario(battery: ModbusBattery, wire: Wire) -> None:
        for _ in range(10):
            await battery.read(soon())
            await battery.order(-2000.0, soon())
            await asyncio.sleep(1.0)
        await battery.release(soon())

    asked = driven(load_profile("sma-hybrid"), scenario).reads
    assert not any(address <= 40151 < address + count for _, _, address, count in asked)


def test_registers_that_wear_out_are_written_when_they_change_and_so_often_a_day(tmp_path: Path) -> None:
    (tmp_path / "flash.toml").write_text(WEARING)

    async def scenario(battery: ModbusBattery, wire: Wire) -> None:
        for order_w in (500.0, 500.0, 700.0):
            for _ in range(30):
                await battery.read(soon())
                await battery.order(order_w, soon())
                await asyncio.sleep(1.0)
        assert battery.writes_by_register == {10: 2, 11: 1}
        with pytest.raises(
            DeviceError, match="bat1: order: refused a write: all 2 of 24 h are used up"
        ) as no:
            await battery.order(900.0, soon())
        assert not isinstance(no.value, GuardError), "the order was good, so it is no fault of the controller"
        await asyncio.sleep(86_400.0)
        await battery.order(900.0, soon())
        assert battery.writes_by_register == {10: 3, 11: 1}

    driven(load_profile("flash.toml", tmp_path), scenario)


def test_a_register_that_wears_out_is_written_back_even_before_it_was_read_again(tmp_path: Path) -> None:
    """What was read three seconds ago is not what it holds now."""
    (tmp_path / "flash.toml").write_text(WEARING.replace("writes_per_day = 2", "writes_per_day = 9"))

    async def scenario(battery: ModbusBattery, wire: Wire) -> None:
        await battery.read(soon())
        for order_w in (500.0, 700.0, 500.0):
            await battery.order(order_w, soon())
        assert wire.registers[1, "holding", 10] == 500
        await battery.release(soon())
        assert wire.registers[1, "holding", 11] == 0
        await battery.order(500.0, soon())
        assert wire.registers[1, "holding", 11] == 1
        assert battery.writes_by_register == {10: 3, 11: 3}

    driven(load_profile("flash.toml", tmp_path), scenario)


def test_a_probe_is_made_after_each_connect_and_the_registers_of_the_variant_are_read() -> None:
    async def scenario(battery: ModbusBattery, wire: Wire) -> None:
        wire.registers |= {(1, "input", 5213): 0xFA24, (1, "input", 5214): 0xFFFF}
        wire.registers |= {(1, "input", 13000): 2, (1, "input", 13021): 900, (1, "input", 13022): 623}
        reading = await battery.read(soon())
        assert reading.battery_discharge_w == -1500.0
        assert reading.soc_pct == pytest.approx(62.3)
        wire.missing, wire.connects = {5213}, 2
        reading = await battery.read(soon())
        assert reading.battery_discharge_w == -900.0
        wire.registers[1, "input", 13000] = 4
        assert (await battery.read(soon())).battery_discharge_w == 900.0

    reads = driven(load_profile("sungrow-sh"), scenario).reads
    assert reads.count((1, "input", 5213, 2)) == 3, "as a probe and a reading, and as a probe again"


def test_the_same_address_among_input_and_holding_registers_is_not_mixed_up() -> None:
    async def scenario(battery: ModbusBattery, wire: Wire) -> None:
        wire.registers |= {(1, "input", 13050): 0xAA, (1, "input", 13051): 3000, (1, "input", 13049): 2}
        wire.registers |= {(1, "holding", 13049): 2, (1, "holding", 13050): 0xBB, (1, "holding", 13051): 800}
        assert (await battery.read(soon())).setpoint_w == 800.0

    driven(load_profile("sungrow-sh"), scenario)


def test_a_lease_in_minutes_is_written_with_every_repetition() -> None:
    async def scenario(battery: ModbusBattery, wire: Wire) -> None:
        wire.registers |= {(1, "holding", 37047): 5000, (1, "holding", 37049): 5000}
        for _ in range(31):
            await battery.order(2000.0, soon())
            await asyncio.sleep(1.0)

    writes = driven(load_profile("huawei-luna2000"), scenario).writes
    assert [address for _, address, _, _ in writes] == [47246, 47083, 47249, 47100, 47083, 47249, 47100]
    assert {words for _, address, words, _ in writes if address == 47083} == {(2,)}


def test_a_new_power_in_the_same_direction_is_one_write_and_all_is_said_again_in_time() -> None:
    """Only so does a device hear often enough of a mode that its own timer goes by."""

    async def scenario(battery: ModbusBattery, wire: Wire) -> None:
        await battery.order(-100.0, soon())
        wire.writes.clear()
        for second in range(30):
            await battery.order(-1000.0 - second, soon())
            await asyncio.sleep(1.0)

    writes = [address for _, address, _, _ in driven(load_profile("solaredge-storedge"), scenario).writes]
    assert writes.count(0xE00E) == 30
    assert writes.count(0xE00D) == 1, "after 18 of 60 s"


def test_words_that_mean_no_battery_are_no_reading() -> None:
    async def scenario(battery: ModbusBattery, wire: Wire) -> None:
        wire.registers |= {(1, "holding", 0xE174): 0xFFFF, (1, "holding", 0xE175): 0xFF7F}
        with pytest.raises(DeviceError, match="battery_discharge_w is not available"):
            await battery.read(soon())

    driven(load_profile("solaredge-storedge"), scenario)


def test_one_missing_half_of_a_split_pair_is_no_reading_and_named() -> None:
    async def scenario(battery: ModbusBattery, wire: Wire) -> None:
        wire.registers |= {(3, "holding", 31395): 0xFFFF, (3, "holding", 31396): 0xFFFF}
        with pytest.raises(DeviceError, match=r"not available \(register 31395 holds 0xFFFFFFFF\)"):
            await battery.read(soon())

    driven(load_profile("sma-hybrid"), scenario, unit=3)
