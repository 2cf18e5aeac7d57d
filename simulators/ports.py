"""What batteries and PV inverters of a house show and take: the ports behind drivers and emulators."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from drivers.device import BatteryReading, PvReading
from simulators.inverter import BatteryInverter
from simulators.pv import PvInverter

if TYPE_CHECKING:
    from simulators.site import House


class HouseBattery:
    """A battery inverter."""

    def __init__(self, house: House, unit: BatteryInverter) -> None:
        self._house = house
        self._unit = unit

    def reading(self, now_s: float) -> BatteryReading:
        self._house.advance(now_s)
        unit = self._unit
        return BatteryReading(
            taken_at_s=now_s,
            battery_discharge_w=unit.power_w,
            soc_pct=unit.cells.soc_pct,
            max_discharge_w=unit.max_discharge_w,
            max_charge_w=unit.max_charge_w,
            capacity_wh=unit.cells.capacity_wh,
            temperature_c=unit.cells.temperature_c,
            grid_present=self._house.grid.present,
            fault=False,
            setpoint_w=unit.held_w,
        )

    def order(self, now_s: float, battery_discharge_w: float, expires_at_s: float) -> None:
        self._house.advance(now_s)
        self._unit.order(battery_discharge_w, expires_at_s)

    def release(self, now_s: float) -> None:
        self._house.advance(now_s)
        self._unit.release()


class HousePv:
    """A PV inverter."""

    def __init__(self, house: House, unit: PvInverter) -> None:
        self._house = house
        self._unit = unit

    def reading(self, now_s: float) -> PvReading:
        self._house.advance(now_s)
        return PvReading(
            taken_at_s=now_s,
            pv_generation_w=self._unit.power_w,
            rated_w=self._unit.rated_w,
            cap_w=self._unit.cap_w,
        )

    def cap(self, now_s: float, pv_cap_w: float, expires_at_s: float) -> None:
        self._house.advance(now_s)
        self._house.cap(self._unit, pv_cap_w, expires_at_s)

    def release(self, now_s: float) -> None:
        self._house.advance(now_s)
        self._house.cap(self._unit, None, inf)
