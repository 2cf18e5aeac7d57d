"""What a scenario claims, and whether a run kept it: each claim finds its worst moment in the record.

A claim is a frozen dataclass; its fields are the keys of a `[[claim]]` table in the scenario file. Times
are seconds since the scenario began; `to_s` inf means its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf, isnan
from typing import Any, ClassVar, Literal, TypeVar

from controller.dispatch.modes import Mode
from controller.lab.record import Record

T = TypeVar("T")
ModeName = Literal["STARTING", "RUNNING", "HOLDING", "SAFE", "ISLANDED", "STOPPED", "FAULT"]


def key(default: T, says: str, least: float = -inf) -> T:
    """A key of a claim, with what it means and the least it may be; any that counts seconds is at least 0."""
    found: T = field(default=default, metadata={"says": says, "least": least})
    return found


def needed(says: str, least: float = -inf) -> Any:
    """A key that has to be given."""
    return field(metadata={"says": says, "least": least})


FROM_S = "from when it must hold, s"
TO_S = "until when, s; the end where it is left out"
SIGNAL = 'such as "pcc_import_w" or "bat1.soc_pct"'


@dataclass(frozen=True, slots=True)
class Judged:
    """Whether a claim held, in a sentence, with the worst moment and what was to be seen then.

    `held` is None where it could not be judged; the sentence then says why.
    """

    held: bool | None
    text: str
    worst_at_s: float | None = None
    worst: float | None = None


@dataclass(frozen=True)
class Settles:
    """A signal comes to a value within a time, and stays there."""

    name: ClassVar[str] = "settles"
    signal: str = needed(SIGNAL)
    to: float = needed("the value")
    tolerance: float = needed("how far from it is still there, in the signal's unit", 0.0)
    after_s: float = needed("what makes it move happens then, s")
    within_s: float = needed("how long it may take, s")
    until_s: float = key(inf, "how long it stays, s since the beginning; to the end where left out")

    def judge(self, record: Record) -> Judged:
        """The last sample outside of the band decides."""
        last_out, worst = None, (self.after_s, self.to)
        for at_s, value in record.between(self.signal, self.after_s, self.until_s):
            off = abs(value - self.to)
            if isnan(off) or off > self.tolerance:
                last_out = at_s
            if at_s > self.after_s + self.within_s and off > abs(worst[1] - self.to):
                worst = (at_s, value)
        seen = list(record.between(self.signal, self.after_s + self.within_s, self.until_s))
        if all(isnan(value) for _, value in seen):
            return Judged(False, f"{self.signal} was not seen after {self.after_s + self.within_s:g} s")
        if last_out is None:
            return Judged(True, f"{self.signal} never left {self.to:g} ± {self.tolerance:g}", *worst)
        took_s = last_out - self.after_s
        text = f"{self.signal} was last outside of {self.to:g} ± {self.tolerance:g} after {took_s:.2f} s"
        if took_s <= self.within_s:
            return Judged(True, f"{text}, allowed {self.within_s:g} s", *worst)
        return Judged(False, f"{text}, allowed {self.within_s:g} s; worst {worst[1]:.1f}", *worst)


@dataclass(frozen=True)
class Stays:
    """A signal is never beyond a bound for longer than allowed at a stretch."""

    name: ClassVar[str] = "stays"
    signal: str = needed(SIGNAL)
    at_most: float = key(inf, "upper bound")
    at_least: float = key(-inf, "lower bound")
    longer_than_s: float = key(0.0, "an excursion may last this long, s")
    from_s: float = key(0.0, FROM_S)
    to_s: float = key(inf, TO_S)

    def judge(self, record: Record) -> Judged:
        """The longest excursion decides."""
        since_s: float | None = None
        longest_s, worst, beyond = 0.0, (0.0, 0.0), 0.0
        seen = False
        for at_s, value in record.between(self.signal, self.from_s, self.to_s):
            seen = seen or not isnan(value)
            over = max(value - self.at_most, self.at_least - value)
            if over > 0.0:
                since_s = at_s if since_s is None else since_s
                longest_s = max(longest_s, at_s - since_s)
                if over > beyond:
                    beyond, worst = over, (at_s, value)
            else:
                if since_s is not None:
                    longest_s = max(longest_s, at_s - since_s)
                since_s = None
        bounds = " and ".join(
            text
            for text, is_set in (
                (f"at most {self.at_most:g}", self.at_most < inf),
                (f"at least {self.at_least:g}", self.at_least > -inf),
            )
            if is_set
        )
        text = f"{self.signal} {bounds}"
        if not seen:
            return Judged(False, f"{text}: was not seen")
        if beyond <= 0.0:
            return Judged(True, text)
        text += f": beyond it for {longest_s:.2f} s at a stretch, allowed {self.longer_than_s:g} s"
        held = self.longer_than_s > 0.0 and longest_s <= self.longer_than_s
        return Judged(held, f"{text}; worst {worst[1]:.1f}", *worst)


@dataclass(frozen=True)
class Value:
    """A signal has a value at an instant, within bounds."""

    name: ClassVar[str] = "value"
    signal: str = needed(SIGNAL)
    at_s: float = needed("when, s")
    at_most: float = key(inf, "upper bound")
    at_least: float = key(-inf, "lower bound")
    within_s: float = key(0.0, "or so much earlier or later, s")

    def judge(self, record: Record) -> Judged:
        """The newest sample at that instant decides, or whichever is right near it."""
        end_s = self.at_s + self.within_s
        found = list(record.between(self.signal, 0.0, end_s))
        near = [one for one in found if one[0] >= self.at_s - self.within_s] or found[-1:]
        near = [one for one in near if not isnan(one[1])]
        if not near:
            return Judged(False, f"{self.signal} was not seen at {self.at_s:g} s")
        right = [one for one in near if self.at_least <= one[1] <= self.at_most]
        held, (at_s, value) = bool(right), (right or near)[-1]
        return Judged(held, f"{self.signal} is {value:.2f} at {at_s:g} s", at_s, value)


@dataclass(frozen=True)
class Reaches:
    """The controller is in a mode within a time, and stays there as long as is said."""

    name: ClassVar[str] = "reaches"
    mode: ModeName = field(metadata={"says": "the mode"})
    after_s: float = needed("what brings it about happens then, s")
    within_s: float = needed("how long it may take, s")
    stays_s: float = key(0.0, "how long it then stays there, s")

    def judge(self, record: Record) -> Judged:
        """The first beat in the mode decides."""
        wanted = Mode[self.mode]
        beats = record.beats_between(self.after_s, record.duration_s)
        first = next((one for one in beats if one.decision.mode is wanted), None)
        if first is None:
            return Judged(False, f"{self.mode} was never reached after {self.after_s:g} s")
        took_s = first.at_s - self.after_s
        if took_s > self.within_s:
            text = f"{self.mode} after {took_s:.2f} s, allowed {self.within_s:g} s"
            return Judged(False, text, first.at_s)
        for one in record.beats_between(first.at_s, first.at_s + self.stays_s):
            if one.decision.mode is not wanted:
                text = f"{self.mode} after {took_s:.2f} s, but {one.decision.mode.value} at {one.at_s:g} s"
                return Judged(False, text, one.at_s)
        return Judged(True, f"{self.mode} after {took_s:.2f} s, allowed {self.within_s:g} s", first.at_s)


@dataclass(frozen=True)
class Never:
    """The controller is never in a mode between two instants."""

    name: ClassVar[str] = "never"
    mode: ModeName = field(metadata={"says": "the mode"})
    from_s: float = key(0.0, FROM_S)
    to_s: float = key(inf, TO_S)

    def judge(self, record: Record) -> Judged:
        """The first beat in the mode decides."""
        beats = record.beats_between(self.from_s, self.to_s)
        if not beats:
            return Judged(False, f"no decision after {self.from_s:g} s was seen")
        for one in beats:
            if one.decision.mode is Mode[self.mode]:
                return Judged(False, f"{self.mode} at {one.at_s:g} s: {one.decision.reason}", one.at_s)
        return Judged(True, f"never {self.mode}")


@dataclass(frozen=True)
class Says:
    """Some decision between two instants is bound by a limit, or gives a reason with these words."""

    name: ClassVar[str] = "says"
    limited_by: str = key("", "the limit that binds, such as export_limit")
    reason: str = key("", "words of the reason")
    from_s: float = key(0.0, FROM_S)
    to_s: float = key(inf, TO_S)

    def judge(self, record: Record) -> Judged:
        """One decision is enough."""
        heard: dict[str, None] = {}
        for one in record.beats_between(self.from_s, self.to_s):
            decision = one.decision
            if self.limited_by in ("", decision.limited_by) and self.reason in decision.reason:
                return Judged(True, f"at {one.at_s:g} s: {decision.reason}", one.at_s)
            heard[f"{decision.limited_by or '-'}: {decision.reason}"] = None
        return Judged(False, f"nothing of the kind; last: {' | '.join(list(heard)[-3:])}")


@dataclass(frozen=True)
class Refreshes:
    """Orders come to a device at least so often: none of its leases runs out."""

    name: ClassVar[str] = "refreshes"
    device: str = needed("its id")
    every_s: float = needed("the longest silence allowed, s")
    from_s: float = key(0.0, FROM_S)
    to_s: float = key(inf, TO_S)

    def judge(self, record: Record) -> Judged:
        """The longest silence decides."""
        to_s = min(self.to_s, record.duration_s)
        times = [at_s for at_s, _ in record.orders.get(self.device, ()) if self.from_s <= at_s <= to_s]
        silences = [(later - before, before) for before, later in pairwise([self.from_s, *times, to_s])]
        longest_s, since_s = max(silences)
        text = f"{len(times)} orders for {self.device}, longest silence {longest_s:.1f} s"
        return Judged(longest_s <= self.every_s, f"{text}, allowed {self.every_s:g} s", since_s, longest_s)


@dataclass(frozen=True)
class Writes:
    """A device's order changes at most so often: a register that wears out, an inverter left in peace."""

    name: ClassVar[str] = "writes"
    device: str = needed("its id")
    at_most: int = needed("how often", 0)
    by_w: float = key(0.5, "a smaller change does not count, W", 0.0)
    from_s: float = key(0.0, FROM_S)
    to_s: float = key(inf, TO_S)

    def judge(self, record: Record) -> Judged:
        """Changes are counted where the orders arrive."""
        changes, before, last_s = 0, None, None
        for at_s, order_w in record.orders.get(self.device, ()):
            if self.from_s <= at_s <= self.to_s and (before is None or abs(order_w - before) > self.by_w):
                changes, last_s, before = changes + 1, at_s, order_w
        text = f"the order of {self.device} changed {changes} times, allowed {self.at_most}"
        return Judged(changes <= self.at_most, text, last_s, float(changes))


