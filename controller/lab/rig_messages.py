"""What a rig says on each tick and what it hears: the door of lock-step, as pydantic models.

Units and signs are the project's: W, Wh, V, A, Hz, %, s; positive power feeds the site. A field that is left
out, or null, means "the device does not say", never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from controller.config import Config
from controller.dispatch.orders import Order, Orders, Prices
from controller.sitefile import PolicyName
from drivers.device import BatteryReading, MeterReading, PvReading, SwitchReading
from drivers.doors import nearest

Number = Annotated[float, Field(allow_inf_nan=False)]
Size = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Phases = Annotated[tuple[Number, ...], Field(max_length=3, strict=False)]


class LockStepError(ValueError):
    """A tick was refused, and nothing has moved; the text says what would be right."""


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class DeviceInput(_Input):
    """What every device may say of its reading."""

    age_s: Size = Field(0.0, description="how long before the tick's end the reading was taken, s")


class MeterInput(DeviceInput):
    """The meter at the PCC; importing is positive, exporting negative. Lists are L1 to L3, or left out."""

    pcc_import_w: Number = Field(description="W, all phases together")
    phase_import_w: Phases = Field((), description="W")
    phase_voltage_v: Phases = Field((), description="V, phase to neutral")
    phase_current_a: Phases = Field((), description="A, sizes without a sign")
    frequency_hz: Number | None = Field(None, description="Hz")
    import_wh: Size | None = Field(None, description="counter, Wh")
    export_wh: Size | None = Field(None, description="counter, Wh")


class BatteryInput(DeviceInput):
    """A battery inverter at its AC terminals; discharging is positive, charging negative."""

    battery_discharge_w: Number = Field(description="W")
    soc_pct: Annotated[float, Field(ge=0, le=100)] | None = Field(None, description="%")
    max_discharge_w: Size | None = Field(None, description="what the BMS allows now, W, not negative")
    max_charge_w: Size | None = Field(None, description="what the BMS allows now, W, not negative")
    capacity_wh: Size | None = Field(None, description="usable capacity, Wh")
    temperature_c: Number | None = Field(None, description="of the cells, C")
    grid_present: bool | None = Field(None, description="false on an island")
    fault: bool | None = Field(None, description="true while the inverter reports a fault")


class PvInput(DeviceInput):
    """A PV inverter; generation is positive."""

    pv_generation_w: Number = Field(description="W")
    rated_w: Size | None = Field(None, description="nameplate, W")


class SwitchInput(DeviceInput):
    """A relay in the supply of a load."""

    closed: bool = Field(description="true while the load has its power")


class OrdersInput(_Input):
    """Orders from outside, in force until the next tick; all sizes in W, limits only tighten."""

    stop: bool = Field(False, description="true: rest, and release every device")
    policy: PolicyName | None = Field(None, description="decides in place of the site file's")
    operator_import_w: Size | None = Field(None, description="grid operator's import limit, W")
    operator_export_w: Size | None = Field(None, description="grid operator's export limit, W")
    import_limit_w: Size | None = Field(None, description="import limit, W")
    export_limit_w: Size | None = Field(None, description="export limit, W")
    max_charge_w: Size | None = Field(None, description="all batteries, W")
    max_discharge_w: Size | None = Field(None, description="all batteries, W")
    reserve_pct: Size | None = Field(None, description="kept for outages, %")
    follow_battery_w: Number | None = Field(None, description="for policy follow: battery discharge, W")
    follow_pcc_w: Number | None = Field(None, description="for policy follow: PCC import, W")

    def orders(self) -> Orders:
        """The same for dispatch: in force for as long as they are said again."""
        given = {
            name: Order(value, inf)
            for name, value in self.model_dump(exclude={"stop", "policy"}).items()
            if value is not None
        }
        return Orders(stop=self.stop, policy=self.policy or "", **given)


class PricesInput(_Input):
    """Prices of this tick, in the site's currency."""

    import_per_kwh: Number = Field(description="what a kWh from the grid costs")
    export_per_kwh: Number = Field(description="what a kWh into the grid earns")


class ClockInput(_Input):
    """The wall clock at the tick's end; without it the controller works as with a clock it cannot trust."""

    utc_s: Number = Field(description="seconds since 1970-01-01 00:00 UTC")
    offset_s: Number = Field(0.0, description="local time minus UTC, s")


AnyReading = MeterReading | BatteryReading | PvReading | SwitchReading
AnyInput = MeterInput | BatteryInput | PvInput | SwitchInput
MODELS: dict[str, type[AnyInput]] = {
    "meter": MeterInput,
    "battery": BatteryInput,
    "pv": PvInput,
    "switch": SwitchInput,
}


