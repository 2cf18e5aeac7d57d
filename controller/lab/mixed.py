"""Real devices among emulated ones: what is seen of them, what a scenario cannot do to them, what a claim
about them is still worth.

A real battery has a twin in the plant that does what the real one shows, so that an emulated meter counts
it. A real meter shows a real house: nothing emulated reaches it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite

from controller.config import Config
from controller.errors import RunError
from controller.lab.claims import (
    Claim,
    Energy,
    Reaches,
    Refreshes,
    Settles,
    Stays,
    Value,
    Writes,
)
from controller.lab.record import Record, signal_names
from controller.lab.scenario import Scenario
from controller.lab.stage import Stage
from controller.loop import Cycle
from controller.station import BatteryStation, PvStation
from drivers.profile.model import Response

AT_ONCE = Response(dead_time_s=0.0, time_constant_s=0.0)
AT_THE_PCC = ("pcc_import_w", "load_w", "phase")


def refuse_what_cannot_be(config: Config, real: frozenset[str]) -> None:
    """RunError for a rig in which nobody would see what a real device does."""
    known = {one.id for one in config.devices}
    if unknown := sorted(real - known):
        raise RunError(f"--real {unknown[0]}: no such device here; there are {', '.join(sorted(known))}")
    unseen = sorted(one.id for one in config.devices if one.id in real and one.role in ("pv", "switch"))
    if unseen and config.meter.id not in real:
        raise RunError(
            f"{unseen[0]} is real and {config.meter.id} is emulated: an emulated meter sees real batteries, "
            f"and nothing else that is real; make {config.meter.id} real too"
        )


def with_twins(config: Config, real: frozenset[str]) -> Config:
    """The site whose real batteries have twins that follow without delay."""
    batteries = tuple(
        replace(one, profile=replace(one.profile, response=AT_ONCE)) if one.id in real else one
        for one in config.batteries
    )
    return replace(config, batteries=batteries)


class RealDevices:
    """What the real devices of a run show, beat by beat, and what came to them."""

    def __init__(self, config: Config, real: frozenset[str], stage: Stage, record: Record) -> None:
        self._config, self._real, self._stage, self._record = config, real, stage, record
        batteries, pvs = [one.id for one in config.batteries], [one.id for one in config.pvs]
        self._place = {name: n for n, name in enumerate(signal_names(batteries, pvs, config.phases))}
        self._shown: dict[str, float] = {}
        self._written: dict[str, int] = {}
        stage.seen = self._as_seen

    def heard(self, cycle: Cycle, at_s: float) -> None:
        """Take over what a beat has read, and note what was written to the real devices."""
        now_s, real, shown = cycle.snapshot.now_s, self._real, self._shown
        if cycle.meter.id in real and (meter := cycle.meter.reading) is not None:
            shown["pcc_import_w"] = meter.pcc_import_w
            for number, phase_w in enumerate(meter.phase_import_w[: self._config.phases], start=1):
                shown[f"phase{number}_import_w"] = phase_w
        for index, one in enumerate(cycle.batteries):
            if one.id in real and one.reading is not None:
                shown[f"{one.id}.discharge_w"] = one.reading.battery_discharge_w
                if one.reading.soc_pct is not None:
                    shown[f"{one.id}.soc_pct"] = one.reading.soc_pct
                self._stage.house.battery(index).order(now_s, one.reading.battery_discharge_w, inf)
        for pv in cycle.pvs:
            if pv.id in real and pv.reading is not None:
                shown[f"{pv.id}.generation_w"] = pv.reading.pv_generation_w
        told = (*cycle.decision.battery_setpoints_w, *cycle.decision.pv_caps_w)
        ordered: tuple[BatteryStation | PvStation, ...] = (*cycle.batteries, *cycle.pvs)
        for station, order_w in zip(ordered, told, strict=True):
            if station.id in real:
                written = registers_written(station.device)
                if written != self._written.get(station.id, 0) and order_w is not None:
                    self._record.orders.setdefault(station.id, []).append((at_s, order_w))
                self._written[station.id] = written

    def _as_seen(self, plant: Sequence[float]) -> Sequence[float]:
        """The plant's signals with what the real devices show in their place."""
        found = list(plant)

        def put(name: str, value: float) -> None:
            found[self._place[name]] = value

        for name, value in self._shown.items():
            put(name, value)
        config = self._config
        if any(one.id in self._real for one in config.pvs):
            put("pv_generation_w", sum(found[self._place[f"{one.id}.generation_w"]] for one in config.pvs))
        if any(one.id in self._real for one in config.batteries):
            names = [one.id for one in config.batteries]
            put("battery_discharge_w", sum(found[self._place[f"{name}.discharge_w"]] for name in names))
            sizes = [one.capacity_wh for one in config.dispatch.batteries]
            levels = [found[self._place[f"{name}.soc_pct"]] for name in names]
            put("soc_pct", sum(a * b for a, b in zip(sizes, levels, strict=True)) / sum(sizes))
        if config.meter.id in self._real:
            parts = ("pcc_import_w", "pv_generation_w", "battery_discharge_w")
            put("load_w", sum(found[self._place[name]] for name in parts))
        return found


