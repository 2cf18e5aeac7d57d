"""Serial ports and certificates that are made on the fly, and scenarios over them."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from typing import Any

import pytest

from controller.config import load_config
from controller.devices import open_devices
from controller.errors import RunError
from controller.lab.emulate import built, emulated
from controller.lab.hil import run_scenario
from controller.lab.lines import laid, moved_to
from controller.lab.scenario import Scenario, scenario_of
from tests.penstock import site_file

SCENARIO: dict[str, Any] = {
    "title": "A load that steps",
    "why": "Over every kind of wire the same.",
    "duration_s": 60,
    "wires": True,
    "site": {
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
    },
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


def scenario(**changes: Any) -> Scenario:
    return scenario_of(Path("steps.toml"), "", SCENARIO | changes)


def test_a_scenario_leaves_the_same_trace_over_tcp_and_tls() -> None:
    over_tcp, over_tls = (run_scenario(scenario(), way=way) for way in ("tcp", "tls"))  # type: ignore[arg-type]  # ways
    assert over_tcp.trace_hash == over_tls.trace_hash


def test_faults_of_links_are_not_for_serial_lines() -> None:
    silent = scenario(fault=[{"device": "grid", "fault": "silent", "at_s": 5, "for_s": 5}])
    with pytest.raises(RunError, match="faults of links are for tcp and tls"):
        run_scenario(silent, way="rtu")


async def test_a_port_that_is_not_there_is_made_and_gone_afterwards(tmp_path: Path) -> None:
    port = tmp_path / "bus1"
    port.symlink_to(tmp_path / "left-behind")
    connection = f"rtu://{port}?baud=9600&parity=N"
    with laid([connection]) as places:
        assert port.is_symlink()
        assert port.exists()
        assert places[connection].endswith("?baud=9600&parity=N&stop=1")
        assert str(port) not in places[connection]
    assert not port.is_symlink()


def test_a_port_of_dev_is_real_or_missing_and_never_made() -> None:
    connection = "rtu:///dev/ttyNOBODY7?baud=9600&parity=N"
    with laid([connection]) as places:
        assert places == {connection: connection}
    assert not Path("/dev/ttyNOBODY7").is_symlink()


def test_certificates_that_are_not_there_are_made_once(tmp_path: Path) -> None:
    ca, cert, key = (tmp_path / f"{name}.pem" for name in ("ca", "cert", "key"))
    connection = f"tls://127.0.0.1:8020?ca={ca}&cert={cert}&key={key}"
    with laid([connection]):
        made = [one.read_bytes() for one in (ca, cert, key)]
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    with laid([connection]):
        assert [one.read_bytes() for one in (ca, cert, key)] == made


def test_certificates_are_not_made_beside_some_that_are_there(tmp_path: Path) -> None:
    ca, cert, key = (tmp_path / f"{name}.pem" for name in ("ca", "cert", "key"))
    ca.write_text("the owner's", encoding="ascii")
    with laid([f"tls://127.0.0.1:8020?ca={ca}&cert={cert}&key={key}"]):
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
