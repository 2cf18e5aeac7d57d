"""Decides a recording again: the same decisions to the bit, or where and why they differ; or what if.

A what-if replay changes settings. The house is then taken as recorded, and each battery as doing what the
changed settings order instead of what was ordered: power, grid and state of charge shift by the difference.
It is a battery without losses and without delay, good for hours and days and not for seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from controller.dispatch.decision import Decision, Memory
from controller.dispatch.settings import DispatchConfig
from controller.dispatch.site import Snapshot
from controller.dispatch.step import step
from controller.journal import Recorded, Segment
from controller.lab.collector import without_collector
from drivers.device import BatteryReading

PROGRESS_EVERY = 1000
MOST_TURNS = 100
Progress = Callable[[int], None]
Watcher = Callable[[Recorded, Snapshot, Decision | None], None]
"""Shown each recorded cycle, what the core saw in the replay, and what it then decided."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One cycle in which the replay decided something else; `number` counts from 1 in this segment.

    In a what-if: in which it did something else.
    """

    number: int
    recorded: Recorded
    replayed: Decision


@dataclass(slots=True)
class Replay:
    """What came of it. `failed` is the error with which the core ended on the last cycle, if it did."""

    cycles: int = 0
    differing: int = 0
    first: Difference | None = None
    failed: str = ""
    first_utc_s: float | None = None
    last_utc_s: float | None = None
    begun_s: float = 0.0
    ended_s: float = 0.0
    first_seq: int = 0
    last_seq: int = 0
    modes: dict[str, int] = field(default_factory=dict)
    turns: list[Recorded] = field(default_factory=list)
    """The first cycle, and those that began another mode (of a what-if: its own); not all of very many."""


def replayed(
    segment: Segment,
    what_if: WhatIf | None = None,
    watcher: Watcher | None = None,
    progress: Progress | None = None,
) -> Replay:
    """Decide every cycle of a segment again, with other settings than the recorded ones if given."""
    with without_collector():
        return _replayed(segment, what_if, watcher, progress)


def replayed_file(path: Path) -> tuple[Replay, str]:
    """The same for a file, in a process of its own; and why its cycles ended early, if they did."""
    segment = Segment(path)
    return replayed(segment), segment.torn


def _replayed(
    segment: Segment, what_if: WhatIf | None, watcher: Watcher | None, progress: Progress | None
) -> Replay:
    result = Replay()
    memory = segment.start.memory
    settings = segment.start.config if what_if is None else what_if.config
    last_mode = None
    for recorded in segment.cycles():
        snapshot = recorded.snapshot
        if what_if is not None:
            if result.cycles == 0:
                memory = what_if.begin(recorded, memory)
            snapshot = what_if.seen(recorded)
        result.cycles += 1
        if result.cycles == 1:
            result.first_utc_s, result.begun_s = snapshot.utc_s, snapshot.now_s
            result.first_seq = recorded.aside.seq
        result.last_utc_s, result.ended_s = snapshot.utc_s, snapshot.now_s
        if recorded.decision is None:
            result.failed = _failure(settings, memory, snapshot)
            break
        result.last_seq = recorded.aside.seq
        memory, decision = step(settings, memory, snapshot)
        course = recorded.decision if what_if is None else decision
        if course.mode is not last_mode:
            last_mode = course.mode
            if len(result.turns) < MOST_TURNS:
                result.turns.append(replace(recorded, decision=course))
        if decision != recorded.decision and (what_if is None or _does(decision) != _does(recorded.decision)):
            result.differing += 1
            if result.first is None:
                result.first = Difference(result.cycles, recorded, decision)
        if what_if is not None:
            what_if.ordered(recorded, decision, memory)
        mode = decision.mode.value
        result.modes[mode] = result.modes.get(mode, 0) + 1
        if watcher is not None:
            watcher(recorded, snapshot, decision)
        if progress is not None and result.cycles % PROGRESS_EVERY == 0:
            progress(result.cycles)
    return result


def _does(decision: Decision) -> tuple[object, ...]:
    """What comes of it at the devices. All else repeats the settings, which a what-if has changed."""
    return decision.mode, decision.battery_setpoints_w, decision.pv_caps_w, decision.loads_closed


def _failure(config: DispatchConfig, memory: Memory, snapshot: Snapshot) -> str:
    """What the core does now with the snapshot on which it failed."""
    try:
        _, decision = step(config, memory, snapshot)
    except (ArithmeticError, AssertionError, LookupError, TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return f"it does not fail any more: {decision.reason}"


class WhatIf:
    """Other settings, and the batteries under the orders that follow from them.

    It goes on from one segment to the next where that follows without a gap.
    """

    def __init__(self, config: DispatchConfig) -> None:
        self.config = config
        self._shift_w = [0.0] * len(config.batteries)
        self._shift_pct = [0.0] * len(config.batteries)
        self._at_s: float | None = None
        self._seq = 0
        self._memory = Memory()

    def begin(self, first: Recorded, memory: Memory) -> Memory:
        """The memory at the begin of a segment: the recorded one after a gap, else the one before it."""
        if self._at_s is not None and first.aside.seq == self._seq + 1 and first.snapshot.now_s > self._at_s:
            return self._memory
        self._shift_w = [0.0] * len(self.config.batteries)
        self._shift_pct = [0.0] * len(self.config.batteries)
        self._at_s = None
        return memory

    def seen(self, recorded: Recorded) -> Snapshot:
        """The recorded snapshot as it would have been."""
        snapshot = recorded.snapshot
        elapsed_h = 0.0 if self._at_s is None else (snapshot.now_s - self._at_s) / 3600.0
        self._at_s = snapshot.now_s
        batteries = []
        total_w = 0.0
        for index, reading in enumerate(snapshot.batteries):
            moved = self._moved(index, reading, elapsed_h)
            batteries.append(moved)
            if moved is not None and reading is not None:
                total_w += moved.battery_discharge_w - reading.battery_discharge_w
        meter = snapshot.meter
        if meter is None or total_w == 0.0:
            return replace(snapshot, batteries=tuple(batteries))
        phases = tuple(one - total_w / len(meter.phase_import_w) for one in meter.phase_import_w)
        shifted = replace(meter, pcc_import_w=meter.pcc_import_w - total_w, phase_import_w=phases)
        return replace(snapshot, meter=shifted, batteries=tuple(batteries))

    def _moved(self, index: int, reading: BatteryReading | None, elapsed_h: float) -> BatteryReading | None:
        shift_w = self._shift_w[index]
        self._shift_pct[index] -= 100.0 * shift_w * elapsed_h / self.config.batteries[index].capacity_wh
        if reading is None or (shift_w == 0.0 and self._shift_pct[index] == 0.0):
            return reading
        soc_pct = reading.soc_pct
        if soc_pct is not None:
            # Neither fuller than full nor emptier than empty.
            soc_pct = min(max(soc_pct + self._shift_pct[index], 0.0), 100.0)
            self._shift_pct[index] = soc_pct - (reading.soc_pct or 0.0)
        return replace(reading, battery_discharge_w=reading.battery_discharge_w + shift_w, soc_pct=soc_pct)

    def ordered(self, recorded: Recorded, decision: Decision, memory: Memory) -> None:
        """What the next cycle will show of these orders; a released battery does as it was recorded."""
        self._seq, self._memory = recorded.aside.seq, memory
        was = decision if recorded.decision is None else recorded.decision
        pairs = zip(was.battery_setpoints_w, decision.battery_setpoints_w, strict=True)
        for index, (was_w, now_w) in enumerate(pairs):
            self._shift_w[index] = 0.0 if was_w is None or now_w is None else now_w - was_w
