"""The flight recorder: how long a day of it takes to replay, and what it takes on the disk."""

from __future__ import annotations

import time
from pathlib import Path

from controller.journal import Segment
from controller.lab.replay import replayed
from tests.bench.measure import Figure
from tests.unit.recordings import simulated_day

MIB = 1024 * 1024


def replay_of_a_day(folder: Path) -> list[Figure]:
    """A simulated day with a decision a second, recorded and decided again without a difference."""
    path = folder / "000001-day.penstock"
    simulated_day(path, 1.0)
    began_s = time.process_time()
    result = replayed(Segment(path))
    took_s = time.process_time() - began_s
    note = f"{result.cycles} cycles, {result.differing} differ"
    return [
        Figure("replay of a day", took_s if result.differing == 0 else float("inf"), "s", 5.0, note=note),
        Figure("a day on the disk", path.stat().st_size / MIB, "MiB", 15.0, note="simulated readings"),
    ]
