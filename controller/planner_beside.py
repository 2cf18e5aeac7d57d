"""The planner of a running site, if it has one: made, run beside the loop, and ended with it.

numpy and what stands on it are loaded only for sites with a tariff.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.clock import WallClock
from controller.config import Config
from controller.outbox import Outbox

if TYPE_CHECKING:
    from controller.past import Past
    from controller.planner import Planner

log = logging.getLogger("penstock")


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A clock of its own, which passes at `speed`, and the past of a site that has none.

    `gap_s` is how long a reading may stand for, on that clock; `prices` are told on the MQTT topic that the
    site file names for them, and `told` hears each plan in words.
    """

    clock: WallClock
    speed: float
    past: Past
    gap_s: float
    prices: bytes
    told: Callable[[str], None]


def planner_of(config: Config, clock: WallClock, rehearsal: Rehearsal | None) -> Planner | None:
    """The planner of a site that has a tariff."""
    if config.tariff is None:
        return None
    from controller.planner import Planner

    if rehearsal is None:
        return Planner(config, config.tariff, clock)
    return Planner(
        config, config.tariff, clock, past=rehearsal.past, gap_s=rehearsal.gap_s, words=rehearsal.told
    )


@asynccontextmanager
async def beside(planner: Planner | None, outbox: Outbox, rehearsal: Rehearsal | None) -> AsyncIterator[None]:
    """Its task beside the loop: an error in it ends planning, which is logged, and never the control."""
    if planner is None:
        yield
        return
    planner.outbox = outbox
    if rehearsal is not None:
        for hearing in planner.hearings:
            outbox.put_at(hearing.topics, rehearsal.prices)
    task = asyncio.create_task(planner.run(), name="planner")
    task.add_done_callback(_ended)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


def _ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        if isinstance(error, MemoryError):
            raise error  # to the loop, and so to `shortage.py`: control has no memory either
        log.error("planning ended; the policy's fallback decides from now on", exc_info=error)
