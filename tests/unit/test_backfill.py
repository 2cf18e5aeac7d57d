"""What the broker did not hear is kept minute by minute, bounded, and told afterwards with its own time."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from controller.backfill import LATE_S, MOST_IN_MEMORY, MOST_MINUTES, NAME, Backlog, MinuteFile, Minutes
from controller.messages import StateMessage
from controller.telemetry import state_message
from tests.unit.ordered_site import LIMITED, OrderedSite, on_a_site

BEGIN_UTC_S = 1_780_315_200.0
"""Noon of 1 June 2026, the begin of a minute."""
STATES: list[StateMessage] = []
SOAK = os.environ.get("HYPOTHESIS_PROFILE") == "soak"


@pytest.fixture(scope="module", autouse=True)
def recorded_state() -> None:
    """A site cannot run in virtual time while a test runs in its own loop."""
    a_state(0.0)


def a_state(load_w: float | None) -> StateMessage:
    """A state of a running site with another load."""
    if not STATES:

        async def work(site: OrderedSite) -> None:
            STATES.append(state_message(LIMITED, site.cycles[-1]))

        on_a_site(work)
    return STATES[0].model_copy(update={"load_w": load_w})


def test_a_minute_is_the_mean_of_what_was_known_in_it() -> None:
    minutes = Minutes()
    for second, load_w in ((0.0, 600.0), (20.0, None), (40.0, 900.0)):
        assert minutes.add(a_state(load_w), BEGIN_UTC_S + second) is None
    done = minutes.add(a_state(5000.0), BEGIN_UTC_S + 60.0)
    assert done is not None
    message = json.loads(done[1])
    assert (message["at"], message["load_w"]) == ("2026-06-01T12:00:00.000Z", 750.0)
    assert (message["cycles"], message["soc_pct"], message["mode"]) == (3, 49.97, "RUNNING")


def test_what_nobody_measured_in_a_minute_is_null() -> None:
    minutes = Minutes()
    minutes.add(a_state(None), BEGIN_UTC_S)
    done = minutes.add(a_state(1.0), BEGIN_UTC_S + 60.0)
    assert done is not None
    assert json.loads(done[1])["load_w"] is None


async def heard(backlog: Backlog, seconds: range, connected: bool) -> None:
    for second in seconds:
        backlog.note(a_state(700.0), BEGIN_UTC_S + second, float(second), connected)


async def times(backlog: Backlog) -> list[str]:
    return [json.loads(payload)["at"][11:16] for _, payload in await backlog.oldest(100)]


async def test_only_minutes_in_which_the_broker_was_away_are_kept_and_outlive_a_restart(
    tmp_path: Path,
) -> None:
    backlog = Backlog(tmp_path)
    await heard(backlog, range(125), connected=True)
    await heard(backlog, range(125, 250), connected=False)
    await heard(backlog, range(250, 400), connected=True)
    await backlog.close()
    # 12:01 as well: the connection was lost 5 s after its end, and may have been dead before.
    again = Backlog(tmp_path)
    assert await times(again) == ["12:01", "12:02", "12:03", "12:04"]
    assert LATE_S == 10.0
    await again.delivered(await again.oldest(3))
    assert await times(again) == ["12:04"]
    await again.close()


async def test_without_a_clock_nothing_is_kept_because_nobody_knows_when_it_was(tmp_path: Path) -> None:
    backlog = Backlog(tmp_path)
    for second in range(200):
        backlog.note(a_state(700.0), None, float(second), False)
    assert await times(backlog) == []
    await backlog.close()


def test_more_than_a_week_fits_and_the_oldest_gives_way(tmp_path: Path) -> None:
    assert MOST_MINUTES >= 7 * 24 * 60
    file = MinuteFile(tmp_path)
    file.add([(minute, b"{}") for minute in range(MOST_MINUTES)])
    file.add([(MOST_MINUTES, b"{}"), (MOST_MINUTES + 1, b"{}")])
    assert file.oldest(1) == [(2, b"{}")]
    size = (tmp_path / NAME).stat().st_size
    file.add([(minute + MOST_MINUTES, b"{}") for minute in range(2, 2000)])
    assert (tmp_path / NAME).stat().st_size < 1.3 * size


async def test_a_disk_that_refuses_costs_nothing_but_the_restart(tmp_path: Path, caplog: Any) -> None:
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    backlog = Backlog(tmp_path / "file")
    await heard(backlog, range(250), connected=False)
    assert await times(backlog) == ["12:00", "12:01", "12:02"]
    await backlog.delivered(await backlog.oldest(2))
    assert await times(backlog) == ["12:02"]
    await backlog.close()
    assert len([one for one in caplog.records if "cannot be kept" in one.message]) == 1
    assert MOST_IN_MEMORY == 1440


async def test_a_damaged_file_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"nonsense" * 1000)
    backlog = Backlog(tmp_path)
    await heard(backlog, range(135), connected=False)
    await backlog.close()
    assert [row[0] for row in MinuteFile(tmp_path).oldest(9)] == [
        int(BEGIN_UTC_S / 60),
        int(BEGIN_UTC_S / 60) + 1,
    ]
    assert f"{NAME}.aside-1" in os.listdir(tmp_path)


@pytest.mark.parametrize("cut", [False, True], ids=["flipped", "cut"])
def test_whatever_byte_is_damaged_only_whole_minutes_are_delivered(cut: bool, tmp_path: Path) -> None:
    rows = [(minute, b'{"minute": %d}' % minute) for minute in range(400)]
    file = MinuteFile(tmp_path)
    file.add(rows)
    data = (tmp_path / NAME).read_bytes()
    places = range(len(data)) if SOAK else random.Random(7).sample(range(len(data)), 100)
    for place in places:
        flipped = data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]
        (tmp_path / NAME).write_bytes(data[:place] if cut else flipped)
        found = file.oldest(500)
        file.add([(500, b"after")])
        file.remove(found)
        found += file.oldest(500)
        assert {message for _, message in found} <= {b"after", *(message for _, message in rows)}
