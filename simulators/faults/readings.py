"""Faults in what a device shows (catalogue B): applied to its readings, before any register."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, fields, replace
from math import inf, isfinite
from random import Random
from typing import ClassVar, Literal, get_args, get_type_hints

from drivers.device import BatteryReading, MeterReading, PvReading
from drivers.fact import kind_of
from simulators.faults.model import LARGEST_W, LONGEST_S, AnyReading, Fault, no_answer, param

READING: dict[str, type[AnyReading]] = {"meter": MeterReading, "battery": BatteryReading, "pv": PvReading}
POWER_FIELD = {
    kind_of(MeterReading): "pcc_import_w",
    kind_of(BatteryReading): "battery_discharge_w",
    kind_of(PvReading): "pv_generation_w",
}


def power_w(reading: AnyReading) -> float:
    """The active power of any reading, in its own direction."""
    value: float = getattr(reading, POWER_FIELD[type(reading)])
    return value


def with_power(reading: AnyReading, value_w: float, phases: bool = True) -> AnyReading:
    """The reading with another power; a meter's phases follow in proportion, unless they shall not."""
    if isinstance(reading, MeterReading) and phases and reading.phase_import_w:
        before_w = reading.pcc_import_w
        count = len(reading.phase_import_w)
        parts = (
            tuple(w * value_w / before_w for w in reading.phase_import_w)
            if before_w and isfinite(value_w / before_w)
            else (value_w / count,) * count
        )
        return replace(reading, pcc_import_w=value_w, phase_import_w=parts)
    return replace(reading, **{POWER_FIELD[type(reading)]: value_w})  # type: ignore[arg-type]  # a float each


@dataclass
class Frozen(Fault):
    """Shows for ever what it showed when the fault began, down to the bit, while it goes on answering."""

    name: ClassVar[str] = "frozen"
    ids: ClassVar[tuple[str, ...]] = ("B02", "B03")
    _held: AnyReading | None = field(init=False, repr=False, compare=False, default=None)

    def reading(self, reading: AnyReading, now_s: float, wired: bool) -> AnyReading:
        if self._held is None:
            self._held = reading
        return replace(self._held, taken_at_s=reading.taken_at_s)


@dataclass
class NotANumber(Fault):
    """The power is no number: a float register then holds it, an integer one cannot."""

    name: ClassVar[str] = "not_a_number"
    ids: ClassVar[tuple[str, ...]] = ("B01",)
    value: Literal["nan", "inf", "-inf", "max"] = param("nan", "nan, inf, -inf, or max for the largest float")

    def reading(self, reading: AnyReading, now_s: float, wired: bool) -> AnyReading:
        value = float("-3.4028235e38") if self.value == "max" else float(self.value)
        if not wired and not isfinite(value):
            raise no_answer(f"the power is {self.value}")
        return with_power(reading, value)


@dataclass
class Reversed(Fault):
    """The power has the wrong sign: a CT the wrong way round, or a new firmware."""

    name: ClassVar[str] = "reversed"
    ids: ClassVar[tuple[str, ...]] = ("B04",)

    def reading(self, reading: AnyReading, now_s: float, wired: bool) -> AnyReading:
        return with_power(reading, -power_w(reading))


@dataclass
class Scaled(Fault):
    """The power is `factor` times the truth: another unit, or a scale factor that changed."""

    name: ClassVar[str] = "scaled"
    ids: ClassVar[tuple[str, ...]] = ("B05",)
    factor: float = param(10.0, "times the truth", most=1e6)
    phases: bool = param(True, "whether a meter's phases show it too")

    def reading(self, reading: AnyReading, now_s: float, wired: bool) -> AnyReading:
        return with_power(reading, power_w(reading) * self.factor, self.phases)


