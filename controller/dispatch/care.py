"""What a battery needs beside its work: to be full now and then, and to be spared while that is overdue.

Lithium cells drift apart and the BMS balances them at the top only; lead-acid batteries sulphate unless
they are held at absorption voltage regularly. Care counts in days, so it acts on trusted UTC only.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.dispatch.limits import HYSTERESIS_PCT, Range
from controller.dispatch.orders import Plan
from controller.dispatch.settings import BatterySettings, DispatchConfig
from controller.dispatch.site import BatterySite, Site

FULL_PCT = 99.5
"""Full is this SoC, or the battery's ceiling where that is lower."""
FULL_S = 60.0
"""How long a battery is full before it counts, where it needs no longer absorption."""
GAP_S = 60.0
"""Between two readings no more time than this counts as full: what happened in a longer gap is unknown."""
LATE_TIMES = 2.0
"""A lithium battery waits for sun or a cheap hour until its full charge is this many times due."""
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class CareState:
    """What is remembered of one battery: when it was last full, and how long it has been full this time.

    `seen_s` is the monotonic time of the newest reading in which it was full, None when it is not.
    Only `last_full_utc_s` is worth keeping over a restart.
    """

    last_full_utc_s: float | None = None
    full_s: float = 0.0
    seen_s: float | None = None


@dataclass(frozen=True, slots=True)
class CareWish:
    """What care asks for one battery.

    `min_soc_pct` takes the place of the site file's; `charge_w` is the least charging it wants, W > 0, or
    None. While it is `absorbing` its SoC ceiling does not end the charge: the charger does, by tapering.
    """

    min_soc_pct: float
    charge_w: float | None = None
    absorbing: bool = False
    note: str = ""


NEW = CareState()
Rooms = tuple[Range, ...]


def observe_full(
    settings: BatterySettings, before: CareState, soc_pct: float | None, now_s: float, utc_s: float | None
) -> CareState:
    """The state after this reading; `utc_s` is None while the wall clock is not trusted.

    A battery never seen before counts as full at first sight, and so does one last full in the future.
    """
    last_s = before.last_full_utc_s
    if utc_s is not None and (last_s is None or last_s > utc_s):
        last_s = utc_s
        before = CareState(utc_s, before.full_s, before.seen_s)
    if soc_pct is None:
        return before
    full_pct = settings.max_soc_pct if settings.max_soc_pct < FULL_PCT else FULL_PCT
    if before.seen_s is None:
        return CareState(last_s, 0.0, now_s) if soc_pct >= full_pct else before
    if soc_pct < full_pct - HYSTERESIS_PCT:
        return CareState(last_s)
    needed_s = settings.care.absorption_s if settings.care.absorption_s > FULL_S else FULL_S
    full_s = before.full_s + min(max(now_s - before.seen_s, 0.0), GAP_S)
    if full_s < needed_s:
        return CareState(last_s, full_s, now_s)
    if utc_s is None or last_s is None or utc_s - last_s < FULL_S:
        return before
    return CareState(utc_s, needed_s, now_s)


def least_soc_pct(settings: BatterySettings, days: float) -> float:
    """The minimum SoC of a battery last full `days` ago: raised day by day while lead-acid is overdue."""
    care = settings.care
    late_days = days - care.full_every_days - care.patience_days
    if settings.chemistry != "lead_acid" or late_days < 1.0:
        return settings.min_soc_pct
    raised_pct = settings.min_soc_pct + care.min_soc_step_pct * int(late_days)
    return max(settings.min_soc_pct, min(raised_pct, care.min_soc_most_pct))


