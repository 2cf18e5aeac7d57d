"""The fuse of each phase: how far every battery may go so that no phase carries more than its fuse."""

from __future__ import annotations

from operator import add, sub

from controller.dispatch.limits import Range
from controller.dispatch.phase_loads import place_of
from controller.dispatch.settings import DispatchConfig
from controller.dispatch.site import Site

LOWEST_VOLTAGE_SHARE = 0.5
HIGHEST_VOLTAGE_SHARE = 1.3
"""Of the nominal voltage, what a phase can show; beyond, the meter counts phase to phase (173 %) or errs."""

Rooms = tuple[Range, ...]
Watts = list[float]
Way = tuple[float, float, float]
"""How far batteries can go together: from full charge over rest to full discharge, W."""


def fuse_rooms(config: DispatchConfig, site: Site, rooms: Rooms, loads_w: tuple[float, ...]) -> Rooms:
    """The rooms, in the order of `site.batteries`, within the fuses; the same object when they already are.

    Whatever the batteries choose inside these rooms, no phase imports or exports more than `fuse_a`
    at its voltage, as long as their original rooms leave any way to keep it. What a phase has left is
    split in proportion to the rooms. A room may come to exclude 0 W: then the battery must save a fuse.
    A battery without a phase moves every phase alike. Only real power is seen, no reactive current.
    `loads_w` is what each phase would import with every battery at rest (`phase_loads.py`; on a site of one
    phase the site knows it). Without readings of the phases of a site that has several, nothing is assumed.
    """
    if config.fuse_a is None:
        return rooms
    phases = config.phases
    if phases == 1:
        loads_w = (site.net_load_w,)
    if len(loads_w) != phases or not rooms:
        return rooms
    fuses_w = _fuses_w(config.fuse_a, config.nominal_v, phases, site.phase_voltage_v)
    lows_w, highs_w = list(map(sub, loads_w, fuses_w)), list(map(add, loads_w, fuses_w))
    places = [place_of(config, one.index) for one in site.batteries]
    if len(rooms) == 1:
        return _one(places[0], rooms, lows_w, highs_w)
    return _several(places, rooms, lows_w, highs_w)


def _fuses_w(fuse_a: float, nominal_v: float, phases: int, voltages_v: tuple[float, ...]) -> Watts:
    usual_w = fuse_a * nominal_v
    if len(voltages_v) != phases:
        return [usual_w] * phases
    lowest_v, highest_v = nominal_v * LOWEST_VOLTAGE_SHARE, nominal_v * HIGHEST_VOLTAGE_SHARE
    return [fuse_a * one_v if lowest_v <= one_v <= highest_v else usual_w for one_v in voltages_v]


def _one(place: int, rooms: Rooms, lows_w: Watts, highs_w: Watts) -> Rooms:
    """The room of the only battery, from `lows_w` to `highs_w` on its phase, or as much on each of them."""
    if place:
        within = Range(lows_w[place - 1], highs_w[place - 1])
    else:
        within = _met(max(lows_w) * len(lows_w), min(highs_w) * len(highs_w))
    room = rooms[0]
    if within.lower_w <= room.lower_w and room.upper_w <= within.upper_w:
        return rooms
    return (room.narrow(within),)


def _several(places: list[int], rooms: Rooms, lows_w: Watts, highs_w: Watts) -> Rooms:
    """The rooms of several batteries, together from `lows_w` to `highs_w` on each phase.

    First the batteries on all phases, in proportion to their part where that is worst, but never
    so that a phase is left with more than its own batteries can mend; then those on one phase.
    """
    even, *owns = _ways(places, rooms, len(lows_w))
    wholes = [_both(even, own) for own in owns]
    from_level, to_level = max(map(_level, lows_w, wholes)), min(map(_level, highs_w, wholes))
    if from_level == -1.0 and to_level == 1.0:
        return rooms
    least_w = max(map(sub, lows_w, [upper_w for _, _, upper_w in owns]))
    most_w = min(map(sub, highs_w, [lower_w for lower_w, _, _ in owns]))
    must = Range(even[0], even[2]).narrow(_met(least_w, most_w))
    each = _met(must.clamp(_at(from_level, even)), must.clamp(_at(to_level, even)))
    lefts = map(
        Range, [low_w - each.lower_w for low_w in lows_w], [high_w - each.upper_w for high_w in highs_w]
    )
    levels = [_levels(each, even), *map(_levels, lefts, owns)]
    return tuple(map(_between, rooms, [levels[place] for place in places]))


def _ways(places: list[int], rooms: Rooms, phases: int) -> list[Way]:
    """The part in one phase of the batteries on all of them, then what those on each phase can do there."""
    ways = [(0.0, 0.0, 0.0)] * (1 + phases)
    for place, room in zip(places, rooms, strict=True):
        part = 1.0 if place else 1.0 / phases
        ways[place] = _both(ways[place], (room.lower_w * part, room.clamp(0.0) * part, room.upper_w * part))
    return ways


def _both(one: Way, other: Way) -> Way:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]


def _met(lower_w: float, upper_w: float) -> Range:
    """The range; its middle when one phase asks for more than another allows, so that both miss alike."""
    if lower_w > upper_w:
        lower_w = upper_w = (lower_w + upper_w) / 2.0
    return Range(lower_w, upper_w)


def _level(power_w: float, way: Way) -> float:
    """Where a power stands on the way from full charge (-1) over rest (0) to full discharge (1)."""
    lower_w, rest_w, upper_w = way
    if power_w >= upper_w:
        return 1.0
    if power_w <= lower_w:
        return -1.0
    return (power_w - rest_w) / (upper_w - rest_w if power_w > rest_w else rest_w - lower_w)


def _levels(within: Range, way: Way) -> tuple[float, float]:
    """As far towards `within` as the way goes."""
    inner = Range(way[0], way[2]).narrow(within)
    return _level(inner.lower_w, way), _level(inner.upper_w, way)


def _at(level: float, way: Way) -> float:
    """The power at this level; at the ends as good as the end itself."""
    lower_w, rest_w, upper_w = way
    return rest_w + level * (upper_w - rest_w if level > 0.0 else rest_w - lower_w)


def _between(room: Range, levels: tuple[float, float]) -> Range:
    if levels == (-1.0, 1.0):
        return room
    way = (room.lower_w, room.clamp(0.0), room.upper_w)
    return Range(room.clamp(_at(levels[0], way)), room.clamp(_at(levels[1], way)))
