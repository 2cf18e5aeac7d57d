"""SIGKILL at any instant: what was acknowledged is there, nothing is half there, it always starts again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from controller.store import NAME, open_store
from tests.penstock import free_ports, penstock, site_file, wait_for_port, wait_until

SOAK = os.environ.get("HYPOTHESIS_PROFILE") == "soak"
WRITER_KILLS = 1000 if SOAK else 200
CONTROLLER_KILLS = 20 if SOAK else 3


def test_a_writer_killed_again_and_again_loses_nothing_it_has_acknowledged(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.contract.store_writer", str(tmp_path), str(WRITER_KILLS), "7"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 0, result.stderr
    rounds = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(rounds) == WRITER_KILLS
    for one in rounds:
        number = int(one["state"])
        # The save that was under way is there with all its parts, or with none.
        assert number in (one["acknowledged"], one["acknowledged"] + 1)
        assert one["orders"] == one["newest_command"] == str(number)
        assert one["audit"] == number
        assert one["broken_at"] is None
        assert one["alarms"] == []


def saved(folder: Path) -> dict[str, int]:
    """The counters on disk, as the next start will find them."""
    store, kept = open_store(folder)
    store.close()
    assert kept.alarms == []
    energy = json.loads(kept.documents["state"])["energy"]
    return {name: one["milliwh"] for name, one in energy.items() if isinstance(one, dict)}


def test_a_controller_killed_in_the_middle_of_its_work_goes_on_with_its_counters(tmp_path: Path) -> None:
    ports = free_ports(3)
    path = site_file(tmp_path, ports, "embedded")
    text = path.read_text(encoding="utf-8").replace('[mqtt]\nurl = "embedded"\n', "")
    path.write_text(text, encoding="utf-8")
    folder = tmp_path / "house-state"
    before: dict[str, int] = {}
    with penstock("emulate", str(path), "--quiet"):
        for port in ports:
            wait_for_port(port)
        for number in range(CONTROLLER_KILLS):
            log = tmp_path / f"run-{number}.log"
            with penstock("run", str(path), log=log) as controller:
                wait_until(lambda log=log: "-> RUNNING" in log.read_text(encoding="utf-8"))
                wait_until(lambda: (folder / NAME).exists())
                controller.send_signal(signal.SIGKILL)
            assert "Traceback" not in log.read_text(encoding="utf-8")
            if number == 0:
                with penstock("run", str(path), log=log) as controller:
                    wait_until(lambda log=log: log.read_text(encoding="utf-8").count("-> RUNNING") == 2)
            after = saved(folder)
            assert all(after[name] >= before.get(name, 0) for name in after)
            before = after
    assert before["load"] > 0
