"""The picture of the shares in docs/planning.md is drawn from the table above it."""

from __future__ import annotations

from tests.bench.money.pictures import DOCS, the_shares


def test_each_site_of_the_table_has_its_two_bars() -> None:
    page = (DOCS / "planning.md").read_text(encoding="utf-8").split("![Share")[0]
    own, plans = the_shares().data
    assert len(own.y) == len(plans.y) == page.count("%** |") > 5
    assert own.y[0] == "Belgian home 2024,<br>dynamic prices"
    for one in (*own.x, *plans.x):
        assert f"{one:.1f} %" in page
