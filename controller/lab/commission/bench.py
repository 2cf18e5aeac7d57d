"""The devices while they are commissioned: read together, ordered within the consent, released at the end.

Nobody else orders anything here. An order passes two gates that do not know of each other: the one below,
and the driver's guard, whose nameplate `narrowed` cuts to the consent.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any, TypeVar

from controller.config import Config
from controller.devices import Devices
from controller.lab.commission.findings import Terms
from drivers.device import Battery, BatteryReading, DeviceError, Meter, MeterReading, Pv, PvReading
from drivers.guard import Guard

Reading = TypeVar("Reading", MeterReading, BatteryReading, PvReading)

READ_WITHIN_S = 8.0
"""Long enough to see how slow a device is; the controller itself is less patient."""
ORDER_WITHIN_S = 2.0
REPEAT_S = 1.0
"""Orders are said again this often, as the controller does; the driver writes what is needed."""
SILENT_S = 8.0
SPARE_W = 150.0
"""Kept from every limit of the connection: the load changes faster than a battery gives way."""
RELEASE_WITHIN_S, RELEASE_PAUSE_S = 3.0, 1.0
RELEASE_FOR_S, RELEASE_UNFORGETTING_FOR_S = 12.0, 300.0
"""How long a release is tried: the second where no lease ends the order, so that a cable can be put back."""
BEYOND_SHARE, BEYOND_W = 1.15, 50.0
"""Inverters overshoot a little; measured beyond that is more than was consented to."""
TAKEN_OVER_S = 20.0
"""A battery that ran its own program has this long to come down to what was consented to."""


class CutShort(Exception):  # noqa: N818  # it is no error of anybody
    """The present step could not be finished; the text says why."""


class Lost(CutShort):
    """A device stopped answering."""


class Beyond(CutShort):
    """A battery did more than was consented to."""


class NoRoom(CutShort):
    """The house came too near a limit of its connection."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen at one instant of the battery under test; `order_w` None: nothing is ordered."""

    at_s: float
    meter: MeterReading
    battery: BatteryReading
    order_w: float | None
    outcome: str


def narrowed(config: Config, consent_w: float) -> Config:
    """The site with the nameplate of every battery cut to the consent: so the drivers' guards know it."""
    batteries = tuple(
        replace(
            one,
            max_charge_w=min(consent_w, one.max_charge_w if one.max_charge_w is not None else consent_w),
            max_discharge_w=min(
                consent_w, one.max_discharge_w if one.max_discharge_w is not None else consent_w
            ),
        )
        for one in config.dispatch.batteries
    )
    return replace(config, dispatch=replace(config.dispatch, batteries=batteries))


