"""The island: whether the grid is gone, which loads stay on, what the PV may give, and how long it lasts.

On the island the inverter forms the grid and gets no setpoints. What is left to decide is how much hangs on
it. Nothing here needs the meter: at the connection point it is without power like everything else there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

from controller.dispatch.curtailment import Caps, closed_loop, uncapped
from controller.dispatch.limits import HYSTERESIS_PCT, total
from controller.dispatch.plausible import dark
from controller.dispatch.settings import BatterySettings, DispatchConfig, LoadSettings
from controller.dispatch.site import Site, Snapshot
from drivers.device import BatteryReading, MeterReading

CALM_S = 60.0
"""The grid has been back for at least this long before the island ends, whatever the enter-service delay."""
ROUND_S = 120.0
"""An island lasts at least this long: into it and out of it again is two changes of mode, one a minute."""
SWITCH_REST_S = 60.0
"""A load is left alone for this long after it was switched."""
BLIND_S = 60.0
"""Loads are shed once the SoC has been unknown on the island for longer than this."""


@dataclass(frozen=True, slots=True)
class IslandState:
    """What is remembered of the island and its loads.

    `islanded_since_s` is None while the grid carries the site. `grid_back_since_s` is since when it has
    been back without a gap. The tuples follow the order of the config and are empty before the first use.
    """

    islanded_since_s: float | None = None
    grid_back_since_s: float | None = None
    loads_closed: tuple[bool, ...] = ()
    switched_at_s: tuple[float, ...] = ()
    soc_unknown_since_s: float | None = None
    pv_caps_w: Caps = ()


ON_GRID = IslandState()


def grid_lost(config: DispatchConfig, snapshot: Snapshot) -> bool | None:
    """Whether the grid is gone; None when nobody knows.

    One inverter that says so is enough, and as long as none does, one that sees the grid is believed before
    a meter that shows no voltage: meters and gateways that start anew answer with zeros. Where no inverter
    tells it the meter decides, unless it has forgotten its counters as well. Readings older than
    `lost_after_s` and voltages that were not told say nothing.
    """
    now_s = snapshot.now_s
    known = False
    for reading in snapshot.batteries:
        if (
            reading is None
            or reading.grid_present is None
            or now_s - reading.taken_at_s > config.lost_after_s
        ):
            continue
        if not reading.grid_present:
            return True
        known = True
    if known:
        return False
    meter = snapshot.meter
    if meter is None or not meter.phase_voltage_v or now_s - meter.taken_at_s > config.lost_after_s:
        return None
    if not dark(config, meter):
        return False
    return None if _blank(meter) else True


def _blank(meter: MeterReading) -> bool:
    """Whether nothing at all is in this reply: an outage leaves a meter its counters."""
    counters_wh = [one for one in (meter.import_wh, meter.export_wh) if one is not None]
    return bool(counters_wh) and not any(counters_wh)


def service_ready(grid_back_since_s: float | None, now_s: float, config: DispatchConfig) -> bool:
    """Whether the grid has been back for the enter-service delay (IEEE 1547-2018, 4.10) without a gap."""
    return grid_back_since_s is not None and now_s - grid_back_since_s >= config.enter_service_s


def follow_grid(
    config: DispatchConfig, before: IslandState | None, lost: bool | None, now_s: float
) -> IslandState | None:
    """Onto the island at once, back only when the grid has proved itself: a flapping grid stays an island.

    `lost` is what `grid_lost` says; not to know is a gap. At most one change a minute in the long run.
    """
    if before is None or before.islanded_since_s is None:
        if not lost:
            return before
        return replace(before or ON_GRID, islanded_since_s=now_s)
    if lost is not False:
        return before if before.grid_back_since_s is None else replace(before, grid_back_since_s=None)
    if before.grid_back_since_s is None:
        return replace(before, grid_back_since_s=now_s)
    calm = (
        service_ready(before.grid_back_since_s, now_s, config) and now_s - before.grid_back_since_s >= CALM_S
    )
    if calm and now_s - before.islanded_since_s >= ROUND_S:
        return replace(before, islanded_since_s=None, grid_back_since_s=None, pv_caps_w=())
    return before


def loads(
    config: DispatchConfig, before: IslandState, islanded: bool, soc_pct: float | None, now_s: float
) -> IslandState:
    """Which loads are on now: each shed and restored by its own SoC marks, all on while there is a grid."""
    closed, switched_at_s = before.loads_closed, before.switched_at_s
    if len(closed) != len(config.loads):
        closed, switched_at_s = (True,) * len(config.loads), (-inf,) * len(config.loads)
    unknown_since_s = None
    if islanded and soc_pct is None:
        unknown_since_s = now_s if before.soc_unknown_since_s is None else before.soc_unknown_since_s
    blind = unknown_since_s is not None and now_s - unknown_since_s > BLIND_S
    for index, load in enumerate(config.loads):
        wanted = not islanded or _stays(load, closed[index], soc_pct, blind)
        if wanted is not closed[index] and now_s - switched_at_s[index] >= SWITCH_REST_S:
            closed = (*closed[:index], wanted, *closed[index + 1 :])
            switched_at_s = (*switched_at_s[:index], now_s, *switched_at_s[index + 1 :])
    if closed == before.loads_closed and unknown_since_s == before.soc_unknown_since_s:
        return before
    return replace(
        before, loads_closed=closed, switched_at_s=switched_at_s, soc_unknown_since_s=unknown_since_s
    )


def _stays(load: LoadSettings, closed: bool, soc_pct: float | None, blind: bool) -> bool:
    """Whether the island carries this load."""
    if soc_pct is None:
        return closed and not blind
    if soc_pct < load.shed_below_soc_pct:
        return False
    return closed or soc_pct >= load.restore_above_soc_pct


def loads_closed(config: DispatchConfig, state: IslandState | None) -> tuple[bool, ...]:
    """What the switches shall be; empty, which leaves them alone, before anything is known of the grid."""
    return () if state is None or len(state.loads_closed) != len(config.loads) else state.loads_closed


def on_grid(config: DispatchConfig, before: IslandState | None, now_s: float) -> IslandState | None:
    """The state while the grid carries the site: what was shed comes back."""
    if not config.loads:
        return before
    return loads(config, before or ON_GRID, False, None, now_s)


def floor_pct(config: DispatchConfig, battery: BatterySettings, islanded: bool) -> float:
    """How far the battery may be discharged: to its reserve, on the island to the island's floor.

    Never below its own minimum SoC.
    """
    wanted_pct = config.island_floor_pct if islanded else config.policy.reserve_pct
    return wanted_pct if wanted_pct > battery.min_soc_pct else battery.min_soc_pct


def autonomy_h(config: DispatchConfig, snapshot: Snapshot, load_w: float) -> float | None:
    """How long the batteries would carry `load_w` if the grid failed and the sun with it, hours.

    None while there is no load or no SoC is known. Conversion losses are left out of account.
    """
    if load_w <= 0.0:
        return None
    left_wh: float | None = None
    for settings, reading in _heard(config, snapshot):
        if reading.soc_pct is not None:
            one_wh = _left_wh(config, settings, reading.soc_pct)
            left_wh = one_wh if left_wh is None else left_wh + one_wh
    return None if left_wh is None else left_wh / load_w


def island_autonomy_h(config: DispatchConfig, snapshot: Snapshot) -> float | None:
    """How long the island lasts at the discharge of now, hours; None when charging, at rest or unknown.

    A battery that is silent or does not know its SoC counts neither with its energy nor with its power.
    """
    left_wh = discharge_w = 0.0
    for settings, reading in _heard(config, snapshot):
        if reading.soc_pct is not None:
            left_wh += _left_wh(config, settings, reading.soc_pct)
            discharge_w += reading.battery_discharge_w
    return left_wh / discharge_w if discharge_w > 0.0 else None


def _left_wh(config: DispatchConfig, battery: BatterySettings, soc_pct: float) -> float:
    """The energy above the island's floor."""
    left_pct = soc_pct - floor_pct(config, battery, True)
    return left_pct / 100.0 * battery.capacity_wh if left_pct > 0.0 else 0.0


