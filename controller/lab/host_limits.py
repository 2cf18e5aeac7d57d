"""Faults of the host that are limits of a process: no file may grow, no file more be opened, no memory had.

A scenario sets those of its own process, a running emulator those of a controller that it is told of.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import inf, isfinite
from pathlib import Path

from controller.lab.scenario import Scenario
from simulators.faults.board import FaultError
from simulators.faults.disk import DiskFull
from simulators.faults.host import FilesGone, MemoryGone

LIMITS = {DiskFull: (resource.RLIMIT_FSIZE, 0), FilesGone: (resource.RLIMIT_NOFILE, 3)}
"""Which limit stands for a fault. Of files, so many as everybody has: nothing that was not open already."""


@contextmanager
def host_limits(scenario: Scenario, begin_s: float) -> Iterator[None]:
    """Set and lifted at their times; emulators in this process have them too."""
    loop = asyncio.get_running_loop()
    timers, before = [], {which: resource.getrlimit(which) for which, _ in LIMITS.values()}
    for one in scenario.faults:
        found = LIMITS.get(type(one.made()))
        if found is None:
            continue
        which, soft = found
        hard = before[which][1]
        timers.append(loop.call_at(begin_s + one.at_s, resource.setrlimit, which, (soft, hard)))
        if one.end_s < inf:
            timers.append(loop.call_at(begin_s + one.end_s, resource.setrlimit, which, before[which]))
    try:
        yield
    finally:
        for timer in timers:
            timer.cancel()
        for which, limits in before.items():
            resource.setrlimit(which, limits)


def squeeze(fault: FilesGone | MemoryGone, for_s: float) -> None:
    """Let another process of ours have it for a while; FaultError when it cannot."""
    if fault.pid <= 0:
        raise FaultError(f"{fault.name} is a fault of the controller's process: say which, pid=NUMBER")
    if not _controls(fault.pid):
        raise FaultError(f"process {fault.pid} is no penstock run; give the pid of the controller")
    which = resource.RLIMIT_NOFILE if isinstance(fault, FilesGone) else resource.RLIMIT_AS
    try:
        soft = LIMITS[FilesGone][1] if isinstance(fault, FilesGone) else _held_bytes(fault.pid)
        before = resource.prlimit(fault.pid, which)
        resource.prlimit(fault.pid, which, (soft, before[1]))
    except OSError as error:
        raise FaultError(f"process {fault.pid}: {(error.strerror or str(error)).lower()}") from None
    if isfinite(for_s):
        asyncio.get_running_loop().call_later(for_s, _lift, fault.pid, which, before)


def _controls(pid: int) -> bool:
    """Whether a process is a controller, by what it was started with; any other is none of our business."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return True  # it is not there; what is tried next says so
    ours = any(word == "controller" or Path(word).name == "penstock" for word in words)
    return ours and "run" in words


def _lift(pid: int, which: int, before: tuple[int, int]) -> None:
    with suppress(OSError):  # it may have ended
        resource.prlimit(pid, which, before)


def _held_bytes(pid: int) -> int:
    """Its address space: more than that it does not get."""
    return int(Path(f"/proc/{pid}/statm").read_bytes().split()[0]) * resource.getpagesize()
