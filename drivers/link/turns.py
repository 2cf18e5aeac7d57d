"""Whose turn it is on a bus that carries one request at a time.

The earliest deadline goes first; at equal deadlines the unit whose turn is longest ago, so that no unit
gets two turns while another one waits for its first. A unit can be put on hold, and a request can be
marked as one that lets all others pass, also those that come a moment after it.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass

LET_PASS_S = 0.02
"""How long the bus must have been free for a request that lets others pass: they may be about to ask on."""


@dataclass(slots=True, eq=False)
class _Waiting:
    unit: int
    deadline_s: float
    last: bool
    since_s: float
    granted: asyncio.Future[None]


class Turns:
    """Each `take` that returns is followed by one `give_back`."""

    def __init__(self) -> None:
        self._busy = False
        self._free_since_s = -math.inf
        self._waiting: list[_Waiting] = []  # in the order they came
        self._count = 0
        self._served: dict[int, int] = {}
        self._held_until_s: dict[int, float] = {}

    async def take(self, unit: int, deadline_s: float, *, last: bool = False) -> None:
        """Wait for a turn; TimeoutError at the deadline. `last` waits until nobody else does."""
        if not (self._busy or self._waiting or self._held_until_s or last):
            self._serve(unit)
            return
        loop = asyncio.get_running_loop()
        one = _Waiting(unit, deadline_s, last, loop.time(), loop.create_future())
        self._waiting.append(one)
        self._next()
        try:
            async with asyncio.timeout_at(deadline_s):
                await one.granted
        except (asyncio.CancelledError, TimeoutError):
            if one.granted.done() and not one.granted.cancelled():
                self.give_back()  # it came in the same instant
            raise
        finally:
            if one in self._waiting:
                self._waiting.remove(one)

    def give_back(self) -> None:
        """The bus is free again."""
        self._busy = False
        self._free_since_s = asyncio.get_running_loop().time()
        self._next()

    def hold(self, unit: int, until_s: float) -> None:
        """No turns for this unit until then; it does not keep others from theirs."""
        self._held_until_s[unit] = until_s

    def is_held(self, unit: int) -> bool:
        """Whether this unit still has to wait."""
        return self._held_until_s.get(unit, -math.inf) > asyncio.get_running_loop().time()

    def end_holds(self) -> None:
        """Let everybody have a turn at once."""
        self._held_until_s.clear()
        self._next()

    def _serve(self, unit: int) -> None:
        self._busy = True
        self._count += 1
        self._served[unit] = self._count

    def _next(self) -> None:
        if self._busy or not self._waiting:
            return
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        for unit, until_s in list(self._held_until_s.items()):
            if until_s <= now_s:
                del self._held_until_s[unit]
        ready = [
            one for one in self._waiting if one.unit not in self._held_until_s and not one.granted.done()
        ]
        if ready:
            first = min(ready, key=lambda one: (one.last, one.deadline_s, self._served.get(one.unit, 0)))
            if first.last and (may_s := max(self._free_since_s, first.since_s) + LET_PASS_S) > now_s:
                loop.call_at(may_s, self._next)
                return
            self._waiting.remove(first)
            self._serve(first.unit)
            first.granted.set_result(None)
        elif self._held_until_s:
            loop.call_at(min(self._held_until_s.values()), self._next)
