"""Pure: the models found on a device -> the profile of a meter, a battery or a PV inverter.

Which model gives what, strongest first, is in the tables below; of two that could, the one whose point the
device implements wins. Signs are SunSpec's: an inverter's W is positive when it gives to the AC side, a
meter's W when the site imports.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from drivers.control import Control, Step
from drivers.profile.blocks import plan_blocks
from drivers.profile.model import GIVES, DeviceProfile, Lease, Point, Rate, Response, Role, Transport
from drivers.sunspec.storage import StorageInputs, storage_inputs
from drivers.sunspec.walk import COMMON, Map, Model, SunSpecError

PROFILE_ID: Final = "sunspec"
TRANSPORT: Final = Transport(
    max_read_registers=125,
    max_gap_registers=32,
    min_gap_ms=0,
    connect_delay_ms=0,
    timeout_ms=1000,
    max_clients=None,
    retry_exceptions=(5, 6),
)
"""What is asked of every SunSpec device; models are contiguous, so gaps between their points can be read."""

LEASE_S: Final = 30.0
REFRESH: Final = 0.3

Source = tuple[int, str]
INVERTERS: Final = (701, 103, 102, 101, 113, 112, 111)
METERS: Final = {
    **dict.fromkeys((201, 211), "A"),
    **dict.fromkeys((202, 212), "AB"),
    **dict.fromkeys((203, 204, 213, 214), "ABC"),
}
"""Meter models and their phases."""
FAULT: Final[dict[int, tuple[str, int]]] = {701: ("InvSt", 6)}
FAULT_1XX: Final = ("St", 7)
SOC: Final[tuple[Source, ...]] = ((713, "SoC"), (124, "ChaState"), (802, "SoC"))
CAPACITY: Final[tuple[Source, ...]] = ((713, "WHRtg"), (802, "WHRtg"), (120, "WHRtg"))
MAX_CHARGE: Final[tuple[Source, ...]] = (
    (702, "WChaRteMaxRtg"),
    (120, "MaxChaRte"),
    (124, "WChaMax"),
    (802, "WChaRteMax"),
)
MAX_DISCHARGE: Final[tuple[Source, ...]] = (
    (702, "WDisChaRteMaxRtg"),
    (120, "MaxDisChaRte"),
    (124, "WChaMax"),
    (802, "WDisChaRteMax"),
)
WMAX: Final[tuple[Source, ...]] = ((702, "WMax"), (702, "WMaxRtg"), (121, "WMax"), (120, "WRtg"))
"""The W that 100 % of WMaxLimPct means: the setting, or the rating where nobody has set it."""


@dataclass(frozen=True, slots=True)
class _Cap:
    """How one model limits the generation: the names of its points."""

    model_id: int
    enable: str
    timer: str
    remaining: str = ""
    window: str = ""
    """A delay by chance before the limit holds: to be 0."""
    prepare: tuple[Step, ...] = ()
    enable_each_time: bool = False


CAPS: Final = (
    _Cap(
        704,
        "WMaxLimPctEna",
        timer="WMaxLimPctRvrtTms",
        remaining="WMaxLimPctRvrtRem",
        prepare=(("WMaxLimPctRvrt", 100.0), ("WMaxLimPctEnaRvrt", 0.0)),
    ),
    # A changed limit is taken over when it is enabled again (Fronius, Operating Instructions Datamanager).
    _Cap(
        123,
        "WMaxLim_Ena",
        timer="WMaxLimPct_RvrtTms",
        window="WMaxLimPct_WinTms",
        enable_each_time=True,
    ),
)
# SolarEdge's meters count exported power as positive, their energies are right (evcc, template
# solaredge-hybrid; WillCodeForCats/solaredge-modbus-multi).
EXPORT_IS_POSITIVE: Final = "SolarEdge"


class _Points:
    """The points of a profile in the making."""

    def __init__(self, role: Role, found: Map) -> None:
        self.role = role
        self.found = found
        self.all: dict[str, Point] = {}

    def add(
        self,
        model: Model,
        name: str,
        *,
        gives: str | None = None,
        every: Rate | None = None,
        unit: str = "",
        true_when: tuple[int, ...] = (),
        range_: tuple[float, float] | None = None,
        sign: float = 1.0,
    ) -> str | None:
        """The name of the new point, or None if this device's model is too short to have it."""
        defined = model.point(name)
        if defined is None:
            return None
        power_of = None
        if defined.scale_name is not None:
            power_of = self.add(model, defined.scale_name)
            if power_of is None:
                return None
        key = f"{model.id}.{name}"
        if key in self.all:
            if gives is None:
                return key
            key = f"{key} as {gives}"
        self.all[key] = Point(
            name=key,
            kind="holding",
            address=model.address + defined.offset,
            encoding=replace(defined.encoding, scale=defined.encoding.scale * sign),
            unit=unit if gives is None else GIVES[self.role].get(gives, ""),
            gives=gives,
            every=every,
            power_of=power_of,
            true_when=true_when,
            range=range_,
            writable=defined.writable,
            emulated=None,
        )
        return key

    def best(self, sources: Iterable[Source]) -> tuple[Model, str] | None:
        """The first of these points that the device implements, else the first that it has room for."""
        there = [
            (model, name)
            for model_id, name in sources
            for model in _first(self.found, model_id)
            if model.point(name) is not None
        ]
        # A nameplate of 0 is how a device without a battery fills the register.
        said = [(model, name) for model, name in there if model.value(name) not in (None, 0.0)]
        return next(iter([*said, *there]), None)

    def add_best(self, sources: Iterable[Source], gives: str, every: Rate) -> None:
        best = self.best(sources)
        if best is not None:
            self.add(*best, gives=gives, every=every)

    def add_identity(self, main: Model) -> None:
        """From the common model that the main one follows: in a map of several devices each has its own."""
        before = self.found.models[: self.found.models.index(main)]
        common = next(one for one in reversed(before) if one.id == COMMON)
        for name, gives in (("Mn", "manufacturer"), ("Md", "model"), ("SN", "serial")):
            self.add(common, name, gives=gives, every="once")

    def profile(self, control: Control | None, lease: Lease | None, main: Model) -> DeviceProfile:
        common = self.found.models[0]
        ids = ", ".join(str(one.id) for one in self.found.models)
        return DeviceProfile(
            id=PROFILE_ID,
            name=f"{common.value('Mn') or 'SunSpec'} {common.value('Md') or f'model {main.id}'}",
            role=self.role,
            source=(f"SunSpec models {ids}, as the device lists them",),
            confidence="medium",
            transport=TRANSPORT,
            points=self.all,
            blocks=plan_blocks(self.all, TRANSPORT),
            control=control,
            lease=lease,
            response=Response(),
            image=(),
            examples=(),
            gives={point.gives: point for point in self.all.values() if point.gives is not None},
        )


