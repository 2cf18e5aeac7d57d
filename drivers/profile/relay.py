"""Pure: relay modules in profiles, one register for each relay; what a switch of loads is made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from drivers.doors import Where, nearest
from drivers.profile.door import ProfileFile
from drivers.profile.model import REQUIRED, DeviceProfile, Point, Write


def relay_wrong(file: ProfileFile, points: Mapping[str, Point]) -> Iterator[tuple[Where, str]]:
    """A switch without relays, relays without a switch, and registers that cannot be a relay's."""
    relay = file.relay
    if file.role != "switch":
        if relay is not None:
            yield ("relay",), f"is there, but a {file.role} has no relays"
        return
    if relay is None:
        yield ("relay",), "is missing; say with point, close and open how a relay is moved"
        return
    if file.lease is None or file.lease.none is None:
        yield ("lease",), 'is missing; say none = "how the relays stay when we fall silent"'
    point = points.get(relay.point)
    if point is None:
        yield ("relay", "point"), f'"{relay.point}" is not a point; {nearest(relay.point, list(points))}'
        return
    if point.gives != REQUIRED["switch"] or not point.writable or point.encoding.words != 1:
        text = f'"{relay.point}" must be one register with gives = "closed" and access = "rw"'
        yield ("relay", "point"), text
    if relay.close == relay.open:
        yield ("relay", "open"), "is written to close it too; give what opens it"
    if point.address + relay.channels > 0x10000:
        yield ("relay", "channels"), "end after the last register"


def relay_write(profile: DeviceProfile, closed: bool, channel: int = 1) -> Write:
    """What closes or opens one relay; ValueError if the profile is not a relay module's, or has fewer."""
    relay = profile.relay
    if relay is None:
        raise ValueError(f"the profile {profile.id} has no [relay]")
    if not 1 <= channel <= relay.channels:
        raise ValueError(f"channel is {channel}; {profile.name} has 1 to {relay.channels}")
    point = profile.points[relay.point]
    return Write(
        point.address + channel - 1, (relay.close if closed else relay.open,), point.single, point.unit_id
    )
