"""What dispatch has to know of a site that does not change while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Chemistry = Literal["lithium", "lead_acid"]
Curve = tuple[tuple[float, float], ...]
"""Points (x, share of the rating) with ascending x; straight lines in between, level outside."""


@dataclass(frozen=True, slots=True)
class CareSettings:
    """What a battery needs beside its work; 0 days means never.

    Lithium: a full charge every `full_every_days` lets the BMS balance the cells. Lead-acid: an absorption
    charge, full for `absorption_s`, every `full_every_days`; while that is overdue by more than
    `patience_days` its minimum SoC rises by `min_soc_step_pct` a day, up to `min_soc_most_pct`.
    """

    full_every_days: float = 0.0
    absorption_s: float = 0.0
    patience_days: float = 2.0
    min_soc_step_pct: float = 5.0
    min_soc_most_pct: float = 85.0


@dataclass(frozen=True, slots=True)
class BatterySettings:
    """One battery as the owner described it; a power limit of None leaves the device's own in force.

    `phase` 1 to 3 is where a single-phase inverter stands, None where it feeds all phases evenly.
    `min_power_w` is the band around 0 W in which the inverter cannot hold a setpoint. `lease_s`,
    `dead_time_s` and `time_constant_s` come from the device's profile; None: it never forgets an order.
    `efficient_from_w` is the power below which one unit alone works better than several. `obeys` says that it
    is to do just what it is ordered, at once: then it can be told what it is off.
    """

    id: str
    capacity_wh: float
    min_soc_pct: float = 5.0
    max_soc_pct: float = 100.0
    max_charge_w: float | None = None
    max_discharge_w: float | None = None
    phase: int | None = None
    min_power_w: float = 0.0
    efficient_from_w: float = 0.0
    lease_s: float | None = None
    dead_time_s: float = 0.0
    time_constant_s: float = 0.0
    obeys: bool = True
    chemistry: Chemistry = "lithium"
    charge_by_temperature: Curve = ()
    discharge_by_temperature: Curve = ()
    charge_by_soc: Curve = ()
    discharge_by_soc: Curve = ()
    care: CareSettings = CareSettings()

    @property
    def lag_s(self) -> float:
        """After so long an order has been followed but for 5 %: dead time and three time constants."""
        return self.dead_time_s + 3.0 * self.time_constant_s


@dataclass(frozen=True, slots=True)
class PvSettings:
    """One PV inverter that can be curtailed."""

    id: str


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """A load behind a switch: shed on the island below one SoC, restored above the other."""

    id: str
    nominal_w: float
    shed_below_soc_pct: float = 30.0
    restore_above_soc_pct: float = 50.0


@dataclass(frozen=True, slots=True)
class MeterSettings:
    """What is known of the meter at the PCC: how old a value is when it can be read, how often it is new.

    `counts_exactly`: its energy counter is finer and truer than a sum of its powers. Of no meter on a wire
    can that be said; that of a simulated time is exact, and there beats are far apart.
    """

    delay_s: float = 0.0
    period_s: float = 0.0
    counts_exactly: bool = False


@dataclass(frozen=True, slots=True)
class DemandSettings:
    """Billing of the peak: the mean import of clock-aligned windows, the month's highest counts.

    `target_w` is what the owner wants to stay below from the first window of a month on; the month's
    peak so far is never defended below itself.
    """

    window_s: int = 900
    target_w: float = 0.0


@dataclass(frozen=True, slots=True)
class Window:
    """One line of the schedule, in local time: on these weekdays (0 is Monday) or dates, from and to.

    Seconds count from local midnight; `to_s` before or at `from_s` means the next day. `action`:
    charge or discharge at `power_w` (until `soc_pct` if given), hold at 0 W, or hold the PCC at `power_w`.
    """

    from_s: int
    to_s: int
    action: Literal["charge", "discharge", "hold", "pcc"]
    power_w: float = 0.0
    soc_pct: float | None = None
    weekdays: frozenset[int] = frozenset(range(7))
    first_day: int | None = None
    last_day: int | None = None
    """Proleptic ordinals of `datetime.date`, both included; None: no bound."""


@dataclass(frozen=True, slots=True)
class FrequencySettings:
    """Frequency response of the `follow` policy: a droop outside of a dead band, and a band for the SoC.

    Above `nominal_hz + deadband_hz` the battery charges `w_per_hz` for each Hz beyond, below it
    discharges, up to `most_w`. Inside the dead band the SoC is led back to its band with `recover_w`.
    """

    w_per_hz: float
    most_w: float
    nominal_hz: float = 50.0
    deadband_hz: float = 0.02
    soc_low_pct: float = 40.0
    soc_high_pct: float = 60.0
    recover_w: float = 0.0


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """What the battery is for, and what it does when that cannot be had (`fallback`)."""

    name: str = "self_consumption"
    fallback: str = "self_consumption"
    target_import_w: float = 0.0
    deadband_w: float = 10.0
    reserve_pct: float = 0.0
    ramp_w_per_s: float | None = None
    grid_charging: bool = False
    battery_export: bool = False
    standby_soc_pct: float = 100.0
    standby_charge_w: float | None = None
    schedule: tuple[Window, ...] = ()
    frequency: FrequencySettings | None = None


@dataclass(frozen=True, slots=True)
class DispatchConfig:
    """All that `step` knows beside its memory and the snapshot.

    `import_limit_w` and `export_limit_w` are magnitudes at the PCC, None where there is none; `fuse_a`
    holds for each phase. `island_floor_pct` is how far an island may discharge, below the reserve.
    """

    batteries: tuple[BatterySettings, ...]
    pvs: tuple[PvSettings, ...] = ()
    loads: tuple[LoadSettings, ...] = ()
    meter: MeterSettings = MeterSettings()
    policy: PolicySettings = PolicySettings()
    cycle_s: float = 1.0
    phases: int = 3
    import_limit_w: float | None = None
    export_limit_w: float | None = None
    fuse_a: float | None = None
    nominal_v: float = 230.0
    demand: DemandSettings | None = None
    island_floor_pct: float = 10.0
    enter_service_s: float = 300.0
    stale_after_s: float = field(default=1.5)
    lost_after_s: float = field(default=2.5)