@dataclass
class Spike(Fault):
    """A single sample is off by `add_w`, one every `every_s`."""

    name: ClassVar[str] = "spike"
    ids: ClassVar[tuple[str, ...]] = ("B07",)
    add_w: float = param(8000.0, "W on top of the truth", most=LARGEST_W)
    every_s: float = param(10.0, "s from one to the next", least=0.1, most=LONGEST_S)
    _next_s: float = field(init=False, repr=False, compare=False, default=-inf)

    def reading(self, reading: AnyReading, now_s: float, wired: bool) -> AnyReading:
        if now_s < self._next_s:
            return reading
        self._next_s = now_s + self.every_s
        return with_power(reading, power_w(reading) + self.add_w)


@dataclass
class Shows(Fault):
    """One value of the reading is always the same, possible or not: 0 V, 140 % SoC, PV at 0 W."""

    name: ClassVar[str] = "shows"
    ids: ClassVar[tuple[str, ...]] = ("B08", "B13")
    field: Literal[
        "power_w",
        "phase_import_w",
        "phase_voltage_v",
        "phase_current_a",
        "frequency_hz",
        "import_wh",
        "export_wh",
        "soc_pct",
        "max_charge_w",
        "max_discharge_w",
        "capacity_wh",
        "temperature_c",
        "rated_w",
    ] = param("power_w", "power_w, soc_pct, temperature_c, frequency_hz, phase_voltage_v, ...")
    value: float = param(0.0, "what it shows", most=1e12)

    def reading(self, reading: AnyReading, now_s: float, wired: bool) -> AnyReading:
        if self.field == "power_w":
            return with_power(reading, self.value)
        before = getattr(reading, self.field)
        value = (self.value,) * len(before) if isinstance(before, tuple) else self.value
        return replace(reading, **{self.field: value})  # type: ignore[arg-type]  # checked when it was added

    def why_not(self, role: str) -> str:
        shown = {one.name for one in fields(READING[role])}
        if self.field == "power_w" or self.field in shown:
            return ""
        known = [one for one in get_args(get_type_hints(Shows)["field"]) if one in {"power_w", *shown}]
        return f"the reading of a {role} has no {self.field}; give {', '.join(known)}"


@dataclass
class CounterReset(Fault):
    """The energy counters begin again at 0, as after a change of meter or a rollover."""

    name: ClassVar[str] = "counter_reset"
    ids: ClassVar[tuple[str, ...]] = ("B09",)
    roles: ClassVar[tuple[str, ...]] = ("meter",)
    _base: tuple[float, float] | None = field(init=False, repr=False, compare=False, default=None)

    def reading(self, reading: AnyReading, now_s: float, wired: bool) -> AnyReading:
        assert isinstance(reading, MeterReading), "only for meters"
        import_wh, export_wh = reading.import_wh or 0.0, reading.export_wh or 0.0
        if self._base is None:
            self._base = (import_wh, export_wh)
        return replace(reading, import_wh=import_wh - self._base[0], export_wh=export_wh - self._base[1])


@dataclass
class Slow(Fault):
    """A new value only every `period_s`, and `delay_s` old when it can first be read."""

    name: ClassVar[str] = "slow"
    ids: ClassVar[tuple[str, ...]] = ("B11",)
    period_s: float = param(10.0, "s between two new values", least=0.0, most=LONGEST_S)
    delay_s: float = param(0.0, "how old a value is when it is first shown, s", least=0.0, most=LONGEST_S)
    _shown: AnyReading | None = field(init=False, repr=False, compare=False, default=None)
    _coming: deque[AnyReading] | None = field(init=False, repr=False, compare=False, default=None)
    _next_s: float = field(init=False, repr=False, compare=False, default=-inf)

    def reading(self, reading: AnyReading, now_s: float, wired: bool) -> AnyReading:
        if self._coming is None:
            self._coming = deque()
        if self._shown is None:
            self._shown = reading
        if now_s >= self._next_s:
            self._next_s = now_s + self.period_s
            self._coming.append(reading)
        while self._coming and self._coming[0].taken_at_s + self.delay_s <= now_s:
            self._shown = self._coming.popleft()
        return replace(self._shown, taken_at_s=reading.taken_at_s)


