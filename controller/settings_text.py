"""Settings as lines of text, and what differs between two sets of them: for people, for the audit trail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any


def flat(facts: Any) -> dict[str, str]:
    """Every number and word of a dataclass by its path, such as `batteries.bat1.min_soc_pct`."""
    return dict(_lines(facts, ""))


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """One line for each difference: path, old value, new value."""
    found = []
    for path in (*before, *(one for one in after if one not in before)):
        was, now = before.get(path), after.get(path)
        if was != now:
            found.append(f"{path}: {'not there' if was is None else was} -> {'gone' if now is None else now}")
    return found


def _lines(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if is_dataclass(value):
        for one in fields(value):
            yield from _lines(getattr(value, one.name), f"{path}.{one.name}" if path else one.name)
    elif isinstance(value, tuple) and any(is_dataclass(one) for one in value):
        for number, one in enumerate(value, 1):
            yield from _lines(one, f"{path}.{getattr(one, 'id', number)}")
    else:
        yield path, _shown(value)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, frozenset):
        return ", ".join(sorted(str(one) for one in value))
    if isinstance(value, tuple):
        return f"({', '.join(_shown(one) for one in value)})"
    return "none" if value is None else str(value)
