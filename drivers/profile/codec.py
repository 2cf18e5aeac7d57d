"""Pure: a profile's registers as values, its steps as register writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from drivers.control import Steps, Values, held
from drivers.profile.model import HELD, DeviceProfile, Image, Point, Write
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
    """The value of every point whose registers, scale factor included, are all in the memory."""
    values: dict[str, Value] = {}
    for point in sorted(profile.points.values(), key=lambda one: one.power_of is not None):
        words = [memory.get((point.kind, address)) for address in range(point.address, point.end)]
        present = [word for word in words if word is not None]
        if len(present) == len(words) and (point.power_of is None or point.power_of in values):
            values[point.name] = decode(point.encoding, present, power_for(point, values))
    return values


def field_values(profile: DeviceProfile, values: Values) -> dict[str, Value | bool]:
    """The reading's fields, as far as these values give them, the device's own order among them."""
    fields: dict[str, Value | bool] = {
        name: point.field_value(values[point.name])
        for name, point in profile.gives.items()
        if point.name in values
    }
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
    """One write for each step, in order; ValueError if a value cannot be encoded."""
    points = [(profile.points[name], value) for name, value in steps]
    return tuple(Write(point.address, point_words(point, value, values)) for point, value in points)
