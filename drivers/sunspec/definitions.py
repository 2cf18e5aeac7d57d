"""What SunSpec's model definitions say: where each point of a model lies, of which type, scaled by what.

The definitions are the JSON files that the SunSpec Alliance publishes (github.com/sunspec/models), as
pysunspec2 ships them; they are read as data, from its folder alone, when a model is first asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from drivers.registers import Encoding, NotAvailable, Type

HEADER_WORDS: Final = 2
"""A model begins with its ID and its length; the length counts what comes after these two."""

# SunSpec Information Model Specification 1.9, section 6.3; what is not here (pads, addresses) has no value
# that anybody needs. An accumulator of 0 counts for nothing: never used, or not there.
_TYPES: Final[dict[str, tuple[Type, NotAvailable]]] = {
    "int16": ("s16", "standard"),
    "int32": ("s32", "standard"),
    "int64": ("s64", "standard"),
    "uint16": ("u16", "standard"),
    "uint32": ("u32", "standard"),
    "uint64": ("u64", "standard"),
    "count": ("u16", "standard"),
    "acc16": ("u16", (0,)),
    "acc32": ("acc32", "standard"),
    "acc64": ("u64", (0,)),
    "float32": ("f32", "standard"),
    "float64": ("f64", "standard"),
    "enum16": ("enum16", "standard"),
    "enum32": ("u32", "standard"),
    "bitfield16": ("bits16", "standard"),
    "bitfield32": ("u32", "standard"),
    "sunssf": ("sunssf", "standard"),
    "string": ("string", "standard"),
}


@dataclass(frozen=True, slots=True)
class PointDefinition:
    """One point; `offset` counts registers from the ID of its model, or from the start of its group."""

    name: str
    offset: int
    encoding: Encoding
    scale_name: str | None
    """The point with its scale factor, always one outside of the repeating group."""
    writable: bool

    @property
    def end(self) -> int:
        """The offset after its last register."""
        return self.offset + self.encoding.words


@dataclass(frozen=True, slots=True)
class ModelDefinition:
    """A model: its fixed points, and those of the group that repeats after them, if one does.

    Groups that stand there once, between the two, count in `words` only: nobody needs what is in them.
    """

    id: int
    label: str
    points: Mapping[str, PointDefinition]
    words: int
    """Registers of the fixed part, with the header."""
    group: Mapping[str, PointDefinition]
    group_words: int


@cache
def definition(model_id: int) -> ModelDefinition | None:
    """The definition of a model, or None if SunSpec has published none under this ID."""
    file = files("sunspec2") / "models" / "json" / f"model_{model_id:d}.json"
    if not file.is_file():
        return None
    group: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["group"]
    points = tuple(_points(group["points"]))
    parts = group.get("groups", ())
    repeated = next((one for one in parts if "count" in one), None)
    once = [one for one in parts if "count" not in one]
    return ModelDefinition(
        id=model_id,
        label=group.get("label") or group["name"],
        points={point.name: point for point in points},
        words=_size(group["points"]) + sum(_size(one["points"]) for one in once),
        group={} if repeated is None else {point.name: point for point in _points(repeated["points"])},
        group_words=0 if repeated is None else _size(repeated["points"]),
    )


def _size(points: list[dict[str, Any]]) -> int:
    return sum(int(point["size"]) for point in points)


def _points(points: list[dict[str, Any]]) -> Iterator[PointDefinition]:
    offset = 0
    for point in points:
        size = int(point["size"])
        if point["type"] in _TYPES:
            type_, not_available = _TYPES[point["type"]]
            scale = point.get("sf")
            yield PointDefinition(
                name=point["name"],
                offset=offset,
                encoding=Encoding(type_, size, not_available=not_available, scale=_fixed_scale(scale)),
                scale_name=scale if isinstance(scale, str) else None,
                writable=point.get("access") == "RW",
            )
        offset += size


def _fixed_scale(scale: object) -> float:
    """A few points have a power of ten that never changes, instead of the name of one that may."""
    return 1.0 if not isinstance(scale, int) else 10.0**scale
