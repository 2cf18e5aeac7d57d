"""Long messages that came in and are read beside the loop: a few of them wait, each for its turn."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from controller.mqtt import Inbound

MOST_WAITING = 4
"""A source may tell today and tomorrow one after the other. Of more than that the oldest gives way."""
READ_EVERY_S = 5.0
"""However fast they come: to read one takes some of the processor from control, and a new plan takes more."""


class Mailbox:
    """What came on one topic and was not read yet."""

    def __init__(self) -> None:
        self._waiting: deque[Inbound] = deque(maxlen=MOST_WAITING)
        self._came = asyncio.Event()
        self._free_at_s = 0.0

    def heard(self, message: Inbound) -> None:
        """A message; never waits."""
        self._waiting.append(message)
        self._came.set()

    async def next(self) -> Inbound:
        """Wait for the next one, and for its turn."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._free_at_s - loop.time())
        while not self._waiting:
            self._came.clear()
            await self._came.wait()
        self._free_at_s = loop.time() + READ_EVERY_S
        return self._waiting.popleft()
