"""One setpoint for the site into one for each battery."""

from __future__ import annotations

from collections.abc import Callable
from math import copysign
from operator import add, le, sub

from controller.dispatch.limits import Range, total

BALANCE_PCT = 10.0
"""A battery this far above the mean SoC discharges twice its part, one this far below waits."""
HOP_PCT = 5.0
"""How much better in SoC another unit must be before it takes over from the one that works alone."""
JOIN_SHARE = 1.2
"""One unit works alone from its `efficient_from_w` down, and goes on up to this share of it."""
ROUNDING_W = 1e-9
"""What may be left over by rounding."""

Rooms = tuple[Range, ...]
Watts = tuple[float, ...]


def share(
    total_w: float,
    preferred: Rooms,
    allowed: Rooms,
    socs_pct: tuple[float | None, ...],
    capacities_wh: tuple[float, ...],
    efficient_from_w: Watts,
    last_w: Watts,
) -> Watts:
    """Split `total_w`, clamped to what `allowed` has, into one setpoint a battery that add up to it.

    First inside the `preferred` rooms, by capacity and so that the SoCs draw nearer to each other; what
    all cannot take goes into `allowed`, by room. `preferred` lies inside `allowed` (it keeps the reserve).
    A preferred room that excludes 0 W gets at least its edge; beyond those all move the same way, so that
    none charges another. Where the total is less than one unit needs to work well (`efficient_from_w`), one
    does it alone; the one that did last (`last_w`) goes on while its SoC is fit.
    """
    if len(allowed) == 1:
        return (allowed[0].clamp(total_w),)
    bases_w = [room.clamp(0.0) for room in preferred]
    rest_w = total_w - total(bases_w)
    if rest_w == 0.0:
        return tuple(bases_w)
    # From here on in magnitudes, so that charging mirrors discharging.
    side, rest_w = copysign(1.0, rest_w), abs(rest_w)
    heads_w = _heads(side, preferred, bases_w)
    merits_pct = _merits(side, heads_w, socs_pct, capacities_wh)
    alone = _alone(rest_w, heads_w, merits_pct, efficient_from_w, last_w) if any(efficient_from_w) else None
    if alone is None:
        given_w = _by_merit(rest_w, heads_w, merits_pct, side, socs_pct, capacities_wh)
        rest_w -= total(given_w)
    else:
        given_w = [0.0] * len(allowed)
        given_w[alone] = rest_w
        rest_w = 0.0
    if rest_w > ROUNDING_W:
        given_w = list(
            map(add, given_w, _by_room(rest_w, _heads(side, allowed, _moved(side, bases_w, given_w))))
        )
    return tuple(map(Range.clamp, allowed, _moved(side, bases_w, given_w)))


def in_few(shared: Callable[[Rooms], Watts], preferred: Rooms, last_w: Watts, least_w: Watts) -> Watts:
    """What is `shared` among as few as it takes for none to be asked for less than it can hold (`least_w`).

    One that rested before (`last_w`) is left out first, and of those the one that is furthest from its least.
    """
    left = list(preferred)
    while True:
        shares = shared(tuple(left))
        working = [index for index, one_w in enumerate(shares) if one_w != 0.0]
        little = [index for index in working if abs(shares[index]) < least_w[index]]
        if len(working) < 2 or not little:
            return shares
        out = min(little, key=lambda index: (last_w[index] != 0.0, abs(shares[index]) / least_w[index]))
        rest_w = left[out].clamp(0.0)
        if left[out].lower_w == left[out].upper_w == rest_w:
            return shares
        left[out] = Range(rest_w, rest_w)


def _moved(side: float, bases_w: list[float], by_w: list[float]) -> list[float]:
    """These powers, moved by so much to this side."""
    return list(map(add if side == 1.0 else sub, bases_w, by_w))


def _heads(side: float, rooms: Rooms, from_w: list[float]) -> list[float]:
    """How far each may still go to this side, >= 0."""
    if side == 1.0:
        heads_w = map(sub, [room.upper_w for room in rooms], from_w)
    else:
        heads_w = map(sub, from_w, [room.lower_w for room in rooms])
    return [one_w if one_w > 0.0 else 0.0 for one_w in heads_w]


