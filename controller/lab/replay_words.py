"""What a replay came to, in words that can be read out on the phone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from controller import __version__
from controller.dispatch.decision import Decision
from controller.dispatch.settings import DispatchConfig
from controller.dispatch.site import Snapshot
from controller.journal import Recorded, Segment
from controller.lab.replay import Difference, Replay
from controller.settings_text import changes, differences, flat

MOST_SETTINGS = 12
MOST_TURNS = 12


def at(utc_s: float | None, now_s: float) -> str:
    """When, for people: UTC, or seconds of the controller's own clock where that was not known."""
    if utc_s is None:
        return f"second {now_s:.0f} after the controller's start"
    return datetime.fromtimestamp(utc_s, UTC).strftime("%d %b %Y %H:%M:%S UTC")


def heading(segment: Segment, result: Replay) -> str:
    """Which site, when, and how much."""
    start = segment.start
    if not result.cycles:
        return f"{segment.path.name}: site {start.site}, not one cycle that can be read"
    begin, end = at(result.first_utc_s, result.begun_s), at(result.last_utc_s, result.ended_s)
    same_day = result.last_utc_s is not None and begin[:11] == end[:11]
    end = end[12:] if same_day else end
    return f"{segment.path.name}: site {start.site}, {begin} to {end}, {result.cycles} cycles"


def missing(before: tuple[Segment, Replay] | None, segment: Segment, result: Replay) -> list[str]:
    """A line when something was not recorded, or cannot be read, between the recording before and this one.

    That is told of the running record of one controller. Its cycles are counted from each start; when it was
    started anew meanwhile, only the times can tell.
    """
    if before is None or not _goes_on(before[0], segment) or not result.cycles:
        return []
    known = before[1]
    if result.first_seq == known.last_seq + 1:
        return []
    times = f"from {at(known.last_utc_s, known.ended_s)} to {at(result.first_utc_s, result.begun_s)}"
    if result.first_seq > known.last_seq:
        return [f"  missing    {result.first_seq - known.last_seq - 1} cycles, {times}"]
    return [f"  missing    all {times}; the controller was started anew meanwhile"]


def _goes_on(before: Segment, after: Segment) -> bool:
    same = before.path.parent == after.path.parent and before.start.site == after.start.site
    return same and not before.start.why and not after.start.why


def verdict(segment: Segment, result: Replay, what_if: bool, with_course: bool = True) -> list[str]:
    """Lines: an incident's course, and the same decisions, or the first that differs and by what."""
    program = segment.start.program
    by = "" if program == __version__ else f" (recorded by Penstock {program}, this is {__version__})"
    lines = []
    if segment.start.why:
        lines.append(f"  incident   {segment.start.why}")
    if what_if:
        lines.append("  with the changed settings:")
    if result.modes:
        modes = ", ".join(f"{mode} {count}" for mode, count in result.modes.items())
        lines.append(f"  modes      {modes} cycles")
    if segment.start.why and with_course:
        lines += course(segment, result.turns)
    if result.failed:
        lines.append(f"  the program ended by an error in the last cycle; decided again: {result.failed}")
    if segment.torn:
        lines.append(f"  note: {segment.torn}; everything before that is good")
    if not result.cycles:
        lines.append("  replayed   nothing")
        return lines
    if result.first is None:
        what = "every order would have been the same" if what_if else "every decision the same, to the bit"
        lines.append(f"  replayed   {what}{by}")
        return lines
    what = "would have been different" if what_if else "differ"
    lines.append(f"  replayed   {result.differing} of {result.cycles} decisions {what}{by}; the first:")
    return lines + [f"    {line}" for line in difference(segment, result.first)]


def course(segment: Segment, turns: Sequence[Recorded]) -> Iterator[str]:
    """Each mode when it began and why, with what devices had to complain of then."""
    for one in turns[:MOST_TURNS]:
        assert one.decision is not None, "a mode comes of a decision"
        when = at(one.snapshot.utc_s, one.snapshot.now_s)
        clock = when[12:20] if one.snapshot.utc_s is not None else f"{one.snapshot.now_s:.0f} s"
        yield f"  {clock:<9}  {one.decision.mode.value}: {one.decision.reason}"
        for error in device_errors(segment, one):
            yield f"             {error}"
    if len(turns) > MOST_TURNS:
        yield f"             and {len(turns) - MOST_TURNS} changes of mode more"


def difference(segment: Segment, first: Difference) -> Iterator[str]:
    """The first difference: when, what the core saw, and both decisions with their reasons."""
    snapshot = first.recorded.snapshot
    yield f"cycle {first.number}, {at(snapshot.utc_s, snapshot.now_s)}"
    yield f"seen       {seen(segment.start.config, snapshot)}"
    if first.recorded.decision is not None:
        yield f"recorded   {decided(first.recorded.decision)}"
    yield f"replayed   {decided(first.replayed)}"
    if first.recorded.decision is not None:
        yield f"in detail  {'; '.join(differences(first.recorded.decision, first.replayed))}"


def settings_changed(before: DispatchConfig, after: DispatchConfig) -> list[str]:
    """The settings that differ, one a line; not more than can be read out."""
    found = changes(flat(before), flat(after))
    more = len(found) - MOST_SETTINGS
    return found[:MOST_SETTINGS] + ([f"and {more} more"] if more > 0 else [])


def seen(config: DispatchConfig, snapshot: Snapshot) -> str:
    """The readings and orders of one snapshot, each with its age when that matters."""
    parts = [_meter(snapshot)]
    for settings, battery in zip(config.batteries, snapshot.batteries, strict=False):
        if battery is None:
            parts.append(f"{settings.id} silent")
            continue
        soc = "" if battery.soc_pct is None else f" at {battery.soc_pct:g} %"
        parts.append(f"{settings.id} {_watts(battery.battery_discharge_w)}{soc}{_age(snapshot, battery)}")
    for pv_settings, pv in zip(config.pvs, snapshot.pvs, strict=False):
        parts.append(
            f"{pv_settings.id} silent"
            if pv is None
            else f"{pv_settings.id} {_watts(pv.pv_generation_w)}{_age(snapshot, pv)}"
        )
    orders = [name for name, value in flat(snapshot.orders).items() if value not in ("none", "False")]
    parts += [f"order in force: {name.removesuffix('.value')}" for name in orders if "expires" not in name]
    return ", ".join(parts + ([f"fault: {snapshot.fault}"] if snapshot.fault else []))


def decided(decision: Decision) -> str:
    """A decision with its reason."""
    batteries = ", ".join("released" if one is None else _watts(one) for one in decision.battery_setpoints_w)
    return f"{decision.mode.value}, battery {batteries}: {decision.reason}"


def device_errors(segment: Segment, recorded: Recorded) -> Iterator[str]:
    """What devices had to complain of in this cycle."""
    for station, error in zip(segment.start.stations, recorded.aside.errors, strict=False):
        if error:
            yield error if error.startswith(station) else f"{station}: {error}"


def _meter(snapshot: Snapshot) -> str:
    meter = snapshot.meter
    return "meter silent" if meter is None else f"meter {_watts(meter.pcc_import_w)}{_age(snapshot, meter)}"


def _age(snapshot: Snapshot, reading: object) -> str:
    taken_at_s = getattr(reading, "taken_at_s", snapshot.now_s)
    age_s = snapshot.now_s - taken_at_s
    return f" ({age_s:.0f} s old)" if age_s >= 2.0 else ""


def _watts(power_w: float) -> str:
    return f"{power_w:+.0f} W"
