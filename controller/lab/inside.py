"""Planning in a simulated time: the site's own keeper and planner, called in between decisions, no process.

Prices come to be known as on the market: those of tomorrow at 13:00 on the local clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from controller.config import Config
from controller.dispatch.decision import Decision
from controller.dispatch.orders import LocalTime
from controller.dispatch.settings import DispatchConfig
from controller.dispatch.site import Snapshot
from controller.lab.simulate import Wall, exactly_counted
from controller.loop import Told
from controller.past import Past
from controller.plan_keeper import PlanKeeper
from controller.planning.inputs import PlanError
from controller.planning.market import QUARTER_S, Market
from controller.planning.request import plan_for
from controller.planning.tariff import Tariff

PUBLISHED_S = 13 * 3600.0
DAY_S = 86_400.0
EVERY_S = 3600.0
"""A year has 35,000 quarter hours: here a plan is made each hour, and on surprise as on the site."""


@dataclass(slots=True)
class Inside:
    """The planner of one simulated site; `market` is all of its prices, also those still to come."""

    config: Config
    tariff: Tariff
    wall: Wall
    market: Market
    plans: int = 0
    refusals: dict[str, int] = field(default_factory=dict)
    keeper: PlanKeeper = field(init=False)
    _published: int = field(init=False, default=-1)
    _needed: bool = field(init=False)

    def __post_init__(self) -> None:
        self._needed = _needs_plan(self.config.dispatch)
        planning = replace(self.config.planning, every_s=max(self.config.planning.every_s, EVERY_S))
        self.keeper = PlanKeeper(
            exactly_counted(self.config.dispatch),
            planning,
            self.tariff,
            self.wall.offset_at,
            Past(planning.history_s),
            gap_s=DAY_S,
        )

    def heard(self, snapshot: Snapshot, decision: Decision) -> bool:
        """What was read and decided; a plan is made for the next decision if one is due and would be used.

        True when there is a new one.
        """
        self.keeper.heard(snapshot, decision)
        local = snapshot.local
        if local is None or not self._needed:
            return False
        reason = self.keeper.due(local.utc_s)
        if not reason:
            return False
        request = self.keeper.request(local.utc_s)
        if isinstance(request, str):
            self.refusals[request] = self.refusals.get(request, 0) + 1
            return False
        try:
            # Nobody reads here what is expected after the next plan, nor how good forecasts were.
            table = plan_for(replace(request, told_s=request.valid_for_s, with_skill=False))
        except PlanError as error:
            self.refusals[str(error)] = self.refusals.get(str(error), 0) + 1
            return False
        self.plans += 1
        self.keeper.accept(request, table, reason, local.utc_s)
        return True

    def told(self, now_s: float, local: LocalTime | None) -> Told:
        """Prices and plan of this instant."""
        if local is not None and self.tariff.is_dynamic:
            self._publish(local)
        prices, plan = self.keeper.told(local)
        return Told(prices=prices, plan=plan)

    def _publish(self, local: LocalTime) -> None:
        days = 2 if local.second >= PUBLISHED_S else 1
        until_s = (local.utc_s + local.offset_s) // DAY_S * DAY_S + days * DAY_S
        # The offset may change by then; an hour more or less is known a little early or late.
        end = int((until_s - local.offset_s) // QUARTER_S)
        if end != self._published:
            self._published = end
            count = min(max(end - self.market.first, 0), len(self.market.per_kwh))
            self.keeper.learn(Market(self.market.first, np.array(self.market.per_kwh[:count])))


def _needs_plan(config: DispatchConfig) -> bool:
    """Whether anything here acts on a plan: a policy, or care that fills a battery at the cheapest time."""
    policy = config.policy
    cares = policy.grid_charging and any(one.care.full_every_days > 0.0 for one in config.batteries)
    return cares or "economic" in (policy.name, policy.fallback)
