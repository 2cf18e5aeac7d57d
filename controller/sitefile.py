"""The site file as it is written: one pydantic model a table. `config.py` turns it into a frozen Config."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from controller.schedule import WindowTable
from controller.site_mqtt import Mqtt
from controller.site_planning import Planning
from controller.site_response import InverterResponse
from controller.site_simulation import Simulation
from controller.site_state import JournalTable, StateTable
from controller.site_tariff import TariffTable

Watts = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Point = Annotated[tuple[float, float], Field(strict=False)]
"""TOML has no tuples: an array of two numbers."""
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$", description="a to z, 0 to 9, - and _")]


class Table(BaseModel):
    """A table of the site file: unknown keys are errors, numbers are never taken from strings."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Grid(Table):
    """`[grid]`: the connection point."""

    import_limit_w: Watts | None = Field(None, description="most the PCC may import, W")
    export_limit_w: Watts | None = Field(None, description="most the PCC may export, W; 0 for zero export")
    fuse_a: float | None = Field(None, gt=0, le=10_000, description="main fuse, A per phase")
    phases: int = Field(3, description="1 or 3")

    @field_validator("phases")
    @classmethod
    def _one_or_three(cls, phases: int) -> int:
        if phases not in (1, 3):
            raise ValueError("give 1 or 3")
        return phases


class DeviceTable(Table):
    """What every device has."""

    id: Name
    profile: str = Field(min_length=1, description='such as "eastron-sdm630", "sunspec", or a .toml file')
    connection: str = Field(min_length=1, description='such as "tcp://192.168.1.20:502"')
    unit: int = Field(1, ge=0, le=255, description="Modbus unit id")


class Meter(DeviceTable):
    """`[[meter]]`: the meter at the point of common coupling (PCC)."""

    role: Literal["pcc"] = Field("pcc", description='"pcc": where the site meets the grid')
    period_s: float | None = Field(
        None, ge=0, le=60, description="how often it has a new value, s; else as its profile says"
    )
    delay_s: float | None = Field(
        None, ge=0, le=60, description="how old a value is when it can be read, s; else as its profile says"
    )


class Battery(DeviceTable):
    """`[[battery]]`: a battery with its inverter."""

    capacity_wh: float = Field(gt=0, le=1e9, description="usable capacity, Wh")
    min_soc_pct: Percent = Field(5.0, description="never discharged below this, %")
    max_soc_pct: Percent = Field(100.0, description="never charged above this, %")
    max_charge_w: Watts | None = Field(None, description="tighter than the device's own limit, W")
    max_discharge_w: Watts | None = Field(None, description="tighter than the device's own limit, W")
    phase: int | None = Field(None, ge=1, le=3, description="of a single-phase inverter, 1 to 3")
    min_power_w: Watts = Field(0.0, description="the inverter cannot hold less than this, W")
    efficient_from_w: Watts = Field(0.0, description="below this one battery alone works better, W")
    chemistry: Literal["lithium", "lead_acid"] = Field("lithium", description="lithium or lead_acid")
    full_every_days: float = Field(0.0, ge=0, le=365, description="a full charge for balance, 0: never")
    absorption_min: float = Field(0.0, ge=0, le=1440, description="lead-acid: minutes at full, each time")
    charge_by_temperature: list[Point] | None = Field(
        None, description="points [C, share of the rating] of a curve, such as [[0, 0], [10, 1], [50, 0]]"
    )
    discharge_by_temperature: list[Point] = Field(
        default_factory=list, description="as charge_by_temperature"
    )
    charge_by_soc: list[Point] = Field(
        default_factory=list, description="points [SoC %, share of the rating] of a curve"
    )
    response: InverterResponse | None = Field(None, description="[battery.response], as it was measured")
    discharge_by_soc: list[Point] = Field(default_factory=list, description="as charge_by_soc")


class Pv(DeviceTable):
    """`[[pv]]`: a PV inverter that can be read and curtailed."""

    response: InverterResponse | None = Field(None, description="[pv.response], as it was measured")


