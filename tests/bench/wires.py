"""What real sockets cost: one scan against bare pymodbus, and `penstock run` from its start."""

from __future__ import annotations

import asyncio
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pymodbus.client import AsyncModbusTcpClient

from controller.config import Config, load_config
from controller.devices import open_devices
from drivers.address import Address, parse_connection
from tests.bench.measure import Figure
from tests.bench.sites import on_ports

SCANS = 1500
PATIENCE_S = 20.0
RUN_FOR_S = 6.0


def free_ports() -> int:
    """The first of three free ports in a row."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            first = int(probe.getsockname()[1])
        if all(_is_free(first + number) for number in range(3)):
            return first


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@contextmanager
def penstock(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A `penstock` process, ended afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-m", "controller", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def wait_for_port(port: int) -> None:
    """Until something listens there."""
    until_s = time.perf_counter() + PATIENCE_S
    while time.perf_counter() < until_s:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError(f"nothing listens on port {port}")


def scan_against_bare(folder: Path) -> Figure:
    """Meter block, battery block, one setpoint write: ours against the same three transactions bare."""
    first = free_ports()
    path = on_ports(folder, first)
    with penstock("emulate", str(path)):
        wait_for_port(first + 2)
        ours_us, bare_us = asyncio.run(_both(load_config(path)))
    note = f"{ours_us:.0f} us against {bare_us:.0f} us"
    return Figure("scan over loopback TCP", ours_us / bare_us, "x bare pymodbus", 1.5, note=note)


async def _both(config: Config) -> tuple[float, float]:
    devices = open_devices(config)
    battery = devices.batteries[0]
    loop = asyncio.get_running_loop()
    watts = iter(range(10 * SCANS))

    async def ours() -> None:
        deadline_s = loop.time() + 5.0
        await devices.meter.read(deadline_s)
        await battery.read(deadline_s)
        await battery.order(float(next(watts) % 4000), deadline_s)

    addresses = [parse_connection(one.connection) for one in (config.meter, config.batteries[0])]
    meter, inverter = [
        AsyncModbusTcpClient(address.host, port=address.port)
        for address in addresses
        if isinstance(address, Address)
    ]
    await meter.connect()
    await inverter.connect()
    meter_block = next(one for one in config.meter.profile.blocks if one.every == "fast")
    battery_block = next(one for one in config.batteries[0].profile.blocks if one.every == "fast")
    setpoint = config.batteries[0].profile.points["wset"].address

    async def bare() -> None:
        await meter.read_input_registers(meter_block.address, count=meter_block.count)
        await inverter.read_holding_registers(battery_block.address, count=battery_block.count)
        await inverter.write_registers(setpoint, [0, next(watts) % 4000])

    # In turns, so that a busy host is unfair to both.
    found: dict[Callable[[], Awaitable[None]], list[float]] = {ours: [], bare: []}
    for number in range(SCANS):
        for work, times in found.items():
            began_s = time.perf_counter()
            await work()
            if number > SCANS // 10:
                times.append(time.perf_counter() - began_s)
    meter.close()
    inverter.close()
    await devices.close()
    return statistics.median(found[ours]) * 1e6, statistics.median(found[bare]) * 1e6


def start_and_size(folder: Path) -> list[Figure]:
    """From the start of `penstock run` to its first setpoint on the wire, and its resident memory then."""
    first = free_ports()
    path = on_ports(folder, first, mqtt=False)
    text = path.read_text(encoding="utf-8") + '\n[mqtt]\nurl = "mqtt://127.0.0.1:1"\n'
    path.write_text(text, encoding="utf-8")
    setpoint = load_config(path).batteries[0].profile.points["wset_ena"].address
    with penstock("emulate", str(path)):
        wait_for_port(first + 2)
        began_s = time.perf_counter()
        with penstock("run", str(path)) as process:
            asyncio.run(_until_enabled(first + 1, setpoint))
            first_setpoint_s = time.perf_counter() - began_s
            time.sleep(RUN_FOR_S)
            rss_mb = _rss_mb(process.pid)
    return [
        Figure("start of run to first setpoint", first_setpoint_s, "s", 1.0),
        Figure("resident memory of run", rss_mb, "MB", 60.0, note="with MQTT, broker unreachable"),
    ]


async def _until_enabled(port: int, address: int) -> None:
    """Poll the emulated inverter, every 5 ms, until somebody has ordered it."""
    client = AsyncModbusTcpClient("127.0.0.1", port=port)
    await client.connect()
    async with asyncio.timeout(PATIENCE_S):
        while True:
            reply = await client.read_holding_registers(address, count=1)
            if reply.registers == [1]:
                break
            await asyncio.sleep(0.005)
    client.close()


def _rss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"/proc/{pid}/status has no VmRSS")
