"""Emulated devices that are slow, busy, deaf or spread over several units."""

from __future__ import annotations

import asyncio

import pytest

from drivers.device import BatteryReading
from drivers.profile import load_profile
from drivers.wire import ModbusFault, Unit
from simulators.emulator import Behaviour, EmulatedUnit, emulated_unit, emulated_units
from simulators.virtual_time import run


class Plant:
    def __init__(self) -> None:
        self.orders: list[tuple[float, float]] = []

    def reading(self, now_s: float) -> BatteryReading:
        return BatteryReading(now_s, -1200.0, soc_pct=50.0)

    def order(self, now_s: float, battery_discharge_w: float, expires_at_s: float) -> None:
        self.orders.append((battery_discharge_w, expires_at_s - now_s))

    def release(self, now_s: float) -> None:
        self.orders.append((0.0, 0.0))


def a_device(name: str, plant: Plant | None = None, behaviour: Behaviour | None = None) -> EmulatedUnit:
    return emulated_unit(load_profile(name), plant or Plant(), behaviour=behaviour)


async def code(unit: Unit, address: int, words: tuple[int, ...] | None = None, count: int = 1) -> int:
    asked = unit.read("me", "holding", address, count) if words is None else unit.write("me", address, words)
    with pytest.raises(ModbusFault) as caught:
        await asked
    return caught.value.code


def test_an_answer_takes_as_long_as_the_device_takes() -> None:
    async def scenario() -> None:
        unit = a_device("goodwe-et", behaviour=Behaviour(latency_s=0.3))
        await unit.read("me", "holding", 35182, 2)
        await unit.write("me", 47512, (100,))
        assert asyncio.get_running_loop().time() == pytest.approx(0.6)

    run(scenario())


async def test_a_busy_device_says_so_and_then_answers() -> None:
    unit = a_device("huawei-luna2000", behaviour=Behaviour(busy=2))
    assert [await code(unit, 37765), await code(unit, 37765)] == [6, 6]
    assert await unit.read("me", "holding", 37765, 2) == [0, 1200]


async def test_a_deaf_device_acknowledges_what_it_drops() -> None:
    plant = Plant()
    unit = a_device("goodwe-et", plant, Behaviour(writes="ignore"))
    await unit.write("me", 47511, (11,))
    assert await unit.read("me", "holding", 47511, 1) == [1]
    assert plant.orders == []
    assert await code(unit, 47512, (10_001,)) == 3, "what it would refuse it refuses all the same"


async def test_write_only_registers_cannot_be_read_and_read_only_ones_not_written() -> None:
    unit = a_device("sma-hybrid")
    assert await code(unit, 40149, count=2) == 2
    assert await code(unit, 31393, (0, 1)) == 2
    assert await code(unit, 40149, (0,)) == 2, "half of a value"


async def test_a_read_longer_than_the_device_allows_is_refused() -> None:
    assert await code(a_device("huawei-luna2000"), 37758, count=65) == 3


async def test_what_stands_at_another_unit_is_only_there() -> None:
    units = emulated_units(227, a_device("victron-gx-mode3"))
    assert sorted(units) == [100, 227]
    assert await units[100].read("me", "holding", 843, 1) == [50]
    assert await code(units[227], 843) == 2
    assert await code(units[100], 12) == 2
    assert await code(units[227], 2902, (3,)) == 2


async def test_a_split_pair_shows_one_power_in_two_registers() -> None:
    assert await a_device("sma-hybrid").read("me", "holding", 31393, 4) == [0, 1200, 0, 0]


async def test_a_magnitude_and_its_sign_bits_move_together() -> None:
    old = load_profile("sungrow-sh").variants[frozenset()]
    unit = emulated_unit(old, Plant())
    assert await unit.read("me", "input", 13000, 1) == [2]
    assert (await unit.read("me", "input", 13021, 1)) == [1200]


async def test_input_and_holding_registers_are_two_spaces() -> None:
    unit = a_device("sungrow-sh")
    assert await unit.read("me", "holding", 13050, 1) == [0xCC]
    with pytest.raises(ModbusFault):
        await unit.read("me", "input", 13050, 1)


def test_orders_written_word_by_word_take_effect_in_their_order() -> None:
    plant = Plant()

    async def scenario() -> None:
        unit = a_device("sungrow-sh", plant)
        for address, word in ((13049, 2), (13051, 0), (13050, 0xAA), (13051, 1500), (13049, 0)):
            await unit.write("me", address, (word,))

    run(scenario())
    forever = float("inf")
    assert plant.orders == [(0.0, forever)] * 3 + [(-1500.0, forever), (0.0, 0.0)]


def test_a_device_with_a_time_of_its_own_falls_back_and_says_so() -> None:
    plant = Plant()

    async def scenario() -> None:
        unit = a_device("huawei-luna2000", plant)
        for address, words in ((47083, (2,)), (47247, (0, 1500)), (47100, (1,))):
            await unit.write("me", address, words)
        await asyncio.sleep(119.0)
        assert await unit.read("me", "holding", 47100, 1) == [1]
        await asyncio.sleep(1.0)
        assert await unit.read("me", "holding", 47100, 1) == [0]

    run(scenario())
    assert plant.orders == [(-1500.0, 120.0)]


def test_a_device_that_keeps_an_import_shows_a_grid_that_moves_against_its_battery() -> None:
    plant = Plant()

    async def scenario() -> None:
        unit = a_device("victron-gx-mode2", plant)
        assert await unit.read("me", "holding", 820, 3) == [1200, 0, 0]
        await unit.write("me", 2716, (0, 2500))  # import 2500 W, of which nothing is for a load

    run(scenario())
    assert plant.orders == [(-2500.0, float("inf"))]