@dataclass(frozen=True)
class Energy:
    """So much energy flows between two instants."""

    name: ClassVar[str] = "energy"
    of: Literal["load", "pv", "curtailed", "import", "export", "charged", "discharged", "lost"] = needed(
        "what is counted"
    )
    at_most_wh: float = key(inf, "Wh")
    at_least_wh: float = key(-inf, "Wh")
    from_s: float = key(0.0, FROM_S)
    to_s: float = key(inf, TO_S)

    def judge(self, record: Record) -> Judged:
        """By the plant's own books."""
        found_wh = record.energy_wh(self.of, self.from_s, self.to_s)
        held = self.at_least_wh <= found_wh <= self.at_most_wh
        return Judged(held, f"{self.of}: {found_wh:.1f} Wh", None, found_wh)


@dataclass(frozen=True)
class Calm:
    """A signal turns around at most so often a minute, by more than a band: no hunting."""

    name: ClassVar[str] = "calm"
    signal: str = needed(SIGNAL)
    band: float = needed("smaller movements do not count", 0.0)
    turns_per_min: float = key(3.0, "allowed in any minute", 0.0)
    from_s: float = key(0.0, FROM_S)
    to_s: float = key(inf, TO_S)

    def judge(self, record: Record) -> Judged:
        """The worst minute decides."""
        samples = list(record.between(self.signal, self.from_s, self.to_s))
        if all(isnan(value) for _, value in samples):
            return Judged(False, f"{self.signal} was not seen after {self.from_s:g} s")
        turns = list(_turns(samples, self.band))
        most, at_s = 0, None
        for index, begin_s in enumerate(turns):
            inside = sum(1 for one in turns[index:] if one < begin_s + 60.0)
            if inside > most:
                most, at_s = inside, begin_s
        text = f"{self.signal} turned {most} times in its worst minute, allowed {self.turns_per_min:g}"
        return Judged(most <= self.turns_per_min, text, at_s, float(most))


def _turns(samples: Iterable[tuple[float, float]], band: float) -> Iterator[float]:
    """When a signal turned by more than `band` from its last extreme."""
    high = low = None
    way = 0
    for at_s, value in samples:
        if isnan(value):
            continue
        high = value if high is None else max(high, value)
        low = value if low is None else min(low, value)
        if way >= 0 and value < high - band:
            if way > 0:
                yield at_s
            way, high, low = -1, value, value
        elif way <= 0 and value > low + band:
            if way < 0:
                yield at_s
            way, high, low = 1, value, value


Claim = Settles | Stays | Value | Reaches | Never | Says | Refreshes | Writes | Energy | Calm

CLAIMS: tuple[type[Claim], ...] = (
    Settles,
    Stays,
    Value,
    Reaches,
    Never,
    Says,
    Refreshes,
    Writes,
    Energy,
    Calm,
)
JUDGES: dict[str, Callable[..., Claim]] = {kind.name: kind for kind in CLAIMS}
