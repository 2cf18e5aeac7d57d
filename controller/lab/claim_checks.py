"""What a claim cannot say: each claim of a scenario has to look at something that the run can show.

A verdict that holds because nothing was looked at is worse than none, so this is refused at the door.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from math import inf, isfinite

from controller.lab.claims import Claim

Flaw = tuple[str | None, str]
"""The key at fault, None for the claim as a whole; and what is wrong with it."""

ONE_OF = {
    "stays": ("at_most", "at_least"),
    "value": ("at_most", "at_least"),
    "energy": ("at_most_wh", "at_least_wh"),
    "says": ("limited_by", "reason"),
}
"""Keys of which a claim needs one, for each of them may be left out."""
INSTANTS = ("from_s", "to_s", "at_s", "after_s", "until_s")
LASTS = {
    "settles": ("after_s", "within_s"),
    "reaches": ("after_s", "within_s", "stays_s"),
}
"""Keys whose sum is the first instant (settles) or the last one (reaches) that a claim has to see."""
ALLOWANCES = {"stays": "longer_than_s", "refreshes": "every_s"}
"""What is allowed at a stretch: a claim that looks no longer than that cannot fail."""


def flaws(claim: Claim, duration_s: float) -> list[Flaw]:
    """Why this claim could not be judged in a run of this length; the first reason is enough."""
    given = {one.name: getattr(claim, one.name) for one in fields(claim)}
    found = _bounds(claim.name, given) or list(_beyond(given, duration_s))
    return found or list(_windows(claim.name, given, duration_s))


def _bounds(name: str, given: dict[str, float]) -> list[Flaw]:
    keys = ONE_OF.get(name)
    if keys is None:
        return []
    if all(given[key] in (inf, -inf, "") for key in keys):
        return [(None, f"checks nothing; give {keys[0]}, {keys[1]} or both")]
    most, least = (given[key] for key in keys)
    if name != "says" and least > most:
        return [(keys[1], f"is {least:g}, above {keys[0]} {most:g}: no value is within both")]
    return []


def _beyond(given: dict[str, float], duration_s: float) -> Iterator[Flaw]:
    for key in INSTANTS:
        at_s = given.get(key, 0.0)
        if isfinite(at_s) and at_s > duration_s:
            yield key, f"is {at_s:g}, but the scenario ends at {duration_s:g} s"


def _windows(name: str, given: dict[str, float], duration_s: float) -> Iterator[Flaw]:
    end_key = "until_s" if "until_s" in given else "to_s"
    end_s = min(given.get(end_key, inf), duration_s)
    ends = f"{end_key} is {end_s:g}" if end_s < duration_s else f"the scenario ends at {duration_s:g} s"
    if "from_s" in given and given["from_s"] >= end_s:
        yield "from_s", f"is {given['from_s']:g}, but {ends}: nothing lies between"
        return
    keys = [key for key in LASTS.get(name, ()) if given[key] > 0.0 or key == "after_s"]
    last_s = sum(given[key] for key in keys)
    if last_s > end_s:
        yield keys[-1], f"is {given[keys[-1]]:g}: {' + '.join(keys)} is {last_s:g}, but {ends}"
    allowance = ALLOWANCES.get(name)
    if allowance is not None and given[allowance] >= end_s - given["from_s"]:
        looks_s = end_s - given["from_s"]
        yield allowance, f"is {given[allowance]:g}, but only {looks_s:g} s are looked at: it cannot fail"
