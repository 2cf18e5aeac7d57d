"""A host that runs out of files or memory: control goes on, or ends in order, and is never half alive."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from controller.config import Config, load_config
from controller.errors import RunError
from controller.lab.emulate import emulated
from controller.lab.host_limits import squeeze
from controller.lab.stage import Stage
from controller.loop import Cycle
from controller.supervisor import run_site
from simulators.faults import FaultError
from simulators.faults.host import FilesGone, MemoryGone
from simulators.traces import StepTrace
from tests.contract.running_site import asking
from tests.mosquitto import Mosquitto
from tests.penstock import free_ports, penstock, result_of, site_file, wait_for_port, wait_until

PREFIX = "penstock/house-7"
CYCLE_S = 0.2


def quick_site(folder: Path, ports: list[int], broker: str, more: str = "") -> Path:
    path = site_file(folder, ports, broker)
    text = f"cycle_s = {CYCLE_S}\n{path.read_text(encoding='utf-8')}{more}"
    path.write_text(text, encoding="utf-8")
    return path


def limit(pid: int, which: int, soft: int) -> None:
    _, hard = resource.prlimit(pid, which)
    resource.prlimit(pid, which, (soft, hard))


def injected(fault: str, pid: int) -> None:
    """As a user does it who has `penstock emulate` running."""
    done = result_of("inject", "--site", "house-7", "host", fault, f"pid={pid}")
    assert (done.returncode, done.stdout) == (0, f"process {pid}: {fault} until that process ends\n"), (
        done.stderr
    )


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


@contextmanager
def watchdog_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], bytes]]:
    """Stands for systemd; gives what takes the next word of the controller's."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(folder / "notify"))
        listening.settimeout(60.0)
        monkeypatch.setenv("NOTIFY_SOCKET", str(folder / "notify"))
        yield lambda: listening.recv(100)


def test_without_a_file_left_control_goes_on_and_who_connects_is_turned_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    *ports, broker_port = free_ports(4)
    site = quick_site(tmp_path, ports, "embedded", f"port = {broker_port}\n")
    log = tmp_path / "log"
    with watchdog_of(tmp_path, monkeypatch) as word, ExitStack() as stack:
        devices = stack.enter_context(penstock("emulate", str(site), "--quiet"))
        program = stack.enter_context(penstock("run", str(site), log=log))
        wait_for_port(broker_port)
        wait_until(lambda: "-> RUNNING" in log.read_text(encoding="utf-8"))
        before, since = open_files(program.pid), len(log.read_text(encoding="utf-8"))

        def said_since() -> str:
            return log.read_text(encoding="utf-8")[since:]

        injected("files_gone", program.pid)
        knocking = [stack.enter_context(socket.create_connection(("127.0.0.1", broker_port)))]
        wait_until(lambda: "no file is left for who connects" in log.read_text(encoding="utf-8"))
        while b"WATCHDOG=1" not in word():
            pass
        for _ in range(20):
            assert word() == b"WATCHDOG=1", "a cycle as ever, and the watchdog is fed"
        assert "not connected" not in said_since(), "what was open stays open"

        # Some files more: enough for the devices, if those who connect do not take them.
        limit(program.pid, resource.RLIMIT_NOFILE, before + 20)
        for _ in range(60):
            knocking.append(stack.enter_context(socket.create_connection(("127.0.0.1", broker_port))))
        for one in knocking:
            one.settimeout(60.0)
            assert heard_last(one) == b"", "hung up on"
        devices.send_signal(signal.SIGINT)
        devices.wait()
        wait_until(lambda: "RUNNING -> HOLDING" in said_since())
        with penstock("emulate", str(site), "--quiet"):
            wait_until(lambda: "SAFE -> RUNNING" in said_since() or "HOLDING -> RUNNING" in said_since())
            program.send_signal(signal.SIGTERM)
            assert program.wait(60.0) == 0
    said = log.read_text(encoding="utf-8")
    assert said.count("no file is left") == 1, "said once"
    assert "Traceback" not in said
    assert "3 of 3 devices released" in said


def heard_last(peer: socket.socket) -> bytes:
    try:
        return peer.recv(1)
    except ConnectionResetError:
        return b""


