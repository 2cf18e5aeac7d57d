"""RUNNING: what the policy wants, within what every limit allows, shared out to the batteries."""

from __future__ import annotations

from controller.dispatch.band import borne, out_of_band
from controller.dispatch.blind import Blind, ask_blind
from controller.dispatch.care import CareWish, care, due_first
from controller.dispatch.decision import Decision, Heard, Memory
from controller.dispatch.demand import DemandState, demand_range, peak_forecast_w, update
from controller.dispatch.following import Followings, follow_orders, short_note, within_ceiling
from controller.dispatch.islanding import loads_closed, on_grid
from controller.dispatch.limited import Limited
from controller.dispatch.limits import (
    GRID_LIMITS,
    INFINITE_W,
    NO_LATCHES,
    SITE_LIMITS,
    Bounds,
    Latches,
    Range,
    kept_for_reserve,
    latch,
    ordered,
    ordered_power,
    ramp,
    rating,
    total,
)
from controller.dispatch.modes import Mode
from controller.dispatch.orders import NO_ORDERS, in_force
from controller.dispatch.phase_loads import PhaseLoads, follow_phases
from controller.dispatch.phases import fuse_rooms
from controller.dispatch.plausible import asks_w
from controller.dispatch.policies import wish
from controller.dispatch.settings import DispatchConfig
from controller.dispatch.share import in_few, share
from controller.dispatch.site import Site
from controller.dispatch.soc import doubts
from controller.dispatch.sun import hold_sun
from controller.dispatch.trim import Trims, learn, trimmed_w

SOFT_START_PER_S = 0.1
"""After a restricted mode power comes back at this part of the rating a second (fault class R2)."""

ASKING = "asking the meter whether it is alive"

Rooms = tuple[Range, ...]


def run(config: DispatchConfig, memory: Memory, site: Site, heard: Heard) -> tuple[Memory, Decision]:
    """The next memory and the decision of a site with good readings."""
    island = on_grid(config, heard.island, site.now_s)
    demand = update(config, memory.demand, site)
    care_states, care_wishes = care(config, memory.care, site)
    reserve_pct = _reserve_pct(config, site)
    latches = _latches(config, memory, site, care_wishes, heard, reserve_pct)
    wanted_w, own_w, policy, note = _wanted(config, site, care_wishes, memory.wanted_w)
    followings, trims, phases = _followed(config, memory, site, heard)
    limited, rooms, preferred = _within_limits(config, site, (latches, followings, phases), demand, wanted_w)
    soft, (note, blind) = _ramped(config, memory, site, limited), _asked(config, site, heard, limited, note)
    power_w = _economical(config, memory, limited)
    kept = due_first(power_w, own_w, (preferred, rooms), care_wishes, site.batteries)
    setpoints_w = _shared(config, memory, site, power_w, limited, *kept)
    setpoint_w = total(setpoints_w)
    orders_w = _trimmed(config, site, trims, setpoints_w, rooms)
    caps_w, of_sun, short, pv_trim = hold_sun(config, memory, site, policy, limited.charge_room_w, setpoint_w)
    after = Memory(
        Mode.RUNNING,
        heard.fresh_since_s,
        site.now_s,
        site.now_s,
        heard.response,
        heard.doubt,
        policy,
        wanted_w,
        setpoint_w,
        setpoints_w,
        _heard(config, memory, site, setpoints_w),
        caps_w,
        latches,
        soft,
        demand,
        care_states,
        island,
        heard.charges,
        power_w,
        followings,
        short,
        trims,
        orders_w,
        pv_trim,
        phase_loads=phases,
        blind=blind,
    )
    return after, Decision(
        Mode.RUNNING,
        policy,
        wanted_w,
        setpoint_w,
        orders_w,
        caps_w,
        limited.limited_by,
        wanted_w - setpoint_w if limited.limited_by else 0.0,
        "",
        reserve_pct,
        _noted(config, (note, of_sun), heard, followings),
        loads_closed(config, island),
        peak_forecast_w(config, demand, site),
    )


def _followed(
    config: DispatchConfig, memory: Memory, site: Site, heard: Heard
) -> tuple[Followings, Trims, PhaseLoads]:
    """How the batteries did what they were meant to, and what each phase has beside what they did."""
    meant_w = memory.battery_setpoints_w
    followings = follow_orders(config, memory.followings, meant_w, site, memory.trims)
    phase_loads = follow_phases(config, memory.phase_loads, site, (memory.response, heard.response))
    return followings, learn(config, memory.trims, meant_w, site), phase_loads


def _trimmed(
    config: DispatchConfig, site: Site, trims: Trims, setpoints_w: tuple[float, ...], rooms: Rooms
) -> tuple[float, ...]:
    """What to order so that the batteries do what is meant; a silent one is ordered that."""
    if not trims:
        return setpoints_w
    orders_w = list(setpoints_w)
    for one, room in zip(site.batteries, rooms, strict=True):
        least_w = config.batteries[one.index].min_power_w
        orders_w[one.index] = trimmed_w(trims[one.index], setpoints_w[one.index], room, least_w)
    return tuple(orders_w)


