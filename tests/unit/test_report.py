"""Reports open anywhere, say nothing that was not meant, and come out the same each time."""

from __future__ import annotations

import pytest

from controller.lab.figures import Band, Line, Mark, Panel, bars, heat_map, stacked
from controller.lab.report import Data, Heading, Plot, Table, Words, page

PANEL = Panel("Power", "W", [Line("PCC", [0, 1, 2], [0.0, None, 500.0], "pcc")], [Mark(2, 500.0, "worst")])


def test_a_report_needs_no_network() -> None:
    text = page("Verdict", [Plot(stacked([PANEL], [Band(0, 1, "meter frozen")]), "what happened")])
    assert "<script src=" not in text
    assert "<link" not in text
    assert "Plotly.newPlot" in text
    assert "meter frozen" in text


def test_text_from_outside_cannot_become_markup() -> None:
    evil = "<script>alert(1)</script>"
    parts = [Heading(evil), Words(evil), Table([evil], [[evil]]), Data(evil, evil)]
    assert evil not in page(evil, parts)


def test_a_heading_stands_above_the_end_of_its_numbers() -> None:
    table = Table(
        ["case", "saving, EUR", "said"],
        [["none", "", "5 kWh"], ["a", "-1.50", "no limit"], ["b", "none", ""]],
    )
    text = page("Study", [table])
    assert "<th>case</th><th>saving, EUR</th><th>said</th>" in text, "half of them are words"
    text = page("Study", [Table(table.headings, table.rows[:2])])
    assert '<th>case</th><th class="number">saving, EUR</th><th>said</th>' in text


def test_the_same_report_is_the_same_file() -> None:
    figure = bars("Bill", "EUR", ["a", "b"], {"now": [1.0, 2.0]})
    parts = [Plot(figure), Plot(heat_map("SoC", "%", [0, 1], ["day"], [[10.0, None]]))]
    assert page("Study", parts) == page("Study", parts)


def test_a_figure_without_panels_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        stacked([])
