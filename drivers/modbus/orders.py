"""Orders to one unit: take it over, change the order, keep its lease alive, hand it back."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

from drivers.control import OFF, Control, change, held, release, take
from drivers.device import DeviceError
from drivers.modbus.polling import Poller
from drivers.profile.codec import register_writes
from drivers.profile.model import Write
from drivers.registers import Value, decode


class Orders:
    """What we ordered one unit to do, and whether that is still in force there."""

    def __init__(self, poller: Poller, control: Control) -> None:
        self._poller = poller
        self._profile = poller.profile
        self._control = control
        lease = poller.profile.lease
        self._lease_s = math.inf if lease is None or lease.seconds is None else lease.seconds
        self._refresh_s = math.inf if lease is None else self._lease_s * lease.refresh
        self._taken_over_on: int | None = None
        self._released_on: int | None = None
        self._newest: tuple[Write, ...] = ()
        self._setpoint: Value = None
        self._began_at_s = -math.inf
        self._done_at_s = -math.inf

    @property
    def taken(self) -> bool:
        """Whether an order of ours may be in force."""
        return self._taken_over_on is not None

    def held_w(self, values: dict[str, Value]) -> float | None:
        """The order that the device says it holds."""
        return held(self._control, values)

    async def put(self, order_w: float, deadline_s: float) -> None:
        """Make this the order, in as few writes as its lease and what the device holds now allow.

        After a failure the next order takes the device over from the start.
        """
        connects = await self._poller.ready(deadline_s)
        now_s = _now_s()
        values = self._poller.values(now_s)
        try:
            newest = register_writes(self._profile, change(self._control, order_w, values), values)
            if not self._in_force(connects, now_s, values):
                writes = register_writes(self._profile, take(self._control, order_w, values), values)
            elif newest != self._newest or now_s - self._began_at_s >= self._refresh_s:
                writes = newest
            else:
                return
        except ValueError as error:
            raise DeviceError(f"{self._poller.device_id}: {error}") from None
        self._taken_over_on = self._released_on = None
        await self._write(writes, connects, deadline_s)
        self._taken_over_on, self._newest = connects, newest
        self._setpoint = self._setpoint_in(newest, values)
        self._began_at_s, self._done_at_s = now_s, _now_s()

    async def hand_back(self, deadline_s: float) -> None:
        """Release the device and read that back; DeviceError if it does not confirm."""
        connects = await self._poller.identified(deadline_s)
        values = self._poller.values(_now_s())
        try:
            writes = register_writes(self._profile, release(self._control), values)
        except ValueError as error:
            raise DeviceError(f"{self._poller.device_id}: {error}") from None
        self._taken_over_on = None
        await self._write(writes, connects, deadline_s)
        enable = self._profile.points[self._control.enable]
        try:
            reply = await self._poller.link.read(
                self._poller.unit, enable.kind, enable.address, enable.encoding.words, deadline_s
            )
        except DeviceError as error:
            raise DeviceError(f"{self._poller.device_id}: the release is not confirmed: {error}") from None
        found = decode(enable.encoding, reply.words)
        if found != OFF:
            raise DeviceError(
                f"{self._poller.device_id}: the release is not confirmed: {enable.name} reads back {found}"
            )
        self._released_on = connects

    async def hand_back_once(self, deadline_s: float) -> None:
        """As `hand_back`, but nothing if that was done on this connection and nothing ordered since."""
        if self._released_on is None or self._released_on != self._poller.link.connects:
            await self.hand_back(deadline_s)

    def _in_force(self, connects: int, now_s: float, values: dict[str, Value]) -> bool:
        """Whether the device still holds our order, as far as can be known: else it is taken over anew."""
        if self._taken_over_on != connects or now_s - self._began_at_s >= self._lease_s:
            return False
        if self._poller.read_at_s(self._control.setpoint) <= self._done_at_s:
            return True
        # Read back after we wrote: it rebooted, its timer ran out, or somebody else has ordered otherwise.
        return held(self._control, values) is not None and values[self._control.setpoint] == self._setpoint

    def _setpoint_in(self, writes: Sequence[Write], values: dict[str, Value]) -> Value:
        """The setpoint as it will read back, after rounding to the register's steps."""
        point = self._profile.points[self._control.setpoint]
        words = next(write.words for write in writes if write.address == point.address)
        power = 0.0 if point.power_of is None else values.get(point.power_of)
        return decode(point.encoding, words, power if isinstance(power, float) else None)

    async def _write(self, writes: Sequence[Write], connects: int, deadline_s: float) -> None:
        poller = self._poller
        for write in writes:
            if poller.link.connects != connects:
                raise DeviceError(f"{poller.device_id}: the connection was lost in the middle of an order")
            try:
                await poller.link.write(poller.unit, write.address, write.words, deadline_s)
            except DeviceError as error:
                raise DeviceError(f"{poller.device_id}: {error}") from None
        if poller.link.connects != connects:
            raise DeviceError(f"{poller.device_id}: the connection was lost in the middle of an order")


def _now_s() -> float:
    return asyncio.get_running_loop().time()
