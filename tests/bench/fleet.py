"""What many devices cost: a scan of five against bare pymodbus, and the beat of thirty-two on eight links."""

from __future__ import annotations

import asyncio
import math
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.pdu import ModbusPDU

from controller.config import Config, load_config
from controller.devices import open_devices
from controller.loop import ControlLoop, Cycle
from drivers.address import Address, parse_connection
from tests.bench.measure import Figure
from tests.bench.sites import fleet_site
from tests.bench.wires import penstock, wait_for_port
from tests.penstock import free_ports

SCANS = 1000
BEATS = 60


def scan_against_bare(folder: Path) -> Figure:
    """A block of a meter and of four batteries, a setpoint for each of these: ours against bare pymodbus."""
    ports = free_ports(5)
    path = fleet_site(folder, ports, batteries=4)
    with penstock("emulate", str(path)):
        for port in ports:
            wait_for_port(port)
        ours_us, bare_us = asyncio.run(_both(load_config(path)))
    note = f"{ours_us:.0f} us against {bare_us:.0f} us"
    return Figure("scan of 1 meter and 4 batteries", ours_us / bare_us, "x bare pymodbus", 1.5, note=note)


async def _both(config: Config) -> tuple[float, float]:
    devices = open_devices(config)
    loop = asyncio.get_running_loop()
    watts = iter(range(100 * SCANS))

    async def ours() -> None:
        deadline_s = loop.time() + 5.0
        await devices.meter.read(deadline_s)
        for battery in devices.batteries:
            await battery.read(deadline_s)
            await battery.order(float(next(watts) % 4000), deadline_s)

    meter, *inverters = [await _client(one.connection) for one in (config.meter, *config.batteries)]
    meter_block = next(one for one in config.meter.profile.blocks if one.every == "fast")
    profile = config.batteries[0].profile
    block = next(one for one in profile.blocks if one.every == "fast")
    setpoint = profile.points["wset"].address

    async def bare() -> None:
        unit = config.meter.unit
        await _taken(meter.read_input_registers(meter_block.address, count=meter_block.count, device_id=unit))
        for inverter, entry in zip(inverters, config.batteries, strict=True):
            unit = entry.unit
            await _taken(inverter.read_holding_registers(block.address, count=block.count, device_id=unit))
            await _taken(inverter.write_registers(setpoint, [0, next(watts) % 4000], device_id=unit))

    # In turns, so that a busy host is unfair to both.
    found: dict[Callable[[], Awaitable[None]], list[float]] = {ours: [], bare: []}
    for number in range(SCANS):
        for work, times in found.items():
            began_s = time.perf_counter()
            await work()
            if number > SCANS // 10:
                times.append(time.perf_counter() - began_s)
    for client in (meter, *inverters):
        client.close()
    await devices.close()
    return statistics.median(found[ours]) * 1e6, statistics.median(found[bare]) * 1e6


async def _taken(answer: Awaitable[ModbusPDU]) -> None:
    """A refusal is quicker than an answer, and no answer."""
    if (await answer).isError():
        raise ValueError("the emulator refused what the bench asked")


async def _client(connection: str) -> AsyncModbusTcpClient:
    address = parse_connection(connection)
    assert isinstance(address, Address), "the bench's devices speak Modbus TCP"
    client = AsyncModbusTcpClient(address.host, port=address.port)
    await client.connect()
    return client


def thirty_two_devices(folder: Path) -> Figure:
    """How exactly the beat of 1 s begins while 32 devices on 8 links are read and ordered in each of them."""
    ports = free_ports(8)
    path = fleet_site(folder, ports, batteries=16, pvs=15)
    with penstock("emulate", str(path)):
        for port in ports:
            wait_for_port(port)
        jitters_s, late, longest_s = asyncio.run(_beats(load_config(path)))
    p99_ms = 1e3 * sorted(jitters_s)[math.ceil(0.99 * len(jitters_s)) - 1]
    scanned = f"longest scan {1e3 * longest_s:.0f} ms, {late} readings not of their beat"
    note = f"{len(jitters_s)} beats, {scanned}"
    # A beat without everybody's reading is not kept, however exactly it began.
    return Figure(
        "32 devices on 8 links, p99 jitter", p99_ms if not late else math.inf, "ms", 20.0, note=note
    )


async def _beats(config: Config) -> tuple[list[float], int, float]:
    """Jitter of each beat after a warm-up, readings that were not of their beat, and the longest scan."""
    devices = open_devices(config)
    jitters_s: list[float] = []
    late, longest_s = 0, 0.0

    def note(cycle: Cycle) -> None:
        nonlocal late, longest_s
        if cycle.seq <= 5 or cycle.snapshot.orders.stop:
            return
        beat_s = cycle.snapshot.now_s - cycle.timing.read_s
        jitters_s.append(abs(cycle.timing.start_jitter_s))
        longest_s = max(longest_s, cycle.timing.read_s)
        readings = (cycle.snapshot.meter, *cycle.snapshot.batteries, *cycle.snapshot.pvs)
        late += sum(one is None or one.taken_at_s < beat_s for one in readings)
        if len(jitters_s) == BEATS:
            control.stop()

    control = ControlLoop(config.dispatch, devices.meter, devices.batteries, devices.pvs, listeners=(note,))
    await control.run()
    await devices.close()
    return jitters_s, late, longest_s
