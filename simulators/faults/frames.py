"""Faults on a link (catalogue A): what becomes of the frames of Modbus TCP or RTU on their way.

Those of a serial line alone are in `lines.py`. Each fault sees a request before the device, a reply before
the client. A device without a wire has no frames: what leaves a client without an answer is a failed reading.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import ClassVar, Literal

from drivers import rtu
from drivers.fact import fact
from drivers.wire import MBAP
from simulators.faults.model import (
    DEVICES,
    LONGEST_S,
    AnyReading,
    Chance,
    Fault,
    no_answer,
    param,
    shared_param,
)

READS = (3, 4)
END = Literal["", "close", "abort"]
Refusal = Literal[
    "", "refuse", "blackhole", "unplugged", "expired", "stranger", "other_host", "stalled", "plain"
]


@fact
class Frame:
    """One frame of Modbus, as it is or as it claims to be."""

    transaction: int
    unit: int
    pdu: bytes
    protocol: int = 0
    length: int | None = None
    """What the header says, if that is not the truth."""
    serial: bool = False
    """On a serial line: no header, but a checksum."""

    @property
    def data(self) -> bytes:
        """As it stands on the wire."""
        if self.serial:
            return rtu.framed(self.unit & 0xFF, self.pdu)
        length = len(self.pdu) + 1 if self.length is None else self.length
        return MBAP.pack(self.transaction & 0xFFFF, self.protocol, length, self.unit & 0xFF) + self.pdu


@fact
class Sent:
    """Bytes for the client, so long after the reply came, and what becomes of the connection then."""

    data: bytes
    after_s: float = 0.0
    end: END = ""


@dataclass
class LinkFault(Fault):
    """The base of link faults: hits a share of the happenings, `count` in all."""

    seam: ClassVar[str] = "link"
    roles: ClassVar[tuple[str, ...]] = (*DEVICES, "switch")
    unheard: ClassVar[bool] = True
    wires: ClassVar[tuple[str, ...]] = ("tcp", "serial")
    """Where it can happen: "tcp" is any connection with an MBAP header, also one of "tls"."""
    shared: ClassVar[bool] = False
    """Whether every unit behind the same wire has it, and not the device alone."""
    share: float = shared_param(1.0, "of the happenings that are hit", least=0.0, most=1.0)
    count: int = shared_param(0, "how many are hit in all; 0: no end", least=0, most=1_000_000_000)
    seed: int = shared_param(1, "which ones, where not all are hit", least=0, most=2**32 - 1)
    _chance: Chance = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._chance = Chance(self.share, self.count, self.seed)

    def refuses(self) -> Refusal:
        """Whether nobody can connect."""
        return ""

    def asked(self, request: Frame, opened_s: float) -> Sequence[Sent] | None:
        """What is sent without the device being asked; None lets the request pass."""
        return None

    def sent(self, reply: Frame, out: Sequence[Sent], opened_s: float) -> Sequence[Sent]:
        """What the client gets for a reply; `opened_s` is when this connection was made."""
        return self.hit(reply, out) if self._chance.hits() else out

    def hit(self, reply: Frame, out: Sequence[Sent]) -> Sequence[Sent]:
        """The same for a reply that is hit."""
        return out

    def reading(self, reading: AnyReading, now_s: float, wired: bool) -> AnyReading:
        if not wired and self.unheard and self._chance.hits():
            raise no_answer(self.name)
        return reading

    def order(self, order_w: float, now_s: float, wired: bool) -> float | None:
        if not wired and self.unheard and self._chance.hits():
            raise no_answer(self.name)
        return order_w


@dataclass
class Silent(LinkFault):
    """The device does not answer."""

    name: ClassVar[str] = "silent"
    ids: ClassVar[tuple[str, ...]] = ("A01", "A02", "A03", "A35")

    def asked(self, request: Frame, opened_s: float) -> Sequence[Sent] | None:
        return () if self._chance.hits() else None

    def sent(self, reply: Frame, out: Sequence[Sent], opened_s: float) -> Sequence[Sent]:
        return out


@dataclass
class HalfOpen(LinkFault):
    """Connections made before the fault are dead without a word; new ones work."""

    name: ClassVar[str] = "half_open"
    ids: ClassVar[tuple[str, ...]] = ("A04",)
    wires: ClassVar[tuple[str, ...]] = ("tcp",)
    unheard: ClassVar[bool] = False
    _begun_s: float = field(init=False, repr=False, compare=False, default=-inf)

    def begin(self, now_s: float) -> None:
        self._begun_s = now_s

    def asked(self, request: Frame, opened_s: float) -> Sequence[Sent] | None:
        return () if opened_s <= self._begun_s else None


@dataclass
class Reset(LinkFault):
    """The connection is reset in the middle of a reply."""

    name: ClassVar[str] = "reset"
    ids: ClassVar[tuple[str, ...]] = ("A05",)
    wires: ClassVar[tuple[str, ...]] = ("tcp",)

    def hit(self, reply: Frame, out: Sequence[Sent]) -> Sequence[Sent]:
        return (Sent(reply.data[: len(reply.data) // 2], end="abort"),)


@dataclass
class HangUp(LinkFault):
    """The device closes the connection after each reply."""

    name: ClassVar[str] = "hang_up"
    ids: ClassVar[tuple[str, ...]] = ("A06", "A30")
    wires: ClassVar[tuple[str, ...]] = ("tcp",)
    unheard: ClassVar[bool] = False

    def hit(self, reply: Frame, out: Sequence[Sent]) -> Sequence[Sent]:
        return (*out, Sent(b"", max((one.after_s for one in out), default=0.0), "close"))


@dataclass
class Refuse(LinkFault):
    """Nobody listens: connections are reset and new ones refused, as while a device boots."""

    name: ClassVar[str] = "refuse"
    ids: ClassVar[tuple[str, ...]] = ("A07",)
    wires: ClassVar[tuple[str, ...]] = ("tcp",)

    def refuses(self) -> Refusal:
        return "refuse"


@dataclass
class Blackhole(LinkFault):
    """As `refuse`, but nobody answers a connect either: the address has vanished."""

    name: ClassVar[str] = "blackhole"
    ids: ClassVar[tuple[str, ...]] = ("A08",)
    wires: ClassVar[tuple[str, ...]] = ("tcp",)

    def refuses(self) -> Refusal:
        return "blackhole"


@dataclass
class WrongCertificate(LinkFault):
    """A device on TLS shows a certificate that nobody must trust, or no handshake is had from it."""

    name: ClassVar[str] = "certificate"
    ids: ClassVar[tuple[str, ...]] = ("A33",)
    wires: ClassVar[tuple[str, ...]] = ("tls",)
    what: Literal["expired", "stranger", "other_host", "stalled", "plain"] = param(
        "expired",
        "expired, a stranger's, for another host; stalled: no answer; plain: no TLS",
    )

    def refuses(self) -> Refusal:
        return self.what


@dataclass
class Drip(LinkFault):
    """A reply comes byte by byte."""

    name: ClassVar[str] = "drip"
    ids: ClassVar[tuple[str, ...]] = ("A09",)
    byte_s: float = param(0.1, "s from one byte to the next", least=0.0, most=60.0)

    def hit(self, reply: Frame, out: Sequence[Sent]) -> Sequence[Sent]:
        return [Sent(bytes((one,)), at * self.byte_s) for at, one in enumerate(reply.data)]


@dataclass
class Late(LinkFault):
    """A reply comes late, with its own transaction number or with one of its own making."""

    name: ClassVar[str] = "late"
    ids: ClassVar[tuple[str, ...]] = ("A10", "A11")
    by_s: float = param(0.7, "how late, s", least=0.0, most=LONGEST_S)
    transaction: int = param(-1, "the number it then has; -1: its own", least=-1, most=65_535)

    def hit(self, reply: Frame, out: Sequence[Sent]) -> Sequence[Sent]:
        late = reply if self.transaction < 0 else replace(reply, transaction=self.transaction)
        return (Sent(late.data, self.by_s),)


@dataclass
class Retag(LinkFault):
    """A reply has another transaction number."""

    name: ClassVar[str] = "retag"
    ids: ClassVar[tuple[str, ...]] = ("A12",)
    wires: ClassVar[tuple[str, ...]] = ("tcp",)
    by: int = param(1, "added to the number", most=65_535)

    def hit(self, reply: Frame, out: Sequence[Sent]) -> Sequence[Sent]:
        return (Sent(replace(reply, transaction=reply.transaction + self.by).data),)


@dataclass
class WrongUnit(LinkFault):
    """A reply comes from another unit."""

    name: ClassVar[str] = "wrong_unit"
    ids: ClassVar[tuple[str, ...]] = ("A13",)
    by: int = param(1, "added to the unit id", most=255)

    def hit(self, reply: Frame, out: Sequence[Sent]) -> Sequence[Sent]:
        return (Sent(replace(reply, unit=reply.unit + self.by).data),)


@dataclass
class WrongFunction(LinkFault):
    """A reply is that of another function: input instead of holding registers, and the reverse."""

    name: ClassVar[str] = "wrong_function"
    ids: ClassVar[tuple[str, ...]] = ("A14",)

    def hit(self, reply: Frame, out: Sequence[Sent]) -> Sequence[Sent]:
        other = {3: 4, 4: 3, 6: 16, 16: 6}.get(reply.pdu[0], reply.pdu[0] ^ 1)
        return (Sent(replace(reply, pdu=bytes((other,)) + reply.pdu[1:]).data),)


@dataclass
class WrongProtocol(LinkFault):
    """A reply has a protocol number that is not Modbus's."""

    name: ClassVar[str] = "wrong_protocol"
    ids: ClassVar[tuple[str, ...]] = ("A15",)
    wires: ClassVar[tuple[str, ...]] = ("tcp",)
    protocol: int = param(1, "the number it has", least=0, most=65_535)

    def hit(self, reply: Frame, out: Sequence[Sent]) -> Sequence[Sent]:
        return (Sent(replace(reply, protocol=self.protocol).data),)