class Switch(DeviceTable):
    """`[[switch]]`: a relay that takes a load off the supply while the battery is low."""

    channel: int = Field(1, ge=1, le=64, description="which relay of the module, from 1")
    sheds_w: float = Field(gt=0, le=1e9, description="what the load takes when it runs, W")
    shed_below_soc_pct: Percent = Field(10.0, description="opened below this, %")
    restore_above_soc_pct: Percent = Field(20.0, description="closed again above this, %")


PolicyName = Literal["self_consumption", "economic", "schedule", "follow", "standby"]


class Frequency(Table):
    """`[policy.frequency]`: frequency response of the `follow` policy."""

    w_per_hz: float = Field(gt=0, le=1e9, description="power for each Hz beyond the dead band, W/Hz")
    most_w: Watts = Field(description="no more than this for frequency, W")
    nominal_hz: float = Field(50.0, ge=40, le=70, description="50 or 60")
    deadband_hz: float = Field(0.02, ge=0, le=1, description="no response within this, Hz")
    soc_low_pct: Percent = Field(40.0, description="lower end of the SoC band to come back to, %")
    soc_high_pct: Percent = Field(60.0, description="upper end of that band, %")
    recover_w: Watts = Field(0.0, description="power for coming back, W")


class Demand(Table):
    """`[demand]`: the month's highest billing window is paid for."""

    window_min: int = Field(15, description="15, 30 or 60: length of the clock-aligned window, minutes")
    target_w: Watts = Field(0.0, description="what to stay below from the month's first window on, W")

    @field_validator("window_min")
    @classmethod
    def _a_billing_window(cls, window_min: int) -> int:
        if window_min not in (15, 30, 60):
            raise ValueError("give 15, 30 or 60")
        return window_min


class Island(Table):
    """`[island]`: what holds while the grid is gone, and when it is back."""

    floor_pct: Percent = Field(10.0, description="an island may discharge down to this, %")
    enter_service_s: float = Field(300.0, ge=0, le=3600, description="good grid before reconnecting, s")


class Policy(Table):
    """`[policy]`: what the battery is for."""

    name: PolicyName = Field("self_consumption", description="what decides")
    fallback: PolicyName = Field("self_consumption", description="what decides when that cannot")
    reserve_pct: Percent = Field(0.0, description="kept for outages, %")
    target_import_w: float = Field(0.0, ge=-1e6, le=1e6, description="what the PCC is held at, W")
    deadband_w: float = Field(10.0, ge=0, le=10_000, description="smaller corrections are not written, W")
    ramp_w_per_s: float | None = Field(None, gt=0, description="fastest change of the setpoint, W/s")
    grid_charging: bool = Field(False, description="economic: may it charge from the grid?")
    battery_export: bool = Field(False, description="economic: may it sell from the battery?")
    standby_soc_pct: Percent = Field(100.0, description="standby: the level to keep, %")
    standby_charge_w: Watts | None = Field(None, description="standby: how fast to charge, W")
    window: list[WindowTable] = Field(default_factory=list, description="schedule: [[policy.window]]")
    frequency: Frequency | None = Field(None, description="follow: [policy.frequency]")


class SiteFile(Table):
    """One site, for both ends: `penstock run` and `penstock emulate` read the same file."""

    site: Name
    timezone: str | None = Field(None, description='such as "Europe/Brussels"; the host\'s when left out')
    cycle_s: float = Field(1.0, ge=0.1, le=60, description="the beat of the controller, s; 0.1 to 60")
    grid: Grid = Grid()
    meter: list[Meter] = Field(min_length=1, max_length=1, description="one [[meter]] at the PCC")
    battery: list[Battery] = Field(min_length=1, max_length=16, description="at least one [[battery]]")
    pv: list[Pv] = Field(default_factory=list, max_length=16)
    switch: list[Switch] = Field(default_factory=list, max_length=64)
    policy: Policy = Policy()
    demand: Demand | None = None
    island: Island = Island()
    mqtt: Mqtt | None = None
    tariff: TariffTable | None = None
    planning: Planning = Planning()
    state: StateTable = StateTable()
    journal: JournalTable = JournalTable()
    simulation: Simulation = Simulation()
