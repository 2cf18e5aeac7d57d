"""Faults: every one in the table does what it says, at the wire, at the reading or at the order."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import pytest

from controller.lab.scenario import load_scenario
from drivers.address import Address
from drivers.device import BatteryReading, DeviceError
from drivers.profile import load_profile
from drivers.wire import ModbusFault, ModbusTcpServer
from simulators.emulator import EmulatedUnit, Rating, emulated_unit
from simulators.faults import ELSEWHERE, IDS, INJECTORS, Active, FaultError, make_fault
from simulators.faults.behaviour import FaultyBattery, FaultyMeter
from simulators.faults.link import FaultyLink, FaultyServer
from simulators.faults.registers import FaultyUnit
from simulators.proxy import ModbusProxy
from simulators.virtual_time import run
from tests.contract.plants import Battery, Meter, Obeying
from tests.unit import fault_effects as effects
from tests.unit.raw_modbus import PlainUnit, frame, read_pdu
from tests.unit.test_faulty_line import ON_THE_LINE

SCENARIOS = sorted((Path(__file__).parents[1] / "scenarios").glob("*.toml"))
QUESTION = frame(7, 1, read_pdu(3, 10, 2))
Door = Callable[[Active], Any]


@asynccontextmanager
async def emulator(active: Active) -> AsyncIterator[int]:
    server = FaultyServer({1: PlainUnit()}, FaultyLink([(None, active)]))
    port = await server.start("127.0.0.1", 0)
    try:
        yield port
    finally:
        await server.stop()


@asynccontextmanager
async def proxy(active: Active) -> AsyncIterator[int]:
    server = ModbusTcpServer({1: PlainUnit()})
    target = await server.start("127.0.0.1", 0)
    between = ModbusProxy(Address("127.0.0.1", 0), Address("127.0.0.1", target), active)
    port = await between.start()
    try:
        yield port
    finally:
        await between.stop()
        await server.stop()


DOORS = pytest.mark.parametrize("door", [emulator, proxy], ids=["emulator", "proxy"])


async def heard(reader: asyncio.StreamReader, within_s: float = 2.0) -> tuple[bytes, bool]:
    """All bytes that come, and whether the connection then ended."""
    found = bytearray()
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            try:
                while data := await reader.read(1000):
                    found += data
            except ConnectionResetError:
                pass
            return bytes(found), True
    return bytes(found), False


def in_virtual_time(work: Awaitable[None]) -> None:
    async def whole() -> None:
        await work

    run(whole(), quiesce_s=0.001)


def test_the_catalogue_is_complete_from_a_to_e() -> None:
    counts = {"A": 35, "B": 15, "C": 16, "D": 6, "E": 18}
    every = {f"{letter}{number:02d}" for letter, count in counts.items() for number in range(1, count + 1)}
    assert set(IDS) | set(ELSEWHERE) == every
    assert not set(IDS) & set(ELSEWHERE)
    named = [one for why in ELSEWHERE.values() for one in re.findall(r"`(tests/[^`]+)`", why)]
    assert len(named) == 2
    assert [one for one in named if not (SCENARIOS[0].parents[2] / one).exists()] == []


def test_every_fault_is_seen_in_a_test_here_or_in_a_scenario_of_the_library() -> None:
    tables = (effects.ON_THE_WIRE, effects.SHUT, effects.SHOWN, effects.DONE, effects.REGISTERS)
    here = {name for table in tables for name in table} | set(effects.ELSEWHERE) | set(ON_THE_LINE)
    there = {one.fault for path in SCENARIOS for one in load_scenario(path).faults}
    assert here | there == set(INJECTORS)


@DOORS
@pytest.mark.parametrize("name", effects.ON_THE_WIRE)
def test_a_link_fault_is_what_a_client_hears(name: str, door: Door) -> None:
    values, expected = effects.ON_THE_WIRE[name]

    async def asked() -> None:
        active = Active()
        active.add(make_fault(name, values), 0.0)
        async with door(active) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(QUESTION)
            assert await heard(reader) == (expected, name in effects.ENDS)
            writer.close()

    in_virtual_time(asked())


@DOORS
def test_without_a_fault_and_after_it_everything_passes(door: Door) -> None:
    async def asked() -> None:
        active = Active()
        active.add(make_fault("silent", {}), 1.0, 2.0)
        async with door(active) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for at_s, expected in ((0.0, effects.HONEST), (1.5, b""), (2.5, effects.HONEST)):
                await asyncio.sleep(at_s - asyncio.get_running_loop().time())
                writer.write(QUESTION)
                assert (await heard(reader, 0.4))[0] == expected
            writer.close()

    in_virtual_time(asked())


@DOORS
@pytest.mark.parametrize("name", effects.SHUT)
def test_nobody_gets_in_while_a_device_is_gone_and_everybody_afterwards(name: str, door: Door) -> None:
    async def knocked() -> None:
        active = Active()
        active.add(make_fault(name, {}), 1.0, 5.0)
        async with door(active) as port:
            first, first_writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.sleep(1.1)
            assert (await heard(first))[1], "what was open is over"
            first_writer.close()
            with pytest.raises(effects.SHUT[name]):
                async with asyncio.timeout(1.0):
                    await asyncio.open_connection("127.0.0.1", port)
            await asyncio.sleep(4.0)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(QUESTION)
            assert (await heard(reader, 0.5))[0] == effects.HONEST
            writer.close()

    in_virtual_time(knocked())


@DOORS
def test_half_open_connections_are_dead_and_new_ones_are_not(door: Door) -> None:
    async def asked() -> None:
        active = Active()
        active.add(make_fault("half_open", {}), 1.0)
        async with door(active) as port:
            old, old_writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.sleep(1.0)
            old_writer.write(QUESTION)
            assert await heard(old, 1.0) == (b"", False)
            new, new_writer = await asyncio.open_connection("127.0.0.1", port)
            new_writer.write(QUESTION)
            assert (await heard(new, 0.5))[0] == effects.HONEST
            old_writer.close()
            new_writer.close()

    in_virtual_time(asked())


def test_garbage_and_shares_are_the_same_for_the_same_seed() -> None:
    async def heard_of(seed: int) -> list[bytes]:
        active = Active()
        active.add(make_fault("garbage", {"bytes": 20, "share": 0.5, "seed": seed}), 0.0)
        found = []
        async with emulator(active) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for _ in range(12):
                writer.write(QUESTION)
                found.append((await heard(reader, 0.1))[0])
            writer.close()
        return found

    async def thrice() -> None:
        first, again, other = await heard_of(1), await heard_of(1), await heard_of(2)
        assert first == again != other
        assert 0 < first.count(effects.HONEST) < 12
        assert {len(one) for one in first} == {len(effects.HONEST), 20}

    in_virtual_time(thrice())


@pytest.mark.parametrize("name", effects.SHOWN)
def test_a_reading_fault_is_what_a_reading_shows(name: str) -> None:
    values, reading, field, expected = effects.SHOWN[name]
    fault = make_fault(name, values)
    assert getattr(fault.reading(reading, 0.0, wired=True), field) == expected != getattr(reading, field)


def test_a_frozen_meter_repeats_itself_and_is_alive_again_afterwards() -> None:
    plant, active = Meter(), Active()
    active.add(make_fault("frozen", {}), 10.0, 20.0)
    meter = FaultyMeter(plant, active)
    seen = []
    for now_s in (5.0, 12.0, 18.0, 25.0):
        plant.shown = replace(plant.shown, pcc_import_w=now_s)
        seen.append(meter.reading(now_s).pcc_import_w)
    assert seen == [5.0, 12.0, 12.0, 25.0]


def test_a_slow_meter_shows_each_value_late_and_for_long() -> None:
    plant, active = Meter(), Active()
    active.add(make_fault("slow", {"period_s": 5.0, "delay_s": 2.0}), 0.0)
    meter = FaultyMeter(plant, active)
    seen = []
    for second in range(9):
        plant.shown = replace(plant.shown, pcc_import_w=float(second))
        seen.append(meter.reading(float(second)).pcc_import_w)
    # Measured at 0 s and 5 s, to be seen 2 s later; before that the first value there was.
    assert seen == [0.0] * 7 + [5.0, 5.0]


def test_a_stuck_level_stays() -> None:
    fault = make_fault("soc_stuck", {})
    assert fault.reading(effects.BATTERY, 0.0, wired=True) == effects.BATTERY
    later = fault.reading(replace(effects.BATTERY, soc_pct=55.0), 60.0, wired=True)
    assert isinstance(later, BatteryReading)
    assert later.soc_pct == 60.0


@pytest.mark.parametrize("name", effects.DONE)
def test_a_battery_does_something_else_while_the_fault_lasts_and_then_what_it_was_ordered(name: str) -> None:
    values, expected_w = effects.DONE[name]
    plant, active = Obeying(), Active()
    active.add(make_fault(name, values), 10.0, 20.0)
    battery = FaultyBattery(plant, active)
    battery.order(0.0, 1000.0, inf)
    seen = []
    for now_s in (5.0, 15.0, 25.0):
        battery.turn(now_s)
        seen.append(plant.ordered_w(now_s))
    assert seen == [1000.0, expected_w, 1000.0]
    assert battery.orders == [(0.0, 1000.0)], "what the fault makes of an order is no order"


def test_a_sluggish_battery_follows_late_and_passes_over_what_is_small() -> None:
    plant, active = Obeying(), Active()
    active.add(make_fault("sluggish", {"delay_s": 3.0, "deadband_w": 100.0}), 0.0)
    battery = FaultyBattery(plant, active)
    seen = []
    for now_s, order_w in ((0.0, 500.0), (1.0, 550.0), (2.0, 900.0), (4.0, 900.0), (5.0, 900.0)):
        battery.order(now_s, order_w, inf)
        seen.append(plant.ordered_w(now_s))
    assert seen == [500.0, 500.0, 500.0, 500.0, 900.0]


def unit_of(profile: str, plant: Meter | Battery, active: Active) -> FaultyUnit:
    def make(serial: str | None) -> EmulatedUnit:
        rating = Rating(5000.0, 5000.0) if isinstance(plant, Battery) else None
        return emulated_unit(load_profile(profile), plant, serial=serial or "SN-1", rating=rating)

    return FaultyUnit(make, active)


@pytest.mark.parametrize("name", effects.REGISTERS)
def test_a_register_fault_is_what_registers_hold(name: str) -> None:
    values, expected = effects.REGISTERS[name]

    async def read() -> None:
        active = Active()
        unit = unit_of("eastron-sdm630", Meter(replace(effects.METER, pcc_import_w=300.0)), active)
        address = load_profile("eastron-sdm630").gives["pcc_import_w"].address
        assert await unit.read("me", "input", address, 2) == [0x4396, 0x0000]
        active.add(make_fault(name, values), 0.0)
        assert await unit.read("me", "input", address, 2) == expected

    run(read())


def test_registers_that_moved_are_found_elsewhere_or_refused() -> None:
    async def read() -> None:
        active = Active()
        unit = unit_of("eastron-sdm630", Meter(), active)
        address = load_profile("eastron-sdm630").gives["pcc_import_w"].address
        before = list(await unit.read("me", "input", address, 2))
        active.add(make_fault("shifted", {"by": -2}), 0.0)
        with pytest.raises(ModbusFault):
            await unit.read("me", "input", address + 1000, 2)
        assert await unit.read("me", "input", address + 2, 2) == before

    run(read())


def test_a_device_that_thinks_answers_later() -> None:
    async def read() -> None:
        active = Active()
        unit = unit_of("eastron-sdm630", Meter(), active)
        active.add(make_fault("thinks", {"by_s": 0.3}), 0.0)
        await unit.read("me", "input", 52, 2)
        assert asyncio.get_running_loop().time() == 0.3

    run(read())


async def ordered(unit: FaultyUnit, order_w: float) -> None:
    """Write what a master writes for this order, in the SunSpec layout."""
    points = load_profile("sunspec-hybrid").points
    for name, words in (("wset_rvrt_tms", [0, 30]), ("wset_mod", [1]), ("wset", [0, int(order_w)])):
        await unit.write("me", points[name].address, words)
    await unit.write("me", points["wset_ena"].address, [1])


@pytest.mark.parametrize(
    ("name", "orders", "enabled", "timer"),
    [
        ("ignores_writes", [], 0, 0),
        ("no_timer", [(1000.0, inf)], 1, 0),
        ("foreign", [(-2000.0, 30.0), (1000.0, 30.0)], 1, 30),
        ("stranger", [(1000.0, 30.0)], 1, 30),
    ],
)
def test_writes_meet_a_device_that_is_not_as_it_should_be(
    name: str, orders: list[tuple[float, float]], enabled: int, timer: int
) -> None:
    async def write() -> None:
        active, plant = Active(), Battery()
        unit = unit_of("sunspec-hybrid", plant, active)
        points = load_profile("sunspec-hybrid").points
        active.add(make_fault(name, {}), 0.0)
        await ordered(unit, 1000.0)
        assert await unit.read("me", "holding", points["wset_ena"].address, 1) == [enabled]
        assert list(await unit.read("me", "holding", points["wset_rvrt_tms"].address, 2)) == [0, timer]
        taken = [one for one in plant.diary if one is not None]
        assert taken[:1] == orders[:1]
        assert taken[-1:] == orders[-1:]
        serial = bytes.fromhex(
            "".join(f"{w:04x}" for w in await unit.read("me", "holding", points["serial"].address, 4))
        )
        assert serial == (b"STRANGER" if name == "stranger" else b"SN-1\0\0\0\0")

    run(write())


def test_a_device_that_restarts_has_forgotten_its_order() -> None:
    async def write() -> None:
        active, plant = Active(), Battery()
        unit = unit_of("sunspec-hybrid", plant, active)
        address = load_profile("sunspec-hybrid").points["wset_ena"].address
        await ordered(unit, 1000.0)
        active.add(make_fault("reboot", {}), 0.0)
        assert await unit.read("me", "holding", address, 1) == [0]
        assert plant.diary[-1] is None, "the plant was let go"

    run(write())


@pytest.mark.parametrize("name", ["silent", "sentinel", "stranger", "retag"])
def test_without_a_wire_a_device_that_cannot_be_understood_does_not_answer(name: str) -> None:
    active = Active()
    active.add(make_fault(name, {}), 0.0)
    with pytest.raises(DeviceError, match="no answer"):
        FaultyMeter(Meter(), active, wired=False).reading(0.0)
    assert FaultyMeter(Meter(), active, wired=True).reading(0.0).pcc_import_w == 459.0


@pytest.mark.parametrize(
    ("name", "values", "told"),
    [
        ("frzen", {}, "there is no fault 'frzen'; did you mean frozen?"),
        ("B01", {}, "B01 is brought about by sentinel or not_a_number: say which"),
        ("scaled", {"factr": 3}, "scaled has no parameter 'factr'; it has factor, phases"),
        ("scaled", {"factor": "ten"}, "scaled: factor is 'ten'; give a number, -1000000 to 1000000"),
        ("exception", {"code": "1.5"}, "exception: code is '1.5'; give a whole number, 0 to 255"),
        ("flapping", {"off_s": 0}, "flapping: off_s is 0; give 0.01 to 86400"),
        ("not_a_number", {"value": "x"}, "not_a_number: value is 'x'; give nan, inf, -inf, max"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_with_what_could_be(
    name: str, values: dict[str, Any], told: str
) -> None:
    with pytest.raises(FaultError) as caught:
        make_fault(name, values)
    assert str(caught.value) == told


def test_a_fault_can_be_named_by_its_id() -> None:
    assert make_fault("A18", {"bytes": "0x10"}) == make_fault("garbage", {"bytes": 16})


def test_a_fault_that_hits_only_some_says_which_so_that_it_can_be_had_again() -> None:
    some = make_fault("late", {"by_s": 0.4, "share": 0.25, "seed": 7})
    assert str(some) == "late by_s=0.4 transaction=-1 share=0.25 count=0 seed=7"
    assert str(make_fault("late", {"by_s": 0.4})) == "late by_s=0.4 transaction=-1"
