"""Market prices as they come in: from a file, an MQTT topic or an HTTP service; never waited for by the loop.

What was good is kept until its own hours are over, over a restart too; a source that fails or tells nonsense
changes nothing, is logged once for each new reason, and is asked again.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from controller.dispatch.orders import LocalTime
from controller.mailbox import Mailbox
from controller.planning.market import Market, gaps
from controller.price_files import MOST_BYTES, PriceFileError, kept_prices, prices_in, read_prices, to_keep
from controller.tariff_door import PriceSource
from drivers.tls import trusting

if TYPE_CHECKING:
    from controller.mqtt import Inbound

log = logging.getLogger("penstock.prices")

ASKED_WITHIN_S = 30.0
ANSWER_WITHIN_S = 10.0
TRY_AGAIN_S = (60.0, 1800.0)
"""First and longest wait after a failure, doubled each time."""
LOOK_AT_FILE_S = 60.0
WAIT_FOR_CLOCK_S = 10.0
MOST_READS = 600
"""Each waits `ANSWER_WITHIN_S` at most, so a service that drips is left some time."""
KEEP_PAST_S = 29 * 86_400.0
"""Forecasts learn from the prices of the last four weeks."""
FILE = "prices.json"
AGENT = "penstock"

Result = TypeVar("Result")


class PriceFeed:
    """The market as far as it is known. `changed` is called whenever there is news."""

    def __init__(
        self,
        source: PriceSource,
        local: Callable[[], LocalTime | None],
        changed: Callable[[], None],
        folder: Path | None = None,
    ) -> None:
        self.source = source
        self.market = Market()
        self._local = local
        self._changed = changed
        self._folder = folder
        self._told = ""
        self._mailbox = Mailbox()
        self._keeping: asyncio.Future[None] | None = None
        self._keep_again = False

    async def run(self) -> None:
        """What is kept, then what the source says again and again, until cancelled."""
        await self._recall()
        if self.source.csv is not None:
            await self._watch(self.source.csv)
        elif self.source.url is not None:
            await self._ask(self.source.url)
        else:
            await self._listen()

    def heard(self, message: Inbound) -> None:
        """A message on the topic of the source; `run` reads it."""
        self._mailbox.heard(message)

    async def _listen(self) -> None:
        while True:
            message = await self._mailbox.next()
            await self._took(message.payload, message.topic)

    async def _took(self, payload: bytes, where: str) -> bool:
        """Read prices beside the loop; whether they were good."""
        try:
            self._join(await asyncio.to_thread(prices_in, payload, self.source.per_mwh, where))
        except PriceFileError as error:
            self._tell(f"prices refused: {error}")
            return False
        self._keep()
        return True

    def _join(self, newer: Market) -> None:
        local = self._local()
        keep_from_utc_s = None if local is None else local.utc_s - KEEP_PAST_S
        self.market = self.market.joined(newer, keep_from_utc_s)
        missing = gaps(self.market)
        self._tell(f"{len(missing)} gaps in the prices; there is no price in them" if missing else "")
        self._changed()

    def _tell(self, text: str) -> None:
        """Once for each new text."""
        if text and text != self._told:
            log.warning("%s", text)
        self._told = text

    async def _recall(self) -> None:
        if self._folder is None:
            return
        path = self._folder / FILE
        try:
            self._join(await asyncio.to_thread(lambda: kept_prices(path.read_bytes(), str(path))))
        except PriceFileError as error:
            self._tell(str(error))
        except OSError as error:
            log.debug("no prices kept: %s", error)

    def _keep(self) -> None:
        """Write what is known, beside the loop, one after the other; if that fails it is fetched again."""
        if self._folder is None:
            return
        if self._keeping is not None and not self._keeping.done():
            self._keep_again = True
            return
        self._keeping = _in_thread("keep prices", partial(_write, self._folder, self.market))
        self._keeping.add_done_callback(self._kept)

    def _kept(self, _: asyncio.Future[None]) -> None:
        if self._keep_again:
            self._keep_again = False
            self._keep()

    async def _watch(self, path: Path) -> None:
        """Read a file whenever it has changed."""
        seen: tuple[float, int] | None = None
        while True:
            try:
                stat = await asyncio.to_thread(path.stat)
                found = (stat.st_mtime, stat.st_size)
                if found != seen:
                    seen = found
                    source = self.source
                    self._join(await asyncio.to_thread(read_prices, path, source.per_mwh, source.column))
            except (PriceFileError, OSError) as error:
                self._tell(f"prices refused: {error}")
            await asyncio.sleep(LOOK_AT_FILE_S)

    async def _ask(self, template: str) -> None:
        wait_s = TRY_AGAIN_S[0]
        while True:
            local = self._local()
            if local is None and "{" in template:
                await asyncio.sleep(WAIT_FOR_CLOCK_S)
                continue
            if await self._asked(dated(template, local)):
                wait_s = TRY_AGAIN_S[0]
                await asyncio.sleep(self.source.every_s)
            else:
                await asyncio.sleep(wait_s)
                wait_s = min(2.0 * wait_s, TRY_AGAIN_S[1])

    async def _asked(self, url: str) -> bool:
        """Whether there were good prices."""
        host = urlsplit(url).hostname or ""
        try:
            async with asyncio.timeout(ASKED_WITHIN_S):
                payload = await _in_thread("prices", lambda: fetch(url, self.source.ca))
        except TimeoutError:
            self._tell(f"prices: {host} did not answer within {ASKED_WITHIN_S:g} s")
        except FetchError as error:
            self._tell(f"prices refused: {error}")
        else:
            return await self._took(payload, host)
        return False


def dated(template: str, local: LocalTime | None) -> str:
    """The URL of today and tomorrow on the clock of the site."""
    if local is None:
        return template
    today = datetime.fromtimestamp(local.utc_s + local.offset_s, UTC).date()
    tomorrow = today + timedelta(days=1)
    return template.replace("{today}", today.isoformat()).replace("{tomorrow}", tomorrow.isoformat())


class FetchError(Exception):
    """The service did not give a good answer; the text names host and reason.

    Of a URL nothing else is told: a path or a query may hold a secret, and that of a redirect repeats it.
    """


class _SameScheme(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only where it stays as safe as it was."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]  # urllib's own
        if urlsplit(newurl).scheme != urlsplit(req.full_url).scheme:
            raise urllib.error.URLError(f"sends us on to {urlsplit(newurl).scheme[:20]!r}, another scheme")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(url: str, ca: Path | None) -> bytes:
    """The body behind a URL; certificates are checked, and no more than `MOST_BYTES` are read. Blocks."""
    host = urlsplit(url).hostname
    try:
        context = trusting(ca)
        opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), _SameScheme())
        request = urllib.request.Request(url, headers={"User-Agent": AGENT, "Accept": "application/json"})
        with opener.open(request, timeout=ANSWER_WITHIN_S) as answer:
            body: bytes = b""
            for _ in range(MOST_READS):
                part = answer.read1(MOST_BYTES + 1 - len(body))
                body += part
                if not part or len(body) > MOST_BYTES:
                    break
            else:
                raise FetchError(f"{host}: the answer comes in more than {MOST_READS} drops")
    except urllib.error.HTTPError as error:
        raise FetchError(f"{host} answered {error.code}") from None
    except OSError as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise FetchError(f"{host}: {reason or type(error).__name__}") from None
    except (HTTPException, ValueError) as error:
        raise FetchError(f"{host}: {type(error).__name__}") from None
    if len(body) > MOST_BYTES:
        raise FetchError(f"{host}: the answer has more than {MOST_BYTES} bytes")
    return body


def _write(folder: Path, market: Market) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        new = folder / f"{FILE}.new"
        new.write_bytes(to_keep(market))
        new.replace(folder / FILE)
    except OSError as error:
        log.warning("prices not kept: %s", error)


def _in_thread(name: str, work: Callable[[], Result]) -> asyncio.Future[Result]:
    """Like `asyncio.to_thread`, begun at once in a thread of its own that no end of the program waits for."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Result] = loop.create_future()

    def settle(value: Result | FetchError) -> None:
        if done.done():
            return
        if isinstance(value, FetchError):
            done.set_exception(value)
        else:
            done.set_result(value)

    def body() -> None:
        try:
            value: Result | FetchError = work()
        except FetchError as error:
            value = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, value)

    threading.Thread(target=body, name=name, daemon=True).start()
    return done
