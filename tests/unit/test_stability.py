"""The loop does not hunt, whatever inverter, meter and profile: the whole matrix in virtual time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.dispatch.settings import MeterSettings
from controller.lab import stability
from controller.lab.stability import Case, cases, run
from drivers.device import MeterReading


def test_no_case_of_the_matrix_hunts_and_every_right_profile_settles_in_time() -> None:
    bad = [outcome for outcome in map(run, cases()) if not outcome.good]
    assert bad == []


def test_a_late_meter_treated_as_prompt_would_be_found_by_the_matrix(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def as_if_prompt(*seen: object) -> tuple[float, float]:
        meter = seen[2]
        assert isinstance(meter, MeterReading)
        return meter.taken_at_s, meter.taken_at_s

    monkeypatch.setattr("controller.dispatch.response.measured_between", as_if_prompt)
    monkeypatch.setattr("controller.dispatch.response.off_by_s", lambda *_: 0.0)
    assert run(Case(0.2, 0.1, 3.0, 1.0, 0.0)).hunts


@pytest.mark.parametrize("meter_delay_s", [1.0, 3.0])
@pytest.mark.parametrize("meter_period_s", [0.2, 1.0, 5.0])
@pytest.mark.parametrize("dead_time_s", [0.2, 1.6])
def test_a_meter_that_is_later_than_its_profile_says_stops_swinging_by_itself(
    meter_delay_s: float, meter_period_s: float, dead_time_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = stability._config
    monkeypatch.setattr(stability, "_config", lambda case: replace(right(case), meter=MeterSettings()))
    assert not run(Case(dead_time_s, 0.6, meter_delay_s, meter_period_s, 0.0)).hunts


def test_the_measures_of_one_case_by_hand() -> None:
    # The step comes between two beats: seen at 1 s, believed at 2 s, in effect at 2.2 s; then a lag of 0.1 s
    # leaves 100 W of 2000 W after another 0.3 s.
    outcome = run(Case(0.2, 0.1, 0.0, 0.2, 0.0))
    assert outcome.settled_s == pytest.approx(2.5, abs=0.15)
    assert outcome.dead_s == pytest.approx(2.2, abs=0.15)
    assert outcome.overshoot_pct == 0.0
    assert outcome.swing_w < 100.0
    # 2000 W for 2.2 s and the lag's 0.1 s.
    assert outcome.avoidable_import_wh == pytest.approx(2000 * 2.3 / 3600, abs=0.1)
