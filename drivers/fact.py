"""Frozen facts of many fields that are cheap to make.

A frozen dataclass fills itself through `object.__setattr__`, field by field; measured, that was more than a
quarter of the time of a decision, which makes some hundred fields. `fact` is `@dataclass(frozen=True,
slots=True)` with another way to fill: the class is an open one, and what it has filled is locked by taking on
a frozen class derived from it. Four times as fast with sixteen fields, by a third with two; otherwise only
`type(one)` differs, which is that derived class (`kind_of`).
"""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, fields
from typing import Any, NoReturn, TypeVar, dataclass_transform

T = TypeVar("T")
_KINDS: dict[type, type] = {}


@dataclass_transform(frozen_default=True)
def fact(cls: type[T]) -> type[T]:
    """The class as a frozen, slotted dataclass. Raises TypeError for a class with a `__post_init__`."""
    if hasattr(cls, "__post_init__"):
        raise TypeError(f"{cls.__name__}: what is checked after filling would not be seen; use dataclass")

    def lock(self: Any) -> None:
        self.__class__ = locked

    def reduced(self: Any) -> tuple[type[T], tuple[Any, ...]]:
        return made, tuple(getattr(self, name) for name in names)

    cls.__post_init__ = lock  # type: ignore[attr-defined]  # dataclass calls it at the end of `__init__`
    cls.__reduce__ = reduced  # type: ignore[method-assign]  # it says how to make it again, as any may
    made: Any = dataclass(slots=True, unsafe_hash=True)(cls)
    names = tuple(field.name for field in fields(made))
    body = {
        "__slots__": (),
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__doc__": cls.__doc__,
        "__new__": lambda _, *values, **named: made(*values, **named),
        "__init__": lambda *_, **__: None,
        "__setattr__": _refuse,
        "__delattr__": _refuse,
    }
    locked: Any = type(cls.__name__, (made,), body)
    _KINDS[made] = locked
    return made  # type: ignore[no-any-return]  # the same class, as `dataclass` gave it back


def kind_of(cls: type) -> type:
    """What `type` says of an instance of this class."""
    return _KINDS.get(cls, cls)


def _refuse(self: object, name: str, *value: object) -> NoReturn:
    raise FrozenInstanceError(f"{type(self).__name__} is a fact: {name} cannot be changed")
