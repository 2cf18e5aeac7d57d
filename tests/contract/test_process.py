"""The process of a running controller: who starts it, who reads its log, who ends it, and how."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest

from controller.process import LogThread
from drivers.link import LinkTiming, open_link
from tests.contract.running_site import asking
from tests.contract.test_shortage import PREFIX, quick_site, watchdog_of
from tests.mosquitto import Mosquitto
from tests.penstock import PATIENCE_S, free_ports, penstock, wait_for_port, wait_until

TARIFF = "\n[tariff]\n[tariff.import]\nper_kwh = 0.3\n"


def text(log: Path) -> str:
    return log.read_text(encoding="utf-8")


async def test_a_site_that_the_operator_has_stopped_feeds_the_watchdog_and_says_ready_after_a_restart(
    mosquitto: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = quick_site(tmp_path, free_ports(3), mosquitto.url)
    with watchdog_of(tmp_path, monkeypatch) as word:
        with penstock("run", str(site)) as program:
            assert word() == b"READY=1\nWATCHDOG=1"
            async with asking(mosquitto.port) as asker:
                await asker.until(f"{PREFIX}/state", mode="STARTING")
                assert (await asker.asked("stop", "s1"))["kept"]
                await asker.until(f"{PREFIX}/state", mode="STOPPED")
            for _ in range(20):
                assert word() == b"WATCHDOG=1"
            program.send_signal(signal.SIGTERM)
            while word() != b"STOPPING=1":
                pass
            assert program.wait(PATIENCE_S) == 0
        with penstock("run", str(site)):
            while (first := word()) == b"WATCHDOG=1":
                pass
            assert first == b"READY=1\nWATCHDOG=1", "restarted, and still stopped"
            assert word() == b"WATCHDOG=1"


@contextmanager
def log_that_nobody_reads(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A `penstock` whose output goes into a pipe that is full."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while os.write(writing, b"x" * 512):
            pass
    except BlockingIOError:
        os.set_blocking(writing, True)
    try:
        yield subprocess.Popen(
            [sys.executable, "-m", "controller", *words],
            stdout=writing,
            stderr=writing,
            start_new_session=True,
        )
    finally:
        os.close(reading)
        os.close(writing)


def test_a_log_that_nobody_reads_stops_neither_control_nor_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = quick_site(tmp_path, free_ports(3), "mqtt://127.0.0.1:1")
    with watchdog_of(tmp_path, monkeypatch) as word, log_that_nobody_reads("run", str(site)) as program:
        try:
            assert word() == b"READY=1\nWATCHDOG=1"
            for _ in range(20):
                assert word() == b"WATCHDOG=1"
            program.send_signal(signal.SIGTERM)
            assert program.wait(PATIENCE_S) == 0
        finally:
            program.kill()
            program.wait()


@contextmanager
def ended_by_sigterm(program: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
        program.send_signal(signal.SIGTERM)
        assert program.wait(PATIENCE_S) == 0
    finally:
        program.kill()
        program.wait()


async def test_a_log_that_nobody_reads_stops_neither_the_emulator_nor_the_proxy(tmp_path: Path) -> None:
    *devices, between = free_ports(4)
    site = quick_site(tmp_path, devices, "mqtt://127.0.0.1:1")
    ends = (f"127.0.0.1:{between}", f"127.0.0.1:{devices[0]}")
    with log_that_nobody_reads("emulate", str(site)) as emulator, ended_by_sigterm(emulator):
        wait_for_port(devices[2])
        with log_that_nobody_reads("proxy", *ends) as proxy, ended_by_sigterm(proxy):
            wait_for_port(between)
            link = open_link(f"tcp://127.0.0.1:{between}", LinkTiming(timeout_s=PATIENCE_S))
            deadline_s = asyncio.get_running_loop().time() + PATIENCE_S
            assert len((await link.read(1, "input", 0x34, 2, deadline_s)).words) == 2
            await link.close()


def test_a_disk_that_hangs_does_not_keep_the_program_from_ending(tmp_path: Path) -> None:
    ports = free_ports(4)
    site = quick_site(tmp_path, ports[:3], "mqtt://127.0.0.1:1", TARIFF)
    state = tmp_path / "house-state"
    state.mkdir()
    os.mkfifo(state / "history.csv")  # whoever reads it waits for ever
    log = tmp_path / "log"
    with penstock("emulate", str(site), "--quiet"), penstock("run", str(site), log=log) as program:
        wait_until(lambda: "-> RUNNING" in text(log))
        program.send_signal(signal.SIGTERM)
        assert program.wait(15.0) == 0
    assert "3 of 3 devices released" in text(log)


def test_a_terminal_that_closes_ends_it_in_order_although_two_signals_come(tmp_path: Path) -> None:
    site, log = quick_site(tmp_path, free_ports(3), "mqtt://127.0.0.1:1"), tmp_path / "log"
    with penstock("emulate", str(site), "--quiet"), penstock("run", str(site), log=log) as program:
        wait_until(lambda: "-> RUNNING" in text(log))
        program.send_signal(signal.SIGHUP)
        wait_until(lambda: "SIGHUP: stopping" in text(log))
        program.send_signal(signal.SIGHUP)
        assert program.wait(PATIENCE_S) == 0
    assert "3 of 3 devices released" in text(log)


def test_lines_that_nobody_had_room_for_are_counted_in_their_place() -> None:
    written: list[str] = []
    asked, read = Event(), Event()

    class Reader(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            asked.set()
            read.wait()
            written.append(record.getMessage())

    log = LogThread(Reader(), most_lines=3)
    told = logging.Logger("told")
    told.addHandler(log)
    told.info("line %d", 1)
    asked.wait()
    for number in range(2, 8):
        told.info("line %d", number)
    assert not log.ended(0.0), "nobody reads, and nobody waits"
    read.set()
    while len(written) < 5:
        pass
    told.info("line 8")
    assert log.ended(60.0)
    assert written == [
        "line 1",
        "line 2",
        "line 3",
        "line 4",
        "3 lines of the log are missing here: nobody read it",
        "line 8",
    ]