@dataclass
class WrongCount(LinkFault):
    """A reply to a read has more or fewer registers than were asked for."""

    name: ClassVar[str] = "wrong_count"
    ids: ClassVar[tuple[str, ...]] = ("A16",)
    by: int = param(-1, "registers too many, or too few where negative", most=125)

    def hit(self, reply: Frame, out: Sequence[Sent]) -> Sequence[Sent]:
        if reply.pdu[0] not in READS:
            return out
        words = reply.pdu[2:]
        words = words[: max(len(words) + 2 * self.by, 0)] if self.by < 0 else words + bytes(2 * self.by)
        return (Sent(replace(reply, pdu=bytes((reply.pdu[0], len(words) & 0xFF)) + words).data),)


@dataclass
class Truncated(LinkFault):
    """A reply ends `bytes` too early and nothing follows, or its header gives a `length` that lies."""

    name: ClassVar[str] = "truncated"
    ids: ClassVar[tuple[str, ...]] = ("A17",)
    bytes: int = param(2, "missing at the end", least=0, most=260)
    length: int = param(
        -1, "what the header says, such as 0, 1 or 65535; -1: the truth", least=-1, most=65_535
    )

    def hit(self, reply: Frame, out: Sequence[Sent]) -> Sequence[Sent]:
        shown = reply if self.length < 0 else replace(reply, length=self.length)
        return (Sent(shown.data[: max(len(shown.data) - self.bytes, 0)]),)


