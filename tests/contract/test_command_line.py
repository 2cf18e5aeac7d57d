"""The command line: what it prints, what it refuses, and with which exit code."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.sites import SITE
from tests.penstock import free_ports, result_of, site_file


def test_the_version_is_printed() -> None:
    result = result_of("--version")
    assert (result.returncode, result.stdout) == (0, "penstock 0.1.0\n")


THREADS = """
import os, sys
from controller.__main__ import main
sys.argv = ["penstock", "--version"]
try:
    main()
except SystemExit:
    import numpy
    numpy.ones((500, 500)) @ numpy.ones((500, 500))
    print(len(os.listdir("/proc/self/task")))
"""


CORES = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(("asked", "threads"), [(None, 1), ("2", min(2, CORES))])
def test_small_matrices_are_multiplied_by_one_thread_unless_more_are_asked_for(
    asked: str | None, threads: int
) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "OPENBLAS_NUM_THREADS"}
    environment |= {"OPENBLAS_NUM_THREADS": asked} if asked else {}
    ran = subprocess.run(
        [sys.executable, "-c", THREADS], env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stdout.splitlines()[-1] == str(threads)


@pytest.mark.parametrize("command", ["demo", "run", "emulate", "check", "simulate", "scan", "schema"])
def test_every_command_explains_itself(command: str) -> None:
    result = result_of(command, "--help")
    assert result.returncode == 0
    assert "Usage:" in result.stdout


def test_an_unknown_command_is_a_usage_error() -> None:
    assert result_of("ruin").returncode == 2


def test_a_good_site_file_is_described(tmp_path: Path) -> None:
    result = result_of("check", str(site_file(tmp_path, [5020, 5021, 5022], "mqtt://127.0.0.1:1883")))
    assert result.returncode == 0
    assert "export at most 3000 W" in result.stdout
    assert "warning" not in result.stdout


def test_check_warns_of_batteries_that_never_forget_an_order_and_of_what_cannot_be_ordered(
    tmp_path: Path,
) -> None:
    path = site_file(tmp_path, [5020, 5021, 5022], "mqtt://127.0.0.1:1883")
    deye = 'profile = "deye-sg04lp3"\nmax_charge_w = 3000\nmax_discharge_w = 3000'
    path.write_text(path.read_text(encoding="utf-8").replace('profile = "sunspec-hybrid"', deye))
    result = result_of("check", str(path))
    assert result.returncode == 0
    warnings = [line.strip() for line in result.stdout.splitlines() if "warning:" in line]
    assert any(
        "bat1 never forgets an order by itself: the two limits last written stay" in w for w in warnings
    )
    assert any("bat1: orders are limits in A, changed once an hour at most" in one for one in warnings)


@pytest.mark.parametrize("command", ["check", "run", "emulate", "simulate"])
def test_a_bad_site_file_ends_every_command_with_78_and_one_line_an_error(
    command: str, tmp_path: Path
) -> None:
    path = site_file(tmp_path, [5020, 5021, 5022], "mqtt://127.0.0.1:1883")
    path.write_text(path.read_text(encoding="utf-8").replace("capacity_wh", "capacity_kwh"), encoding="utf-8")
    result = result_of(command, str(path))
    assert result.returncode == 78
    assert len(result.stderr.splitlines()) == 2
    assert 'capacity_kwh is not a known key; did you mean "capacity_wh"?' in result.stderr
    assert "Traceback" not in result.stderr


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        path = site_file(tmp_path, [port, *free_ports(2)], "mqtt://127.0.0.1:1883")
        result = result_of("emulate", str(path), "--quiet")
    assert result.returncode == 1
    assert result.stderr == (
        f"penstock: tcp://127.0.0.1:{port}: port {port} is in use; "
        "end what listens there, or change the port in the site file\n"
    )


def test_an_address_of_another_host_is_not_emulated_here(tmp_path: Path) -> None:
    path = site_file(tmp_path, free_ports(3), "mqtt://127.0.0.1:1883")
    text = path.read_text(encoding="utf-8").replace("127.0.0.1", "192.0.2.7", 1)
    path.write_text(text, encoding="utf-8")
    result = result_of("emulate", str(path), "--quiet")
    assert result.returncode == 1
    assert "is not an address of this host" in result.stderr


@pytest.mark.parametrize("what", ["site", "profile", "messages"])
def test_every_schema_is_json_schema(what: str) -> None:
    schema = json.loads(result_of("schema", what).stdout)
    models = schema.values() if what == "messages" else [schema]
    assert all("properties" in model for model in models)


def csv(tmp_path: Path, *rows: str) -> str:
    path = tmp_path / "house.csv"
    path.write_text("\n".join(["timestamp,load_w,pv_w", *rows]) + "\n", encoding="utf-8")
    return str(path)


def test_a_measured_day_is_simulated_and_printed_as_json(tmp_path: Path) -> None:
    # An hour of 2 kW sun on 1 kW load, then an hour of load: what was stored comes back, less the losses.
    rows = [
        f"2026-06-01T{hour:02d}:{quarter * 15:02d}:00+02:00,1000,{2000 if hour == 12 else 0}"
        for hour in (12, 13)
        for quarter in range(4)
    ]
    result = result_of("simulate", str(SITE), "--from", csv(tmp_path, *rows), "--json")
    assert result.returncode == 0, result.stderr
    numbers = json.loads(result.stdout)
    assert numbers["load_kwh"] == pytest.approx(2.0, abs=1e-6)
    assert numbers["pv_kwh"] == pytest.approx(2.0, abs=1e-6)
    assert numbers["battery_charged_kwh"] == pytest.approx(1.0, abs=0.01)
    assert numbers["export_kwh"] == pytest.approx(0.0, abs=0.01)
    assert numbers["limit_violations"] == 0
    assert numbers["energy_imbalance_pct"] < 1e-6


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("2026-06-01T12:15:00+02:00,one,0", "line 3: column load_w"),
        ("2026-06-01T12:15:00,1000,0", "line 3: column timestamp"),
        ("2026-06-01T12:15:00+02:00,-5,0", "line 3: column load_w"),
    ],
)
def test_a_bad_csv_is_told_with_line_column_and_value(row: str, told: str, tmp_path: Path) -> None:
    source = csv(tmp_path, "2026-06-01T12:00:00+02:00,1000,0", row, "2026-06-01T12:30:00+02:00,1000,0")
    result = result_of("simulate", str(SITE), "--from", source)
    assert result.returncode == 78
    assert told in result.stderr
    assert "Traceback" not in result.stderr


def test_a_csv_in_kilowatts_is_simulated_as_it_is_and_doubted(tmp_path: Path) -> None:
    source = csv(tmp_path, "2026-06-01T12:00:00+02:00,0.8,0", "2026-06-01T12:15:00+02:00,2.4,0")
    result = result_of("simulate", str(SITE), "--from", source)
    assert result.returncode == 0, result.stderr
    assert "line 3: column load_w: the load is 1.6 on average, 2.4 at most; are these kW" in result.stderr


def test_more_days_than_were_measured_are_refused(tmp_path: Path) -> None:
    source = csv(tmp_path, "2026-06-01T12:00:00+02:00,1000,0", "2026-06-01T12:15:00+02:00,1000,0")
    result = result_of("simulate", str(SITE), "--from", source, "--days", "2")
    assert result.returncode == 78
    assert "--days 2 is more" in result.stderr


def test_the_demo_runs_without_a_terminal_and_ends_by_itself() -> None:
    result = result_of("demo", "--seconds", "8", "--port", str(free_ports(1)[0]))
    assert result.returncode == 0, result.stderr
    assert "mosquitto_sub -p" in result.stdout
    assert "RUNNING" in result.stdout
    assert "self-sufficient" in result.stdout
    assert "Traceback" not in result.stderr