def _noted(config: DispatchConfig, notes: tuple[str, str], heard: Heard, followings: Followings) -> str:
    """What was added by care and by the sun, and between them what is wrong with the batteries."""
    note, of_sun = notes
    if heard.soc_doubted or followings:
        for more in (doubts(config.batteries, heard.charges), short_note(config.batteries, followings)):
            if more:
                note = f"{note}; {more}" if note else more
    if not of_sun:
        return note
    return f"{note}; {of_sun}" if note else of_sun


def _wanted(
    config: DispatchConfig, site: Site, wishes: tuple[CareWish, ...], before_w: float
) -> tuple[float, float, str, str]:
    """What is wanted, what the policy that decided wants by itself, its name, and what care added."""
    own_w, policy = wish(config, site, before_w)
    wanted_w, note = _with_care(own_w, wishes) if wishes else (own_w, "")
    return wanted_w, own_w, policy, note


def _asked(
    config: DispatchConfig, site: Site, heard: Heard, limited: Limited, note: str
) -> tuple[str, Blind]:
    """Ask a meter that shows nothing new, or no answer to the battery, whether it is alive, and say so."""
    response, rated_w = heard.response, site.rated_w
    blind, asked = ask_blind(config, heard.blind, site, response, limited, rated_w)
    if not asked:
        deadband_w = config.policy.deadband_w
        question_w = asks_w(config.meter, response, heard.doubt, heard.fresh_at_s, rated_w, deadband_w)
        asked = question_w > 0.0 and limited.ask(question_w)
    return (ASKING if asked else note), blind


def _with_care(wanted_w: float, wishes: tuple[CareWish, ...]) -> tuple[float, str]:
    """What is wanted if care charges more than the policy does, and what it then says."""
    charge_w, note = 0.0, ""
    for one in wishes:
        if one.charge_w is not None:
            charge_w += one.charge_w
            note = one.note
    return (-charge_w, note) if note and -charge_w < wanted_w else (wanted_w, "")


def _within_limits(
    config: DispatchConfig,
    site: Site,
    states: tuple[tuple[Latches, ...], Followings, PhaseLoads],
    demand: DemandState | None,
    wanted_w: float,
) -> tuple[Limited, Rooms, Rooms]:
    """The wanted power within every limit but the ramp; the batteries' rooms, and those they should keep to.

    Those leave the reserve, and to the others what a battery does against its orders, as long as they can.
    """
    allowed: Rooms = ()
    at_reserve = False
    latches, followings, phase_loads = states
    for one in site.batteries:
        run_into = latches[one.index]
        allowed += (rating(one, run_into),)
        at_reserve = at_reserve or run_into.at_reserve
    rooms = preferred = fuse_rooms(config, site, allowed, phase_loads.loads_w)
    if at_reserve:
        preferred = tuple(map(kept_for_reserve, rooms, [latches[one.index] for one in site.batteries]))
    limited = Limited(wanted_w, *_together(allowed))
    if limited.limited_by:
        limited.limited_by = _rating_name(limited, latches, site)
    if rooms is not allowed:
        limited.narrow("fuse", _together(rooms))
    for name, limit in GRID_LIMITS if site.orders is not NO_ORDERS else SITE_LIMITS:
        limited.narrow(name, limit(config, site))
    if at_reserve:
        limited.narrow("reserve", (-INFINITE_W, total([room.upper_w for room in preferred])))
    if demand is not None:
        limited.narrow("demand", demand_range(config, demand, site))
    if site.orders is not NO_ORDERS:
        limited.narrow("order", ordered(site))
        most_w = in_force(site.orders.max_charge_w, site.now_s)
        if most_w is not None and most_w < limited.charges_w:
            limited.charges_w = most_w
    if followings:
        ceilings = [followings[one.index] for one in site.batteries]
        preferred = tuple(map(within_ceiling, preferred, ceilings))
    return limited, rooms, preferred


def _together(rooms: Rooms) -> Bounds:
    lower_w = upper_w = 0.0
    for room in rooms:
        lower_w += room.lower_w
        upper_w += room.upper_w
    return lower_w, upper_w


def _latches(
    config: DispatchConfig,
    memory: Memory,
    site: Site,
    wishes: tuple[CareWish, ...],
    heard: Heard,
    reserve_pct: float,
) -> tuple[Latches, ...]:
    before = memory.latches or (NO_LATCHES,) * len(config.batteries)
    after: list[Latches] | None = None
    for battery in site.batteries:
        index = battery.index
        settings = config.batteries[index]
        floor_pct, ceiling_pct = settings.min_soc_pct, settings.max_soc_pct
        if wishes:
            floor_pct = wishes[index].min_soc_pct
            if wishes[index].absorbing:  # then the charger ends the charge by tapering, not the ceiling
                ceiling_pct = INFINITE_W
        one = latch(before[index], battery.soc_pct, floor_pct, ceiling_pct, reserve_pct)
        charge = heard.charges[index] if heard.soc_doubted else None
        if charge is not None and charge.higher_pct >= ceiling_pct:
            one = Latches(one.empty, True, one.at_reserve)
        if one is not before[index]:
            after = after or list(before)
            after[index] = one
    return before if after is None else tuple(after)


