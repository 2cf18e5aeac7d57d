"""What a run left behind: samples of the plant, beats of the controller, orders at the devices, one hash.

Samples are the truth at the plant, not what a meter said of it; with real devices in the loop they are
what these said. Times are seconds since the scenario began.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import nan

from controller.dispatch.decision import Decision
from controller.lab.timing import BeatTiming


@dataclass(frozen=True, slots=True)
class Beat:
    """One decision, and when it was taken."""

    at_s: float
    decision: Decision
    timing: BeatTiming | None = None
    """None where the bare step ran."""


@dataclass(slots=True, repr=False)  # asyncio writes out what its tasks return
class Record:
    """One run. `signals` has a value for each of `times_s`; nan where nothing was to be seen."""

    batteries: tuple[str, ...]
    pvs: tuple[str, ...]
    phases: int
    times_s: list[float] = field(default_factory=list)
    signals: dict[str, list[float]] = field(init=False)
    beats: list[Beat] = field(default_factory=list)
    orders: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    """By device: when an order came to it, W."""
    writes: dict[str, int] | None = None
    """Registers written, by device; None where there is no wire."""
    energies: dict[str, list[float]] = field(init=False)
    """Wh since the start, for each of `times_s`."""
    imbalance_wh: float = 0.0
    duration_s: float = 0.0
    _beat_times_s: list[float] = field(default_factory=list)
    _columns: tuple[list[float], ...] = field(init=False)
    _books: tuple[list[float], ...] = field(init=False)
    _decided: tuple[float, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.signals = {name: [] for name in signal_names(self.batteries, self.pvs, self.phases)}
        self.energies = {name: [] for name in ENERGIES}
        self._columns = tuple(self.signals.values())
        self._books = tuple(self.energies.values())
        self._decided = (nan,) * (2 + len(self.batteries) + len(self.pvs))

    def beat(self, at_s: float, decision: Decision, timing: BeatTiming | None = None) -> None:
        """Keep a decision."""
        self.beats.append(Beat(at_s, decision, timing))
        self._beat_times_s.append(at_s)
        self._decided = (
            decision.setpoint_w,
            decision.wanted_w,
            *[nan if one is None else one for one in decision.battery_setpoints_w],
            *[nan if one is None else one for one in decision.pv_caps_w],
        )

    def sample(self, at_s: float, plant: Sequence[float], books_wh: Sequence[float]) -> None:
        """Keep what is to be seen of the plant at this instant, in the order of `signal_names`.

        The newest decision goes with it, and what was counted so far, in the order of `ENERGIES`.
        """
        if self.times_s and at_s <= self.times_s[-1]:
            return
        self.times_s.append(at_s)
        for column, value in zip(self._columns, (*plant, *self._decided), strict=True):
            column.append(value)
        for column, value in zip(self._books, books_wh, strict=True):
            column.append(value)

    def between(self, name: str, from_s: float, to_s: float) -> Iterator[tuple[float, float]]:
        """The samples of a signal from one instant to another, both included."""
        values = self.signals.get(name, [])
        first, last = bisect_left(self.times_s, from_s), bisect_right(self.times_s, to_s)
        yield from zip(self.times_s[first:last], values[first:last], strict=False)

    def beats_between(self, from_s: float, to_s: float) -> Sequence[Beat]:
        """The decisions from one instant to another, both included."""
        first, last = bisect_left(self._beat_times_s, from_s), bisect_right(self._beat_times_s, to_s)
        return self.beats[first:last]

    def energy_wh(self, what: str, from_s: float, to_s: float) -> float:
        """What flowed between the samples nearest to two instants."""
        counted = self.energies[what]
        first = min(bisect_left(self.times_s, from_s), len(counted) - 1)
        last = max(bisect_right(self.times_s, to_s) - 1, 0)
        return counted[last] - counted[first]

    @property
    def trace_hash(self) -> str:
        """SHA-256 over all decisions with their times: equal for equal runs, on any Python."""
        digest = hashlib.sha256()
        for one in self.beats:
            digest.update(f"{one.at_s!r} {one.decision!r}\n".encode())
        return digest.hexdigest()


def signal_names(batteries: Sequence[str], pvs: Sequence[str], phases: int) -> list[str]:
    """Every signal that a record of such a site has: first what the plant does, then what was decided."""
    names = ["pcc_import_w", "load_w", "pv_generation_w", "battery_discharge_w", "soc_pct", "grid_present"]
    names += [f"phase{number}_import_w" for number in range(1, phases + 1)]
    names += [f"{name}.{what}" for name in batteries for what in ("discharge_w", "soc_pct")]
    names += [f"{name}.generation_w" for name in pvs]
    names += ["broker_reached", "disk_alarm", "set_aside_alarm"]
    names += ["setpoint_w", "wanted_w"]
    names += [f"{name}.setpoint_w" for name in batteries]
    return names + [f"{name}.cap_w" for name in pvs]


ENERGIES = ("load", "pv", "curtailed", "import", "export", "charged", "discharged", "lost")
"""What is counted, in Wh."""
