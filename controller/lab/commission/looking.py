"""The part of commissioning that only reads: who answers, is it what the profile says, does it make sense?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from controller.config import Config, DeviceEntry
from controller.devices import Devices
from controller.lab.commission.bench import Bench
from controller.lab.commission.findings import Finding
from controller.lab.commission.plausible import (
    battery_findings,
    knows_amperes,
    meter_findings,
    timing_findings,
)
from controller.recognising import fits
from controller.scanning import answers
from drivers.address import parse_connection
from drivers.device import BatteryReading, DeviceError, MeterReading
from drivers.link import Link
from drivers.modbus.polling import Poller
from drivers.profile.model import IDENTITY

LOOK_S, LONGER_S, EVERY_S = 10.0, 30.0, 0.5
"""A meter that shows few new values in the first time is looked at for the second."""
FEW_CHANGES = 5
FIRST_TRIES, TRY_AGAIN_S = 3, 1.5
IDENTITY_WITHIN_S = 8.0
USUAL_UNITS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 71, 100, 126, 227, 247)
"""Where devices are found that are not at the unit somebody wrote down."""
SHOWN_FITS = 3
QUIET_PV_W = 20.0
FEWEST_GAPS = 2


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of the meter; `period_s` is 0 where it has a new value with every look.

    `knows_amperes`: its watts could be held against its volts and amperes.
    """

    period_s: float
    knows_amperes: bool


async def look_around(
    bench: Bench, config: Config, devices: Devices, note: Callable[[Sequence[Finding]], None]
) -> Seen:
    """Read everything for a while and judge it; a device that does not answer is looked into."""
    links = {parse_connection(link.connection): link for link in devices.links}
    answering: list[DeviceEntry] = []
    for entry in (config.meter, *config.batteries, *config.pvs):
        link = links[parse_connection(entry.connection)]
        if await _answers_at_last(bench, config, entry):
            answering.append(entry)
            note([Finding("good", entry.id, "answers", await _who(entry, link))])
        else:
            note([await _why_silent(entry, link, bench.trouble[entry.id])])
    meters, batteries, quiet = await _watch(bench, config, answering)
    readings = [one for _, one in meters]
    if readings:
        note(meter_findings(config.meter.id, readings, config.phases, quiet))
    for index, shown in batteries.items():
        note(battery_findings(config.dispatch.batteries[index], shown))
    for entry in answering:
        serial = links[parse_connection(entry.connection)].serial
        note(timing_findings(entry.id, bench.took_s[entry.id], config.cycle_s, serial))
    return Seen(_period_s(meters), knows_amperes(readings))


async def _answers_at_last(bench: Bench, config: Config, entry: DeviceEntry) -> bool:
    """Whether one of a few readings succeeds: the first may find the link not connected yet."""
    for _ in range(FIRST_TRIES):
        if await _read(bench, config, entry) is not None:
            bench.took_s[entry.id].clear()  # the first reading connects, and reads identity and ratings too
            return True
        await asyncio.sleep(TRY_AGAIN_S)
    return False


async def _read(bench: Bench, config: Config, entry: DeviceEntry) -> object | None:
    if entry.role == "meter":
        return await bench.read_meter()
    if entry.role == "battery":
        return await bench.read_battery(config.batteries.index(entry))
    return await bench.read_pv(config.pvs.index(entry))


async def _who(entry: DeviceEntry, link: Link) -> str:
    """What the device says it is, where its profile knows how to ask."""
    if entry.self_describing:
        return "answers, and says in SunSpec what it is"
    poller = Poller(entry.id, entry.profile, link, entry.unit)
    try:
        _, values = await poller.poll(asyncio.get_running_loop().time() + IDENTITY_WITHIN_S)
    except DeviceError as error:
        return f"answers, though not to the question who it is: {error}"
    said = [values.get(poller.profile.named(name)) for name in IDENTITY]
    names = " ".join(one.strip() for one in said if isinstance(one, str) and one.strip())
    return f"answers as {entry.profile.name}" + (f"; says it is {names}" if names else "")


async def _why_silent(entry: DeviceEntry, link: Link, error: str) -> Finding:
    """A device that cannot be read: is it the unit, the profile, or the wire?"""
    error = error.removeprefix(f"{entry.id}: ")
    if not link.connects:
        why = str(error).partition("; next try in ")[0]  # there is none
        return Finding("stop", entry.id, "answers", f"cannot be reached: {why}")
    if await answers(link, entry.unit):
        fitting, possible = await fits(link, entry.unit)
        names = ", ".join(
            f"{one.profile.id} ({one.profile.role})" for one in (fitting or possible)[:SHOWN_FITS]
        )
        hint = f"; {'these profiles fit' if fitting else 'it could be'}: {names}" if names else ""
        text = f"unit {entry.unit} answers, but not as {entry.profile.id}: {error}{hint}"
        return Finding("stop", entry.id, "profile", text)
    others = [unit for unit in USUAL_UNITS if unit != entry.unit and await answers(link, unit)]
    if others:
        text = (
            f"nobody answers at unit {entry.unit}, but at unit {' and '.join(map(str, others))}; correct unit"
        )
        return Finding("stop", entry.id, "unit", text)
    text = f"nobody answers at {entry.connection}, neither at unit {entry.unit} nor at another one: {error}"
    return Finding("stop", entry.id, "answers", text)


async def _watch(
    bench: Bench, config: Config, answering: list[DeviceEntry]
) -> tuple[list[tuple[float, MeterReading]], dict[int, list[BatteryReading]], bool]:
    """Readings of meter and batteries over a while, and whether nothing on site feeds in meanwhile."""
    loop = asyncio.get_running_loop()
    meters: list[tuple[float, MeterReading]] = []
    batteries: dict[int, list[BatteryReading]] = {}
    quiet = bool(config.pvs) and len(answering) == len(config.devices) - len(config.switches)
    began_s = loop.time()
    while (answering and loop.time() < began_s + LOOK_S) or (
        meters and len(_changes_s(meters)) < FEW_CHANGES and loop.time() < began_s + LONGER_S
    ):
        next_s = loop.time() + EVERY_S
        for entry in answering:
            reading = await _read(bench, config, entry)
            if isinstance(reading, MeterReading):
                meters.append((loop.time(), reading))
            elif isinstance(reading, BatteryReading):
                batteries.setdefault(config.batteries.index(entry), []).append(reading)
                quiet = quiet and reading.battery_discharge_w < QUIET_PV_W
            elif reading is not None:
                quiet = quiet and getattr(reading, "pv_generation_w", 0.0) < QUIET_PV_W
        await asyncio.sleep(max(next_s - loop.time(), 0.0))
    return meters, batteries, quiet


def _period_s(meters: list[tuple[float, MeterReading]]) -> float:
    """How often the meter has a new value; 0 when with about every look, or too seldom to tell."""
    gaps_s = [later - earlier for earlier, later in pairwise(_changes_s(meters))]
    if len(gaps_s) < FEWEST_GAPS or median(gaps_s) < 2 * EVERY_S:
        return 0.0
    if max(gaps_s) - min(gaps_s) > 2 * EVERY_S:  # the load changes now and then, not the meter
        return 0.0
    return round(sum(gaps_s) / len(gaps_s), 1)


def _changes_s(meters: list[tuple[float, MeterReading]]) -> list[float]:
    """When the meter had a new value; counters are often read at a pace of their own."""

    def shown(reading: MeterReading) -> MeterReading:
        return replace(reading, taken_at_s=0.0, import_wh=None, export_wh=None)

    return [at_s for (_, one), (at_s, other) in pairwise(meters) if shown(one) != shown(other)]
