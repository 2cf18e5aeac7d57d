"""A meter, a battery or a PV inverter whose registers are known only once its models have been walked.

The walk begins with the first use, goes on with the next one where a deadline ended it, and is made again
after each reconnect: a device that then has other models, or another identity, is refused until it is
what it was, because its registers may mean something else now. What was found is a profile, and from then
on the devices of `drivers/modbus` do the work.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from typing import Final, Generic, TypeVar

from drivers.device import BatteryReading, DeviceError, DeviceFacts, MeterReading, PvReading
from drivers.identity import Identity, doubt
from drivers.link import Link
from drivers.modbus import ModbusBattery, ModbusMeter, ModbusPv, modbus_battery, modbus_meter, modbus_pv
from drivers.sunspec.definitions import HEADER_WORDS
from drivers.sunspec.profiles import (
    PROFILE_ID,
    battery_profile,
    inputs_ordered,
    meter_profile,
    pv_profile,
)
from drivers.sunspec.walk import COMMON, Map, SunSpecError, Walker

HEARTBEAT_MODEL: Final = 715
HEARTBEAT_S: Final = 1.0
Device = TypeVar("Device", bound=ModbusMeter | ModbusBattery | ModbusPv)
Orderable = TypeVar("Orderable", bound=ModbusBattery | ModbusPv)


def sunspec_meter(device_id: str, link: Link, unit: int) -> SunSpecMeter:
    """A meter that says itself what it is; its first reading walks its models."""
    return SunSpecMeter(_Found(device_id, link, unit, lambda found: _meter(device_id, link, unit, found)))


def sunspec_battery(
    device_id: str,
    link: Link,
    unit: int,
    *,
    max_charge_w: float | None = None,
    max_discharge_w: float | None = None,
) -> SunSpecBattery:
    """A battery that says itself what it is; the site's own limits, both >= 0, only narrow its nameplate."""

    def build(found: Map) -> ModbusBattery:
        inputs = inputs_ordered(found)
        return modbus_battery(
            device_id,
            battery_profile(found),
            link,
            unit,
            max_charge_w=max_charge_w,
            max_discharge_w=max_discharge_w,
            battery_w=None if inputs is None else inputs.battery_discharge_w,
        )

    return SunSpecBattery(_Found(device_id, link, unit, build))


def sunspec_pv(device_id: str, link: Link, unit: int) -> SunSpecPv:
    """A PV inverter that says itself what it is; its first reading walks its models."""
    return SunSpecPv(
        _Found(device_id, link, unit, lambda found: modbus_pv(device_id, pv_profile(found), link, unit))
    )


def _meter(device_id: str, link: Link, unit: int, found: Map) -> ModbusMeter:
    return modbus_meter(device_id, meter_profile(found), link, unit)


class _Found(Generic[Device]):
    """One unit: walked, built once, and checked to be the same after each reconnect."""

    def __init__(self, device_id: str, link: Link, unit: int, build: Callable[[Map], Device]) -> None:
        self.device_id = device_id
        self.link = link
        self.unit = unit
        self._build = build
        self._walker = Walker(link, unit)
        self._device: Device | None = None
        self._map: Map | None = None
        self._walked_on = -1
        self._heartbeat: int | None = None
        self._beats = 0
        self._beat_at_s = -math.inf

    @property
    def facts(self) -> DeviceFacts:
        """What is known so far: before the first walk nothing, so no lease either."""
        if self._device is None:
            return DeviceFacts(self.device_id, PROFILE_ID, serial=self.link.serial)
        return self._device.facts

    @property
    def known(self) -> Device | None:
        """The device once it has been understood, connected or not."""
        return self._device

    async def device(self, deadline_s: float) -> Device:
        """The device, its models walked over the present connection; DeviceError saying what is wrong."""
        while self._device is None or not self.current:
            try:
                found = await self._walker.walk(deadline_s)
                self._device = self._understood(found)
            except DeviceError as error:
                raise DeviceError(f"{self.device_id}: {error}") from None
            self._walked_on = self._walker.connects
        return self._device

    @property
    def current(self) -> bool:
        """Whether the connection is still the one over which the models were walked."""
        return self._walked_on == self.link.connects

    def _understood(self, found: Map) -> Device:
        if self._device is None or self._map is None:
            try:
                device = self._build(found)
            except SunSpecError as error:
                self._walker.rest(error)
                raise
            self._map = found
            self._heartbeat = _heartbeat_address(found)
            return device
        if why := doubt(_identity(self._map), _identity(found), joint="/"):
            refusal = SunSpecError(why)
        elif self._map.layout() != found.layout():
            refusal = SunSpecError(
                f"its SunSpec models have changed: {_shown(found)}, before they were {_shown(self._map)}; "
                "check the device, then restart the controller"
            )
        else:
            self._map = found
            return self._device
        self._walker.rest(refusal)
        raise refusal

    async def beat(self, deadline_s: float) -> None:
        """Let the device see that its controller lives: model 715 wants a number that rises each second."""
        now_s = asyncio.get_running_loop().time()
        if self._heartbeat is None or now_s - self._beat_at_s < HEARTBEAT_S:
            return
        self._beats = (self._beats + 1) % 0x7FFF_FFFF
        words = divmod(self._beats, 0x10000)
        try:
            await self.link.write(self.unit, self._heartbeat, words, deadline_s)
        except DeviceError as error:
            raise DeviceError(f"{self.device_id}: heartbeat: {error}") from None
        self._beat_at_s = now_s


