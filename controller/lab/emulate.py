"""`penstock emulate`: every device of a site file at its own address, with one house behind them all."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from controller.config import Config, DeviceEntry, SwitchEntry
from controller.errors import RunError
from controller.lab.house import build_house, resolution_s, synthetic
from drivers.address import SerialAddress, parse_connection
from drivers.profile import Transport
from drivers.wire import Server, Unit, serve
from simulators.emulator import EmulatedUnit, Rating, emulated_unit, emulated_units
from simulators.relays import EmulatedRelays, SharedUnit, SwitchedLoad
from simulators.site import House

log = logging.getLogger("penstock")


@asynccontextmanager
async def emulated(config: Config, speed: float | None = None) -> AsyncIterator[House]:
    """The site's devices listening on their addresses; RunError when one cannot be bound."""
    speed = config.simulation.speed if speed is None else speed
    traces = synthetic(config, resolution_s(speed))
    house = build_house(
        config,
        traces.load,
        traces.pv,
        config.simulation.pv_peak_w,
        speed=speed,
        begin_s=asyncio.get_running_loop().time(),
        trace_begin_s=config.simulation.start_hour * 3600.0,
    )
    servers: list[Server] = []
    try:
        for connection, units in _units(config, house).items():
            behind = [one.profile.transport for one in config.devices if one.connection == connection]
            servers.append(await _listen(connection, units, behind))
        yield house
    finally:
        for server in servers:
            await server.stop()


def _units(config: Config, house: House) -> dict[str, dict[int, Unit]]:
    """Emulated units by connection and unit id."""
    found: dict[str, dict[int, Unit]] = {}

    def add(entry: DeviceEntry, device: Unit) -> None:
        units = found.setdefault(entry.connection, {})
        parts = (
            emulated_units(entry.unit, device) if isinstance(device, EmulatedUnit) else {entry.unit: device}
        )
        for unit_id, unit in parts.items():
            units[unit_id] = SharedUnit(units[unit_id], unit) if unit_id in units else unit

    add(config.meter, emulated_unit(config.meter.profile, house.meter(), serial=config.meter.id))
    for index, entry in enumerate(config.batteries):
        params = house.batteries[index].params
        rating = Rating(params.rated_charge_w, params.rated_discharge_w)
        add(entry, emulated_unit(entry.profile, house.battery(index), serial=entry.id, rating=rating))
    for index, entry in enumerate(config.pvs):
        add(entry, emulated_unit(entry.profile, house.pv(index), serial=entry.id))
    modules: dict[tuple[str, int], list[SwitchEntry]] = {}
    for switch in config.switches:
        modules.setdefault((switch.device.connection, switch.device.unit), []).append(switch)
    for switches in modules.values():
        loads = {one.channel: SwitchedLoad(house, one.sheds_w) for one in switches}
        add(switches[0].device, EmulatedRelays(switches[0].device.profile, loads))
    return found


async def _listen(connection: str, units: dict[int, Unit], behind: Sequence[Transport]) -> Server:
    """Serve these units as the strictest of the devices behind one connection would be served."""
    limits = [one.max_clients for one in behind if one.max_clients is not None]
    try:
        server = await serve(
            connection,
            units,
            max_clients=min(limits, default=None),
            missing_unit="silent" if any(one.missing_unit == "silent" for one in behind) else "gateway",
            deaf_s=max((one.connect_delay_ms for one in behind), default=0) / 1000.0,
        )
    except OSError as error:
        raise RunError(f"{connection}: {_why_not(error, connection)}") from None
    log.info("%s: emulating unit %s", connection, ", ".join(str(unit) for unit in sorted(units)))
    return server


def _why_not(error: OSError, connection: str) -> str:
    address = parse_connection(connection)
    if isinstance(address, SerialAddress):
        pair = "socat pty,raw,echo=0,link=A pty,raw,echo=0,link=B"
        return f"{error}; without hardware, make two joined ports with {pair}: one for each end"
    if error.errno == errno.EADDRINUSE:
        return f"port {address.port} is in use; end what listens there, or change the port in the site file"
    # From Python 3.13 on, asyncio says without a number that none of the host's addresses could be bound.
    if error.errno in (errno.EADDRNOTAVAIL, None):
        return "is not an address of this host; emulate on the host that has it, or write 127.0.0.1"
    if error.errno == errno.EACCES:
        return f"port {address.port} needs root; take one above 1023, such as 5020"
    return f"cannot listen: {error.strerror or error}"


async def emulate_site(config: Config) -> None:
    """Serve until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with emulated(config):
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        log.info("the house is running; Ctrl-C ends it")
        await stop.wait()
