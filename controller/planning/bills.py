"""What a metered time came to on a tariff: energy by period, demand by month, fixed fees, export credit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum

import numpy as np
from numpy.typing import NDArray

from controller.planning.calendars import LocalSteps, OffsetAt, local_steps, parts_of
from controller.planning.market import Market
from controller.planning.tariff import DemandCharge, EnergyPrice, Tariff, TimeOfUse, cost_of

Floats = NDArray[np.float64]

MARKET = "market"
"""The name of the one period of a dynamic price."""


class BillError(ValueError):
    """The time cannot be billed; the text says why."""


@dataclass(frozen=True, slots=True)
class EnergyLine:
    """One period of one month: kWh and what they cost; a credit has a negative cost."""

    month: str
    period: str
    kwh: float
    cost: float


@dataclass(frozen=True, slots=True)
class DemandLine:
    """One demand charge of one month: the peak that was measured, the one that is billed, what it costs."""

    month: str
    name: str
    peak_kw: float
    billed_kw: float
    cost: float


@dataclass(frozen=True, slots=True)
class FixedLine:
    """Fixed fees of one month."""

    month: str
    cost: float


@dataclass(frozen=True, slots=True)
class Bill:
    """All lines; every total is the sum of its lines."""

    currency: str
    energy: tuple[EnergyLine, ...]
    export: tuple[EnergyLine, ...]
    demand: tuple[DemandLine, ...]
    fixed: tuple[FixedLine, ...]

    @property
    def energy_cost(self) -> float:
        """Of all kWh imported."""
        return fsum(line.cost for line in self.energy)

    @property
    def export_credit(self) -> float:
        """What the exported kWh earned."""
        return -fsum(line.cost for line in self.export)

    @property
    def demand_cost(self) -> float:
        """Of all peaks."""
        return fsum(line.cost for line in self.demand)

    @property
    def fixed_cost(self) -> float:
        """Of all fixed fees."""
        return fsum(line.cost for line in self.fixed)

    @property
    def total(self) -> float:
        """What is to be paid."""
        return fsum((self.energy_cost, -self.export_credit, self.demand_cost, self.fixed_cost))


def bill(
    tariff: Tariff,
    grid_import_w: Floats,
    begin_utc_s: float,
    step_s: float,
    offset_at: OffsetAt,
    *,
    export_w: Floats | None = None,
    market: Market | None = None,
    peaks_before_kw: Mapping[str, tuple[float, ...]] | None = None,
) -> Bill:
    """The bill of a time of even steps of mean import in W, negative while exporting.

    With `export_w` both are counted apart, as a meter with two registers does. `peaks_before_kw` are the
    monthly peaks of each demand charge before that time, oldest first. BillError when a price is missing.
    """
    exported_w = np.maximum(-grid_import_w, 0.0) if export_w is None else export_w
    imported_w = np.maximum(grid_import_w, 0.0)
    if not (np.isfinite(imported_w).all() and np.isfinite(exported_w).all()):
        raise BillError("a power is not a number")
    parts = parts_of(step_s)  # of a step that lies in two periods or windows each has its part
    imported_w, exported_w = np.repeat(imported_w, parts), np.repeat(exported_w, parts)
    steps = local_steps(begin_utc_s, step_s / parts, len(imported_w), offset_at)
    before = peaks_before_kw or {}
    return Bill(
        tariff.currency,
        _energy(tariff.energy, imported_w, steps, market, 1.0),
        () if tariff.feed_in is None else _energy(tariff.feed_in, exported_w, steps, market, -1.0),
        tuple(
            line
            for charge in tariff.demand
            for line in demand_lines(charge, imported_w, steps, before.get(charge.name, ()))
        ),
        _fixed(tariff, steps),
    )


def window_starts(charge: DemandCharge, steps: LocalSteps) -> NDArray[np.intp]:
    """The first step of each of the charge's windows; a first window that began before is one too."""
    windows = np.floor(steps.local_s / charge.window_s).astype(np.int64)
    # The hour that the local clock repeats in autumn is two hours.
    ends = (np.diff(windows) != 0) | (np.diff(steps.offset_s) != 0.0)
    return np.concatenate(([0], np.flatnonzero(ends) + 1))


def monthly_peaks_kw(charge: DemandCharge, imported_w: Floats, steps: LocalSteps) -> dict[int, float]:
    """The highest counted window of each month number, kW; 0 where no window of a month counts.

    Steps longer than the window are taken as they are: their mean hides what happened within.
    """
    if not len(steps):
        return {}
    starts = window_starts(charge, steps)
    energy_ws = np.add.reduceat(imported_w * steps.step_s, starts)
    mean_w = energy_ws / max(charge.window_s, steps.step_s)
    counted = charge.counts(steps)[starts]
    month_numbers = steps.month_number[starts]
    peaks = {int(number): 0.0 for number in np.unique(month_numbers)}
    for number in peaks:
        within = mean_w[(month_numbers == number) & counted]
        peaks[number] = float(within.max()) / 1000.0 if len(within) else 0.0
    return peaks


