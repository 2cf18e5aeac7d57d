"""A scenario file -> a frozen Scenario; every error names file, line, key and what would be right."""

from __future__ import annotations

import tomllib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any

from controller.clock import local_time, zone
from controller.config import Config, config_of
from controller.dispatch.orders import NO_ORDERS, LocalTime, Order, Orders, Plan, Prices
from controller.lab import scenariofile
from controller.lab.claim_checks import flaws
from controller.lab.claims import JUDGES, Claim
from controller.lab.house import synthetic
from controller.lab.record import signal_names
from controller.lab.stage import PLACES, GridAt
from controller.loop import Told
from drivers.doors import DoorError, Where, nearest, place, read_toml, validate
from simulators.faults import Board, Fault, FaultError, make_fault, parameters
from simulators.traces import StepTrace, Trace, TraceError, read_csv

DAY_S = 86_400.0
PLAN_SLOT_S = 3600.0


@dataclass(frozen=True, slots=True)
class FaultAt:
    """A fault of the timeline; `made` gives a fresh one, since a fault remembers things while it lasts."""

    device: str
    fault: str
    at_s: float
    end_s: float
    values: Mapping[str, Any]

    def made(self) -> Fault:
        """The fault, new."""
        return make_fault(self.fault, self.values)

    @property
    def text(self) -> str:
        """As a report shows it."""
        return f"{self.device}: {self.fault}"


@dataclass(frozen=True, slots=True)
class ClaimMade:
    """A claim and its reason."""

    claim: Claim
    because: str


class Timeline:
    """A trace from the scenario's beginning on, with steps that take its place for good."""

    def __init__(self, base: Trace, base_begin_s: float, steps: Sequence[tuple[float, float]]) -> None:
        self._base = base
        self._base_begin_s = base_begin_s
        self._times_s = [at_s for at_s, _ in steps]
        self._values = [value for _, value in steps]

    def at(self, t_s: float) -> float:
        index = bisect_right(self._times_s, t_s)
        return self._values[index - 1] if index else self._base.at(self._base_begin_s + t_s)

    def next_edge_s(self, t_s: float) -> float:
        index = bisect_right(self._times_s, t_s)
        next_step_s = self._times_s[index] if index < len(self._times_s) else inf
        if index:
            return next_step_s
        return min(next_step_s, self._base.next_edge_s(self._base_begin_s + t_s) - self._base_begin_s)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario, ready to run. `text` and `site_text` are the files as they were."""

    path: Path
    text: str
    site_text: str
    title: str
    why: str
    seed: int
    duration_s: float
    sample_s: float
    wires: bool
    begin_utc_s: float
    config: Config
    load: Trace
    sun: Trace
    sun_peak_w: float
    prices: tuple[StepTrace, StepTrace] | None
    plan: Plan | None
    orders: tuple[tuple[float, float, Mapping[str, float | bool]], ...]
    """When, until when, and what is told."""
    grid: tuple[GridAt, ...]
    faults: tuple[FaultAt, ...]
    claims: tuple[ClaimMade, ...]

    def told(self, at_s: float, begin_s: float) -> Told:
        """What is in force so long after the beginning, which was at `begin_s` on the loop's clock."""
        orders: dict[str, Order | bool] = {}
        for from_s, to_s, values in self.orders:
            if from_s <= at_s:
                for name, value in values.items():
                    if name == "stop":
                        orders["stop"] = bool(value) and at_s < to_s
                    else:
                        orders[name] = Order(value, begin_s + to_s)
        prices = None
        if self.prices is not None:
            prices = Prices(self.prices[0].at(at_s), self.prices[1].at(at_s))
        return Told(Orders(**orders) if orders else NO_ORDERS, prices, self.plan)  # type: ignore[arg-type]  # named so

    def local(self, at_s: float) -> LocalTime:
        """The wall clock so long after the beginning."""
        return local_time(self.begin_utc_s + at_s, zone(self.config.timezone or "UTC"))


def load_scenario(path: Path, site: Path | None = None) -> Scenario:
    """The scenario of a file; DoorError lists everything that is wrong with it.

    A `site` takes the place of the scenario's own, with everything that it would put on top.
    """
    text, tables = read_toml(path)
    if site is not None:
        tables["site"] = {"file": str(site.absolute())}
    return scenario_of(path, text, tables)


