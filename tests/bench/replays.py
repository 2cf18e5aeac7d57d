"""The flight recorder: how long a day of it takes to replay, and what it takes on the disk."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from controller.dispatch.step import step
from controller.journal import Segment, Start
from controller.lab.replay import replayed
from controller.recorder import SEGMENT_S
from tests.bench.measure import Figure
from tests.unit.recordings import simulated_day, write_segment

MIB = 1024 * 1024


def replay_of_a_day(folder: Path) -> list[Figure]:
    """A simulated day with a decision a second, recorded as `run` does, decided again without a difference.

    `penstock replay` on the folder, with all processors there are; the note has the processor time of one.
    """
    path = folder / "000001-day.penstock"
    simulated_day(path, 1.0)
    began_s = time.process_time()
    result = replayed(Segment(path))
    alone_s = time.process_time() - began_s
    journal = folder / "journal"
    _split_by_the_hour(path, journal)
    began_s = time.perf_counter()
    penstock = Path(sys.executable).with_name("penstock")
    done = subprocess.run([penstock, "replay", journal], capture_output=True, text=True, check=False)
    took_s = time.perf_counter() - began_s
    same = done.returncode == 0 and f"{result.cycles} cycles, 0 decisions differ" in done.stdout
    note = f"{result.cycles} cycles on {os.cpu_count()} cores; one file on one core {alone_s:.1f} s"
    return [
        Figure("replay of a day", took_s if same else float("inf"), "s", 5.0, note=note),
        Figure("a day on the disk", path.stat().st_size / MIB, "MiB", 15.0, note="simulated readings"),
    ]


def _split_by_the_hour(path: Path, journal: Path) -> None:
    """The same cycles in segments as long as the recorder makes them."""
    journal.mkdir()
    segment = Segment(path)
    memory, cycles = segment.start.memory, list(segment.cycles())
    an_hour = round(SEGMENT_S)  # a beat a second
    begins = []
    for at, recorded in enumerate(cycles):
        if at % an_hour == 0:
            begins.append(memory)
        memory, _ = step(segment.start.config, memory, recorded.snapshot)
    for hour, begin in enumerate(begins):
        start = Start(segment.start.site, segment.start.config, begin)
        write_segment(
            journal / f"{hour:06}-hour.penstock", start, cycles[hour * an_hour : (hour + 1) * an_hour]
        )
