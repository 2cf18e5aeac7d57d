"""Our batteries beside NREL's, as `make reference` has recorded them (see tests/reference)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reference.matched import TRACES, compared, read

FOLDER = Path(__file__).parents[1] / "reference" / "traces"


@pytest.mark.parametrize("name", TRACES)
def test_our_battery_goes_the_way_of_the_reference(name: str) -> None:
    found = compared(name, read(FOLDER / f"{name}.csv"))
    assert [(one.name, one.apart) for one in found if one.apart > one.allowed] == []


@pytest.mark.parametrize("name", TRACES)
def test_the_reference_goes_far_enough_to_show_a_difference(name: str) -> None:
    rows = read(FOLDER / f"{name}.csv")
    socs_pct = [row.soc_pct for row in rows]
    assert max(socs_pct) - min(socs_pct) > 40.0
    assert any(row.current_a < 0 for row in rows)
    assert len(rows) > (600 if name.endswith("week") else 60)
