"""One cycle of dispatch: observe, choose the mode, ask the policy, narrow by the limits, share out."""

from __future__ import annotations

from controller.dispatch import curtailment, limits
from controller.dispatch.decision import Decision, Memory
from controller.dispatch.limits import Latches, Range
from controller.dispatch.modes import NEXT_MODE, PROOF_S, Mode, Signal
from controller.dispatch.policies import POLICIES
from controller.dispatch.settings import DispatchConfig
from controller.dispatch.share import share
from controller.dispatch.site import Missing, Site, Snapshot, observe

SOFT_START_PER_S = 0.1
"""After a restricted mode power comes back at this part of the rating a second (fault catalogue, R2)."""

_NO_LATCHES = Latches()
_RESTRICTED = frozenset({Mode.STARTING, Mode.SAFE, Mode.FAULT})
_HANDED_BACK = frozenset({Mode.ISLANDED, Mode.STOPPED})


def step(config: DispatchConfig, memory: Memory, snapshot: Snapshot) -> tuple[Memory, Decision]:
    """The next memory and the decision; the same arguments always give the same answer."""
    observed = observe(config, memory.taken_at_s, snapshot)
    signal, fresh_since_s = _signal(memory, snapshot, observed)
    mode = NEXT_MODE[memory.mode, signal]
    if mode is Mode.RUNNING and isinstance(observed, Site):
        return _run(config, memory, observed, fresh_since_s)
    missing = snapshot.fault if mode is Mode.FAULT else _why(observed, snapshot)
    if mode is Mode.HOLDING:
        return _hold(config, memory, snapshot.now_s, fresh_since_s, missing)
    return _rest(config, memory, snapshot, mode, fresh_since_s, missing)


def _signal(memory: Memory, snapshot: Snapshot, observed: Site | Missing) -> tuple[Signal, float | None]:
    """What this snapshot says, and since when readings have been fresh without a gap."""
    grid_lost = any(reading is not None and reading.grid_present is False for reading in snapshot.batteries)
    fresh_since_s = None
    if isinstance(observed, Site) and not grid_lost:
        fresh_since_s = snapshot.now_s if memory.fresh_since_s is None else memory.fresh_since_s
    if snapshot.fault:
        return Signal.FAULTY, fresh_since_s
    if snapshot.stop:
        return Signal.STOP, fresh_since_s
    if grid_lost:
        return Signal.NO_GRID, None
    if fresh_since_s is None:
        return Signal.LOST if isinstance(observed, Missing) and observed.lost else Signal.STALE, None
    proven = snapshot.now_s - fresh_since_s >= PROOF_S[memory.mode]
    return Signal.PROVEN if proven else Signal.FRESH, fresh_since_s


def _why(observed: Site | Missing, snapshot: Snapshot) -> str:
    return observed.reason if isinstance(observed, Missing) and not snapshot.stop else ""


def _run(
    config: DispatchConfig, memory: Memory, site: Site, fresh_since_s: float | None
) -> tuple[Memory, Decision]:
    """RUNNING: what the policy wants, within what every limit allows."""
    before = memory.latches or tuple(_NO_LATCHES for _ in config.batteries)
    latches = list(before)
    for battery in site.batteries:
        latches[battery.index] = limits.latch(config, before[battery.index], battery)
    allowed = tuple(limits.rating(battery, latches[battery.index]) for battery in site.batteries)
    preferred = tuple(
        limits.reserve(room, latches[battery.index])
        for room, battery in zip(allowed, site.batteries, strict=True)
    )
    soft_start = memory.soft_start or memory.mode not in (Mode.RUNNING, Mode.HOLDING)
    if site.is_news:
        wanted_w = POLICIES[config.policy](config, site)
        total_w, limited_by, reach, soft_start = _limited(
            config, memory, site, wanted_w, allowed, preferred, soft_start
        )
        if (
            not limited_by
            and abs(total_w - memory.setpoint_w) <= config.deadband_w
            and reach.clamp(memory.setpoint_w) == memory.setpoint_w
        ):
            total_w = memory.setpoint_w
        caps_w = curtailment.closed_loop(config, site, max(-reach.lower_w, 0.0), memory.pv_caps_w)
    else:
        wanted_w, total_w = memory.wanted_w, memory.setpoint_w
        limited_by, caps_w = memory.limited_by, memory.pv_caps_w
    setpoints = [0.0] * len(config.batteries)
    for battery, setpoint_w in zip(site.batteries, share(total_w, preferred, allowed), strict=True):
        setpoints[battery.index] = setpoint_w
    setpoint_w = sum(setpoints)
    setpoints_w = tuple(setpoints)
    decision = Decision(
        Mode.RUNNING,
        config.policy,
        wanted_w,
        setpoint_w,
        setpoints_w,
        caps_w,
        limited_by,
        wanted_w - setpoint_w if limited_by else 0.0,
        "",
        config.reserve_pct,
    )
    after = Memory(
        Mode.RUNNING,
        fresh_since_s,
        site.now_s,
        max(site.taken_at_s, memory.taken_at_s),
        wanted_w,
        limited_by,
        setpoint_w,
        setpoints_w,
        caps_w,
        tuple(latches),
        soft_start,
    )
    return after, decision


