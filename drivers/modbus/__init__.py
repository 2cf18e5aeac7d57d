"""Profile + link = a meter, a battery or a PV inverter (the Protocols of drivers/device.py).

The fast registers are read for each reading, in as few requests as the profile's limits allow; slow ones
every 5 s; identity and ratings after each connect, and always before the first write; a rating that is not
available then is what the same device said last, and is read again after a while. An unchanged order
costs nothing but a write now and then to keep the device's lease alive. A device that rebooted,
reconnected or was ordered by somebody else is taken over again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from drivers.device import BatteryReading, DeviceError, DeviceFacts, MeterReading, PvReading
from drivers.guard import Guard, GuardError
from drivers.link import Link
from drivers.modbus.orders import Orders
from drivers.modbus.polling import Poller
from drivers.profile.model import DeviceProfile, Role
from drivers.registers import Value

_Values = dict[str, Value]


def modbus_meter(device_id: str, profile: DeviceProfile, link: Link, unit: int) -> ModbusMeter:
    """A meter behind this link; ValueError if the profile is not a meter's."""
    return ModbusMeter(_checked(device_id, profile, "meter"), link, unit, device_id)


def modbus_battery(
    device_id: str,
    profile: DeviceProfile,
    link: Link,
    unit: int,
    *,
    max_charge_w: float | None = None,
    max_discharge_w: float | None = None,
    battery_w: Callable[[Mapping[str, Value]], float | None] | None = None,
) -> ModbusBattery:
    """A battery behind this link; the site's own limits, both >= 0, can only narrow its nameplate.

    `battery_w` finds the discharge in the values of the profile's points where no single one gives it.
    """
    checked = _checked(device_id, profile, "battery")
    return ModbusBattery(checked, link, unit, device_id, max_charge_w, max_discharge_w, battery_w)


def modbus_pv(device_id: str, profile: DeviceProfile, link: Link, unit: int) -> ModbusPv:
    """A PV inverter behind this link; ValueError if the profile is not one's."""
    return ModbusPv(_checked(device_id, profile, "pv"), link, unit, device_id)


class ModbusMeter:
    """A meter read over Modbus."""

    def __init__(self, profile: DeviceProfile, link: Link, unit: int, device_id: str) -> None:
        self.facts = facts_of(device_id, profile, link.serial)
        self._poller = Poller(device_id, profile, link, unit)

    async def read(self, deadline_s: float) -> MeterReading:
        """One request for a meter whose registers lie close together; DeviceError by `deadline_s`."""
        taken_at_s, values = await self._poller.poll(deadline_s)
        return MeterReading(
            taken_at_s,
            self._poller.required(values, "pcc_import_w"),
            self._poller.phases(values, "phase_import_w"),
            self._poller.phases(values, "phase_voltage_v"),
            self._poller.phases(values, "phase_current_a"),
            self._poller.number(values, "frequency_hz"),
            self._poller.number(values, "import_wh"),
            self._poller.number(values, "export_wh"),
        )

    async def close(self) -> None:
        """Nothing: the link belongs to who opened it, and other units may share it."""


class ModbusBattery:
    """A battery inverter ordered over Modbus."""

    def __init__(
        self,
        profile: DeviceProfile,
        link: Link,
        unit: int,
        device_id: str,
        max_charge_w: float | None,
        max_discharge_w: float | None,
        battery_w: Callable[[Mapping[str, Value]], float | None] | None,
    ) -> None:
        self.facts = facts_of(device_id, profile, link.serial)
        self._poller = Poller(device_id, profile, link, unit)
        self._battery_w = battery_w
        self._site_w = {"max_charge_w": max_charge_w, "max_discharge_w": max_discharge_w}
        self._orders = _orders(self._poller)

    async def read(self, deadline_s: float) -> BatteryReading:
        """One request, and another one every 5 s; DeviceError by `deadline_s`."""
        taken_at_s, values = await self._poller.poll(deadline_s)
        power_w = self._power_w(values)
        self._orders.judge(taken_at_s, values, power_w)
        number = self._poller.number
        return BatteryReading(
            taken_at_s,
            power_w,
            number(values, "soc_pct"),
            number(values, "max_discharge_w"),
            number(values, "max_charge_w"),
            number(values, "capacity_wh"),
            number(values, "temperature_c"),
            self._flag(values, "grid_present"),
            self._flag(values, "fault"),
            self._orders.held_w(values),
        )

    @property
    def outcome(self) -> str:
        """What became of the newest order: see drivers/modbus/signoff.py."""
        return self._orders.outcome

    @property
    def writes_by_register(self) -> Mapping[int, int]:
        """How often each register was written since the start, by its address."""
        return dict(self._orders.writes_by_register)

    @property
    def write_budgets(self) -> Mapping[int, Guard]:
        """What registers that wear out may still be written, by their address."""
        return self._orders.budgets

    async def order(self, battery_discharge_w: float, deadline_s: float) -> None:
        """DeviceError if it did not get through; GuardError if refused here, with the battery released."""
        await self._poller.ready(deadline_s)
        guard = self._nameplate(to_rest=battery_discharge_w == 0)
        try:
            guard.check(battery_discharge_w)
        except GuardError as refused:
            raise await _let_go(self._poller.device_id, self._orders, refused, deadline_s) from None
        await self._orders.put(battery_discharge_w, deadline_s)

    async def release(self, deadline_s: float) -> None:
        """Hand it back to its own program, read back; DeviceError if that could not be confirmed."""
        await self._orders.hand_back(deadline_s)

    async def close(self) -> None:
        """Nothing: the link belongs to who opened it, and other units may share it."""

    def _power_w(self, values: _Values) -> float:
        if self._battery_w is None:
            return self._poller.required(values, "battery_discharge_w")
        power_w = self._battery_w(values)
        if power_w is None:
            raise DeviceError(f"{self._poller.device_id}: battery_discharge_w is not available")
        return power_w

    def _flag(self, values: _Values, field: str) -> bool | None:
        point = self._poller.profile.gives.get(field)
        found = None if point is None else point.field_value(values.get(point.name))
        return found if isinstance(found, bool) else None

    def _nameplate(self, *, to_rest: bool) -> Guard:
        """The gate for this battery: what the device says of itself, narrowed by the site file.

        To rest it takes no nameplate.
        """
        values = self._poller.values(0.0)
        rated_w: list[float] = []
        for field, site_w in self._site_w.items():
            point = self._poller.profile.gives.get(field)
            # Only what is read once is a nameplate; what moves is the BMS' word for now.
            own = values.get(point.name) if point is not None and point.every == "once" else None
            known = [w for w in (own, site_w) if isinstance(w, float | int)]
            lease = self._poller.profile.lease
            if site_w is None and (lease is None or lease.seconds is None):
                # What stays on when we fall silent is the owner's to say.
                raise DeviceError(
                    f"{self._poller.device_id}: the device never forgets an order by itself, so say in the "
                    f"site file with {field} how much may stay on"
                )
            if not known and not to_rest:
                raise DeviceError(
                    f"{self._poller.device_id}: the device does not say its {field}; give it in the site file"
                )
            rated_w.append(min(known, default=0.0))
        return Guard(rated_w[0], rated_w[1], writes_per_day=None)