async def test_without_memory_the_program_releases_its_devices_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    *ports, broker_port = free_ports(4)
    site, log = quick_site(tmp_path, ports, "embedded", f"port = {broker_port}\n"), tmp_path / "log"
    with penstock("emulate", str(site), "--quiet"), penstock("run", str(site), log=log) as program:
        wait_until(lambda: "-> RUNNING" in log.read_text(encoding="utf-8"))
        injected("memory_gone", program.pid)
        with ExitStack() as stack:
            while program.poll() is None:  # each that connects takes a little of what is left
                with suppress(OSError):
                    one = socket.create_connection(("127.0.0.1", broker_port))
                    stack.enter_context(one).sendall(b"\x10")
        assert program.returncode == 1
    said = log.read_text(encoding="utf-8")
    assert "3 of 3 devices released" in said
    assert "penstock: out of memory; ended in order" in said
    assert "Traceback" not in said


async def test_a_v5_broker_keeps_what_is_too_large_for_a_controller(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    ports = free_ports(3)
    site = quick_site(tmp_path, ports, mosquitto.url)
    with penstock("emulate", str(site), "--quiet"), penstock("run", str(site)) as program:
        async with asking(mosquitto.port) as asker:
            await asker.until(f"{PREFIX}/state", mode="RUNNING", within_s=60.0)
            before = peak_bytes(program.pid)
            await asker.client.publish(f"{PREFIX}/command/reserve", b"x" * 60_000_000, qos=1)
            assert (await asker.asked("reserve", "n1", reserve_pct=30.0))["result"] == "applied"
            assert peak_bytes(program.pid) - before < 30_000_000


def peak_bytes(pid: int) -> int:
    return status_bytes(pid, "VmHWM")


def status_bytes(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(one.split()[1]) * 1024 for one in lines if one.startswith(f"{name}:"))


@contextmanager
def a_stage(folder: Path) -> Iterator[tuple[Config, Stage]]:
    path = quick_site(folder, free_ports(3), "none")
    text = path.read_text(encoding="utf-8").partition("[mqtt]")[0]
    path.write_text(text, encoding="utf-8")
    config = load_config(path)
    begin_s = asyncio.get_running_loop().time()
    traces = StepTrace(3600.0, [1000.0]), StepTrace(3600.0, [3000.0])
    yield config, Stage(config, *traces, 5000.0, wired=True, begin_s=begin_s)


async def test_a_program_that_has_grown_too_large_releases_its_devices_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.shortage.END_WITHIN_S", 0)  # this process is also the test's
    with a_stage(tmp_path) as (config, stage):
        async with emulated(stage):
            with pytest.raises(RunError, match=r"holds \d+ MiB of memory, allowed are 1 MiB; ended in order"):
                await run_site(config, most_bytes=2**20)
            assert stage.batteries[0].reading(asyncio.get_running_loop().time()).setpoint_w is None


@pytest.mark.parametrize(
    ("error", "ends"), [(MemoryError(), RunError), (ZeroDivisionError(), ZeroDivisionError)]
)
async def test_an_error_while_deciding_ends_the_program_with_its_devices_released(
    error: Exception, ends: type[Exception], tmp_path: Path
) -> None:
    ordered_w: list[float | None] = []
    with a_stage(tmp_path) as (config, stage):

        def fails(cycle: Cycle) -> None:
            ordered_w.append(stage.batteries[0].reading(cycle.snapshot.now_s).setpoint_w)
            if ordered_w[-1] is not None and ordered_w[-1] < -100.0:
                raise error

        async with emulated(stage):
            with pytest.raises(ends):
                await run_site(config, listeners=(fails,))
            assert stage.batteries[0].reading(asyncio.get_running_loop().time()).setpoint_w is None
    assert ordered_w[-1] is not None
    assert ordered_w[-1] < -100.0, "it was charging when that happened"


def test_what_is_not_ours_or_not_there_cannot_be_squeezed() -> None:
    with pytest.raises(FaultError, match="files_gone is a fault of the controller's process: say which"):
        squeeze(FilesGone(), 1.0)
    with pytest.raises(FaultError, match="process 2147483647: no such "):
        squeeze(MemoryGone(pid=2**31 - 1), 1.0)
    with pytest.raises(FaultError, match=f"process {os.getpid()} is no penstock run; give the pid of the"):
        squeeze(FilesGone(pid=os.getpid()), 1.0)
