"""docs/devices.md says what the profiles say."""

from __future__ import annotations

from drivers.profile import shipped_profiles
from tests.contract.device_docs import PAGE, page


def test_the_page_of_devices_is_up_to_date() -> None:
    written = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    assert written == page(), "docs/devices.md is out of date; run: python -m tests.contract.device_docs"


def test_every_profile_has_a_row_that_says_how_it_is_reached_and_where_its_facts_are_from() -> None:
    rows = [line for line in page().splitlines() if line.startswith("| ")]
    for name in shipped_profiles():
        (row,) = [line for line in rows if f"| `{name}` |" in line]
        assert "not said" not in row, f"{name}: add over = [...] to its [transport]"
