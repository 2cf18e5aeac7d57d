"""The flight recorder: every cycle to the bit, whatever the disk or a power cut does to the files."""

from __future__ import annotations

import os
import random
import resource
import shutil
from pathlib import Path

import pytest

from controller.dispatch.decision import Memory
from controller.dispatch.modes import Mode
from controller.journal import (
    MAGIC,
    JournalError,
    Recorded,
    Segment,
    SegmentWriter,
    Start,
    next_path,
    number_of,
    segments,
)
from controller.loop import Cycle
from controller.recorder import MOST_WAITING
from drivers.device import DeviceError, MeterReading
from simulators.virtual_time import run
from tests.unit.recordings import BEGIN_UTC_S, ONE_BATTERY, recorded_site, recorder_of, where
from tests.unit.test_loop import ScriptedMeter

SOAK = os.environ.get("HYPOTHESIS_PROFILE") == "soak"


def numbers(folder: Path) -> list[list[int]]:
    """The cycles in each segment, by their number since the start of the program."""
    return [[one.aside.seq for one in Segment(path).cycles()] for path in segments(folder)]


def test_every_cycle_is_recorded_as_the_core_saw_it(tmp_path: Path) -> None:
    recorder = recorder_of(tmp_path)
    seen: list[Cycle] = []
    recorded_site(recorder, 150.5, listeners=(seen.append,))
    (path,) = segments(tmp_path / "journal")
    segment = Segment(path)
    assert repr([(one.snapshot, one.decision) for one in segment.cycles()]) == repr(
        [(one.snapshot, one.decision) for one in seen]
    )
    assert segment.start == Start("house-7", ONE_BATTERY, Memory(), ("grid", "bat1"))
    assert segment.torn == ""


def test_each_hour_begins_a_segment_that_stands_by_itself(tmp_path: Path) -> None:
    recorded_site(recorder_of(tmp_path), 3700.5)
    assert [len(one) for one in numbers(tmp_path / "journal")] == [3600, 102]
    second = Segment(segments(tmp_path / "journal")[1])
    assert second.start.memory.mode is Mode.RUNNING
    assert second.start.memory.decided_at_s == 3599.0


def test_a_mode_change_keeps_the_minutes_around_it_as_an_incident(tmp_path: Path) -> None:
    # The meter is silent from 1000 s to 1020 s; it is HOLDING at 1002 s, and SAFE right after.
    recorded_site(recorder_of(tmp_path), 1500.5, ScriptedMeter(broken=lambda now: 1000 < now < 1020))
    (path,) = segments(tmp_path / "incidents")
    incident = Segment(path)
    times = [one.snapshot.now_s for one in incident.cycles()]
    assert "HOLDING" in path.name
    assert incident.start.why.startswith("RUNNING -> HOLDING: holding the last setpoint")
    assert (round(times[0]), times[-1] >= 1120.0) == (702, True)
    silent = [one.aside.errors[0] for one in incident.cycles() if one.aside.errors[0]]
    assert set(silent) == {"grid: no answer"}


def test_a_quiet_day_keeps_no_incident(tmp_path: Path) -> None:
    recorded_site(recorder_of(tmp_path), 600.5)
    assert segments(tmp_path / "incidents") == []


def test_an_incident_is_kept_also_when_the_program_ends_in_the_middle_of_it(tmp_path: Path) -> None:
    recorded_site(recorder_of(tmp_path), 55.5, ScriptedMeter(broken=lambda now: now > 50))
    assert [len(one) for one in numbers(tmp_path / "incidents")] == [57]


def test_the_snapshot_on_which_the_core_fails_is_the_last_of_the_record(tmp_path: Path) -> None:
    recorder = recorder_of(tmp_path)
    control = recorded_site(recorder_of(tmp_path / "before"), 3.5)
    assert control.snapshot is not None

    async def failing() -> None:
        recorder.failed(control.snapshot)
        await recorder.close()

    run(failing())
    for folder in ("journal", "incidents"):
        (path,) = segments(tmp_path / folder)
        (last,) = Segment(path).cycles()
        assert (last.snapshot, last.decision) == (control.snapshot, None)


