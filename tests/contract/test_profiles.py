"""Every profile there is: its examples, its limits, and its driver and emulator over a real socket.

Driver and emulator share the profile, so they share its mistakes. What stands against that is worked out
by hand (the examples) or read and written by a client that knows SunSpec, but not our profiles.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import fields, replace
from itertools import groupby
from math import inf

import pytest

from drivers.device import BatteryReading, DeviceError, MeterReading
from drivers.link import Link, LinkTiming, ModbusExceptionReply, open_link
from drivers.modbus import modbus_battery, modbus_meter, modbus_pv
from drivers.profile import DeviceProfile, load_profile, shipped_profiles
from drivers.profile.codec import memory_of, point_values, power_for
from drivers.profile.model import HELD, REQUIRED
from drivers.registers import encode
from drivers.wire import serve
from simulators.emulator import Rating, emulated_unit
from simulators.serial_pair import pty_pair
from tests.contract.plants import PLANTS, Battery, Meter, Pv, driver_of, in_virtual_time, on_a_socket, soon

EVERY = [load_profile(name) for name in shipped_profiles()]
ALL = [profile for profile in EVERY if profile.role != "switch"]  # relays: test_switch.py
ORDERED = [profile for profile in ALL if profile.control is not None]


def named(profile: DeviceProfile) -> str:
    return profile.id


every_profile = pytest.mark.parametrize("profile", ALL, ids=named)


@pytest.mark.parametrize("profile", EVERY, ids=named)
def test_what_the_examples_decode_to_encodes_to_the_same_words(profile: DeviceProfile) -> None:
    """That they decode as worked out by hand is checked whenever a profile is loaded."""
    encoded = set()
    for example in profile.examples:
        memory = memory_of(example.registers)
        values = point_values(profile, memory)
        for name, point in profile.points.items():
            if name not in values or point.encoding.type == "string":  # padded with blanks or zeros
                continue
            value = values[name]
            if point.sign is not None and isinstance(value, float):
                value = abs(value)
            words = tuple(memory[point.kind, address] for address in range(point.address, point.end))
            assert encode(point.encoding, value, power_for(point, values)) == words
            encoded.add(name)
        encoded |= profile.sums.keys() & values.keys()  # their terms are among the points
    numbers = {point.name for point in profile.gives.values() if point.encoding.type != "string"}
    numbers |= set(profile.sums)
    assert numbers <= encoded, "every field that a profile gives stands in one of its examples"


@every_profile
def test_blocks_keep_to_the_devices_limits(profile: DeviceProfile) -> None:
    field = REQUIRED[profile.role]
    needed = [name for _, name in profile.sums.get(field, ())] or [profile.named(field)]
    fast = [block for block in profile.blocks if block.every == "fast"]
    together = [block for block in fast if {point.name for point in block.points} >= set(needed)]
    assert len(together) == 1, "the power that a reading is about is of one instant"
    for block in profile.blocks:
        assert 1 <= block.count <= profile.transport.max_read_registers
        for point in block.points:
            assert block.address <= point.address < point.end <= block.address + block.count


@pytest.mark.parametrize("profile", ORDERED, ids=named)
def test_a_device_that_takes_orders_states_its_lease_and_what_comes_after(profile: DeviceProfile) -> None:
    assert profile.lease is not None
    assert profile.lease.fallback
    armed = profile.control is not None and profile.control.lease is not None
    if armed and profile.lease.seconds is not None:
        assert profile.lease.seconds <= 120.0, "a lease that we choose ourselves is short"
    assert profile.lease.refresh <= 1 / 3
    if profile.lease.seconds is not None and profile.lease.repeat_s is not None:
        assert profile.lease.repeat_s <= profile.lease.seconds / 3


@pytest.mark.parametrize("profile", [p for p in ALL if p.role != "meter"], ids=named)
async def test_driver_and_emulator_agree_over_tcp(profile: DeviceProfile) -> None:
    plant = PLANTS[profile.role]()
    async with on_a_socket(profile, plant) as link:
        found = await driver_of(profile, link).read(soon())
    expected = replace(plant.shown, taken_at_s=found.taken_at_s)
    if isinstance(expected, BatteryReading):  # the driver reads the nameplate, not what holds now
        expected = replace(expected, max_charge_w=5000.0, max_discharge_w=4500.0)
    for one in fields(found):
        value, wanted = getattr(found, one.name), getattr(expected, one.name)
        if one.name == "taken_at_s":
            continue
        if not profile.named(one.name):
            assert value is None or one.name == HELD[profile.role], f"{one.name} is not given"
        elif isinstance(wanted, float):
            assert value == pytest.approx(wanted, rel=1e-6, abs=step_of(profile, one.name) / 2)
        else:
            assert value == wanted


def step_of(profile: DeviceProfile, field: str) -> float:
    """The smallest difference that the registers of a field can show; scale factors make it at most 0.1."""
    if field in profile.sums:
        return sum(abs(profile.points[name].encoding.scale) for _, name in profile.sums[field])
    point = profile.gives[field]
    return 0.1 if point.power_of is not None else abs(point.encoding.scale)


@every_profile
async def test_an_emulated_device_answers_what_it_has_and_nothing_beyond(profile: DeviceProfile) -> None:
    known = memory_of(profile.image).keys() | {
        (point.kind, at)
        for point in profile.points.values()
        for at in range(point.address, point.end)
        if point.unit_id is None and point.readable
    }
    async with on_a_socket(profile, PLANTS[profile.role]()) as link:
        for kind in sorted({kind for kind, _ in known}):
            there = {at for space, at in known if space == kind}
            for start in sorted(at for at in there if at - 1 not in there):
                end = next(at for at in range(start, 65537) if at not in there)
                for address in range(start, end, profile.transport.max_read_registers):
                    count = min(profile.transport.max_read_registers, end - address)
                    assert len((await link.read(1, kind, address, count, soon())).words) == count
                for outside in {end, start - 1} - {65536, -1}:
                    assert await code_of(link.read(1, kind, outside, 1, soon())) == 2


async def code_of(attempt: Awaitable[object]) -> int:
    with pytest.raises(ModbusExceptionReply) as caught:
        await attempt
    return caught.value.code


@pytest.mark.parametrize(
    "profile", [p for p in ORDERED if p.role == "pv" and "rtu" in p.transport.over], ids=named
)
async def test_a_pv_inverter_is_read_capped_and_uncapped_over_a_serial_line(profile: DeviceProfile) -> None:
    plant = Pv()
    with pty_pair() as (device_end, our_end):
        server = await serve(f"rtu://{device_end}?baud=38400", {1: emulated_unit(profile, plant)})
        link = open_link(f"rtu://{our_end}?baud=38400", LinkTiming())
        try:
            late = asyncio.get_running_loop().time() + 20.0
            pv = modbus_pv("roof", profile, link, 1)
            await pv.cap(2000.0, late)
            reading = await pv.read(late)
            await pv.release(late)
        finally:
            await link.close()
            await server.stop()
    assert (reading.pv_generation_w, reading.cap_w) == (3600.0, 2000.0)
    assert (plant.diary[0], plant.diary[-1]) == ((2000.0, pytest.approx(30.0)), None)


@pytest.mark.parametrize("profile", [p for p in ORDERED if p.role == "pv"], ids=named)
def test_a_pv_inverter_is_capped_uncapped_and_never_gives_more_than_ordered(profile: DeviceProfile) -> None:
    plant = Pv()

    async def scenario(link: Link) -> None:
        pv = modbus_pv("roof", profile, link, 1)
        for cap_w in (3333.0, 0.0, None, 5000.0):
            await pv.cap(cap_w, soon())
        await pv.release(soon())

    in_virtual_time(profile, plant, scenario)
    # 66.66 %, of which the register can say 66.6 %. A change is written, then enabled: it comes twice.
    once = [entry for entry, _ in groupby(plant.diary)]
    assert once == [(3330.0, 30.0), (0.0, 30.0), None, (5000.0, 30.0), None]


def test_a_cap_lives_as_long_as_its_lease_and_is_kept_alive_by_repeating_it() -> None:
    plant, profile = Pv(), load_profile("sunspec-pv")

    async def scenario(link: Link) -> None:
        async def enabled() -> int:
            return (await link.read(1, "holding", 40191, 1, soon())).words[0]

        roof = modbus_pv("roof", profile, link, 1)
        for _ in range(60):
            await roof.cap(1000.0, soon())
            await asyncio.sleep(1.0)
        assert await enabled() == 1
        # The last beat came at 59 s, the last repetition at 54 s (every 9 s).
        await asyncio.sleep(23.9)
        assert await enabled() == 1
        await asyncio.sleep(0.2)
        assert await enabled() == 0

    in_virtual_time(profile, plant, scenario)
    assert None not in plant.diary, "the plant lets a lease run out by itself"
    assert {entry for entry in plant.diary if entry} == {(1000.0, 30.0)}


def test_the_hybrid_counts_its_lease_down() -> None:
    async def scenario(link: Link) -> None:
        async def remaining_s() -> int:
            high, low = (await link.read(1, "holding", 40267, 2, soon())).words
            return high << 16 | low

        battery = modbus_battery("bat1", load_profile("sunspec-hybrid"), link, 1)
        assert await remaining_s() == 0
        await battery.order(1000.0, soon())
        assert await remaining_s() == 30
        await asyncio.sleep(12.0)
        assert await remaining_s() == 18
        await asyncio.sleep(18.0)
        assert await remaining_s() == 0

    in_virtual_time(load_profile("sunspec-hybrid"), Battery(), scenario)


def test_an_order_written_without_a_lease_stays_for_ever() -> None:
    plant = Battery()

    async def scenario(link: Link) -> None:
        for address, words in ((40258, (0, 500)), (40257, (1,)), (40256, (1,))):
            await link.write(1, address, words, soon())

    in_virtual_time(load_profile("sunspec-hybrid"), plant, scenario)
    assert plant.diary == [(500.0, inf)]


@pytest.mark.parametrize(
    ("address", "words", "code"),
    [
        (40084, (0,), 2),  # W: read only
        (40312, (0,), 2),  # after the last model
        (40259, (0,), 2),  # half of WSet
        (40258, (0,), 2),  # the other half
        (40264, (0, 0, 30, 0), 2),  # runs into WSetRvrtRem, which is read only
        (40256, (2,), 3),  # WSetEna is 0 or 1
        (40256, (0xFFFF,), 3),  # "not implemented" is no order
        (40258, (0xFFFF, 0xEC77), 3),  # -5001 W, nameplate 5000 W
        (40258, (0, 4501), 3),  # nameplate 4500 W
        (40257, (1, 0, 4501), 3),  # all or none
    ],
)
def test_an_emulator_refuses_as_a_device_does_and_changes_nothing(
    address: int, words: tuple[int, ...], code: int
) -> None:
    plant = Battery()

    async def scenario(link: Link) -> None:
        before = (await link.read(1, "holding", 40250, 60, soon())).words
        assert await code_of(link.write(1, address, words, soon())) == code
        assert (await link.read(1, "holding", 40250, 60, soon())).words == before

    in_virtual_time(load_profile("sunspec-hybrid"), plant, scenario)
    assert plant.diary == []


def test_one_write_may_hold_several_values() -> None:
    plant = Battery()

    async def scenario(link: Link) -> None:
        await link.write(1, 40264, (0, 0, 30), soon())  # WSetEnaRvrt, WSetRvrtTms
        await link.write(1, 40256, (1, 1, 0xFFFF, 0xFA24), soon())  # WSetEna, WSetMod, WSet

    in_virtual_time(load_profile("sunspec-hybrid"), plant, scenario)
    assert plant.diary == [(-1500.0, 30.0)]


async def test_an_emulated_device_of_any_size_fits_into_its_registers() -> None:
    plant = Battery(BatteryReading(0.0, -93_210.0, soc_pct=50.0, capacity_wh=500_000.0))
    rating = Rating(max_charge_w=250_000.0, max_discharge_w=200_000.0)
    async with on_a_socket(load_profile("sunspec-hybrid"), plant, rating) as link:
        reading = await modbus_battery("bat1", load_profile("sunspec-hybrid"), link, 1).read(soon())
    assert (reading.battery_discharge_w, reading.capacity_wh) == (-93_210.0, 500_000.0)
    assert (reading.max_charge_w, reading.max_discharge_w) == (250_000.0, 200_000.0)


async def test_a_meter_that_can_be_scaled_has_room_for_its_connection_whatever_flows_at_first() -> None:
    meter, rating = Meter(), Rating(connection_w=90_000.0)
    async with on_a_socket(load_profile("sunspec-meter"), meter, rating) as link:
        device = modbus_meter("grid", load_profile("sunspec-meter"), link, 1)
        assert (await device.read(soon())).pcc_import_w == 460.0, "459 W in steps of 10 W"
        meter.shown = MeterReading(0.0, -90_000.0, (-30_000.0,) * 3, phase_current_a=(130.0,) * 3)
        reading = await device.read(soon())
        assert (reading.pcc_import_w, reading.phase_current_a) == (-90_000.0, (130.0,) * 3)


@pytest.mark.parametrize(
    ("name", "flows_w", "shown_w"),
    [
        ("foxess-h3-meter", -40_000.0, -32_767.0),  # its export is positive: 32767
        ("foxess-h3-meter", 40_000.0, 32_768.0),
        ("sunspec-meter", 40_000.0, 32_767.0),
    ],
)
async def test_a_meter_shows_of_too_large_a_power_what_its_register_holds_and_says_so_once(
    name: str, flows_w: float, shown_w: float, caplog: pytest.LogCaptureFixture
) -> None:
    meter = Meter(MeterReading(0.0, 300.0, (100.0,) * 3))
    async with on_a_socket(load_profile(name), meter) as link:
        device = modbus_meter("grid", load_profile(name), link, 1)
        await device.read(soon())
        meter.shown = MeterReading(0.0, flows_w, (flows_w, 0.0, 0.0))
        for _ in range(3):
            assert (await device.read(soon())).phase_import_w[0] == shown_w
    assert f"does not fit into s16 in steps of 1; it shows {shown_w}" in caplog.text
    assert len({record.getMessage() for record in caplog.records}) == len(caplog.records)


async def test_a_fault_of_the_plant_shows_and_an_unknown_soc_is_absent() -> None:
    plant = Battery(BatteryReading(0.0, 0.0, fault=True))
    async with on_a_socket(load_profile("sunspec-hybrid"), plant) as link:
        reading = await modbus_battery("bat1", load_profile("sunspec-hybrid"), link, 1).read(soon())
    assert (reading.fault, reading.soc_pct, reading.capacity_wh) == (True, None, None)


async def test_an_emulated_meter_without_a_number_has_no_reading() -> None:
    async with on_a_socket(load_profile("eastron-sdm630"), Meter(MeterReading(0.0, 1.0))) as link:
        reading = await modbus_meter("grid", load_profile("eastron-sdm630"), link, 1).read(soon())
        assert reading.phase_voltage_v == (0.0, 0.0, 0.0)
        assert reading.frequency_hz is None
    plant = Meter(MeterReading(0.0, float("nan")))
    async with on_a_socket(load_profile("eastron-sdm630"), plant) as link:
        with pytest.raises(DeviceError, match="device failure"):
            await modbus_meter("grid", load_profile("eastron-sdm630"), link, 1).read(soon())
