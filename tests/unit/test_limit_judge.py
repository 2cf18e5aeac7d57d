"""When is a limit broken: for longer than five seconds, and only if somebody could have kept it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from controller.config import load_config
from controller.dispatch.site import Snapshot
from controller.lab.house import build_house
from controller.lab.judge import LimitJudge, Verdict
from simulators.traces import StepTrace

SITE = """site = "house-7"
[grid]
import_limit_w = 3000
[[meter]]
id = "grid"
profile = "eastron-sdm630"
connection = "tcp://127.0.0.1:5020"
[[battery]]
id = "bat1"
profile = "sunspec-hybrid"
connection = "tcp://127.0.0.1:5021"
capacity_wh = 10_000
"""


def judged(folder: Path, loads_w: list[float], looks_s: list[float], soc_pct: float = 50.0) -> Verdict:
    """A load second by second, the battery at rest, and decisions at these seconds."""
    path = folder / "house.toml"
    path.write_text(SITE + f"\n[simulation]\ninitial_soc_pct = {soc_pct}\n", encoding="utf-8")
    config = load_config(path)
    house = build_house(config, StepTrace(1.0, loads_w), StepTrace(1.0, [0.0]), 1.0)
    verdict = Verdict()
    judge = LimitJudge(config.dispatch, verdict)
    for begin_s, until_s in pairwise(looks_s):
        judge.watch(house, Snapshot(begin_s, None, ()), until_s)
    return verdict


@pytest.mark.parametrize(
    "looks_s", [[0.0, 1.0, 30.0], [0.0, 3.0, 7.0, 30.0], [float(at) for at in range(31)]]
)
def test_five_seconds_above_a_limit_are_not_yet_a_violation_however_long_a_decision_stands(
    looks_s: list[float], tmp_path: Path
) -> None:
    calm = [500.0] * 20
    assert judged(tmp_path, [500.0, *[9000.0] * 4, 500.0, *calm], looks_s) == Verdict()


def test_seven_seconds_above_a_limit_are_one(tmp_path: Path) -> None:
    loads_w = [9000.0] * 7 + [500.0] * 30
    verdict = judged(tmp_path, loads_w, [0.0, *[float(at) for at in range(1, 30)]])
    assert (verdict.violations, verdict.violation_s) == (2, pytest.approx(2.0))
    assert verdict.worst_w == pytest.approx(9000.0 - 3000.0 - 100.0, abs=20.0)


def test_what_an_empty_battery_cannot_help_is_beyond_control(tmp_path: Path) -> None:
    verdict = judged(tmp_path, [9000.0] * 40, [0.0, 1.0, 40.0], soc_pct=5.0)
    assert (verdict.violations, verdict.beyond_control_s) == (0, pytest.approx(34.0, abs=2.0))
