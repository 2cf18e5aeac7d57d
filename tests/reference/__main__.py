"""Runs every comparison of this folder and prints the table; exit code 1 when one is too far off.

`python -m tests.reference [DATA]`: with a folder of developers' data its files are compared too.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from rich.console import Console
from rich.table import Table

from tests.reference.row import Row


def main(data: Path | None) -> int:
    """All modules that have a `compare`, in the order of their names."""
    folder = Path(__file__).parent
    rows: list[Row] = []
    for module in iter_modules([str(folder)]):
        compare = getattr(import_module(f"tests.reference.{module.name}"), "compare", None)
        if compare is not None:
            rows += compare(data)
    table = Table("subject", "what", "ours", "reference", "apart", "allowed", "")
    for row in rows:
        figures = (f"{row.ours:,.4f}", f"{row.reference:,.4f}", f"{row.apart_pct:.2g} %")
        table.add_row(row.subject, row.what, *figures, f"{row.allowed_pct:g} %", "ok" if row.met else "OFF")
    Console().print(table)
    return 0 if rows and all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else None))
