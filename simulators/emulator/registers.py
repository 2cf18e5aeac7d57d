"""The registers of an emulated device: what they show of its plant, and what was written into them."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass

from drivers.control import Control, Sum
from drivers.device import BatteryReading, MeterReading, PvReading
from drivers.profile.codec import memory_of, power_for, signed
from drivers.profile.model import DeviceProfile, Point
from drivers.profile.sums import shared_out
from drivers.registers import Value, decode, encode, saturated
from drivers.simulated import BatteryPort, MeterPort, PvPort
from drivers.wire import DEVICE_FAILURE, ModbusFault, Space

Port = MeterPort | BatteryPort | PvPort
Reading = MeterReading | BatteryReading | PvReading

HEADROOM = 1.25
"""Scale factors leave room for this multiple of the nameplate."""


SMALLEST_V = 100.0
"""So many V at least come with a rating in W: for how many A there must be room."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rating:
    """The nameplate of an emulated device, W, all >= 0. A port knows only what holds now."""

    max_charge_w: float | None = None
    max_discharge_w: float | None = None
    connection_w: float | None = None
    """What may flow through a meter, either way."""


Asked = tuple[list[Point], list[tuple[tuple[str, int | None], Sum]], tuple[Point, Point] | None]
"""Points, sums, and the point that shows the opposite of the battery's power, with that of the battery."""
MOST_REMEMBERED = 1000
"""Requests whose points are known by heart; clients ask the same few again and again."""


