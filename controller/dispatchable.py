"""From the checked site file to what dispatch has to know of the site."""

from __future__ import annotations

from collections.abc import Sequence

from controller import sitefile
from controller.dispatch.settings import (
    BatterySettings,
    CareSettings,
    Curve,
    DemandSettings,
    DispatchConfig,
    FrequencySettings,
    LoadSettings,
    MeterSettings,
    PolicySettings,
    PvSettings,
)
from drivers.profile import DeviceProfile

PHASE_VOLTAGE_V = 230.0
LITHIUM_CHARGE: Curve = ((0.0, 0.0), (10.0, 1.0), (50.0, 1.0), (60.0, 0.0))
"""Lithium is not charged below 0 C nor above 60 C; between, what makers of LFP cells commonly allow."""


def dispatch_config(
    site: sitefile.SiteFile, profiles: dict[str, DeviceProfile], billed: DemandSettings | None = None
) -> DispatchConfig:
    """The settings of every part of dispatch; `profiles` by device id, `billed` the tariff's own peaks."""
    meter = _meter(site.meter[0], profiles[site.meter[0].id])
    stale_after_s = max(1.5, 1.5 * site.cycle_s, 2.0 * meter.period_s)
    return DispatchConfig(
        batteries=tuple(_battery(one, profiles[one.id]) for one in site.battery),
        pvs=tuple(PvSettings(one.id) for one in site.pv),
        loads=tuple(
            LoadSettings(one.id, one.sheds_w, one.shed_below_soc_pct, one.restore_above_soc_pct)
            for one in site.switch
        ),
        meter=meter,
        policy=_policy(site.policy),
        cycle_s=site.cycle_s,
        phases=site.grid.phases,
        import_limit_w=_import_limit_w(site.grid),
        export_limit_w=site.grid.export_limit_w,
        fuse_a=site.grid.fuse_a,
        nominal_v=PHASE_VOLTAGE_V,
        demand=billed if site.demand is None else _demand(site.demand),
        island_floor_pct=site.island.floor_pct,
        enter_service_s=site.island.enter_service_s,
        stale_after_s=stale_after_s,
        lost_after_s=stale_after_s + max(1.0, site.cycle_s),
    )


def _meter(meter: sitefile.Meter, profile: DeviceProfile) -> MeterSettings:
    """How late the meter is: as measured at this site, else as its profile says."""
    response = profile.response
    return MeterSettings(
        response.delay_s if meter.delay_s is None else meter.delay_s,
        response.period_s if meter.period_s is None else meter.period_s,
    )


def _demand(demand: sitefile.Demand) -> DemandSettings:
    return DemandSettings(demand.window_min * 60, demand.target_w)


def fuse_w(grid: sitefile.Grid) -> float | None:
    """What the main fuse carries on all phases together."""
    return None if grid.fuse_a is None else grid.fuse_a * PHASE_VOLTAGE_V * grid.phases


def _import_limit_w(grid: sitefile.Grid) -> float | None:
    limits_w = [one for one in (grid.import_limit_w, fuse_w(grid)) if one is not None]
    return min(limits_w, default=None)


def _battery(one: sitefile.Battery, profile: DeviceProfile) -> BatterySettings:
    tells_temperature = "temperature_c" in profile.gives
    charge_by_temperature: Curve = ()
    if one.charge_by_temperature is not None:
        charge_by_temperature = _curve(one.charge_by_temperature)
    elif one.chemistry == "lithium" and tells_temperature:
        charge_by_temperature = LITHIUM_CHARGE
    return BatterySettings(
        id=one.id,
        capacity_wh=one.capacity_wh,
        min_soc_pct=one.min_soc_pct,
        max_soc_pct=one.max_soc_pct,
        max_charge_w=one.max_charge_w,
        max_discharge_w=one.max_discharge_w,
        phase=one.phase,
        min_power_w=one.min_power_w,
        efficient_from_w=one.efficient_from_w,
        lease_s=None if profile.lease is None else profile.lease.seconds,
        dead_time_s=profile.response.dead_time_s,
        time_constant_s=profile.response.time_constant_s,
        obeys=_obeys(profile),
        chemistry=one.chemistry,
        charge_by_temperature=charge_by_temperature,
        discharge_by_temperature=_curve(one.discharge_by_temperature),
        charge_by_soc=_curve(one.charge_by_soc),
        discharge_by_soc=_curve(one.discharge_by_soc),
        care=CareSettings(one.full_every_days, one.absorption_min * 60.0),
    )


def _obeys(profile: DeviceProfile) -> bool:
    """Whether the device does just what it is ordered, at once: not by a law of its own, not once an hour."""
    control = profile.control
    return control is None or (control.style not in ("limited_amps", "import_watts") and not control.change_s)


def _curve(points: Sequence[tuple[float, float]]) -> Curve:
    return tuple((at, share) for at, share in points)


def _policy(policy: sitefile.Policy) -> PolicySettings:
    frequency = policy.frequency
    return PolicySettings(
        name=policy.name,
        fallback=policy.fallback,
        target_import_w=policy.target_import_w,
        deadband_w=policy.deadband_w,
        reserve_pct=policy.reserve_pct,
        ramp_w_per_s=policy.ramp_w_per_s,
        grid_charging=policy.grid_charging,
        battery_export=policy.battery_export,
        standby_soc_pct=policy.standby_soc_pct,
        standby_charge_w=policy.standby_charge_w,
        schedule=tuple(one.window() for one in policy.window),
        frequency=None if frequency is None else FrequencySettings(**frequency.model_dump()),
    )
