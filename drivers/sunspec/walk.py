"""Walks a device's SunSpec map: "SunS" at one of three addresses, then a chain of models to the end model.

SunSpec Device Information Model Specification 1.1, chapter 6: the map begins at 40000, 0 or 50000 (as on
the wire), each model has its ID and the number of registers that follow, and 0xFFFF ends the chain. There
the length is 0, or missing on some devices. A model that nobody needs is passed over by its length.

What a device says of itself is not trusted: the chain may have 100 models and must end within the 65,536
registers there are, so a device that talks nonsense costs a bounded number of requests and a DeviceError.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Final

from drivers.device import DeviceError
from drivers.link import Link, ModbusExceptionReply
from drivers.registers import Value, decode
from drivers.sunspec.definitions import HEADER_WORDS, ModelDefinition, PointDefinition, definition
from drivers.wire import MAX_READ_WORDS

BASES: Final = (40000, 0, 50000)
MARKER: Final = (0x5375, 0x6E53)  # "SunS"
END_ID: Final = 0xFFFF
MAX_MODELS: Final = 100
MAX_BODY_WORDS: Final = 1000
"""So much is read of one model: no more of any has a use here."""
ASK_S: Final = 10.0
"""How long one request may wait for its turn and its answer."""
RETRY_S: Final = 5.0
"""How long a map that makes no sense is left alone before it is walked again."""
NO_VERDICT: Final = frozenset({5, 6, 10, 11})
"""Exceptions that say nothing about a register: busy, and a gateway that cannot reach the unit."""

COMMON: Final = 1
NEEDED: Final = frozenset(
    {COMMON, 101, 102, 103, 111, 112, 113, 701, 120, 121, 702, 123, 124, 704, 713, 715, 802, 160}
    | {201, 202, 203, 204, 211, 212, 213, 214}
)
"""The models whose registers are read; of the others only ID and length."""


class SunSpecError(DeviceError):
    """A device has no SunSpec map, or one that makes no sense; the text does not name the device."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model as found: where its ID lies, how many registers follow the header, and what they held.

    `words` are those registers, without the header; empty for a model that is not needed.
    """

    id: int
    address: int
    length: int
    words: tuple[int, ...] = ()

    def point(self, name: str) -> PointDefinition | None:
        """The definition of a point that this device's version of the model is long enough to have."""
        known = definition(self.id)
        point = None if known is None else known.points.get(name)
        return point if point is not None and point.end <= HEADER_WORDS + self.length else None

    def value(self, name: str) -> Value:
        """What a point held when the map was walked; None if the device does not implement it."""
        point = self.point(name)
        return None if point is None else self._decoded(point, point.offset - HEADER_WORDS)

    def groups(self) -> tuple[Mapping[str, tuple[int, PointDefinition, Value]], ...]:
        """The repeating groups: for each its points' addresses, definitions and values."""
        known = definition(self.id)
        if known is None or not known.group_words or not self.words:
            return ()
        first = known.words - HEADER_WORDS
        starts = range(first, len(self.words) - known.group_words + 1, known.group_words)
        return tuple(self._group(known, start) for start in starts)

    def _group(self, known: ModelDefinition, start: int) -> Mapping[str, tuple[int, PointDefinition, Value]]:
        at = self.address + HEADER_WORDS + start
        return {
            name: (at + point.offset, point, self._decoded(point, start + point.offset))
            for name, point in known.group.items()
        }

    def _decoded(self, point: PointDefinition, start: int) -> Value:
        words = self.words[start : start + point.encoding.words]
        if len(words) < point.encoding.words:
            return None
        if point.scale_name is None:
            return decode(point.encoding, words)
        power = self.value(point.scale_name)
        return decode(point.encoding, words, power if isinstance(power, float) else None)


@dataclass(frozen=True, slots=True)
class Map:
    """A whole walk: the base address and the models in their order."""

    base: int
    models: tuple[Model, ...]

    def layout(self) -> tuple[tuple[int, int, int], ...]:
        """What must not change while the controller runs: each model's ID, address and length."""
        return tuple((one.id, one.address, one.length) for one in self.models)


@dataclass(frozen=True, slots=True)
class Ask:
    """Registers that the walk needs next."""

    address: int
    count: int


Walk = Generator[Ask, tuple[int, ...] | None, Map]
"""Asks for registers, is sent exactly as many words, or None where the device refused; returns the map.

Raises SunSpecError where the map makes no sense.
"""


def walk() -> Walk:
    """One walk from the start to the end model; pure, so that anything can be tried on it."""
    base = yield from _base()
    models: list[Model] = []
    address = base + len(MARKER)
    while True:
        header = yield from _header(address)
        if header is None:
            break
        model_id, length = header
        if model_id == 0:
            raise SunSpecError(f"the chain of SunSpec models is broken: at {address} stands model 0")
        end = address + HEADER_WORDS + length
        if end >= 0x10000:
            text = f"model {model_id} at {address} claims {length} registers, which end beyond 65535"
            raise SunSpecError(f"the chain of SunSpec models is broken: {text}")
        if len(models) == MAX_MODELS:
            raise SunSpecError(f"the chain of SunSpec models has no end: {MAX_MODELS} models up to {address}")
        words: tuple[int, ...] = ()
        if model_id in NEEDED:
            words = yield from _body(model_id, address + HEADER_WORDS, min(length, MAX_BODY_WORDS))
        models.append(Model(model_id, address, length, words))
        address = end
    if not models or models[0].id != COMMON:
        first = f"model {models[0].id}" if models else "its end"
        raise SunSpecError(f"the SunSpec map at {base} begins with {first}; model 1 comes first")
    return Map(base, tuple(models))


