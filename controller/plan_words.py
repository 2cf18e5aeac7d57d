"""From a plan to the message that tells it: numbers for each slot, and words for a day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import groupby

from controller.messages import PlanMessage, PlanSkill, PlanSlot
from controller.plan_keeper import Standing
from controller.planning.plan import PlanTable
from controller.planning.skill import Skill

RESTING_SHARE = 0.02
"""Of the rating: less than this is rest."""
GRID_SHARE = 0.25
"""Where so much of what is charged comes from the grid, or of what is discharged goes there, it is said."""
WORTH_TELLING_PCT = 3.0
"""A stretch that moves the SoC by less is not put into words."""
MOST_STRETCHES = 4
TOLD_S = 24 * 3600.0
"""The words are about a day; what comes later changes before."""

CHARGE_SUN, CHARGE_GRID, COVER, SELL, REST = "charge_sun", "charge_grid", "cover", "sell", "rest"

LocalClock = Callable[[float], float]
"""The local offset at a UTC instant, s."""


def plan_message(
    standing: Standing, skill: Skill | None, currency: str, offset_at: LocalClock
) -> PlanMessage:
    """The message for the plan in force."""
    table = standing.table
    slots = []
    for index, action in enumerate(actions(table)):
        low_pct, middle_pct, high_pct = table.soc_pct[index].tolist()
        target_w = float(table.import_target_w[index])
        slots.append(
            PlanSlot(
                begin=_iso(table.begin_utc_s + index * table.slot_s),
                import_per_kwh=round(float(table.import_per_kwh[index]), 5),
                export_per_kwh=round(float(table.export_per_kwh[index]), 5),
                price_known=index < standing.known,
                net_load_w=round(float(table.net_load_w[index])),
                soc_low_pct=round(low_pct, 1),
                soc_pct=round(middle_pct, 1),
                soc_high_pct=round(high_pct, 1),
                water_value_per_kwh=round(_value(table, index, middle_pct), 5),
                battery_discharge_w=round(float(table.battery_discharge_w[index])),
                action=action,
                import_target_w=round(target_w) if target_w < float("inf") else None,
            )
        )
    return PlanMessage(
        at=_iso(standing.made_utc_s),
        reason=standing.reason,
        currency=currency,
        slot_s=table.slot_s,
        expires=_iso(table.expires_at_utc_s),
        words=words(table, currency, offset_at),
        skill=None if skill is None else _skill(skill),
        slots=slots,
    )


def _skill(skill: Skill) -> PlanSkill:
    """In whole W."""
    return PlanSkill(
        days=skill.days,
        load_error_w=_whole(skill.load_error_w),
        load_like_yesterday_w=_whole(skill.load_like_yesterday_w),
        pv_error_w=_whole(skill.pv_error_w),
        pv_like_yesterday_w=_whole(skill.pv_like_yesterday_w),
    )


def _whole(value_w: float | None) -> float | None:
    return None if value_w is None else round(value_w)


def no_plan_message(at_utc_s: float | None, why: str, currency: str) -> PlanMessage:
    """For the time without one."""
    return PlanMessage(
        at=None if at_utc_s is None else _iso(at_utc_s),
        reason="",
        currency=currency,
        slot_s=900.0,
        expires=None,
        words=f"no plan: {why}",
        skill=None,
        slots=[],
    )


def actions(table: PlanTable) -> list[str]:
    """What is expected of the battery in each slot."""
    storage = table.storage
    rest_w = RESTING_SHARE * max(storage.max_charge_w, storage.max_discharge_w)
    found = []
    for discharge_w, grid_w in zip(
        table.battery_discharge_w.tolist(), table.battery_grid_w.tolist(), strict=True
    ):
        grid = abs(grid_w) > GRID_SHARE * abs(discharge_w)
        if abs(discharge_w) <= rest_w:
            found.append(REST)
        elif discharge_w < 0.0:
            found.append(CHARGE_GRID if grid else CHARGE_SUN)
        else:
            found.append(SELL if grid else COVER)
    return found


def words(table: PlanTable, currency: str, offset_at: LocalClock) -> str:
    """Such as `fills from the sun from 09:30 to 13:00, up to 95 %; keeps 95 % until 17:30; ...`."""
    slots = min(len(table.soc_pct), int(TOLD_S / table.slot_s))
    told = []
    place = 0
    middle_pct = table.soc_pct[:, 1].tolist()
    for action, group in groupby(actions(table)[:slots]):
        end = place + len(list(group))
        begin_pct = middle_pct[place - 1] if place else middle_pct[0]
        moved_pct = abs(middle_pct[end - 1] - begin_pct)
        held = action == REST and begin_pct > table.soc_from_pct + WORTH_TELLING_PCT and end - place >= 4
        if held or (action != REST and moved_pct >= WORTH_TELLING_PCT):
            told.append(_stretch(table, action, place, end, currency, offset_at))
        place = end
    if not told:
        return "nothing worth doing within a day"
    return "; ".join(told[:MOST_STRETCHES])


def _stretch(
    table: PlanTable, action: str, first: int, end: int, currency: str, offset_at: LocalClock
) -> str:
    begin = _clock(table.begin_utc_s + first * table.slot_s, offset_at)
    until = _clock(table.begin_utc_s + end * table.slot_s, offset_at)
    soc = f"{table.soc_pct[end - 1, 1]:.0f} %"
    when = f"until {until}" if first == 0 else f"from {begin} to {until}"
    if action == CHARGE_SUN:
        by = f"by {until}" if first == 0 else when
        return f"fills from the sun {by}, up to {soc}"
    if action == CHARGE_GRID:
        price = float(table.import_per_kwh[first:end].mean())
        return f"charges from the grid {when} at {price:.3f} {currency}, up to {soc}"
    if action == COVER:
        return f"covers the house {when}, down to {soc}"
    if action == SELL:
        price = float(table.export_per_kwh[first:end].mean())
        return f"sells {when} at {price:.3f} {currency}, down to {soc}"
    return f"keeps {soc} until {until}"


def _value(table: PlanTable, slot: int, soc_pct: float) -> float:
    row = table.water_values[slot]
    wide_pct = max(table.soc_to_pct - table.soc_from_pct, 1e-9)
    place = min(max((soc_pct - table.soc_from_pct) / wide_pct, 0.0), 1.0) * (len(row) - 1)
    below = min(int(place), max(len(row) - 2, 0))
    above = min(below + 1, len(row) - 1)
    return float(row[below] + (row[above] - row[below]) * (place - below))


def _clock(utc_s: float, offset_at: LocalClock) -> str:
    return f"{datetime.fromtimestamp(utc_s + offset_at(utc_s), UTC):%H:%M}"


def _iso(utc_s: float) -> str:
    return datetime.fromtimestamp(utc_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
