"""Faults in what a battery does with its orders (catalogue C), and ports that have them."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import ClassVar, TypeVar, cast

from drivers.device import BatteryReading, MeterReading, PvReading
from drivers.simulated import BatteryPort, MeterPort, PvPort
from simulators.faults.model import LARGEST_W, LONGEST_S, Active, AnyReading, Fault, param

BATTERY = ("battery",)


def clamped(order_w: float, charge_w: float | None, discharge_w: float | None) -> float:
    """An order within what is allowed each way, both >= 0."""
    if order_w < 0.0:
        return order_w if charge_w is None else max(order_w, -charge_w)
    return order_w if discharge_w is None else min(order_w, discharge_w)


@dataclass
class Deaf(Fault):
    """Takes its orders, says so, and rests at 0 W all the same."""

    name: ClassVar[str] = "deaf"
    ids: ClassVar[tuple[str, ...]] = ("C01",)
    roles: ClassVar[tuple[str, ...]] = BATTERY

    def own_order_w(self, now_s: float) -> float | None:
        return 0.0


@dataclass
class Partly(Fault):
    """Follows every order only in part."""

    name: ClassVar[str] = "partly"
    ids: ClassVar[tuple[str, ...]] = ("C02",)
    roles: ClassVar[tuple[str, ...]] = BATTERY
    share: float = param(0.6, "of each order", least=0.0, most=1.0)

    def order(self, order_w: float, now_s: float, wired: bool) -> float | None:
        return order_w * self.share


@dataclass
class Limits(Fault):
    """The BMS allows no more than this, says so where the device has a register for it, and keeps to it."""

    name: ClassVar[str] = "limits"
    ids: ClassVar[tuple[str, ...]] = ("C03", "C05")
    roles: ClassVar[tuple[str, ...]] = BATTERY
    charge_w: float = param(0.0, "most charge, W", least=0.0, most=LARGEST_W)
    discharge_w: float = param(0.0, "most discharge, W", least=0.0, most=LARGEST_W)

    def reading(self, reading: AnyReading, now_s: float, wired: bool) -> AnyReading:
        assert isinstance(reading, BatteryReading), "only for batteries"
        return replace(
            reading,
            max_charge_w=min(self.charge_w, inf if reading.max_charge_w is None else reading.max_charge_w),
            max_discharge_w=min(
                self.discharge_w, inf if reading.max_discharge_w is None else reading.max_discharge_w
            ),
        )

    def order(self, order_w: float, now_s: float, wired: bool) -> float | None:
        return clamped(order_w, self.charge_w, self.discharge_w)


@dataclass
class NoLimits(Fault):
    """The BMS no longer says what it allows."""

    name: ClassVar[str] = "no_limits"
    ids: ClassVar[tuple[str, ...]] = ("C04",)
    roles: ClassVar[tuple[str, ...]] = BATTERY

    def reading(self, reading: AnyReading, now_s: float, wired: bool) -> AnyReading:
        assert isinstance(reading, BatteryReading), "only for batteries"
        return replace(reading, max_charge_w=None, max_discharge_w=None)


@dataclass
class Faulted(Fault):
    """The inverter has shut down with a fault, says so, and rests."""

    name: ClassVar[str] = "faulted"
    ids: ClassVar[tuple[str, ...]] = ("C06",)
    roles: ClassVar[tuple[str, ...]] = BATTERY

    def reading(self, reading: AnyReading, now_s: float, wired: bool) -> AnyReading:
        assert isinstance(reading, BatteryReading), "only for batteries"
        return replace(reading, fault=True)

    def own_order_w(self, now_s: float) -> float | None:
        return 0.0


@dataclass
class Cold(Fault):
    """The cells are at `temperature_c`, and the BMS takes no charge."""

    name: ClassVar[str] = "cold"
    ids: ClassVar[tuple[str, ...]] = ("C09",)
    roles: ClassVar[tuple[str, ...]] = BATTERY
    temperature_c: float = param(-5.0, "of the cells, C", most=200.0)

    def reading(self, reading: AnyReading, now_s: float, wired: bool) -> AnyReading:
        assert isinstance(reading, BatteryReading), "only for batteries"
        return replace(reading, temperature_c=self.temperature_c, max_charge_w=0.0)

    def order(self, order_w: float, now_s: float, wired: bool) -> float | None:
        return max(order_w, 0.0)


@dataclass
class OwnWay(Fault):
    """Does `power_w` by a program of its own, against its orders and the other batteries."""

    name: ClassVar[str] = "own_way"
    ids: ClassVar[tuple[str, ...]] = ("C14",)
    roles: ClassVar[tuple[str, ...]] = BATTERY
    power_w: float = param(-1000.0, "what it does, W; negative charges", most=LARGEST_W)

    def own_order_w(self, now_s: float) -> float | None:
        return self.power_w


@dataclass
class Sluggish(Fault):
    """Follows `delay_s` late, passes over changes within `deadband_w`, and does `gain` times as much."""

    name: ClassVar[str] = "sluggish"
    ids: ClassVar[tuple[str, ...]] = ("C15",)
    roles: ClassVar[tuple[str, ...]] = BATTERY
    delay_s: float = param(
        3.0, "from order to effect, beside the inverter's own, s", least=0.0, most=LONGEST_S
    )
    deadband_w: float = param(
        100.0, "a smaller change of the order is passed over, W", least=0.0, most=LARGEST_W
    )
    gain: float = param(1.0, "of each order", least=0.0, most=100.0)
    _coming: deque[tuple[float, float]] | None = field(init=False, repr=False, compare=False, default=None)
    _taken_w: float | None = field(init=False, repr=False, compare=False, default=None)
    _now_w: float = field(init=False, repr=False, compare=False, default=0.0)

    def order(self, order_w: float, now_s: float, wired: bool) -> float | None:
        if self._coming is None:
            self._coming = deque()
        if self._taken_w is None:
            self._taken_w = self._now_w = order_w
        elif abs(order_w - self._taken_w) > self.deadband_w:
            self._taken_w = order_w
            self._coming.append((now_s + self.delay_s, order_w))
        return self.own_order_w(now_s)

    def own_order_w(self, now_s: float) -> float | None:
        while self._coming and self._coming[0][0] <= now_s:
            self._now_w = self._coming.popleft()[1]
        return None if self._taken_w is None else self._now_w * self.gain


BEHAVIOUR: tuple[type[Fault], ...] = (
    Deaf,
    Partly,
    Limits,
    NoLimits,
    Faulted,
    Cold,
    OwnWay,
    Sluggish,
)

Reading = TypeVar("Reading", MeterReading, BatteryReading, PvReading)


def _changed(reading: Reading, faults: Sequence[Fault], now_s: float, wired: bool) -> Reading:
    found: AnyReading = reading
    for fault in faults:
        found = fault.reading(found, now_s, wired)
    return cast(Reading, found)


class FaultyMeter:
    """A meter's port with faults; `wired` says that a wire stands before it, with faults of its own."""

    def __init__(self, port: MeterPort, active: Active, wired: bool = False) -> None:
        self._port = port
        self._active = active
        self._wired = wired

    def reading(self, now_s: float) -> MeterReading:
        return _changed(self._port.reading(now_s), self._active.at(now_s), now_s, self._wired)


