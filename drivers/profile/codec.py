"""Pure: a profile's registers as values, its steps as register writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from drivers.control import STYLES, Steps, Values, held
from drivers.profile.model import HELD, DeviceProfile, Image, Point, Write
from drivers.profile.sums import with_sums
from drivers.registers import Rounding, Value, decode, encode
from drivers.wire import Space

Memory = Mapping[tuple[Space, int], int]


def memory_of(images: Iterable[Image]) -> dict[tuple[Space, int], int]:
    """Every word of these images by its place."""
    return {(one.kind, one.address + i): word for one in images for i, word in enumerate(one.words)}


def power_for(point: Point, values: Values) -> float | None:
    """The power of ten of a point's scale factor: 0 if it has none, None if the device gives none."""
    if point.power_of is None:
        return 0.0
    power = values.get(point.power_of)
    return power if isinstance(power, float) else None


def point_values(profile: DeviceProfile, memory: Memory) -> dict[str, Value]:
    """The value of every point whose registers, with those it needs, are all in the memory; and the sums."""
    values: dict[str, Value] = {}
    for point in sorted(profile.points.values(), key=lambda one: bool(one.needs)):
        words = [memory.get((point.kind, address)) for address in range(point.address, point.end)]
        present = [word for word in words if word is not None]
        if len(present) == len(words) and all(name in values for name in point.needs):
            value = decode(point.encoding, present, power_for(point, values))
            values[point.name] = signed(point, value, values)
    return with_sums(values, profile.sums, profile.quiet)


def signed(point: Point, value: Value, values: Values) -> Value:
    """A magnitude with the sign that another point holds; any other value as it is."""
    if point.sign is None or not isinstance(value, float):
        return value
    sign = point.sign.of(values.get(point.sign.point))
    return None if sign is None else value * sign


def field_values(profile: DeviceProfile, values: Values) -> dict[str, Value | bool]:
    """The reading's fields, as far as these values give them, the device's own order among them."""
    fields: dict[str, Value | bool] = {
        name: point.field_value(values[point.name])
        for name, point in profile.gives.items()
        if point.name in values
    }
    fields |= {name: values[name] for name in profile.sums if name in values}
    if profile.control is not None and profile.control.setpoint in values:
        fields[HELD[profile.role]] = held(profile.control, values)
    return fields


def point_words(point: Point, value: Value, values: Values) -> tuple[int, ...]:
    """The words of a value; ValueError if it does not fit. What is ordered is rounded toward zero."""
    if isinstance(value, float) and point.range is not None:
        low, high = point.range
        if not low <= value <= high:
            raise ValueError(f"{point.name} is {value:g}; give {low:g} to {high:g}")
    try:
        rounding: Rounding = "toward_zero" if point.writable else "nearest"
        return encode(point.encoding, value, power_for(point, values), rounding)
    except ValueError as error:
        raise ValueError(f"{point.name}: {error}") from None


def register_writes(profile: DeviceProfile, steps: Steps, values: Values) -> tuple[Write, ...]:
    """One write for each step, in order; ValueError if a value cannot be encoded.

    A setpoint and the opposite that pins it share one request where they lie next to each other; so do all
    neighbours of a device that wants them together.
    """
    control = profile.control
    writes: list[Write] = []
    for name, value in steps:
        point = profile.points[name]
        bits = point.encoding.bits
        write = Write(
            point.address,
            point_words(point, value, values),
            point.single,
            point.unit_id,
            keep=0 if bits is None else 0xFFFF & ~bits,
            points=(name,),
        )
        joins = control is not None and (control.together or name == control.opposite)
        if joins and writes and _next_to(writes[-1], write):
            before = writes.pop()
            write = Write(
                before.address,
                before.words + write.words,
                unit_id=write.unit_id,
                points=before.points + write.points,
            )
        writes.append(write)
    return tuple(writes)


def not_orderable(profile: DeviceProfile, order_w: float) -> str:
    """Why no register can hold this order; nothing where one can, or where only the device can tell."""
    control = profile.control
    if control is None:
        return ""
    try:
        steps = STYLES[control.style].setpoints(control, order_w, {})
    except ValueError:
        return ""
    try:
        for name, value in steps:
            if profile.points[name].power_of is None:
                point_words(profile.points[name], value, {})
    except ValueError as error:
        return str(error)
    return ""


def _next_to(before: Write, write: Write) -> bool:
    """Whether one function 16 can write both."""
    alone = before.single or write.single or before.keep or write.keep
    one_function = not alone and before.unit_id == write.unit_id
    return one_function and before.address + len(before.words) == write.address
