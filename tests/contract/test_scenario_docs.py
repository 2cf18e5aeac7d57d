"""The claims, faults and scenarios in docs/scenarios.md are those of the code."""

from __future__ import annotations

import tomllib
from pathlib import Path

from controller.lab.scenario import load_scenario
from tests.contract.scenario_docs import COMMAND, PAGE, rewritten


def test_the_page_shows_claims_faults_and_library_as_they_are() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == rewritten(page), f"docs/scenarios.md is out of date: run `{COMMAND}` and commit the result"


def test_the_example_of_the_page_is_a_scenario(tmp_path: Path) -> None:
    example = PAGE.read_text(encoding="utf-8").split("```toml\n")[1].split("```")[0]
    site = PAGE.parents[1] / "tests" / "scenarios" / "sites" / "home.toml"
    path = tmp_path / "example.toml"
    path.write_text(example.replace("house.toml", str(site)), encoding="utf-8")
    assert tomllib.loads(example)["site"]["file"] == "house.toml"
    assert len(load_scenario(path).claims) == 3
