"""A tariff in words, for `penstock check` and whoever wants to know what was understood."""

from __future__ import annotations

from controller.planning.calendars import DAYS, MONTHS, QUARTERS, Hours, clock
from controller.planning.tariff import DemandCharge, EnergyPrice
from controller.planning.urdb import hours_of
from controller.tariff_door import PriceSource, TariffConfig

MOST_HOURS = 4
"""A period with more lines than this is told by their number."""


def tariff_lines(config: TariffConfig) -> list[str]:
    """What a kWh costs and when, what a peak costs, what is fixed, and what could not be read."""
    tariff = config.tariff
    lines = [f"{tariff.name}, {tariff.currency}"]
    lines += _energy("import", tariff.energy, config.source)
    if tariff.feed_in is None:
        lines.append("export earns nothing")
    elif tariff.feed_in == tariff.energy:
        lines.append("export earns what import costs at that moment")
    else:
        lines += _energy("export", tariff.feed_in, config.source)
    lines += [_demand(charge) for charge in tariff.demand]
    fees = [
        f"{amount:g} a {what}"
        for what, amount in (("month", tariff.fixed_per_month), ("day", tariff.fixed_per_day))
        if amount
    ]
    if fees:
        lines.append(f"fixed: {' and '.join(fees)}")
    return lines + [f"not read: {one}" for one in tariff.unread]


def _energy(side: str, price: EnergyPrice, source: PriceSource | None) -> list[str]:
    formula = ""
    if (price.factor, price.offset_per_kwh) != (1.0, 0.0):
        formula = f" x {price.factor:g} {price.offset_per_kwh:+g}"
    if price.rates is None:
        origin = "" if source is None else f", {source.words}"
        return [f"{side} follows the market: price{formula} per kWh{origin}"]
    rates = price.rates
    lines = []
    for index, name in enumerate(rates.names):
        staircase = rates.tiers[index]
        costs = f"{staircase[0].rate:g}{formula} per kWh"
        if len(staircase) > 1:
            costs += f" up to {staircase[0].up_to:g} kWh a month, then {len(staircase) - 1} more tiers"
        when = "" if len(rates.names) == 1 else f", {_when(hours_of(rates.calendar, index))}"
        lines.append(f"{side} {name}: {costs}{when}")
    return lines


def _demand(charge: DemandCharge) -> str:
    rates = sorted({staircase[0].rate for staircase in charge.tiers})
    text = f"{charge.name}: {' or '.join(f'{one:g}' for one in rates)} per kW and month, windows of "
    text += f"{charge.window_s // 60} min, {_when(charge.hours)}"
    if charge.minimum_kw:
        text += f"; at least {charge.minimum_kw:g} kW"
    if charge.mean_months > 1:
        text += f"; mean of {charge.mean_months} months"
    if charge.ratchet_share:
        text += f"; at least {100 * charge.ratchet_share:g} % of the {charge.ratchet_months} months before"
    return text


def _when(hours: tuple[Hours, ...]) -> str:
    if len(hours) > MOST_HOURS:
        return f"at {len(hours)} kinds of hours"
    return "; ".join(_hours(one) for one in hours) or "never"


def _hours(one: Hours) -> str:
    parts = []
    if (one.first, one.end) != (0, QUARTERS):
        parts.append(f"{clock(one.first)} to {clock(one.end)}")
    if len(one.weekdays) < len(DAYS):
        parts.append(_names(sorted(one.weekdays), DAYS))
    if len(one.months) < len(MONTHS):
        parts.append(_names(sorted(one.months), MONTHS))
    return " ".join(parts) or "at all hours"


def _names(places: list[int], names: tuple[str, ...]) -> str:
    """`Mon to Fri`, `Nov to Apr`, or one by one where they do not follow each other."""
    absent = [place for place in range(len(names)) if place not in places]
    if len(places) > 2 and places[-1] - places[0] == len(places) - 1:
        return f"{names[places[0]]} to {names[places[-1]]}"
    if len(places) > 2 and absent[-1] - absent[0] == len(absent) - 1:
        return f"{names[absent[-1] + 1]} to {names[absent[0] - 1]}"
    return ", ".join(names[place] for place in places)
