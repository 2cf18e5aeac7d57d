"""Which dataclasses and enums can be met in a record, from the type hints of its roots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import is_dataclass
from enum import Enum
from typing import Any, get_args, get_type_hints


class RecordError(ValueError):
    """The bytes are no record of this vocabulary; the text says what is wrong."""


def reached(roots: Sequence[type]) -> dict[str, type]:
    """Them by their names, which must differ."""
    found: dict[str, type] = {}
    for root in roots:
        _collect(root, found)
    return found


def _collect(hint: Any, found: dict[str, type]) -> None:
    """Every dataclass and enum in a hint, and in the fields of those dataclasses."""
    if isinstance(hint, type) and (is_dataclass(hint) or issubclass(hint, Enum)):
        if found.setdefault(hint.__name__, hint) is not hint:
            raise RecordError(f"two types are called {hint.__name__}")
        if is_dataclass(hint):
            for one in _unseen(hint, found):
                _collect(one, found)
    for one in get_args(hint):
        if not isinstance(one, str):
            _collect(one, found)


def _unseen(facts: type, found: dict[str, type]) -> Iterator[Any]:
    for hint in get_type_hints(facts).values():
        if hint not in found.values():
            yield hint
