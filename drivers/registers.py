"""Pure: 16-bit words to engineering values and back (type, word order, scale, "not available").

A value that a device marks as not available, NaN, an infinity and a nonsensical scale factor decode to
`None`, never to 0. Encoding raises ValueError where a value does not fit; it never wraps and never clamps.
The standard "not available" words are those of the SunSpec Information Model Specification 1.9, section 6.3.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final, Literal

Type = Literal[
    "u16", "s16", "u32", "s32", "u64", "s64", "f32", "f64", "bits16", "enum16", "acc32", "sunssf", "string"
]
WordOrder = Literal["be", "le"]
NotAvailable = Literal["standard", "none"] | tuple[int, ...]
Rounding = Literal["nearest", "toward_zero"]
Value = float | str | None

# struct code, words, raw value that SunSpec uses for "not available" (floats: NaN, always)
_SHAPES: Final[dict[str, tuple[str, int, int | None]]] = {
    "u16": ("H", 1, 0xFFFF),
    "s16": ("h", 1, -0x8000),
    "u32": ("I", 2, 0xFFFF_FFFF),
    "s32": ("i", 2, -0x8000_0000),
    "u64": ("Q", 4, 0xFFFF_FFFF_FFFF_FFFF),
    "s64": ("q", 4, -0x8000_0000_0000_0000),
    "f32": ("f", 2, None),
    "f64": ("d", 4, None),
    "bits16": ("H", 1, 0xFFFF),
    "enum16": ("H", 1, 0xFFFF),
    "acc32": ("I", 2, 0),
    "sunssf": ("h", 1, -0x8000),
}
_LARGEST_F32: Final = (2 - 2**-23) * 2.0**127
_POWERS: Final = tuple(10.0**n for n in range(11))
_GRAIN: Final = 1e-6
"""A share of one register step that rounding toward zero forgives, so that float noise costs no step."""


def words_of(type_: Type) -> int | None:
    """How many registers a value of this type takes; None for a string, which has any length."""
    return None if type_ == "string" else _SHAPES[type_][1]


@dataclass(frozen=True, slots=True)
class Encoding:
    """How one value lies in its registers; value = raw * scale * 10 ** power + offset.

    `power` comes from a scale factor register and is given with each call. `not_available` lists the raw
    words, read as one unsigned number, that mean "not available"; "standard" takes SunSpec's. A negative
    `scale` turns a vendor's sign into ours. With `bits` the value is these bits of a register, which may have
    others. ValueError if type and word count disagree.
    """

    type: Type
    words: int
    word_order: WordOrder = "be"
    scale: float = 1.0
    not_available: NotAvailable = "standard"
    bits: int | None = None
    offset: float = 0.0
    absent: frozenset[float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        fixed = words_of(self.type)
        if fixed is not None and fixed != self.words:
            raise ValueError(f"{self.type} takes {fixed} registers, not {self.words}")
        if not (math.isfinite(self.scale) and self.scale != 0):
            raise ValueError(f"scale is {self.scale:g}; give a number other than 0")
        if self.bits is not None and self.type not in ("u16", "bits16", "enum16"):
            raise ValueError(f"is {self.type}; bits are for u16, bits16 and enum16")
        if self.offset and (self.type == "string" or not math.isfinite(self.offset)):
            raise ValueError(f"offset is {self.offset:g}; give a number, and none for a string")
        object.__setattr__(self, "absent", frozenset(_absent_raws(self)))


def _absent_raws(encoding: Encoding) -> list[float]:
    if encoding.type == "string" or encoding.not_available == "none":
        return []
    code, words, standard = _SHAPES[encoding.type]
    if encoding.not_available == "standard":
        return [] if standard is None else [standard]
    raws = []
    for pattern in encoding.not_available:
        if not 0 <= pattern < 1 << (16 * words):
            raise ValueError(f"not_available {pattern:#x} does not fit into {words} registers")
        raws.append(struct.unpack(">" + code, pattern.to_bytes(2 * words, "big"))[0])
    return raws


def decode(encoding: Encoding, words: Sequence[int], power: float | None = 0.0) -> Value:
    """The engineering value of these words, or None where the device gives none."""
    ordered = tuple(words) if encoding.word_order == "be" else tuple(reversed(words))
    data = struct.pack(f">{encoding.words}H", *ordered)
    if encoding.type == "string":
        return _text(data)
    (raw,) = struct.unpack(">" + _SHAPES[encoding.type][0], data)
    value = scaled(_plain(raw, encoding), power)
    return value if value is None else value + encoding.offset


def encode(
    encoding: Encoding, value: Value, power: float | None = 0.0, rounding: Rounding = "nearest"
) -> tuple[int, ...]:
    """The words for this value; None gives the "not available" words.

    ValueError if the value is not finite, does not fit, would read back as "not available", or has no
    valid scale factor. `toward_zero` is for orders, which rounding must never enlarge.
    """
    if value is None:
        return _absent_words(encoding)
    if encoding.type == "string" or isinstance(value, str):
        return _string_words(encoding, value)
    unit = _unit(power)
    if unit is None:
        raise ValueError(f"{value:g} cannot be encoded: its scale factor is {power}")
    if not math.isfinite(value):
        raise ValueError(f"{value} cannot be encoded")
    steps = (value - encoding.offset) / encoding.scale / unit[0] * unit[1]
    zero = -encoding.offset / encoding.scale / unit[0] * unit[1]
    code, size, _ = _SHAPES[encoding.type]
    try:
        raw = steps if encoding.type in ("f32", "f64") else _whole(steps, rounding, zero)
        data = struct.pack(">" + code, raw)
    except (struct.error, OverflowError):
        step = abs(encoding.scale) * unit[0] / unit[1]
        raise ValueError(f"{value:g} does not fit into {encoding.type} in steps of {step:g}") from None
    # An accumulator that never counted and one that is not there look alike in SunSpec: both are 0.
    if encoding.bits is not None and int(raw) & ~encoding.bits:
        raise ValueError(f"{value:g} has other bits than 0x{encoding.bits:04X}")
    if raw in encoding.absent and encoding.type != "acc32":
        raise ValueError(f"{value:g} as {encoding.type} would read as not available")
    words = struct.unpack(f">{size}H", data)
    return words if encoding.word_order == "be" else words[::-1]


def saturated(encoding: Encoding, value: float, power: float | None = 0.0) -> tuple[int, ...]:
    """The words of the number nearest to this one that the registers can hold, as devices show it.

    ValueError as for `encode` where that says nothing: not finite, no valid scale factor, bits.
    """
    unit = _unit(power)
    if unit is None or not math.isfinite(value) or encoding.type == "string" or encoding.bits is not None:
        raise ValueError(f"{value:g} cannot be encoded as {encoding.type}")
    code, size, _ = _SHAPES[encoding.type]
    steps = (value - encoding.offset) / encoding.scale / unit[0] * unit[1]
    if encoding.type in ("f32", "f64"):
        raw: float = math.copysign(_LARGEST_F32, steps)
    else:
        range_ = 1 << (16 * size)
        low, high = (-range_ // 2, range_ // 2 - 1) if code.islower() else (0, range_ - 1)
        raw = min(max(round(steps), low), high)
        while raw in encoding.absent:
            raw += -1 if raw > 0 else 1
    words = struct.unpack(f">{size}H", struct.pack(">" + code, raw))
    return words if encoding.word_order == "be" else words[::-1]


def _whole(steps: float, rounding: Rounding, zero: float) -> int:
    if rounding == "nearest":
        return round(steps)
    return math.floor(steps + _GRAIN) if steps >= zero else math.ceil(steps - _GRAIN)


def _absent_words(encoding: Encoding) -> tuple[int, ...]:
    if encoding.type == "string":
        return (0,) * encoding.words
    code, size, standard = _SHAPES[encoding.type]
    if isinstance(encoding.not_available, tuple) and encoding.not_available:
        data = encoding.not_available[0].to_bytes(2 * size, "big")
    elif standard is None:
        data = bytes.fromhex("7FC00000" if encoding.type == "f32" else "7FF8000000000000")
    elif encoding.absent:
        data = struct.pack(">" + code, standard)
    else:
        raise ValueError(f"{encoding.type} here has no way to say that it is not available")
    words = struct.unpack(f">{size}H", data)
    return words if encoding.word_order == "be" else words[::-1]


def _string_words(encoding: Encoding, value: float | str) -> tuple[int, ...]:
    if encoding.type != "string" or not isinstance(value, str):
        raise ValueError(f"{value!r} cannot be encoded as {encoding.type}")
    data = value.encode("ascii", errors="strict") if value.isascii() else b""
    if not value.isascii() or len(data) > 2 * encoding.words:
        raise ValueError(f"{value!r} does not fit: give at most {2 * encoding.words} ASCII characters")
    words = struct.unpack(f">{encoding.words}H", data.ljust(2 * encoding.words, b"\0"))
    return words if encoding.word_order == "be" else words[::-1]


def _text(data: bytes) -> str | None:
    """Device strings reach logs and screens, so whatever cannot be printed becomes a question mark."""
    text = data.split(b"\0", 1)[0].decode("ascii", errors="replace").strip()
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in text) or None


def _plain(raw: float, encoding: Encoding) -> float | None:
    if raw in encoding.absent or not math.isfinite(raw):
        return None
    value = (raw if encoding.bits is None else int(raw) & encoding.bits) * encoding.scale
    return value if math.isfinite(value) else None


def _unit(power: float | None) -> tuple[float, float] | None:
    """10 ** power as multiplier and divisor, one of them 1: dividing by 10 is exact where 0.1 is not."""
    if power is None or not -10 <= power <= 10 or power != int(power):
        return None
    return (_POWERS[int(power)], 1.0) if power >= 0 else (1.0, _POWERS[-int(power)])


def scaled(value: float | None, power: float | None) -> float | None:
    """A value times 10 ** power; None if either is missing or the power is outside SunSpec's -10 to 10."""
    unit = _unit(power)
    if value is None or unit is None:
        return None
    result = value * unit[0] / unit[1]
    return result if math.isfinite(result) else None


