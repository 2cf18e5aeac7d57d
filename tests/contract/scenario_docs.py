"""Writes the tables of docs/scenarios.md from the code: `python -m tests.contract.scenario_docs`."""

from __future__ import annotations

import tomllib
from dataclasses import MISSING, fields
from math import inf
from pathlib import Path
from typing import Any

from controller.lab.claims import CLAIMS
from simulators.faults import ELSEWHERE, INJECTORS, parameters, says
from simulators.faults.model import described
from tests.contract.tables import with_tables

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "scenarios.md"
LIBRARY = sorted((ROOT / "tests" / "scenarios").glob("*.toml"))
COMMAND = "python -m tests.contract.scenario_docs"
WHERE = {"link": "frames", "unit": "registers", "port": "device"}
WIRES = {("tcp",): "TCP", ("tls",): "TLS", ("serial",): "serial"}


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else f"{value:g}"


def _inline(table: dict[str, Any]) -> str:
    return ", ".join(f"{key} = {_shown(value)}" for key, value in table.items() if key != "because")


def claims_table() -> str:
    """Every claim with its keys, and one from the library."""
    tables = [tomllib.loads(path.read_text(encoding="utf-8")) for path in LIBRARY]
    made = [one for table in tables for one in table["claim"]]
    rows = []
    for kind in CLAIMS:
        keys = []
        for one in fields(kind):
            text = f"`{one.name}`{'' if one.default is MISSING else '?'}: {one.metadata['says']}"
            if one.default not in (MISSING, inf, -inf, ""):
                text += f", else {_shown(one.default)}"
            keys.append(text)
        example = next(_inline(one) for one in made if one["claim"] == kind.name)
        sentence = " ".join((kind.__doc__ or "").split())
        rows.append(f"| `{kind.name}` | {sentence} | {'<br>'.join(keys)} | `{example}` |")
    head = ["| claim | holds when | keys (`?`: may be left out) | such as |", "|---|---|---|---|"]
    return "\n".join([*head, *rows])


def faults_table() -> str:
    """Every fault with its parameters, and an example of each."""
    rows = []
    for name, kind in INJECTORS.items():
        own = [one for one in parameters(kind) if not one.kw_only]
        keys = "<br>".join(f"`{one.name}`: {described(one)}" for one in own)
        device = {"meter": "grid", "battery": "bat1", "pv": "roof"}.get(kind.roles[0], kind.roles[0])
        example = _inline(
            {"device": device, "at_s": 60, "for_s": 30, "fault": name} | {p.name: p.default for p in own}
        )
        ids = ", ".join(kind.ids)
        where = WIRES.get(getattr(kind, "wires", ()), WHERE.get(kind.seam, kind.seam))
        rows.append(f"| `{name}` | {where} | {says(kind)} | {keys} | {ids} | `{example}` |")
    head = ["| fault | where | what it does | parameters | IDs | such as |", "|---|---|---|---|---|---|"]
    return "\n".join([*head, *rows])


def elsewhere_table() -> str:
    """IDs of the catalogue that no fault stands for, and why."""
    return "\n".join(["| ID | |", "|---|---|", *(f"| {key} | {why} |" for key, why in ELSEWHERE.items())])


def library_table() -> str:
    """The scenarios of the library."""
    rows = []
    for path in LIBRARY:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        rows.append(f"| [`{path.stem}`](../tests/scenarios/{path.name}) | {table['title']} |")
    return "\n".join(["| scenario | |", "|---|---|", *rows])


def rewritten(page: str) -> str:
    """The page with all tables as the code has them."""
    tables = {
        "claims": claims_table(),
        "faults": faults_table(),
        "elsewhere": elsewhere_table(),
        "library": library_table(),
    }
    return with_tables(page, tables, "docs/scenarios.md")


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
