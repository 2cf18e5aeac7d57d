"""What dispatch has to know of a site that does not change while it runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BatterySettings:
    """One battery as the owner described it; a power limit of None leaves the device's own in force."""

    id: str
    capacity_wh: float
    min_soc_pct: float = 5.0
    max_soc_pct: float = 100.0
    max_charge_w: float | None = None
    max_discharge_w: float | None = None


@dataclass(frozen=True, slots=True)
class PvSettings:
    """One PV inverter that can be curtailed."""

    id: str


@dataclass(frozen=True, slots=True)
class DispatchConfig:
    """All that `step` knows beside its memory and the snapshot.

    `import_limit_w` and `export_limit_w` are magnitudes at the PCC, None where there is none.
    A reading is used while younger than `stale_after_s`; after `lost_after_s` the site goes to its safe
    state (fault catalogue, R2: a safe setpoint on the wire within 3 s of the last good sample).
    """

    batteries: tuple[BatterySettings, ...]
    pvs: tuple[PvSettings, ...] = ()
    cycle_s: float = 1.0
    import_limit_w: float | None = None
    export_limit_w: float | None = None
    policy: str = "self_consumption"
    target_import_w: float = 0.0
    deadband_w: float = 10.0
    reserve_pct: float = 0.0
    ramp_w_per_s: float | None = None
    stale_after_s: float = 1.5
    lost_after_s: float = 2.5