@dataclass(frozen=True, slots=True)
class Tick:
    """What a rig said, checked."""

    devices: Mapping[str, AnyInput]
    orders: OrdersInput | None
    prices: PricesInput | None
    clock: ClockInput | None


def checked_tick(
    config: Config,
    devices: Mapping[str, Any],
    orders: Mapping[str, Any] | None,
    prices: Mapping[str, Any] | None,
    clock: Mapping[str, Any] | None,
) -> Tick:
    """LockStepError with one line for each thing that is wrong."""
    roles = {entry.id: entry.role for entry in config.devices}
    wrong: list[str] = []

    def model(cls: type[BaseModel], given: Any, where: str) -> Any:
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            wrong.extend(_sentences(cls, where, error))
            return None

    found: dict[str, AnyInput] = {}
    for device_id, given in devices.items():
        if device_id not in roles:
            wrong.append(f"devices.{device_id} is not in the site file; {nearest(device_id, [*roles])}")
        elif given is not None and (one := model(MODELS[roles[device_id]], given, f"devices.{device_id}")):
            found[device_id] = one
    tick = Tick(
        found,
        None if orders is None else model(OrdersInput, orders, "orders"),
        None if prices is None else model(PricesInput, prices, "prices"),
        None if clock is None else model(ClockInput, clock, "clock"),
    )
    if wrong:
        raise LockStepError("\n".join(wrong))
    return tick


def _sentences(cls: type[BaseModel], where: str, error: ValidationError) -> list[str]:
    lines = []
    for one in error.errors(include_url=False, include_context=False):
        key = str(one["loc"][0]) if one["loc"] else ""
        place = ".".join([*([where] if where else []), *map(str, one["loc"])]) or "the line"
        meaning = cls.model_fields[key].description if key in cls.model_fields else None
        hint = f" ({meaning})" if meaning else ""
        if one["type"] == "missing":
            lines.append(f"{place} is missing{hint}")
        elif one["type"] == "extra_forbidden":
            lines.append(f"{place} is not a known key; {nearest(key, [*cls.model_fields])}")
        else:
            message = one["msg"].removeprefix("Input ")
            lines.append(f"{place} is {one['input']!r}: {message[0].lower()}{message[1:]}{hint}")
    return lines


def reading_of(one: AnyInput, now_s: float) -> AnyReading:
    """The reading that a driver would have made of it."""
    taken_at_s = now_s - one.age_s
    match one:
        case MeterInput():
            return MeterReading(
                taken_at_s,
                one.pcc_import_w,
                one.phase_import_w,
                one.phase_voltage_v,
                one.phase_current_a,
                one.frequency_hz,
                one.import_wh,
                one.export_wh,
            )
        case BatteryInput():
            return BatteryReading(
                taken_at_s,
                one.battery_discharge_w,
                one.soc_pct,
                one.max_discharge_w,
                one.max_charge_w,
                one.capacity_wh,
                one.temperature_c,
                one.grid_present,
                one.fault,
            )
        case PvInput():
            return PvReading(taken_at_s, one.pv_generation_w, one.rated_w)
        case SwitchInput():
            return SwitchReading(taken_at_s, one.closed)


class TickRequest(_Input):
    """One line of a rig on the wire: a tick; `devices` by the ids of the site file."""

    version: int = Field(1, description="of this protocol")
    dt_s: float = Field(description="how long the step is that ends with these inputs, s")
    devices: dict[str, Any] = Field(description="what each device shows; left out or null: does not answer")
    orders: dict[str, Any] | None = Field(None, description="orders from outside, until the next tick")
    prices: dict[str, Any] | None = Field(None, description="prices of this tick")
    clock: dict[str, Any] | None = Field(None, description="the wall clock at the end of the tick")


def checked_request(given: Any) -> TickRequest:
    """A line as it came from the wire; LockStepError says what is wrong with it."""
    try:
        return TickRequest.model_validate(given)
    except ValidationError as error:
        raise LockStepError("\n".join(_sentences(TickRequest, "", error))) from None


def rig_schema() -> dict[str, Any]:
    """JSON Schema of everything that a rig may say."""
    parts = {"tick": TickRequest, **MODELS, "orders": OrdersInput, "prices": PricesInput, "clock": ClockInput}
    return {name: part.model_json_schema() for name, part in parts.items()}


def prices_of(one: PricesInput | None) -> Prices | None:
    """The same for dispatch."""
    return None if one is None else Prices(one.import_per_kwh, one.export_per_kwh)
