"""When is a limit broken: for longer than five seconds, and only if somebody could have kept it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from controller.dispatch.site import Snapshot
from controller.lab.judge import LimitJudge, Verdict
from simulators.traces import StepTrace
from tests.unit.sites import CONFIG, a_house, constant

LIMITED = replace(CONFIG, import_limit_w=3000.0)


def judged(loads_w: list[float], looks_s: list[float], soc_pct: float = 50.0) -> Verdict:
    """A load second by second, the battery at rest, and decisions at these seconds."""
    house = a_house(StepTrace(1.0, loads_w), constant(0.0), soc_pct)
    verdict = Verdict()
    judge = LimitJudge(LIMITED, verdict)
    for begin_s, until_s in pairwise(looks_s):
        judge.watch(house, Snapshot(begin_s, None, ()), until_s)
    return verdict


@pytest.mark.parametrize(
    "looks_s", [[0.0, 1.0, 30.0], [0.0, 3.0, 7.0, 30.0], [float(at) for at in range(31)]]
)
def test_five_seconds_above_a_limit_are_not_yet_a_violation_however_long_a_decision_stands(
    looks_s: list[float],
) -> None:
    calm = [500.0] * 20
    assert judged([500.0, *[9000.0] * 4, 500.0, *calm], looks_s) == Verdict()


def test_seven_seconds_above_a_limit_are_one() -> None:
    loads_w = [9000.0] * 7 + [500.0] * 30
    verdict = judged(loads_w, [0.0, *[float(at) for at in range(1, 30)]])
    assert (verdict.violations, verdict.violation_s) == (2, pytest.approx(2.0))
    assert verdict.worst_w == pytest.approx(9000.0 - 3000.0 - 100.0, abs=20.0)


def test_what_an_empty_battery_cannot_help_is_beyond_control() -> None:
    verdict = judged([9000.0] * 40, [0.0, 1.0, 40.0], soc_pct=5.0)
    assert (verdict.violations, verdict.beyond_control_s) == (0, pytest.approx(34.0, abs=2.0))
