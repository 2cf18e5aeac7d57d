"""What one unit's registers say: planned block reads, each at its own rate, and what they said last."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from drivers.control import Sum
from drivers.device import DeviceError
from drivers.identity import doubt
from drivers.link import SPARED_FOR_S, Link, ModbusExceptionReply
from drivers.profile.codec import signed
from drivers.profile.model import GIVES, IDENTITY, Block, DeviceProfile, Point, Probe
from drivers.profile.sums import with_sums
from drivers.registers import Field, Value, block_decoder, decode

THIRD = 3
"""What shows an order in force is read with every so many-th reading."""
SLOW_S = 5.0
FRESH_S = 1.0
WARN_AGAIN_S = 60.0
ONCE_AGAIN_S = 30.0
"""What is read once is read again so long after a reply in which something was missing."""
CARRY_S = 3 * SLOW_S
"""Slow values are carried along with the fast ones this long, then they are absent."""
PROMPT_S, REPLY_PART = 0.15, 0.5
"""A device that takes longer for a reply is asked for little at a time; the mean of the last few counts."""
TINY = 1e-4
"""V and Hz: a grid that is gone reads 0, and noise is more; between them are words out of place."""

SPARED_TEXT = (
    f"answers to older requests came: it is behind, and asked half as often for {SPARED_FOR_S / 60:.0f} min"
)

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Polled:
    """A block, and its newest reply; `connects` counts the link's connections up to that reply."""

    block: Block
    decode: Callable[[Sequence[int]], list[Value]]
    names: tuple[str, ...]
    ranged: tuple[tuple[str, float, float], ...]
    electric: tuple[str, ...]
    """Voltages and frequencies that are floats: where words are swapped or shifted these are tiny, not 0."""
    signs: tuple[Point, ...]
    sums: dict[str, Sum]
    values: dict[str, Value] = field(default_factory=dict)
    words: tuple[int, ...] = ()
    taken_at_s: float = -math.inf
    tried_at_s: float = -math.inf
    connects: int = -1
    lacks: bool = False
    """Of what is read once: something beside its identity has not been available yet."""
    failing: bool = False
    warned_at_s: float = -math.inf
    fast: bool = field(init=False)
    carried: bool = field(init=False)

    def __post_init__(self) -> None:
        self.fast = self.block.every == "fast"
        self.carried = self.block.every in ("third", "slow")

    def words_of(self, point: Point) -> tuple[int, ...]:
        """The words that the newest reply had for a point."""
        start = point.address - self.block.address
        return self.words[start : start + point.encoding.words]


def _polled(block: Block, sums: Mapping[str, Sum]) -> _Polled:
    index = {point.name: i for i, point in enumerate(block.points)}
    fields = [
        Field(
            point.address - block.address,
            point.encoding,
            None if point.power_of is None else index.get(point.power_of),
        )
        for point in block.points
    ]
    return _Polled(
        block,
        block_decoder(fields),
        tuple(index),
        tuple((point.name, *point.range) for point in block.points if point.range is not None),
        tuple(p.name for p in block.points if p.unit in ("V", "Hz") and p.encoding.type in ("f32", "f64")),
        tuple(point for point in block.points if point.sign is not None),
        {field: terms for field, terms in sums.items() if all(name in index for _, name in terms)},
    )


