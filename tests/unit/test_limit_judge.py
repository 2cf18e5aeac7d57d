"""When is a limit broken: for longer than five seconds, and only if somebody could have kept it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from controller.dispatch.settings import DispatchConfig
from controller.dispatch.site import Snapshot
from controller.lab.judge import LimitJudge, Verdict
from simulators.traces import StepTrace, Trace
from tests.unit.sites import CONFIG, a_house, constant

LIMITED = replace(CONFIG, import_limit_w=3000.0)


def judged(
    loads_w: list[float],
    looks_s: list[float],
    soc_pct: float = 50.0,
    config: DispatchConfig = LIMITED,
    sun: Trace | None = None,
    late_s: float = 0.0,
) -> Verdict:
    """A load second by second, the battery at rest, and decisions at these seconds."""
    house = a_house(StepTrace(1.0, loads_w), sun or constant(0.0), soc_pct)
    verdict = Verdict()
    judge = LimitJudge(config, verdict, late_s)
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


def each_second(seconds: int) -> list[float]:
    return [float(at) for at in range(seconds + 1)]


def test_a_limit_that_is_broken_the_other_way_round_begins_anew() -> None:
    # Beyond the import limit for 20 s with an empty battery, then beyond the export limit for 4 s.
    both = replace(LIMITED, export_limit_w=0.0)
    sun = StepTrace(1.0, [0.0] * 20 + [4000.0] * 4 + [0.0] * 16)
    verdict = judged([9000.0] * 20 + [0.0] * 20, each_second(40), 5.0, both, sun)
    assert (verdict.violations, verdict.beyond_control_s > 10.0) == (0, True)


def test_what_a_late_meter_has_not_shown_yet_breaks_no_limit() -> None:
    loads_w = [9000.0] * 9 + [500.0] * 30
    assert judged(loads_w, each_second(39)).violations == 4
    assert judged(loads_w, each_second(39), late_s=4.0).violations == 0


def test_sun_that_nobody_can_curtail_is_no_room() -> None:
    config = replace(CONFIG, export_limit_w=0.0, pvs=())
    verdict = judged([0.0] * 20, each_second(19), 100.0, config, constant(4000.0))
    assert (verdict.violations, verdict.beyond_control_s > 10.0) == (0, True)
    curtailable = replace(config, pvs=CONFIG.pvs)
    assert judged([0.0] * 20, each_second(19), 100.0, curtailable, constant(4000.0)).violations > 0


def test_power_that_the_site_file_forbids_is_no_room() -> None:
    derated = replace(CONFIG.batteries[0], discharge_by_soc=((0.0, 0.0), (60.0, 0.0), (100.0, 1.0)))
    verdict = judged([9000.0] * 20, each_second(19), config=replace(LIMITED, batteries=(derated,)))
    assert (verdict.violations, verdict.beyond_control_s > 10.0) == (0, True)
