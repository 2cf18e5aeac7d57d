"""The planner beside the loop: hears every cycle, has plans made by another process, tells what is in force.

A planner that hangs, dies or answers with nonsense costs nothing but its plans: the last one serves until it
expires, then dispatch falls back to self-consumption, and the process is started again with growing pauses.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from controller.clock import WallClock, local_time, zone
from controller.config import Config
from controller.dispatch.orders import LocalTime
from controller.forecast_feed import ForecastFeed
from controller.loop import Cycle, Told
from controller.messages import PlanMessage
from controller.mqtt import Hearing
from controller.outbox import Outbox
from controller.past import Past, Quarter, append_past, read_past, rewrite_past
from controller.plan_keeper import PlanKeeper
from controller.plan_words import no_plan_message, plan_message
from controller.planner_process import PlannerProcess
from controller.planning.calendars import OffsetAt
from controller.planning.inputs import PlanError
from controller.planning.said import Said
from controller.price_feed import PriceFeed
from controller.tariff_door import TariffConfig

log = logging.getLogger("penstock.planner")

LOOK_EVERY_S = 1.0
BACK_OFF_S = (5.0, 600.0)
"""First and longest pause after a planner that failed, doubled each time."""
REPEAT_S = 300.0
FEED_AGAIN_S = 60.0
"""So long a source of prices or forecasts rests that has failed in a way it should not."""


class Planner:
    """One site's planner. `heard` is a listener of the loop, `told` a teller, `run` its task."""

    def __init__(
        self,
        config: Config,
        tariff: TariffConfig,
        clock: WallClock,
        *,
        process: PlannerProcess | None = None,
        past: Past | None = None,
        gap_s: float = 30.0,
        words: Callable[[str], None] = log.debug,
    ) -> None:
        planning = config.planning
        self._planning = planning
        self._folder = config.state.folder
        self._clock = clock
        self.outbox: Outbox | None = None
        self._offset_at = _offset_at(config.timezone)
        self._currency = tariff.tariff.currency
        self._process = process or PlannerProcess(planning.deadline_s)
        self._past_given = past is not None
        self.keeper = PlanKeeper(
            config.dispatch,
            planning,
            tariff.tariff,
            self._offset_at,
            past or Past(planning.history_s),
            gap_s,
        )
        self.keeper.news = self._remember
        self._unwritten: list[Quarter] = []
        self.feed: PriceFeed | None = None
        if tariff.source is not None:
            self.feed = PriceFeed(tariff.source, self._local, self._prices_came, config.state.folder)
        self._forecasts: ForecastFeed | None = None
        if planning.forecast is not None:
            self._forecasts = ForecastFeed(planning.forecast, self._forecast_came)
        self._wait_until_s = 0.0
        self._pause_s = BACK_OFF_S[0]
        self._said = ""
        self._words = words

    @property
    def hearings(self) -> tuple[Hearing, ...]:
        """The MQTT topics of its prices and of an outside forecast, as far as they come from one."""
        found = []
        for feed in (self.feed, self._forecasts):
            if feed is not None and feed.source.topic is not None:
                found.append(Hearing(feed.source.topic, feed.heard))
        return tuple(found)

    def heard(self, cycle: Cycle) -> None:
        """One cycle of the loop."""
        self.keeper.heard(cycle.snapshot, cycle.decision)

    def told(self, now_s: float, local: LocalTime | None) -> Told:
        """The prices of this instant and the plan in force."""
        prices, plan = self.keeper.told(local)
        return Told(prices=prices, plan=plan)

    async def run(self) -> None:
        """Plan until cancelled."""
        await self._recall()
        feeds = [
            asyncio.create_task(_tended(feed)) for feed in (self.feed, self._forecasts) if feed is not None
        ]
        try:
            while True:
                await self._look()
                await self._write()
                for feed in feeds:
                    if feed.done():
                        feed.result()
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            for feed in feeds:
                feed.cancel()
                with suppress(asyncio.CancelledError):
                    await feed
            await self._process.close()

    async def _look(self) -> None:
        """A new plan, if one is due and can be had."""
        now_s, local = asyncio.get_running_loop().time(), self._local()
        if local is None:
            self._say_none(None, "the clock is not trusted")
            return
        self._say_expired(local.utc_s)
        reason = self.keeper.due(local.utc_s)
        if not reason or now_s < self._wait_until_s:
            return
        request = self.keeper.request(local.utc_s)
        if isinstance(request, str):
            self._failed(local.utc_s, request)
            return
        try:
            table = await self._process.ask(request)
        except PlanError as error:
            self._failed(local.utc_s, str(error))
            self._wait_until_s = asyncio.get_running_loop().time() + self._pause_s
            self._pause_s = min(2.0 * self._pause_s, BACK_OFF_S[1])
            return
        self._pause_s, self._said = BACK_OFF_S[0], ""
        standing = self.keeper.accept(request, table, reason, local.utc_s)
        message = plan_message(standing, self.keeper.skill, self._currency, self._offset_at)
        log.info("plan (%s): %s", reason, message.words)
        self._publish(message)

    def _failed(self, utc_s: float, why: str) -> None:
        """Told once for each new reason; the plan in force, if any, is left in its place."""
        if why != self._said:
            log.warning("no new plan: %s", why)
        standing = self.keeper.standing
        if standing is None or utc_s >= standing.table.expires_at_utc_s:
            self._say_none(utc_s, why)
        self._said = why

    def _say_expired(self, utc_s: float) -> None:
        standing = self.keeper.standing
        if standing is not None and utc_s >= standing.table.expires_at_utc_s:
            self.keeper.standing = None
            why = self._said or "the last one has expired"
            self._said = ""
            self._say_none(utc_s, why)

    def _say_none(self, utc_s: float | None, why: str) -> None:
        if why != self._said:
            self._said = why
            message = no_plan_message(utc_s, why, self._currency)
            self._publish(message)

    def _publish(self, message: PlanMessage) -> None:
        self._words(message.words)
        if self.outbox is not None:
            self.outbox.put("plan", message, repeat_s=REPEAT_S)

    def _local(self) -> LocalTime | None:
        return self._clock()[1]

    def _prices_came(self) -> None:
        if self.feed is not None:
            self.keeper.learn(self.feed.market)

    def _forecast_came(self, said: dict[int, Said]) -> None:
        local = self._local()
        if local is not None:
            self.keeper.hear_forecast(said, local.utc_s)

    def _remember(self, quarter: Quarter) -> None:
        self._unwritten.append(quarter)

    async def _recall(self) -> None:
        if self._past_given:
            return
        past = await asyncio.to_thread(read_past, self._folder, self._planning.history_s)
        for quarter in self.keeper.history.quarters:
            past.add(quarter)
        self.keeper.history = past
        if past.quarters:
            await self._disk(partial(rewrite_past, self._folder, past))

    async def _write(self) -> None:
        while self._unwritten:
            await self._disk(partial(append_past, self._folder, self._unwritten.pop(0)))

    async def _disk(self, work: Callable[[], None]) -> None:
        try:
            await asyncio.to_thread(work)
        except OSError as error:
            log.warning("the past is not kept: %s", error)


async def _tended(feed: PriceFeed | ForecastFeed) -> None:
    """Run a source until cancelled: should it fail, planning goes on without it, and it is run again."""
    while True:
        running = asyncio.create_task(feed.run())
        try:
            await asyncio.wait({running})
        finally:
            running.cancel()
        error = running.exception()
        if isinstance(error, MemoryError):
            raise error
        log.error("a source of prices or forecasts has failed; it is run again", exc_info=error)
        await asyncio.sleep(FEED_AGAIN_S)


def _offset_at(timezone: str | None) -> OffsetAt:
    where = zone(timezone)
    return lambda utc_s: local_time(utc_s, where).offset_s
