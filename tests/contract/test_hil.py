"""`penstock hil`, `inject` and `proxy` as a user starts them."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from controller.lab.live import socket_path
from drivers.device import DeviceError
from drivers.link import LinkTiming, open_link
from drivers.profile import load_profile
from tests.mosquitto import Mosquitto, program
from tests.penstock import free_ports, penstock, result_of, site_file, wait_for_port, wait_until

LIBRARY = Path(__file__).parents[1] / "scenarios"


def broken(folder: Path) -> Path:
    """A scenario with a claim that cannot hold: the battery does not give twice its rating."""
    path = folder / "broken.toml"
    path.write_text(
        f'''
title = "Too much <asked>"
duration_s = 20
[site]
file = "{LIBRARY / "sites" / "home.toml"}"
[load]
power_w = 9_000
[[claim]]
claim = "settles"
signal = "pcc_import_w"
to = 0
tolerance = 100
after_s = 0
within_s = 16
''',
        encoding="utf-8",
    )
    return path


def test_verdicts_come_as_exit_code_junit_json_and_a_page_that_repeats_itself(tmp_path: Path) -> None:
    good, bad, reports = LIBRARY / "link_late.toml", broken(tmp_path), tmp_path / "reports"
    result = result_of("hil", str(good), str(bad), "--report", str(reports))
    assert result.returncode == 1
    assert "ok   link_late" in result.stdout
    assert "FAIL broken" in result.stdout
    assert "1 of 2 scenarios held" in result.stdout

    suites = ElementTree.parse(reports / "junit.xml").getroot()
    assert [(one.get("name"), one.get("failures")) for one in suites] == [("link_late", "0"), ("broken", "1")]
    told = json.loads((reports / "broken.json").read_text(encoding="utf-8"))
    assert told["held"] is False
    assert told["claims"][0]["worst"] == pytest.approx(4000.0, abs=10.0)  # 9 kW of load, 5 kW of battery
    page = (reports / "link_late.html").read_text(encoding="utf-8")
    bare = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.findall(r'(?:src|href)="', bare), "it needs no network"
    assert "grid: late" in page, "the fault is a band in the plot"

    again = result_of("hil", "--repeat", str(reports / "link_late.html"))
    assert again.returncode == 0
    told = json.loads((reports / "link_late.json").read_text(encoding="utf-8"))
    assert f"the same trace: {told['trace_sha256']}" in again.stdout


def test_a_wrong_scenario_and_a_page_that_is_no_report_end_with_78(tmp_path: Path) -> None:
    path = broken(tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace("tolerance", "tolerence"), encoding="utf-8")
    result = result_of("hil", str(path))
    assert result.returncode == 78
    assert 'broken.toml:12: claim[0].tolerence is not a known key; did you mean "tolerance"?' in result.stderr
    assert result_of("hil", "--repeat", str(path)).returncode == 78


def test_a_folder_that_cannot_be_had_for_reports_is_refused_before_the_run(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("", encoding="utf-8")
    result = result_of("hil", str(broken(tmp_path)), "--report", str(taken))
    assert (result.returncode, result.stdout) == (78, "")
    assert f"--report {taken}: is no folder; give a folder that can be written to" in result.stderr


def test_options_that_would_not_be_heeded_are_refused(tmp_path: Path) -> None:
    path = str(broken(tmp_path))
    for words, told in (
        ((path, "--fast", "--over", "tls"), "with --fast there is no wire"),
        ((path, "--real", "bat1"), "real devices know only real time; add --real-time"),
        (("--repeat", path, "--fast"), "it runs as the report says; leave the others out"),
    ):
        result = result_of("hil", *words)
        assert (result.returncode, result.stdout) == (2, "")
        assert told in " ".join(result.stderr.split())


def test_a_control_character_of_a_title_reaches_neither_the_terminal_nor_the_junit_file(
    tmp_path: Path,
) -> None:
    path = broken(tmp_path)
    text = path.read_text(encoding="utf-8")
    title = re.sub('title = ".*"', r'title = "Red \\u001b[31m"', text)
    assert title != text
    path.write_text(title, encoding="utf-8")
    result = result_of("hil", str(path), "--fast", "--report", str(tmp_path / "out"))
    assert r"broken: Red \x1b[31m (" in result.stdout
    suites = (tmp_path / "out" / "junit.xml").read_text(encoding="utf-8")
    assert r"Red \x1b[31m" in suites
    ElementTree.fromstring(suites)


def test_a_scenario_runs_in_real_time_on_real_sockets(tmp_path: Path) -> None:
    path = broken(tmp_path)
    text = (
        path.read_text(encoding="utf-8")
        .replace("9_000", "2_000")
        .replace("duration_s = 20", "duration_s = 12")
    )
    text = text.replace("within_s = 16", "within_s = 9")
    path.write_text(text, encoding="utf-8")
    result = result_of("hil", "--real-time", str(path))
    assert (result.returncode, result.stdout[:4]) == (0, "ok  "), result.stdout + result.stderr


def test_faults_are_injected_into_a_running_emulator_and_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(socket_path("killed")))
    nobody = result_of("inject", "bat1", "frozen", "--for", "60")
    assert nobody.returncode == 1
    assert "no penstock emulate or demo of yours runs on this host" in nobody.stderr

    ports = free_ports(3)
    meter = load_profile("eastron-sdm630").gives["pcc_import_w"]

    def asked() -> str:
        async def ask() -> str:
            link = open_link(f"tcp://127.0.0.1:{ports[0]}", LinkTiming())
            try:
                by_s = asyncio.get_running_loop().time() + 2.0
                await link.read(1, meter.kind, meter.address, 2, by_s)
            except DeviceError as error:
                return str(error)
            finally:
                await link.close()
            return "answered"

        return asyncio.run(ask())

    with penstock("emulate", str(site_file(tmp_path, ports, "mqtt://127.0.0.1:1"))):
        wait_for_port(ports[2])
        assert asked() == "answered"
        result = result_of("inject", "grid", "exception", "code=2", "--for", "600")
        assert (result.returncode, result.stdout) == (0, "grid: exception code=2 requests=all for 600 s\n")
        assert "exception 2" in asked()
        assert result_of("inject", "all", "clear").stdout == "all: no faults\n"
        assert asked() == "answered"
        refused = result_of("inject", "gird", "silent")
        assert (refused.returncode, "did you mean grid?" in refused.stderr) == (1, True)
    assert not list(tmp_path.glob("*.sock")), "the emulator takes its socket away"


def test_the_proxy_stands_between_programs_and_breaks_what_it_is_told_to(tmp_path: Path) -> None:
    ports = free_ports(4)

    def polled() -> str:
        """What mbpoll, a client that is not ours, says of the total power (input registers 53 and 54)."""
        words = [program("mbpoll"), "-m", "tcp", "-p", str(ports[3]), "-a", "1", "-t", "3:float", "-B"]
        done = subprocess.run(
            [*words, "-r", "53", "-1", "127.0.0.1"], capture_output=True, text=True, timeout=30.0, check=False
        )
        return done.stdout + done.stderr

    with penstock("emulate", str(site_file(tmp_path, ports[:3], "mqtt://127.0.0.1:1"))):
        wait_for_port(ports[2])
        for fault, expected in (
            ("exception:code=6", "Slave device or server is busy"),
            ("silent", "Connection timed out"),
            ("retag", "Invalid data"),
            ("", "[53]:"),
        ):
            faults = ["--fault", fault] if fault else []
            with penstock("proxy", f"127.0.0.1:{ports[3]}", f"127.0.0.1:{ports[0]}", *faults):
                wait_for_port(ports[3])
                assert expected in polled()
    refused = result_of("proxy", "127.0.0.1:1", "127.0.0.1:2", "--fault", "deaf")
    assert refused.returncode == 2
    assert "deaf does not happen on a Modbus TCP link" in " ".join(refused.stderr.split())


def test_the_proxy_stands_before_a_broker_too(tmp_path: Path, mosquitto: Mosquitto) -> None:
    (port,) = free_ports(1)
    ends = (f"mqtt://127.0.0.1:{port}", f"mqtt://127.0.0.1:{mosquitto.port}")

    def published() -> int:
        words = [program("mosquitto_pub"), "-p", str(port), "-t", "hello", "-m", "1", "-q", "1"]
        return subprocess.run(words, capture_output=True, timeout=30.0, check=False).returncode

    with penstock("proxy", *ends):
        wait_for_port(port)
        assert published() == 0
    log = tmp_path / "proxy.log"
    with penstock("proxy", *ends, "--fault", "broker_down", log=log):
        wait_until(lambda: "broker_down" in log.read_text(encoding="utf-8"))
        assert published() != 0
    refused = result_of("proxy", *ends, "--fault", "silent")
    assert "silent does not happen on a way to a broker" in " ".join(refused.stderr.split())
