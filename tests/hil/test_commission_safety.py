"""Commissioning stays within the consent and the limits of the site, and releases whatever happens."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from controller.config import Config, load_config
from controller.devices import open_devices
from controller.lab.commission.bench import Bench, narrowed
from controller.lab.commission.command import commission_with_signals
from controller.lab.commission.findings import Terms
from controller.lab.commission.paper import page_of, snippet, verdict
from controller.lab.commission.procedure import Report, Watcher, commission
from drivers.device import DeviceError
from drivers.guard import GuardError
from drivers.profile import load_profile
from simulators.emulator import EmulatedUnit
from simulators.inverter import BatteryInverter
from simulators.virtual_time import run
from tests.commissioning import (
    QUIESCE_S,
    Installation,
    commissioned,
    installed,
    plugged_in,
    site_text,
    steady,
)
from tests.penstock import free_ports, penstock, result_of, wait_for_port, wait_until

USUAL = site_text("eastron-sdm630", "sunspec-hybrid")


async def until(holds: Callable[[], bool]) -> None:
    """Wait in virtual time."""
    while True:
        if holds():
            return
        await asyncio.sleep(0.5)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    path = tmp_path / "house.toml"
    path.write_text(USUAL.format(*free_ports(2)), encoding="utf-8")
    return load_config(path)


def test_both_gates_refuse_what_was_not_consented_to(config: Config) -> None:
    async def beyond() -> None:
        async with AsyncExitStack() as stack:
            house, _ = await installed(stack, config, Installation())
            devices = open_devices(narrowed(config, 400.0))
            stack.push_async_callback(devices.close)
            with pytest.raises(GuardError, match="the nameplate allows -400 W to 400 W"):
                await Bench(config, devices, Terms(400.0)).order(0, 401.0)
            # And the driver's own, which knows nothing of the bench.
            with pytest.raises(DeviceError, match="the nameplate allows -400 W to 400 W"):
                await devices.batteries[0].order(-401.0, asyncio.get_running_loop().time() + 5.0)
            assert house.batteries[0].held_w is None

    run(beyond(), QUIESCE_S)


def test_a_zero_export_site_never_exports_for_commissioning(tmp_path: Path) -> None:
    exports_w = []

    async def watch(units: dict[str, EmulatedUnit]) -> None:
        port = units["grid"]._port
        while True:
            exports_w.append(-port.reading(asyncio.get_running_loop().time()).pcc_import_w)
            await asyncio.sleep(0.3)

    text = site_text("eastron-sdm630", "sunspec-hybrid", grid="export_limit_w = 0")
    outcome = commissioned(tmp_path, text, Installation(load=steady(700.0), meanwhile=watch))
    assert verdict(outcome.report)[1]
    assert max(exports_w) <= 0.0
    # The load is 660 W at least, of which 150 W are kept.
    assert outcome.most_w == 1000.0
    ordered_w = [one.order_w for one in outcome.report.samples["bat1"] if one.order_w is not None]
    assert 500.0 <= max(ordered_w) <= 600.0


def test_a_full_battery_is_only_discharged(tmp_path: Path) -> None:
    text = USUAL + "initial_soc_pct = 100\n"
    outcome = commissioned(tmp_path, text, Installation(load=steady(3000.0)))
    orders_w = [one.order_w for one in outcome.report.samples["bat1"] if one.order_w is not None]
    assert verdict(outcome.report)[1]
    assert (min(orders_w), max(orders_w)) == (0.0, 1000.0)


def test_a_house_at_its_import_limit_has_no_room_and_nobody_is_accused(tmp_path: Path) -> None:
    text = site_text(
        "eastron-sdm630", "sunspec-hybrid", grid="import_limit_w = 3_000\nexport_limit_w = 3_000"
    )
    outcome = commissioned(tmp_path, text, Installation(load=steady(3200.0)))
    assert outcome.stops == []
    assert "there is no room to charge or to discharge" in outcome.doubts[0].text
    assert outcome.most_w <= 5.0  # standby


def test_a_cable_that_comes_out_ends_it_with_a_finding_and_the_lease_does_the_rest(config: Config) -> None:
    held_w: list[float | None] = []

    async def pulled() -> Report:
        report = Report(config, Terms(1000.0))
        async with AsyncExitStack() as outer, AsyncExitStack() as cable:
            house, _ = await installed(cable, config, Installation())

            async def pull() -> None:
                await until(lambda: abs(house.batteries[0].held_w or 0.0) > 900.0)
                await cable.aclose()

            pulling = asyncio.create_task(pull())
            outer.callback(pulling.cancel)
            await commission(config, report.terms, Watcher(), report)
            held_w.append(house.batteries[0].held_w)
            await asyncio.sleep(31.0)
            house.advance(asyncio.get_running_loop().time())
            held_w.append(house.batteries[0].held_w)
        return report

    report = run(pulled(), QUIESCE_S)
    text = verdict(report)[0]
    assert "stopped answering" in text
    assert "could not be released" in text
    assert "it forgets the last order 30 s after it was given" in text
    assert held_w == [-1000.0, None]


def test_a_device_that_forgets_nothing_is_released_when_its_cable_is_back(tmp_path: Path) -> None:
    path = tmp_path / "house.toml"
    path.write_text(site_text("eastron-sdm630", "goodwe-et").format(*free_ports(2)), encoding="utf-8")
    config = load_config(path)

    async def pulled() -> tuple[Report, BatteryInverter]:
        report = Report(config, Terms(1000.0))
        async with AsyncExitStack() as outer, AsyncExitStack() as cable:
            house, units = await installed(cable, config, Installation())

            async def pull() -> None:
                await until(lambda: abs(house.batteries[0].held_w or 0.0) > 900.0)
                await cable.aclose()
                await asyncio.sleep(120.0)
                await plugged_in(outer, config, units, {})

            pulling = asyncio.create_task(pull())
            outer.callback(pulling.cancel)
            await commission(config, report.terms, Watcher(), report)
        return report, house.batteries[0]

    report, battery = run(pulled(), QUIESCE_S)
    assert "stopped answering" in verdict(report)[0]
    assert report.not_released == []
    assert battery.held_w is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_releases(config: Config, number: signal.Signals) -> None:
    async def interrupted() -> tuple[bool, BatteryInverter, Report]:
        report = Report(config, Terms(1000.0))
        async with AsyncExitStack() as stack:
            house, _ = await installed(stack, config, Installation())

            async def kill() -> None:
                await until(lambda: abs(house.batteries[0].held_w or 0.0) > 900.0)
                os.kill(os.getpid(), number)

            killing = asyncio.create_task(kill())
            ended = await commission_with_signals(config, report.terms, report, Console(quiet=True))
            await killing
        return ended, house.batteries[0], report

    ended, battery, report = run(interrupted(), QUIESCE_S)
    assert not ended
    assert report.not_released == []
    assert battery.held_w is None
    assert "sign" not in {one.check for one in report.findings}


def test_a_killed_commissioning_is_released_although_the_device_forgets_nothing(tmp_path: Path) -> None:
    site, log = tmp_path / "house.toml", tmp_path / "commission.log"
    ports = free_ports(2)
    text = site_text("eastron-sdm630", "goodwe-et").format(*ports)
    site.write_text(text + "speed = 3600\n", encoding="utf-8")
    config = load_config(site)
    assert config.batteries[0].profile.lease is not None
    assert config.batteries[0].profile.lease.seconds is None

    async def killed() -> None:
        loop = asyncio.get_running_loop()
        devices = open_devices(config)

        async def until_held(held: bool, process: subprocess.Popen[bytes]) -> None:
            while True:
                setpoint_w = (await devices.batteries[0].read(loop.time() + 5.0)).setpoint_w
                if (setpoint_w is not None) is held:
                    return
                assert process.poll() is None or not held, log.read_text(encoding="utf-8")
                await asyncio.sleep(0.2)

        with penstock("commission", str(site), "--consent-w", "1000", "--yes", log=log) as process:
            await until_held(True, process)
            process.kill()
            process.wait()
            await until_held(False, process)
        await devices.close()

    with penstock("emulate", str(site)):
        wait_for_port(ports[1])
        asyncio.run(asyncio.wait_for(killed(), 90.0))
        wait_until(lambda: "bat1: released" in log.read_text(encoding="utf-8"))


def test_what_was_measured_goes_into_the_site_file(tmp_path: Path) -> None:
    slow = load_profile("sunspec-hybrid")
    response = replace(slow.response, dead_time_s=1.0, time_constant_s=1.5)
    measured = "[battery.response]\ndead_time_s = 1.0\ntime_constant_s = 1.5\n\n[simulation]"
    text = USUAL.replace("[simulation]", measured)
    outcome = commissioned(tmp_path, text, Installation(load=steady(1000.0)))
    found = outcome.report.responses["bat1"]
    assert outcome.report.config.batteries[0].profile.response == response
    assert found.dead_time_s == pytest.approx(1.0, abs=0.2)
    assert found.time_constant_s == pytest.approx(1.5, abs=0.5)
    lines = "\n".join(snippet(outcome.report))
    assert "[battery.response]" in lines
    page = page_of(outcome.report)
    assert "Ready to go live" in page
    assert "What was found" in page


def test_a_ramp_is_told_from_a_lag(tmp_path: Path) -> None:
    text = USUAL.replace("[simulation]", "[battery.response]\nramp_w_per_s = 250\n\n[simulation]")
    outcome = commissioned(tmp_path, text, Installation(load=steady(1000.0)))
    assert outcome.report.responses["bat1"].ramp_w_per_s == pytest.approx(250.0, rel=0.15)


def test_without_consent_nothing_begins(tmp_path: Path) -> None:
    site = tmp_path / "house.toml"
    site.write_text(USUAL.format(*free_ports(2)), encoding="utf-8")
    nobody = result_of("commission", str(site))
    assert nobody.returncode == 2
    assert "nobody is there to consent; give --consent-w 1000 --yes" in " ".join(nobody.stderr.split())
    too_much = result_of("commission", str(site), "--consent-w", "1e9", "--yes")
    assert too_much.returncode == 2
    assert "give 100 to 100000 W" in too_much.stderr


def test_a_page_that_cannot_be_written_is_refused_before_the_first_order(tmp_path: Path) -> None:
    site = tmp_path / "house.toml"
    site.write_text(USUAL.format(*free_ports(2)), encoding="utf-8")
    page = tmp_path / "none" / "report.html"
    done = result_of("commission", str(site), "--consent-w", "500", "--yes", "--report", str(page))
    assert (done.returncode, done.stdout) == (78, "")
    assert f"--report {page}: cannot be written: No such file or directory" in done.stderr


def test_devices_that_are_not_there_are_named_and_the_exit_code_says_so(tmp_path: Path) -> None:
    site = tmp_path / "house.toml"
    site.write_text(USUAL.format(*free_ports(2)), encoding="utf-8")
    page = tmp_path / "report.html"
    done = result_of("commission", str(site), "--consent-w", "500", "--yes", "--report", str(page))
    assert done.returncode == 1
    words = " ".join(done.stdout.split())
    assert "Do not go live because grid: cannot be reached" in words
    assert "next try" not in words
    assert "Do not go live because grid: cannot be reached" in page.read_text(encoding="utf-8")
