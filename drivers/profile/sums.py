"""Pure: "a - b + c" in a profile, as the points to add and to subtract; and back for the emulator."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from drivers.control import Sum, added
from drivers.registers import Value

_TERM = re.compile(r"\s*([+-]?)\s*([a-z][a-z0-9_]*)")


def parsed(text: str, known: Collection[str]) -> Sum:
    """The terms of a sum; ValueError says what is wrong with it. There is nothing but + and -."""
    terms: list[tuple[float, str]] = []
    at = 0
    while at < len(text.rstrip()):
        found = _TERM.match(text, at)
        if found is None or (terms and not found[1]):
            raise ValueError(
                f'"{text}" is not a sum of points; write it like "grid_l1_w + grid_l2_w - battery_w"'
            )
        if found[2] not in known:
            raise ValueError(f'"{found[2]}" in "{text}" is not a point')
        terms.append((-1.0 if found[1] == "-" else 1.0, found[2]))
        at = found.end()
    if len({name for _, name in terms}) != len(terms) or not terms:
        raise ValueError(f'"{text}" names a point twice or none at all')
    return tuple(terms)


def with_sums(
    values: dict[str, Value], sums: Mapping[str, Sum], quiet: Collection[str] = ()
) -> dict[str, Value]:
    """The values, and each sum whose terms are all among them, under its field's name.

    A term among `quiet` that has no value is left out, as long as another one has.
    """
    for field, terms in sums.items():
        if all(name in values for _, name in terms):
            said = tuple(term for term in terms if values[term[1]] is not None or term[1] not in quiet)
            values[field] = added(said, values) if said else None
    return values


def shared_out(terms: Sum, value: float | None) -> dict[str, Value]:
    """Terms that add up to this value: all of it on the first point of the right sign, 0 on the others."""
    if value is None:
        return {name: None for _, name in terms}
    shares: dict[str, Value] = {name: 0.0 for _, name in terms}
    for factor, name in terms:
        if factor * value >= 0:
            shares[name] = abs(value)
            return shares
    factor, name = terms[0]
    shares[name] = factor * value
    return shares
