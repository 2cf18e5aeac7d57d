"""The limits and modes in docs/dispatch.md are those of the code."""

from __future__ import annotations

import pytest

from controller.dispatch.limits import LIMITS
from controller.dispatch.modes import Mode
from tests.contract.dispatch_docs import COMMAND, PAGE, limits_table, modes_table, rewritten

EMPTY = (
    "a\n<!-- limits: begin -->\n<!-- limits: end -->\nb\n"
    "<!-- modes: begin -->\nobsolete\n<!-- modes: end -->\nc\n"
)


def test_the_page_shows_limits_and_modes_as_they_are() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == rewritten(page), f"docs/dispatch.md is out of date: run `{COMMAND}` and commit the result"


def test_the_limits_are_listed_strongest_first() -> None:
    rows = limits_table().splitlines()[2:]
    assert len(rows) == len(LIMITS)
    assert rows[0].startswith("| 1 | `rating` |")
    assert rows[-1].startswith(f"| {len(LIMITS)} | `min_power` |")


def test_every_mode_has_a_row_that_answers_every_signal() -> None:
    head, _, *rows = modes_table().splitlines()
    assert head == "| mode | `PROVEN` | `FRESH` | `STALE` | `LOST` | `NO_GRID` | `STOP` | `FAULTY` |"
    assert len(rows) == len(Mode)
    assert rows[2] == (
        "| `HOLDING` | **RUNNING** | stays | stays | **SAFE** | **ISLANDED** | **STOPPED** | **FAULT** |"
    )


def test_only_what_stands_between_the_markers_is_rewritten() -> None:
    after = rewritten(EMPTY)
    assert after.startswith("a\n<!-- limits: begin -->\n| | limit |")
    assert after.endswith("|\n<!-- modes: end -->\nc\n")
    assert "obsolete" not in after
    assert rewritten(after) == after


@pytest.mark.parametrize(
    "page",
    ["", EMPTY * 2, EMPTY.replace("modes: end", "modes"), EMPTY.replace("limits: begin", "limits: end")],
)
def test_a_page_without_its_markers_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="each once"):
        rewritten(page)
