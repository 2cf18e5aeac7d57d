"""An installation that differs from its site file in one planted fault, commissioned in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from controller.config import Config, DeviceEntry, load_config
from controller.lab.commission.findings import Finding, Terms
from controller.lab.commission.procedure import Report, Watcher, commission
from controller.lab.house import build_house, synthetic
from drivers.profile import DeviceProfile
from drivers.wire import Unit, serve
from simulators.emulator import Behaviour, EmulatedUnit, Rating, emulated_unit, emulated_units
from simulators.meters import HouseMeter, MeterParams
from simulators.site import House
from simulators.traces import StepTrace, Trace
from simulators.virtual_time import run
from tests.penstock import free_ports

QUIESCE_S = 0.0005
CONSENT_W = 1000.0
BACKGROUND = "\n[simulation]\nstart_hour = 10.0\npv_peak_w = 0\n"


@dataclass(slots=True)
class Installation:
    """What is really there; as the site file says, where nothing is given."""

    profiles: dict[str, DeviceProfile] = field(default_factory=dict)
    units: dict[str, int] = field(default_factory=dict)
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    phases: dict[str, int] = field(default_factory=dict)
    wire: Callable[[HouseMeter], None] | None = None
    meter: MeterParams | None = None
    load: Trace | None = None
    meanwhile: Callable[[dict[str, EmulatedUnit]], Awaitable[None]] | None = None


@dataclass(slots=True)
class Outcome:
    """What commissioning found, and what the house went through meanwhile."""

    report: Report
    house: House
    most_w: float = 0.0
    """The greatest battery power that was really seen at any of its terminals."""
    held_w: tuple[float | None, ...] = ()
    """The orders that the batteries hold at the end; None: released."""

    @property
    def stops(self) -> list[Finding]:
        return [one for one in self.report.findings if one.kind == "stop"]

    @property
    def doubts(self) -> list[Finding]:
        return [one for one in self.report.findings if one.kind == "unsure"]


def site_text(meter: str, *batteries: str, grid: str = "", roof: bool = False) -> str:
    """A site file; a battery is a profile and further lines after a |, ports are filled in later."""
    text = f"""site = "house-7"
[grid]
{grid or "import_limit_w = 17_250"}

[[meter]]
id = "grid"
profile = "{meter}"
connection = "tcp://127.0.0.1:{{}}"
"""
    for number, battery in enumerate(batteries, start=1):
        profile, _, lines = battery.partition("|")
        most_w = 2_500 if profile == "marstek-venus" else 4_000
        text += f"""
[[battery]]
id = "bat{number}"
profile = "{profile}"
connection = "tcp://127.0.0.1:{{}}"
capacity_wh = 10_000
max_charge_w = {most_w}
max_discharge_w = {most_w}
{lines}
"""
    if roof:
        text += '\n[[pv]]\nid = "roof"\nprofile = "sunspec-pv"\nconnection = "tcp://127.0.0.1:{}"\n'
    return text + BACKGROUND


def commissioned(
    folder: Path, text: str, really: Installation | None = None, terms: Terms | None = None
) -> Outcome:
    """Commission the installation; from start to end in virtual time."""
    path = folder / "house.toml"
    path.write_text(text.format(*free_ports(text.count("{}"))), encoding="utf-8")
    config = load_config(path)
    return run(_commissioned(config, really or Installation(), terms or Terms(CONSENT_W)), QUIESCE_S)


async def _commissioned(config: Config, really: Installation, terms: Terms) -> Outcome:
    async with AsyncExitStack() as stack:
        house, units = await installed(stack, config, really)
        report = Report(config, terms)
        outcome = Outcome(report, house)
        watching = asyncio.create_task(_watch(outcome))
        if really.meanwhile is not None:
            meanwhile = asyncio.ensure_future(really.meanwhile(units))
            stack.callback(meanwhile.cancel)
        await commission(config, terms, Watcher(), report)
        watching.cancel()
        outcome.held_w = tuple(battery.held_w for battery in house.batteries)
    return outcome


async def _watch(outcome: Outcome) -> None:
    """What the batteries really do, looked at more often than anybody orders anything."""
    loop = asyncio.get_running_loop()
    while True:
        outcome.house.advance(loop.time())
        for battery in outcome.house.batteries:
            outcome.most_w = max(outcome.most_w, abs(battery.power_w))
        await asyncio.sleep(0.37)


async def installed(
    stack: AsyncExitStack, config: Config, really: Installation
) -> tuple[House, dict[str, EmulatedUnit]]:
    """The devices as they really are, at the addresses of the site file."""
    house = _house(config, really)
    meter = house.meter(really.meter)
    if really.wire is not None:
        really.wire(meter)
    devices: dict[str, EmulatedUnit] = {config.meter.id: _unit(config.meter, really, meter)}
    for index, entry in enumerate(config.batteries):
        params = house.batteries[index].params
        rating = Rating(params.rated_charge_w, params.rated_discharge_w)
        devices[entry.id] = _unit(entry, really, house.battery(index), rating)
    for index, entry in enumerate(config.pvs):
        devices[entry.id] = _unit(entry, really, house.pv(index))
    await plugged_in(stack, config, devices, really.units)
    return house, devices


async def plugged_in(
    stack: AsyncExitStack, config: Config, devices: dict[str, EmulatedUnit], at_units: Mapping[str, int]
) -> None:
    """The devices answer at their addresses, until the stack is closed."""
    for entry in config.devices:
        units: dict[int, Unit] = emulated_units(at_units.get(entry.id, entry.unit), devices[entry.id])
        server = await serve(entry.connection, units)
        stack.push_async_callback(server.stop)


def _unit(entry: DeviceEntry, really: Installation, port, rating: Rating | None = None) -> EmulatedUnit:  # type: ignore[no-untyped-def]  # any port
    profile = really.profiles.get(entry.id, entry.profile)
    return emulated_unit(
        profile, port, serial=entry.id, rating=rating, behaviour=really.behaviours.get(entry.id)
    )


def _house(config: Config, really: Installation) -> House:
    """The house of the site file, with its batteries on the phases where they really are."""
    settings = tuple(
        replace(one, phase=really.phases.get(one.id, one.phase)) for one in config.dispatch.batteries
    )
    true = replace(config, dispatch=replace(config.dispatch, batteries=settings))
    traces = synthetic(config, 1)
    return build_house(
        true,
        really.load or traces.load,
        traces.pv,
        config.simulation.pv_peak_w,
        begin_s=asyncio.get_running_loop().time(),
        trace_begin_s=config.simulation.start_hour * 3600.0,
    )


def scaled(
    profile: DeviceProfile, factor: float, *fields: str, points: tuple[str, ...] = ()
) -> DeviceProfile:
    """A device that shows these fields of a reading, and keeps these points, `factor` times as great."""
    names = {point.name for name, point in profile.gives.items() if name in fields} | set(points)
    changed = {
        name: replace(point, encoding=replace(point.encoding, scale=point.encoding.scale / factor))
        if name in names
        else point
        for name, point in profile.points.items()
    }
    gives = {name: changed[point.name] for name, point in profile.gives.items()}
    return replace(profile, points=changed, gives=gives)


def steady(load_w: float) -> StepTrace:
    """A load that breathes a little, as loads do: no two minutes are alike."""
    return StepTrace(7.0, [load_w + 20.0 * (n * 7 % 5 - 2) for n in range(1000)])
