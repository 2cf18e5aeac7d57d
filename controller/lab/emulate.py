"""`penstock emulate`: every device of a site file at its own address, with one house behind them all."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
from collections.abc import AsyncIterator, Container
from contextlib import asynccontextmanager, suppress
from functools import partial

from controller.config import Config, DeviceEntry, SwitchEntry
from controller.errors import RunError
from controller.lab.house import resolution_s, synthetic
from controller.lab.lines import laid, wrong_context
from controller.lab.live import injectable
from controller.lab.stage import Stage
from drivers.address import RtuTcpAddress, SerialAddress, TlsAddress, parse_connection
from drivers.tls import server_context
from drivers.wire import Manners, Server, Unit
from simulators.emulator import EmulatedUnit, Port, Rating, emulated_unit
from simulators.faults import Active
from simulators.faults.link import FaultyLine, FaultyLink, FaultyServer
from simulators.faults.registers import FaultyUnit
from simulators.relays import EmulatedRelays, SharedUnit, SwitchedLoad

log = logging.getLogger("penstock")

PEAK_OF_MEAN = 5.0
"""A load that is large enough for its meter to need another scale factor peaks at so many times its mean."""
HOURS_A_YEAR = 8760.0


def built(config: Config, speed: float | None = None) -> Stage:
    """The plant that `[simulation]` describes, beginning now."""
    speed = config.simulation.speed if speed is None else speed
    traces = synthetic(config, resolution_s(speed))
    return Stage(
        config,
        traces.load,
        traces.pv,
        config.simulation.pv_peak_w,
        wired=True,
        speed=speed,
        begin_s=asyncio.get_running_loop().time(),
        trace_begin_s=config.simulation.start_hour * 3600.0,
    )


@asynccontextmanager
async def emulated(stage: Stage, real: Container[str] = ()) -> AsyncIterator[None]:
    """The site's devices listening on their addresses, but for those (by id) that are real.

    RunError when one cannot be bound.
    """
    behind = _units(stage, real)
    servers: list[Server] = []
    keeping = asyncio.create_task(stage.keep(), name="plant")
    try:
        for connection, (units, link) in behind.items():
            servers.append(await _listen(connection, units, link, _manners(stage.config, connection)))
        yield
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
        for server in servers:
            await server.stop()


def _units(stage: Stage, real: Container[str]) -> dict[str, tuple[dict[int, Unit], FaultyLink]]:
    """Emulated units by connection and unit id, and the faults of their links."""
    found: dict[str, dict[int, Unit]] = {}
    actives: dict[str, list[tuple[frozenset[int] | None, Active]]] = {}
    config, board = stage.config, stage.board

    def add(entry: DeviceEntry, parts: dict[int, Unit]) -> None:
        units = found.setdefault(entry.connection, {})
        for unit_id, unit in parts.items():
            units[unit_id] = SharedUnit(units[unit_id], unit) if unit_id in units else unit
        actives.setdefault(entry.connection, []).append((frozenset(parts), board.active(entry.id)))

    def device(entry: DeviceEntry, port: Port, rating: Rating | None = None) -> None:
        if entry.id in real:
            return

        def make(serial: str | None) -> EmulatedUnit:
            return emulated_unit(entry.profile, port, serial=serial or entry.id, rating=rating)

        add(entry, FaultyUnit(make, board.active(entry.id)).parts(entry.unit))

    device(config.meter, stage.meter, Rating(connection_w=_connection_w(stage)))
    for entry, battery, inverter in zip(
        config.batteries, stage.batteries, stage.house.batteries, strict=True
    ):
        params = inverter.params
        device(entry, battery, Rating(params.rated_charge_w, params.rated_discharge_w))
    for entry, pv in zip(config.pvs, stage.pvs, strict=True):
        device(entry, pv)
    modules: dict[tuple[str, int], list[tuple[SwitchEntry, SwitchedLoad]]] = {}
    for switch, load in zip(config.switches, stage.loads, strict=True):
        if switch.device.id not in real:
            modules.setdefault((switch.device.connection, switch.device.unit), []).append((switch, load))
    for switches in modules.values():
        first = switches[0][0].device
        relays = EmulatedRelays(first.profile, {one.channel: load for one, load in switches})
        add(first, {first.unit: relays})
    return {connection: (units, FaultyLink(actives[connection])) for connection, units in found.items()}


def _connection_w(stage: Stage) -> float:
    """What may flow through the meter: a busy house that charges, or all of the sun and what discharges."""
    house = stage.house
    load_w = PEAK_OF_MEAN * stage.config.simulation.annual_load_kwh * 1000.0 / HOURS_A_YEAR
    batteries = [one.params for one in house.batteries]
    import_w = load_w + sum(one.rated_charge_w for one in batteries)
    export_w = sum(one.rated_w for one in house.pvs) + sum(one.rated_discharge_w for one in batteries)
    return max(import_w, export_w)


def _manners(config: Config, connection: str) -> Manners:
    """Those of the strictest of the devices behind one connection."""
    behind = [one.profile.transport for one in config.devices if one.connection == connection]
    limits = [one.max_clients for one in behind if one.max_clients is not None]
    silent = any(one.missing_unit == "silent" for one in behind)
    deaf_ms = max((one.connect_delay_ms for one in behind), default=0)
    return Manners(min(limits, default=None), "silent" if silent else "gateway", deaf_ms / 1000.0)


async def _listen(connection: str, units: dict[int, Unit], link: FaultyLink, manners: Manners) -> Server:
    address = parse_connection(connection)
    try:
        if isinstance(address, SerialAddress):
            line = FaultyLine(units, link, partial(laid, connection))
            await line.start()
            server: Server = line
        else:
            with laid(connection):
                tls = server_context(address) if isinstance(address, TlsAddress) else None
            faulty = FaultyServer(units, link, manners, serial=isinstance(address, RtuTcpAddress))
            wrong = partial(wrong_context, address) if isinstance(address, TlsAddress) else None
            await faulty.start(address.host, address.port, tls, wrong)
            server = faulty
    except OSError as error:
        raise RunError(f"{connection}: {_why_not(error, connection)}") from None
    log.info("%s: emulating unit %s", connection, ", ".join(str(unit) for unit in sorted(units)))
    return server


def _why_not(error: OSError, connection: str) -> str:
    address = parse_connection(connection)
    if isinstance(address, SerialAddress):
        return f"{error}; without hardware, name a port outside of /dev that is not there: it is made then"
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
    stage = built(config)
    async with emulated(stage), injectable(config.site, stage.board) as where:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        if where is not None:
            log.info("faults: penstock inject --site %s DEVICE FAULT (through %s)", config.site, where)
        log.info("the house is running; Ctrl-C ends it")
        await stop.wait()
