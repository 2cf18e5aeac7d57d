"""Faults of the host that are limits of this process: no file may grow, no file more may be opened."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf

from controller.lab.scenario import Scenario
from simulators.faults.disk import DiskFull
from simulators.faults.host import FilesGone

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
