"""The band around 0 W in which an inverter cannot hold a setpoint."""

from __future__ import annotations

from math import copysign

from controller.dispatch.limits import BEYOND_W, Range

SWITCH_ON_SHARE = 0.6
"""From this share of the minimum power on, a battery at rest starts to work."""
SWITCH_OFF_SHARE = 0.4
"""Down to this share of the minimum power, a battery at work goes on; below, it rests."""


def out_of_band(power_w: float, min_power_w: float, last_w: float, room: Range) -> float:
    """The setpoint outside of the band that is nearest to `power_w`: 0 W or the minimum power.

    Half way between them it keeps to what was ordered last (`last_w`), so that noise does not switch.
    More than `power_w` is ordered only as far as `room` has it. Where the room holds neither 0 W nor the
    minimum power, `power_w` stays: the inverter does what it can.
    """
    if abs(power_w) >= min_power_w:
        return power_w
    edge_w = copysign(min_power_w, power_w)
    edge_fits = room.lower_w <= edge_w <= room.upper_w
    if not room.lower_w <= 0.0 <= room.upper_w:
        return edge_w if edge_fits else power_w
    if not edge_fits:
        return 0.0
    share = SWITCH_OFF_SHARE if last_w / edge_w >= 1.0 else SWITCH_ON_SHARE
    return edge_w if power_w / edge_w >= share else 0.0


def or_rest(room: Range) -> Range:
    """The room with 0 W in it, where it misses that by no more than a limit at the PCC may be exceeded by."""
    if room.lower_w <= BEYOND_W and room.upper_w >= -BEYOND_W:
        return Range(min(room.lower_w, 0.0), max(room.upper_w, 0.0))
    return room
