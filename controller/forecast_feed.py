"""An outside forecast as it comes in, from a watched file or an MQTT topic; a bad one changes nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from controller.forecast_files import ForecastFileError, forecast_in, read_forecast
from controller.mailbox import Mailbox
from controller.planning.said import Said
from controller.site_planning import ForecastSource

if TYPE_CHECKING:
    from controller.mqtt import Inbound

log = logging.getLogger("penstock.forecast")

LOOK_AT_FILE_S = 60.0


class ForecastFeed:
    """`came` hears each good one."""

    def __init__(self, source: ForecastSource, came: Callable[[dict[int, Said]], None]) -> None:
        self.source = source
        self._came = came
        self._told = ""
        self._mailbox = Mailbox()

    async def run(self) -> None:
        """Read what the source says again and again, until cancelled."""
        if self.source.csv is not None:
            await self._watch(self.source.csv)
        else:
            await self._listen()

    async def _watch(self, path: Path) -> None:
        """Read a file whenever it has changed."""
        seen: tuple[float, int] | None = None
        while True:
            try:
                stat = await asyncio.to_thread(path.stat)
                found = (stat.st_mtime, stat.st_size)
                if found != seen:
                    seen = found
                    self._take(await asyncio.to_thread(read_forecast, path))
            except (ForecastFileError, OSError) as error:
                self._refuse(str(error))
            await asyncio.sleep(LOOK_AT_FILE_S)

    def heard(self, message: Inbound) -> None:
        """A message on its topic; `run` reads it."""
        self._mailbox.heard(message)

    async def _listen(self) -> None:
        while True:
            message = await self._mailbox.next()
            try:
                self._take(await asyncio.to_thread(forecast_in, message.payload, message.topic))
            except ForecastFileError as error:
                self._refuse(str(error))

    def _take(self, said: dict[int, Said]) -> None:
        self._told = ""
        self._came(said)

    def _refuse(self, why: str) -> None:
        """Logged once for each new reason."""
        if why != self._told:
            log.warning("forecast refused: %s", why)
        self._told = why
