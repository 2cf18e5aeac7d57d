"""Serial ports and certificates that are made on the fly, and scenarios over them."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from typing import Any

import pytest

from controller.config import load_config
from controller.devices import open_devices
from controller.lab.emulate import built, emulated
from controller.lab.hil import run_scenario
from controller.lab.lines import laid, moved_to
from controller.lab.scenario import Scenario, scenario_of
from drivers.doors import DoorError
from tests.penstock import SMALL_SITE, site_file

SCENARIO: dict[str, Any] = {
    "title": "A load that steps",
    "why": "Over every kind of wire the same.",
    "duration_s": 60,
    "wires": True,
    "site": SMALL_SITE,
    "load": {"power_w": 500},
    "step": [{"at_s": 30, "load_w": 2_000}],
    "claim": [
        {"claim": "reaches", "mode": "RUNNING", "after_s": 0, "within_s": 20},
        {
            "claim": "settles",
            "signal": "pcc_import_w",
            "to": 0,
            "tolerance": 150,
            "after_s": 30,
            "within_s": 15,
        },
    ],
}


def fault(name: str) -> dict[str, Any]:
    return {"device": "grid", "fault": name, "at_s": 10, "for_s": 15}


def scenario(**changes: Any) -> Scenario:
    return scenario_of(Path("steps.toml"), "", SCENARIO | changes)


def test_a_scenario_leaves_the_same_trace_over_tcp_and_tls() -> None:
    over_tcp, over_tls = (run_scenario(scenario(), way=way) for way in ("tcp", "tls"))  # type: ignore[arg-type]  # ways
    assert over_tcp.trace_hash == over_tls.trace_hash


def test_faults_of_links_happen_over_tls_and_on_serial_lines_too() -> None:
    silent = scenario(step=[], fault=[fault("silent")])
    for way in ("tls", "rtu"):
        beats = run_scenario(silent, way=way).beats  # type: ignore[arg-type]  # ways
        # Silent from 10 s on: HOLDING while the last reading is less than 3 s old, then SAFE.
        modes = [(int(one.at_s), one.decision.mode.value) for one in beats if int(one.at_s) in (9, 11, 14)]
        assert modes == [(9, "RUNNING"), (11, "HOLDING"), (14, "SAFE")]


def test_a_fault_that_a_wire_cannot_have_is_refused_with_the_file() -> None:
    reset = scenario(fault=[fault("reset")])
    with pytest.raises(DoorError, match=r"steps.toml: reset is a fault of a TCP or TLS connection; grid"):
        run_scenario(reset, way="rtu")
    flipped = scenario(fault=[fault("flipped")])
    with pytest.raises(DoorError, match=r"steps.toml: flipped is a fault of a serial line; grid is on a TCP"):
        run_scenario(flipped)


async def test_a_port_that_is_not_there_is_made_and_gone_afterwards(tmp_path: Path) -> None:
    port = tmp_path / "bus1"
    port.symlink_to(tmp_path / "left-behind")
    connection = f"rtu://{port}?baud=9600&parity=N"
    with laid(connection) as place:
        assert port.is_symlink()
        assert port.exists()
        assert place.endswith("?baud=9600&parity=N&stop=1")
        assert str(port) not in place
    assert not port.is_symlink()


def test_a_port_of_dev_is_real_or_missing_and_never_made() -> None:
    connection = "rtu:///dev/ttyNOBODY7?baud=9600&parity=N"
    with laid(connection) as place:
        assert place == connection
    assert not Path("/dev/ttyNOBODY7").is_symlink()


def test_certificates_that_are_not_there_are_made_once(tmp_path: Path) -> None:
    ca, cert, key = (tmp_path / f"{name}.pem" for name in ("ca", "cert", "key"))
    connection = f"tls://127.0.0.1:8020?ca={ca}&cert={cert}&key={key}"
    with laid(connection):
        made = [one.read_bytes() for one in (ca, cert, key)]
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    with laid(connection):
        assert [one.read_bytes() for one in (ca, cert, key)] == made


def test_certificates_are_not_made_beside_some_that_are_there(tmp_path: Path) -> None:
    ca, cert, key = (tmp_path / f"{name}.pem" for name in ("ca", "cert", "key"))
    ca.write_text("the owner's", encoding="ascii")
    with laid(f"tls://127.0.0.1:8020?ca={ca}&cert={cert}&key={key}"):
        assert not cert.exists()


@pytest.mark.parametrize("way", ["rtu", "tls"])
async def test_one_site_file_serves_both_ends_over_lines_made_on_the_fly(tmp_path: Path, way: Any) -> None:
    config = load_config(site_file(tmp_path, [5020, 5021, 5022], "mqtt://127.0.0.1:1883"))
    config = moved_to(config, way, tmp_path)
    async with emulated(built(config)):
        devices = open_devices(config)
        until_s = asyncio.get_running_loop().time() + 10.0
        meter = await devices.meter.read(until_s)
        battery = await devices.batteries[0].read(until_s)
        await devices.close()
    assert meter.frequency_hz == 50.0
    assert battery.soc_pct == pytest.approx(50.0, abs=0.1)
