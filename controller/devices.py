"""Opens the devices of a site: one link for each address, however many units share it."""

from __future__ import annotations

from dataclasses import dataclass

from controller.config import Config, DeviceEntry
from drivers.link import Link, LinkTiming, open_link
from drivers.modbus import ModbusBattery, ModbusMeter, ModbusPv, modbus_battery, modbus_meter, modbus_pv


@dataclass(frozen=True, slots=True)
class Devices:
    """The opened devices, in the order of the config."""

    meter: ModbusMeter
    batteries: tuple[ModbusBattery, ...]
    pvs: tuple[ModbusPv, ...]
    links: tuple[Link, ...]

    async def close(self) -> None:
        """Close every link."""
        for link in self.links:
            await link.close()


def open_devices(config: Config) -> Devices:
    """All devices of the site; connecting begins with the first reading."""
    links: dict[str, Link] = {}

    def link(entry: DeviceEntry) -> Link:
        if entry.connection not in links:
            transport = entry.profile.transport
            links[entry.connection] = open_link(
                entry.connection,
                LinkTiming(
                    timeout_s=transport.timeout_ms / 1000.0,
                    min_gap_s=transport.min_gap_ms / 1000.0,
                    connect_delay_s=transport.connect_delay_ms / 1000.0,
                    retry_exceptions=frozenset(transport.retry_exceptions),
                ),
            )
        return links[entry.connection]

    meter = modbus_meter(config.meter.id, config.meter.profile, link(config.meter), config.meter.unit)
    batteries = tuple(
        modbus_battery(
            entry.id,
            entry.profile,
            link(entry),
            entry.unit,
            max_charge_w=settings.max_charge_w,
            max_discharge_w=settings.max_discharge_w,
        )
        for entry, settings in zip(config.batteries, config.dispatch.batteries, strict=True)
    )
    pvs = tuple(modbus_pv(entry.id, entry.profile, link(entry), entry.unit) for entry in config.pvs)
    return Devices(meter, batteries, pvs, tuple(links.values()))
