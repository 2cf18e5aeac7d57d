"""Devices with settings that wear out: ordered in amperes, seldom, within a budget, and left at rest."""

from __future__ import annotations

import asyncio

import pytest

from drivers.device import DeviceError
from drivers.guard import Guard, GuardError
from drivers.modbus import ModbusBattery
from drivers.profile import load_profile
from drivers.profile.codec import point_values
from tests.unit.test_modbus_devices import Wire, driven, soon

DEYE = load_profile("deye-sg04lp3")
HOUR_S = 3600.0


def deye(wire: Wire, charge_a: int = 120, discharge_a: int = 110) -> None:
    """50 V, 62 %, 300 W of discharge, and the limits as the owner has set them."""
    found = {0: 5, 108: charge_a, 109: discharge_a, 587: 5000, 588: 62, 590: 300}
    wire.registers |= {(1, "holding", at): word for at, word in found.items()}


def limits(wire: Wire) -> tuple[int, int]:
    return wire.registers[1, "holding", 108], wire.registers[1, "holding", 109]


async def beats(battery: ModbusBattery, order_w: float, seconds: int) -> None:
    for _ in range(seconds):
        await battery.read(soon())
        await battery.order(order_w, soon())
        await asyncio.sleep(1.0)


def test_an_order_in_watts_is_a_limit_in_amperes_and_the_other_direction_is_closed() -> None:
    async def scenario(battery: ModbusBattery, wire: Wire) -> None:
        deye(wire)
        await beats(battery, -1520.0, 3)
        assert limits(wire) == (30, 0), "30.4 A, rounded toward zero"
        assert (await battery.read(soon())).setpoint_w == -1500.0

    assert driven(DEYE, scenario).writes == [(1, 108, (30, 0), 16)]


def test_a_new_power_waits_for_its_hour_and_rest_does_not() -> None:
    async def scenario(battery: ModbusBattery, wire: Wire) -> None:
        deye(wire)
        await beats(battery, 2000.0, 5)
        await beats(battery, 1500.0, 5)
        await beats(battery, -1500.0, 5)
        assert limits(wire) == (0, 40)
        await beats(battery, 0.0, 5)
        assert limits(wire) == (0, 0)
        await beats(battery, 1500.0, 5)
        assert limits(wire) == (0, 0), "an hour after the rest"
        await asyncio.sleep(HOUR_S)
        await beats(battery, 1500.0, 5)
        assert limits(wire) == (0, 30)

    assert len(driven(DEYE, scenario).writes) == 3


def test_an_order_in_amperes_does_not_follow_the_voltage_before_its_hour() -> None:
    async def scenario(battery: ModbusBattery, wire: Wire) -> None:
        deye(wire)
        for second in range(60):
            wire.registers[1, "holding", 587] = 5000 + 20 * second  # up to 61.8 V
            await beats(battery, 2000.0, 1)
        assert limits(wire) == (0, 40)
        await asyncio.sleep(HOUR_S)
        await beats(battery, 2000.0, 5)
        assert limits(wire) == (0, 32), "2000 / 61.8"

    assert len(driven(DEYE, scenario).writes) == 2


def test_a_day_of_orders_that_change_every_second_stays_within_the_budget_and_ends_at_rest() -> None:
    async def scenario(battery: ModbusBattery, wire: Wire) -> None:
        deye(wire)
        for hour in range(11):  # a power and a rest each hour: two writes, 21 with the eleventh power
            for order_w in (1000.0 + 50 * hour, 0.0, 1500.0, 0.0):
                await battery.order(order_w, soon())
            await asyncio.sleep(HOUR_S)
        assert set(battery.writes_by_register.values()) == {22}
        with pytest.raises(DeviceError, match=r"max_charge_a: refused a write: all 21 .* \(3 more are") as no:
            await battery.order(1000.0, soon())
        assert not isinstance(no.value, GuardError), "the order was good, so it is no fault of the controller"
        for _ in range(60):
            await battery.order(0.0, soon())
        assert set(battery.writes_by_register.values()) == {22}, "it rests already"
        assert limits(wire) == (0, 0)
        await battery.release(soon())
        assert limits(wire) == (120, 110), "with one of those that were kept"

    driven(DEYE, scenario)


def test_a_release_restores_what_the_owner_had_set() -> None:
    async def scenario(battery: ModbusBattery, wire: Wire) -> None:
        deye(wire, charge_a=120, discharge_a=110)
        await beats(battery, 1000.0, 3)
        await battery.release(soon())
        assert limits(wire) == (120, 110)

    driven(DEYE, scenario)


def test_what_a_controller_that_died_has_left_is_not_taken_for_the_owners_setting() -> None:
    async def scenario(battery: ModbusBattery, wire: Wire) -> None:
        deye(wire, charge_a=0, discharge_a=20)
        await beats(battery, 1000.0, 3)
        await battery.release(soon())
        assert limits(wire) == (100, 100), "what the profile says"

    driven(DEYE, scenario)


def test_another_kind_of_deye_is_neither_read_nor_ordered() -> None:
    async def scenario(battery: ModbusBattery, wire: Wire) -> None:
        deye(wire)
        wire.registers[1, "holding", 0] = 6
        with pytest.raises(DeviceError, match="device is 6, plausible is 5 to 5"):
            await battery.read(soon())

    assert driven(DEYE, scenario).writes == []


def test_without_its_voltage_no_order_can_be_said() -> None:
    async def scenario(battery: ModbusBattery, wire: Wire) -> None:
        deye(wire)
        wire.registers[1, "holding", 587] = 0
        with pytest.raises(DeviceError, match="battery_v is not available, so 1000 W cannot be said in A"):
            await battery.order(1000.0, soon())

    assert driven(DEYE, scenario).writes == []


def test_an_eighth_of_a_write_budget_is_kept_for_rest_and_release() -> None:
    guard = Guard(0.0, 0.0, writes_per_day=16)
    for second in range(14):
        guard.spend_write(float(second))
    with pytest.raises(
        GuardError, match=r"all 14 of 24 h are used up \(2 more are kept for rest and release\)"
    ):
        guard.spend_write(20.0)
    guard.spend_write(30.0, to_rest=True)
    guard.spend_write(31.0, to_rest=True)
    with pytest.raises(GuardError, match="all 16 of 24 h are used up, the next is free in 1439 min"):
        guard.spend_write(60.0, to_rest=True)
    guard.spend_write(86_400.0, to_rest=True)


def test_a_quiet_term_counts_as_nothing_while_the_other_one_speaks_and_never_alone() -> None:
    """Fronius: 0xFFFF for the direction in which no power flows."""
    gen24 = load_profile("fronius-gen24")

    def power_w(charge: int, discharge: int) -> object:
        memory = {("holding", 40257): 0, ("holding", 40314): charge, ("holding", 40334): discharge}
        return point_values(gen24, memory)["battery_discharge_w"]  # type: ignore[arg-type]  # a space each

    assert power_w(2500, 0xFFFF) == -2500.0
    assert power_w(0xFFFF, 1200) == 1200.0
    assert power_w(0xFFFF, 0xFFFF) is None