def meter_profile(found: Map) -> DeviceProfile:
    """A meter from models 201 to 204 or 211 to 214; SunSpecError if the device has none."""
    meter = next((one for one in found.models if one.id in METERS and one.point("W")), None)
    if meter is None:
        raise SunSpecError(f"it is no meter: {_listed(found)}; a meter has one of 201 to 204 or 211 to 214")
    maker = found.models[0].value("Mn")
    sign = -1.0 if isinstance(maker, str) and maker.startswith(EXPORT_IS_POSITIVE) else 1.0
    points = _Points("meter", found)
    points.add_identity(meter)
    points.add(meter, "W", gives="pcc_import_w", every="fast", sign=sign)
    points.add(meter, "Hz", gives="frequency_hz", every="fast", range_=(0.0, 100.0))
    for number, phase in enumerate(METERS[meter.id], start=1):
        points.add(meter, f"Wph{phase}", gives=f"phase_import_w.{number}", every="fast", sign=sign)
        points.add(meter, f"PhVph{phase}", gives=f"phase_voltage_v.{number}", every="fast")
        points.add(meter, f"Aph{phase}", gives=f"phase_current_a.{number}", every="fast")
    points.add(meter, "TotWhImp", gives="import_wh", every="slow")
    points.add(meter, "TotWhExp", gives="export_wh", every="slow")
    return points.profile(None, None, meter)