class _Walked(Generic[Device]):
    """What every device has that is understood by its models."""

    def __init__(self, found: _Found[Device]) -> None:
        self._found = found

    @property
    def facts(self) -> DeviceFacts:
        """Grows with the first walk."""
        return self._found.facts

    async def close(self) -> None:
        """Nothing: the link belongs to who opened it, and other units may share it."""


class _Ordered(_Walked[Orderable]):
    """What a device has besides that takes orders."""

    @property
    def outcome(self) -> str:
        """What became of the newest order: see drivers/modbus/signoff.py."""
        device = self._found.known
        return "" if device is None else device.outcome

    @property
    def writes_by_register(self) -> Mapping[int, int]:
        """How often each register was written since the start, by its address, heartbeats apart."""
        device = self._found.known
        return {} if device is None else device.writes_by_register

    async def release(self, deadline_s: float) -> None:
        """Hand it back to its own program, read back; DeviceError if that could not be confirmed."""
        await (await self._found.device(deadline_s)).release(deadline_s)


class SunSpecMeter(_Walked[ModbusMeter]):
    """A meter of models 201 to 204 or 211 to 214."""

    async def read(self, deadline_s: float) -> MeterReading:
        """As `ModbusMeter.read`, after a walk where one is due; DeviceError by `deadline_s`."""
        while True:
            reading = await (await self._found.device(deadline_s)).read(deadline_s)
            if self._found.current:
                return reading


class SunSpecBattery(_Ordered[ModbusBattery]):
    """A battery inverter ordered through model 704, or 124."""

    async def read(self, deadline_s: float) -> BatteryReading:
        """As `ModbusBattery.read`, after a walk where one is due; DeviceError by `deadline_s`.

        On a hybrid that is ordered at its battery the power is that of the battery, at its DC side.
        """
        while True:
            reading = await (await self._found.device(deadline_s)).read(deadline_s)
            if self._found.current:
                return reading

    async def order(self, battery_discharge_w: float, deadline_s: float) -> None:
        """As `ModbusBattery.order`, with the heartbeat of model 715 where the device has one."""
        battery = await self._found.device(deadline_s)
        await battery.order(battery_discharge_w, deadline_s)
        await self._found.beat(deadline_s)


class SunSpecPv(_Ordered[ModbusPv]):
    """A PV inverter curtailed through model 704, or 123; released, its cap is lifted."""

    async def read(self, deadline_s: float) -> PvReading:
        """As `ModbusPv.read`, after a walk where one is due; DeviceError by `deadline_s`."""
        while True:
            reading = await (await self._found.device(deadline_s)).read(deadline_s)
            if self._found.current:
                return reading

    async def cap(self, pv_cap_w: float | None, deadline_s: float) -> None:
        """As `ModbusPv.cap`, with the heartbeat of model 715 where the device has one."""
        inverter = await self._found.device(deadline_s)
        await inverter.cap(pv_cap_w, deadline_s)
        if pv_cap_w is not None:
            await self._found.beat(deadline_s)


def _heartbeat_address(found: Map) -> int | None:
    for model in found.models:
        point = model.point("ControllerHb") if model.id == HEARTBEAT_MODEL else None
        if point is not None and model.value("ControllerHb") is not None:
            return model.address + point.offset
    return None


def _identity(found: Map) -> Identity:
    """Who the device says it is, in each of its common models."""
    common = [one for one in found.models if one.id == COMMON]
    return {f"{name} {n}": one.value(name) for n, one in enumerate(common) for name in ("Mn", "Md", "SN")}


def _shown(found: Map) -> str:
    """Each model with the address of its ID, which is what has moved when none is new."""
    return " ".join(f"{one.id}@{one.address}+{HEADER_WORDS + one.length}" for one in found.models)
