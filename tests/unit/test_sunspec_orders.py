"""Orders to SunSpec devices: through models 704, 124 and 123, each write in its place."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from drivers.device import DeviceError
from drivers.guard import GuardError
from drivers.sunspec import sunspec_battery, sunspec_pv
from tests.unit.sunspec_site import (
    COMMON,
    HYBRID,
    HYBRID_103,
    IDLE_124,
    IDLE_704,
    STORAGE,
    SUNNY,
    Bus,
    address_of,
    error_of,
    image,
    in_virtual_time,
    on_a_bus,
    soon,
)


async def test_watts_are_ordered_through_704_with_its_timer_armed_first_and_enabled_last() -> None:
    async with on_a_bus(image(*HYBRID)) as bus:
        battery = sunspec_battery("bat1", bus.link, 1)
        await battery.order(-1500.0, soon())
        at = address_of(bus.device.registers, 704)
        assert bus.device.writes == [
            (at + 26, (0, 0)),  # WSetRvrt
            (at + 30, (0,)),  # WSetEnaRvrt
            (at + 31, (0, 30)),  # WSetRvrtTms
            (at + 24, (0xFFFF, 0xFA24)),  # WSet
            (at + 23, (1,)),  # WSetMod
            (at + 22, (1,)),  # WSetEna
        ]
        assert (await battery.read(soon())).setpoint_w == -1500.0
        assert (battery.facts.lease_s, battery.facts.profile) == (30.0, "sunspec")
        bus.device.writes.clear()
        await battery.release(soon())
        assert bus.device.writes == [(at + 22, (0,)), (at + 31, (0, 0))]


async def test_what_became_of_an_order_and_how_often_each_register_was_written_is_told() -> None:
    async with on_a_bus(image(*HYBRID)) as bus:
        battery = sunspec_battery("bat1", bus.link, 1)
        assert (battery.outcome, dict(battery.writes_by_register)) == ("", {})
        await battery.order(-1500.0, soon())
        at = address_of(bus.device.registers, 704)
        assert battery.outcome == "pending"
        assert battery.writes_by_register[at + 24] == 1


async def test_without_704_percent_are_ordered_through_124_and_both_limits_pin_the_power() -> None:
    async with on_a_bus(image(*STORAGE)) as bus:
        battery = sunspec_battery("bat1", bus.link, 1)
        await battery.order(-1000.0, soon())  # 25 % of WChaMax = 4000 W
        at = address_of(bus.device.registers, 124)
        assert bus.device.writes == [
            (at + 17, (1,)),  # ChaGriSet: from the grid too
            (at + 15, (30,)),  # InOutWRte_RvrtTms
            (at + 12, (0x10000 - 2500, 2500)),  # OutWRte -25 %, InWRte 25 %, in one request
            (at + 5, (3,)),  # StorCtl_Mod: both limits
        ]
        reading = await battery.read(soon())
        assert (reading.setpoint_w, reading.soc_pct) == (-1000.0, 62.9)
        bus.device.writes.clear()
        await battery.order(2000.0, soon())
        assert bus.device.writes == [(at + 12, (5000, 0x10000 - 5000)), (at + 5, (3,))]
        bus.device.writes.clear()
        await battery.release(soon())
        assert bus.device.writes == [
            (at + 5, (0,)),
            (at + 15, (0,)),
            (at + 12, (10000, 10000)),
            (at + 17, (0,)),  # as it was found
        ]
        assert (await sunspec_battery("bat1", bus.link, 1).read(soon())).setpoint_w is None


async def test_grid_charging_that_the_owner_had_allowed_stays_allowed_after_a_release() -> None:
    models = (*STORAGE[:3], (124, IDLE_124 | {"ChaGriSet": 1}))
    async with on_a_bus(image(*models)) as bus:
        battery = sunspec_battery("bat1", bus.link, 1)
        await battery.order(0.0, soon())
        await battery.release(soon())
        assert bus.device.said(124, "ChaGriSet") == [(1,)]


async def test_a_random_delay_before_orders_take_effect_is_switched_off() -> None:
    models = (*STORAGE[:3], (124, IDLE_124 | {"InOutWRte_WinTms": 60}))
    async with on_a_bus(image(*models)) as bus:
        await sunspec_battery("bat1", bus.link, 1).order(0.0, soon())
        assert bus.device.said(124, "InOutWRte_WinTms") == [(0,)]


async def test_an_order_beyond_the_nameplate_is_refused_here() -> None:
    async with on_a_bus(image(*HYBRID)) as bus:
        battery = sunspec_battery("bat1", bus.link, 1, max_charge_w=1000.0)
        with pytest.raises(GuardError):
            await battery.order(-1001.0, soon())
        assert bus.device.writes == []


@pytest.mark.parametrize("unimplemented", ["WSetEna", "WSetMod", "WSet_SF"])
async def test_a_704_that_cannot_set_watts_leaves_the_orders_to_124(unimplemented: str) -> None:
    controls = {name: value for name, value in IDLE_704.items() if name != unimplemented}
    models = (*STORAGE, (704, controls))
    async with on_a_bus(image(*models)) as bus:
        await sunspec_battery("bat1", bus.link, 1).order(400.0, soon())
        assert bus.device.said(124, "OutWRte") == [(1000, 0x10000 - 1000)]
        assert bus.device.said(704, "WSet") == []


@pytest.mark.parametrize(
    ("models", "timer"),
    [
        ((*HYBRID[:3], (704, {k: v for k, v in IDLE_704.items() if "Tms" not in k}), HYBRID[4]), "704"),
        ((*STORAGE[:3], (124, {k: v for k, v in IDLE_124.items() if "Rvrt" not in k})), "124"),
    ],
)
async def test_a_device_without_a_reversion_timer_says_that_it_never_forgets(models: Any, timer: str) -> None:
    async with on_a_bus(image(*models)) as bus:
        unlimited = sunspec_battery("bat1", bus.link, 1)
        with pytest.raises(DeviceError, match="never forgets an order by itself, so say in the site file"):
            await unlimited.order(500.0, soon())
        battery = sunspec_battery("bat1", bus.link, 1, max_charge_w=1000.0, max_discharge_w=1000.0)
        await battery.order(500.0, soon())
        assert battery.facts.lease_s is None
        assert battery.facts.lease_fallback == f"model {timer} has no reversion timer: the last order stays"


async def test_pv_is_capped_through_123_in_percent_of_wmax() -> None:
    async with on_a_bus(image(*SUNNY)) as bus:
        inverter = sunspec_pv("roof", bus.link, 1)
        reading = await inverter.read(soon())
        assert (reading.pv_generation_w, reading.rated_w, reading.cap_w) == (3600.0, 5000.0, None)
        await inverter.cap(3333.0, soon())
        at = address_of(bus.device.registers, 123)
        assert bus.device.writes == [(at + 7, (30,)), (at + 5, (666,)), (at + 9, (1,))]
        assert (await sunspec_pv("roof", bus.link, 1).read(soon())).cap_w == 3330.0
        bus.device.writes.clear()
        await inverter.cap(None, soon())
        assert bus.device.writes == [(at + 9, (0,)), (at + 7, (0,))]


async def test_pv_is_capped_through_704_where_that_can() -> None:
    controls = {
        "WMaxLimPctEna": 0,
        "WMaxLimPct": 100,
        "WMaxLimPctRvrt": 100,
        "WMaxLimPctEnaRvrt": 0,
        "WMaxLimPctRvrtTms": 0,
        "WMaxLimPctRvrtRem": 0,
        "WMaxLimPct_SF": 0,
    }
    rating = (702, {"WMaxRtg": 80, "W_SF": 2})
    async with on_a_bus(image((1, COMMON), (701, {"W": 5, "W_SF": 3}), rating, (704, controls))) as bus:
        inverter = sunspec_pv("roof", bus.link, 1)
        reading = await inverter.read(soon())
        assert (reading.pv_generation_w, reading.rated_w) == (5000.0, 8000.0)
        await inverter.cap(4000.0, soon())
        at = address_of(bus.device.registers, 704)
        assert bus.device.writes == [
            (at + 16, (100,)),
            (at + 17, (0,)),
            (at + 18, (0, 30)),
            (at + 15, (50,)),
            (at + 14, (1,)),
        ]
        assert (await sunspec_pv("roof", bus.link, 1).read(soon())).cap_w == 4000.0
        await inverter.release(soon())


async def test_the_heartbeat_of_715_rises_while_orders_are_given() -> None:
    model = (715, {"LocRemCtl": 0, "DERHb": 5, "ControllerHb": 0})
    async with on_a_bus(image(*HYBRID, model)) as bus:
        battery = sunspec_battery("bat1", bus.link, 1)
        await battery.read(soon())
        assert bus.device.said(715, "ControllerHb") == []
        await battery.order(100.0, soon())
        await battery.order(100.0, soon())
        assert bus.device.said(715, "ControllerHb") == [(0, 1)]


def test_the_heartbeat_beats_once_a_second() -> None:
    async def scenario(bus: Bus) -> None:
        battery = sunspec_battery("bat1", bus.link, 1)
        for _ in range(3):
            await battery.order(100.0, soon())
            await asyncio.sleep(1.0)
        assert bus.device.said(715, "ControllerHb") == [(0, 1), (0, 2), (0, 3)]

    in_virtual_time(image(*HYBRID, (715, {"ControllerHb": 0})), scenario)


async def test_a_battery_that_does_not_say_its_nameplate_takes_the_sites() -> None:
    models = ((1, COMMON), (103, HYBRID_103), (704, IDLE_704))
    async with on_a_bus(image(*models)) as bus:
        told = await error_of(sunspec_battery("bat1", bus.link, 1).order(100.0, soon()))
        assert told == "bat1: the device does not say its max_charge_w; give it in the site file"
        limited = sunspec_battery("bat1", bus.link, 1, max_charge_w=3000.0, max_discharge_w=3000.0)
        await limited.order(100.0, soon())