def battery_profile(found: Map) -> DeviceProfile:
    """A battery inverter, ordered through model 704 or else 124; SunSpecError if it is none."""
    points = _Points("battery", found)
    inverter = _add_inverter(points, "battery_discharge_w")
    state, fault = FAULT.get(inverter.id, FAULT_1XX)
    points.add(inverter, state, gives="fault", every="fast", true_when=(fault,))
    points.add_best(CAPACITY, "capacity_wh", "once")
    points.add_best(MAX_CHARGE, "max_charge_w", "once")
    points.add_best(MAX_DISCHARGE, "max_discharge_w", "once")
    soc = points.best(SOC)
    if soc is not None:
        points.add(*soc, gives="soc_pct", every="slow", range_=(0.0, 100.0))
    ordered = _watts(points) or _storage_percent(points)
    if ordered is None:
        raise SunSpecError(
            f"it takes no orders as a battery: {_listed(found)}; "
            "that needs model 704 with WSet, or 124 with StorCtl_Mod and WChaMax, implemented"
        )
    inputs = inputs_ordered(found)
    if inputs is not None:
        points.all |= inputs.points
    return points.profile(*ordered, inverter)


def inputs_ordered(found: Map) -> StorageInputs | None:
    """The storage inputs that orders are for; None where they are for the inverter's AC side, or not told."""
    return None if _watts(_Points("battery", found)) is not None else storage_inputs(found)


def pv_profile(found: Map) -> DeviceProfile:
    """A PV inverter, curtailed through model 704 or else 123; SunSpecError if it is none."""
    points = _Points("pv", found)
    inverter = _add_inverter(points, "pv_generation_w")
    capped = _cap(points)
    if capped is None:
        raise SunSpecError(
            f"it cannot be curtailed: {_listed(found)}; "
            "that needs model 704 or 123 with WMaxLimPct, and 702, 121 or 120 with its WMax, implemented"
        )
    return points.profile(*capped, inverter)


def _add_inverter(points: _Points, gives: str) -> Model:
    best = points.best((one, "W") for one in INVERTERS)
    if best is None:
        raise SunSpecError(
            f"it is no inverter: {_listed(points.found)}; one has 701, or one of 101 to 103 or 111 to 113"
        )
    inverter, name = best
    points.add_identity(inverter)
    points.add(inverter, name, gives=gives, every="fast")
    # Read along as a check: a map that has shifted by a register shows in it.
    points.add(inverter, "Hz", every="fast", unit="Hz", range_=(0.0, 100.0))
    return inverter


def _watts(points: _Points) -> tuple[Control, Lease] | None:
    """Model 704: WSet in watts, positive gives to the AC side."""
    model = _implementing(points.found, 704, "WSetEna", "WSetMod", "WSet_SF")
    if model is None:
        return None
    setpoint = points.add(model, "WSet", every="third", unit="W")
    enable = points.add(model, "WSetEna", every="third", range_=(0.0, 1.0))
    mode = points.add(model, "WSetMod", every="third", range_=(0.0, 1.0))
    if setpoint is None or enable is None or mode is None:
        return None
    # What it falls back to: disabled, and 0 W should that be ignored.
    prepare = _implemented(points, model, ("WSetRvrt", 0.0), ("WSetEnaRvrt", 0.0))
    timer, lease = _lease(points, model, "WSetRvrtTms", "WSetRvrtRem", "the inverter's own program")
    select = ((mode, 1.0),)
    return Control("enabled_watts", setpoint, enable, prepare, select, lease=timer), lease


