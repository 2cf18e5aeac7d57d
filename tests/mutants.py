"""What `make mutants` found, file by file; fails when too few changes were noticed.

Counted are all changes that mutmut made: killed by a failing test, stopped because they never ended, or
survived. A change that no test even runs has survived.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

RESULTS = Path("mutants/controller/dispatch")
LEAST_KILLED = 0.95
KILLED = frozenset({1, 3})
"""What pytest ends with when a test failed, and when collecting the tests already did."""
SURVIVED = frozenset({0, 5, 33})
"""All tests passed; no test was run; mutmut knew of none to run."""


def outcome(code: int | None) -> str:
    """One of the three outcomes that are counted, or `unchecked`."""
    if code is None:
        return "unchecked"
    return "killed" if code in KILLED else "survived" if code in SURVIVED else "stopped"


def counted(path: Path) -> Counter[str]:
    """The outcomes of one file's changes."""
    codes = json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
    return Counter(outcome(code) for code in codes.values())


def main() -> int:
    """Print the table; 1 when the share of killed changes is too small, or a change was not tried."""
    whole: Counter[str] = Counter()
    print(f"{'file':28}{'mutants':>9}{'killed':>9}{'stopped':>9}{'survived':>10}")
    for path in sorted(RESULTS.rglob("*.py.meta")):
        found = counted(path)
        whole += found
        if found:
            print(_row(path.relative_to(RESULTS).as_posix().removesuffix(".meta"), found))
    print(_row("all", whole))
    share = whole["killed"] / max(whole.total(), 1)
    print(f"killed: {share:.1%}; wanted: {LEAST_KILLED:.0%}")
    return 0 if share >= LEAST_KILLED and not whole["unchecked"] else 1


def _row(name: str, found: Counter[str]) -> str:
    return f"{name:28}{found.total():9}{found['killed']:9}{found['stopped']:9}{found['survived']:10}"


if __name__ == "__main__":
    sys.exit(main())
