"""Opens the devices of a site: one link for each bus, with the timing of the slowest unit on it."""

from __future__ import annotations

from dataclasses import dataclass

from controller.config import Config, DeviceEntry
from controller.dispatch.settings import BatterySettings
from drivers import sunspec
from drivers.address import AnyAddress, parse_connection
from drivers.link import Link, LinkTiming, open_link
from drivers.modbus import ModbusBattery, ModbusMeter, ModbusPv, modbus_battery, modbus_meter, modbus_pv
from drivers.modbus.switch import ModbusSwitch, modbus_switch


@dataclass(frozen=True, slots=True)
class Devices:
    """The opened devices, in the order of the config."""

    meter: ModbusMeter | sunspec.SunSpecMeter
    batteries: tuple[ModbusBattery | sunspec.SunSpecBattery, ...]
    pvs: tuple[ModbusPv | sunspec.SunSpecPv, ...]
    links: tuple[Link, ...]
    switches: tuple[ModbusSwitch, ...] = ()

    async def close(self) -> None:
        """Close every link."""
        for link in self.links:
            await link.close()


def open_devices(config: Config) -> Devices:
    """All devices of the site; connecting begins with the first reading."""
    timings: dict[AnyAddress, LinkTiming] = {}
    for entry in config.devices:
        bus, timing = parse_connection(entry.connection), _timing(entry)
        timings[bus] = timings[bus].strictest(timing) if bus in timings else timing
    links: dict[AnyAddress, Link] = {}

    def link(entry: DeviceEntry) -> Link:
        bus = parse_connection(entry.connection)
        if bus not in links:
            links[bus] = open_link(entry.connection, timings[bus], f"{config.site} {entry.id}")
        return links[bus]

    meter = _meter(config.meter, link(config.meter))
    batteries = tuple(
        _battery(entry, link(entry), settings)
        for entry, settings in zip(config.batteries, config.dispatch.batteries, strict=True)
    )
    pvs = tuple(_pv(entry, link(entry)) for entry in config.pvs)
    switches = tuple(
        modbus_switch(
            one.device.id, one.device.profile, link(one.device), one.device.unit, channel=one.channel
        )
        for one in config.switches
    )
    return Devices(meter, batteries, pvs, tuple(links.values()), switches)


def _timing(entry: DeviceEntry) -> LinkTiming:
    transport = sunspec.TRANSPORT if entry.self_describing else entry.profile.transport
    return LinkTiming(
        timeout_s=transport.timeout_ms / 1000.0,
        min_gap_s=transport.min_gap_ms / 1000.0,
        connect_delay_s=transport.connect_delay_ms / 1000.0,
        retry_exceptions=frozenset(transport.retry_exceptions),
        turnaround_s=transport.turnaround_ms / 1000.0,
        hold_off_s=transport.hold_off_ms / 1000.0,
    )


def _meter(entry: DeviceEntry, link: Link) -> ModbusMeter | sunspec.SunSpecMeter:
    if entry.self_describing:
        return sunspec.sunspec_meter(entry.id, link, entry.unit)
    return modbus_meter(entry.id, entry.profile, link, entry.unit)


def _battery(
    entry: DeviceEntry, link: Link, settings: BatterySettings
) -> ModbusBattery | sunspec.SunSpecBattery:
    charge_w, discharge_w = settings.max_charge_w, settings.max_discharge_w
    if entry.self_describing:
        return sunspec.sunspec_battery(
            entry.id, link, entry.unit, max_charge_w=charge_w, max_discharge_w=discharge_w
        )
    return modbus_battery(
        entry.id, entry.profile, link, entry.unit, max_charge_w=charge_w, max_discharge_w=discharge_w
    )


def _pv(entry: DeviceEntry, link: Link) -> ModbusPv | sunspec.SunSpecPv:
    if entry.self_describing:
        return sunspec.sunspec_pv(entry.id, link, entry.unit)
    return modbus_pv(entry.id, entry.profile, link, entry.unit)
