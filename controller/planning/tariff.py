"""What electricity costs: energy by time of use or by the market, feed-in, demand charges, fixed fees.

Amounts are in the tariff's own currency. A price that is not known is NaN in arrays and absent elsewhere;
nothing takes its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from controller.planning.calendars import (
    ALWAYS,
    QUARTER_S,
    Calendar,
    Hours,
    LocalSteps,
    OffsetAt,
    local_steps,
)
from controller.planning.market import Market


@dataclass(frozen=True, slots=True)
class Tier:
    """One step of a staircase: this rate up to so many kWh or kW in a month."""

    rate: float
    up_to: float = inf


Tiers = tuple[Tier, ...]


@dataclass(frozen=True, slots=True)
class TimeOfUse:
    """Rates per kWh by period of the calendar; a period has one tier or a staircase over the month's kWh."""

    calendar: Calendar
    names: tuple[str, ...]
    tiers: tuple[Tiers, ...]

    def rates(self, steps: LocalSteps, used_kwh: float = 0.0) -> NDArray[np.float64]:
        """The rate of each step, with so many kWh used in the month already."""
        by_period = np.array([rate_at(tiers, used_kwh) for tiers in self.tiers])
        rates: NDArray[np.float64] = by_period[self.calendar.at(steps)]
        return rates


def rate_at(tiers: Tiers, amount: float) -> float:
    """The rate of the next unit after `amount`."""
    for tier in tiers:
        if amount < tier.up_to:
            return tier.rate
    return tiers[-1].rate


def cost_of(tiers: Tiers, amount: float) -> float:
    """What `amount` costs on the staircase."""
    cost, begin = 0.0, 0.0
    for tier in tiers:
        cost += tier.rate * max(min(amount, tier.up_to) - begin, 0.0)
        begin = tier.up_to
    return cost


@dataclass(frozen=True, slots=True)
class EnergyPrice:
    """What a kWh costs, or earns: `factor` x price + `offset_per_kwh`, taxes and fees in it.

    The price is that of `rates`; without rates it is the market's of that quarter hour.
    """

    rates: TimeOfUse | None = None
    factor: float = 1.0
    offset_per_kwh: float = 0.0

    @property
    def is_dynamic(self) -> bool:
        """Whether it follows a market."""
        return self.rates is None


@dataclass(frozen=True, slots=True)
class DemandCharge:
    """A charge on the month's highest mean import over clock-aligned windows.

    Only windows that begin in `hours` count. `tiers` are rates per kW and month, one staircase a calendar
    month. What is billed is at least `minimum_kw`, then the mean over the last `mean_months` months, then
    at least `ratchet_share` of the highest of the `ratchet_months` months before, of which those in
    `ratchet_counts` (0 to 11) count.
    """

    name: str
    tiers: tuple[Tiers, ...]
    hours: tuple[Hours, ...] = (ALWAYS,)
    window_s: int = 900
    minimum_kw: float = 0.0
    mean_months: int = 1
    ratchet_share: float = 0.0
    ratchet_months: int = 0
    ratchet_counts: frozenset[int] = frozenset(range(12))

    def counts(self, steps: LocalSteps) -> NDArray[np.bool_]:
        """Which steps count: those of windows that begin in its hours."""
        mask = np.logical_or.reduce([one.mask() for one in self.hours])
        begins = steps.quarter - steps.quarter % max(self.window_s // QUARTER_S, 1)
        counted: NDArray[np.bool_] = mask[steps.month, steps.weekday, begins]
        return counted


@dataclass(frozen=True, slots=True)
class Tariff:
    """All that a bill is made of. Without `feed_in` an exported kWh earns nothing."""

    name: str
    currency: str
    energy: EnergyPrice
    feed_in: EnergyPrice | None = None
    demand: tuple[DemandCharge, ...] = ()
    fixed_per_month: float = 0.0
    fixed_per_day: float = 0.0
    unread: tuple[str, ...] = ()
    """What its source says beyond this, in sentences: it is not in any figure."""

    @property
    def is_dynamic(self) -> bool:
        """Whether it needs the prices of a market."""
        return self.energy.is_dynamic or (self.feed_in is not None and self.feed_in.is_dynamic)


@dataclass(frozen=True, slots=True, eq=False)
class PriceSlots:
    """Local offset, import and export price of even slots; a price is NaN where it is not known."""

    begin_utc_s: float
    slot_s: float
    offset_s: NDArray[np.float64]
    import_per_kwh: NDArray[np.float64]
    export_per_kwh: NDArray[np.float64]

    @property
    def known(self) -> int:
        """How many slots from the first on are known without a gap."""
        unknown = np.flatnonzero(np.isnan(self.import_per_kwh) | np.isnan(self.export_per_kwh))
        return int(unknown[0]) if len(unknown) else len(self.import_per_kwh)


def price_slots(
    tariff: Tariff,
    market: Market | None,
    begin_utc_s: float,
    slot_s: float,
    count: int,
    offset_at: OffsetAt,
    used_kwh: float = 0.0,
) -> PriceSlots:
    """The prices of `count` slots; `used_kwh` is what the month has imported so far, for staircases."""
    steps = local_steps(begin_utc_s, slot_s, count, offset_at)
    import_per_kwh = _side(tariff.energy, steps, market, used_kwh)
    feed_in = tariff.feed_in or NOTHING
    return PriceSlots(begin_utc_s, slot_s, steps.offset_s, import_per_kwh, _side(feed_in, steps, market, 0.0))


def _side(
    price: EnergyPrice, steps: LocalSteps, market: Market | None, used_kwh: float
) -> NDArray[np.float64]:
    if price.rates is not None:
        base = price.rates.rates(steps, used_kwh)
    elif market is None:
        base = np.full(len(steps), np.nan)
    else:
        base = market.over(steps.begin_utc_s, steps.step_s, len(steps))
    return price.factor * base + price.offset_per_kwh


def flat(name: str, per_kwh: float) -> TimeOfUse:
    """One rate, always."""
    return TimeOfUse(Calendar(bytes(12 * 7 * 96)), (name,), ((Tier(per_kwh),),))


NOTHING = EnergyPrice(flat("nothing", 0.0))
"""The feed-in of a tariff that pays none."""
