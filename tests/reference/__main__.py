"""Runs every comparison; exit code 1 when one is further apart than it may be."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.reference import battery, bills

COMPARISONS = (battery, bills)
TRACES = Path(__file__).parent / "traces"


def main() -> int:
    """All comparisons, one table."""
    table = Table("what", "apart", "allowed", "", title="Penstock beside NREL's models")
    good = True
    for comparison in COMPARISONS:
        for found in comparison.run(TRACES):
            met = found.apart <= found.allowed
            good &= met
            numbers = (f"{found.apart:.4g} {found.unit}", f"{found.allowed:g} {found.unit}")
            table.add_row(found.name, *numbers, "ok" if met else "TOO FAR")
    Console().print(table)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