class FaultyPv:
    """A PV inverter's port with faults; `orders` keeps when and what cap came through."""

    def __init__(self, port: PvPort, active: Active, wired: bool = False) -> None:
        self._port = port
        self._active = active
        self._wired = wired
        self.orders: list[tuple[float, float]] = []

    def reading(self, now_s: float) -> PvReading:
        return _changed(self._port.reading(now_s), self._active.at(now_s), now_s, self._wired)

    def cap(self, now_s: float, pv_cap_w: float, expires_at_s: float) -> None:
        for fault in self._active.at(now_s):
            changed_w = fault.order(pv_cap_w, now_s, self._wired)
            if changed_w is None:
                return
        self.orders.append((now_s, pv_cap_w))
        self._port.cap(now_s, pv_cap_w, expires_at_s)

    def release(self, now_s: float) -> None:
        for fault in self._active.at(now_s):
            if fault.order(0.0, now_s, self._wired) is None:
                return
        self._port.release(now_s)


class FaultyBattery:
    """A battery's port with faults; `orders` keeps when and what was ordered and came through."""

    def __init__(self, port: BatteryPort, active: Active, wired: bool = False) -> None:
        self._port = port
        self._active = active
        self._wired = wired
        self.orders: list[tuple[float, float]] = []
        self._ordered: tuple[float, float] | None = None
        self._sent_w: float | None = None

    def reading(self, now_s: float) -> BatteryReading:
        faults = self._active.at(now_s)
        self._keep_to(faults, now_s)
        reading = self._port.reading(now_s)
        if faults and self._ordered is not None and reading.setpoint_w is not None:
            reading = replace(reading, setpoint_w=self._ordered[0])  # what it says it was ordered
        return _changed(reading, faults, now_s, self._wired)

    def order(self, now_s: float, battery_discharge_w: float, expires_at_s: float) -> None:
        faults = self._active.at(now_s)
        found: float | None = battery_discharge_w
        for fault in faults:
            found = None if found is None else fault.order(found, now_s, self._wired)
        if found is None:
            return
        self.orders.append((now_s, battery_discharge_w))
        self._ordered = (battery_discharge_w, expires_at_s)
        for fault in faults:
            own_w = fault.own_order_w(now_s)
            found = found if own_w is None else own_w
        self._sent_w = found
        self._port.order(now_s, found, expires_at_s)

    def release(self, now_s: float) -> None:
        for fault in self._active.at(now_s):
            if fault.order(0.0, now_s, self._wired) is None:
                return
        self._ordered = self._sent_w = None
        self._port.release(now_s)

    def turn(self, now_s: float) -> None:
        """Let faults begin and end although nobody asks or orders."""
        self._keep_to(self._active.at(now_s), now_s)

    def _keep_to(self, faults: Sequence[Fault], now_s: float) -> None:
        """Do what the faults of now make of the order in force, where that is not what was done before."""
        if not self._wired:
            self._meet(faults, now_s)
        if self._ordered is None or now_s >= self._ordered[1]:
            own_w = next((w for w in (one.own_order_w(now_s) for one in faults) if w is not None), None)
            if own_w is not None and own_w != self._sent_w:
                self._sent_w = own_w
                self._port.order(now_s, own_w, inf)
            elif own_w is None and self._ordered is None and self._sent_w is not None:
                self._sent_w = None
                self._port.release(now_s)
            return
        found: float = self._ordered[0]
        for fault in faults:
            if fault.seam == "port":
                found = fault.order(found, now_s, self._wired) or 0.0
            own_w = fault.own_order_w(now_s)
            found = found if own_w is None else own_w
        if self._sent_w is not None and found != self._sent_w:
            self._sent_w = found
            self._port.order(now_s, found, self._ordered[1])

    def _meet(self, faults: Sequence[Fault], now_s: float) -> None:
        """Without a wire, restarts and other masters' orders happen here."""
        for fault in faults:
            if fault.restarts():
                self._ordered = self._sent_w = None
                self._port.release(now_s)
            foreign_w = fault.foreign_w(now_s)
            if foreign_w is not None:
                self._ordered, self._sent_w = (foreign_w, inf), foreign_w
                self._port.order(now_s, foreign_w, inf)