def _heard(config: DispatchConfig, snapshot: Snapshot) -> list[tuple[BatterySettings, BatteryReading]]:
    """The batteries with a reading that can still be used."""
    heard = []
    for settings, reading in zip(config.batteries, snapshot.batteries, strict=True):
        if reading is not None and snapshot.now_s - reading.taken_at_s <= config.lost_after_s:
            heard.append((settings, reading))
    return heard


def island_soc_pct(config: DispatchConfig, snapshot: Snapshot) -> float | None:
    """The SoC of all batteries that were heard and know it, by capacity; None when none does."""
    stored = capacity_wh = 0.0
    for settings, reading in _heard(config, snapshot):
        if reading.soc_pct is not None:
            stored += reading.soc_pct * settings.capacity_wh
            capacity_wh += settings.capacity_wh
    return stored / capacity_wh if capacity_wh > 0.0 else None


def island_pv_cap(config: DispatchConfig, snapshot: Snapshot, before: Caps) -> Caps:
    """PV caps so that PV gives no more than the load takes and the batteries have room for.

    On the island the load is what PV and batteries give together. While one of them is silent that is
    unknown and the caps stay: the inverter that forms the grid defends itself through the frequency.
    """
    if not config.pvs:
        return before
    heard = _heard(config, snapshot)
    discharge_w = room_w = 0.0
    each_w: tuple[float, ...] = ()
    rated_w: Caps = ()
    for pv in snapshot.pvs:
        if pv is None or snapshot.now_s - pv.taken_at_s > config.lost_after_s:
            return before or uncapped(len(config.pvs))
        each_w = (*each_w, pv.pv_generation_w)
        rated_w = (*rated_w, pv.rated_w)
    if len(heard) < len(config.batteries):
        return before or uncapped(len(config.pvs))
    capped = any(cap_w is not None for cap_w in before)
    for settings, reading in heard:
        discharge_w += reading.battery_discharge_w
        room_w += _room_w(settings, reading, capped)
    island = Site(
        snapshot.now_s, snapshot.now_s, True, 0.0, discharge_w, (), total(each_w), rated_w, pv_each_w=each_w
    )
    return closed_loop(island, 0.0, room_w, before)


