"""How the host kept its beat in a run: what is certified, and what a report shows of it.

A verdict in real time says nothing about the controller if the host itself came late. So a run whose own
host missed a beat, or began one far too late, is not certified; unless the scenario stalls the host.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from controller.loop import Cycle

LATE_PART = 0.1
"""A cycle that begins later than this part of itself is late."""


@dataclass(frozen=True, slots=True)
class BeatTiming:
    """One cycle; `decide_s` and `write_s` are of the one before, whose orders are carried out by now."""

    jitter_s: float
    """How late the cycle began."""
    read_s: float
    decide_s: float
    write_s: float | None
    """The slowest order; None while there was none."""
    ages_s: tuple[float | None, ...]
    """Of each reading when it was decided on, in the order of the site; None: never read."""
    overruns: int
    missed_beats: int
    """Both counted since the controller started."""


def timing_of(cycle: Cycle) -> BeatTiming:
    """The times of a cycle as it is decided."""
    now_s, timing = cycle.snapshot.now_s, cycle.timing
    wrote = [one.wrote_in_s for one in cycle.stations if one.wrote_in_s is not None]
    return BeatTiming(
        timing.start_jitter_s,
        timing.read_s,
        timing.decide_s,
        max(wrote, default=None),
        tuple(None if one.reading is None else now_s - one.reading.taken_at_s for one in cycle.stations),
        timing.overruns,
        timing.missed_beats,
    )


def why_not_certified(
    beats: Sequence[tuple[float, BeatTiming]], cycle_s: float, stalls: Sequence[tuple[float, float]]
) -> str:
    """Empty if the host kept the beat; `stalls` are the times in which the scenario itself held it up."""
    missed, late = 0, []
    before = 0
    for at_s, one in beats:
        excused = any(begin_s <= at_s <= end_s + 2.0 * cycle_s for begin_s, end_s in stalls)
        more = max(one.missed_beats - before, 0)
        before = one.missed_beats
        if excused:
            continue
        missed += more
        if one.jitter_s > LATE_PART * cycle_s:
            late.append((one.jitter_s, at_s))
    if not missed and not late:
        return ""
    parts = [f"missed {missed} of {len(beats)} beats"] if missed else []
    if late:
        worst_s, at_s = max(late)
        parts.append(f"began {len(late)} cycles late, the worst by {worst_s * 1e3:.0f} ms at {at_s:.1f} s")
    return f"this host {' and '.join(parts)}: free it of other work and run again"


def timing_rows(beats: Sequence[BeatTiming], devices: Sequence[str]) -> list[tuple[str, str, str]]:
    """What, median and worst, in ms, for the report."""
    rows = [
        ("start of the cycle late", [one.jitter_s for one in beats]),
        ("reading", [one.read_s for one in beats]),
        ("deciding", [one.decide_s for one in beats[1:]]),
        ("slowest order", [one.write_s for one in beats if one.write_s is not None]),
    ]
    for index, device in enumerate(devices):
        ages = [one.ages_s[index] for one in beats]
        rows.append((f"age of the reading of {device}", [age for age in ages if age is not None]))
    return [
        (what, f"{median(values) * 1e3:.1f} ms", f"{max(values) * 1e3:.1f} ms")
        for what, values in rows
        if values
    ]
