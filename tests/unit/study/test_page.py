"""What the page of a study says to whoever reads nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from controller.lab.study.asked import asked
from controller.lab.study.case import NO_BATTERY, Case, Outcome, run_case
from controller.lab.study.page import Frame, study_page
from controller.lab.study.survival import LONGEST_H
from tests.unit.study.sites import a_site, case_of, material_of, measured

NBSP = "\N{NO-BREAK SPACE}"


@pytest.fixture
def outcomes(tmp_path: Path) -> dict[Case, Outcome]:
    """No battery, and one that saves 10 EUR."""
    found = asked(a_site(tmp_path), [measured(tmp_path, days=2)], None, (), (), ("self_consumption",))
    none = run_case(material_of(found), case_of(found, NO_BATTERY))
    case = case_of(found, "self_consumption")
    better = replace(
        none,
        case=case,
        energy_cost=none.energy_cost - 10.0,
        soc_by_day=((50.0,) * 24,) * 2,
        autonomy_median_h=LONGEST_H,
        autonomy_least_h=7.5,
    )
    return {none.case: none, case: better}


def page_of(outcomes: dict[Case, Outcome], days: float) -> str:
    return study_page(Frame("small", "EUR", "the tariff", {"spring": days}), outcomes, list(outcomes))


def test_it_says_which_days_it_is_about(outcomes: dict[Case, Outcome]) -> None:
    assert "<h2>spring: 2 days from 5 May 2025</h2>" in page_of(outcomes, 2.0)


@pytest.mark.parametrize(("days", "warned"), [(2.0, True), (349.0, True), (365.0, False), (730.0, False)])
def test_less_than_a_year_is_no_year(outcomes: dict[Case, Outcome], days: float, warned: bool) -> None:
    words = f"These are {days:.0f} days: other months have another sun and load"
    assert (words in page_of(outcomes, days)) is warned


def test_what_was_followed_for_a_week_lasts_a_week_and_more(outcomes: dict[Case, Outcome]) -> None:
    says = "would have carried the whole house for a week and more"
    assert f"{says} in the middle case and 7.5 hours in the worst." in page_of(outcomes, 2.0)
    always = {case: replace(one, autonomy_least_h=LONGEST_H) for case, one in outcomes.items()}
    assert f"{says}." in page_of(always, 2.0)


def test_a_case_is_one_line_of_its_table(outcomes: dict[Case, Outcome]) -> None:
    name = "8 kWh / 3 kW, self_consumption".replace(" ", NBSP)
    assert page_of(outcomes, 2.0).count(f"<td>{name}</td>") == 2, (
        "once with what it saves, once with its bill"
    )
