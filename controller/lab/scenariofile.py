"""The scenario file as it is written: one pydantic model a table; `scenario.py` turns it into a Scenario.

The tables of faults and claims are made from the faults and claims themselves, so that a file can say
exactly what they can do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import MISSING
from dataclasses import fields as fields_of
from datetime import datetime
from functools import reduce
from math import inf
from operator import or_
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model

from controller.lab.claims import CLAIMS
from controller.sitefile import Watts
from simulators.faults import INJECTORS, parameters
from simulators.faults.model import Bounds, bounds, described

Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Lasting = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class Table(BaseModel):
    """A table of the scenario file: unknown keys are errors, numbers are never taken from strings."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Trace(Table):
    """`[load]` and `[sun]`: where the power comes from; one of the keys."""

    power_w: Watts | None = Field(None, description="the same all the time, W")
    values_w: list[Watts] | None = Field(None, min_length=1, description="one after the other, W")
    step_s: float = Field(60.0, gt=0, le=86_400, description="how long each of values_w lasts, s")
    csv: str | None = Field(None, description="a CSV file with timestamp, load_w, pv_w, beside this file")
    invented: bool = Field(False, description="true: invented from the seed, as [simulation] says")


class Prices(Table):
    """`[prices]`: what a kWh costs and earns, step after step."""

    import_per_kwh: list[Number] = Field(min_length=1, description="in the site's currency")
    export_per_kwh: list[Number] = Field(min_length=1, description="as many as import_per_kwh")
    step_s: float = Field(3600.0, gt=0, le=86_400, description="how long each lasts, s")


class Plan(Table):
    """`[plan]`: what a kWh more in the battery is worth, by its level; the same all the time."""

    water_values: list[Number] = Field(min_length=1, description="per kWh, from 0 to 100 % SoC")


class OrderTable(Table):
    """`order` of a step: what is told from outside; each holds until its time is over."""

    for_s: Lasting | None = Field(None, description="how long it holds, s; to the end where left out")
    operator_import_w: Watts | None = Field(None, description="the grid operator's limit to import, W")
    operator_export_w: Watts | None = Field(None, description="the grid operator's limit to export, W")
    import_limit_w: Watts | None = Field(None, description="a limit to import, W")
    export_limit_w: Watts | None = Field(None, description="a limit to export, W")
    max_charge_w: Watts | None = Field(None, description="a limit to all batteries' charge, W")
    max_discharge_w: Watts | None = Field(None, description="a limit to all batteries' discharge, W")
    reserve_pct: float | None = Field(None, ge=0, le=100, description="a higher reserve, %")
    follow_battery_w: Number | None = Field(None, description="policy follow: battery discharge, W")
    follow_pcc_w: Number | None = Field(None, description="policy follow: import at the PCC, W")
    stop: bool = Field(False, description="the operator stops the controller")


class Step(Table):
    """`[[step]]`: what changes at an instant, and stays so until another step changes it."""

    at_s: Seconds = Field(description="when, s since the beginning")
    load_w: Watts | None = Field(None, description="the load from now on, W")
    sun_w: Watts | None = Field(None, description="what the sun offers from now on, W")
    frequency_hz: float | None = Field(None, ge=40, le=70, description="of the grid, Hz")
    voltage_v: float | None = Field(None, ge=0, le=500, description="of the grid, V")
    order: OrderTable | None = Field(None, description="what is told from outside")


class FaultBase(Table):
    """`[[fault]]`: something goes wrong."""

    device: str = Field(description='a device of the site, or "site", "broker", "host"')
    at_s: Seconds = Field(description="when it begins, s")
    for_s: Lasting | None = Field(None, description="how long it lasts, s; to the end where left out")


def _bounded(kind: Any, allowed: Bounds | None) -> Any:
    """The type of a parameter with its bounds, which the JSON Schema then has too."""
    if allowed is None:
        return kind
    if kind is str:
        longest = Field(min_length=int(allowed.least), max_length=int(allowed.most), pattern="^[ -~]*$")
        return Annotated[str, longest]
    least, most = kind(allowed.least), kind(allowed.most)
    if kind is float:
        return Annotated[float, Field(ge=least, le=most, allow_inf_nan=False)]
    return Annotated[kind, Field(ge=least, le=most)]