def test_the_oldest_segments_give_way_when_there_are_too_many_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.recorder.SEGMENT_S", 120.0)
    recorder = recorder_of(tmp_path)
    recorder._where = where(tmp_path, keep_bytes=20_000)
    recorded_site(recorder, 1200.5)
    kept = segments(tmp_path / "journal")
    assert sum(path.stat().st_size for path in kept[:-1]) <= 20_000
    assert [path.name[:6] for path in kept] == [f"{n:06d}" for n in range(11 - len(kept), 11)]
    assert 2 <= len(kept) < 10


def hours_of_recording(folder: Path, *begun_utc_s: float | None) -> None:
    """Segments begun then, by the clock of then."""
    (folder / "journal").mkdir()
    for one in begun_utc_s:
        next_path(folder / "journal", one).write_bytes(b"x" * 100)


def left(folder: Path) -> list[int]:
    return [number_of(path) for path in segments(folder / "journal")]


DAY_S = 86_400.0


def test_the_oldest_segments_give_way_when_they_are_older_than_30_days(tmp_path: Path) -> None:
    hours_of_recording(tmp_path, *(BEGIN_UTC_S - days * DAY_S for days in (33.0, 31.0, 29.0, 1.0)))
    recorded_site(recorder_of(tmp_path), 60.5)
    assert left(tmp_path) == [3, 4, 5]


def test_a_clock_that_jumps_half_a_year_ahead_costs_two_hours_of_recording_and_not_all(
    tmp_path: Path,
) -> None:
    hours_of_recording(tmp_path, *(BEGIN_UTC_S - (180.0 + days) * DAY_S for days in range(20, 0, -1)))
    recorded_site(recorder_of(tmp_path), 60.5)
    assert left(tmp_path) == list(range(3, 22))


def test_a_segment_of_a_clock_that_was_wrong_makes_no_other_old(tmp_path: Path) -> None:
    yesterday, next_year = BEGIN_UTC_S - DAY_S, BEGIN_UTC_S + 365.0 * DAY_S
    hours_of_recording(tmp_path, 0.0, None, yesterday, next_year, 0.0, None, yesterday)
    recorded_site(recorder_of(tmp_path), 60.5)
    assert left(tmp_path) == list(range(1, 9))


def test_without_a_trusted_clock_nothing_is_deleted_for_its_age(tmp_path: Path) -> None:
    hours_of_recording(tmp_path, BEGIN_UTC_S - 90.0 * DAY_S)
    recorded_site(recorder_of(tmp_path), 60.5, clock=lambda: (BEGIN_UTC_S, None))
    assert left(tmp_path) == [1, 2]


def test_a_folder_or_a_link_to_nowhere_among_the_segments_is_left_alone(tmp_path: Path) -> None:
    for kind in ("journal", "incidents"):
        (tmp_path / kind / "000001-20260101T000000Z.penstock").mkdir(parents=True)
        (tmp_path / kind / "000002-20260101T000000Z.penstock").symlink_to("/proc/nowhere")
    recorder = recorder_of(tmp_path)
    recorder._where = where(tmp_path, keep_incidents=1)
    recorded_site(recorder, 400.5, ScriptedMeter(broken=lambda now: 100 < now < 120))
    assert recorder.alarm == ""
    assert (left(tmp_path), [len(one) for one in numbers(tmp_path / "journal")]) == ([3], [402])
    assert [number_of(one) for one in segments(tmp_path / "incidents")] == [3]


def test_a_segment_that_was_removed_while_it_was_written_is_followed_by_a_new_one(tmp_path: Path) -> None:
    def removed(now_s: float) -> bool:
        if 90.0 < now_s < 91.5:
            shutil.rmtree(tmp_path / "journal")
        return False

    recorded_site(recorder_of(tmp_path), 200.5, ScriptedMeter(broken=removed))
    assert numbers(tmp_path / "journal") == [list(range(61, 203))]


def test_so_many_incidents_are_kept_and_the_oldest_go_first(tmp_path: Path) -> None:
    recorder = recorder_of(tmp_path)
    recorder._where = where(tmp_path, keep_incidents=2)
    recorded_site(recorder, 2000.5, ScriptedMeter(broken=lambda now: now % 500 < 10))
    assert [path.name[:6] for path in segments(tmp_path / "incidents")] == ["000002", "000003"]