@dataclass(frozen=True, slots=True)
class Field:
    """One value inside a block: where it begins, and which other field holds its scale factor."""

    offset: int
    encoding: Encoding
    power_index: int | None = None


def block_decoder(fields: Sequence[Field]) -> Callable[[Sequence[int]], list[Value]]:
    """One decoder for a whole block, compiled once: a single `struct` call, then a scale for each field."""
    places: list[int] = []
    for item in fields:
        span = range(item.offset, item.offset + item.encoding.words)
        places.extend(span if item.encoding.word_order == "be" else reversed(span))
    codes = "".join(_code(item.encoding) for item in fields)
    pick = itemgetter(*places)
    pack, unpack = struct.Struct(f">{len(places)}H").pack, struct.Struct(">" + codes).unpack
    finish = [_finisher(item.encoding) for item in fields]
    offsets = [(i, item.encoding.offset) for i, item in enumerate(fields) if item.encoding.offset]
    powered = [(i, item.power_index) for i, item in enumerate(fields) if item.power_index is not None]

    def run(words: Sequence[int]) -> list[Value]:
        picked = pick(words)
        raws = unpack(pack(*picked) if len(places) > 1 else pack(picked))
        values = [last(raw) for last, raw in zip(finish, raws, strict=True)]
        for index, power_index in powered:
            value, power = values[index], values[power_index]
            if not isinstance(value, str) and not isinstance(power, str):
                values[index] = scaled(value, power)
        for index, offset in offsets:
            value = values[index]
            if isinstance(value, float):
                values[index] = value + offset
        return values

    return run


def _code(encoding: Encoding) -> str:
    return f"{2 * encoding.words}s" if encoding.type == "string" else _SHAPES[encoding.type][0]


def _finisher(encoding: Encoding) -> Callable[..., Value]:
    if encoding.type == "string":
        return _text
    absent, scale, finite = encoding.absent, encoding.scale, math.isfinite
    if encoding.bits is not None:
        return lambda raw: _plain(raw, encoding)

    def number(raw: float) -> float | None:
        if raw in absent:
            return None
        value = raw * scale
        return value if finite(value) else None

    return number
