"""Pure: do a profile's points give what its examples say, worked out by hand?

Driver and emulator share the profile, so they share its mistakes; the examples are the second opinion.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from drivers.control import Control, Values, change, release, take
from drivers.profile.codec import field_values, memory_of, point_values, register_writes
from drivers.profile.model import DeviceProfile, Example, Write
from drivers.profile.relay import relay_write


def examples_wrong(profile: DeviceProfile) -> Iterator[tuple[int, str]]:
    """Each example that does not come out, by its number from 0, with what came instead."""
    for number, example in enumerate(profile.examples):
        values = point_values(profile, memory_of(example.registers))
        said = (example.take_w, example.change_w, example.release or None, example.set_closed)
        orders = sum(one is not None for one in said)
        if orders > 1 or bool(orders) == bool(example.reading):
            yield (
                number,
                "shows either a reading or one of take_w, change_w, release, set_closed with its writes",
            )
        elif orders:
            yield from ((number, text) for text in _order_wrong(profile, example, values))
        else:
            yield from ((number, text) for text in _reading_wrong(profile, example, values))
    if not any(example.reading for example in profile.examples):
        yield 0, "no example shows a reading; add one"
    ordered = any(example.take_w for example in profile.examples)
    if profile.control is not None and not (ordered and any(one.release for one in profile.examples)):
        yield 0, "this device takes orders, so add an example with take_w, not 0, and one with release = true"
    moved = {example.set_closed for example in profile.examples}
    if profile.relay is not None and not {True, False} <= moved:
        yield 0, "these relays are moved, so add an example with set_closed = true and one with false"


def _reading_wrong(profile: DeviceProfile, example: Example, values: Values) -> Iterator[str]:
    fields = field_values(profile, values)
    for name, expected in example.reading.items():
        if name not in fields:
            yield f"{name} cannot be read from the registers given"
            continue
        found = fields[name]
        number = isinstance(expected, float | int) and not isinstance(expected, bool)
        if number and isinstance(found, float):
            same = math.isclose(found, float(expected or 0.0), rel_tol=1e-9, abs_tol=1e-9)
        else:
            same = found == expected
        if not same:
            yield f"{name} comes out as {found}, the example says {expected}"


def _order_wrong(profile: DeviceProfile, example: Example, values: Values) -> Iterator[str]:
    control = profile.control
    if control is None and example.set_closed is None:
        yield "shows an order, but there is no [control]"
        return
    try:
        found = _ordered(profile, control, example, values)
    except ValueError as error:
        yield str(error)
        return
    memory = memory_of(example.registers)
    found = tuple(
        replace(one, words=(memory.get(("holding", one.address), 0) & one.keep | one.words[0],))
        if one.keep
        else one
        for one in found
    )
    if [(one.address, one.words) for one in found] != [(one.address, one.words) for one in example.writes]:
        yield f"the order is written as {_shown(found)}, the example says {_shown(example.writes)}"


def _ordered(
    profile: DeviceProfile, control: Control | None, example: Example, values: Values
) -> tuple[Write, ...]:
    """What the profile makes of the example's order."""
    if control is None:
        return (relay_write(profile, bool(example.set_closed)),)
    if example.take_w is not None:
        steps = take(control, example.take_w, values)
    elif example.change_w is not None:
        steps = change(control, example.change_w, values)
    else:
        steps = release(control)
    return register_writes(profile, steps, values)


def _shown(writes: tuple[Write, ...]) -> str:
    return str([f"{one.address} " + " ".join(f"{word:04X}" for word in one.words) for one in writes])