def _reserve_pct(config: DispatchConfig, site: Site) -> float:
    """The site file's reserve, or the one that was ordered if it is higher."""
    reserve_pct = config.policy.reserve_pct
    if site.orders is NO_ORDERS:
        return reserve_pct
    raised_pct = in_force(site.orders.reserve_pct, site.now_s)
    return raised_pct if raised_pct is not None and raised_pct > reserve_pct else reserve_pct


def _rating_name(limited: Limited, latches: tuple[Latches, ...], site: Site) -> str:
    """Limit 1 by the name an owner would use: an edge at 0 W is empty or full, not a rating."""
    if limited.power_w != 0.0:
        return "rating"
    run_into = [latches[one.index] for one in site.batteries]
    if limited.upper_w == 0.0 and any(one.empty for one in run_into):
        return "empty"
    if limited.lower_w == 0.0 and any(one.full for one in run_into):
        return "full"
    return "rating"


def _ramped(config: DispatchConfig, memory: Memory, site: Site, limited: Limited) -> bool:
    """Narrow by the ramp; whether there is a soft start that goes on."""
    soft = memory.soft_start or memory.mode not in (Mode.RUNNING, Mode.HOLDING)
    ramp_w_per_s = config.policy.ramp_w_per_s
    if soft:
        soft_w_per_s = SOFT_START_PER_S * site.rated_w
        if ramp_w_per_s is None or soft_w_per_s < ramp_w_per_s:
            ramp_w_per_s = soft_w_per_s
    if ramp_w_per_s is None:
        return soft
    elapsed_s = config.cycle_s if memory.decided_at_s is None else site.now_s - memory.decided_at_s
    moved = limited.narrow("ramp", ramp(ramp_w_per_s, memory.ramped_w, elapsed_s))
    return soft and moved


def _economical(config: DispatchConfig, memory: Memory, limited: Limited) -> float:
    """The power, or the present setpoint when the difference is not worth a write and no limit minds.

    Rest is always worth it: a few W would flow for as long as it lasts.
    """
    before_w = memory.setpoint_w
    if (
        limited.limited_by
        or limited.power_w == 0.0
        or abs(limited.power_w - before_w) > config.policy.deadband_w
        or not limited.lower_w <= before_w <= limited.upper_w
    ):
        return limited.power_w
    return before_w


def _shared(
    config: DispatchConfig,
    memory: Memory,
    site: Site,
    power_w: float,
    limited: Limited,
    preferred: Rooms,
    rooms: Rooms,
) -> tuple[float, ...]:
    """A setpoint for every battery of the site; one that is silent is ordered to rest when it comes back.

    Where no inverter can hold so little, that is what bound.
    """
    heard = site.batteries
    if len(heard) == len(config.batteries) == 1 and not config.batteries[0].min_power_w:
        return (power_w,)
    before = memory.battery_setpoints_w or (0.0,) * len(config.batteries)
    if len(heard) == 1:
        shares: tuple[float, ...] = (power_w,)
    else:
        settings = [config.batteries[one.index] for one in heard]
        last_w = tuple([before[one.index] for one in heard])

        def shared(within: Rooms) -> tuple[float, ...]:
            return share(
                power_w,
                within,
                rooms,
                tuple([one.soc_pct for one in heard]),
                tuple([one.capacity_wh for one in settings]),
                tuple([one.efficient_from_w for one in settings]),
                last_w,
            )

        shares = in_few(shared, preferred, last_w, tuple([one.min_power_w for one in settings]))
    setpoints = [0.0] * len(config.batteries)
    total_w, power_ordered = power_w, ordered_power(site)
    for one, room, share_w in zip(heard, rooms, shares, strict=True):
        least_w = config.batteries[one.index].min_power_w
        setpoint_w = share_w
        if least_w:
            # What the limits at the PCC leave to this one, with the others as they are.
            others_w, last_one_w = total_w - share_w, before[one.index]
            left = Range(limited.lower_w - others_w, limited.upper_w - others_w)
            room = room.narrow(borne(left, least_w, last_one_w))
            if power_ordered is not None:
                lower_w, upper_w = power_ordered
                room = room.narrow(Range(lower_w - others_w, upper_w - others_w))
            setpoint_w = out_of_band(share_w, least_w, last_one_w, room)
            total_w += setpoint_w - share_w
        setpoints[one.index] = setpoint_w
    if abs(total(setpoints) - power_w) > 1e-6 and not limited.limited_by:
        limited.limited_by = "min_power"
    return tuple(setpoints)


def _heard(
    config: DispatchConfig, memory: Memory, site: Site, setpoints_w: tuple[float, ...]
) -> tuple[tuple[float, float], ...]:
    """Order and time of each battery that was heard; of a silent one those of when it was."""
    if len(setpoints_w) == 1:
        return ((setpoints_w[0], site.now_s),)
    heard = list(memory.heard or ((0.0, float("-inf")),) * len(config.batteries))
    for one in site.batteries:
        heard[one.index] = (setpoints_w[one.index], site.now_s)
    return tuple(heard)
