"""The host runs out of memory or of files: the program goes on or ends in order, and is never half alive.

A MemoryError may hit any task and any callback, and what it has hit is dead from then on while all the rest
looks well. So the first one that is seen ends the program: devices released, state saved, started again by
systemd. The same when it has grown beyond `MOST_RESIDENT_BYTES`: the kernel would kill it without that.

What is open stays open when files are short. Control opens none while all is well, so who comes from outside
is turned away before the last `SPARE_FILES` are gone, and a device that was lost still finds one.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from mmap import mmap
from pathlib import Path
from typing import Any

from controller.loop import Cycle

log = logging.getLogger("penstock")

MOST_RESIDENT_BYTES = 256 * 1024 * 1024
"""What the program may hold in memory (fault catalogue, E12); a small site begins with about 50 MiB."""
RESERVE_BYTES = 32 * 1024 * 1024
"""Address space for the way out, the stacks of threads included; it costs no memory until it is used."""
LOOK_EVERY_S = 10.0
END_WITHIN_S = 15
"""The way out takes no longer, whatever else cannot be had: a thread that finds no room never starts."""
SPARE_FILES = 32
"""Kept for devices, disk and planner."""
_FILES_GONE = (errno.EMFILE, errno.ENFILE)
_STATM = Path("/proc/self/statm")


class Shortage:
    """Hears of every MemoryError; `stop` is called at the first, and `why` says then what it was.

    With a bound the process is the controller's alone: it is ended by SIGALRM if the way out takes too long.
    """

    def __init__(self, stop: Callable[[], None], most_bytes: float) -> None:
        self._stop = stop
        self._most_bytes = most_bytes
        self._reserve = mmap(-1, RESERVE_BYTES)
        self._look_at_s = 0.0
        self._refusing = False
        self.why = ""

    def heard(self, cycle: Cycle) -> None:
        """One cycle; looks now and then at what the program holds."""
        now_s = cycle.snapshot.now_s
        if now_s < self._look_at_s:
            return
        self._look_at_s = now_s + LOOK_EVERY_S
        held_bytes = resident_bytes()
        if held_bytes > self._most_bytes:
            held_mib, most_mib = (value / 2**20 for value in (held_bytes, self._most_bytes))
            self.end(f"the program holds {held_mib:.0f} MiB of memory, allowed are {most_mib:.0f} MiB")

    def end(self, why: str) -> None:
        """There is too little memory to go on: the reserve is for the way out."""
        self._reserve.close()
        if not self.why:
            self.why = why
            log.error("%s; stopping", why)
            if self._most_bytes < inf:
                signal.alarm(END_WITHIN_S)
            self._stop()

    def is_behind(self, error: BaseException | None) -> bool:
        """Whether this is what a shortage of memory looks like; if so the way out begins."""
        if not _is_of_memory(error):
            return False
        self.end("out of memory")
        return True

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Hear, on this loop, of what callbacks and transports run into."""
        loop = asyncio.get_running_loop()
        before = loop.get_exception_handler()
        loop.set_exception_handler(self._heard_of)
        try:
            yield
        finally:
            if not self.why:  # else what the loop is closed over has died of the same
                loop.set_exception_handler(before)

    def _heard_of(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if self.is_behind(error):
            return
        if isinstance(error, OSError) and error.errno in _FILES_GONE:
            # Said once: asyncio tries to let them in again each second, and complains each time.
            if not self._refusing:
                log.error("no file is left for who connects (%s); control goes on", error.strerror)
            self._refusing = True
            return
        loop.default_exception_handler(context)


def _is_of_memory(error: BaseException | None) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(_is_of_memory(one) for one in error.exceptions)
    # What Python says when there is no room for the stack of a thread.
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and "can't start new thread" in str(error)
    )


def resident_bytes() -> int:
    """What this process holds in memory now; 0 where the system does not say."""
    try:
        return int(_STATM.read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def files_are_short(newest: int) -> bool:
    """Whether a file of this number, the lowest that was free, is one of the last that may be opened."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most != resource.RLIM_INFINITY and newest >= most - SPARE_FILES
