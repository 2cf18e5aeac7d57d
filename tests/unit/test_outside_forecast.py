"""An outside forecast: from a file or a topic, refused when nonsense, remembered and told to the plan."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.checking import describe
from controller.config import ConfigError
from controller.forecast_feed import ForecastFeed
from controller.forecast_files import MOST_BYTES, ForecastFileError, forecast_in, read_forecast
from controller.past import Past, Quarter
from controller.plan_keeper import PlanKeeper
from controller.planning.said import Said, Sayings
from controller.site_planning import ForecastSource
from simulators import virtual_time
from tests.unit.planning.clocks import BRUSSELS, local_s, offset_in
from tests.unit.test_price_feed import Message
from tests.unit.test_site_tariff import IMPORT, load

NOON = local_s(BRUSSELS, 2026, 6, 1, 12)
QUARTER = int(NOON // 900)
HOUR = "2026-06-01T{:02}:00:00+02:00"


def message(*load_w: object) -> bytes:
    """Hours from noon on."""
    rows = [{"start": HOUR.format(12 + hour), "load_w": one} for hour, one in enumerate(load_w)]
    return json.dumps({"forecast": rows}).encode()


def test_an_hour_is_said_of_each_of_its_quarter_hours() -> None:
    said = forecast_in(message(400, 800.5), "topic")
    assert sorted(said) == [QUARTER + part for part in range(8)]
    assert [said[QUARTER + part].load_w for part in (3, 4)] == [400.0, 800.5]
    assert said[QUARTER].pv_w != said[QUARTER].pv_w


def test_a_file_may_speak_of_load_sun_or_both_and_leave_out_what_it_does_not_know(tmp_path: Path) -> None:
    path = tmp_path / "forecast.csv"
    path.write_text(f"timestamp,pv_w,load_w,sky\n{HOUR.format(12)},1500,,clear\n{HOUR.format(13)},,450,\n")
    said = read_forecast(path)
    assert said[QUARTER].pv_w == 1500.0
    assert said[QUARTER].load_w != said[QUARTER].load_w
    assert said[QUARTER + 4].load_w == 450.0


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (b"{", "is not JSON"),
        (b"[]", "holds no forecast"),
        (b"[3]", "holds no forecast"),
        (message(-5), "-5 W cannot be right"),
        (message(1e30), "cannot be right"),
        (message("much"), "'much' is no power"),
        (message(True), "'True' is no power"),
        (message(float("nan")), "leave out what is not known"),
        (message(1).replace(b"+02:00", b""), "has no UTC offset"),
        (message(1, 2).replace(b"T13:00", b"T12:00"), "two rows for the time"),
        (message(1, 2).replace(b"T13:00", b"T12:05"), "rows 300 s apart"),
        (b" " * (MOST_BYTES + 1), "are the most"),
    ],
)
def test_what_cannot_be_a_forecast_is_refused_as_a_whole(payload: bytes, says: str) -> None:
    with pytest.raises(ForecastFileError, match=says):
        forecast_in(payload, "topic")


LISTS = st.recursive(st.none() | st.floats() | st.text(max_size=9), st.lists, max_leaves=9)


@given(st.binary(max_size=100) | LISTS.map(json.dumps))
def test_no_text_does_anything_but_be_read_or_refused(text: bytes | str) -> None:
    with pytest.raises(ForecastFileError):
        forecast_in(text if isinstance(text, bytes) else text.encode(), "topic")


def test_the_latest_word_counts_for_the_plan_and_the_first_one_for_its_record() -> None:
    sayings = Sayings()
    sayings.learn({QUARTER: Said(400.0), QUARTER - 1: Said(1.0)}, NOON - 60.0)
    sayings.learn({QUARTER: Said(500.0)}, NOON - 30.0)
    assert (sayings.of(NOON).load_w, sayings.first_of(NOON).load_w) == (500.0, 400.0)
    sayings.learn({}, NOON + 900.0)
    assert sayings.of(NOON).load_w != sayings.of(NOON).load_w


def test_a_file_that_changes_is_read_again_and_nonsense_changes_nothing(tmp_path: Path) -> None:
    path, heard = tmp_path / "forecast.csv", []

    async def watched() -> None:
        feed = ForecastFeed(ForecastSource(csv=path), heard.append)
        task = asyncio.create_task(feed.run())
        for power in ("400", "nonsense", "500"):
            path.write_text(f"timestamp,load_w\n{HOUR.format(12)},{power}\n")
            await asyncio.sleep(61.0)
        task.cancel()

    virtual_time.run(watched())
    assert [one[QUARTER].load_w for one in heard] == [400.0, 500.0]


def test_of_messages_the_good_ones_are_taken_in_their_order() -> None:
    heard: list[dict[int, Said]] = []

    async def told() -> None:
        feed = ForecastFeed(ForecastSource(topic="topic"), heard.append)
        task = asyncio.create_task(feed.run())
        for payload in (message(500), b"nonsense", message(600)):
            feed.heard(Message("topic", payload))  # type: ignore[arg-type]  # all that a feed looks at
        await asyncio.sleep(60.0)
        task.cancel()

    virtual_time.run(told())
    assert [one[QUARTER].load_w for one in heard] == [500.0, 600.0]


def test_it_comes_from_the_site_file_and_reaches_the_request_for_a_plan(tmp_path: Path) -> None:
    (tmp_path / "forecast.csv").write_text(f"timestamp,load_w\n{HOUR.format(12)},400\n")
    config = load(tmp_path, f'{IMPORT}per_kwh = 0.3\n[planning.forecast]\ncsv = "forecast.csv"\n')
    assert config.planning.forecast == ForecastSource(csv=tmp_path / "forecast.csv")
    assert config.tariff is not None
    keeper = PlanKeeper(
        config.dispatch, config.planning, config.tariff.tariff, offset_in(BRUSSELS), Past(86_400.0)
    )
    keeper.hear_forecast(read_forecast(tmp_path / "forecast.csv"), NOON - 60.0)
    ahead = keeper._course(NOON, 5)
    assert ahead.said_load_w == (400.0,) * 4 + (None,)
    assert ahead.said_pv_w == (None,) * 5
    keeper._quarter_done(Quarter(NOON, 350.0, 0.0, 350.0))
    before = keeper._past(NOON + 900.0)
    assert (before.load_w, before.said_load_w) == ((350.0,), (400.0,))


def test_check_says_where_the_forecast_comes_from(tmp_path: Path) -> None:
    (tmp_path / "forecast.csv").write_text(f"timestamp,load_w\n{HOUR.format(12)},400\n")
    file = describe(load(tmp_path, f'{IMPORT}per_kwh = 0.3\n[planning.forecast]\ncsv = "forecast.csv"\n'))
    assert f"  forecast from outside: file {tmp_path / 'forecast.csv'}" in file
    broker = '[mqtt]\nurl = "embedded"\n[planning.forecast]\nmqtt = "sun/tomorrow"\n'
    topic = describe(load(tmp_path, f"{IMPORT}per_kwh = 0.3\n{broker}"))
    assert "  forecast from outside: topic sun/tomorrow" in topic
    assert "forecast from" not in "".join(describe(load(tmp_path, f"{IMPORT}per_kwh = 0.3\n")))


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ('csv = "nowhere.csv"', "cannot be read"),
        ("", "give one of csv and mqtt"),
        ('csv = "a.csv"\nmqtt = "topic"', "give one of csv and mqtt"),
        ('mqtt = "a/#"', "give one topic"),
        ('mqtt = "topic"', r"needs a broker; describe it in \[mqtt\]"),
    ],
)
def test_a_source_that_cannot_be_is_refused_at_the_door(keys: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=says):
        load(tmp_path, f"{IMPORT}per_kwh = 0.3\n[planning.forecast]\n{keys}\n")
