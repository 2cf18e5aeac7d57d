"""Pure: one cycle -> the messages of the public schema. Absent readings are null, never 0."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from datetime import UTC, datetime

from controller.alarms import alarms
from controller.dispatch.islanding import autonomy_h
from controller.dispatch.settings import DispatchConfig
from controller.dispatch.site import Snapshot
from controller.loop import Cycle
from controller.messages import DemandMessage, DeviceMessage, EnergyMessage, StateMessage
from drivers.device import BatteryReading, MeterReading, PvReading, SwitchReading


def state_message(config: DispatchConfig, cycle: Cycle, elsewhere: Collection[str] = ()) -> StateMessage:
    """The site as this cycle saw it; sums are null as soon as one part is not fresh."""
    snapshot, decision = cycle.snapshot, cycle.decision
    now_s = snapshot.now_s
    fresh_s = config.stale_after_s
    meter = snapshot.meter if _age_s(snapshot.meter, now_s, fresh_s) is not None else None
    batteries = [one for one in snapshot.batteries if one is not None and now_s - one.taken_at_s <= fresh_s]
    pvs = [one for one in snapshot.pvs if one is not None and now_s - one.taken_at_s <= fresh_s]
    discharge_w = (
        sum(one.battery_discharge_w for one in batteries) if len(batteries) == len(config.batteries) else None
    )
    pv_w = sum(one.pv_generation_w for one in pvs) if len(pvs) == len(config.pvs) else None
    pcc_w = None if meter is None else meter.pcc_import_w
    load_w = None if pcc_w is None or pv_w is None or discharge_w is None else pcc_w + pv_w + discharge_w
    timing = cycle.timing
    return StateMessage(
        at=iso(snapshot.utc_s),
        seq=cycle.seq,
        mode=decision.mode,
        policy=decision.policy,
        pcc_import_w=_watts(pcc_w),
        load_w=_watts(load_w),
        pv_generation_w=_watts(pv_w),
        battery_discharge_w=_watts(discharge_w),
        soc_pct=_site_soc_pct(config, snapshot.batteries),
        setpoint_w=round(decision.setpoint_w, 1),
        wanted_w=round(decision.wanted_w, 1),
        limited_by=decision.limited_by,
        limited_w=round(decision.limited_w, 1),
        reason=decision.reason,
        peak_forecast_w=_watts(decision.peak_forecast_w),
        autonomy_h=_hours(decision.autonomy_h, config, snapshot, load_w),
        alarms=list(alarms(cycle, elsewhere)),
        loads_shed=decision.loads_closed.count(False),
        age_s={one.id: _age_s(one.reading, now_s) for one in cycle.stations},
        start_jitter_ms=round(timing.start_jitter_s * 1e3, 3),
        read_ms=round(timing.read_s * 1e3, 3),
        decide_ms=round(timing.decide_s * 1e3, 3),
        overruns=timing.overruns,
    )


def energy_message(cycle: Cycle) -> EnergyMessage | None:
    """The counters that may be told; None while nobody knows where they stood before the restart."""
    if cycle.energy is None:
        return None
    return EnergyMessage(at=iso(cycle.snapshot.utc_s), **asdict(cycle.energy))


def demand_message(config: DispatchConfig, cycle: Cycle) -> DemandMessage | None:
    """The billing window as it is counted; None without [demand] or before the first decision in RUNNING."""
    counted = cycle.memory.demand
    if config.demand is None or counted is None:
        return None
    return DemandMessage(
        at=iso(cycle.snapshot.utc_s),
        window_begin=iso(counted.window_begin_utc_s),
        window_s=config.demand.window_s,
        window_import_wh=round(counted.energy_wh, 1),
        watched=counted.watched,
        forecast_w=_watts(cycle.decision.peak_forecast_w),
        month_peak_w=round(counted.month_peak_w, 1),
        target_w=config.demand.target_w,
    )


def device_messages(cycle: Cycle) -> list[DeviceMessage]:
    """One message for each device of the site."""
    orders: list[float | None] = [
        None,
        *cycle.decision.battery_setpoints_w,
        *cycle.decision.pv_caps_w,
        *(None for _ in cycle.switches),
    ]
    found = []
    for station, order_w in zip(cycle.stations, orders, strict=True):
        facts = station.device.facts
        found.append(
            DeviceMessage(
                id=facts.id,
                profile=facts.profile,
                online=station.well and station.reading is not None,
                error=station.error or station.write_error,
                age_s=_age_s(station.reading, cycle.snapshot.now_s),
                readings=_readings(station.reading),
                setpoint_w=_watts(order_w),
                outcome=station.outcome,
                reads=station.reads,
                failures=station.failures,
                writes=station.writes,
                write_failures=station.write_failures,
                lease_s=facts.lease_s,
            )
        )
    return found


AnyReading = MeterReading | BatteryReading | PvReading | SwitchReading | None


def _readings(reading: AnyReading) -> dict[str, float | bool | list[float] | None]:
    if reading is None:
        return {}
    found: dict[str, float | bool | list[float] | None] = {}
    for name in type(reading).__dataclass_fields__:
        value = getattr(reading, name)
        if name != "taken_at_s" and value != ():
            found[name] = _rounded(value)
    return found


def _rounded(value: float | bool | tuple[float, ...] | None) -> float | bool | list[float] | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, tuple):
        return [round(one, 2) for one in value]
    return round(value, 2)


def _site_soc_pct(config: DispatchConfig, readings: tuple[BatteryReading | None, ...]) -> float | None:
    stored_wh = capacity_wh = 0.0
    for settings, reading in zip(config.batteries, readings, strict=True):
        if reading is None or reading.soc_pct is None:
            return None
        stored_wh += reading.soc_pct * settings.capacity_wh
        capacity_wh += settings.capacity_wh
    return round(stored_wh / capacity_wh, 2)


def _age_s(reading: AnyReading, now_s: float, at_most_s: float = float("inf")) -> float | None:
    """The age, or None when there is no reading or it is older than asked for."""
    if reading is None or now_s - reading.taken_at_s > at_most_s:
        return None
    return round(max(now_s - reading.taken_at_s, 0.0), 3)


def _hours(
    on_island_h: float | None, config: DispatchConfig, snapshot: Snapshot, load_w: float | None
) -> float | None:
    """On the island what dispatch says, on the grid what the load of now would leave."""
    left_h = on_island_h
    if left_h is None and load_w is not None:
        left_h = autonomy_h(config, snapshot, load_w)
    return None if left_h is None else round(left_h, 1)


def _watts(power_w: float | None) -> float | None:
    return None if power_w is None else round(power_w, 1)


def iso(utc_s: float | None) -> str | None:
    """UTC as it stands in every message."""
    if utc_s is None:
        return None
    return datetime.fromtimestamp(utc_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