class Registers:
    """One memory for all that a device has, at whatever unit; scale factors are chosen on the first look."""

    def __init__(self, profile: DeviceProfile, port: Port, serial: str, rating: Rating) -> None:
        self.profile = profile
        self.words = memory_of(profile.image)
        self._port = port
        self._rated = {name: w for name, w in asdict(rating).items() if w is not None}
        self._cells = {
            point.name: tuple((point.kind, at) for at in range(point.address, point.end))
            for point in profile.points.values()
        }
        self._shown = [
            p for p in profile.points.values() if p.gives is not None and p.encoding.type != "string"
        ]
        self._places = {point.name: _place(point.gives or "") for point in self._shown}
        self._sums = [(_place(field), terms) for field, terms in profile.sums.items()]
        self._counterpart = _counterpart(profile)
        self._asked: dict[tuple[Space, int, int], Asked] = {}
        self._encoded: dict[str, tuple[float, float | None, tuple[int, ...]]] = {}
        self._scaled = False
        self._beyond: set[str] = set()
        for point in sorted(profile.points.values(), key=lambda one: one.power_of is not None):
            value = serial if point.gives == "serial" else point.emulated
            self.store(point, _at_first(point) if value is None else value)

    def scale(self, now_s: float) -> None:
        """Before the first request the plant may not be there yet; with it, choose the scale factors."""
        if not self._scaled:
            self._choose_scales(now_s)
            self._scaled = True

    def show(self, now_s: float, space: Space, address: int, end: int) -> None:
        """Bring the registers up to date that somebody asks for."""
        asked = self._asked.get((space, address, end))
        if asked is None:
            if len(self._asked) >= MOST_REMEMBERED:
                self._asked.clear()
            asked = self._asked[space, address, end] = self._asked_by(space, address, end)
        points, sums, counterpart = asked
        if not (points or sums or counterpart):
            return
        reading = self._port.reading(now_s)
        for point in points:
            self.store(point, self._value(point, reading))
        for place, terms in sums:
            self._store_sum(place, terms, reading)
        if counterpart is not None:
            grid, battery = counterpart
            power = self._value(battery, reading)
            if isinstance(power, float):
                self.store(grid, _constant(grid) - power)

    def _asked_by(self, space: Space, address: int, end: int) -> Asked:
        """What of the reading stands among these registers."""

        def asked(point: Point) -> bool:
            return point.address < end and point.end > address and point.kind == space

        points = self.profile.points
        found = self._counterpart if self._counterpart is not None and asked(self._counterpart[0]) else None
        return (
            [p for p in self._shown if asked(p) or (p.sign is not None and asked(points[p.sign.point]))],
            [(place, terms) for place, terms in self._sums if any(asked(points[name]) for _, name in terms)],
            found,
        )

    def _store_sum(self, place: tuple[str, int | None], terms: Sum, reading: Reading) -> None:
        """What the device's loop goes by (`base`) does not move with its battery; other terms do.

        Terms with fields of their own (a meter's phases) show those, where the reading has them.
        """
        fields = [self._places.get(name) for _, name in terms]
        if all(one is not None and self._field(one, reading) is not None for one in fields):
            return
        value = self._field(place, reading)
        control = self.profile.control
        still = {name for _, name in control.base} if control is not None else set()
        moving = tuple((factor, name) for factor, name in terms if name not in still)
        if value is not None:
            for factor, name in terms:
                if name in still:
                    value -= factor * _constant(self.profile.points[name])
        if not still:
            shares = shared_out(terms, value)
        else:
            factor, name = moving[0]
            shares = {name: None if value is None else factor * value}
        for name, share in shares.items():
            self.store(self.profile.points[name], share)

    def _choose_scales(self, now_s: float) -> None:
        """Raise the scale factors until the nameplate fits: 100 kW do not go into 16 bits in steps of 1 W."""
        reading = self._port.reading(now_s)
        largest_w = max((abs(value) for value in self._nameplate(reading)), default=0.0)
        for point in self._shown:
            factor = self.profile.points.get(point.power_of or "")
            value = self._value(point, reading)
            if factor is not None and isinstance(value, float):
                rated = {"W": largest_w, "A": largest_w / SMALLEST_V}.get(point.unit, 0.0)
                most = HEADROOM * max(abs(value), rated)
                while not _fits(point, most, self.power(point)):
                    self.store(factor, (self.power(point) or 0.0) + 1.0)
            self.store(point, value)

    def _nameplate(self, reading: Reading) -> list[float]:
        names = ("max_charge_w", "max_discharge_w", "connection_w", "rated_w")
        known = [self._rated.get(name) or getattr(reading, name, None) for name in names]
        return [value for value in known if value is not None]

    def _field(self, place: tuple[str, int | None], reading: Reading) -> float | None:
        """What a reading, or the nameplate, has in this place."""
        name, index = place
        value = self._rated[name] if name in self._rated else getattr(reading, name)
        if index is not None:
            value = value[index] if index < len(value) else None
        return None if value is None else float(value)

    def _value(self, point: Point, reading: Reading) -> Value:
        """What a point shows of a reading; what an emulator shows at first where the reading has nothing."""
        value = self._field(self._places[point.name], reading)
        if not point.true_when:
            return point.emulated if value is None else value
        if value is None:
            return None
        return float(point.true_when[0]) if value else point.emulated

    def power(self, point: Point) -> float | None:
        """The power of ten of a point as it stands now."""
        if not point.power_of:
            return 0.0
        factor = self.profile.points.get(point.power_of)
        return 0.0 if factor is None else power_for(point, {factor.name: self.decoded(factor)})

    def decoded(self, point: Point) -> Value:
        """The value of a point as it stands now."""
        words = [self.words[cell] for cell in self._cells[point.name]]
        value = decode(point.encoding, words, self.power(point))
        if point.sign is None:
            return value
        return signed(point, value, {point.sign.point: self.decoded(self.profile.points[point.sign.point])})

    def control_values(self, control: Control) -> dict[str, Value]:
        """The values of all points that orders are made of."""
        return {name: self.decoded(self.profile.points[name]) for name in control.points()}

    def store(self, point: Point, value: Value) -> None:
        """Let a point show this, or what is nearest to it in its registers; exception 4 if it cannot."""
        if point.sign is not None and isinstance(value, float):
            bits = self.profile.points[point.sign.point]
            before = self.decoded(bits) if (bits.kind, bits.address) in self.words else None
            self.store(bits, point.sign.bits(value, before))
            value = abs(value)
        encoding, memory = point.encoding, self.words
        if value == 0.0 and 0 in encoding.absent:
            value = None  # such a device has no word for a counter that has not counted yet
        words, cells = self._words_for(point, value), self._cells[point.name]
        if encoding.bits is None:
            memory.update(zip(cells, words, strict=True))
        else:
            memory[cells[0]] = memory.get(cells[0], 0) & ~encoding.bits | words[0]

    def _words_for(self, point: Point, value: Value) -> tuple[int, ...]:
        """The words of a value; those of the last one where it is still the same, as most are."""
        power = self.power(point) if value is not None and point.power_of else 0.0
        before = self._encoded.get(point.name)
        if before is not None and before[0] == value and before[1] == power:
            return before[2]
        try:
            words = encode(point.encoding, value, power)
        except ValueError as error:
            words = self._nearest(point, value, power, str(error))
        if isinstance(value, float) and value != 0.0:  # 0.0 and -0.0 are equal, and have other words
            self._encoded[point.name] = value, power, words
        return words

    def _nearest(self, point: Point, value: Value, power: float | None, why: str) -> tuple[int, ...]:
        """Of a number beyond its registers a device shows the last one that they hold; said once."""
        if not isinstance(value, float):
            raise ModbusFault(DEVICE_FAILURE)
        try:
            words = saturated(point.encoding, value, power)
        except ValueError:
            raise ModbusFault(DEVICE_FAILURE) from None
        if point.name not in self._beyond:
            self._beyond.add(point.name)
            shown = decode(point.encoding, words, power)
            _log.warning("%s: %s: %s; it shows %s", self.profile.id, point.name, why, shown)
        return words


def _place(gives: str) -> tuple[str, int | None]:
    """The reading's attribute, and which of its phases: ("phase_import_w", 1) for "phase_import_w.2"."""
    name, _, number = gives.partition(".")
    return name, int(number) - 1 if number else None


def _counterpart(profile: DeviceProfile) -> tuple[Point, Point] | None:
    """The point that must show the opposite of the battery's power, so that `base` does not move with it."""
    battery = profile.gives.get("battery_discharge_w")
    base = [name for _, name in profile.control.base] if profile.control is not None else []
    if battery is None or battery.name not in base:
        return None
    return profile.points[next(name for name in base if name != battery.name)], battery


def _constant(point: Point) -> float:
    return point.emulated if isinstance(point.emulated, float) else 0.0


def _at_first(point: Point) -> Value:
    """Not available, or 0 where a device has no way to say so."""
    if point.encoding.type == "string":
        return None
    try:
        encode(point.encoding, None)
    except ValueError:
        return 0.0
    return None


def _fits(point: Point, value: float, power: float | None) -> bool:
    try:
        encode(point.encoding, value, power)
    except ValueError:
        return power is None or power >= 10
    return True
