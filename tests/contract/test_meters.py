"""Every meter profile: what its emulator shows is what its driver reads, over a real socket."""

from __future__ import annotations

import asyncio
from dataclasses import fields, replace

import pytest

from drivers.device import DeviceError, MeterReading
from drivers.link import Link, LinkTiming, open_link
from drivers.modbus import modbus_meter
from drivers.profile import DeviceProfile, load_profile, shipped_profiles
from drivers.profile.codec import point_values
from drivers.wire import serve
from simulators.emulator import emulated_unit
from simulators.serial_pair import pty_pair
from tests.contract.plants import Meter, in_virtual_time, on_a_socket, soon
from tests.contract.test_profiles import named

METERS = [
    profile for profile in map(load_profile, shipped_profiles()) if profile.role == "meter" and profile.points
]
every_meter = pytest.mark.parametrize("profile", METERS, ids=named)

# Whole watts, whole tenths of kWh: every meter can say these without rounding.
IMPORTING = MeterReading(
    0.0, 459.0, (690.0, -345.0, 114.0), (230.0, 231.5, 229.0), (3.0, 1.5, 0.5), 50.0, 1_234_500.0, 12_300.0
)
EXPORTING = MeterReading(
    0.0, -9000.0, (-4000.0, -5000.0, 0.0), (240.0, 241.0, 239.5), (16.5, 20.5, 0.0), 50.1, 200.0, 1_000_000.0
)


def as_far_as(profile: DeviceProfile, reading: MeterReading) -> dict[str, object]:
    """What of a reading the profile has registers for, to a millionth; of the rest nothing."""
    found: dict[str, object] = {}
    for field in fields(MeterReading)[1:]:
        value = getattr(reading, field.name)
        if profile.named(field.name) or profile.named(f"{field.name}.1"):
            found[field.name] = pytest.approx(value, rel=1e-6)
        else:
            found[field.name] = () if isinstance(value, tuple) else None
    return found


@every_meter
@pytest.mark.parametrize("shown", [IMPORTING, EXPORTING], ids=["importing", "exporting"])
async def test_a_driver_reads_what_the_emulated_meter_shows(
    profile: DeviceProfile, shown: MeterReading
) -> None:
    async with on_a_socket(profile, Meter(shown)) as link:
        reading = await modbus_meter("grid", profile, link, 1).read(soon())
    read = {field.name: getattr(reading, field.name) for field in fields(reading)}
    del read["taken_at_s"]
    assert read == as_far_as(profile, shown)


@pytest.mark.parametrize("profile", [one for one in METERS if "rtu" in one.transport.over], ids=named)
async def test_a_driver_reads_the_same_over_a_serial_line(profile: DeviceProfile) -> None:
    with pty_pair() as (device_end, our_end):
        server = await serve(f"rtu://{device_end}?baud=9600", {1: emulated_unit(profile, Meter(EXPORTING))})
        link = open_link(f"rtu://{our_end}?baud=9600", LinkTiming())
        try:
            late = asyncio.get_running_loop().time() + 10.0
            reading = await modbus_meter("grid", profile, link, 1).read(late)
        finally:
            await link.close()
            await server.stop()
    assert reading.pcc_import_w == pytest.approx(-9000.0)


@every_meter
def test_every_reading_tells_import_from_export(profile: DeviceProfile) -> None:
    plant = Meter(IMPORTING)

    async def scenario(link: Link) -> None:
        meter = modbus_meter("grid", profile, link, 1)
        assert (await meter.read(soon())).pcc_import_w == pytest.approx(459.0)
        plant.shown = EXPORTING
        assert (await meter.read(soon())).pcc_import_w == pytest.approx(-9000.0)

    in_virtual_time(profile, plant, scenario)


@every_meter
def test_its_examples_show_an_exporting_site_so_that_a_wrong_sign_cannot_pass(profile: DeviceProfile) -> None:
    shown = [example.reading.get("pcc_import_w") for example in profile.examples]
    powers_w = [float(value) for value in shown if isinstance(value, int | float)]
    assert min(powers_w) < 0


@pytest.mark.parametrize("name", ["victron-gx-meter", "foxess-h3-meter"])
async def test_the_phases_of_a_single_phase_house_add_up_too(name: str) -> None:
    profile = load_profile(name)
    plant = Meter(replace(IMPORTING, phase_import_w=(459.0,)))
    async with on_a_socket(profile, plant) as link:
        assert (await modbus_meter("grid", profile, link, 1).read(soon())).pcc_import_w == 459.0


async def test_a_meter_that_overflows_has_no_reading() -> None:
    profile = load_profile("carlo-gavazzi-em24")
    beyond_w = 0x7FFF_0000 / 10
    async with on_a_socket(profile, Meter(replace(IMPORTING, pcc_import_w=beyond_w))) as link:
        with pytest.raises(DeviceError, match=r"pcc_import_w is 2.14742e\+08, plausible is"):
            await modbus_meter("grid", profile, link, 1).read(soon())
    values = point_values(profile, {("input", 0x28): 0xFFFF, ("input", 0x29): 0x7FFF})
    assert values == {"w_total": None}


def test_an_unwired_phase_of_a_schneider_meter_is_absent_not_0() -> None:
    profile = load_profile("schneider-iem3155")
    assert point_values(profile, {("holding", 3055): 0xFFC0, ("holding", 3056): 0}) == {"w_l2": None}


def test_a_profile_states_how_often_and_how_late_a_meter_has_its_values() -> None:
    profile = load_profile("janitza-umg604")
    assert (profile.response.period_s, profile.response.delay_s) == (0.2, 0.0)
