"""One site setpoint into one for each battery."""

from __future__ import annotations

from controller.dispatch.limits import Range


def share(total_w: float, preferred: tuple[Range, ...], allowed: tuple[Range, ...]) -> tuple[float, ...]:
    """Split `total_w` by room inside the `preferred` ranges; what they cannot take goes into `allowed`.

    Every battery gets the same part of its own room, so all move the same way and none charges another.
    `preferred` lies inside `allowed` (it respects the reserve); each range contains 0 W.
    """
    if len(preferred) == 1:
        return (allowed[0].clamp(total_w),)
    inner = _by_room(total_w, preferred)
    rest_w = total_w - sum(inner)
    if rest_w == 0.0:
        return inner
    outer = _by_room(rest_w, tuple(_left(room, used_w) for room, used_w in zip(allowed, inner, strict=True)))
    return tuple(one + more for one, more in zip(inner, outer, strict=True))


def _left(room: Range, used_w: float) -> Range:
    return Range(min(room.lower_w - used_w, 0.0), max(room.upper_w - used_w, 0.0))


def _by_room(total_w: float, rooms: tuple[Range, ...]) -> tuple[float, ...]:
    sides = [room.upper_w if total_w > 0 else room.lower_w for room in rooms]
    room_w = sum(sides)
    if room_w == 0.0:
        return tuple(0.0 for _ in rooms)
    part = min(total_w / room_w, 1.0)
    return tuple(side * part for side in sides)