def scenario_of(path: Path, text: str, tables: dict[str, Any], site_text: str | None = None) -> Scenario:
    """The scenario of this text; with `site_text` its site file is that and not the one it names."""
    file: Any = validate(path, text, scenariofile.ScenarioFile, tables)
    config, site_text = _site(path, text, file.site, site_text)
    simulation = replace(config.simulation, seed=file.seed)
    config = replace(config, simulation=simulation)
    wrong: list[str] = []
    faults = tuple(_fault(path, text, config, index, one, wrong) for index, one in enumerate(file.fault))
    claims = tuple(
        _claim(path, text, config, index, one, file.duration_s, wrong) for index, one in enumerate(file.claim)
    )
    wrong += _never_comes(path, text, file)
    if file.prices and len(file.prices.import_per_kwh) != len(file.prices.export_per_kwh):
        wrong.append(
            f"{place(path, text, ('prices', 'export_per_kwh'))} has another length than import_per_kwh"
        )
    if file.begins is not None and file.begins.tzinfo is None:
        wrong.append(f"{place(path, text, ('begins',))} has no UTC offset; write 2026-06-01T12:00:00+02:00")
    load, _ = _trace(path, text, "load", file, config, wrong)
    sun, sun_peak_w = _trace(path, text, "sun", file, config, wrong)
    if wrong:
        raise DoorError("\n".join(wrong))
    steps = sorted(file.step, key=lambda step: step.at_s)
    begins = file.begins or datetime.combine(simulation.start, datetime.min.time(), UTC)
    begin_utc_s = begins.timestamp() + (0.0 if file.begins else simulation.start_hour * 3600.0)
    return Scenario(
        path,
        text,
        site_text,
        file.title,
        file.why,
        file.seed,
        file.duration_s,
        file.sample_s,
        file.wires,
        begin_utc_s,
        config,
        load,
        sun,
        max(sun_peak_w, simulation.pv_peak_w),
        _prices(file.prices),
        _plan(file.plan, begin_utc_s, file.duration_s),
        tuple(_told(one) for one in steps if one.order is not None),
        tuple(
            GridAt(one.at_s, one.frequency_hz, one.voltage_v)
            for one in steps
            if one.frequency_hz is not None or one.voltage_v is not None
        ),
        faults,
        claims,
    )


def _site(path: Path, text: str, tables: dict[str, Any], site_text: str | None) -> tuple[Config, str]:
    """The config of `[site]`, and the text of the file that it began with."""
    on_top = {key: value for key, value in tables.items() if key != "file"}
    if "file" not in tables:
        return config_of(path, _as_site(text), on_top), ""
    name = tables["file"]
    if not isinstance(name, str):
        raise DoorError(f"{place(path, text, ('site', 'file'))} is {name!r}; give the name of a site file")
    site_path = path.parent / name
    if site_text is None:
        try:
            site_text, base = read_toml(site_path)
        except DoorError as error:
            at = place(path, text, ("site", "file"))
            raise DoorError("\n".join(f"{at}: {line}" for line in str(error).splitlines())) from None
    else:
        base = tomllib.loads(site_text)
    plain = config_of(site_path, site_text, base)
    if not on_top:
        return plain, site_text
    return replace(config_of(path, _as_site(text), merged(base, on_top)), path=site_path), site_text


def merged(base: Mapping[str, Any], on_top: Mapping[str, Any]) -> dict[str, Any]:
    """Tables put on top of others, key by key; lists of devices by their `id`, other lists as a whole."""
    found = dict(base)
    for key, value in on_top.items():
        before = found.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            found[key] = merged(before, value)
        elif isinstance(value, list) and isinstance(before, list) and _have_ids(value) and _have_ids(before):
            known = {one["id"]: one for one in before}
            known |= {one["id"]: merged(known.get(one["id"], {}), one) for one in value}
            found[key] = list(known.values())
        else:
            found[key] = value
    return found


def _have_ids(values: list[Any]) -> bool:
    return all(isinstance(one, Mapping) and "id" in one for one in values)


def _as_site(text: str) -> str:
    """The scenario's text with its `[site...]` tables named as a site file names them, line by line."""
    lines = []
    for line in text.splitlines():
        bare = line.strip()
        if bare.startswith("["):
            opening = "[[" if bare.startswith("[[") else "["
            name = bare[len(opening) :].split("]")[0].strip()
            if name == "site":
                line = ""
            elif name.startswith("site."):
                line = line.replace("site.", "", 1)
            else:
                line = f"{opening}_{name}{']' * len(opening)}"
        lines.append(line)
    return "\n".join(lines)


def _roles(config: Config) -> dict[str, str]:
    return {one.id: one.role for one in config.devices} | PLACES


