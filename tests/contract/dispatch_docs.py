"""Writes the tables of docs/dispatch.md from the code: `python -m tests.contract.dispatch_docs`."""

from __future__ import annotations

from pathlib import Path

from controller.dispatch.limits import LIMITS
from controller.dispatch.modes import NEXT_MODE, Mode, Signal
from tests.contract.tables import with_tables

PAGE = Path(__file__).resolve().parents[2] / "docs" / "dispatch.md"
COMMAND = "python -m tests.contract.dispatch_docs"


def limits_table() -> str:
    """The limits, strongest first."""
    rows = [f"| {place} | `{one.name}` | {one.says} |" for place, one in enumerate(LIMITS, start=1)]
    return "\n".join(["| | limit | what it is |", "|---|---|---|", *rows])


def modes_table() -> str:
    """A row a mode, a column a signal; a change is bold."""
    rows = [
        "| "
        + " | ".join([f"`{mode.value}`", *(_cell(mode, NEXT_MODE[mode, signal]) for signal in Signal)])
        + " |"
        for mode in Mode
    ]
    head = "| mode | " + " | ".join(f"`{signal.value}`" for signal in Signal) + " |"
    return "\n".join([head, "|---" * (len(Signal) + 1) + "|", *rows])


def _cell(mode: Mode, after: Mode) -> str:
    return "stays" if after is mode else f"**{after.value}**"


def rewritten(page: str) -> str:
    """The page with both tables as the code has them; ValueError when a marker is missing or stands twice."""
    return with_tables(page, {"limits": limits_table(), "modes": modes_table()}, "docs/dispatch.md")


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
