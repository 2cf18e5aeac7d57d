"""An event loop whose clock jumps to the next timer: a day of waiting passes in the time its work takes.

Code that uses only `loop.time()`, `asyncio.sleep`, `asyncio.timeout` and the loop's timers runs unchanged.
Time starts at 0.0 and stands still while anything runs. When all tasks wait, the loop looks once for I/O
that is ready, and if there is none, the clock lands exactly on the next timer. So a task that sleeps from
any instant until a whole second wakes at exactly that second.

Sockets work if both ends live in this loop. On a busy host the kernel may deliver loopback bytes a little
late; `quiesce_s` is the real time to wait for them before a jump: each time where the kernel counts bytes
that have not come yet, and once after a socket came or went. Peers in other processes are not waited for.
While a thread of `run_in_executor` works, the clock stands still.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from contextvars import Context
from heapq import heappop, heappush
from math import ulp
from typing import Any, TypeVar, TypeVarTuple, Unpack

from simulators.in_flight import Connections

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")
PATIENCE = 1000
"""How many times bytes are waited for that the kernel counts and does not deliver."""


def run(coro: Coroutine[Any, Any, _T], quiesce_s: float = 0.0) -> _T:
    """Like `asyncio.run`, in virtual time. RuntimeError if the tasks wait for what can never come."""
    with asyncio.Runner(loop_factory=lambda: new_event_loop(quiesce_s)) as runner:
        return runner.run(coro)


def new_event_loop(quiesce_s: float = 0.0) -> VirtualTimeLoop:
    """An event loop in virtual time, for `asyncio.Runner` and test fixtures."""
    return VirtualTimeLoop(quiesce_s)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """The loop; its clock is moved by its selector, which asyncio asks to wait when nothing is ready."""

    def __init__(self, quiesce_s: float = 0.0) -> None:
        self._now_s = 0.0
        self._timers_s: list[float] = []  # a heap of every timer's instant, also of cancelled ones
        self._threads = 0
        super().__init__(_JumpingSelector(self, quiesce_s))
        self._set_clock(0.0)

    def time(self) -> float:
        return self._now_s

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[_Ts]], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        heappush(self._timers_s, when)
        return super().call_at(when, callback, *args, context=context)

    def run_in_executor(
        self,
        executor: Executor | None,
        func: Callable[[Unpack[_Ts]], _T],
        *args: *_Ts,
    ) -> asyncio.Future[_T]:
        future = super().run_in_executor(executor, func, *args)
        self._threads += 1
        future.add_done_callback(self._thread_done)
        return future

    async def shutdown_default_executor(self, *timeout_s: float | None) -> None:
        """Waits for the threads in real time; the time-out (since 3.12) would be over at once here."""
        self._threads += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self._threads -= 1

    def _thread_done(self, _: asyncio.Future[Any]) -> None:
        self._threads -= 1

    @property
    def waits_for_threads(self) -> bool:
        return self._threads > 0

    def jump(self, seconds: float) -> None:
        """Move the clock to the timer that is so many seconds away (as asyncio computed, with rounding)."""
        due_s = self._now_s + seconds
        timers_s = self._timers_s
        while timers_s and (timers_s[0] <= self._now_s or timers_s[0] < due_s - 1e-6):
            heappop(timers_s)
        exact = timers_s and timers_s[0] < due_s + 1e-6
        self._set_clock(timers_s[0] if exact else due_s)

    def _set_clock(self, now_s: float) -> None:
        self._now_s = now_s
        # asyncio runs timers due before time() + resolution. Any fixed figure is wrong: after half a year
        # a nanosecond vanishes beside the time and no timer would ever be due; a greater one wakes early.
        self._clock_resolution = ulp(now_s)


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualTimeLoop, quiesce_s: float) -> None:
        super().__init__()
        self._loop = loop
        self._quiesce_s = quiesce_s
        self._connections: Connections | None = None  # None: sockets came or went since they were looked at

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        self._forget()
        return super().register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        self._forget()
        return super().unregister(fileobj)

    def close(self) -> None:
        self._forget()
        super().close()

    def _forget(self) -> None:
        if self._connections is not None:
            self._connections.let_go()
            self._connections = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self._loop.waits_for_threads:
            return super().select(None)
        # The loop's own wake-up socket is always registered.
        has_io = len(self.get_map()) > 1
        if timeout is None:
            if not has_io:
                raise RuntimeError(
                    "deadlock in virtual time: every task waits, no timer is set and no socket is open"
                )
            return super().select(None)
        if has_io and self._quiesce_s > 0:
            ready = self._quiesced()
            if ready:
                return ready
        self._loop.jump(timeout)
        return []

    def _quiesced(self) -> list[tuple[selectors.SelectorKey, int]]:
        """What the kernel still delivers; waits only where something may be on its way."""
        if self._connections is None:
            self._connections = Connections(key.fd for key in self.get_map().values())
            return super().select(self._quiesce_s)
        if self._connections.strange > 1:  # more than the wake-up socket
            return super().select(self._quiesce_s)
        for _ in range(PATIENCE):
            if not self._connections.in_flight():
                return []
            if ready := super().select(self._quiesce_s):
                return ready
        return []
