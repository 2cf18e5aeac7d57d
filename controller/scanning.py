"""`penstock scan`: what answers at an address, what it can do, and the lines of a site file for it.

Reads only. A SunSpec device says itself what it is; of another one it is said which known profiles fit, or
could.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields

from controller.errors import RunError
from controller.recognising import ALL_PROFILES_S, Fit, fits
from drivers.device import BatteryReading, DeviceError, MeterReading, PvReading
from drivers.link import Link, LinkTiming, ModbusExceptionReply, open_link
from drivers.modbus import modbus_battery, modbus_meter, modbus_pv
from drivers.profile import DeviceProfile
from drivers.sunspec import (
    Map,
    Model,
    SunSpecError,
    Walker,
    battery_profile,
    definition,
    meter_profile,
    pv_profile,
    storage_inputs,
)
from drivers.sunspec.profiles import inputs_ordered
from drivers.sunspec.walk import BASES

WALK_S, READ_S, SIGN_OF_LIFE_S = 150.0, 30.0, 4.0
"""Each ends with the first request that fails: so long they take only with a device that answers slowly."""
TIMING = LinkTiming(timeout_s=1.0, min_gap_s=0.1, connect_delay_s=2.0)
"""Nobody knows yet which device it is, so it is asked as the most sensitive one of the profiles wants it."""
SLOW_REPLY_S = 5.0
"""So long the first reply may take where a TCP connection was accepted, and each one of who is slow then."""
PROMPT_S = 0.3
SLOW_PROFILES_S = 240.0
NOBODY = frozenset({10, 11})
"""Exceptions of a gateway that cannot reach the unit."""
SHOWN_FITS = 5
COULD_BE = (
    "  it has the registers of these, but shows too little to be sure. If it is one of them and its display",
    "  says the same, put its name into the lines below, and try it with penstock commission",
)
UNKNOWN = (
    "  no known profile fits what it shows now. A device that shows only zeros, needs more than 2 s after",
    "  connecting, has its values at another unit or switches relays is not recognised, though there may be",
    "  a profile (docs/devices.md); docs/add-a-device.md shows how to write one",
)
UNITS = {
    "battery_discharge_w": "W",
    "pcc_import_w": "W",
    "pv_generation_w": "W",
    "max_charge_w": "W",
    "max_discharge_w": "W",
    "rated_w": "W",
    "phase_import_w": "W",
    "phase_voltage_v": "V",
    "phase_current_a": "A",
    "frequency_hz": "Hz",
    "import_wh": "Wh",
    "export_wh": "Wh",
    "capacity_wh": "Wh",
    "soc_pct": "%",
    "temperature_c": "C",
}
"""What is shown of a reading, and its unit."""
IDS = {"meter": "grid", "battery": "bat1", "pv": "pv1"}
Reading = MeterReading | BatteryReading | PvReading


@dataclass(frozen=True, slots=True)
class _Role:
    """What a device was found to be good for."""

    profile: DeviceProfile
    reading: Reading | None
    why_not: str


async def scan(connection: str, unit: int) -> list[str]:
    """Lines for the owner; RunError if nothing answers at that address."""
    log = logging.getLogger("drivers")
    before = log.level
    log.setLevel(logging.ERROR)  # what fails here is part of the answer
    link = open_link(connection, TIMING)
    try:
        return await _looked_at(link, connection, unit)
    finally:
        await link.close()
        log.setLevel(before)


async def _looked_at(link: Link, connection: str, unit: int) -> list[str]:
    try:
        with link.patient(0.0 if link.serial else SLOW_REPLY_S):
            slow = await _is_slow(link, unit)
    except DeviceError as error:
        if not await answers(link, unit):
            why = str(error).partition("; next try in ")[0]  # there is none
            hint = "; another unit may: try --unit" if link.connects else ""
            if "the connection was lost" in why:
                hint += "; or another program has the only connection: end that first"
            raise RunError(f"{connection} unit {unit} does not answer: {why}{hint}") from None
        slow = False
    with link.patient(SLOW_REPLY_S if slow else 0.0):
        until_s = asyncio.get_running_loop().time() + WALK_S
        try:
            found = await Walker(link, unit).walk(until_s)
        except DeviceError as error:
            return await _recognised(link, connection, unit, str(error), slow)
        return await _described(found, link, connection, unit)


async def _is_slow(link: Link, unit: int) -> bool:
    """Whether it takes long for its second answer, as connecting does not count; DeviceError without one."""
    loop = asyncio.get_running_loop()
    for _ in range(2):
        asked_at_s = loop.time()
        try:
            await link.read(unit, "holding", BASES[0], 1, asked_at_s + SIGN_OF_LIFE_S + SLOW_REPLY_S)
        except ModbusExceptionReply as refused:
            if refused.code in NOBODY:
                raise
    return loop.time() - asked_at_s > PROMPT_S


async def _described(found: Map, link: Link, connection: str, unit: int) -> list[str]:
    roles, refused = await _roles(found, link, unit)
    return [
        f"{connection} unit {unit}: {_who(found)}",
        *_models(found),
        *(line for role in roles for line in _can(role)),
        *_further(found),
        *(
            []
            if roles
            else ["  nothing of use here: neither a meter, nor a battery or PV that takes orders", *refused]
        ),
        *(line for role in roles if role.reading is not None for line in _snippet(role, connection, unit)),
    ]


async def answers(link: Link, unit: int) -> bool:
    """Whether this unit says anything at all, be it a refusal."""
    for space in ("holding", "input"):
        deadline_s = asyncio.get_running_loop().time() + SIGN_OF_LIFE_S
        try:
            await link.read(unit, "holding" if space == "holding" else "input", 0, 1, deadline_s)
        except ModbusExceptionReply as refused:
            if refused.code not in NOBODY:
                return True
        except DeviceError:
            continue
        else:
            return True
    return False


# --- SunSpec ------------------------------------------------------------------------------------------


async def _roles(found: Map, link: Link, unit: int) -> tuple[list[_Role], list[str]]:
    """Every role this device can play, each tried with one reading; and what the others lack."""
    makers: list[tuple[str, Callable[[Map], DeviceProfile]]] = [("meter", meter_profile)]
    makers += [("battery", battery_profile)] if _has_storage(found) else []
    makers += [("pv", pv_profile)]
    roles, refused = [], []
    for role, make in makers:
        try:
            profile = make(found)
        except SunSpecError as error:
            refused.append(f"  as {role:8} no: {str(error).rpartition('; ')[2]}")
            continue
        reading: Reading | None = None
        why_not = ""
        try:
            reading = await _read(profile, found, link, unit)
        except DeviceError as error:
            why_not = str(error).removeprefix(f"{IDS[role]}: ")
        roles.append(_Role(profile, reading, why_not))
    return roles, refused


async def _read(profile: DeviceProfile, found: Map, link: Link, unit: int) -> Reading:
    id_ = IDS[profile.role]
    deadline_s = asyncio.get_running_loop().time() + READ_S
    if profile.role == "meter":
        return await modbus_meter(id_, profile, link, unit).read(deadline_s)
    if profile.role == "pv":
        return await modbus_pv(id_, profile, link, unit).read(deadline_s)
    inputs = inputs_ordered(found)
    battery_w = None if inputs is None else inputs.battery_discharge_w
    return await modbus_battery(id_, profile, link, unit, battery_w=battery_w).read(deadline_s)


def _has_storage(found: Map) -> bool:
    """A PV inverter may have the registers for charging too, and nothing behind them."""
    storage = {(713, "SoC"), (124, "ChaState"), (124, "WChaMax"), (802, "SoC")}
    storage |= {(120, "WHRtg"), (120, "MaxChaRte"), (702, "WChaRteMaxRtg")}
    return any(model.value(name) for model in found.models for id_, name in storage if id_ == model.id)


def _who(found: Map) -> str:
    common = found.models[0]
    maker, model, serial, version = (common.value(name) or "?" for name in ("Mn", "Md", "SN", "Vr"))
    return f"{maker} {model}, serial {serial}, version {version}"


def _models(found: Map) -> Iterator[str]:
    for n, model in enumerate(found.models):
        known = definition(model.id)
        label = known.label if known is not None else "not published by SunSpec"
        head = f"SunSpec at {found.base}:" if n == 0 else ""
        yield f"  {head:18} {model.id:5} {label}"


def _can(role: _Role) -> Iterator[str]:
    profile, lease = role.profile, role.profile.lease
    if role.reading is None:
        yield f"  as {profile.role:8} not readable now: {role.why_not}"
        return
    yield f"  as {profile.role:8} {', '.join(_shown(role.reading))}"
    if profile.control is None or lease is None:
        return
    model = profile.control.setpoint.partition(".")[0]
    what = "curtailed" if profile.role == "pv" else "ordered"
    unit = "W" if profile.control.percent_of is None else f"percent of {profile.control.percent_of}"
    after = "for ever" if lease.seconds is None else f"{lease.seconds:g} s, and after that"
    yield f"              can be {what} in {unit} (model {model})"
    yield f"              an order lasts {after}: {lease.fallback}"
    if isinstance(role.reading, BatteryReading) and role.reading.soc_pct is None:
        yield "              does not say its state of charge"


def _shown(reading: Reading) -> Iterator[str]:
    for field in fields(reading):
        value = getattr(reading, field.name)
        unit = UNITS.get(field.name)
        if unit is None or value is None or value == ():
            continue
        numbers = value if isinstance(value, tuple) else (value,)
        yield f"{field.name} {'/'.join(f'{number:g}' for number in numbers)} {unit}"


def _further(found: Map) -> Iterator[str]:
    for model in found.models:
        if model.id == 160:
            inputs = ", ".join(_inputs(model))
            yield f"  DC inputs   {inputs or 'none listed'}"
            if storage_inputs(found) is None and _has_storage(found):
                yield "              none is named as the battery's: PV on the same DC side counts as battery"
        if model.id == 715 and model.value("LocRemCtl") == 1.0:
            yield "  control     switched to local at the device: orders have no effect until that is changed"


def _inputs(model: Model) -> Iterator[str]:
    for group in model.groups():
        power = group["DCW"][2]
        shown = f"{power:g} W" if isinstance(power, float) else "no power given"
        yield f"{group['IDStr'][2] or 'unnamed'} {shown}"


# --- others -------------------------------------------------------------------------------------------


async def _recognised(link: Link, connection: str, unit: int, why: str, slow: bool) -> list[str]:
    fitting, possible = await fits(link, unit, SLOW_PROFILES_S if slow else ALL_PROFILES_S)
    lines = [f"{connection} unit {unit}: answers, but not in SunSpec ({why})"]
    if fitting:
        lines += [_fit_line(fit) for fit in fitting[:SHOWN_FITS]]
        lines.append("  these fit by their values; compare them with the display of the device")
    elif possible:
        lines += [f"  could be{_fit_line(fit)[1:]}" for fit in possible[:SHOWN_FITS]]
        lines += COULD_BE
    else:
        return [*lines, *UNKNOWN]
    fit = (fitting or possible)[0]
    values = {name: value for name, value in fit.values.items() if isinstance(value, float)}
    return [*lines, *_table(fit.profile.role, fit.profile.id, connection, unit, values)]


def _fit_line(fit: Fit) -> str:
    shown = [
        f"{name} {value:g} {UNITS.get(name.partition('.')[0], '')}".rstrip()
        if isinstance(value, float)
        else f"{name} {value}"
        for name, value in fit.values.items()
        if value is not None and (isinstance(value, str) or name.partition(".")[0] in UNITS)
    ]
    return f"  {fit.profile.id}: {fit.profile.name}: {', '.join(shown)}"


# --- what to paste ------------------------------------------------------------------------------------


def _snippet(role: _Role, connection: str, unit: int) -> list[str]:
    values = (
        {} if role.reading is None else {f.name: getattr(role.reading, f.name) for f in fields(role.reading)}
    )
    known = {name: value for name, value in values.items() if isinstance(value, float)}
    return _table(role.profile.role, "sunspec", connection, unit, known)


def _table(role: str, profile: str, connection: str, unit: int, known: dict[str, float]) -> list[str]:
    """A table of a site file; what only the owner knows stands in a comment."""
    lines = ["", "# for the site file:", f"[[{role}]]", f'id = "{IDS[role]}"']
    lines += ['role = "pcc"'] if role == "meter" else []
    lines += [f'profile = "{profile}"', f'connection = "{connection}"', f"unit = {unit}"]
    if role != "battery":
        return lines
    if "capacity_wh" in known:
        lines.append(f"capacity_wh = {known['capacity_wh']:.0f}")
    else:
        lines.append("capacity_wh = 10_000  # the device does not say it: give the usable capacity")
    for name in ("max_charge_w", "max_discharge_w"):
        if name not in known:
            lines.append(f"{name} = 3_000  # the device does not say it: give what its data sheet says")
    return lines
