"""docs/hil.md: its page alone is enough to build a rig; each of its programs and commands runs here."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from controller.config import load_config
from controller.devices import open_devices
from controller.lab.rig_messages import MODELS, ClockInput, OrdersInput, PricesInput
from drivers.device import DeviceError
from tests.penstock import PATIENCE_S, free_ports, penstock, result_of, wait_for_port

PAGE = (Path(__file__).parents[2] / "docs" / "hil.md").read_text(encoding="utf-8")
SITE, SERIAL, STEPS, *_ = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)
PROGRAMS = {
    text.partition("\n")[0].removeprefix("# "): text
    for text in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
}
COMMANDS = re.findall(r"^penstock (.+)$", PAGE, flags=re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of somebody who has only the page."""
    (tmp_path / "house.toml").write_text(SITE, encoding="utf-8")
    for name, text in PROGRAMS.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def python(folder: Path, *words: str) -> str:
    """What a program of the page prints."""
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_explains_all_that_a_rig_may_say() -> None:
    models = [*MODELS.values(), OrdersInput, PricesInput, ClockInput]
    names = {name for model in models for name in model.model_fields}
    assert [name for name in sorted(names) if f"`{name}`" not in PAGE] == []


def test_the_rig_of_the_page_covers_its_house_and_leaves_the_same_trace_twice(folder: Path) -> None:
    first = python(folder, "rig.py")
    assert first.startswith("0 W from the grid: covering the house\n")
    assert python(folder, "rig.py") == first


def test_the_tcp_rig_of_the_page_leaves_the_same_trace_twice(folder: Path) -> None:
    port = free_ports(1)[0]
    assert "rig house.toml --listen 127.0.0.1:5900" in COMMANDS
    with penstock("rig", str(folder / "house.toml"), "--listen", f"127.0.0.1:{port}"):
        wait_for_port(port)
        first = python(folder, "tcp_rig.py", str(port))
        assert re.fullmatch(r"[0-9a-f]{64}\n", first)
        assert python(folder, "tcp_rig.py", str(port)) == first


def test_the_mosaik_example_of_the_page_runs(folder: Path) -> None:
    assert "0 W from the grid at 1100 s" in python(folder, "cosimulation.py").splitlines()


def test_the_emulator_of_the_page_makes_its_port_and_certificates(folder: Path) -> None:
    assert "emulate serial.toml" in COMMANDS
    site, log = folder / "serial.toml", folder / "emulate.log"
    text = SERIAL.replace("/tmp/penstock-", f"{folder}/").replace("8021", str(free_ports(1)[0]))
    site.write_text(text, encoding="utf-8")

    async def read() -> tuple[float | None, float | None]:
        devices = open_devices(load_config(site))
        until_s = asyncio.get_running_loop().time() + PATIENCE_S
        while True:
            try:
                meter = await devices.meter.read(until_s)
                battery = await devices.batteries[0].read(until_s)
            except DeviceError:
                if asyncio.get_running_loop().time() > until_s:
                    raise
                await asyncio.sleep(0.3)
            else:
                await devices.close()
                return meter.frequency_hz, battery.soc_pct

    with penstock("emulate", str(site), log=log):
        frequency_hz, soc_pct = asyncio.run(read())
    assert frequency_hz == 50.0
    assert soc_pct == pytest.approx(50.0, abs=1.0)
    said = log.read_text(encoding="utf-8")
    assert f"{folder}/bus1: made two joined serial ports, /dev/pts/" in said
    assert f"made test certificates: {folder}/ca.pem" in said
    assert not (folder / "bus1").is_symlink()


def test_the_scenario_of_the_page_runs_over_tls_and_on_a_serial_line_in_real_time(folder: Path) -> None:
    scenario, reports = folder / "steps.toml", folder / "verdicts"
    scenario.write_text(STEPS, encoding="utf-8")
    assert "hil steps.toml --over tls" in COMMANDS
    virtual = result_of("hil", str(scenario), "--over", "tls")
    assert (virtual.returncode, virtual.stderr) == (0, "")
    assert "hil steps.toml --real-time --over rtu --report verdicts" in COMMANDS
    real = result_of("hil", str(scenario), "--real-time", "--over", "rtu", "--report", str(reports))
    # Whether this host keeps the beat is not for a test to ask; that the verdict says so, is.
    trace = json.loads((reports / "steps.json").read_text(encoding="utf-8"))
    assert trace["held"], real.stdout
    assert (real.returncode == 0) is (trace["why_not_certified"] == "")
    assert ("not certified" in real.stdout) is (trace["why_not_certified"] != "")
    assert len(trace["beats"]) >= 15
    assert all(one["timing"]["read_s"] > 0.0 for one in trace["beats"])
    wrong = result_of("hil", str(scenario), "--over", "string")
    assert wrong.returncode == 2
    assert "string: there is tcp, rtu, tls" in wrong.stderr


def test_the_schema_of_a_rig_is_printed() -> None:
    assert '"pcc_import_w"' in result_of("schema", "rig").stdout


def test_an_address_without_a_port_is_refused(folder: Path) -> None:
    done = result_of("rig", str(folder / "house.toml"), "--listen", "127.0.0.1")
    assert done.returncode == 2
    assert "give HOST:PORT, such as 127.0.0.1:5900" in done.stderr
