"""Market prices as they come in: forms understood, services that fail, what is kept over a restart."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.dispatch.orders import LocalTime
from controller.planning.market import MOST_QUARTERS, Market, PriceError, gaps
from controller.price_feed import FetchError, PriceFeed, dated, fetch
from controller.price_files import MOST_BYTES, PriceFileError, kept_prices, prices_in, to_keep
from controller.tariff_door import PriceSource
from simulators import virtual_time
from tests.certificates import Authority
from tests.unit.planning.clocks import BRUSSELS, local_s

NOON = local_s(BRUSSELS, 2026, 6, 1, 12)
LOCAL = LocalTime(NOON, 7200.0)


def message(*prices: float, **more: object) -> bytes:
    items = [
        {"start": f"2026-06-01T{12 + place:02d}:00:00+02:00", "price": one}
        for place, one in enumerate(prices)
    ]
    return json.dumps({"prices": items, **more}).encode()


def hours(market: Market) -> list[float | None]:
    return [market.at(NOON + 3600 * place) for place in range(3)]


FORMS = {
    "own": message(0.1, -0.02, 0.3),
    "own per MWh": message(100, -20, 300, unit="EUR/MWh"),
    "a bare list": json.dumps(json.loads(message(0.1, -0.02, 0.3))["prices"]).encode(),
    "Energy-Charts": json.dumps(
        {
            "license_info": "CC BY 4.0",
            "unix_seconds": [NOON, NOON + 3600, NOON + 7200],
            "price": [100, -20, 300],
            "unit": "EUR / MWh",
            "deprecated": False,
        }
    ).encode(),
    "aWATTar": json.dumps(
        {
            "object": "list",
            "data": [
                {
                    "start_timestamp": int(NOON + 3600 * place) * 1000,
                    "end_timestamp": int(NOON + 3600 * (place + 1)) * 1000,
                    "marketprice": price,
                    "unit": "Eur/MWh",
                }
                for place, price in enumerate((100, -20, 300))
            ],
        }
    ).encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_source_is_understood_in_each_of_its_forms(form: str) -> None:
    assert hours(prices_in(FORMS[form], False, form)) == pytest.approx([0.1, -0.02, 0.3])


def test_quarter_hours_and_hours_that_are_missing_are_absent() -> None:
    told = {"unix_seconds": [NOON, NOON + 900, NOON + 3600], "price": [0.1, None, 0.3]}
    market = prices_in(json.dumps(told).encode(), False, "x")
    assert [market.at(NOON + 900 * place) for place in range(5)] == [0.1, None, None, None, 0.3]
    assert gaps(market) == [(NOON + 900, NOON + 3600)]


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"3", "holds no list of prices"),
        (b"[]", "holds no price"),
        (b"[1, 2]", "holds no list of prices"),
        (message(float("nan")), "is no number"),
        (message(float("inf")), "is no number"),
        (message(0.1, 95.0), "cannot be right: prices lie between -5 and 5; is it per MWh?"),
        (message(0.1).replace(b"12:00:00+02:00", b"12:00:00"), "has no UTC offset"),
        (message(0.1).replace(b"12:00:00", b"12:00:07"), "is not on a quarter hour"),
        (message(0.1).replace(b"0.1", b'"0.1"'), "is no number"),
        (message(0.1).replace(b"0.1", b"true"), "is no number"),
        (message(0.1).replace(b"0.1", b"1" + b"0" * 400), "is no number"),
        (message(0.1).replace(b"0.1", b"1" + b"0" * 5000), "is not JSON"),
        (message(0.1).replace(b'"2026-06-01T12:00:00+02:00"', b"[[1]]"), "'list' is not ISO 8601"),
        (b'{"unix_seconds": [1' + b"0" * 400 + b'], "price": [0.1]}', "is no number"),
        (b'{"unix_seconds": [1e300], "price": [0.1]}', "is not on a quarter hour"),
        (json.dumps({"unix_seconds": [1], "price": []}).encode(), "are not of one length"),
        (b" " * (MOST_BYTES + 1), "are the most"),
    ],
)
def test_what_cannot_be_prices_is_refused_as_a_whole(payload: bytes, says: str) -> None:
    with pytest.raises(PriceFileError, match=says.replace("?", r"\?")):
        prices_in(payload, False, "source")


LISTS = st.recursive(st.none() | st.floats() | st.text(max_size=9), st.lists, max_leaves=9)


@given(st.binary(max_size=100) | LISTS.map(json.dumps))
def test_no_text_does_anything_but_be_read_or_refused(text: bytes | str) -> None:
    payload = text if isinstance(text, bytes) else text.encode()
    for read in (lambda: prices_in(payload, False, "x"), lambda: kept_prices(payload, "x")):
        with pytest.raises((PriceFileError, PriceError)):
            read()


def test_what_is_kept_comes_back_and_a_damaged_file_is_none() -> None:
    market = prices_in(FORMS["own"], False, "x")
    assert hours(kept_prices(to_keep(market), "file")) == hours(market)
    with pytest.raises(PriceFileError, match="is damaged"):
        kept_prices(to_keep(market)[:-9], "file")


def test_the_newer_price_counts_and_the_past_is_dropped() -> None:
    first, second = prices_in(message(0.1, 0.2), False, "x"), prices_in(message(0.15), False, "x")
    joined = first.joined(second, NOON + 3600)
    assert hours(joined) == [None, 0.2, None]
    assert hours(first.joined(second, NOON)) == [0.15, 0.2, None]


@pytest.mark.parametrize("kept_day", ["2020-01-01", "2026-05-31", "2040-01-01"])
def test_while_the_clock_is_not_known_old_prices_never_push_out_what_is_told(kept_day: str) -> None:
    kept = prices_in(message(0.1, 0.2, 0.3).replace(b"2026-06-01", kept_day.encode()), False, "x")
    market = kept.joined(prices_in(message(0.15, 0.25), False, "x"), None)
    assert hours(market) == [0.15, 0.25, None]
    assert len(market.per_kwh) <= MOST_QUARTERS, "the memory for prices is bounded"
    beside = [kept.at(one) == market.at(one) for one in np.arange(kept.first, kept.first + 12) * 900.0]
    assert all(beside) is (kept_day == "2026-05-31"), "what is near enough stays beside them"


@contextmanager
def service(
    answer: Callable[[BaseHTTPRequestHandler], None], tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        scheme = "http" if tls is None else "https"
        yield f"{scheme}://127.0.0.1:{server.server_port}/price?from={{today}}&to={{tomorrow}}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def says(body: bytes, code: int = 200, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def feed_of(source: PriceSource, folder: Path | None = None) -> PriceFeed:
    return PriceFeed(source, lambda: LOCAL, lambda: None, folder)


def test_a_service_is_asked_for_today_and_tomorrow_and_its_prices_are_kept_over_a_restart(
    tmp_path: Path,
) -> None:
    asked = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        says(FORMS["aWATTar"])(handler)

    async def once(url: str) -> list[float | None]:
        feed = feed_of(PriceSource(url=url), tmp_path)
        changed = asyncio.Event()
        feed._changed = changed.set
        task = asyncio.create_task(feed.run())
        async with asyncio.timeout(20):
            await changed.wait()
        task.cancel()
        return hours(feed.market)

    with service(answer) as url:
        assert asyncio.run(once(url)) == pytest.approx([0.1, -0.02, 0.3])
    assert asked == ["/price?from=2026-06-01&to=2026-06-02"]
    for thread in threading.enumerate():
        if thread.name == "keep prices":
            thread.join()
    assert asyncio.run(once(url)) == pytest.approx([0.1, -0.02, 0.3])


@pytest.mark.parametrize(
    ("answer", "says_so"),
    [
        (says(b"", 503), "answered 503"),
        (says(b"x" * (MOST_BYTES + 1)), "has more than"),
        (says(b"", 302, Location="file:///etc/passwd"), "answered 302"),
        (says(b"", 302, Location="https://127.0.0.1:9/"), "sends us on to 'https', another scheme"),
    ],
)
def test_a_service_that_fails_or_lures_is_refused_by_name(
    answer: Callable[[BaseHTTPRequestHandler], None], says_so: str
) -> None:
    with service(answer) as url, pytest.raises(FetchError, match=says_so):
        fetch(dated(url, LOCAL), None)


@pytest.mark.parametrize(
    "answer",
    [
        says(b"", 302, Location="https://127.0.0.1:9/price?key=canary"),
        says(b"", 302, Location="//[canary"),
        says(b"", 302, Location="gopher://x/canary"),
        says(b"", 403),
    ],
)
def test_of_a_url_with_a_secret_in_it_only_the_host_is_told(
    answer: Callable[[BaseHTTPRequestHandler], None],
) -> None:
    def repeated(handler: BaseHTTPRequestHandler) -> None:
        handler.responses = {403: ("no such key as canary", "")}  # type: ignore[dict-item]  # as a server may
        answer(handler)

    with service(repeated) as url:
        for asked in (f"{url}&key=canary", f"{url}&key=canary canary"):
            with pytest.raises(FetchError, match=r"127\.0\.0\.1") as caught:
                fetch(dated(asked, LOCAL), None)
            assert "canary" not in str(caught.value)


@pytest.mark.parametrize("home_made", [False, True])
def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path, home_made: bool) -> None:
    authority = Authority(tmp_path, home_made=home_made)
    authority.sign("prices")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "prices.pem", tmp_path / "prices.key")
    with service(says(b"[]"), context) as url:
        with pytest.raises(FetchError, match="CERTIFICATE_VERIFY_FAILED"):
            fetch(url, None)
        assert fetch(url, authority.ca) == b"[]"


def test_nobody_there_is_said_so() -> None:
    with pytest.raises(FetchError, match=r"127\.0\.0\.1: "):
        fetch("http://127.0.0.1:9/", None)


def test_prices_from_mqtt_replace_nothing_when_they_are_nonsense() -> None:
    payloads = (FORMS["own"], b"nonsense", message(0.1, 0.2, 500.0))
    assert hours(virtual_time.run(told(feed_of(PriceSource(topic="market")), *payloads))) == [0.1, -0.02, 0.3]


async def told(feed: PriceFeed, *payloads: bytes) -> Market:
    """What is known a minute after these messages came at once."""
    for payload in payloads:
        feed.heard(Message("market", payload))
    task = asyncio.create_task(feed.run())
    await asyncio.sleep(60.0)
    task.cancel()
    return feed.market


def test_prices_that_come_before_the_kept_ones_are_back_leave_those_in_their_place(tmp_path: Path) -> None:
    """A retained message is there at once; kept are hours that it does not tell."""
    (tmp_path / "prices.json").write_bytes(to_keep(prices_in(FORMS["own"], False, "x")))
    feed = feed_of(PriceSource(topic="market"), tmp_path)
    assert hours(virtual_time.run(told(feed, message(0.15)))) == [0.15, -0.02, 0.3]


def test_of_a_flood_one_message_is_read_every_five_seconds_and_the_newest_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read_at_s: list[float] = []

    async def flooded() -> list[float | None]:
        feed = feed_of(PriceSource(topic="market"))
        loop = asyncio.get_running_loop()
        feed._changed = lambda: read_at_s.append(loop.time())
        task = asyncio.create_task(feed.run())
        for number in range(200):
            feed.heard(Message("market", message(0.01 * number)))
            await asyncio.sleep(0.1)
        await asyncio.sleep(30.0)
        task.cancel()
        return hours(feed.market)

    assert virtual_time.run(flooded()) == [pytest.approx(1.99), None, None]
    # The first, one every five seconds for the 20 s of the flood, and the last four.
    assert read_at_s == [pytest.approx(5.0 * place, abs=0.1) for place in range(8)]


class Message:
    """What the MQTT link hands on, as far as prices look at it."""

    def __init__(self, topic: str, payload: bytes) -> None:
        self.topic = topic
        self.payload = payload


def test_a_file_that_changes_is_read_again_and_one_that_breaks_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    line = "timestamp,price\n2026-06-01T12:00:00+02:00,{}\n"

    async def watched() -> list[float | None]:
        feed, found = feed_of(PriceSource(csv=path)), []
        task = asyncio.create_task(feed.run())
        for text in (line.format(0.1), line.format("nan"), line.format(0.25)):
            path.write_text(text)
            await asyncio.sleep(61.0)
            found.append(feed.market.at(NOON))
        task.cancel()
        return found

    assert virtual_time.run(watched()) == [0.1, 0.1, 0.25]