@dataclass
class Garbage(LinkFault):
    """Bytes that mean nothing come instead of a reply."""

    name: ClassVar[str] = "garbage"
    ids: ClassVar[tuple[str, ...]] = ("A18",)
    bytes: int = param(300, "how many", least=1, most=65_536)

    def hit(self, reply: Frame, out: Sequence[Sent]) -> Sequence[Sent]:
        return (Sent(self._chance.bytes(self.bytes)),)


@dataclass
class Duplicate(LinkFault):
    """A reply comes twice."""

    name: ClassVar[str] = "duplicate"
    ids: ClassVar[tuple[str, ...]] = ("A19",)
    unheard: ClassVar[bool] = False

    def hit(self, reply: Frame, out: Sequence[Sent]) -> Sequence[Sent]:
        return (*out, *out)


@dataclass
class Exception_(LinkFault):  # noqa: N801 (the word of the trade is one of Python's too)
    """The device refuses with a Modbus exception; writes alone with code 1 where our role may not write."""

    name: ClassVar[str] = "exception"
    ids: ClassVar[tuple[str, ...]] = ("A20", "A21", "A22", "A23", "A33")
    code: int = param(
        4, "1 function, 2 address, 3 value, 4 failure, 5, 6 busy, 10, 11 gateway", least=0, most=255
    )

    requests: Literal["all", "reads", "writes"] = param("all", "which it refuses: all, reads or writes")

    def asked(self, request: Frame, opened_s: float) -> Sequence[Sent] | None:
        what = "reads" if request.pdu[0] in READS else "writes"
        if self.requests not in ("all", what) or not self._chance.hits():
            return None
        refusal = bytes((request.pdu[0] | 0x80, self.code))
        return (Sent(replace(request, pdu=refusal, length=None).data),)

    def sent(self, reply: Frame, out: Sequence[Sent], opened_s: float) -> Sequence[Sent]:
        return out


@dataclass
class Backlog(LinkFault):
    """Replies are those to earlier requests: the device works through a queue."""

    name: ClassVar[str] = "backlog"
    ids: ClassVar[tuple[str, ...]] = ("A31",)
    behind: int = param(3, "requests late", least=1, most=10_000)
    _waiting: deque[Frame] | None = field(init=False, repr=False, compare=False, default=None)

    def hit(self, reply: Frame, out: Sequence[Sent]) -> Sequence[Sent]:
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(reply)
        return (Sent(self._waiting.popleft().data),) if len(self._waiting) > self.behind else ()


LINKS: tuple[type[LinkFault], ...] = (
    Silent,
    HalfOpen,
    Reset,
    HangUp,
    Refuse,
    Blackhole,
    WrongCertificate,
    Drip,
    Late,
    Retag,
    WrongUnit,
    WrongFunction,
    WrongProtocol,
    WrongCount,
    Truncated,
    Garbage,
    Duplicate,
    Exception_,
    Backlog,
)
