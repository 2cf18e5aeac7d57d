"""What is known for planning and when to plan anew: pure of time and processes, used by site and simulation.

It is told every beat, says whether a plan is due, makes the request, takes the answer, and tells dispatch the
prices and the plan in force. What has expired is absent; without both, dispatch falls back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from controller.dispatch.decision import Decision
from controller.dispatch.orders import LocalTime, Plan, Prices, in_force
from controller.dispatch.settings import DispatchConfig
from controller.dispatch.site import Snapshot
from controller.past import Collector, Past, Quarter
from controller.planning.calendars import OffsetAt
from controller.planning.history import DAY_S, DAYS
from controller.planning.inputs import Floats, Leave, Storage
from controller.planning.market import Market
from controller.planning.peaks import peaks_ahead
from controller.planning.plan import PlanTable
from controller.planning.request import SLOT_S, Course, PlanRequest, Values
from controller.planning.said import Said, Sayings
from controller.planning.skill import Skill
from controller.planning.tariff import Tariff, price_slots
from controller.site_planning import PlanningConfig
from drivers.device import PvReading

LOOK_BACK_S = (DAYS + 1) * DAY_S
"""Forecasts look back four weeks of whole days: what these say of today is the same until midnight."""
SURPRISE_SOC_PCT = 10.0
"""So far outside the expected band, and a plan is due at once."""
SURPRISE_SHARE = 0.5
"""A mean net load so far off the expected, as a share of the batteries' power, makes a plan due too."""
SURPRISE_AFTER_S = 300.0
"""A slot is judged once so much of it has passed, and no sooner after a plan."""
HELD_FROM, HELD_SHARE = 0.9, 0.1
"""A PV inverter is held down when it gives so much of its cap, and a quarter hour when it is for so long."""
FRESH_S = 10.0
PRICES_AT_ONCE = 96
"""So many slots are looked up at once for the loop."""
C_RATE = 0.5
"""Power of a battery of which neither the owner nor the device says any: its capacity in two hours."""

FIRST, TURN, NEW_PRICES, SOC, NET_LOAD = "first", "turn", "prices", "soc", "net_load"


@dataclass(frozen=True, slots=True)
class Standing:
    """The plan in force: the table, why and when it was made, how many of its prices were published."""

    table: PlanTable
    plan: Plan
    known: int
    reason: str
    made_utc_s: float