def registers_written(device: object) -> int:
    """How many registers were written to a device so far; 0 for one without a wire."""
    counted: Mapping[int, int] = getattr(device, "writes_by_register", {})
    return sum(counted.values())


def slack_s(scenario: Scenario, record: Record) -> float:
    """How late what a real device does is seen at worst: a cycle, and what the host came late in this run."""
    timings = [one.timing for one in record.beats if one.timing is not None]
    late_s = max((one.jitter_s + one.read_s for one in timings), default=0.0)
    return scenario.config.cycle_s + late_s


def widened(claim: Claim, by_s: float) -> Claim:
    """The claim as it can be held against somebody who is seen so much late."""
    match claim:
        case Settles() | Reaches() | Value():
            return replace(claim, within_s=claim.within_s + by_s)
        case Stays():
            return replace(claim, longer_than_s=claim.longer_than_s + by_s)
        case Refreshes():
            return replace(claim, every_s=claim.every_s + by_s)
    return claim


@dataclass(frozen=True, slots=True)
class Unmade:
    """Something of a scenario that does not happen to a real device."""

    at_s: float
    text: str


def unmade(scenario: Scenario, real: frozenset[str]) -> list[Unmade]:
    """What does not happen, in the order of time."""
    if not real:
        return []
    config = scenario.config
    found = [
        Unmade(one.at_s, f"the fault {one.text}")
        for one in scenario.faults
        if one.device in real or one.device == "site"
    ]
    if config.meter.id in real:
        for name, trace in (("load", scenario.load), ("sun", scenario.sun)):
            edge_s = trace.next_edge_s(0.0)
            if isfinite(edge_s):
                found.append(Unmade(edge_s, f"the {name} of the scenario"))
    if scenario.grid:
        found.append(Unmade(scenario.grid[0].at_s, "the grid of the scenario"))
    found = [one for one in found if one.at_s < scenario.duration_s]
    return sorted(found, key=lambda one: one.at_s)


def why_open(claim: Claim, scenario: Scenario, real: frozenset[str]) -> str:
    """Why this claim cannot be judged with these devices real; empty when it can."""
    if not real:
        return ""
    config = scenario.config
    end_s = min(_end_s(claim), scenario.duration_s)
    for one in unmade(scenario, real):
        if one.at_s < end_s:
            return f"{one.text} at {one.at_s:g} s does not happen to what is real"
    meter_is_real = config.meter.id in real
    if isinstance(claim, Energy):
        return "energy is counted in the plant, and the house is real" if meter_is_real else ""
    signal = getattr(claim, "signal", "")
    if meter_is_real:
        if signal == "grid_present":
            return "nobody sees whether the real grid is there"
        emulated = [one.id for one in config.batteries if one.id not in real]
        if emulated and signal.startswith(AT_THE_PCC):
            return f"{config.meter.id} is real and does not see {emulated[0]}, which is emulated"
    if isinstance(claim, Writes) and claim.device in real:
        return "how often a real device's order changed is not seen between two cycles"
    return ""


def _end_s(claim: Claim) -> float:
    """Until when a claim looks."""
    match claim:
        case Settles():
            return claim.until_s
        case Reaches():
            return claim.after_s + claim.within_s + claim.stays_s
        case Value():
            return claim.at_s
    return claim.to_s
