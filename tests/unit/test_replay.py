"""Replay: the same decisions to the bit, a planted change found and shown, and what-if that adds up."""

from __future__ import annotations

from dataclasses import replace
from math import nextafter
from pathlib import Path

import pytest

from controller.dispatch.decision import Decision, Memory
from controller.dispatch.limits import Latches, latch
from controller.dispatch.settings import DispatchConfig
from controller.dispatch.site import Snapshot
from controller.journal import Aside, Recorded, Segment, SegmentWriter, Start, segments
from controller.lab.replay import Replay, WhatIf, replayed
from controller.lab.replay_words import heading, settings_changed, verdict
from controller.settings_text import changes, flat
from tests.unit.recordings import recorded_site, recorder_of, simulated_day
from tests.unit.test_loop import ScriptedMeter


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("day") / "000001-day.penstock"
    simulated_day(path)
    return path


def said(path: Path, result: Replay, what_if: bool = False) -> str:
    return "\n".join(verdict(Segment(path), result, what_if))


def test_a_recorded_day_replays_without_a_difference(day: Path) -> None:
    result = replayed(Segment(day))
    assert result.cycles > 2880
    assert (result.differing, result.first) == (0, None)
    assert "every decision the same, to the bit" in said(day, result)
    assert heading(Segment(day), result).startswith(
        f"{day.name}: site demo, 15 Jan 2027 08:00:00 UTC to 16 Jan 2027 07:5"
    )


def test_what_the_shell_recorded_replays_without_a_difference_through_lost_readings(tmp_path: Path) -> None:
    recorded_site(recorder_of(tmp_path), 400.5, ScriptedMeter(broken=lambda now: 100 < now < 120))
    (path,) = segments(tmp_path / "journal")
    result = replayed(Segment(path))
    assert result.differing == 0
    assert result.modes == {"STARTING": 2, "RUNNING": 371, "HOLDING": 1, "SAFE": 27, "STOPPED": 1}
    (incident,) = segments(tmp_path / "incidents")
    assert replayed(Segment(incident)).differing == 0


def test_a_what_if_tells_the_course_that_it_would_have_taken(tmp_path: Path) -> None:
    recorded_site(recorder_of(tmp_path), 400.5, ScriptedMeter(broken=lambda now: 100 < now < 120))
    (incident,) = segments(tmp_path / "incidents")
    patient = replace(Segment(incident).start.config, lost_after_s=60.0)  # the meter was away for 20 s
    result = replayed(Segment(incident), WhatIf(patient))
    modes = [one.decision.mode.value for one in result.turns if one.decision is not None]
    assert modes == ["STARTING", "RUNNING", "HOLDING", "RUNNING"]
    text = said(incident, result, what_if=True)
    assert "with the changed settings:\n  modes      STARTING 2, RUNNING" in text
    assert "SAFE" not in text.partition("with the changed settings:")[2].partition("  replayed")[0]