def _fault_table(name: str) -> type[BaseModel]:
    kind = INJECTORS[name]
    hints = get_type_hints(kind)
    keys: dict[str, Any] = {"fault": (Literal[name], Field(description="what goes wrong"))}
    for one in parameters(kind):
        keys[one.name] = (
            _bounded(hints[one.name], bounds(one)),
            Field(one.default, description=described(one)),
        )
    return create_model(f"Fault_{name}", __base__=FaultBase, __doc__=kind.__doc__, **keys)


class ClaimBase(Table):
    """`[[claim]]`: what has to hold."""

    because: str = Field("", description="why, such as the clause of a standard")


def _finite(name: str, kind: Any, least: float) -> Any:
    """The type of a claim's key: numbers are finite, since nan and inf are bounds that all things keep."""
    if kind is float and name.endswith("_s"):
        return Seconds
    if kind is float:
        return Annotated[float, Field(ge=least, allow_inf_nan=False)] if least > -inf else Number
    return Annotated[int, Field(ge=int(least))] if kind is int else kind


def _claim_table(kind: type[Any]) -> type[BaseModel]:
    hints = get_type_hints(kind)
    keys: dict[str, Any] = {"claim": (Literal[kind.name], Field(description="what is claimed"))}
    for one in fields_of(kind):
        kind_of = _finite(one.name, hints[one.name], one.metadata.get("least", -inf))
        if one.default in (inf, -inf):  # no number of JSON: left out
            keys[one.name] = (kind_of | None, Field(None, description=one.metadata["says"]))
            continue
        default = ... if one.default is MISSING else one.default
        keys[one.name] = (kind_of, Field(default, description=one.metadata["says"]))
    return create_model(f"Claim_{kind.name}", __base__=ClaimBase, __doc__=kind.__doc__, **keys)


FAULT_TABLES = {name: _fault_table(name) for name in INJECTORS}
CLAIM_TABLES = {kind.name: _claim_table(kind) for kind in CLAIMS}


def _listed(tables: Iterable[Any], tag: str) -> Any:
    """The type of a list of such tables, told apart by the key `tag`."""
    return list[Annotated[reduce(or_, tables), Field(discriminator=tag)]]  # type: ignore[misc]  # made at run time


class ScenarioBase(Table):
    """One scenario: a site, what happens to it, and what has to hold."""

    title: str = Field(min_length=1, max_length=100, description="what is shown, in a line")
    why: str = Field("", description="what it is for, in a sentence or two")
    seed: int = Field(1, ge=0, description="the same seed gives the same run")
    duration_s: float = Field(gt=0, le=31_622_400, description="how long it lasts, s")
    sample_s: float = Field(0.25, ge=0.05, le=3600, description="how often the plant is looked at, s")
    begins: datetime | None = Field(None, description="the wall clock at the beginning, with its UTC offset")
    wires: bool = Field(True, description="false: in virtual time without sockets, for long runs")
    site: dict[str, Any] = Field(
        description='a site file\'s tables; `file = "house.toml"` takes that file, the rest is put on top'
    )
    load: Trace = Trace(power_w=0.0)
    sun: Trace = Trace(power_w=0.0)
    prices: Prices | None = None
    plan: Plan | None = None
    step: list[Step] = Field(default_factory=list, max_length=10_000)


ScenarioFile = create_model(
    "ScenarioFile",
    __base__=ScenarioBase,
    __doc__=ScenarioBase.__doc__,
    fault=(_listed(FAULT_TABLES.values(), "fault"), Field(default_factory=list, max_length=1000)),
    claim=(
        _listed(CLAIM_TABLES.values(), "claim"),
        Field(min_length=1, max_length=1000, description="at least one [[claim]]"),
    ),
)
