"""The library notices a wrong controller: two planted bugs, each caught by at least three scenarios."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from controller.dispatch import observe, running
from controller.dispatch.limits import Latches, Range, kept_for_reserve
from controller.dispatch.settings import MeterSettings
from controller.dispatch.site import BatterySite
from controller.lab.hil import run_scenario
from controller.lab.scenario import load_scenario

HERE = Path(__file__).parent


def caught(*names: str) -> list[str]:
    """Which of these scenarios have a broken claim."""
    found = []
    for name in names:
        scenario = load_scenario(HERE / f"{name}.toml")
        record = run_scenario(scenario, "fast")
        if not all(one.claim.judge(record).held for one in scenario.claims):
            found.append(name)
    return found


IN_CONFLICT = ("import_limit", "fuse_at_reserve", "operator_import")
LATE = ("late_meter", "late_meter_sun", "late_meter_follower")


def test_without_a_bug_they_hold_by_the_bare_step_too() -> None:
    assert caught(*IN_CONFLICT, *LATE) == []


def test_a_reserve_that_goes_before_the_grid_limits_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    right = running.rating

    def swapped(battery: BatterySite, latches: Latches) -> Range:
        return kept_for_reserve(right(battery, latches), latches)

    monkeypatch.setattr(running, "rating", swapped)
    assert caught(*IN_CONFLICT) == list(IN_CONFLICT)


def test_a_meter_whose_delay_is_ignored_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    right = observe.follow

    def undelayed(meter: MeterSettings, *rest: Any) -> Any:
        return right(MeterSettings(0.0, meter.period_s), *rest)

    monkeypatch.setattr(observe, "follow", undelayed)
    assert caught(*LATE) == list(LATE)