class Poller:
    """Reads one unit by its profile. Errors name the device and are DeviceError."""

    def __init__(self, device_id: str, profile: DeviceProfile, link: Link, unit: int) -> None:
        self.device_id = device_id
        self.link = link
        self.unit = unit
        self._described = profile
        self._probed_on = -1
        self._polls = 0
        self._reply_s = 0.0
        self._may_skip = self._skipping = False
        self._identity: dict[str, Value] = {}
        self._adopt(profile)

    def _adopt(self, profile: DeviceProfile) -> None:
        """Go by this profile from now on: it is the variant that the probes found."""
        self.profile = profile
        polled = [_polled(block, profile.sums) for block in profile.blocks]
        self._fast = [one for one in polled if one.block.every == "fast"]
        self._third = [one for one in polled if one.block.every == "third"]
        self._slow = [one for one in polled if one.block.every == "slow"]
        self._once = [one for one in polled if one.block.every == "once"]
        self._said_once: dict[str, Value] = {}
        self._holders: dict[str, list[_Polled]] = {}
        for one in self._fast + self._third + self._slow:
            for name in one.names:
                self._holders.setdefault(name, []).append(one)
        self._layers = self._once + self._slow + self._third + self._fast
        self._quiet = profile.quiet
        self._named = {name: profile.named(name) for name in GIVES[profile.role]}
        self._of_phases: dict[str, list[str]] = {}
        for name, named in self._named.items():
            field_name, _, phase = name.partition(".")
            if phase and named:
                self._of_phases.setdefault(field_name, []).append(named)
        self._identity_points = {name: profile.gives[name].name for name in IDENTITY if name in profile.gives}

    async def poll(self, deadline_s: float) -> tuple[float, dict[str, Value]]:
        """When the fast values were taken, and all values of now by point name.

        A failure of fast or once-read blocks is a failure of the reading; others may be missing. Of a link
        that is to be spared every second answer is the one before, with its own time.
        """
        if self._skips():
            taken_at_s = min(one.taken_at_s for one in self._fast)
            return taken_at_s, self.values(asyncio.get_running_loop().time())
        await self._probe(deadline_s)
        for one in self._fast:
            await self._read(one, deadline_s)
        taken_at_s = min(one.taken_at_s for one in self._fast)
        await self._know_the_device(deadline_s)
        self._polls += 1
        for one in self._due(taken_at_s):
            await self._try(one, deadline_s)
        self._may_skip = True
        return taken_at_s, self.values(taken_at_s)

    def _due(self, now_s: float) -> list[_Polled]:
        """What is to be read beside the fast values: of a slow device one block at most, the oldest first."""
        connects, third = self.link.connects, self._polls % THIRD == 0
        due = [one for one in self._third if third or one.connects != connects]
        due += [one for one in self._slow if now_s - one.tried_at_s >= SLOW_S or one.connects != connects]
        due += [one for one in self._once if one.lacks and now_s - one.tried_at_s >= ONCE_AGAIN_S]
        if self._reply_s <= PROMPT_S or not due:
            return due
        return [min(due, key=lambda one: one.tried_at_s)]

    def _skips(self) -> bool:
        """Whether to leave the device alone this once: never twice in a row, never after a failure."""
        spared, may_skip, self._may_skip = self.link.spared, self._may_skip, False
        if spared is not self._skipping:
            self._skipping = spared
            if spared:
                _log.warning("%s: %s", self.device_id, SPARED_TEXT)
        return spared and may_skip and all(one.connects == self.link.connects for one in self._fast)

    async def _probe(self, deadline_s: float) -> None:
        """After each connect, find out which variant of its kind this device is."""
        if not self._described.variants or self._probed_on == self.link.connects:
            return
        found = frozenset(
            [probe.variant for probe in self._described.probes if await self._holds(probe, deadline_s)]
        )
        variant = self._described.variants[found]
        if variant is not self.profile:
            self._adopt(variant)
        self._probed_on = self.link.connects

    async def _holds(self, probe: Probe, deadline_s: float) -> bool:
        try:
            reply = await self.link.read(self.unit, probe.kind, probe.address, probe.count, deadline_s)
        except ModbusExceptionReply as refused:
            if refused.code in (1, 2, 3):
                return False
            raise DeviceError(f"{self.device_id}: {refused}") from None
        except DeviceError as error:
            raise DeviceError(f"{self.device_id}: {error}") from None
        number = int.from_bytes(b"".join(word.to_bytes(2, "big") for word in reply.words), "big")
        return not probe.equals or number in probe.equals

    async def ready(self, deadline_s: float, fresh: bool = False) -> int:
        """Identity, ratings and settings were read over the present connection, whose number this is.

        With `fresh` the fast values are of now too: an order is made from them.
        """
        await self.identified(deadline_s)
        others = self._once + self._third + self._slow
        now_s = asyncio.get_running_loop().time()
        for one in self._fast if fresh or not others else ():
            if one.connects != self.link.connects or (fresh and now_s - one.taken_at_s >= FRESH_S):
                await self._read(one, deadline_s)
        for one in self._third + self._slow:
            if one.connects != self.link.connects or now_s - one.taken_at_s > CARRY_S:
                await self._read(one, deadline_s)
        return self._same_connection(others or self._fast)

    async def read_back(self, deadline_s: float) -> None:
        """Read again what shows an order in force; a failure is noted, and nothing more."""
        for one in self._third:
            await self._try(one, deadline_s)

    async def identified(self, deadline_s: float) -> int:
        """Identity and ratings were read over the present connection, whose number this is."""
        await self._probe(deadline_s)
        await self._know_the_device(deadline_s)
        return self._same_connection(self._once)

    def _same_connection(self, read: Sequence[_Polled]) -> int:
        connects = self.link.connects
        if any(one.connects != connects for one in read):
            raise DeviceError(f"{self.device_id}: the connection was lost while the device was identified")
        return connects

    def values(self, now_s: float) -> dict[str, Value]:
        """What was read over the present connection and still counts."""
        if not self._third and not self._slow and not self._once and len(self._fast) == 1:
            return self._fast[0].values
        values: dict[str, Value] = {}
        connects = self.link.connects
        for one in self._layers:
            late = one.carried and now_s - one.taken_at_s > CARRY_S
            if one.fast or (one.connects == connects and not late):
                values |= one.values
        return values

    def read_at_s(self, point: str) -> float:
        """When a point was last read; minus infinity if it never was."""
        return max((one.taken_at_s for one in self._holders.get(point, ())), default=-math.inf)

    def required(self, values: dict[str, Value], name: str) -> float:
        """A reading's field that must be there; DeviceError saying what stands in its register instead."""
        value = values.get(self.profile.named(name))
        if isinstance(value, float):
            return value
        if name in self.profile.sums:
            terms = (point for _, point in self.profile.sums[name])
            point = self.profile.points[next(one for one in terms if not isinstance(values.get(one), float))]
        else:
            point = self.profile.gives[name]
        raise DeviceError(f"{self.device_id}: {name} is not available ({self._found(point)})")

    def number(self, values: dict[str, Value], name: str) -> float | None:
        """A reading's field that may be missing."""
        value = values.get(self._named[name])
        return value if isinstance(value, float) else None

    def phases(self, values: dict[str, Value], name: str) -> tuple[float, ...]:
        """L1 to L3, as many as the meter has; nothing at all if one of them is missing in between."""
        found = [values.get(one) for one in self._of_phases.get(name, ())]
        numbers = tuple([value for value in found if isinstance(value, float)])
        return numbers if len(numbers) == len(found) else ()

    async def _know_the_device(self, deadline_s: float) -> None:
        """Ratings and identity are read after each connect: it may be another device that answers now."""
        unread = [one for one in self._once if one.connects != self.link.connects]
        if not unread:
            return
        for one in unread:
            await self._read(one, deadline_s)
        values: dict[str, Value] = {}
        for one in self._once:
            values |= one.values
        identity = {name: values.get(point) for name, point in self._identity_points.items()}
        if why := doubt(self._identity, identity):
            for one in self._once:
                one.connects = -1
            raise DeviceError(f"{self.device_id}: {why}")
        for one in self._once:
            one.tried_at_s = one.taken_at_s
            self._said_once |= _available(one.values)
            self._complete(one)

    def _complete(self, one: _Polled) -> None:
        """What never changes is what the same device said of it first on this connection, or before it."""
        self._said_once = _available(one.values) | self._said_once
        one.values = {name: self._said_once.get(name) for name in one.values}
        who, said = self._identity_points, self._said_once
        self._identity |= {name: said[point] for name, point in who.items() if point in said}
        one.lacks = any(value is None for name, value in one.values.items() if name not in who.values())

    async def _try(self, one: _Polled, deadline_s: float) -> None:
        now_s = one.tried_at_s = asyncio.get_running_loop().time()
        try:
            await self._read(one, deadline_s)
        except DeviceError as error:
            if not one.failing and now_s - one.warned_at_s >= WARN_AGAIN_S:
                one.warned_at_s = now_s
                _log.warning("%s; its last values count for %.0f s", error, CARRY_S)
            one.failing = True
        else:
            one.failing = False
            if one.block.every == "once":
                self._complete(one)

    async def _read(self, one: _Polled, deadline_s: float) -> None:
        block = one.block
        asked_at_s, connects = asyncio.get_running_loop().time(), self.link.connects
        try:
            unit = self.unit if block.unit_id is None else block.unit_id
            reply = await self.link.read(unit, block.kind, block.address, block.count, deadline_s)
        except DeviceError as error:
            raise DeviceError(f"{self.device_id}: {error}") from None
        values = dict(zip(one.names, one.decode(reply.words), strict=True))
        for point in one.signs:
            values[point.name] = signed(point, values[point.name], values)
        if one.sums:
            with_sums(values, one.sums, self._quiet)
        for name, low, high in one.ranged:
            value = values[name]
            if isinstance(value, float) and not low <= value <= high:
                raise self._implausible(block, name, f"{value:g}, plausible is {low:g} to {high:g}")
        for name in one.electric:
            value = values[name]
            if isinstance(value, float) and 0.0 < abs(value) < TINY:
                raise self._implausible(block, name, f"{value:g}, as where registers are swapped or shifted")
        if connects == self.link.connects:  # connecting says nothing about how fast the device is
            self._reply_s += REPLY_PART * (reply.taken_at_s - asked_at_s - self._reply_s)
        one.values, one.words, one.taken_at_s = values, reply.words, reply.taken_at_s
        one.connects = self.link.connects

    def _implausible(self, block: Block, name: str, what: str) -> DeviceError:
        shown = self.profile.points[name].gives or name
        dropped = f"all {block.count} registers from {block.address} were dropped"
        return DeviceError(f"{self.device_id}: {shown} is {what}; {dropped}")

    def _found(self, point: Point) -> str:
        holder = next((one for one in self._fast if point.name in one.names), None)
        if holder is None:
            return "it was not read"
        factor = self.profile.points.get(point.power_of or "")
        if factor is None or decode(point.encoding, holder.words_of(point)) is None:
            return f"register {point.address} holds {_shown(point, holder.words_of(point))}"
        return f"its scale factor, register {factor.address}, holds {_shown(factor, holder.words_of(factor))}"


def _available(values: Mapping[str, Value]) -> dict[str, Value]:
    return {name: value for name, value in values.items() if value is not None}


def _shown(point: Point, words: Sequence[int]) -> str:
    shown = "0x" + "".join(f"{word:04X}" for word in words)
    return f"NaN, {shown}" if point.encoding.type in ("f32", "f64") else shown
