"""Relay modules on a wire, the loads behind them, and several devices that answer as one unit."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from drivers.device import SwitchReading
from drivers.profile.model import DeviceProfile
from drivers.profile.relay import relay_write
from drivers.registers import encode
from drivers.simulated import SwitchPort
from drivers.wire import ILLEGAL_ADDRESS, ILLEGAL_VALUE, ModbusFault, Space, Unit
from simulators.site import House


class SwitchedLoad:
    """A relay in a house that takes `sheds_w` out of its load while it is open; it begins closed."""

    def __init__(self, house: House, sheds_w: float) -> None:
        self._house = house
        self._sheds_w = sheds_w
        self._closed = True

    def reading(self, now_s: float) -> SwitchReading:
        return SwitchReading(now_s, self._closed)

    def set(self, now_s: float, closed: bool) -> None:
        self._house.advance(now_s)
        if closed is not self._closed:
            self._closed = closed
            self._house.shed(-self._sheds_w if closed else self._sheds_w)


class EmulatedRelays:
    """A `drivers.wire.Unit`: a relay module of this profile, with a port behind some of its channels.

    Registers beyond the relays are refused with exception 2, values that move nothing with exception 3.
    """

    def __init__(self, profile: DeviceProfile, ports: Mapping[int, SwitchPort]) -> None:
        if profile.relay is None:
            raise ValueError(f"the profile {profile.id} has no [relay]")
        self._point = profile.gives["closed"]
        self._channels = profile.relay.channels
        self._ports = ports
        self._loose = dict.fromkeys(range(1, self._channels + 1), False)
        self._moves = {relay_write(profile, closed).words[0]: closed for closed in (True, False)}

    async def read(self, peer: str, space: Space, address: int, count: int) -> Sequence[int]:
        """Of each relay, whether it is closed."""
        now_s = asyncio.get_running_loop().time()
        if space != self._point.kind:
            raise ModbusFault(ILLEGAL_ADDRESS)
        return [self._word(self._channel(at), now_s) for at in range(address, address + count)]

    async def write(self, peer: str, address: int, words: Sequence[int]) -> None:
        """Move relays, all or none."""
        now_s = asyncio.get_running_loop().time()
        channels = [self._channel(address + offset) for offset in range(len(words))]
        if not all(word in self._moves for word in words):
            raise ModbusFault(ILLEGAL_VALUE)
        for channel, word in zip(channels, words, strict=True):
            if channel in self._ports:
                self._ports[channel].set(now_s, self._moves[word])
            else:
                self._loose[channel] = self._moves[word]

    def _channel(self, address: int) -> int:
        channel = address - self._point.address + 1
        if not 1 <= channel <= self._channels:
            raise ModbusFault(ILLEGAL_ADDRESS)
        return channel

    def _word(self, channel: int, now_s: float) -> int:
        port = self._ports.get(channel)
        closed = self._loose[channel] if port is None else port.reading(now_s).closed
        shown = float(self._point.true_when[0]) if closed else self._point.emulated or 0.0
        return encode(self._point.encoding, shown)[0]


class SharedUnit:
    """Several devices at one unit id, each with its registers, as a hybrid inverter with its meter is."""

    def __init__(self, first: Unit, second: Unit) -> None:
        self._parts = (first, second)

    async def read(self, peer: str, space: Space, address: int, count: int) -> Sequence[int]:
        """From the part that has these registers."""
        first, second = self._parts
        try:
            return await first.read(peer, space, address, count)
        except ModbusFault as fault:
            if fault.code != ILLEGAL_ADDRESS:
                raise
            return await second.read(peer, space, address, count)

    async def write(self, peer: str, address: int, words: Sequence[int]) -> None:
        """Into the part that has these registers; the other refuses before it changes anything."""
        first, second = self._parts
        try:
            await first.write(peer, address, words)
        except ModbusFault as fault:
            if fault.code != ILLEGAL_ADDRESS:
                raise
            await second.write(peer, address, words)
