"""The driver against registers set by hand: what it writes, when, and what it refuses to write."""

from __future__ import annotations

import asyncio
import math
from itertools import pairwise

import pytest

from drivers.guard import GuardError
from tests.unit.modbus_site import (
    ENABLE,
    MODE,
    RELEASE,
    SETPOINT,
    TAKE_CHARGING_1500,
    Site,
    a_battery,
    a_pv,
    error_of,
    in_virtual_time,
    now_s,
    soon,
)


def test_no_write_before_identity_ratings_and_settings_were_read() -> None:
    async def scenario(site: Site) -> None:
        await site.battery().order(-1500.0, soon())
        assert site.unit.diary[:3] == ["read 40004", "read 40141", "read 40256"]
        assert site.unit.writes == TAKE_CHARGING_1500

    in_virtual_time(a_battery(), scenario)


def test_after_taking_over_only_a_changed_setpoint_is_written() -> None:
    async def scenario(site: Site) -> None:
        battery = site.battery()
        await battery.order(-1500.0, soon())
        site.unit.writes.clear()
        for order_w in (-1500.0, -1500.4, 2000.0, 2000.9, 0.0):
            await battery.order(order_w, soon())
        assert site.unit.writes == [(SETPOINT, (0, 2000)), (SETPOINT, (0, 0))]

    in_virtual_time(a_battery(), scenario)


@pytest.mark.parametrize("beat_s", [0.1, 1.0])
def test_an_unchanged_order_is_written_again_before_a_third_of_the_lease_is_over(beat_s: float) -> None:
    async def scenario(site: Site) -> None:
        battery = site.battery()
        end_s = now_s() + 60.0
        while now_s() < end_s:
            await battery.read(soon())
            await battery.order(-1500.0, soon())
            await asyncio.sleep(beat_s)
        gaps_s = [b - a for a, b in pairwise(site.unit.written_at_s)]
        assert max(gaps_s) <= 10.0
        assert len(site.unit.writes) <= len(TAKE_CHARGING_1500) + 7
        assert set(site.unit.writes[6:]) == {(SETPOINT, (0xFFFF, 0xFA24))}

    in_virtual_time(a_battery(), scenario)


@pytest.mark.parametrize(
    "found", [{ENABLE: 0}, {SETPOINT: 0, SETPOINT + 1: 700}, {MODE: 0}], ids=["disabled", "other", "percent"]
)
def test_a_device_whose_read_back_shows_no_order_of_ours_is_taken_over_again(found: dict[int, int]) -> None:
    async def scenario(site: Site) -> None:
        battery = site.battery()
        await battery.read(soon())
        await battery.order(-1500.0, soon())
        await asyncio.sleep(5.0)
        assert (await battery.read(soon())).setpoint_w == -1500.0
        await battery.order(-1500.0, soon())
        assert site.unit.writes == TAKE_CHARGING_1500
        site.unit.registers |= found
        await asyncio.sleep(5.0)
        assert (await battery.read(soon())).setpoint_w != -1500.0
        await battery.order(-1500.0, soon())
        assert site.unit.writes == TAKE_CHARGING_1500 * 2

    in_virtual_time(a_battery(), scenario)


def test_after_a_silence_as_long_as_the_lease_the_device_is_taken_over_again() -> None:
    async def scenario(site: Site) -> None:
        battery = site.battery()
        await battery.order(-1500.0, soon())
        await asyncio.sleep(30.0)
        await battery.order(-1500.0, soon())
        assert site.unit.writes == TAKE_CHARGING_1500 * 2

    in_virtual_time(a_battery(), scenario)


def test_after_a_reconnect_the_device_is_identified_and_taken_over_again() -> None:
    async def scenario(site: Site) -> None:
        battery = site.battery()
        await battery.order(-1500.0, soon())
        await site.hang_up()
        site.unit.diary.clear()
        await battery.order(-1500.0, soon())
        assert site.unit.diary[:3] == ["read 40004", "read 40141", "read 40256"]
        assert site.unit.writes == TAKE_CHARGING_1500 * 2

    in_virtual_time(a_battery(), scenario)


def test_another_device_at_the_same_address_is_neither_read_nor_ordered() -> None:
    async def scenario(site: Site) -> None:
        battery = site.battery()
        await battery.read(soon())
        site.unit.registers[40052] = 0x5332  # serial "S2"
        await site.hang_up()
        for attempt in (battery.read(soon()), battery.order(0.0, soon()), battery.release(soon())):
            text = await error_of(attempt)
            assert "bat1: another device answers: None None S2, before it was None None S1" in text
        assert site.unit.writes == []
        site.unit.registers[40052] = 0x5331
        assert (await battery.read(soon())).soc_pct == 62.9

    in_virtual_time(a_battery(), scenario)


