"""docs/commissioning.md: each command runs, each option and key is explained, the lines fit a site file."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from controller.config import load_config
from controller.lab.commission.findings import Terms
from controller.lab.commission.leases import LADDER_W, PART
from controller.lab.commission.looking import LONGER_S, LOOK_S
from controller.lab.commission.steps import FIRST_PART, FIRST_STEPS, MOST_STEPS
from controller.site_response import InverterResponse
from tests.penstock import PATIENCE_S, free_ports, penstock, result_of, wait_for_port

PAGE = (Path(__file__).parents[2] / "docs" / "commissioning.md").read_text(encoding="utf-8")
LINES = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)[0]
COMMANDS = re.findall(r"^penstock (.+)$", PAGE, flags=re.MULTILINE)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The page's lines as a site file, with free ports."""
    path = tmp_path / "house.toml"
    text = f'site = "house-7"\n{LINES}\n[simulation]\nspeed = 100\n'
    for documented, port in zip(("5020", "5021"), free_ports(2), strict=True):
        text = text.replace(documented, str(port))
    path.write_text(text, encoding="utf-8")
    return path


def test_the_lines_of_the_page_go_before_the_profiles(site: Path) -> None:
    config = load_config(site)
    meter, battery = config.dispatch.meter, config.batteries[0].profile.response
    assert (meter.period_s, meter.delay_s) == (1.0, 0.5)
    assert (battery.dead_time_s, battery.time_constant_s, battery.ramp_w_per_s) == (0.5, 0.3, 1000.0)
    assert config.dispatch.batteries[0].min_power_w == 100.0
    assert [name for name in InverterResponse.model_fields if name not in PAGE] == []


def test_the_page_knows_every_option_and_what_is_done() -> None:
    told = result_of("commission", "--help").stdout
    for option in re.findall(r"^ +(--[a-z-]+)", told, flags=re.MULTILINE):
        assert f"`{option}`" in PAGE
    assert f"read for {LOOK_S:.0f} s, or {LONGER_S:.0f} s" in PAGE
    assert (FIRST_PART, PART) == (0.1, 0.4)
    assert f"{FIRST_STEPS + 2} to {MOST_STEPS} steps" in PAGE
    assert ", ".join(f"{level_w:.0f}" for level_w in LADDER_W) in PAGE
    assert f"{Terms(1000.0).lease_wait_s:.0f} unless given" in PAGE


def test_each_command_of_the_page_runs(site: Path, tmp_path: Path) -> None:
    assert COMMANDS == [
        "check house.toml",
        "commission house.toml",
        "commission house.toml --consent-w 1000 --yes --report commissioning.html",
        "emulate house.toml",
    ]
    assert result_of("check", str(site)).returncode == 0
    assert "nobody is there to consent" in " ".join(result_of("commission", str(site)).stderr.split())
    page, log = tmp_path / "commissioning.html", tmp_path / "commission.log"
    port = load_config(site).batteries[0].connection.rpartition(":")[2]
    with penstock("emulate", str(site)):
        wait_for_port(int(port))
        words = ("commission", str(site), "--consent-w", "1000", "--yes", "--report", str(page))
        with penstock(*words, log=log):
            until_s = time.monotonic() + PATIENCE_S
            while "bat1: answers" not in log.read_text(encoding="utf-8") and time.monotonic() < until_s:
                time.sleep(0.1)  # and then it is interrupted: the whole of it takes minutes
    said = log.read_text(encoding="utf-8")
    assert "Interrupted; every device that was ordered is released." in said
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
