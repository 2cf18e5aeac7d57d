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


def borne(left: Range, min_power_w: float, last_w: float) -> Range:
    """What the limits at the PCC leave, with all in it that they bear.

    That is 0 W, and for a battery at work (`last_w`) its minimum power, where they miss it by no more than a
    limit at the PCC may be exceeded by: a load beside the minimum power does not switch it on and off.
    """
    lower_w, upper_w = left.lower_w, left.upper_w
    if 0.0 < lower_w <= BEYOND_W:
        lower_w = 0.0
    elif last_w <= -min_power_w < lower_w <= BEYOND_W - min_power_w:
        lower_w = -min_power_w
    if -BEYOND_W <= upper_w < 0.0:
        upper_w = 0.0
    elif min_power_w - BEYOND_W <= upper_w < min_power_w <= last_w:
        upper_w = min_power_w
    return Range(lower_w, upper_w)
