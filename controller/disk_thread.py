"""A thread of its own for all that is written to or read from the disk: no loop ever waits for that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")
SILENT_S = 10.0
"""A disk that has not answered for so long is in trouble."""


class DiskThread:
    """Does one thing after the other."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, f"penstock-{name}")
        self._since_s: float | None = None

    async def do(self, work: Callable[[], Result]) -> Result:
        """Wait for its turn and its end. Whoever is cancelled meanwhile does not stop what has begun."""
        loop = asyncio.get_running_loop()

        def timed() -> Result:
            self._since_s = loop.time()
            try:
                return work()
            finally:
                self._since_s = None

        return await loop.run_in_executor(self._pool, timed)

    def silent(self, now_s: float) -> bool:
        """Whether the disk has not answered for long."""
        since_s = self._since_s
        return since_s is not None and now_s - since_s > SILENT_S

    def close(self) -> None:
        """Nothing more comes; what has begun is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)
