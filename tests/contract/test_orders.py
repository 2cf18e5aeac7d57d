"""Every battery there is, ordered as the controller does: each order signed off, and each way it can fail."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from drivers.control import take
from drivers.device import DeviceError
from drivers.link import Link, LinkTiming, open_link
from drivers.modbus import ModbusBattery
from drivers.profile import DeviceProfile, load_profile, shipped_profiles
from drivers.profile.codec import register_writes
from drivers.wire import serve
from simulators.emulator import Behaviour, Rating, emulated_unit, emulated_units
from simulators.serial_pair import pty_pair
from tests.contract.plants import RATING, Obeying, battery_of, in_virtual_time, soon

BATTERIES = [p for p in map(load_profile, shipped_profiles()) if p.role == "battery"]
WATCHED = [p for p in BATTERIES if p.control is not None and p.points[p.control.setpoint].readable]


def volts_of(profile: DeviceProfile) -> dict[str, float]:
    """The voltage that an emulated device shows, for orders in A."""
    volts = profile.control.volts if profile.control is not None else None
    shown = profile.points[volts].emulated if volts is not None else None
    return {volts: shown} if volts is not None and isinstance(shown, float) else {}


def step_w(profile: DeviceProfile) -> float:
    """What the coarsest of the registers can say, or 1 A."""
    return max(10.0, *volts_of(profile).values(), 0.0)


every_battery = pytest.mark.parametrize("profile", BATTERIES, ids=lambda p: p.id)
every_watched = pytest.mark.parametrize("profile", WATCHED, ids=lambda p: p.id)


async def beats(battery: ModbusBattery, order_w: float, seconds: int) -> None:
    """Read and order once a second, as the scan cycle does."""
    for _ in range(seconds):
        await battery.read(soon())
        await battery.order(order_w, soon())
        await asyncio.sleep(1.0)


def cycle(plant: Obeying, profile: DeviceProfile) -> Callable[[Link], Awaitable[None]]:
    async def scenario(link: Link) -> None:
        battery = battery_of(profile, link)
        assert battery.outcome == ""
        change_s = profile.control.change_s if profile.control is not None else 0.0
        for order_w in (-1500.0, 2000.0, 0.0):
            await beats(battery, order_w, 30)
            reading = await battery.read(soon())
            assert reading.battery_discharge_w == pytest.approx(order_w, abs=step_w(profile))
            assert battery.outcome == "applied"
            if profile in WATCHED:
                assert reading.setpoint_w == pytest.approx(order_w, abs=step_w(profile))
            await asyncio.sleep(change_s)
        await battery.release(soon())
        assert battery.outcome == ""
        lease_s = profile.lease.seconds if profile.lease is not None else None
        if plant.diary[-1] is not None and lease_s is not None:
            await asyncio.sleep(lease_s)  # this device only waits for our silence
        assert plant.ordered_w(asyncio.get_running_loop().time()) == 0.0
        await beats(battery, -700.0, 2)
        assert (await battery.read(soon())).battery_discharge_w == pytest.approx(-700.0, abs=step_w(profile))

    return scenario


@every_battery
def test_a_battery_charges_discharges_rests_and_is_released_and_each_is_signed_off(
    profile: DeviceProfile,
) -> None:
    plant = Obeying()
    in_virtual_time(profile, plant, cycle(plant, profile))
    ordered = [entry[0] for entry in plant.diary if entry is not None]
    assert min(ordered) >= -1500.0 - step_w(profile), "nothing on the way is more than what was ordered"
    assert max(ordered) <= 2000.0 + step_w(profile)


@pytest.mark.parametrize("profile", [p for p in BATTERIES if "rtu" in p.transport.over], ids=lambda p: p.id)
async def test_a_battery_is_read_ordered_and_released_over_a_serial_line(profile: DeviceProfile) -> None:
    plant = Obeying()
    with pty_pair() as (device_end, our_end):
        device = emulated_unit(profile, plant, rating=RATING)
        server = await serve(f"rtu://{device_end}?baud=115200", emulated_units(1, device))
        link = open_link(f"rtu://{our_end}?baud=115200", LinkTiming())
        try:
            late = asyncio.get_running_loop().time() + 20.0
            battery = battery_of(profile, link)
            await battery.order(-1500.0, late)
            assert plant.ordered_w(asyncio.get_running_loop().time()) == pytest.approx(
                -1500.0, abs=step_w(profile)
            )
            reading = await battery.read(late)
            assert reading.battery_discharge_w == pytest.approx(-1500.0, abs=step_w(profile))
            await battery.release(late)
            assert profile.control is not None
            ended = profile.control.enable is None or plant.diary[-1] is None
            assert ended, "handed back to its own program"
        finally:
            await link.close()
            await server.stop()


@pytest.mark.parametrize("variant", load_profile("sungrow-sh").variants.values(), ids=["new", "old"])
def test_a_probe_finds_out_which_firmware_answers(variant: DeviceProfile) -> None:
    """The driver is given one profile for both; the emulator has only the registers of one."""
    plant = Obeying()

    async def scenario(link: Link) -> None:
        battery = battery_of(load_profile("sungrow-sh"), link)
        await beats(battery, -1500.0, 5)
        assert (await battery.read(soon())).battery_discharge_w == -1500.0
        await beats(battery, 1200.0, 5)
        assert (await battery.read(soon())).battery_discharge_w == 1200.0

    in_virtual_time(variant, plant, scenario)


@every_battery
def test_an_order_is_kept_alive_and_ends_with_its_lease_when_we_fall_silent(profile: DeviceProfile) -> None:
    plant, powers = Obeying(), []
    lease_s = profile.lease.seconds if profile.lease is not None else None

    async def scenario(link: Link) -> None:
        now_s = asyncio.get_running_loop().time
        battery = battery_of(profile, link)
        for _ in range(130):
            await battery.order(1000.0, soon())
            await asyncio.sleep(0.999)
            powers.append(plant.ordered_w(now_s()))
            await asyncio.sleep(0.001)
        await asyncio.sleep(lease_s or 600.0)
        powers.append(plant.ordered_w(now_s()))

    in_virtual_time(profile, plant, scenario)
    assert powers == pytest.approx([1000.0] * 130 + [1000.0 if lease_s is None else 0.0], abs=step_w(profile))


@every_battery
def test_an_unchanged_order_costs_no_more_writes_than_keeping_it_alive_does(profile: DeviceProfile) -> None:
    plant = Obeying()
    lease = profile.lease
    assert lease is not None
    period_s = lease.repeat_s or (lease.seconds or math.inf) * lease.refresh

    async def scenario(link: Link) -> None:
        battery = battery_of(profile, link)
        await beats(battery, -1500.0, 60)
        steps = math.ceil(60.0 / period_s) + 2
        assert max(battery.writes_by_register.values()) <= steps + 1
        if profile.id == "foxess-h3":
            assert 41000 not in battery.writes_by_register, "it held the wanted mode already"

    in_virtual_time(profile, plant, scenario)


async def foreign_order(profile: DeviceProfile, link: Link, order_w: float) -> None:
    """What another controller writes that knows the device as we do."""
    assert profile.control is not None
    known = [(name, point.emulated) for name, point in profile.points.items()]
    values = {name: value if isinstance(value, float) else 0.0 for name, value in known}
    values |= {profile.control.percent_of or "": 5000.0}
    for write in register_writes(profile, take(profile.control, order_w, values), values):
        unit = 1 if write.unit_id is None else write.unit_id
        await link.write(unit, write.address, write.words, soon(), single=write.single)


@every_watched
def test_another_controller_is_noticed_within_3_cycles_and_given_way_to(profile: DeviceProfile) -> None:
    plant = Obeying()
    errors: list[str] = []

    async def scenario(link: Link) -> None:
        battery = battery_of(profile, link)
        await beats(battery, -1500.0, 20)
        assert battery.outcome == "applied"
        cycles = 0
        while battery.outcome != "foreign":
            await foreign_order(profile, link, 900.0)
            await battery.read(soon())
            cycles += 1
        assert cycles <= 3
        before = battery.writes_by_register
        for _ in range(60):
            try:
                await battery.order(-1500.0, soon())
            except DeviceError as error:
                errors.append(str(error))
            await foreign_order(profile, link, 900.0)
            await asyncio.sleep(1.0)
            await battery.read(soon())
        written = [n - before.get(at, 0) for at, n in battery.writes_by_register.items()]
        assert max(written) <= 6, "three times, and where it turns through 0 W twice each"
        assert battery.outcome == "foreign"

    in_virtual_time(profile, plant, scenario)
    assert "another controller orders this device (foreign); given way to it" in errors[-1]
    assert len(errors) >= 45


@every_watched
def test_a_battery_that_another_controller_has_left_is_ordered_again_within_35_s(
    profile: DeviceProfile,
) -> None:
    plant = Obeying()

    async def scenario(link: Link) -> None:
        battery = battery_of(profile, link)
        await beats(battery, -1500.0, 20)
        for second in range(55):
            if second < 15:
                await foreign_order(profile, link, 900.0)
            with suppress(DeviceError):
                await battery.order(-1500.0, soon())
            await asyncio.sleep(1.0)
            await battery.read(soon())
        assert (await battery.read(soon())).battery_discharge_w == pytest.approx(-1500.0, abs=step_w(profile))
        assert battery.outcome == "applied"

    in_virtual_time(profile, plant, scenario)


@every_watched
def test_a_device_that_drops_out_of_its_order_has_reverted_and_is_taken_over_again(
    profile: DeviceProfile,
) -> None:
    if profile.control is None or profile.control.enable is None:
        return  # nothing in its registers tells its own program from an order
    plant, enable, off = Obeying(), profile.points[profile.control.enable], int(profile.control.off)

    async def scenario(link: Link) -> None:
        battery = battery_of(profile, link)
        await beats(battery, -1500.0, 20)
        unit = 1 if enable.unit_id is None else enable.unit_id
        await link.write(unit, enable.address, (off,), soon())
        outcomes = []
        for _ in range(3):
            await battery.read(soon())
            outcomes.append(battery.outcome)
        assert outcomes[-1] == "reverted"
        await beats(battery, -1500.0, 20)
        assert battery.outcome == "applied"

    in_virtual_time(profile, plant, scenario)


@every_battery
def test_writes_that_are_acknowledged_and_dropped_are_named_ignored(profile: DeviceProfile) -> None:
    plant, errors = Obeying(), []

    async def scenario(link: Link) -> None:
        battery = battery_of(profile, link)
        for _ in range(40):
            await battery.read(soon())
            try:
                await battery.order(-1500.0, soon())
            except DeviceError as error:
                errors.append(str(error))
            await asyncio.sleep(1.0)
        assert battery.outcome == "ignored"

    in_virtual_time(profile, plant, scenario, behaviour=Behaviour(writes="ignore"))
    assert plant.diary == []
    if profile in WATCHED:
        assert "acknowledges orders, but does not hold them (ignored)" in errors[-1]


@pytest.mark.parametrize("name", ["goodwe-et", "kostal-plenticore", "marstek-venus", "foxess-h3"])
def test_an_order_that_the_device_cuts_is_named_clamped_and_not_fought_over(name: str) -> None:
    plant, profile = Obeying(), load_profile(name)

    async def scenario(link: Link) -> None:
        battery = battery_of(profile, link)
        await beats(battery, -1500.0, 30)
        assert battery.outcome == "clamped"
        assert (await battery.read(soon())).battery_discharge_w == -1000.0

    rating = Rating(max_charge_w=1000.0, max_discharge_w=1000.0)
    in_virtual_time(profile, plant, scenario, rating, Behaviour(writes="clamp"))


def test_a_full_battery_that_holds_its_order_and_rests_is_named_clamped() -> None:
    class Full(Obeying):
        def ordered_w(self, now_s: float) -> float:
            return max(0.0, super().ordered_w(now_s))

    plant, profile = Full(), load_profile("goodwe-et")

    async def scenario(link: Link) -> None:
        battery = battery_of(profile, link)
        await beats(battery, -1500.0, 30)
        assert battery.outcome == "clamped"

    in_virtual_time(profile, plant, scenario)