def _storage_percent(points: _Points) -> tuple[Control, Lease] | None:
    """Model 124: two limits in percent of WChaMax, of which a negative one forces the other direction."""
    model = _implementing(points.found, 124, "StorCtl_Mod", "WChaMax", "InOutWRte_SF")
    if model is None:
        return None
    setpoint = points.add(model, "OutWRte", every="third", unit="%", range_=(-100.0, 100.0))
    opposite = points.add(model, "InWRte", every="third", unit="%", range_=(-100.0, 100.0))
    enable = points.add(model, "StorCtl_Mod", every="third", range_=(0.0, 3.0))
    full = points.add(model, "WChaMax", every="once", unit="W")
    if setpoint is None or opposite is None or enable is None or full is None:
        return None
    timer, lease = _lease(points, model, "InOutWRte_RvrtTms", "", "the inverter's own program")
    window = _implemented(points, model, ("InOutWRte_WinTms", 0.0)) if model.value("InOutWRte_WinTms") else ()
    from_grid = _implemented(points, model, ("ChaGriSet", 1.0))
    as_found = tuple((name, 0.0) for name, _ in from_grid if model.value("ChaGriSet") == 0.0)
    control = Control(
        "pinned_percent",
        setpoint,
        enable,
        prepare=(*window, *from_grid),
        percent_of=full,
        enable_each_time=True,
        lease=timer,
        on=3.0,
        opposite=opposite,
        restore=((setpoint, 100.0), (opposite, 100.0), *as_found),
    )
    return control, lease


def _cap(points: _Points) -> tuple[Control, Lease] | None:
    """WMaxLimPct of model 704 or 123, in percent of WMax."""
    full = points.best(WMAX)
    if full is None or full[0].value(full[1]) in (None, 0.0):
        return None
    for cap in CAPS:
        model = _implementing(points.found, cap.model_id, cap.enable, "WMaxLimPct_SF")
        if model is None:
            continue
        setpoint = points.add(model, "WMaxLimPct", every="third", unit="%", range_=(0.0, 100.0))
        enable = points.add(model, cap.enable, every="third", range_=(0.0, 1.0))
        if setpoint is None or enable is None:
            continue
        late = model.value(cap.window) not in (None, 0.0)
        prepare = _implemented(points, model, *cap.prepare, *([(cap.window, 0.0)] if late else []))
        timer, lease = _lease(points, model, cap.timer, cap.remaining, "uncurtailed generation")
        return Control(
            "enabled_percent",
            setpoint,
            enable,
            prepare,
            percent_of=points.add(*full, gives="rated_w", every="once"),
            enable_each_time=cap.enable_each_time,
            lease=timer,
        ), lease
    return None


def _lease(
    points: _Points, model: Model, timer: str, remaining: str, fallback: str
) -> tuple[Step | None, Lease]:
    """The reversion timer, if the device implements it; else an order of ours stays for ever, and says so."""
    key = points.add(model, timer, unit="s") if model.value(timer) is not None else None
    if key is None:
        return None, Lease(
            None, REFRESH, f"model {model.id} has no reversion timer: the last order stays", None
        )
    counted = model.value(remaining) is not None
    left = points.add(model, remaining, every="slow", unit="s") if counted else None
    return (key, LEASE_S), Lease(LEASE_S, REFRESH, fallback, left)


def _implemented(points: _Points, model: Model, *steps: Step) -> tuple[Step, ...]:
    """Those of these steps whose points the device implements, as points of the profile."""
    found = []
    for name, value in steps:
        key = points.add(model, name) if model.value(name) is not None else None
        if key is not None:
            found.append((key, value))
    return tuple(found)


def _implementing(found: Map, model_id: int, *names: str) -> Model | None:
    """The first model of this ID if all these points hold a value."""
    for model in _first(found, model_id):
        if all(model.value(name) is not None for name in names):
            return model
    return None


def _first(found: Map, model_id: int) -> list[Model]:
    return [one for one in found.models if one.id == model_id][:1]


def _listed(found: Map) -> str:
    return "its models are " + ", ".join(str(one.id) for one in found.models)