@dataclass
class PhaseMissing(Fault):
    """One phase shows 0 A, 0 V and 0 W; the total lacks it too."""

    name: ClassVar[str] = "phase_missing"
    ids: ClassVar[tuple[str, ...]] = ("B12",)
    roles: ClassVar[tuple[str, ...]] = ("meter",)
    phase: int = param(2, "which", least=1, most=3)

    def reading(self, reading: AnyReading, now_s: float, wired: bool) -> AnyReading:
        assert isinstance(reading, MeterReading), "only for meters"

        def gone(values: tuple[float, ...]) -> tuple[float, ...]:
            return tuple(0.0 if at + 1 == self.phase else one for at, one in enumerate(values))

        lost_w = reading.phase_import_w[self.phase - 1] if len(reading.phase_import_w) >= self.phase else 0.0
        return replace(
            reading,
            pcc_import_w=reading.pcc_import_w - lost_w,
            phase_import_w=gone(reading.phase_import_w),
            phase_voltage_v=gone(reading.phase_voltage_v),
            phase_current_a=gone(reading.phase_current_a),
        )


@dataclass
class SocOff(Fault):
    """The SoC shown is `by_pct` off the truth, between 0 and 100 %."""

    name: ClassVar[str] = "soc_off"
    ids: ClassVar[tuple[str, ...]] = ("B14",)
    roles: ClassVar[tuple[str, ...]] = ("battery",)
    by_pct: float = param(20.0, "% more than the truth", most=100.0)

    def reading(self, reading: AnyReading, now_s: float, wired: bool) -> AnyReading:
        assert isinstance(reading, BatteryReading), "only for batteries"
        if reading.soc_pct is None:
            return reading
        return replace(reading, soc_pct=min(max(reading.soc_pct + self.by_pct, 0.0), 100.0))


@dataclass
class SocStuck(Fault):
    """The SoC shown stays where it was, whatever flows."""

    name: ClassVar[str] = "soc_stuck"
    ids: ClassVar[tuple[str, ...]] = ("B14",)
    roles: ClassVar[tuple[str, ...]] = ("battery",)
    _held_pct: float | None = field(init=False, repr=False, compare=False, default=None)

    def reading(self, reading: AnyReading, now_s: float, wired: bool) -> AnyReading:
        assert isinstance(reading, BatteryReading), "only for batteries"
        if self._held_pct is None:
            self._held_pct = reading.soc_pct
        return replace(reading, soc_pct=self._held_pct)


@dataclass
class Offset(Fault):
    """The power shown is `add_w` off the truth: two sources disagree."""

    name: ClassVar[str] = "offset"
    ids: ClassVar[tuple[str, ...]] = ("B15",)
    add_w: float = param(300.0, "W more than the truth", most=LARGEST_W)

    def reading(self, reading: AnyReading, now_s: float, wired: bool) -> AnyReading:
        return with_power(reading, power_w(reading) + self.add_w)


@dataclass
class CtOff(Fault):
    """The CTs came off: what is left of the power is an offset and noise, the rest goes on as before."""

    name: ClassVar[str] = "ct_off"
    ids: ClassVar[tuple[str, ...]] = ("B03",)
    roles: ClassVar[tuple[str, ...]] = ("meter",)
    offset_w: float = param(35.0, "W that it shows on average", most=LARGEST_W)
    noise_w: float = param(4.0, "W to either side at most", least=0.0, most=LARGEST_W)
    _random: Random = field(init=False, repr=False, compare=False, default_factory=lambda: Random(16))

    def reading(self, reading: AnyReading, now_s: float, wired: bool) -> AnyReading:
        return with_power(reading, self.offset_w + self._random.uniform(-self.noise_w, self.noise_w))


READINGS: tuple[type[Fault], ...] = (
    NotANumber,
    Frozen,
    Reversed,
    Scaled,
    Spike,
    Shows,
    CounterReset,
    Slow,
    PhaseMissing,
    SocOff,
    SocStuck,
    Offset,
    CtOff,
)
