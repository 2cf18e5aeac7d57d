"""Every scenario of the library keeps its claims, with the whole shell in virtual time."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.lab.hil import run_scenario
from controller.lab.scenario import load_scenario

LIBRARY = sorted(Path(__file__).parent.glob("*.toml"))


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: path.stem)
def test_a_scenario_of_the_library_keeps_its_claims(path: Path) -> None:
    scenario = load_scenario(path)
    record = run_scenario(scenario)
    broken = [one.text for one in (made.claim.judge(record) for made in scenario.claims) if not one.held]
    assert broken == []