def care(
    config: DispatchConfig, before: tuple[CareState, ...], site: Site
) -> tuple[tuple[CareState, ...], tuple[CareWish, ...]]:
    """The states after this cycle, and a wish for each battery of the config, or none at all."""
    for settings in config.batteries:
        if settings.care.full_every_days > 0.0:
            break
    else:
        return before, ()
    states = before if len(before) == len(config.batteries) else (NEW,) * len(config.batteries)
    wishes: tuple[CareWish, ...] = ()
    utc_s = None if site.local is None else site.local.utc_s
    surplus_w = max(-site.net_load_w, 0.0)
    for battery in site.batteries:
        index = battery.index
        settings = config.batteries[index]
        if settings.care.full_every_days <= 0.0:
            continue
        state = observe_full(settings, states[index], battery.soc_pct, site.now_s, utc_s)
        if state is not states[index]:
            states = (*states[:index], state, *states[index + 1 :])
        if utc_s is None or state.last_full_utc_s is None:
            continue
        days = (utc_s - state.last_full_utc_s) / DAY_S
        if days < settings.care.full_every_days:
            continue
        one = _wish(config, settings, state, battery, site, days, surplus_w)
        surplus_w = max(surplus_w - (one.charge_w or 0.0), 0.0)
        wishes = wishes or tuple([CareWish(each.min_soc_pct) for each in config.batteries])
        wishes = (*wishes[:index], one, *wishes[index + 1 :])
    return states, wishes


def _wish(
    config: DispatchConfig,
    settings: BatterySettings,
    state: CareState,
    battery: BatterySite,
    site: Site,
    days: float,
    surplus_w: float,
) -> CareWish:
    """What a battery wants that was last full `days` ago, and is due."""
    least_pct = least_soc_pct(settings, days)
    from_grid = config.policy.grid_charging and _grid_may_fill(settings, battery, site, days)
    charge_w = battery.max_charge_w if from_grid else min(surplus_w, battery.max_charge_w)
    ago = f"last full {days:.0f} days ago"
    if charge_w <= 0.0 or battery.soc_pct is None:
        raised = least_pct > settings.min_soc_pct
        note = f"{settings.id}: minimum SoC raised to {least_pct:g} %, {ago}" if raised else ""
        return CareWish(least_pct, note=note)
    full = state.seen_s is not None
    note = f"{settings.id}: held full, {ago}" if full else f"{settings.id}: charged to full, {ago}"
    return CareWish(least_pct, charge_w, full and settings.max_soc_pct >= FULL_PCT, note)


def due_first(
    power_w: float,
    own_w: float,
    rooms: tuple[Rooms, Rooms],
    wishes: tuple[CareWish, ...],
    batteries: tuple[BatterySite, ...],
) -> tuple[Rooms, Rooms]:
    """The preferred and the allowed rooms, with what care asks for a battery kept for that one.

    No more than `power_w` charges at all, so that none is discharged for it. What the charger of a due
    battery is known to leave as it tapers is for the others only as far as the policy wants it, `own_w`:
    care does not fill those.
    """
    left_w = -power_w
    if not wishes or left_w <= 0.0:
        return rooms
    preferred, allowed = list(rooms[0]), list(rooms[1])
    own_w = min(-own_w, left_w)
    for place, battery in enumerate(batteries):
        first_w = min(wishes[battery.index].charge_w or 0.0, left_w)
        if first_w > 0.0:
            takes_w = min(first_w, max(-preferred[place].lower_w, 0.0))
            kept_w = min(first_w, max(first_w + takes_w - own_w, takes_w))
            kept = allowed[place].narrow(Range(allowed[place].lower_w, -kept_w))
            preferred[place] = kept if kept_w == first_w else Range(kept.upper_w, kept.upper_w)
            allowed[place] = kept
            left_w -= kept_w
            own_w -= takes_w
    return tuple(preferred), tuple(allowed)


def _grid_may_fill(settings: BatterySettings, battery: BatterySite, site: Site, days: float) -> bool:
    """Lead-acid as soon as it is due; lithium when power is cheap, or when it has waited long enough."""
    if settings.chemistry == "lead_acid" or days >= LATE_TIMES * settings.care.full_every_days:
        return True
    if site.prices is None or site.local is None or battery.soc_pct is None:
        return False
    return site.prices.import_per_kwh <= _worth_per_kwh(site.plan, site.local.utc_s, battery.soc_pct)


def _worth_per_kwh(plan: Plan | None, utc_s: float, soc_pct: float) -> float:
    """The water value at this time and SoC; 0 where there is no plan."""
    slot = None if plan is None else plan.slot_of(utc_s)
    return 0.0 if plan is None or slot is None else plan.water_value(slot, soc_pct)
