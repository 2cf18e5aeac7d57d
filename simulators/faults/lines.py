"""Faults of a serial line alone (catalogue A27, A28, A32): changed bytes, noise, echo, a pulled adapter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from simulators.faults.frames import Frame, LinkFault, Refusal, Sent
from simulators.faults.model import param


@dataclass
class SerialFault(LinkFault):
    """The base of faults that only a serial line has."""

    wires: ClassVar[tuple[str, ...]] = ("serial",)


@dataclass
class Flipped(SerialFault):
    """A bit of a reply is turned over on the line, so that its checksum is wrong; `share` says how often."""

    name: ClassVar[str] = "flipped"
    ids: ClassVar[tuple[str, ...]] = ("A27",)

    def hit(self, reply: Frame, out: Sequence[Sent]) -> Sequence[Sent]:
        data = bytearray(reply.data)
        place, bit = self._chance.bytes(2)
        data[place * len(data) // 256] ^= 1 << bit % 8
        return (Sent(bytes(data)),)


@dataclass
class Noise(SerialFault):
    """Bytes that mean nothing come before a reply, as when a driver of the bus switches on."""

    name: ClassVar[str] = "noise"
    ids: ClassVar[tuple[str, ...]] = ("A28",)
    unheard: ClassVar[bool] = False
    bytes: int = param(3, "how many", least=0, most=65_536)

    def hit(self, reply: Frame, out: Sequence[Sent]) -> Sequence[Sent]:
        return (Sent(self._chance.bytes(self.bytes)), *out)


@dataclass
class Echo(SerialFault):
    """The client hears its own request before the reply, as from an adapter with local echo."""

    name: ClassVar[str] = "echo"
    ids: ClassVar[tuple[str, ...]] = ("A28",)
    unheard: ClassVar[bool] = False
    shared: ClassVar[bool] = True
    _asked: bytes = field(init=False, repr=False, compare=False, default=b"")

    def asked(self, request: Frame, opened_s: float) -> Sequence[Sent] | None:
        self._asked = request.data
        return None

    def hit(self, reply: Frame, out: Sequence[Sent]) -> Sequence[Sent]:
        return (Sent(self._asked), *out)


@dataclass
class Split(SerialFault):
    """A reply comes in two parts with a pause between, as USB adapters hand on what they heard."""

    name: ClassVar[str] = "split"
    ids: ClassVar[tuple[str, ...]] = ("A28",)
    unheard: ClassVar[bool] = False
    pause_s: float = param(0.016, "s between the parts", least=0.0, most=60.0)

    def hit(self, reply: Frame, out: Sequence[Sent]) -> Sequence[Sent]:
        half = len(reply.data) // 2
        return (Sent(reply.data[:half]), Sent(reply.data[half:], self.pause_s))


@dataclass
class Unplugged(SerialFault):
    """The adapter is pulled out, and is back at the end; for ports that the emulator has made itself."""

    name: ClassVar[str] = "unplugged"
    ids: ClassVar[tuple[str, ...]] = ("A32",)
    shared: ClassVar[bool] = True

    def refuses(self) -> Refusal:
        return "unplugged"


LINES: tuple[type[LinkFault], ...] = (Flipped, Noise, Echo, Split, Unplugged)