def _limited(
    config: DispatchConfig,
    memory: Memory,
    site: Site,
    wanted_w: float,
    allowed: tuple[Range, ...],
    preferred: tuple[Range, ...],
    soft_start: bool,
) -> tuple[float, str, Range, bool]:
    """The allowed power nearest to `wanted_w`, the limit that bound, what all allow, still soft?"""
    lower_w = sum(room.lower_w for room in allowed)
    upper_w = sum(room.upper_w for room in allowed)
    reach = Range(lower_w, upper_w)
    power_w, limited_by = reach.clamp(wanted_w), ""
    if power_w != wanted_w:
        limited_by = _rating_name(site, wanted_w, upper_w if wanted_w > power_w else lower_w)
    for name, limit in (
        ("import_limit", limits.import_limit(config, site)),
        ("export_limit", limits.export_limit(config, site)),
        ("reserve", Range(float("-inf"), sum(room.upper_w for room in preferred))),
    ):
        if limit is None:
            continue
        reach = reach.narrow(limit)
        clamped_w = reach.clamp(power_w)
        if clamped_w != power_w:
            power_w, limited_by = clamped_w, name
    ramp_w_per_s = config.ramp_w_per_s
    if soft_start:
        soft_w_per_s = (
            SOFT_START_PER_S * sum(b.max_charge_w + b.max_discharge_w for b in site.batteries) / 2.0
        )
        ramp_w_per_s = soft_w_per_s if ramp_w_per_s is None else min(ramp_w_per_s, soft_w_per_s)
    if ramp_w_per_s is not None:
        elapsed_s = site.now_s - memory.decided_at_s if memory.decided_at_s is not None else config.cycle_s
        reach = reach.narrow(limits.ramp(ramp_w_per_s, memory.setpoint_w, elapsed_s))
        clamped_w = reach.clamp(power_w)
        soft_start = soft_start and clamped_w != power_w
        if clamped_w != power_w:
            power_w, limited_by = clamped_w, "ramp"
    return power_w, limited_by, reach, soft_start


def _rating_name(site: Site, wanted_w: float, edge_w: float) -> str:
    """Limit 1 by the name an owner would use: an edge at 0 W means empty or full, not a rating."""
    if edge_w != 0.0:
        return "rating"
    return "empty" if wanted_w > 0.0 else "full"


def _hold(
    config: DispatchConfig, memory: Memory, now_s: float, fresh_since_s: float | None, missing: str
) -> tuple[Memory, Decision]:
    """HOLDING: everything as it was ordered last."""
    setpoints_w = memory.battery_setpoints_w or tuple(0.0 for _ in config.batteries)
    decision = Decision(
        Mode.HOLDING,
        config.policy,
        memory.wanted_w,
        memory.setpoint_w,
        setpoints_w,
        memory.pv_caps_w,
        missing=missing,
    )
    after = Memory(
        Mode.HOLDING,
        fresh_since_s,
        now_s,
        memory.taken_at_s,
        memory.wanted_w,
        memory.limited_by,
        memory.setpoint_w,
        setpoints_w,
        memory.pv_caps_w,
        memory.latches,
        memory.soft_start,
    )
    return after, decision


def _rest(
    config: DispatchConfig,
    memory: Memory,
    snapshot: Snapshot,
    mode: Mode,
    fresh_since_s: float | None,
    missing: str,
) -> tuple[Memory, Decision]:
    """Every mode that orders nothing: 0 W and capped PV, or handed back to the devices' own programs."""
    setpoints_w: tuple[float | None, ...] = tuple(
        None if mode in _HANDED_BACK else 0.0 for _ in config.batteries
    )
    caps_w: tuple[float | None, ...] = tuple(None for _ in config.pvs)
    if mode in _RESTRICTED:
        caps_w = curtailment.open_loop(
            config, tuple(None if pv is None else pv.rated_w for pv in snapshot.pvs)
        )
    decision = Decision(mode, config.policy, 0.0, 0.0, setpoints_w, caps_w, missing=missing)
    after = Memory(
        mode,
        fresh_since_s,
        snapshot.now_s,
        memory.taken_at_s,
        pv_caps_w=caps_w,
        latches=memory.latches,
    )
    return after, decision