def test_a_disk_that_refuses_costs_no_cycle_and_the_record_goes_on_without_a_gap(tmp_path: Path) -> None:
    recorder = recorder_of(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def broken(now_s: float) -> bool:
        full = 65.0 < now_s < 400.0
        resource.setrlimit(resource.RLIMIT_FSIZE, (0 if full else limits[0], limits[1]))
        return False

    try:
        control = recorded_site(recorder, 600.5, ScriptedMeter(broken=broken))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert control.timing.cycles == 602
    assert recorder.alarm == ""
    found = [number for one in numbers(tmp_path / "journal") for number in one]
    assert found == list(range(1, 603))


def test_while_a_disk_refuses_for_long_the_oldest_cycles_give_way(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("no folder", encoding="utf-8")
    recorder = recorder_of(tmp_path)
    recorded_site(recorder, 5000.5)
    assert "File exists" in recorder.alarm
    assert len(recorder._waiting) == MOST_WAITING


def written(path: Path) -> list[Recorded]:
    recorded_site(recorder_of(path.parent), 130.5)
    segments(path.parent / "journal")[0].rename(path)
    return list(Segment(path).cycles())


@pytest.mark.parametrize("cut", [False, True], ids=["flipped", "cut"])
def test_whatever_byte_is_damaged_what_comes_before_it_is_read(cut: bool, tmp_path: Path) -> None:
    path = tmp_path / "1.penstock"
    whole = written(path)
    data = path.read_bytes()
    places = range(len(data)) if SOAK else random.Random(7).sample(range(len(data)), 60)
    damaged = tmp_path / "2.penstock"
    told: list[str] = []
    for place in places:
        flipped = data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]
        damaged.write_bytes(data[:place] if cut else flipped)
        try:
            segment = Segment(damaged)
            found = list(segment.cycles())
        except JournalError as error:
            told.append(str(error))
            continue
        assert found == whole[: len(found)]
        assert found == whole or segment.torn or cut
    assert told, "some of it was the beginning, without which nothing can be read"
    assert all(str(damaged) in one for one in told)


def test_a_file_that_is_no_recording_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "house.toml"
    with pytest.raises(JournalError, match="No such file"):
        Segment(path)
    path.write_text("site = 1", encoding="utf-8")
    with pytest.raises(JournalError, match="is no recording of Penstock; give a file that ends in"):
        Segment(path)
    path.write_bytes(MAGIC)
    with pytest.raises(JournalError, match="cannot be read"):
        Segment(path)


def test_a_recording_of_a_later_format_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.journal.FORMAT", 2)
    path = tmp_path / "1.penstock"
    SegmentWriter(path, Start("house-7", ONE_BATTERY, Memory())).close()
    monkeypatch.undo()
    with pytest.raises(JournalError, match=r"has format 2; this Penstock .* reads format 1"):
        Segment(path)


def test_segments_follow_each_other_by_number_whatever_the_clock_says(tmp_path: Path) -> None:
    for utc_s in (1_800_000_000.0, 0.0, None):
        next_path(tmp_path, utc_s).touch()
    assert [path.name for path in segments(tmp_path)] == [
        "000001-20270115T080000Z.penstock",
        "000002-19700101T000000Z.penstock",
        "000003-no-clock.penstock",
    ]


def test_where_a_device_is_does_not_go_into_the_record(tmp_path: Path) -> None:
    class Addressed(ScriptedMeter):
        async def read(self, deadline_s: float) -> MeterReading:
            try:
                return await super().read(deadline_s)
            except DeviceError:
                raise DeviceError("grid: tcp://192.0.2.7:502 unit 1: no answer") from None

    recorded_site(recorder_of(tmp_path), 60.5, Addressed(broken=lambda now: now > 20))
    (path,) = segments(tmp_path / "journal")
    errors = {one.aside.errors[0] for one in Segment(path).cycles()}
    assert errors == {"", "grid: tcp://... unit 1: no answer"}