def test_a_device_that_did_not_say_who_it_is_at_first_is_known_by_what_it_says_later() -> None:
    async def scenario(site: Site) -> None:
        battery = site.battery()
        site.unit.registers[40052] = 0
        await battery.read(soon())
        site.unit.registers[40052] = 0x5331  # serial "S1"
        await site.hang_up()
        await battery.read(soon())
        await battery.order(4500.0, soon())
        site.unit.registers[40052] = 0x5332  # serial "S2"
        await site.hang_up()
        text = await error_of(battery.read(soon()))
        assert "bat1: another device answers: None None S2, before it was None None S1" in text

    in_virtual_time(a_battery(), scenario)


def test_a_known_device_that_does_not_say_who_it_is_is_asked_again_until_it_does() -> None:
    async def scenario(site: Site) -> None:
        battery = site.battery()
        await battery.read(soon())
        site.unit.registers[40052] = 0
        await site.hang_up()
        for attempt in (battery.read(soon()), battery.order(0.0, soon())):
            text = await error_of(attempt)
            assert "the device does not say who it is: None None None, before it was None None S1" in text
        assert site.unit.writes == []
        site.unit.registers[40052] = 0x5331
        assert (await battery.read(soon())).soc_pct == 62.9

    in_virtual_time(a_battery(), scenario)


def test_a_failed_write_makes_the_next_order_start_from_the_beginning() -> None:
    async def scenario(site: Site) -> None:
        battery = site.battery()
        await battery.order(0.0, soon())
        site.unit.refuse = {SETPOINT}
        assert "bat1: " in await error_of(battery.order(-1500.0, soon()))
        site.unit.refuse = set()
        site.unit.writes.clear()
        await battery.order(-1500.0, soon())
        assert site.unit.writes == TAKE_CHARGING_1500

    in_virtual_time(a_battery(), scenario)


def test_an_order_is_not_continued_on_another_connection() -> None:
    async def scenario(site: Site) -> None:
        battery = site.battery()
        await battery.read(soon())

        async def lose_connection(address: int) -> None:
            if address == MODE:
                site.unit.before_write = None
                hanging_up.append(asyncio.create_task(site.hang_up()))
                await asyncio.sleep(10.0)

        hanging_up: list[asyncio.Task[None]] = []
        site.unit.before_write = lose_connection
        assert "connection" in await error_of(battery.order(-1500.0, soon()))
        await hanging_up[0]
        assert ENABLE not in [address for address, _ in site.unit.writes]

    in_virtual_time(a_battery(), scenario)


@pytest.mark.parametrize(
    ("order_w", "allowed"), [(-5000.0, True), (-5001.0, False), (4500.0, True), (4501.0, False)]
)
def test_no_order_beyond_the_nameplate_reaches_the_wire(order_w: float, allowed: bool) -> None:
    async def scenario(site: Site) -> None:
        battery = site.battery()
        if allowed:
            await battery.order(order_w, soon())
            return
        with pytest.raises(GuardError, match="bat1: refused an order of"):
            await battery.order(order_w, soon())
        assert site.unit.writes == []

    in_virtual_time(a_battery(), scenario)


@pytest.mark.parametrize("order_w", [math.nan, math.inf, 9000.0])
def test_a_refused_order_hands_the_battery_back(order_w: float) -> None:
    async def scenario(site: Site) -> None:
        battery = site.battery()
        await battery.order(-1500.0, soon())
        site.unit.writes.clear()
        with pytest.raises(GuardError, match="it was released"):
            await battery.order(order_w, soon())
        assert site.unit.writes == RELEASE

    in_virtual_time(a_battery(), scenario)


def test_the_site_file_narrows_the_nameplate_and_stands_in_where_the_device_is_silent() -> None:
    async def scenario(site: Site) -> None:
        narrow = site.battery(max_discharge_w=2000.0)
        with pytest.raises(GuardError, match="allows -5000 W to 2000 W"):
            await narrow.order(2500.0, soon())
        site.unit.registers[40147] = 0xFFFF
        text = await error_of(site.battery().order(100.0, soon()))
        assert text == "bat1: the device does not say its max_discharge_w; give it in the site file"
        await site.battery(max_discharge_w=2000.0).order(100.0, soon())

    in_virtual_time(a_battery(), scenario)


def test_a_battery_that_does_not_say_its_nameplate_is_brought_to_rest_and_ordered_nothing_else() -> None:
    async def scenario(site: Site) -> None:
        site.unit.registers[40145] = site.unit.registers[40147] = 0xFFFF
        battery = site.battery()
        assert "does not say its max_charge_w" in await error_of(battery.order(-1.0, soon()))
        assert site.unit.writes == []
        await battery.order(0.0, soon())
        assert site.unit.registers[ENABLE] == 1
        assert (SETPOINT, (0, 0)) in site.unit.writes

    in_virtual_time(a_battery(), scenario)


def test_a_nameplate_that_is_not_available_after_a_reconnect_is_the_one_the_same_device_said_before() -> None:
    async def scenario(site: Site) -> None:
        battery = site.battery()
        await battery.order(2000.0, soon())
        site.unit.registers[40145] = site.unit.registers[40147] = 0xFFFF
        await site.hang_up()
        await battery.order(300.0, soon())
        assert site.unit.registers[SETPOINT + 1] == 300
        with pytest.raises(GuardError, match="allows -5000 W to 4500 W"):
            await battery.order(4501.0, soon())

    in_virtual_time(a_battery(), scenario)