def _room_w(settings: BatterySettings, reading: BatteryReading, capped: bool) -> float:
    """The most that the battery can take: what site file and device allow, nothing once it is full.

    One that was full when the PV was capped stays so until its SoC came back by the hysteresis.
    """
    full_pct = settings.max_soc_pct - HYSTERESIS_PCT if capped else settings.max_soc_pct
    soc_pct = reading.soc_pct
    if soc_pct is not None and (soc_pct >= settings.max_soc_pct or soc_pct > full_pct):
        return 0.0
    most_w = inf
    for limit_w in (settings.max_charge_w, reading.max_charge_w):
        if limit_w is not None and limit_w < most_w:
            most_w = limit_w
    return most_w


def carry_on(
    config: DispatchConfig, before: IslandState | None, snapshot: Snapshot
) -> tuple[IslandState, tuple[bool, ...], Caps, float | None]:
    """One cycle on the island: the state, the loads that stay on, the PV caps, and how long it lasts, hours.

    After a start during an outage the loads begin as their switches are.
    """
    state = before or ON_GRID
    if len(state.loads_closed) != len(config.loads):
        state = replace(
            state,
            loads_closed=_as_switched(config, snapshot),
            switched_at_s=(-inf,) * len(config.loads),
        )
    if config.loads:
        state = loads(config, state, True, island_soc_pct(config, snapshot), snapshot.now_s)
    caps_w = island_pv_cap(config, snapshot, state.pv_caps_w)
    if caps_w != state.pv_caps_w:
        state = replace(state, pv_caps_w=caps_w)
    return state, state.loads_closed, caps_w, island_autonomy_h(config, snapshot)


def _as_switched(config: DispatchConfig, snapshot: Snapshot) -> tuple[bool, ...]:
    """How the switches are; one that does not say counts as closed."""
    if len(snapshot.switches) != len(config.loads):
        return (True,) * len(config.loads)
    return tuple([one is None or one.closed for one in snapshot.switches])
