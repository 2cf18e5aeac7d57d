"""What is asked for, checked before a long run starts: site, measured times, tariff, sizes, policies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from controller.config import Config, load_config
from controller.lab.billing import planner
from controller.lab.measured import from_quarter_hour, wall_of
from controller.lab.study.case import NO_BATTERY, ORACLE, Case, Material, apart_w
from controller.lab.study.plant import best_efficiency, powers_w
from controller.lab.study.traces_door import doubts, of_year, read_checked
from controller.planning.tariff import Tariff
from controller.site_tariff import TariffTable
from controller.tariff_door import TariffConfig, tariff_config
from drivers.doors import DoorError, dotted, line_of, read_toml, validate
from simulators.traces import CsvTraces

POLICIES = ("self_consumption", "economic", "schedule", "standby")
"""Those that need nothing from outside but a tariff."""
BUYING = ("schedule", "standby")
"""Those that charge from the grid because they were told to, whatever `grid_charging` says."""
MOST_CASES = 5000
BETTER_BY = 0.02
"""By so much plans may take a way in or out of the battery to be better than it is."""
MOST_RESOLD = 100
"""Steps in which a battery may sell dearer than it may buy: to find the best of more takes far too long."""


@dataclass(frozen=True, slots=True)
class Study:
    """All that a study computes, and what with."""

    config: Config
    tariff: Tariff
    materials: dict[str, Material]
    cases: tuple[Case, ...]
    notes: tuple[str, ...]


class _TariffFile(BaseModel):
    """A file of its own with a `[tariff]` table as in a site file."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    tariff: TariffTable


def read_tariff(path: Path) -> TariffConfig:
    """The tariff of a TOML file with a [tariff] table (a site file too), or of a URDB rate in JSON."""
    if path.suffix == ".json":
        table, text = TariffTable(urdb=path.name), ""
    else:
        text, tables = read_toml(path)
        if "tariff" not in tables:
            raise DoorError(f"{path}: has no [tariff] table; docs/tariffs.md shows every kind")
        table = validate(path, text, _TariffFile, {"tariff": tables["tariff"]}).tariff
    found, conflicts = tariff_config(path.parent, table)
    if found is None:
        lines = []
        for where, what in conflicts:
            line = line_of(text, where)
            # Of a rate in JSON each sentence names the file already.
            place = "" if not text else f"{path}{f':{line}' if line else ''}: {dotted(where)}: "
            lines.append(place + what)
        raise DoorError("\n".join(lines))
    return found


def asked(
    site: Path,
    sources: Sequence[Path],
    tariff_path: Path | None,
    sizes_wh: Sequence[float],
    wanted_w: Sequence[float],
    policies: Sequence[str],
    years: Sequence[int] = (),
) -> Study:
    """The study, of whole files or of some years of them; DoorError names what is wrong with them."""
    config = load_config(site)
    found = read_tariff(tariff_path) if tariff_path is not None else config.tariff
    if found is None:
        raise DoorError(f"{site}: has no [tariff]; write one, or give --tariff (see docs/tariffs.md)")
    config = replace(config, tariff=found, dispatch=replace(config.dispatch, demand=found.demand))
    own_wh = sum(one.capacity_wh for one in config.dispatch.batteries)
    sizes = tuple(sizes_wh) or (own_wh,)
    powers = tuple(wanted_w) or (powers_w(config.dispatch)[1],)
    materials: dict[str, Material] = {}
    notes: list[str] = [*found.tariff.unread, *_planned_as_better(config, policies)]
    cases: list[Case] = []
    for source in sources:
        traces = read_checked(source, config.simulation.latitude_deg, config.timezone)
        notes += [*traces.notes, *doubts(source, traces)]
        name = source.name.removesuffix(".gz").removesuffix(".csv")
        parts = {f"{name} {year}": of_year(source, traces, year) for year in years} or {name: traces}
        for time, whole in parts.items():
            if time in materials:
                raise DoorError(f"{source}: another file of this study has the same name")
            part, cut = from_quarter_hour(source, whole)
            material, note = _material(config, found, part, policies)
            notes += [f"{time}: {cut}"] if cut else []
            notes += [f"{source.name}: {one}" for one in (note, _unheld(material)) if one]
            _prices_cover(source, material)
            materials[time] = material
            cases.append(Case(time, 0.0, 0.0, NO_BATTERY))
            why = _no_bound(material)
            notes += [f"{source.name}: {ORACLE} is left out: {why}"] if why else []
            shown = tuple(policies) if why else (*policies, ORACLE)
            cases += [Case(time, *one) for one in product(sizes, powers, shown)]
    if len(cases) > MOST_CASES:
        raise DoorError(f"{len(cases)} cases; more than {MOST_CASES} are surely not meant")
    return Study(config, found.tariff, materials, tuple(cases), tuple(notes))