def test_a_nameplate_that_was_not_available_is_read_again_after_30_s_and_what_is_known_of_it_stays() -> None:
    async def scenario(site: Site) -> None:
        battery = site.battery()
        site.unit.registers[40147] = 0xFFFF
        await battery.read(soon())
        site.unit.registers |= {40145: 100, 40147: 4500}
        read_at_s: list[int] = []
        for second in range(1, 70):
            await asyncio.sleep(1.0)
            site.unit.reads.clear()
            await battery.read(soon())
            read_at_s += [second for address, _ in site.unit.reads if address == 40141]
            if second < 30:
                assert "does not say its max_discharge_w" in await error_of(battery.order(4500.0, soon()))
            else:
                await battery.order(4500.0, soon())
        assert read_at_s == [30], "once: then nothing was missing any more"
        await battery.order(-5000.0, soon())

    in_virtual_time(a_battery(), scenario)


def test_a_release_is_read_back() -> None:
    async def scenario(site: Site) -> None:
        battery = site.battery()
        await battery.order(-1500.0, soon())
        site.unit.writes.clear()
        await battery.release(soon())
        assert site.unit.writes == RELEASE
        assert site.unit.reads[-1] == (ENABLE, 1)

    in_virtual_time(a_battery(), scenario)


def test_a_release_that_does_not_hold_is_an_error() -> None:
    async def scenario(site: Site) -> None:
        battery = site.battery()
        await battery.order(-1500.0, soon())

        async def stay_enabled(address: int) -> None:
            site.unit.registers[ENABLE] = 1

        site.unit.before_write = stay_enabled
        assert await error_of(battery.release(soon())) == (
            "bat1: the release is not confirmed: wset_ena reads back 1.0"
        )

    in_virtual_time(a_battery(), scenario)


def test_a_pv_cap_is_rounded_down_to_what_the_register_can_say() -> None:
    async def scenario(site: Site) -> None:
        pv = site.pv()
        await pv.cap(3333.0, soon())  # 66.66 % of 5000 W
        assert site.unit.writes == [(40189, (30,)), (40187, (666,)), (40191, (1,))]
        reading = await pv.read(soon())
        assert (reading.pv_generation_w, reading.rated_w) == (3600.0, 5000.0)
        await asyncio.sleep(5.0)
        assert (await pv.read(soon())).cap_w == 3330.0

    in_virtual_time(a_pv(), scenario)


def test_a_changed_cap_is_enabled_again_and_lifting_it_twice_costs_nothing() -> None:
    async def scenario(site: Site) -> None:
        pv = site.pv()
        await pv.cap(3333.0, soon())
        site.unit.writes.clear()
        await pv.cap(0.0, soon())
        assert site.unit.writes == [(40187, (0,)), (40191, (1,))]
        site.unit.writes.clear()
        await pv.cap(None, soon())
        await pv.cap(None, soon())
        assert site.unit.writes == [(40191, (0,)), (40189, (0,))]

    in_virtual_time(a_pv(), scenario)


@pytest.mark.parametrize("cap_w", [-1.0, math.nan])
def test_a_senseless_cap_is_refused_and_lifts_the_one_in_force(cap_w: float) -> None:
    async def scenario(site: Site) -> None:
        pv = site.pv()
        await pv.cap(3333.0, soon())
        with pytest.raises(GuardError, match="roof: refused a PV cap"):
            await pv.cap(cap_w, soon())
        assert site.unit.registers[40191] == 0

    in_virtual_time(a_pv(), scenario)


def test_a_pv_inverter_that_does_not_say_its_nameplate_cannot_be_capped() -> None:
    async def scenario(site: Site) -> None:
        site.unit.registers[40152] = 0xFFFF
        assert "roof: wmax is not available" in await error_of(site.pv().cap(1000.0, soon()))
        assert site.unit.writes == []

    in_virtual_time(a_pv(), scenario)


def test_a_nameplate_missing_after_a_reconnect_does_not_keep_a_pv_inverter_from_being_capped() -> None:
    async def scenario(site: Site) -> None:
        pv = site.pv()
        await pv.cap(3333.0, soon())
        site.unit.registers[40152] = 0xFFFF
        await site.hang_up()
        await pv.cap(1000.0, soon())
        assert site.unit.registers[40187] == 200, "20.0 % of the 5000 W it said before"

    in_virtual_time(a_pv(), scenario)


def test_a_cap_in_percent_can_be_said_again_after_a_failed_write() -> None:
    """The nameplate is read once, and a failed write does not make it unknown."""

    async def scenario(site: Site) -> None:
        pv = site.pv()
        await pv.cap(3333.0, soon())
        site.unit.refuse = {40187}
        await error_of(pv.cap(1000.0, soon()))
        site.unit.refuse = set()
        await pv.cap(1000.0, soon())
        assert site.unit.registers[40187] == 200

    in_virtual_time(a_pv(), scenario)