def _by_merit(
    power_w: float,
    heads_w: list[float],
    merits_pct: list[float],
    side: float,
    socs_pct: tuple[float | None, ...],
    capacities_wh: Watts,
) -> list[float]:
    """Split by capacity and SoC, as far as the heads go.

    Who reaches its head stays there. What comes on top of that is split anew, by the SoCs of those with room
    left: so a little more power, or a SoC that moves a little, moves each share a little.
    """
    given_w, left_w = [0.0] * len(heads_w), heads_w
    while True:
        weights = [
            _weight(merit_pct, capacity_wh) if head_w > 0.0 else 0.0
            for merit_pct, capacity_wh, head_w in zip(merits_pct, capacities_wh, left_w, strict=True)
        ]
        whole = total(weights)
        if whole <= 0.0:  # None has room: all is for the `allowed` rooms.
            return given_w
        more_w = [power_w / whole * weight for weight in weights]
        if all(map(le, more_w, left_w)):
            return list(map(add, given_w, more_w))
        per_weight_w = min(
            [head_w / weight for weight, head_w in zip(weights, left_w, strict=True) if weight > 0.0]
        )
        more_w = [min(per_weight_w * weight, head_w) for weight, head_w in zip(weights, left_w, strict=True)]
        given_w = list(map(add, given_w, more_w))
        power_w -= total(more_w)
        left_w = [
            head_w - one_w if head_w - one_w > ROUNDING_W else 0.0
            for head_w, one_w in zip(left_w, more_w, strict=True)
        ]
        merits_pct = _merits(side, left_w, socs_pct, capacities_wh)


def _weight(merit_pct: float, capacity_wh: float) -> float:
    """What part a battery takes beside others: by capacity, more the better its SoC; the worst wait."""
    return (BALANCE_PCT + merit_pct) * capacity_wh if merit_pct > -BALANCE_PCT else 0.0


def _merits(
    side: float, heads_w: list[float], socs_pct: tuple[float | None, ...], capacities_wh: Watts
) -> list[float]:
    """How far each SoC is on the better side of the mean of those with room, in %; 0 where it is unknown."""
    stored = known_wh = 0.0
    for head_w, soc_pct, capacity_wh in zip(heads_w, socs_pct, capacities_wh, strict=True):
        if soc_pct is not None and head_w > 0.0:
            stored += soc_pct * capacity_wh
            known_wh += capacity_wh
    mean_pct = stored / known_wh if known_wh > 0.0 else 0.0
    return [0.0 if soc_pct is None else side * (soc_pct - mean_pct) for soc_pct in socs_pct]


def _alone(
    power_w: float, heads_w: list[float], merits_pct: list[float], efficient_from_w: Watts, last_w: Watts
) -> int | None:
    """The one unit that should do it all, if there is one: the fittest, or the last while it is fit."""
    best: int | None = None
    for index, head_w in enumerate(heads_w):
        if head_w >= power_w and (best is None or merits_pct[index] > merits_pct[best]):
            best = index
    if best is None:
        return None
    working = [index for index, one_w in enumerate(last_w) if one_w != 0.0]
    if len(working) == 1:
        last = working[0]
        if heads_w[last] >= power_w and merits_pct[last] >= merits_pct[best] - HOP_PCT:
            best = last
        return best if power_w < JOIN_SHARE * efficient_from_w[best] else None
    return best if power_w < efficient_from_w[best] else None


def by_weight(power_w: float, heads_w: list[float], weights: list[float]) -> list[float]:
    """Split in proportion to the weights; who reaches its head stays there and the others share the rest."""
    given_w = [0.0] * len(heads_w)
    sharing = [index for index, head_w in enumerate(heads_w) if head_w > 0.0 and weights[index] > 0.0]
    while sharing:
        per_weight = power_w / total([weights[index] for index in sharing])
        below = [index for index in sharing if per_weight * weights[index] < heads_w[index]]
        if len(below) == len(sharing):
            for index in sharing:
                given_w[index] = per_weight * weights[index]
            break
        for index in sharing:
            if index not in below:
                given_w[index] = heads_w[index]
                power_w -= heads_w[index]
        sharing = below
    return given_w


def _by_room(power_w: float, heads_w: list[float]) -> list[float]:
    """Split in proportion to the heads, and no more than they have."""
    head_w = total(heads_w)
    if head_w <= power_w:
        return heads_w
    part = power_w / head_w
    return [one_w * part for one_w in heads_w]