def billed_kw(
    charge: DemandCharge, peaks_kw: tuple[float, ...], month_numbers: tuple[int, ...]
) -> tuple[float, ...]:
    """What is billed in each of consecutive months with these peaks, by the charge's own rules."""
    own = tuple(max(peak, charge.minimum_kw) for peak in peaks_kw)
    found = []
    for place in range(len(own)):
        recent = own[max(place + 1 - charge.mean_months, 0) : place + 1]
        kw = fsum(recent) / len(recent)
        if charge.ratchet_share > 0.0:
            begin = max(place - charge.ratchet_months, 0)
            earlier = [
                peaks_kw[one]
                for one in range(begin, place)
                if month_numbers[one] % 12 in charge.ratchet_counts
            ]
            kw = max(kw, charge.ratchet_share * max(earlier, default=0.0))
        found.append(kw)
    return tuple(found)


def demand_lines(
    charge: DemandCharge, imported_w: Floats, steps: LocalSteps, before_kw: tuple[float, ...] = ()
) -> tuple[DemandLine, ...]:
    """One line for each month in which any hour counts."""
    measured = monthly_peaks_kw(charge, imported_w, steps)
    numbers = tuple(sorted(measured))
    all_numbers = tuple(range(numbers[0] - len(before_kw), numbers[0])) + numbers if numbers else ()
    all_peaks = (*before_kw, *(measured[number] for number in numbers))
    billed = billed_kw(charge, all_peaks, all_numbers)[len(before_kw) :]
    mask = np.logical_or.reduce([one.mask() for one in charge.hours])
    return tuple(
        DemandLine(
            month_name(number), charge.name, measured[number], kw, cost_of(charge.tiers[number % 12], kw)
        )
        for number, kw in zip(numbers, billed, strict=True)
        if mask[number % 12].any()
    )


def _energy(
    price: EnergyPrice, power_w: Floats, steps: LocalSteps, market: Market | None, sign: float
) -> tuple[EnergyLine, ...]:
    if price.rates is None:
        return _dynamic(price, power_w, steps, market, sign)
    return _by_period(price, price.rates, power_w, steps, sign)


def _by_period(
    price: EnergyPrice, rates: TimeOfUse, power_w: Floats, steps: LocalSteps, sign: float
) -> tuple[EnergyLine, ...]:
    """Staircases climb with all kWh of the month; each period has its share of every step."""
    periods, kwh_per_w = rates.calendar.at(steps), steps.step_s / 3.6e6
    lines = []
    for number in np.unique(steps.month_number):
        within = steps.month_number == number
        by_period_w = np.bincount(periods[within], power_w[within], len(rates.names))
        present = np.bincount(periods[within], minlength=len(rates.names)) > 0
        whole_kwh = float(by_period_w.sum()) * kwh_per_w
        for index in np.flatnonzero(present):
            kwh = float(by_period_w[index]) * kwh_per_w
            share = kwh / whole_kwh if whole_kwh > 0.0 else 0.0
            staircase = rates.tiers[index]
            cost = staircase[0].rate * kwh if len(staircase) == 1 else cost_of(staircase, whole_kwh) * share
            cost = price.factor * cost + price.offset_per_kwh * kwh
            lines.append(EnergyLine(month_name(int(number)), rates.names[index], kwh, sign * cost))
    return tuple(lines)


def _dynamic(
    price: EnergyPrice, power_w: Floats, steps: LocalSteps, market: Market | None, sign: float
) -> tuple[EnergyLine, ...]:
    if market is None:
        raise BillError("the tariff follows a market; give its prices")
    base = market.over(steps.begin_utc_s, steps.step_s, len(steps))
    missing = np.flatnonzero(np.isnan(base) & (power_w != 0.0))
    if len(missing):
        utc_s = steps.begin_utc_s + steps.step_s * float(missing[0])
        raise BillError(
            f"no price for the step from {utc_s:.0f} (UTC seconds) on, nor for {len(missing) - 1} more"
        )
    kwh_per_w = steps.step_s / 3.6e6
    cost = power_w * kwh_per_w * (price.factor * np.nan_to_num(base) + price.offset_per_kwh)
    lines = []
    for number in np.unique(steps.month_number):
        within = steps.month_number == number
        kwh = float(power_w[within].sum()) * kwh_per_w
        lines.append(EnergyLine(month_name(int(number)), MARKET, kwh, sign * fsum(cost[within])))
    return tuple(lines)


def _fixed(tariff: Tariff, steps: LocalSteps) -> tuple[FixedLine, ...]:
    """By local days: a month that is not whole costs its share; a day of 23 or 25 hours is one day."""
    if not (tariff.fixed_per_day or tariff.fixed_per_month):
        return ()
    lines = []
    for number in np.unique(steps.month_number):
        days = len(np.unique(steps.day[steps.month_number == number]))
        share = days / days_in_month(int(number))
        cost = tariff.fixed_per_day * days + tariff.fixed_per_month * share
        lines.append(FixedLine(month_name(int(number)), cost))
    return tuple(lines)


def days_in_month(number: int) -> int:
    """Of a month number."""
    first = np.datetime64(number - 1970 * 12, "M")
    days = (first + 1).astype("datetime64[D]") - first.astype("datetime64[D]")
    return int(days.astype(np.int64))


def month_name(number: int) -> str:
    """`2024-03` for a month number."""
    return f"{number // 12:04d}-{number % 12 + 1:02d}"
