"""What real sockets cost: `penstock run` from its start to its first setpoint, and its size."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pymodbus.client import AsyncModbusTcpClient

from controller.config import DeviceEntry, load_config
from tests.bench.measure import Figure
from tests.bench.sites import fleet_site, on_ports

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


def start_and_size(folder: Path) -> list[Figure]:
    """From the start of `penstock run` to its first setpoint on the wire, and its resident memory then.

    Planning loads numpy, and only where there is a tariff: the first site is without one.
    """
    plain, planned = folder / "plain", folder / "planned"
    plain.mkdir()
    planned.mkdir()
    first = free_ports()
    site = fleet_site(plain, range(first, first + 3), batteries=1, pvs=1)
    _, rss_mb = _started(site, first + 1)
    first = free_ports()
    first_setpoint_s, planning_mb = _started(on_ports(planned, first, mqtt=False), first + 1)
    note = "with MQTT, broker unreachable"
    beside = f"{note}; beside the planner"
    return [
        Figure("start of run to first setpoint", first_setpoint_s, "s", 1.0),
        Figure("resident memory of run", rss_mb, "MB", 60.0, note=note),
        Figure("resident memory of run that plans", planning_mb, "MB", 75.0, note=beside),
    ]


def _started(path: Path, battery_port: int) -> tuple[float, float]:
    """Seconds from the start to the first setpoint of the battery there, and the resident memory, MB."""
    text = path.read_text(encoding="utf-8") + '\n[mqtt]\nurl = "mqtt://127.0.0.1:1"\n'
    path.write_text(text, encoding="utf-8")
    battery = load_config(path).batteries[0]
    with penstock("emulate", str(path)):
        wait_for_port(battery_port + 1)
        began_s = time.perf_counter()
        with penstock("run", str(path)) as process:
            asyncio.run(_until_enabled(battery_port, battery))
            first_setpoint_s = time.perf_counter() - began_s
            time.sleep(RUN_FOR_S)
            return first_setpoint_s, _rss_mb(process.pid)


async def _until_enabled(port: int, battery: DeviceEntry) -> None:
    """Poll the emulated inverter, every 5 ms, until somebody has ordered it."""
    client = AsyncModbusTcpClient("127.0.0.1", port=port)
    await client.connect()
    address = battery.profile.points["wset_ena"].address
    async with asyncio.timeout(PATIENCE_S):
        while True:
            reply = await client.read_holding_registers(address, count=1, device_id=battery.unit)
            if reply.registers == [1]:
                break
            await asyncio.sleep(0.005)
    client.close()


def _rss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"/proc/{pid}/status has no VmRSS")