def _fault(path: Path, text: str, config: Config, index: int, table: Any, wrong: list[str]) -> FaultAt:
    values = {one.name: getattr(table, one.name) for one in parameters(type(make_fault(table.fault, {})))}
    end_s = inf if table.for_s is None else table.at_s + table.for_s
    found = FaultAt(table.device, table.fault, table.at_s, end_s, values)
    try:
        board = Board(_roles(config))
        board.add(table.device, found.made(), found.at_s, end_s)
    except FaultError as error:
        wrong.append(f"{place(path, text, ('fault', index, 'device'))}: {error}")
    return found


def _never_comes(path: Path, text: str, file: Any) -> list[str]:
    """Faults and steps that begin when all is over, and steps that change nothing."""
    found = []
    for name in ("fault", "step"):
        for index, one in enumerate(getattr(file, name)):
            if one.at_s >= file.duration_s:
                at = place(path, text, (name, index, "at_s"))
                found.append(f"{at} is {one.at_s:g}, but the scenario ends at {file.duration_s:g} s")
    changes = [key for key in scenariofile.Step.model_fields if key != "at_s"]
    for index, one in enumerate(file.step):
        told = one.order is not None and _told(one)[2]
        if not told and all(getattr(one, key) is None for key in changes if key != "order"):
            found.append(f"{place(path, text, ('step', index))}: changes nothing; give {', '.join(changes)}")
    return found


def _claim(
    path: Path, text: str, config: Config, index: int, table: Any, duration_s: float, wrong: list[str]
) -> ClaimMade:
    kind = JUDGES[table.claim]
    given = {one.name: getattr(table, one.name) for one in fields(kind)}  # type: ignore[arg-type]  # dataclasses
    values = {name: value for name, value in given.items() if value is not None}
    batteries, pvs = [one.id for one in config.batteries], [one.id for one in config.pvs]

    def known(key: str, names: Sequence[str]) -> None:
        if key in values and values[key] not in names:
            at = place(path, text, ("claim", index, key))
            wrong.append(f'{at} is "{values[key]}"; {nearest(str(values[key]), names)}')

    known("signal", signal_names(batteries, pvs, config.phases))
    known("device", batteries + pvs)
    claim = kind(**values)
    for flawed, why in flaws(claim, duration_s):
        at = place(path, text, ("claim", index) if flawed is None else ("claim", index, flawed))
        wrong.append(f"{at}{':' if flawed is None else ''} {why}")
    return ClaimMade(claim, table.because)


def _trace(
    path: Path, text: str, name: str, file: Any, config: Config, wrong: list[str]
) -> tuple[Trace, float]:
    """Load or sun, and the most it is."""
    table = getattr(file, name)
    key = f"{name}_w"
    steps = sorted((one.at_s, getattr(one, key)) for one in file.step if getattr(one, key) is not None)
    peak_w = max((value for _, value in steps), default=0.0)
    given = [one for one in ("power_w", "values_w", "csv") if getattr(table, one) is not None]
    given += ["invented"] if table.invented else []
    base: Trace = StepTrace(DAY_S, [0.0])
    begin_s = 0.0
    where: Where = (name,)
    if len(given) != 1:
        wrong.append(f"{place(path, text, where)}: give one of power_w, values_w, csv and invented")
    elif table.power_w is not None:
        base, peak_w = StepTrace(DAY_S, [table.power_w]), max(peak_w, table.power_w)
    elif table.values_w is not None:
        base, peak_w = StepTrace(table.step_s, table.values_w), max(peak_w, *table.values_w)
    elif table.csv is not None:
        try:
            traces = read_csv(path.parent / table.csv)
        except TraceError as error:
            wrong.append(f"{place(path, text, (name, 'csv'))}: {error}")
        else:
            base = traces.load if name == "load" else traces.pv
            peak_w = max(peak_w, *base.values)
    else:
        invented = synthetic(config)
        base = invented.load if name == "load" else invented.pv
        begin_s = config.simulation.start_hour * 3600.0
    return Timeline(base, begin_s, steps), peak_w


def _prices(table: Any) -> tuple[StepTrace, StepTrace] | None:
    if table is None:
        return None
    return StepTrace(table.step_s, table.import_per_kwh), StepTrace(table.step_s, table.export_per_kwh)


def _plan(table: Any, begin_utc_s: float, duration_s: float) -> Plan | None:
    if table is None:
        return None
    slots = int(duration_s // PLAN_SLOT_S) + 2
    return Plan(begin_utc_s, PLAN_SLOT_S, (tuple(table.water_values),) * slots, inf)


def _told(step: Any) -> tuple[float, float, Mapping[str, float | bool]]:
    order = step.order
    values = {
        name: value
        for name in scenariofile.OrderTable.model_fields
        if name != "for_s" and (value := getattr(order, name)) is not None and value is not False
    }
    return step.at_s, inf if order.for_s is None else step.at_s + order.for_s, values