def _base() -> Generator[Ask, tuple[int, ...] | None, int]:
    found = []
    for base in BASES:
        words = yield Ask(base, len(MARKER))
        if words == MARKER:
            return base
        shown = "refused" if words is None else " ".join(f"{word:04X}" for word in words)
        found.append(f"{base}: {shown}")
    raise SunSpecError(f'it has no SunSpec map: "SunS" (5375 6E53) does not stand at {", ".join(found)}')


def _header(address: int) -> Generator[Ask, tuple[int, ...] | None, tuple[int, int] | None]:
    """ID and length of the model at an address, or None at the end of the chain."""
    if address + HEADER_WORDS > 0x10000:
        raise SunSpecError("the chain of SunSpec models has no end: it runs to the last register")
    words = yield Ask(address, HEADER_WORDS)
    if words is None:  # an end model without a length may be the last register there is
        words = yield Ask(address, 1)
        if words != (END_ID,):
            raise SunSpecError(f"the chain of SunSpec models has no end: {address} cannot be read")
    return None if words[0] == END_ID else (words[0], words[1])


def _body(
    model_id: int, address: int, length: int
) -> Generator[Ask, tuple[int, ...] | None, tuple[int, ...]]:
    words: tuple[int, ...] = ()
    while len(words) < length:
        ask = Ask(address + len(words), min(length - len(words), MAX_READ_WORDS))
        part = yield ask
        if part is None:
            raise SunSpecError(f"model {model_id}: reading {ask.count} registers at {ask.address} is refused")
        words += part
    return words


class Walker:
    """Walks one unit over a link, in a task of its own: a reader's deadline does not cut a request short."""

    def __init__(self, link: Link, unit: int) -> None:
        self._link = link
        self._unit = unit
        self._walk: Walk | None = None
        self._ask: Ask | None = None
        self._on: int | None = None
        self._task: asyncio.Task[Map] | None = None
        self._refusal: SunSpecError | None = None
        self._again_at_s = -math.inf

    @property
    def connects(self) -> int:
        """The number of the connection over which the newest whole walk was made; -1 before it."""
        return -1 if self._on is None else self._on

    async def walk(self, deadline_s: float) -> Map:
        """The unit's map. DeviceError by `deadline_s`, and the next call waits on for the same walk.

        After a request that failed the next call goes on from there. SunSpecError if the map makes no
        sense; for RETRY_S after that the device is not asked again.
        """
        now_s = asyncio.get_running_loop().time()
        if self._refusal is not None and now_s < self._again_at_s:
            raise SunSpecError(str(self._refusal))
        self._refusal = None
        if self._task is None or self._failed_meanwhile(self._task):
            self._task = asyncio.get_running_loop().create_task(self._to_the_end())
            self._task.add_done_callback(_heard)
        await asyncio.wait([self._task], timeout=max(0.0, deadline_s - now_s))
        if not self._task.done():
            raise DeviceError("its SunSpec models are still being looked for")
        task, self._task = self._task, None
        return task.result()

    def rest(self, refusal: SunSpecError) -> None:
        """Raise this for RETRY_S instead of walking: the map is of no use as it is."""
        self._refusal = refusal
        self._again_at_s = asyncio.get_running_loop().time() + RETRY_S

    def _failed_meanwhile(self, task: asyncio.Task[Map]) -> bool:
        """Whether a request failed while nobody waited: old news, so it is tried again instead."""
        failure = task.exception() if task.done() and not task.cancelled() else None
        return isinstance(failure, DeviceError) and not isinstance(failure, SunSpecError)

    async def _to_the_end(self) -> Map:
        while True:
            if self._walk is None or self._ask is None:
                self._walk, self._on = walk(), None
                self._ask = next(self._walk)
            found = await self._step(self._walk, self._ask)
            if found is not None:
                return found

    async def _step(self, steps: Walk, ask: Ask) -> Map | None:
        words = await self._words(ask)
        if self._on not in (None, self._link.connects):
            self._walk = None  # begun over another connection: it may be another device by now
            return None
        self._on = self._link.connects
        try:
            self._ask = steps.send(words)
        except StopIteration as end:
            self._walk = None
            found: Map = end.value
            return found
        except SunSpecError as error:
            self._walk = None
            self.rest(error)
            raise
        return None

    async def _words(self, ask: Ask) -> tuple[int, ...] | None:
        deadline_s = asyncio.get_running_loop().time() + ASK_S
        try:
            return (await self._link.read(self._unit, "holding", ask.address, ask.count, deadline_s)).words
        except ModbusExceptionReply as refused:
            if refused.code not in NO_VERDICT:
                return None
            raise DeviceError(f"looking for its SunSpec models: {refused}") from None
        except DeviceError as error:
            raise DeviceError(f"looking for its SunSpec models: {error}") from None


def _heard(task: asyncio.Task[Map]) -> None:
    """Nobody may come back for a walk that failed."""
    if not task.cancelled():
        task.exception()
