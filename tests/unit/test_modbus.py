"""The driver against registers set by hand: what it reads, and when."""

from __future__ import annotations

import asyncio

import pytest

from drivers.link import LinkTiming, open_link
from drivers.modbus import modbus_battery
from tests.unit.modbus_site import METER, Site, a_battery, a_meter, error_of, in_virtual_time, soon


def test_a_meter_is_read_with_one_request() -> None:
    async def scenario(site: Site) -> None:
        meter = site.meter()
        await asyncio.sleep(1.0)
        reading = await meter.read(soon())
        assert (reading.pcc_import_w, reading.frequency_hz, reading.taken_at_s) == (-2000.0, 50.0, 1.0)
        assert reading.phase_voltage_v == (0.0, 0.0, 0.0)
        assert site.unit.reads == [(0, 76)]

    in_virtual_time(a_meter(), scenario)


def test_a_meter_that_shows_no_number_has_no_reading() -> None:
    async def scenario(site: Site) -> None:
        expected = "grid: pcc_import_w is not available (register 52 holds NaN, 0x7FC00000)"
        assert await error_of(site.meter().read(soon())) == expected

    in_virtual_time(a_meter(x34=0x7FC0), scenario)


def test_a_phase_that_shows_no_number_makes_its_kind_absent_and_nothing_else() -> None:
    async def scenario(site: Site) -> None:
        reading = await site.meter().read(soon())
        assert reading.phase_import_w == ()
        assert reading.phase_current_a == (0.0, 0.0, 0.0)
        assert reading.pcc_import_w == -2000.0

    in_virtual_time(a_meter(x0E=0x7FC0), scenario)


def test_one_implausible_value_drops_the_whole_block() -> None:
    async def scenario(site: Site) -> None:
        text = await error_of(site.meter().read(soon()))
        assert text == (
            "grid: phase_voltage_v.1 is 2300, plausible is 0 to 600; all 76 registers from 0 were dropped"
        )

    in_virtual_time(a_meter(x00=0x450F, x01=0xC000), scenario)


@pytest.mark.parametrize(("word", "shown"), [(0x0000, "2.4178e-41"), (0x3333, "4.1738e-08")])
def test_a_voltage_with_its_words_swapped_is_no_reading_and_no_grid_that_is_gone(
    word: int, shown: str
) -> None:
    async def scenario(site: Site) -> None:
        assert await error_of(site.meter().read(soon())) == (
            f"grid: phase_voltage_v.1 is {shown}, as where registers are swapped or shifted; "
            "all 76 registers from 0 were dropped"
        )

    in_virtual_time(a_meter(x00=word, x01=0x4366), scenario)


def test_a_grid_that_is_gone_reads_0_volt_and_is_a_reading() -> None:
    async def scenario(site: Site) -> None:
        assert (await site.meter().read(soon())).phase_voltage_v[0] == 0.0

    in_virtual_time(a_meter(x00=0, x01=0), scenario)


def test_a_battery_reading_has_every_field_its_profile_gives() -> None:
    async def scenario(site: Site) -> None:
        reading = await site.battery().read(soon())
        assert reading.battery_discharge_w == -3200.0
        assert reading.soc_pct == 62.9
        assert (reading.max_charge_w, reading.max_discharge_w, reading.capacity_wh) == (
            5000.0,
            4500.0,
            10000.0,
        )
        assert (reading.fault, reading.grid_present, reading.temperature_c) == (False, None, None)
        assert reading.setpoint_w is None

    in_virtual_time(a_battery(), scenario)


def test_a_missing_scale_factor_is_named_as_the_culprit() -> None:
    async def scenario(site: Site) -> None:
        site.unit.registers[40085] = 0x8000
        text = await error_of(site.battery().read(soon()))
        assert text == (
            "bat1: battery_discharge_w is not available (its scale factor, register 40085, holds 0x8000)"
        )
        site.unit.registers |= {40085: 0, 40084: 0x8000}
        assert "(register 40084 holds 0x8000)" in await error_of(site.battery().read(soon()))

    in_virtual_time(a_battery(), scenario)


def test_slow_registers_are_read_every_5_s_orders_with_every_third_reading_and_ratings_once() -> None:
    async def scenario(site: Site) -> None:
        battery = site.battery()
        for _ in range(11):
            await battery.read(soon())
            await asyncio.sleep(1.0)
        blocks = ((40084, 25), (40256, 34), (40305, 5), (40141, 8))
        assert [site.unit.reads.count(block) for block in blocks] == [11, 4, 3, 1]

    in_virtual_time(a_battery(), scenario)


def test_slow_values_are_carried_for_15_s_and_then_absent(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(site: Site) -> None:
        battery = site.battery()
        await battery.read(soon())
        site.unit.refuse = {40305}
        soc: list[float | None] = []
        for _ in range(20):
            await asyncio.sleep(1.0)
            soc.append((await battery.read(soon())).soc_pct)
        assert soc == [62.9] * 15 + [None] * 5
        site.unit.refuse = set()
        await asyncio.sleep(5.0)
        assert (await battery.read(soon())).soc_pct == 62.9
        for beat in range(30):  # comes and goes, which is said once a minute at most
            site.unit.refuse = {40305} if beat // 5 % 2 else set()
            await asyncio.sleep(1.0)
            await battery.read(soon())

    in_virtual_time(a_battery(), scenario)
    (record,) = caplog.records
    assert "reading 5 holding registers at 40305" in record.message


def test_what_is_known_beforehand_comes_from_the_profile() -> None:
    async def scenario(site: Site) -> None:
        facts = site.battery().facts
        assert (facts.id, facts.profile, facts.lease_s) == ("bat1", "sunspec-hybrid", 30.0)
        assert (facts.dead_time_s, facts.time_constant_s) == (0.5, 0.3)
        assert site.meter().facts.lease_s is None

    in_virtual_time(a_battery(), scenario)


def test_a_profile_of_another_role_is_refused() -> None:
    link = open_link("tcp://127.0.0.1:1", LinkTiming())
    with pytest.raises(ValueError, match="bat1: the profile eastron-sdm630 describes a meter, not a battery"):
        modbus_battery("bat1", METER, link, 1)
