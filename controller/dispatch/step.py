"""One cycle of dispatch: observe, choose the mode, ask the policy, narrow by the limits, share out."""

from __future__ import annotations

from dataclasses import replace

from controller.dispatch import islanding
from controller.dispatch.blind import BLIND, SEES, still_blind
from controller.dispatch.curtailment import closed_loop, open_loop, uncapped
from controller.dispatch.decision import Decision, Heard, Memory
from controller.dispatch.limits import (
    NO_LATCHES,
    export_in_force_w,
    kept_for_reserve,
    latch,
    rating,
)
from controller.dispatch.modes import NEXT_MODE, PROOF_S, Mode, Signal
from controller.dispatch.observe import fresh, observe, with_batteries
from controller.dispatch.orders import NO_ORDERS
from controller.dispatch.plausible import FROZEN, asks_at_rest_w, possible
from controller.dispatch.running import run
from controller.dispatch.settings import DispatchConfig
from controller.dispatch.site import Missing, Site, Snapshot
from controller.dispatch.soc import believed, follow_soc

_RESTRICTED = frozenset({Mode.STARTING, Mode.SAFE, Mode.FAULT})
_HANDED_BACK = frozenset({Mode.ISLANDED, Mode.STOPPED})

HOLD_MOST = 2.0
"""Readings that come and go are held over for so many times what makes one lost."""


def step(config: DispatchConfig, memory: Memory, snapshot: Snapshot) -> tuple[Memory, Decision]:
    """The next memory and the decision; the same arguments always give the same answer."""
    wrong = ""
    if memory.mode not in _HANDED_BACK:  # in its own program a battery may do more than the site file lets it
        snapshot, wrong = possible(config, memory.response.read, snapshot)
    charges, soc_doubted = follow_soc(config.batteries, memory.charges, snapshot)
    if soc_doubted:
        snapshot = believed(snapshot, charges)
    response = memory.response
    if len(config.batteries) > 1 and memory.mode is Mode.RUNNING:
        response = with_batteries(config, response, memory.heard, snapshot)
    others = response is not memory.response
    observed, response, doubt = observe(config, response, memory.doubt, snapshot, memory.battery_setpoints_w)
    blind = memory.blind
    if blind.found:
        blind, observed = still_blind(blind, observed)
    elif others or isinstance(observed, Missing) or response.pv_heard != memory.response.pv_heard:
        blind = SEES  # what other devices gave is no measure
    lost = islanding.grid_lost(config, snapshot)
    island = memory.island
    if lost or island is not None:
        island = islanding.follow_grid(config, island, lost, snapshot.now_s)
    signal, fresh_since_s, fresh_at_s = _signal(config, memory, snapshot, observed, island)
    mode = NEXT_MODE[memory.mode, signal]
    heard = Heard(fresh_since_s, fresh_at_s, response, doubt, island, charges, soc_doubted, blind)
    if mode is Mode.RUNNING and isinstance(observed, Site):
        after, decision = run(config, memory, observed, heard)
    elif mode is Mode.HOLDING:
        after, decision = _hold(config, memory, snapshot.now_s, heard, observed)
    else:
        after, decision = _rest(config, memory, snapshot, mode, heard, observed)
    if wrong:
        note = f"{decision.note}; {wrong}" if decision.note else wrong
        decision = replace(decision, note=note)
    return after, decision


def _signal(
    config: DispatchConfig,
    memory: Memory,
    snapshot: Snapshot,
    observed: Site | Missing,
    island: islanding.IslandState | None,
) -> tuple[Signal, float | None, float]:
    """What this snapshot says, since when readings have been good without a gap, and when they last were.

    A meter on the island proves nothing until the grid is back. Good readings that come and go do not
    prolong HOLDING: what is missing after `HOLD_MOST` of a loss is lost.
    """
    now_s = snapshot.now_s
    fresh_since_s, fresh_at_s = None, memory.fresh_at_s
    islanded = island is not None and island.islanded_since_s is not None
    proven = False
    if isinstance(observed, Site):
        fresh_at_s = now_s
        if island is None or not islanded or island.grid_back_since_s is not None:
            fresh_since_s = now_s if memory.fresh_since_s is None else memory.fresh_since_s
            proven = now_s - fresh_since_s >= PROOF_S[memory.mode]
    if snapshot.fault:
        return Signal.FAULTY, fresh_since_s, fresh_at_s
    if snapshot.orders.stop:
        return Signal.STOP, fresh_since_s, fresh_at_s
    if islanded:
        return Signal.NO_GRID, fresh_since_s, fresh_at_s
    if isinstance(observed, Missing):
        held_since_s = now_s if memory.held_since_s is None else memory.held_since_s
        held_long = now_s - held_since_s > HOLD_MOST * config.lost_after_s
        lost = observed.lost or held_long or now_s - fresh_at_s > config.lost_after_s
        return (Signal.LOST if lost else Signal.STALE), None, fresh_at_s
    return (Signal.PROVEN if proven else Signal.FRESH), fresh_since_s, fresh_at_s


def _why(observed: Site | Missing) -> str:
    return observed.reason if isinstance(observed, Missing) else ""


