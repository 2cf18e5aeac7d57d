"""`penstock` as a user starts it: a process of its own, on free ports, ended by pid."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE_S = 60.0

SMALL_SITE: dict[str, Any] = {
    "site": "house-7",
    "meter": [{"id": "grid", "profile": "eastron-sdm630", "connection": "tcp://127.0.0.1:5020"}],
    "battery": [
        {
            "id": "bat1",
            "profile": "sunspec-hybrid",
            "connection": "tcp://127.0.0.1:5021",
            "capacity_wh": 10_000,
        }
    ],
}
"""A meter and a battery, as the `site` of a scenario."""


@contextmanager
def penstock(*words: str, log: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A running `penstock`; interrupted at the end if it still runs."""
    with (log or Path("/dev/null")).open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "controller", *words],
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def result_of(*words: str) -> subprocess.CompletedProcess[str]:
    """A `penstock` that ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "controller", *words],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def free_ports(number: int) -> list[int]:
    """Ports of 127.0.0.1 on which nothing listens."""
    probes = [socket.socket() for _ in range(number)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def wait_until(true: Callable[[], bool], what: str = "it") -> None:
    """Until this is so; TimeoutError when it never is."""
    until_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < until_s:
        if true():
            return
        time.sleep(0.02)
    raise TimeoutError(f"{what} did not happen within {PATIENCE_S:g} s")


def wait_for_port(port: int) -> None:
    """Until something listens there; TimeoutError when nothing does."""

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    wait_until(listens, f"listening on port {port}")


def site_file(folder: Path, ports: list[int], broker: str) -> Path:
    """A site with a meter, a battery and a PV inverter on these ports."""
    path = folder / "house.toml"
    path.write_text(
        f"""
site = "house-7"

[grid]
import_limit_w = 17_250
export_limit_w = 3_000
fuse_a = 25
phases = 3

[[meter]]
id = "grid"
role = "pcc"
profile = "eastron-sdm630"
connection = "tcp://127.0.0.1:{ports[0]}"
unit = 1

[[battery]]
id = "bat1"
profile = "sunspec-hybrid"
connection = "tcp://127.0.0.1:{ports[1]}"
unit = 1
capacity_wh = 10_000
min_soc_pct = 5

[[pv]]
id = "roof"
profile = "sunspec-pv"
connection = "tcp://127.0.0.1:{ports[2]}"
unit = 1

[policy]
name = "self_consumption"
reserve_pct = 20

[mqtt]
url = "{broker}"
""",
        encoding="utf-8",
    )
    return path
