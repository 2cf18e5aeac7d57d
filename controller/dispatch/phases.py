"""The fuse of each phase: how far every battery may go so that no phase carries more than its fuse."""

from __future__ import annotations

from operator import add, sub

from controller.dispatch.limits import INFINITE_W, Range
from controller.dispatch.phase_loads import place_of
from controller.dispatch.settings import DispatchConfig
from controller.dispatch.site import Site

LOWEST_VOLTAGE_SHARE = 0.5
HIGHEST_VOLTAGE_SHARE = 1.3
"""Of the nominal voltage, what a phase can show; beyond, the meter counts phase to phase (173 %) or errs."""

Rooms = tuple[Range, ...]
Watts = list[float]


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
        lower_w, upper_w = lows_w[place - 1], highs_w[place - 1]
    else:
        lower_w, upper_w = max(lows_w) * len(lows_w), min(highs_w) * len(highs_w)
        if lower_w > upper_w:
            lower_w = upper_w = (lower_w + upper_w) / 2.0
    room = rooms[0]
    if lower_w <= room.lower_w and room.upper_w <= upper_w:
        return rooms
    return (room.narrow(Range(lower_w, upper_w)),)


def _several(places: list[int], rooms: Rooms, lows_w: Watts, highs_w: Watts) -> Rooms:
    """The rooms of several batteries, together from `lows_w` to `highs_w` on each phase.

    First the batteries on all phases, in proportion to their part where that is worst, but never
    so that a phase is left with more than its own batteries can mend; then those on one phase.
    Place 0 in the lists stands for the part of the former in one phase.
    """
    phases = len(lows_w)
    lowers_w, rests_w, uppers_w = [0.0] * (phases + 1), [0.0] * (phases + 1), [0.0] * (phases + 1)
    for place, room in zip(places, rooms, strict=True):
        part = 1.0 if place else 1.0 / phases
        lowers_w[place] += room.lower_w * part
        rests_w[place] += room.clamp(0.0) * part
        uppers_w[place] += room.upper_w * part
    lower_w, rest_w, upper_w = lowers_w[0], rests_w[0], uppers_w[0]
    least_w, most_w = -INFINITE_W, INFINITE_W
    from_level, to_level = -1.0, 1.0
    for place, (low_w, high_w) in enumerate(zip(lows_w, highs_w, strict=True), 1):
        least_w = max(least_w, low_w - uppers_w[place])
        most_w = min(most_w, high_w - lowers_w[place])
        way = (lower_w + lowers_w[place], rest_w + rests_w[place], upper_w + uppers_w[place])
        from_level = max(from_level, _level(low_w, *way))
        to_level = min(to_level, _level(high_w, *way))
    if from_level == -1.0 and to_level == 1.0:
        return rooms
    must = Range(lower_w, upper_w).narrow(_met(least_w, most_w))
    even = _met(
        must.clamp(_at(from_level, lower_w, rest_w, upper_w)),
        must.clamp(_at(to_level, lower_w, rest_w, upper_w)),
    )
    levels = [_levels(even, lower_w, rest_w, upper_w)]
    for place, (low_w, high_w) in enumerate(zip(lows_w, highs_w, strict=True), 1):
        own = Range(lowers_w[place], uppers_w[place])
        own = own.narrow(Range(low_w - even.lower_w, high_w - even.upper_w))
        levels.append(_levels(own, lowers_w[place], rests_w[place], uppers_w[place]))
    return tuple([_between(room, *levels[place]) for place, room in zip(places, rooms, strict=True)])


def _met(lower_w: float, upper_w: float) -> Range:
    """The range; its middle when one phase asks for more than another allows, so that both miss alike."""
    if lower_w > upper_w:
        lower_w = upper_w = (lower_w + upper_w) / 2.0
    return Range(lower_w, upper_w)


def _level(power_w: float, lower_w: float, rest_w: float, upper_w: float) -> float:
    """Where a power stands on the way from full charge (-1) over rest (0) to full discharge (1)."""
    if power_w >= upper_w:
        return 1.0
    if power_w <= lower_w:
        return -1.0
    if power_w >= rest_w:
        return (power_w - rest_w) / (upper_w - rest_w)
    return (power_w - rest_w) / (rest_w - lower_w)


def _levels(inner: Range, lower_w: float, rest_w: float, upper_w: float) -> tuple[float, float]:
    from_level = -1.0 if inner.lower_w <= lower_w else _level(inner.lower_w, lower_w, rest_w, upper_w)
    return from_level, _level(inner.upper_w, lower_w, rest_w, upper_w)


def _at(level: float, lower_w: float, rest_w: float, upper_w: float) -> float:
    if level >= 1.0:
        return upper_w
    if level <= -1.0:
        return lower_w
    return rest_w + level * (upper_w - rest_w if level > 0.0 else rest_w - lower_w)


def _between(room: Range, from_level: float, to_level: float) -> Range:
    if from_level == -1.0 and to_level == 1.0:
        return room
    way = (room.lower_w, room.clamp(0.0), room.upper_w)
    return Range(_at(from_level, *way), _at(to_level, *way))