def _hold(
    config: DispatchConfig, memory: Memory, now_s: float, heard: Heard, observed: Site | Missing
) -> tuple[Memory, Decision]:
    """HOLDING: everything as it was ordered last."""
    orders_w = memory.orders_w or tuple([0.0 for _ in config.batteries])
    decision = Decision(
        Mode.HOLDING,
        memory.policy,
        memory.wanted_w,
        memory.setpoint_w,
        orders_w,
        memory.pv_caps_w,
        missing=_why(observed),
        loads_closed=islanding.loads_closed(config, heard.island),
    )
    after = Memory(
        Mode.HOLDING,
        heard.fresh_since_s,
        heard.fresh_at_s,
        now_s,
        heard.response,
        heard.doubt,
        memory.policy,
        memory.wanted_w,
        memory.setpoint_w,
        memory.battery_setpoints_w,
        memory.heard,
        memory.pv_caps_w,
        memory.latches,
        memory.soft_start,
        memory.demand,
        memory.care,
        heard.island,
        heard.charges,
        memory.ramped_w,
        memory.followings,
        memory.shortfall,
        memory.trims,
        memory.orders_w,
        memory.pv_trim,
        now_s if memory.held_since_s is None else memory.held_since_s,
        memory.phase_loads,
        heard.blind,
    )
    return after, decision


def _rest(
    config: DispatchConfig,
    memory: Memory,
    snapshot: Snapshot,
    mode: Mode,
    heard: Heard,
    observed: Site | Missing,
) -> tuple[Memory, Decision]:
    """Every mode that orders nothing: 0 W and capped PV, or handed back to the devices' own programs."""
    loads_closed: tuple[bool, ...] = ()
    island, pv_caps_w, autonomy_h = heard.island, uncapped(len(config.pvs)), None
    if mode is Mode.ISLANDED:
        island, loads_closed, pv_caps_w, autonomy_h = islanding.carry_on(config, heard.island, snapshot)
        if island.grid_back_since_s is not None:
            pv_caps_w = _caps_of_return(config, memory, snapshot, observed)
    elif mode in _RESTRICTED:
        if island is not None and island.islanded_since_s is None:
            island = islanding.on_grid(config, island, snapshot.now_s)
        loads_closed = islanding.loads_closed(config, island)
        pv_caps_w = _safe_caps(config, memory, snapshot)
    setpoints_w: tuple[float | None, ...] = tuple(
        [None if mode in _HANDED_BACK else 0.0 for _ in config.batteries]
    )
    missing = "" if mode is Mode.STOPPED else snapshot.fault if mode is Mode.FAULT else _why(observed)
    if mode is Mode.SAFE and missing in (FROZEN, BLIND) and snapshot.orders is NO_ORDERS:
        since_s = heard.doubt.moved_at_s if missing == FROZEN else heard.blind.asked_at_s
        setpoints_w = _question(config, snapshot, since_s)
    decision = Decision(
        mode,
        snapshot.orders.policy or config.policy.name,
        0.0,
        0.0,
        setpoints_w,
        pv_caps_w,
        missing=missing,
        loads_closed=loads_closed,
        autonomy_h=autonomy_h,
    )
    after = Memory(
        mode,
        heard.fresh_since_s,
        heard.fresh_at_s,
        snapshot.now_s,
        heard.response,
        heard.doubt,
        battery_setpoints_w=memory.battery_setpoints_w,
        heard=memory.heard,
        pv_caps_w=pv_caps_w,
        latches=memory.latches,
        demand=memory.demand,
        care=memory.care,
        island=island,
        charges=heard.charges,
        trims=memory.trims,
        pv_trim=memory.pv_trim,
        blind=heard.blind,
    )
    return after, decision


def _question(config: DispatchConfig, snapshot: Snapshot, since_s: float | None) -> tuple[float | None, ...]:
    """At rest, but for the question whether the meter is alive: the first with room moves a little."""
    rests_w = [0.0] * len(config.batteries)
    heard, _, _, rated_w = fresh(config, snapshot)
    question_w = asks_at_rest_w(since_s, snapshot.now_s, rated_w)
    for one in heard:
        settings = config.batteries[one.index]
        run_into = latch(
            NO_LATCHES, one.soc_pct, settings.min_soc_pct, settings.max_soc_pct, config.policy.reserve_pct
        )
        room = kept_for_reserve(rating(one, run_into), run_into)
        asked_w = -question_w if -question_w >= room.lower_w else question_w
        if room.lower_w <= asked_w <= room.upper_w:
            rests_w[one.index] = asked_w
            break
    return tuple(rests_w)


def _caps_of_return(
    config: DispatchConfig, memory: Memory, snapshot: Snapshot, observed: Site | Missing
) -> tuple[float | None, ...]:
    """PV caps while the grid is back but not trusted: PV may feed it already, so the export limit holds."""
    if not isinstance(observed, Site):
        return _safe_caps(config, memory, snapshot)
    export_w = export_in_force_w(config, snapshot.orders, snapshot.now_s)
    return closed_loop(observed, export_w, 0.0, memory.pv_caps_w)


def _safe_caps(config: DispatchConfig, memory: Memory, snapshot: Snapshot) -> tuple[float | None, ...]:
    """Open-loop PV caps: with what silent batteries may still discharge, no more than the export limit."""
    export_w = export_in_force_w(config, snapshot.orders, snapshot.now_s)
    if export_w is None:
        return uncapped(len(config.pvs))
    for index, reading in enumerate(snapshot.batteries):
        if reading is None or snapshot.now_s - reading.taken_at_s > config.stale_after_s:
            export_w -= max(_may_still_discharge_w(config, memory, index, snapshot.now_s), 0.0)
    rated_w = tuple([None if pv is None else pv.rated_w for pv in snapshot.pvs])
    return open_loop(export_w, rated_w)


def _may_still_discharge_w(config: DispatchConfig, memory: Memory, index: int, now_s: float) -> float:
    """The last order of a battery that fell silent, until its own lease must have ended."""
    if index >= len(memory.heard):
        return 0.0
    order_w, heard_at_s = memory.heard[index]
    lease_s = config.batteries[index].lease_s
    return 0.0 if lease_s is not None and now_s - heard_at_s > lease_s else order_w