class ModbusPv:
    """A PV inverter curtailed over Modbus."""

    def __init__(self, profile: DeviceProfile, link: Link, unit: int, device_id: str) -> None:
        self.facts = facts_of(device_id, profile, link.serial)
        self._poller = Poller(device_id, profile, link, unit)
        self._orders = _orders(self._poller)
        self._guard = Guard(0.0, 0.0, writes_per_day=None)  # a PV inverter is capped, never ordered

    async def read(self, deadline_s: float) -> PvReading:
        """One request, and another one every 5 s; DeviceError by `deadline_s`."""
        taken_at_s, values = await self._poller.poll(deadline_s)
        power_w = self._poller.required(values, "pv_generation_w")
        self._orders.judge(taken_at_s, values, power_w)
        rated_w = self._poller.number(values, "rated_w")
        return PvReading(taken_at_s, power_w, rated_w, self._orders.held_w(values))

    @property
    def outcome(self) -> str:
        """What became of the newest cap: see drivers/modbus/signoff.py."""
        return self._orders.outcome

    @property
    def writes_by_register(self) -> Mapping[int, int]:
        """How often each register was written since the start, by its address."""
        return dict(self._orders.writes_by_register)

    @property
    def write_budgets(self) -> Mapping[int, Guard]:
        """What registers that wear out may still be written, by their address."""
        return self._orders.budgets

    async def cap(self, pv_cap_w: float | None, deadline_s: float) -> None:
        """DeviceError if it did not get through; GuardError if refused here, with the cap lifted."""
        if pv_cap_w is None:
            await self._orders.hand_back_once(deadline_s)
            return
        try:
            self._guard.check_cap(pv_cap_w)
        except GuardError as refused:
            raise await _let_go(self._poller.device_id, self._orders, refused, deadline_s) from None
        await self._orders.put(pv_cap_w, deadline_s)

    async def release(self, deadline_s: float) -> None:
        """Lift the cap, read back; DeviceError if that could not be confirmed."""
        await self._orders.hand_back(deadline_s)

    async def close(self) -> None:
        """Nothing: the link belongs to who opened it, and other units may share it."""


def _checked(device_id: str, profile: DeviceProfile, role: Role) -> DeviceProfile:
    if profile.role != role:
        raise ValueError(f"{device_id}: the profile {profile.id} describes a {profile.role}, not a {role}")
    return profile


def _orders(poller: Poller) -> Orders:
    control = poller.profile.control
    if control is None:
        raise ValueError(f"{poller.device_id}: the profile {poller.profile.id} has no [control]")
    return Orders(poller, control)


def facts_of(device_id: str, profile: DeviceProfile, serial: bool = False) -> DeviceFacts:
    """What is known of a device of this profile before it is asked."""
    lease, response = profile.lease, profile.response
    return DeviceFacts(
        id=device_id,
        profile=profile.id,
        lease_s=lease.seconds if lease is not None else None,
        lease_fallback=lease.fallback if lease is not None else "",
        dead_time_s=response.dead_time_s,
        time_constant_s=response.time_constant_s,
        period_s=response.period_s,
        delay_s=response.delay_s,
        serial=serial,
    )


async def _let_go(device_id: str, orders: Orders, refused: GuardError, deadline_s: float) -> GuardError:
    """Hand a device back whose next order was refused, and the error to raise then."""
    if not orders.taken:
        return GuardError(f"{device_id}: {refused}")
    try:
        await orders.hand_back(deadline_s)
    except DeviceError as error:
        return GuardError(f"{device_id}: {refused}; it could not be released either: {error}")
    return GuardError(f"{device_id}: {refused}; it was released")
