"""What was heard (`Snapshot`) and what can be trusted (`Site`), or why it can not (`Missing`).

`observe.py` leads from the one to the other.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.dispatch.orders import NO_ORDERS, LocalTime, Orders, Plan, Prices
from drivers.device import BatteryReading, MeterReading, PvReading, SwitchReading
from drivers.fact import fact

Read = tuple[tuple[BatteryReading | None, ...], tuple[PvReading | None, ...]]
"""Readings of all batteries and all PV inverters, in the order of the config; empty before the first."""


@fact
class Snapshot:
    """The newest readings and orders at one instant; tuples follow the order of the config.

    `fault` is a sentence when the shell saw something that must latch (a refused order), else empty.
    `local` is None while the wall clock is not trusted.
    """

    now_s: float
    meter: MeterReading | None
    batteries: tuple[BatteryReading | None, ...]
    pvs: tuple[PvReading | None, ...] = ()
    switches: tuple[SwitchReading | None, ...] = ()
    utc_s: float | None = None
    local: LocalTime | None = None
    orders: Orders = NO_ORDERS
    prices: Prices | None = None
    plan: Plan | None = None
    fault: str = ""


@fact
class BatterySite:
    """One battery that answered: what it does and what its device allows now (both limits >= 0)."""

    index: int
    battery_discharge_w: float
    soc_pct: float | None
    max_charge_w: float
    max_discharge_w: float
    temperature_c: float | None = None


@fact
class Site:
    """Fresh readings of one site, brought to the meter's own instant.

    `net_load_w` is what the batteries face, load minus PV: `pcc_import_w + battery_discharge_w` of the
    batteries that answered; one that did not answer is inside what the meter shows.
    `pv_generation_w` is of the PV inverters that answered: the others count as 0 W in `pv_each_w`, and what
    they give is inside what the meter shows as well. `pv_silent` says which do not answer although they gave
    power last; it is empty while there are none. `is_news` is False when nothing has been measured since the
    last decision, and then there is nothing new to decide.
    `soc_pct` is of all batteries that answered and know it, by capacity; None when none does.
    `counted_wh` is the import a meter has counted that counts exactly.
    """

    now_s: float
    taken_at_s: float
    is_news: bool
    pcc_import_w: float
    net_load_w: float
    batteries: tuple[BatterySite, ...]
    pv_generation_w: float
    pv_rated_w: tuple[float | None, ...]
    phase_import_w: tuple[float, ...] = ()
    phase_voltage_v: tuple[float, ...] = ()
    frequency_hz: float | None = None
    soc_pct: float | None = None
    orders: Orders = NO_ORDERS
    prices: Prices | None = None
    plan: Plan | None = None
    local: LocalTime | None = None
    counted_wh: float | None = None
    pv_each_w: tuple[float, ...] = ()
    pv_silent: tuple[bool, ...] = ()

    @property
    def rated_w(self) -> float:
        """The scale for "a small part of the rating": half of what may be charged and discharged."""
        rated_w = 0.0
        for one in self.batteries:
            rated_w += one.max_charge_w + one.max_discharge_w
        return rated_w / 2.0

    @property
    def load_w(self) -> float:
        """What the house uses, less what silent PV inverters give."""
        return self.net_load_w + self.pv_generation_w

    @property
    def battery_discharge_w(self) -> float:
        """All batteries that answered."""
        return self.net_load_w - self.pcc_import_w


@dataclass(frozen=True, slots=True)
class Missing:
    """Why there is no `Site`: `reason` is shown to the operator as it stands."""

    reason: str
    lost: bool
