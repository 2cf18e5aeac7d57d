"""A run in real time counts only if its host kept the beat; each cycle's times are in trace and report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from controller.lab.hil import run_scenario
from controller.lab.scenario import Scenario, scenario_of
from controller.lab.timing import BeatTiming, timing_rows, why_not_certified
from controller.lab.verdict import judge, junit, trace
from controller.lab.verdict_page import html
from tests.penstock import SMALL_SITE

SCENARIO: dict[str, Any] = {
    "title": "Nothing happens",
    "why": "To see the times.",
    "duration_s": 5,
    "wires": True,
    "site": SMALL_SITE,
    "load": {"power_w": 500},
    "claim": [{"claim": "never", "mode": "FAULT"}],
}


def a_scenario() -> Scenario:
    return scenario_of(Path("nothing.toml"), "", SCENARIO)


def beat(jitter_s: float = 0.002, missed_beats: int = 0) -> BeatTiming:
    return BeatTiming(jitter_s, 0.010, 0.001, 0.020, (0.003, None), missed_beats, missed_beats)


def test_a_host_that_keeps_the_beat_is_certified() -> None:
    assert why_not_certified([(0.0, beat()), (1.0, beat(0.099))], 1.0, []) == ""


def test_a_host_that_came_late_or_missed_a_beat_is_not() -> None:
    beats = [(0.0, beat()), (1.0, beat(0.150)), (4.0, beat(missed_beats=2)), (5.0, beat(missed_beats=2))]
    assert why_not_certified(beats, 1.0, []) == (
        "this host missed 2 of 4 beats and began 1 cycles late, the worst by 150 ms at 1.0 s: "
        "free it of other work and run again"
    )


def test_a_stall_that_the_scenario_plans_is_excused_and_no_other() -> None:
    # Stalled from 10 s to 13 s: the beats of 11 s to 13 s are missed, the one of 14 s is on time again.
    beats = [(10.0, beat()), (14.0, beat(missed_beats=3)), (20.0, beat(missed_beats=3))]
    assert why_not_certified(beats, 1.0, [(10.0, 13.0)]) == ""
    assert "missed 3 of 3" in why_not_certified(beats, 1.0, [(40.0, 43.0)])


def test_a_controller_that_was_started_again_counts_anew() -> None:
    beats = [(0.0, beat(missed_beats=1)), (9.0, beat(missed_beats=0)), (10.0, beat(missed_beats=1))]
    assert "missed 2 of 3 beats" in why_not_certified(beats, 1.0, [])


def test_the_report_has_median_and_worst_of_everything_that_was_timed() -> None:
    rows = timing_rows([beat(0.001), beat(0.003), beat(0.009)], ["grid", "bat1"])
    assert rows == [
        ("start of the cycle late", "3.0 ms", "9.0 ms"),
        ("reading", "10.0 ms", "10.0 ms"),
        ("deciding", "1.0 ms", "1.0 ms"),
        ("slowest order", "20.0 ms", "20.0 ms"),
        ("age of the reading of grid", "3.0 ms", "3.0 ms"),
    ]


def test_each_cycle_of_the_trace_has_its_times_and_the_verdict_says_what_is_not_certified() -> None:
    scenario = a_scenario()
    record = run_scenario(scenario)
    verdict = judge(scenario, "virtual", record)
    assert verdict.why_not_certified == ""
    found = json.loads(trace(verdict))
    assert found["devices"] == ["grid", "bat1"]
    first = found["beats"][0]["timing"]
    assert first["jitter_s"] == 0.0
    assert first["ages_s"] == [0.0, 0.0]
    assert found["beats"][-1]["timing"]["write_s"] is not None

    late = judge(scenario, "real", record)
    object.__setattr__(record.beats[2], "timing", beat(0.3))
    assert "began 1 cycles late, the worst by 300 ms at 2.0 s" in late.why_not_certified
    assert "Not certified: this host began" in html(late)
    assert "start of the cycle late" in html(late)
    assert 'name="not certified"' in junit([late], [5.0])
    assert "began 1 cycles late" in json.loads(trace(late))["why_not_certified"]