def test_a_planted_change_of_one_limit_in_the_program_is_found_and_shown(
    day: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A battery that counts as full two points too early.
    def early(
        before: Latches, soc_pct: float | None, floor_pct: float, ceiling_pct: float, reserve_pct: float
    ) -> Latches:
        return latch(before, soc_pct, floor_pct, ceiling_pct - 2.0, reserve_pct)

    monkeypatch.setattr("controller.dispatch.running.latch", early)
    result = replayed(Segment(day))
    assert result.first is not None
    text = said(day, result)
    assert "replayed   RUNNING, battery +0 W: battery at rest; the battery is full" in text
    assert "limited_by: rating -> full" in text
    assert f"{result.differing} of {result.cycles} decisions differ; the first:" in text
    for word in ("cycle ", "seen       meter ", "recorded   RUNNING"):
        assert word in text


def test_a_decision_that_differs_in_the_last_bit_is_found(day: Path, tmp_path: Path) -> None:
    segment = Segment(day)
    cycles = list(segment.cycles())
    place = next(n for n, one in enumerate(cycles) if one.decision and one.decision.setpoint_w > 0.0)
    was = cycles[place].decision
    assert was is not None
    changed = replace(was, setpoint_w=nextafter(was.setpoint_w, 0.0))
    cycles[place] = replace(cycles[place], decision=changed)
    path = tmp_path / "changed.penstock"
    writer = SegmentWriter(path, segment.start)
    writer.add(cycles)
    writer.close()
    result = replayed(Segment(path))
    assert result.first is not None
    assert (result.differing, result.first.number) == (1, place + 1)
    assert f"setpoint_w: {changed.setpoint_w!r} -> {was.setpoint_w!r}" in said(path, result)


def test_the_same_settings_as_a_what_if_change_nothing(day: Path) -> None:
    segment = Segment(day)
    assert replayed(segment, WhatIf(segment.start.config)).differing == 0


def with_reserve(config: DispatchConfig, reserve_pct: float) -> DispatchConfig:
    return replace(config, policy=replace(config.policy, reserve_pct=reserve_pct))


def test_a_what_if_counts_what_it_would_have_done_and_not_that_its_settings_are_others(day: Path) -> None:
    """A reserve of 20.001 instead of 20 % stands in every decision, and is felt only when it is reached."""
    segment = Segment(day)
    before = segment.start.config
    config = replace(before, policy=replace(before.policy, reserve_pct=before.policy.reserve_pct + 0.001))
    named = [one for one in segment.cycles() if one.decision is not None and one.decision.reserve_pct == 20.0]
    assert replayed(segment, WhatIf(config)).differing < len(named) / 2
    same = said(day, replayed(segment, WhatIf(before)), what_if=True)
    assert "every order would have been the same" in same


def test_what_if_the_reserve_had_been_larger_keeps_that_much_in_the_battery(day: Path) -> None:
    segment = Segment(day)
    config = with_reserve(segment.start.config, 60.0)
    lowest = {"recorded": 100.0, "changed": 100.0}
    moved_wh = {"grid": 0.0, "battery": 0.0}
    last_s: list[float] = []

    def watch(recorded: Recorded, snapshot: Snapshot, decision: Decision | None) -> None:
        was, now = recorded.snapshot, snapshot
        hours = 0.0 if not last_s else (now.now_s - last_s[-1]) / 3600.0
        last_s.append(now.now_s)
        assert was.meter is not None
        assert now.meter is not None
        one, other = was.batteries[0], now.batteries[0]
        assert one is not None
        assert other is not None
        moved_wh["grid"] += (now.meter.pcc_import_w - was.meter.pcc_import_w) * hours
        moved_wh["battery"] += (other.battery_discharge_w - one.battery_discharge_w) * hours
        lowest["recorded"] = min(lowest["recorded"], one.soc_pct or 0.0)
        lowest["changed"] = min(lowest["changed"], other.soc_pct or 0.0)

    result = replayed(segment, WhatIf(config), watch)
    assert result.first is not None
    assert lowest["recorded"] < 30.0
    # It begins at 35 %, below the new reserve, and is not discharged before the sun has filled it.
    assert lowest["changed"] > 34.0
    assert moved_wh["grid"] == pytest.approx(-moved_wh["battery"], abs=1e-6)
    assert settings_changed(segment.start.config, config) == ["policy.reserve_pct: 20 -> 60"]
    assert "would have been different; the first:" in said(day, result, what_if=True)


def test_a_what_if_goes_on_from_one_segment_to_the_next(day: Path, tmp_path: Path) -> None:
    segment = Segment(day)
    cycles = list(segment.cycles())
    halves = []
    for number, half in enumerate((cycles[:1500], cycles[1500:])):
        path = tmp_path / f"{number}.penstock"
        writer = SegmentWriter(path, segment.start)
        writer.add(half)
        writer.close()
        halves.append(Segment(path))
    config = with_reserve(segment.start.config, 60.0)
    what_if = WhatIf(config)
    apart = sum(replayed(half, what_if).differing for half in halves)
    assert apart == replayed(segment, WhatIf(config)).differing


def test_the_cycle_in_which_the_core_failed_is_decided_again(day: Path, tmp_path: Path) -> None:
    segment = Segment(day)
    cycles = list(segment.cycles())[:10]
    cycles[-1] = Recorded(cycles[-1].snapshot, None, Aside(10))
    path = tmp_path / "failed.penstock"
    writer = SegmentWriter(path, segment.start)
    writer.add(cycles)
    writer.close()
    assert "the program ended by an error in the last cycle" in said(path, replayed(Segment(path)))
    assert replayed(Segment(path)).failed.startswith("it does not fail any more: ")


def test_what_a_day_takes_on_the_disk(day: Path) -> None:
    cycles = sum(1 for _ in Segment(day).cycles())
    # 86,400 cycles of it are a day: well below the 50 MiB that an SD card is given.
    assert day.stat().st_size / cycles * 86_400 < 15 * 1024 * 1024


def test_settings_are_named_by_their_path_and_the_id_of_the_device() -> None:
    before = {"batteries.bat1.min_soc_pct": "5", "gone": "1"}
    after = {"batteries.bat1.min_soc_pct": "10", "new": "2"}
    assert changes(before, after) == [
        "batteries.bat1.min_soc_pct: 5 -> 10",
        "gone: 1 -> gone",
        "new: not there -> 2",
    ]
    assert flat(Start("a", DispatchConfig(()), Memory()))["memory.mode"] == "Mode.STARTING"