def _material(
    config: Config, found: TariffConfig, traces: CsvTraces, policies: Sequence[str]
) -> tuple[Material, str]:
    told = {*policies, config.dispatch.policy.fallback}
    inside, note = planner(config, wall_of(traces), traces.prices, traces.duration_s)
    assert inside is not None, "the config has a tariff"
    return Material(
        config, traces, found.tariff, inside.market, not told.isdisjoint(BUYING), "schedule" in told
    ), note


def _planned_as_better(config: Config, policies: Sequence[str]) -> list[str]:
    """A note on plans that reckon with less loss than there is: they trade where that costs money."""
    planned, best = config.planning.efficiency, max(best_efficiency(config))
    if "economic" not in policies or planned <= best + BETTER_BY:
        return []
    return [
        f"plans reckon with {100 * planned:g} % each way, and the simulated plant has {100 * best:g} % at "
        "best; give [planning] efficiency_pct what the plant has"
    ]


def _unheld(material: Material) -> str:
    """A note on PV that breaks the export limit and is not in the site file, so that nobody can help it."""
    dispatch = material.config.dispatch
    surplus_w = float(apart_w(material)[1].max())
    if dispatch.export_limit_w is None or dispatch.pvs or surplus_w <= dispatch.export_limit_w:
        return ""
    return (
        f"PV alone exports up to {surplus_w:.0f} W, and the site file has no [[pv]] to be held to the "
        f"limit of {dispatch.export_limit_w:g} W: what no battery takes goes out, and earns, in every case"
    )


def _no_bound(material: Material) -> str:
    """Why perfect foresight cannot be found, or is no bound; nothing where it is one."""
    resold = _resold(material)
    if resold > MOST_RESOLD:
        times = f"in {resold} of {material.rows} steps"
        return f"{times} export earns more than import costs, and the battery may do both"
    sides = [material.tariff.energy, material.tariff.feed_in]
    steps = [one.rates.tiers for one in sides if one is not None and one.rates is not None]
    if any(len(tiers) > 1 for periods in steps for tiers in periods):
        return "a kWh has another price the more of them a month has, which no linear programme here knows"
    return ""


def _resold(material: Material) -> int:
    """In how many steps export earns more than import costs, where the battery may do both."""
    policy = material.config.dispatch.policy
    if not ((policy.grid_charging or material.buys) and (policy.battery_export or material.sells)):
        return 0
    prices = material.prices
    return int((prices.export_per_kwh > np.maximum(prices.import_per_kwh, 0.0)).sum())


def _prices_cover(source: Path, material: Material) -> None:
    """Every step needs a price, or the bill has holes."""
    if not material.tariff.is_dynamic:
        return
    wall = material.wall
    known = material.market.over(wall.begin_utc_s, material.step_s, material.rows)
    missing = np.flatnonzero(np.isnan(known))
    if len(missing):
        per_row = round(material.step_s / material.traces.step_s)
        first = material.traces.timestamp(int(missing[0]) * per_row).isoformat()
        raise DoorError(
            f"{source}: the tariff has no market price for {len(missing)} of {material.rows} steps, "
            f"the first at {first}; give prices of the same time"
        )