class Bench:
    """The devices of a site under test."""

    def __init__(
        self,
        config: Config,
        devices: Devices,
        terms: Terms,
        ordering: Callable[[str], None] = lambda device: None,
    ) -> None:
        self.config = config
        self._ordering = ordering
        self.terms = terms
        self.meter: Meter = devices.meter
        self.batteries: Sequence[Battery] = devices.batteries
        self.pvs: Sequence[Pv] = devices.pvs
        self.took_s: dict[str, list[float]] = defaultdict(list)
        """How long each reading took, by device."""
        self.trouble: dict[str, str] = {}
        """The newest error of each device that does not answer now."""
        self.order_trouble: dict[str, str] = {}
        self.samples: dict[str, list[Sample]] = defaultdict(list)
        self.sign_known = False
        """Whether the meter is known to count importing as positive."""
        self._guard = Guard(terms.consent_w, terms.consent_w, None)
        self._orders_w: dict[int, float] = {}
        self._ordered_at_s = 0.0
        self._taken_at_s: dict[int, float] = {}
        self._answered_at_s: dict[str, float] = {}
        self._capped: list[int] = []

    async def read_meter(self) -> MeterReading | None:
        """None when it did not answer; `trouble` says why."""
        return await self._timed(self.meter.facts.id, self.meter.read(_now_s() + READ_WITHIN_S))

    async def read_battery(self, index: int) -> BatteryReading | None:
        """None when it did not answer; `trouble` says why."""
        battery = self.batteries[index]
        return await self._timed(battery.facts.id, battery.read(_now_s() + READ_WITHIN_S))

    async def read_pv(self, index: int) -> PvReading | None:
        """None when it did not answer; `trouble` says why."""
        pv = self.pvs[index]
        return await self._timed(pv.facts.id, pv.read(_now_s() + READ_WITHIN_S))

    async def _timed(self, device_id: str, reading: Coroutine[Any, Any, Reading]) -> Reading | None:
        began_s = _now_s()
        try:
            found = await reading
        except DeviceError as error:
            self.trouble[device_id] = str(error)
            return None
        self.took_s[device_id].append(_now_s() - began_s)
        self.trouble.pop(device_id, None)
        self._answered_at_s[device_id] = _now_s()
        return found

    async def order(self, index: int, battery_discharge_w: float) -> None:
        """Let this battery do so much from now on, and all others rest; GuardError beyond the consent."""
        self._guard.check(battery_discharge_w)
        for other in range(len(self.batteries)):
            self._orders_w.setdefault(other, 0.0)
            self._taken_at_s.setdefault(other, _now_s())
        self._orders_w = dict.fromkeys(self._orders_w, 0.0) | {index: battery_discharge_w}
        await self._say_orders()

    def say_no_more(self) -> None:
        """Fall silent: what was ordered stays until its lease is over."""
        self._orders_w.clear()

    async def _say_orders(self) -> None:
        self._ordered_at_s = _now_s()
        for index, order_w in self._orders_w.items():
            battery = self.batteries[index]
            self._guard.check(order_w)
            self._ordering(battery.facts.id)
            try:
                await battery.order(order_w, _now_s() + ORDER_WITHIN_S)
            except DeviceError as error:
                self.order_trouble[battery.facts.id] = str(error)
            else:
                self.order_trouble.pop(battery.facts.id, None)

    async def look(self, index: int) -> Sample:
        """Read meter and batteries, and say again what is ordered.

        Lost when one of them has been silent for long, Beyond and NoRoom when it must not go on.
        """
        while True:
            meter, batteries = await asyncio.gather(
                self.read_meter(),
                asyncio.gather(*(self.read_battery(one) for one in range(len(self.batteries)))),
            )
            if _now_s() - self._ordered_at_s >= REPEAT_S:
                await self._say_orders()
            battery = batteries[index]
            for one in (self.meter, self.batteries[index]):
                since_s = _now_s() - self._answered_at_s.setdefault(one.facts.id, _now_s())
                if one.facts.id in self.trouble and since_s > SILENT_S:
                    raise Lost(f"stopped answering: {self.trouble[one.facts.id]}")
            if meter is not None and battery is not None:
                break
            await asyncio.sleep(0.2)
        tested = self.batteries[index]
        sample = Sample(_now_s(), meter, battery, self._orders_w.get(index), tested.outcome)
        self.samples[tested.facts.id].append(sample)
        self._check(index, sample)
        return sample

    def _check(self, index: int, sample: Sample) -> None:
        """Beyond or NoRoom, if what is seen must not go on."""
        if sample.order_w is None:
            return
        most_w = self.terms.consent_w * BEYOND_SHARE + BEYOND_W
        does_w = sample.battery.battery_discharge_w
        if abs(does_w) > most_w and sample.at_s - self._taken_at_s[index] > TAKEN_OVER_S:
            raise Beyond(f"says it does {does_w:.0f} W, ordered were {sample.order_w:.0f} W")
        charge_w, discharge_w = self._rooms_w(sample.meter)
        if (sample.order_w < 0 and charge_w < 0) or (sample.order_w > 0 and discharge_w < 0):
            raise NoRoom("the house came too near a limit of its connection")

    def room_w(self, index: int, sample: Sample) -> tuple[float, float]:
        """How much this battery may be charged and discharged with now, W, both >= 0."""
        settings, battery = self.config.dispatch.batteries[index], sample.battery
        charge_w, discharge_w = self._rooms_w(sample.meter)
        # What the battery does already is in what the meter shows.
        does_w = battery.battery_discharge_w
        charge_w = charge_w - min(does_w, 0.0) - SPARE_W
        discharge_w = discharge_w + max(does_w, 0.0) - SPARE_W
        for limit_w in (self.terms.consent_w, battery.max_charge_w, settings.max_charge_w):
            charge_w = charge_w if limit_w is None else min(charge_w, limit_w)
        for limit_w in (self.terms.consent_w, battery.max_discharge_w, settings.max_discharge_w):
            discharge_w = discharge_w if limit_w is None else min(discharge_w, limit_w)
        if battery.soc_pct is not None:
            floor_pct = max(settings.min_soc_pct, self.config.dispatch.policy.reserve_pct)
            charge_w = charge_w if battery.soc_pct < settings.max_soc_pct - 1.0 else 0.0
            discharge_w = discharge_w if battery.soc_pct > floor_pct + 1.0 else 0.0
        return max(charge_w, 0.0), max(discharge_w, 0.0)

    def _rooms_w(self, meter: MeterReading) -> tuple[float, float]:
        """What the connection has left for charging and for discharging.

        While the meter's sign is not known, both signs are reckoned with.
        """
        dispatch, import_w = self.config.dispatch, meter.pcc_import_w
        imports_w = import_w if self.sign_known else abs(import_w)
        exports_w = -import_w if self.sign_known else abs(import_w)
        charge_w = inf if dispatch.import_limit_w is None else dispatch.import_limit_w - imports_w
        discharge_w = inf if dispatch.export_limit_w is None else dispatch.export_limit_w - exports_w
        if dispatch.fuse_a is not None:
            fuse_w = dispatch.fuse_a * dispatch.nominal_v
            for phase_w in meter.phase_import_w:
                charge_w = min(charge_w, fuse_w - (phase_w if self.sign_known else abs(phase_w)))
                discharge_w = min(discharge_w, fuse_w - (-phase_w if self.sign_known else abs(phase_w)))
        return charge_w, discharge_w

    async def cap(self, index: int, pv_cap_w: float | None) -> None:
        """Curtail a PV inverter, or lift that; DeviceError if it refuses."""
        self._capped.append(index)
        self._ordering(self.pvs[index].facts.id)
        await self.pvs[index].cap(pv_cap_w, _now_s() + ORDER_WITHIN_S)

    async def release(self) -> list[str]:
        """Hand back whatever was ordered; what could not be released is said, with what becomes of it."""
        touched: list[Battery | Pv] = [self.batteries[index] for index in self._taken_at_s]
        touched += [self.pvs[index] for index in dict.fromkeys(self._capped)]
        self._orders_w.clear()
        return [why for why in await asyncio.gather(*(released(one) for one in touched)) if why]


async def released(device: Battery | Pv) -> str:
    """Empty, or why it could not be released. One that forgets nothing is tried again for long."""
    error: DeviceError | None = None
    facts = device.facts
    until_s = _now_s() + (RELEASE_FOR_S if facts.lease_s is not None else RELEASE_UNFORGETTING_FOR_S)
    while _now_s() < until_s:
        try:
            await device.release(_now_s() + RELEASE_WITHIN_S)
        except DeviceError as refused:
            error = refused
            await asyncio.sleep(RELEASE_PAUSE_S)
        else:
            return ""
    after = (
        "IT KEEPS THE LAST ORDER: " + facts.lease_fallback
        if facts.lease_s is None
        else f"it forgets the last order {facts.lease_s:.0f} s after it was given"
    )
    return f"{facts.id}: could not be released ({error}); {after}"


def _now_s() -> float:
    return asyncio.get_running_loop().time()
