"""Plants that show what a test says and keep a diary, behind emulated devices on a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from drivers.device import BatteryReading, MeterReading, PvReading
from drivers.link import Link, LinkTiming, open_link
from drivers.modbus import ModbusBattery, ModbusMeter, ModbusPv, modbus_battery, modbus_meter, modbus_pv
from drivers.profile import DeviceProfile
from drivers.wire import ModbusTcpServer
from simulators.emulator import Behaviour, Rating, emulated_unit, emulated_units
from simulators.virtual_time import run

RATING = Rating(max_charge_w=5000.0, max_discharge_w=4500.0)
METERED = MeterReading(
    0.0, 459.0, (690.0, -346.0, 115.0), (230.0, 231.5, 229.0), (3.0, 1.5, 0.5), 50.0, 1_234_500.0, 250.0
)
CHARGING = BatteryReading(
    0.0, -3200.0, soc_pct=62.9, max_discharge_w=0.0, max_charge_w=0.0, capacity_wh=10_000.0, fault=False
)
SUNNY = PvReading(0.0, 3600.0, rated_w=5000.0)


@dataclass
class Meter:
    shown: MeterReading = METERED

    def reading(self, now_s: float) -> MeterReading:
        return replace(self.shown, taken_at_s=now_s)


@dataclass
class Battery:
    """Keeps a diary of its orders: W and seconds of lease, or None for a release."""

    shown: BatteryReading = CHARGING
    diary: list[tuple[float, float] | None] = field(default_factory=list)

    def reading(self, now_s: float) -> BatteryReading:
        return replace(self.shown, taken_at_s=now_s)

    def order(self, now_s: float, battery_discharge_w: float, expires_at_s: float) -> None:
        self.diary.append((battery_discharge_w, expires_at_s - now_s))

    def release(self, now_s: float) -> None:
        self.diary.append(None)


@dataclass
class Pv:
    shown: PvReading = SUNNY
    diary: list[tuple[float, float] | None] = field(default_factory=list)

    def reading(self, now_s: float) -> PvReading:
        return replace(self.shown, taken_at_s=now_s)

    def cap(self, now_s: float, pv_cap_w: float, expires_at_s: float) -> None:
        self.diary.append((pv_cap_w, expires_at_s - now_s))

    def release(self, now_s: float) -> None:
        self.diary.append(None)


Plant = Meter | Battery | Pv
PLANTS: dict[str, Callable[[], Plant]] = {"meter": Meter, "battery": Battery, "pv": Pv}


@dataclass
class Obeying(Battery):
    """Does at once what it is ordered, as long as the lease lasts, and rests otherwise."""

    expires_at_s: float = 0.0

    def reading(self, now_s: float) -> BatteryReading:
        power_w = self.ordered_w(now_s)
        return replace(self.shown, taken_at_s=now_s, battery_discharge_w=power_w)

    def ordered_w(self, now_s: float) -> float:
        newest = self.diary[-1] if self.diary else None
        return 0.0 if newest is None or now_s >= self.expires_at_s else newest[0]

    def order(self, now_s: float, battery_discharge_w: float, expires_at_s: float) -> None:
        super().order(now_s, battery_discharge_w, expires_at_s)
        self.expires_at_s = expires_at_s


@asynccontextmanager
async def on_a_socket(
    profile: DeviceProfile,
    plant: Plant,
    rating: Rating = RATING,
    behaviour: Behaviour | None = None,
) -> AsyncIterator[Link]:
    device = emulated_unit(profile, plant, serial="SN-1", rating=rating, behaviour=behaviour)
    server = ModbusTcpServer(emulated_units(1, device))
    port = await server.start("127.0.0.1", 0)
    link = open_link(f"tcp://127.0.0.1:{port}", LinkTiming())
    try:
        yield link
    finally:
        await link.close()
        await server.stop()


def in_virtual_time(
    profile: DeviceProfile,
    plant: Plant,
    scenario: Callable[[Link], Awaitable[None]],
    rating: Rating = RATING,
    behaviour: Behaviour | None = None,
) -> None:
    async def whole() -> None:
        async with on_a_socket(profile, plant, rating, behaviour) as link:
            await scenario(link)

    run(whole(), quiesce_s=0.001)


def driver_of(profile: DeviceProfile, link: Link) -> ModbusMeter | ModbusBattery | ModbusPv:
    if profile.role == "meter":
        return modbus_meter("device", profile, link, 1)
    return battery_of(profile, link) if profile.role == "battery" else modbus_pv("device", profile, link, 1)


def battery_of(profile: DeviceProfile, link: Link) -> ModbusBattery:
    """With the nameplate from the site file, since not every device says its own."""
    return modbus_battery("device", profile, link, 1, max_charge_w=5000.0, max_discharge_w=4500.0)


def soon() -> float:
    return asyncio.get_running_loop().time() + 0.5
