"""Settings as lines of text, and what differs between two sets of them: for people, for the audit trail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any


def flat(facts: Any, exact: bool = False) -> dict[str, str]:
    """Every number and word of a dataclass by its path, such as `batteries.bat1.min_soc_pct`.

    Floats in seven digits, or, when `exact`, in as many as tell them from all others.
    """
    return {path: _shown(value, exact) for path, value in _lines(facts, "")}


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """One line for each difference: path, old value, new value."""
    found = []
    for path in (*before, *(one for one in after if one not in before)):
        was, now = before.get(path), after.get(path)
        if was != now:
            found.append(f"{path}: {'not there' if was is None else was} -> {'gone' if now is None else now}")
    return found


def differences(before: Any, after: Any) -> list[str]:
    """`changes` of two dataclasses, in more digits where seven do not show the difference."""
    was, now = flat(before), flat(after)
    for path, exact in flat(before, exact=True).items():
        other = flat(after, exact=True).get(path)
        if other is not None and exact != other and was[path] == now.get(path):
            was[path], now[path] = exact, other
    return changes(was, now)


def _lines(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if is_dataclass(value):
        for one in fields(value):
            yield from _lines(getattr(value, one.name), f"{path}.{one.name}" if path else one.name)
    elif isinstance(value, tuple) and any(is_dataclass(one) for one in value):
        for number, one in enumerate(value, 1):
            yield from _lines(one, f"{path}.{getattr(one, 'id', number)}")
    else:
        yield path, value


def _shown(value: Any, exact: bool) -> str:
    if isinstance(value, float):
        return repr(value) if exact else f"{value:.7g}"
    if isinstance(value, frozenset):
        return ", ".join(sorted(str(one) for one in value))
    if isinstance(value, tuple):
        return f"({', '.join(_shown(one, exact) for one in value)})"
    return "none" if value is None or value == "" else str(value)
