"""Profile + link = a switch of loads: one relay of a module (the Protocol `Switch` of drivers/device.py).

A relay is read with every reading and moved only when it does not stand as asked, so its contacts wear no
more than they must. Each move is read back; a module that restarted is found by the next reading.
"""

from __future__ import annotations

from drivers.device import DeviceError, DeviceFacts, SwitchReading
from drivers.link import Link
from drivers.profile.model import DeviceProfile
from drivers.profile.relay import relay_write
from drivers.registers import decode


def modbus_switch(
    device_id: str, profile: DeviceProfile, link: Link, unit: int, *, channel: int = 1
) -> ModbusSwitch:
    """A relay behind this link; ValueError if the profile is not a switch's or has fewer channels."""
    if profile.role != "switch":
        raise ValueError(f"{device_id}: the profile {profile.id} describes a {profile.role}, not a switch")
    return ModbusSwitch(profile, link, unit, device_id, channel)


class ModbusSwitch:
    """A relay moved over Modbus; closed, the load has its power."""

    def __init__(self, profile: DeviceProfile, link: Link, unit: int, device_id: str, channel: int) -> None:
        lease = profile.lease
        self.facts = DeviceFacts(
            id=device_id,
            profile=profile.id,
            lease_fallback=lease.fallback if lease is not None else "",
            dead_time_s=profile.response.dead_time_s,
            time_constant_s=profile.response.time_constant_s,
            serial=link.serial,
        )
        self._writes = {closed: relay_write(profile, closed, channel) for closed in (True, False)}
        self._point = profile.gives["closed"]
        self._link = link
        self._unit = unit if self._point.unit_id is None else self._point.unit_id
        self._closed: bool | None = None
        self._known_on = -1

    async def read(self, deadline_s: float) -> SwitchReading:
        """One request; DeviceError by `deadline_s`, or if the register holds neither of its two values."""
        point, address = self._point, self._writes[True].address
        self._closed = None
        try:
            reply = await self._link.read(self._unit, point.kind, address, 1, deadline_s)
        except DeviceError as error:
            raise DeviceError(f"{self.facts.id}: {error}") from None
        value = decode(point.encoding, reply.words)
        low, high = point.range or (0.0, 65535.0)
        if not isinstance(value, float | int) or not low <= value <= high:
            found = f"register {address} holds 0x{reply.words[0]:04X}"
            raise DeviceError(f"{self.facts.id}: {found}, which is neither open nor closed")
        closed = bool(point.field_value(value))
        self._closed, self._known_on = closed, self._link.connects
        return SwitchReading(reply.taken_at_s, closed)

    async def set(self, closed: bool, deadline_s: float) -> None:
        """Move the relay and read it back; nothing if it stood so when it was last read."""
        if self._closed is not closed or self._known_on != self._link.connects:
            await self._move(closed, deadline_s)

    async def release(self, deadline_s: float) -> None:
        """Close it, and read that back even if it was closed before."""
        await self._move(True, deadline_s)

    async def close(self) -> None:
        """Nothing: the link belongs to who opened it, and other units may share it."""

    async def _move(self, closed: bool, deadline_s: float) -> None:
        write = self._writes[closed]
        self._closed = None
        try:
            await self._link.write(self._unit, write.address, write.words, deadline_s, single=write.single)
        except DeviceError as error:
            raise DeviceError(f"{self.facts.id}: {error}") from None
        if (await self.read(deadline_s)).closed is not closed:
            self._closed = None
            raise DeviceError(
                f"{self.facts.id}: was told to {'close' if closed else 'open'}, but reads back "
                f"{'open' if closed else 'closed'}"
            )
