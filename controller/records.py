"""Frozen facts to bytes and back, bit for bit: what a snapshot changes against the one before, and no more.

Written by hand of the type hints: every dataclass and enum that can be reached from the root types has its
place in the `Vocabulary`, which is stored with the data. So a later program reads what an earlier one wrote
as long as fields were only added, and nothing that is read can name a class that is not in it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import lru_cache
from math import copysign
from operator import attrgetter
from typing import Any

from controller.record_types import RecordError, reached
from drivers.fact import kind_of

(
    _SAME,
    _NONE,
    _TRUE,
    _FALSE,
    _F64,
    _F32,
    _INT,
    _STR,
    _TUPLE,
    _SET,
    _ENUM,
    _NEW,
    _CHANGED,
    _CHANGED_TUPLE,
) = range(14)
_DOUBLE, _SINGLE = struct.Struct("<d"), struct.Struct("<f")
_LARGEST_SINGLE = 3e38
_NOTHING = object()
"""The value before the first one: different from every value."""

Getter = Callable[[Any], tuple[Any, ...]]
Taker = Callable[[bytes, int, Any], tuple[Any, int]]


class Vocabulary:
    """The dataclasses and enums that can be met from the root types, by their names.

    What equals one of the `usual` facts is read as that very object: whoever asks `is` is answered alike.
    """

    def __init__(self, *roots: type, usual: Sequence[Any] = ()) -> None:
        self._usual = {type(one): one for one in usual}
        found = reached(roots)
        self._classes = [one for _, one in sorted(found.items()) if is_dataclass(one)]
        self._enums: list[type[Enum]] = [one for _, one in sorted(found.items()) if issubclass(one, Enum)]

    def described(self) -> dict[str, Any]:
        """What has to be stored with the data to read it."""
        return {
            "classes": [[one.__name__, _names(one)] for one in self._classes],
            "enums": [[one.__name__, [each.name for each in one]] for one in self._enums],
        }

    def writer(self) -> Writer:
        """A new stream, to be read by `reader(described())`."""
        return Writer(self._classes, self._enums)

    def reader(self, described: Any) -> Reader:
        """Reads a stream; RecordError when it holds something this program does not know."""
        try:
            classes = [
                _constructor(self._known(self._classes, name), names) for name, names in described["classes"]
            ]
            enums = [_members(self._known(self._enums, name), names) for name, names in described["enums"]]
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, RecordError):
                raise
            raise RecordError(f"the list of its types cannot be read ({error})") from None
        return Reader(classes, enums, self._usual)

    @staticmethod
    def _known(types: list[type], name: str) -> Any:
        for one in types:
            if one.__name__ == name:
                return one
        raise RecordError(f'this program knows no "{name}"')


class Writer:
    """Puts values behind each other; each call names the value that stood at the same place before."""

    def __init__(self, classes: Sequence[type], enums: Sequence[type[Enum]]) -> None:
        self._classes = {kind_of(one): (index, _getter(_names(one))) for index, one in enumerate(classes)}
        self._enums = {
            member: bytes((_ENUM, index, place))
            for index, one in enumerate(enums)
            for place, member in enumerate(one)
        }

    def put(self, out: bytearray, value: Any, before: Any = _NOTHING) -> None:
        """Append what `value` changes against `before`, or all of it."""
        if not self._put(out, value, before):
            out.append(_SAME)

    def _put(self, out: bytearray, value: Any, before: Any) -> bool:
        """False, and nothing appended, when both are the same to the bit."""
        kind = type(value)
        if kind is float:
            return _put_float(out, value, before)
        if value is before:
            return False
        if value is None or kind is bool:
            out.append(_NONE if value is None else _TRUE if value else _FALSE)
        elif kind in self._classes:
            return self._put_facts(out, value, before)
        elif kind is tuple:
            return self._put_tuple(out, value, before)
        elif type(before) is kind and value == before and kind in (int, str):
            return False
        elif kind is int:
            out.append(_INT)
            _put_number(out, value << 1 if value >= 0 else (-value << 1) - 1)
        elif kind is str:
            data = value.encode("utf-8", "surrogatepass")
            out.append(_STR)
            _put_number(out, len(data))
            out += data
        elif kind is frozenset:
            out.append(_SET)
            _put_number(out, len(value))
            for one in sorted(value):
                self._put(out, one, _NOTHING)
        elif value in self._enums:
            out += self._enums[value]
        else:
            raise RecordError(f"a {kind.__name__} cannot be recorded")
        return True

    def _put_facts(self, out: bytearray, value: Any, before: Any) -> bool:
        index, getter = self._classes[type(value)]
        if type(before) is not type(value):
            out.append(_NEW)
            _put_number(out, index)
            for one in getter(value):
                self._put(out, one, _NOTHING)
            return True
        return self._put_changes(out, _CHANGED, getter(value), getter(before))

    def _put_tuple(self, out: bytearray, value: tuple[Any, ...], before: Any) -> bool:
        if type(before) is not tuple or len(before) != len(value):
            out.append(_TUPLE)
            _put_number(out, len(value))
            for one in value:
                self._put(out, one, _NOTHING)
            return True
        return self._put_changes(out, _CHANGED_TUPLE, value, before)

    def _put_changes(
        self, out: bytearray, tag: int, values: tuple[Any, ...], befores: tuple[Any, ...]
    ) -> bool:
        changed, rest, bit = 0, bytearray(), 1
        for value, before in zip(values, befores, strict=True):
            if value is not before and self._put(rest, value, before):
                changed |= bit
            bit <<= 1
        if not changed:
            return False
        out.append(tag)
        _put_number(out, changed)
        out += rest
        return True


class Reader:
    """Takes values out again, in the order in which they were put."""

    def __init__(
        self,
        classes: list[tuple[type, Callable[..., Any], Getter, int]],
        enums: list[list[Enum]],
        usual: dict[type, Any],
    ) -> None:
        self._usual = usual
        self._classes = classes
        self._by_type = {facts: (make, getter) for facts, make, getter, _ in classes}
        self._enums = enums
        self._takers: tuple[Taker, ...] = (
            lambda data, at, before: (before, at),
            lambda data, at, before: (None, at),
            lambda data, at, before: (True, at),
            lambda data, at, before: (False, at),
            lambda data, at, before: (_DOUBLE.unpack_from(data, at)[0], at + 8),
            lambda data, at, before: (_SINGLE.unpack_from(data, at)[0], at + 4),
            _take_int,
            _take_str,
            self._take_tuple,
            self._take_set,
            self._take_enum,
            self._take_new,
            self._take_changed,
            self._take_changed_tuple,
        )

    def take(self, data: bytes, at: int, before: Any = _NOTHING) -> tuple[Any, int]:
        """The value that begins at `at`, and where the next one does. Raises RecordError."""
        try:
            value, at = self._takers[data[at]](data, at + 1, before)
        except (
            IndexError,
            struct.error,
            TypeError,
            ValueError,
            KeyError,
            OverflowError,
            RecursionError,
        ) as error:
            raise RecordError(f"damaged at byte {at} ({type(error).__name__})") from None
        if value is _NOTHING:
            raise RecordError(f"damaged at byte {at} (refers to what was not said)")
        return value, at

    def _take_many(self, data: bytes, at: int) -> tuple[list[Any], int]:
        count, at = _take_number(data, at)
        found = []
        takers = self._takers
        for _ in range(count):
            one, at = takers[data[at]](data, at + 1, _NOTHING)
            found.append(one)
        return found, at

    def _take_tuple(self, data: bytes, at: int, before: Any) -> tuple[Any, int]:
        found, at = self._take_many(data, at)
        return tuple(found), at

    def _take_set(self, data: bytes, at: int, before: Any) -> tuple[Any, int]:
        found, at = self._take_many(data, at)
        return frozenset(found), at

    def _take_enum(self, data: bytes, at: int, before: Any) -> tuple[Any, int]:
        return self._enums[data[at]][data[at + 1]], at + 2

    def _take_new(self, data: bytes, at: int, before: Any) -> tuple[Any, int]:
        index, at = _take_number(data, at)
        facts, make, _, count = self._classes[index]
        found = []
        takers = self._takers
        for _ in range(count):
            one, at = takers[data[at]](data, at + 1, _NOTHING)
            found.append(one)
        return self._one(facts, make(*found)), at

    def _one(self, facts: type, made: Any) -> Any:
        usual = self._usual.get(facts)
        return usual if usual is not None and usual == made else made

    def _take_changed(self, data: bytes, at: int, before: Any) -> tuple[Any, int]:
        facts = type(before)
        make, getter = self._by_type[facts]
        values, at = self._changed(data, at, list(getter(before)))
        made = make(*values)
        return (self._one(facts, made) if facts in self._usual else made), at

    def _take_changed_tuple(self, data: bytes, at: int, before: Any) -> tuple[Any, int]:
        values, at = self._changed(data, at, list(before))
        return tuple(values), at

    def _changed(self, data: bytes, at: int, values: list[Any]) -> tuple[list[Any], int]:
        changed, at = (data[at], at + 1) if data[at] < 128 else _take_number(data, at)
        takers = self._takers
        for index in _set_bits(changed):
            kind = data[at]
            # Most of what changes is numbers: these two without a call.
            if kind == _F64:
                values[index] = _DOUBLE.unpack_from(data, at + 1)[0]
                at += 9
            elif kind == _F32:
                values[index] = _SINGLE.unpack_from(data, at + 1)[0]
                at += 5
            else:
                values[index], at = takers[kind](data, at + 1, values[index])
        return values, at


def _put_float(out: bytearray, value: float, before: Any) -> bool:
    if (
        value == before
        and type(before) is float
        and (value != 0.0 or copysign(1, value) == copysign(1, before))
    ):
        return False
    if -_LARGEST_SINGLE < value < _LARGEST_SINGLE:
        single = _SINGLE.pack(value)
        if _SINGLE.unpack(single)[0] == value:
            out.append(_F32)
            out += single
            return True
    out.append(_F64)
    out += _DOUBLE.pack(value)
    return True


def _put_number(out: bytearray, number: int) -> None:
    """Seven bits a byte, lowest first."""
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)


@lru_cache(4096)
def _set_bits(number: int) -> tuple[int, ...]:
    return tuple([bit for bit in range(number.bit_length()) if number >> bit & 1])


def _take_number(data: bytes, at: int) -> tuple[int, int]:
    number = data[at]
    at += 1
    if number < 128:
        return number, at
    number &= 127
    shift = 7
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
        shift += 7


def _take_int(data: bytes, at: int, before: Any) -> tuple[Any, int]:
    number, at = _take_number(data, at)
    return (-(number >> 1) - 1 if number & 1 else number >> 1), at


def _take_str(data: bytes, at: int, before: Any) -> tuple[Any, int]:
    count, at = _take_number(data, at)
    end = at + count
    if end > len(data):
        raise IndexError
    return data[at:end].decode("utf-8", "surrogatepass"), end


# --- types ---------------------------------------------------------------------------------------------


def _names(facts: type) -> list[str]:
    return [one.name for one in fields(facts)]


def _getter(names: list[str]) -> Getter:
    if len(names) == 1:
        only = names[0]
        return lambda value: (getattr(value, only),)
    return attrgetter(*names)


def _constructor(facts: type, names: list[str]) -> tuple[type, Callable[..., Any], Getter, int]:
    """How to make one of the recorded fields; fields that came later take their defaults."""
    ours = _names(facts)
    gone = [name for name in names if name not in ours]
    if gone:
        raise RecordError(f"{facts.__name__} has no {gone[0]} in this program")
    for one in fields(facts):
        if one.name not in names and one.default is MISSING and one.default_factory is MISSING:
            raise RecordError(f"{facts.__name__} was recorded without {one.name}")
    make: Callable[..., Any] = facts
    if ours[: len(names)] != names:

        def make(*values: Any) -> Any:
            return facts(**dict(zip(names, values, strict=True)))

    return kind_of(facts), make, _getter(names), len(names)


def _members(enum: Any, names: list[str]) -> list[Enum]:
    return [enum[name] for name in names]