class PlanKeeper:
    """One site's prices, past and plan."""

    def __init__(
        self,
        config: DispatchConfig,
        planning: PlanningConfig,
        tariff: Tariff,
        offset_at: OffsetAt,
        history: Past,
        gap_s: float = 30.0,
    ) -> None:
        self.tariff = tariff
        self.history = history
        self.standing: Standing | None = None
        self.market = Market()
        self.news: Callable[[Quarter], None] = lambda quarter: None
        """Told each finished quarter hour."""
        self._config = config
        self._planning = planning
        self._offset_at = offset_at
        self._collector = Collector(self._quarter_done, gap_s)
        self._snapshot: Snapshot | None = None
        self._followed = False
        self._prices_are_new = False
        self._asked_utc_s: float | None = None
        self._sayings = Sayings()
        self._forecast_told = False
        self._skill_day: int | None = None
        self.skill: Skill | None = None
        """How good forecasts were lately, as of the last plan that looked."""
        self._price_of: dict[int, Prices | None] = {}
        self._slot_sums: tuple[int, float, float] = (0, 0.0, 0.0)
        self._caps_w: tuple[float | None, ...] = ()
        self._held_slot = -1

    def learn(self, market: Market) -> None:
        """New market prices."""
        self.market, self._price_of, self._prices_are_new = market, {}, True

    def hear_forecast(self, said: dict[int, Said], utc_s: float) -> None:
        """A new outside forecast."""
        self._sayings.learn(said, utc_s)
        self._forecast_told = True

    def heard(self, snapshot: Snapshot, decision: Decision) -> None:
        """One beat: what was read and decided."""
        self._snapshot = snapshot
        self._followed = decision.policy == "economic"
        local, caps_w = snapshot.local, self._caps_w
        self._caps_w = decision.pv_caps_w
        if local is None:
            return
        powers_w = site_powers_w(self._config, snapshot)
        if powers_w is not None:
            load_w, pv_w, import_w = powers_w
            held = held_down(snapshot.pvs, caps_w)
            counted_wh = None
            if self._config.meter.counts_exactly and snapshot.meter is not None:
                counted_wh = snapshot.meter.import_wh
            self._collector.take(local.utc_s, load_w, pv_w, import_w, held, counted_wh)
            slot = int(local.utc_s // SLOT_S)
            if held:
                self._held_slot = slot
            count, sum_w = self._slot_sums[1:] if self._slot_sums[0] == slot else (0.0, 0.0)
            self._slot_sums = (slot, count + 1.0, sum_w + load_w - pv_w)

    def told(self, local: LocalTime | None) -> tuple[Prices | None, Plan | None]:
        """Prices of this instant, and the plan unless it has expired; nothing without a trusted clock."""
        if local is None:
            return None, None
        standing = self.standing
        plan = None
        if standing is not None and local.utc_s < standing.table.expires_at_utc_s:
            plan = standing.plan
        return self._prices(local.utc_s), plan

    def due(self, utc_s: float) -> str:
        """Why a plan is due; empty when none is. It can surprise only while it is followed."""
        standing, asked_utc_s = self.standing, self._asked_utc_s
        if self._snapshot is None:
            return ""
        if asked_utc_s is None:
            return FIRST
        if self._prices_are_new:
            return NEW_PRICES
        if standing is None:
            return "" if 0.0 <= utc_s - asked_utc_s < SURPRISE_AFTER_S else FIRST
        if not 0.0 <= utc_s - asked_utc_s < self._planning.every_s:
            return TURN
        turned = utc_s // SLOT_S != asked_utc_s // SLOT_S
        if turned and self._planning.every_s <= SLOT_S:
            return TURN
        if not self._followed or utc_s - asked_utc_s < SURPRISE_AFTER_S:
            return ""
        return self._surprise(standing.table, utc_s)

    def request(self, utc_s: float) -> PlanRequest | str:
        """What a plan of now is made from, or why there can be none."""
        self._asked_utc_s, self._prices_are_new = utc_s, False
        snapshot = self._snapshot
        storage = None if snapshot is None else _storage(self._config, self._planning, snapshot)
        soc_pct = None if snapshot is None else site_soc_pct(self._config, snapshot)
        if snapshot is None or storage is None or soc_pct is None:
            return "the batteries' SoC is not known"
        begin_utc_s = utc_s // SLOT_S * SLOT_S
        ahead = self._course(begin_utc_s, int(self._planning.horizon_s // SLOT_S))
        if ahead.import_per_kwh[0] is None or ahead.export_per_kwh[0] is None:
            return "the price of now is not known"
        policy, today = self._config.policy, int((utc_s + self._offset_at(utc_s)) // 86_400)
        return PlanRequest(
            begin_utc_s,
            soc_pct,
            self._past(begin_utc_s),
            ahead,
            storage,
            Leave(
                policy.grid_charging,
                policy.battery_export,
                self._config.import_limit_w,
                self._config.export_limit_w,
                curtails=bool(self._config.pvs),
            ),
            peaks_ahead(
                self.tariff.demand,
                self.history.before(begin_utc_s)[:, :4:3],
                begin_utc_s,
                SLOT_S,
                len(ahead.offset_s),
                self._offset_at,
            ),
            self._planning.valid_s,
            with_skill=today != self._skill_day,
            pv_rated_w=sum((one.rated_w or 0.0 for one in snapshot.pvs if one is not None), 0.0),
        )

    def accept(self, request: PlanRequest, table: PlanTable, reason: str, utc_s: float) -> Standing:
        """The plan in force from now on."""
        if request.with_skill:
            self.skill, self._skill_day = table.skill, int((utc_s + self._offset_at(utc_s)) // 86_400)
        self.standing = Standing(table, table.orders_plan(), request.known, reason, utc_s)
        return self.standing

    def _quarter_done(self, quarter: Quarter) -> None:
        said = self._sayings.first_of(quarter.begin_utc_s)
        said_load_w, said_pv_w = _values(np.array([said.load_w, said.pv_w]))
        quarter = replace(quarter, said_load_w=said_load_w, said_pv_w=said_pv_w)
        if self.history.add(quarter):
            self.news(quarter)

    def _course(self, begin_utc_s: float, slots: int) -> Course:
        found = price_slots(self.tariff, self.market, begin_utc_s, SLOT_S, slots, self._offset_at)
        said: list[Said] = []
        if self._forecast_told:
            said = [self._sayings.of(begin_utc_s + SLOT_S * slot) for slot in range(slots)]
        return Course(
            tuple(found.offset_s.tolist()),
            _values(found.import_per_kwh),
            _values(found.export_per_kwh),
            said_load_w=_values(np.array([one.load_w for one in said])),
            said_pv_w=_values(np.array([one.pv_w for one in said])),
        )

    def _past(self, end_utc_s: float) -> Course:
        """What was measured before now, no longer ago than forecasts look back; None in its gaps.

        A site without any past has one slot of which nothing is known.
        """
        slots = int(min(self._planning.history_s, LOOK_BACK_S) // SLOT_S)
        known = self.history.table
        first_utc_s = float(known[0, 0]) if len(known) else end_utc_s
        slots = max(min(slots, int((end_utc_s - first_utc_s) // SLOT_S)), 1)
        begin_utc_s = end_utc_s - slots * SLOT_S
        measured = np.full((4, slots), np.nan)
        known = known[slice(*np.searchsorted(known[:, 0], (begin_utc_s, end_utc_s)))]
        place = ((known[:, 0] - begin_utc_s) // SLOT_S).astype(np.intp)
        measured[:, place] = known[:, [1, 2, 4, 5]].T
        held = tuple(place[known[:, 6] > HELD_SHARE].tolist())
        load_w, pv_w = (_values(one) for one in measured[:2])
        said_load_w, said_pv_w = (_values(one) if self._forecast_told else () for one in measured[2:])
        course = self._course(begin_utc_s, slots)
        return replace(
            course,
            load_w=load_w,
            pv_w=pv_w,
            said_load_w=said_load_w,
            said_pv_w=said_pv_w,
            pv_held=held,
        )

    def _prices(self, utc_s: float) -> Prices | None:
        slot = int(utc_s // SLOT_S)
        if slot not in self._price_of:
            found = price_slots(
                self.tariff, self.market, slot * SLOT_S, SLOT_S, PRICES_AT_ONCE, self._offset_at
            )
            pairs = zip(_values(found.import_per_kwh), _values(found.export_per_kwh), strict=True)
            self._price_of = {
                slot + place: None if buy is None or sell is None else Prices(buy, sell)
                for place, (buy, sell) in enumerate(pairs)
            }
        return self._price_of[slot]

    def _surprise(self, table: PlanTable, utc_s: float) -> str:
        slot = int((utc_s - table.begin_utc_s) // table.slot_s)
        if self._snapshot is None or not 0 <= slot < len(table.soc_pct):
            return ""
        soc_pct = site_soc_pct(self._config, self._snapshot)
        rows = table.soc_pct[max(slot - 1, 0) : slot + 1]
        low_pct, high_pct = float(rows[:, 0].min()), float(rows[:, 2].max())
        if soc_pct is not None:
            # A plan knows no charge beyond its levels, so one there is no news to it.
            soc_pct = min(max(soc_pct, table.soc_from_pct), table.soc_to_pct)
            if not low_pct - SURPRISE_SOC_PCT <= soc_pct <= high_pct + SURPRISE_SOC_PCT:
                return SOC
        number, count, sum_w = self._slot_sums
        if number != int(utc_s // SLOT_S) or utc_s % SLOT_S < SURPRISE_AFTER_S or not count:
            return ""
        if number == self._held_slot:
            # How much sun there is cannot be seen.
            return ""
        power_w = max(table.storage.max_charge_w, table.storage.max_discharge_w)
        off_w = abs(sum_w / count - float(table.net_load_w[slot]))
        return NET_LOAD if off_w > SURPRISE_SHARE * power_w else ""


def site_powers_w(config: DispatchConfig, snapshot: Snapshot) -> tuple[float, float, float] | None:
    """Load, sun and import at the PCC of one instant; None unless every device has just been read.

    Without PV inverters of its own the site's sun is inside its load, which may then be negative.
    """
    readings = (snapshot.meter, *snapshot.batteries, *snapshot.pvs)
    if any(one is None or snapshot.now_s - one.taken_at_s > FRESH_S for one in readings):
        return None
    assert snapshot.meter is not None, "it is one of the readings"
    import_w = snapshot.meter.pcc_import_w
    pv_w = sum(one.pv_generation_w for one in snapshot.pvs if one is not None)
    discharge_w = sum(one.battery_discharge_w for one in snapshot.batteries if one is not None)
    return import_w + pv_w + discharge_w, pv_w, import_w


def held_down(pvs: tuple[PvReading | None, ...], caps_w: tuple[float | None, ...]) -> bool:
    """Whether any PV inverter gives about as much as it may, by what was ordered or what it says itself."""
    for number, pv in enumerate(pvs):
        if pv is None:
            continue
        ordered_w = caps_w[number] if number < len(caps_w) else None
        known_w = [one for one in (ordered_w, pv.cap_w) if one is not None]
        if known_w and pv.pv_generation_w >= HELD_FROM * min(known_w):
            return True
    return False


def site_soc_pct(config: DispatchConfig, snapshot: Snapshot) -> float | None:
    """Of all batteries by capacity; None unless all of them say theirs."""
    stored_wh = capacity_wh = 0.0
    for settings, reading in zip(config.batteries, snapshot.batteries, strict=True):
        if reading is None or reading.soc_pct is None or snapshot.now_s - reading.taken_at_s > FRESH_S:
            return None
        stored_wh += reading.soc_pct * settings.capacity_wh
        capacity_wh += settings.capacity_wh
    return stored_wh / capacity_wh


def _storage(config: DispatchConfig, planning: PlanningConfig, snapshot: Snapshot) -> Storage | None:
    """All batteries as one: what the owner allows, else what the device says it can, else two hours."""
    charge_w = discharge_w = capacity_wh = min_wh = max_wh = 0.0
    for settings, reading in zip(config.batteries, snapshot.batteries, strict=True):
        usual_w = C_RATE * settings.capacity_wh
        says = (None, None) if reading is None else (reading.max_charge_w, reading.max_discharge_w)
        charge_w += _first(settings.max_charge_w, says[0], usual_w)
        discharge_w += _first(settings.max_discharge_w, says[1], usual_w)
        capacity_wh += settings.capacity_wh
        min_wh += settings.min_soc_pct * settings.capacity_wh
        max_wh += settings.max_soc_pct * settings.capacity_wh
    raised_pct = in_force(snapshot.orders.reserve_pct, snapshot.now_s)
    curve = ((1.0, planning.efficiency),)
    return Storage(
        capacity_wh,
        charge_w,
        discharge_w,
        curve,
        curve,
        planning.wear_per_kwh,
        min_wh / capacity_wh,
        max_wh / capacity_wh,
        max(config.policy.reserve_pct, raised_pct or 0.0),
    )


def _first(owner_w: float | None, device_w: float | None, usual_w: float) -> float:
    """The owner's limit; a device that is full or empty says 0 W, which is no rating."""
    if owner_w is not None:
        return owner_w
    return device_w if device_w else usual_w


def _values(values: Floats) -> Values:
    found = values.tolist()
    return tuple([None if one != one else one for one in found] if np.isnan(values).any() else found)
