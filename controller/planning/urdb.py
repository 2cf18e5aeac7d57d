"""A rate of the OpenEI Utility Rate Database (URDB) as a tariff, and in words what of it is not read.

Fields as the database documents them (openei.org/services/doc/rest/util_rates): schedules are
[month 0 to 11][hour 0 to 23] -> period, `rate` and `adj` add up, `max` ends a tier. US dollars.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.planning.calendars import ALWAYS, QUARTERS, Calendar, Hours, calendar_from
from controller.planning.tariff import DemandCharge, EnergyPrice, Tariff, Tier, Tiers, TimeOfUse

HOUR_QUARTERS = 4
MOST_PERIODS = 60
WINDOW_S = 900
"""URDB says the window in free text at most; most US utilities meter demand over 15 minutes."""

_SKIPPED = frozenset(
    {
        *("label", "uri", "approved", "startdate", "enddate", "supersedes", "revisions", "eiaid", "utility"),
        *("name", "country", "source", "sourceparent", "description", "is_default", "sector", "servicetype"),
        *("basicinformationcomments", "energycomments", "demandcomments", "voltagecategory", "phasewiring"),
        *("voltageminimum", "voltagemaximum", "peakkwcapacitymin", "peakkwcapacitymax"),
        *("peakkwcapacityhistory", "peakkwhusagemin", "peakkwhusagemax", "peakkwhusagehistory"),
        *("demandunits", "flatdemandunit", "demandrateunit", "energyattrs", "demandattrs", "fixedattrs"),
        *("dgrules", "usenetmetering"),
    }
)
"""Read elsewhere here, or says who may have the rate and where it is written: no part of a bill."""
_MONEY = {
    "mincharge": "a minimum charge",
    "minmonthlycharge": "a minimum charge",
    "annualmincharge": "a minimum charge",
    "fixedchargeeaaddl": "a fixed charge for further meters",
    "fueladjustmentsmonthly": "monthly fuel adjustments",
    "demandreactivepowercharge": "a charge for reactive power",
    "coincidentratestructure": "a charge at the hour of the grid's own peak",
    "coincidentrateunit": "",
    "coincidentrateschedule": "",
}


class UrdbError(ValueError):
    """The JSON is not a rate that can be read; the text names the field and what would be right."""


def urdb_tariff(rate: Mapping[str, Any]) -> Tariff:
    """The tariff of one rate; UrdbError when its energy charge cannot be read, words for what else cannot."""
    unread: list[str] = []
    energy = _energy(rate, unread)
    sell = _sell(rate, energy, unread)
    demand = (*_flat_demand(rate, unread), *_tou_demand(rate, unread))
    per_month, per_day = _fixed(rate, unread)
    unread += _unknown(rate)
    if demand:
        unread.append("demand is taken over windows of 15 minutes; URDB has no field for their length")
    return Tariff(
        name=str(rate.get("name", "a rate of URDB")),
        currency="USD",
        energy=energy,
        feed_in=sell,
        demand=demand,
        fixed_per_month=per_month,
        fixed_per_day=per_day,
        unread=tuple(unread),
    )


def _energy(rate: Mapping[str, Any], unread: list[str]) -> EnergyPrice:
    structure = _structure(rate, "energyratestructure")
    if structure is None:
        raise UrdbError("energyratestructure is missing; it holds the price of a kWh for each period")
    tiers = tuple(
        _tiers(period, f"energyratestructure[{index}]", ("kwh",), unread)
        for index, period in enumerate(structure)
    )
    calendar = _calendar(rate, "energyweekdayschedule", "energyweekendschedule", len(tiers))
    names = tuple(f"period {index + 1}" for index in range(len(tiers)))
    return EnergyPrice(TimeOfUse(calendar, names, tiers))


def _sell(rate: Mapping[str, Any], energy: EnergyPrice, unread: list[str]) -> EnergyPrice | None:
    """What an exported kWh earns: the `sell` rates, or under net metering what an imported one costs."""
    assert energy.rates is not None
    structure = _structure(rate, "energyratestructure") or []
    sells = [_number(period[0], "sell", f"energyratestructure[{i}][0]") for i, period in enumerate(structure)]
    rules = str(rate.get("dgrules", "")).strip().lower()
    if any(sells):
        tiers = tuple((Tier(one),) for one in sells)
        return EnergyPrice(TimeOfUse(energy.rates.calendar, energy.rates.names, tiers))
    if rules == "net metering" or rate.get("usenetmetering"):
        unread.append(
            "net metering is read as a credit at the rate of the moment; how credits are carried over from "
            "month to month and settled at the end of the year is not"
        )
        firsts = tuple((Tier(staircase[0].rate),) for staircase in energy.rates.tiers)
        return EnergyPrice(TimeOfUse(energy.rates.calendar, energy.rates.names, firsts))
    if rules == "buy all sell all":
        unread.append('dgrules "Buy All Sell All": a battery cannot shift what is metered apart')
    return None


def _flat_demand(rate: Mapping[str, Any], unread: list[str]) -> tuple[DemandCharge, ...]:
    structure = _structure(rate, "flatdemandstructure")
    if structure is None:
        return ()
    months = rate.get("flatdemandmonths", [0] * 12)
    if not (isinstance(months, list) and len(months) == 12):
        raise UrdbError("flatdemandmonths needs one period for each of 12 months")
    by_period = [
        _tiers(period, f"flatdemandstructure[{index}]", ("kw",), unread)
        for index, period in enumerate(structure)
    ]
    tiers = tuple(by_period[_period(one, len(by_period), "flatdemandmonths")] for one in months)
    if not any(tier.rate for staircase in tiers for tier in staircase):
        return ()
    share, back, counts = _lookback(rate)
    return (
        DemandCharge(
            "monthly peak",
            tiers,
            (ALWAYS,),
            WINDOW_S,
            ratchet_share=share,
            ratchet_months=back,
            ratchet_counts=counts,
        ),
    )


def _lookback(rate: Mapping[str, Any]) -> tuple[float, int, frozenset[int]]:
    """The ratchet: this share of the highest peak of so many months before, and the months that count."""
    known = {str(key).lower(): value for key, value in rate.items()}
    share = _number(known, "lookbackpercent", "the rate")
    back = _number(known, "lookbackrange", "the rate")
    counted = known.get("lookbackmonths")
    counts = frozenset(range(12))
    if isinstance(counted, list) and len(counted) == 12:
        counts = frozenset(month for month, one in enumerate(counted) if one)
    if share <= 0.0:
        return 0.0, 0, counts
    # Without a range the months named are looked for in the whole year before.
    return share, int(back) or 11, counts


def _tou_demand(rate: Mapping[str, Any], unread: list[str]) -> tuple[DemandCharge, ...]:
    structure = _structure(rate, "demandratestructure")
    if structure is None:
        return ()
    calendar = _calendar(rate, "demandweekdayschedule", "demandweekendschedule", len(structure))
    charges = []
    for index, period in enumerate(structure):
        staircase = _tiers(period, f"demandratestructure[{index}]", ("kw",), unread)
        hours = hours_of(calendar, index)
        if hours and any(tier.rate for tier in staircase):
            charges.append(DemandCharge(f"peak in period {index + 1}", (staircase,) * 12, hours, WINDOW_S))
    return tuple(charges)


def hours_of(calendar: Calendar, index: int) -> tuple[Hours, ...]:
    """The hours of a period, as few entries as months and weekdays that are alike allow."""
    table = calendar.quarters() == index
    alike: dict[bytes, dict[frozenset[int], set[int]]] = {}
    for month in range(12):
        by_day: dict[bytes, set[int]] = {}
        for weekday in range(7):
            if table[month, weekday].any():
                by_day.setdefault(table[month, weekday].tobytes(), set()).add(weekday)
        for row, weekdays in by_day.items():
            alike.setdefault(row, {}).setdefault(frozenset(weekdays), set()).add(month)
    found = []
    for row, groups in alike.items():
        edges = np.flatnonzero(np.diff(np.frombuffer(row, dtype=np.int8), prepend=0, append=0)).tolist()
        if len(edges) > 2 and (edges[0], edges[-1]) == (0, QUARTERS):
            edges = [*edges[2:-1], edges[1]]  # the night before midnight and the one after are one
        for days, months in groups.items():
            for first, end in zip(edges[::2], edges[1::2], strict=True):
                found.append(Hours(frozenset(months), days, first, end))
    return tuple(found)


def _fixed(rate: Mapping[str, Any], unread: list[str]) -> tuple[float, float]:
    """Per month and per day."""
    amount = _number(rate, "fixedchargefirstmeter", "the rate")
    old = _number(rate, "fixedmonthlycharge", "the rate")
    unit = str(rate.get("fixedchargeunits", "$/month")).strip().lower()
    if unit == "$/day":
        return old, amount
    if unit == "$/year":
        return old + amount / 12.0, 0.0
    if unit != "$/month":
        unread.append(f'fixedchargefirstmeter {amount:g} in "{unit}": $/day, $/month and $/year are read')
        return old, 0.0
    return old + amount, 0.0


def _unknown(rate: Mapping[str, Any]) -> list[str]:
    """Fields with money in them that are not read, and fields nobody here knows."""
    read = {
        *("energyratestructure", "energyweekdayschedule", "energyweekendschedule", "flatdemandstructure"),
        *("flatdemandmonths", "demandratestructure", "demandweekdayschedule", "demandweekendschedule"),
        *("fixedchargefirstmeter", "fixedmonthlycharge", "fixedchargeunits", "lookbackpercent"),
        *("lookbackrange", "lookbackmonths"),
    }
    found = []
    for key, value in rate.items():
        name = str(key).lower()
        if name in read or name in _SKIPPED or value in (None, "", 0, [], {}):
            continue
        what = _MONEY.get(name, "not known here")
        if what and not name.endswith(("units", "unit")):
            found.append(f"{name[:60]}: {what}")
    for key in ("energyattrs", "demandattrs"):
        for attribute in rate.get(key) or []:
            text = ", ".join(f"{name} {value}" for name, value in dict(attribute).items())
            if "$" in text:
                found.append(f"{key}, free text: {text[:120]}")
    return found


def _structure(rate: Mapping[str, Any], key: str) -> list[list[Mapping[str, Any]]] | None:
    found = rate.get(key)
    if not found:
        return None
    ok = isinstance(found, list) and len(found) <= MOST_PERIODS
    if not ok or not all(
        isinstance(period, list) and period and all(isinstance(tier, dict) for tier in period)
        for period in found
    ):
        raise UrdbError(f"{key} is not a list of periods, each a list of tiers with a rate")
    return list(found)


def _tiers(period: list[Mapping[str, Any]], where: str, units: tuple[str, ...], unread: list[str]) -> Tiers:
    found: list[Tier] = []
    for index, tier in enumerate(period):
        here = f"{where}[{index}]"
        unit = str(tier.get("unit", units[0])).strip().lower()
        if unit not in units:
            unread.append(f'{here}: tiers in "{unit}"; only the first of them is read')
            return (Tier(_number(period[0], "rate", here) + _number(period[0], "adj", here)),)
        last = index == len(period) - 1
        up_to = inf if last or "max" not in tier else _number(tier, "max", here)
        if found and up_to <= found[-1].up_to:
            raise UrdbError(f"{here}.max is {up_to:g}; each tier ends above the one before")
        found.append(Tier(_number(tier, "rate", here) + _number(tier, "adj", here), up_to))
    return tuple(found)


def _number(fields: Mapping[str, Any], key: str, where: str) -> float:
    value = fields.get(key, 0)
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise UrdbError(f"{where}: {key} is {value!r}, not a number")
    return float(value)


def _calendar(rate: Mapping[str, Any], weekday_key: str, weekend_key: str, periods: int) -> Calendar:
    weekdays, weekends = (_schedule(rate, key, periods) for key in (weekday_key, weekend_key))
    table = np.empty((12, 7, 24), dtype=np.uint8)
    table[:, :5] = weekdays[:, None]
    table[:, 5:] = weekends[:, None]
    return calendar_from(table.repeat(HOUR_QUARTERS, axis=2))


def _schedule(rate: Mapping[str, Any], key: str, periods: int) -> NDArray[np.uint8]:
    found = rate.get(key)
    if not (
        isinstance(found, list)
        and len(found) == 12
        and all(isinstance(month, list) and len(month) == 24 for month in found)
    ):
        raise UrdbError(f"{key} is not 12 months of 24 hours each")
    return np.array([[_period(hour, periods, key) for hour in month] for month in found], dtype=np.uint8)


def _period(value: object, periods: int, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < periods:
        raise UrdbError(f"{where} names period {value!r}; there are periods 0 to {periods - 1}")
    return value
