"""Rates of the OpenEI Utility Rate Database as their JSON has them, written short, and a year of load.

Historic and real, CC BY 4.0 (NREL, Illinois State University): PG&E E-19 secondary of May 2019 (label
5cef0a415457a33576f60fe2), SCE GS-2 TOU-B of 2015 (55fc81d7682bea28da64f9ae), Xcel Colorado Schedule RD of
2018 (5a679442682bea21e990a0d4). `made_up` has what those three do not: tiers, a ratchet, a selling rate.
"""

from __future__ import annotations

from math import exp, pi, sin
from random import Random
from typing import Any

Rate = dict[str, Any]


def day(base: int, *spans: tuple[int, int, int]) -> list[int]:
    """24 hours in period `base`, but from hour to hour in another."""
    hours = [base] * 24
    for first, end, period in spans:
        hours[first:end] = [period] * (end - first)
    return hours


def year(winter: list[int], summer: list[int], first: int, end: int) -> list[list[int]]:
    """12 months, summer from month `first` to before `end` (0 is January); no two share a list."""
    return [list(summer if first <= month < end else winter) for month in range(12)]


def rates(*each: float) -> list[list[dict[str, float]]]:
    """Periods with one tier each."""
    return [[{"rate": one}] for one in each]


def e19() -> Rate:
    """PG&E E-19: energy and demand by time of use, a monthly peak, a fixed charge per day."""
    return {
        "name": "E-19 Medium General Demand TOU (Secondary)",
        "energyratestructure": rates(0.09593, 0.11253, 0.08837, 0.11883, 0.16484),
        "energyweekdayschedule": year(day(0, (8, 21, 1)), day(2, (8, 21, 3), (12, 18, 4)), 4, 10),
        "energyweekendschedule": year(day(0), day(2), 4, 10),
        "demandratestructure": rates(0, 0.13, 5.81, 20.97),
        "demandweekdayschedule": year(day(0, (8, 21, 1)), day(0, (8, 21, 2), (12, 18, 3)), 4, 10),
        "demandweekendschedule": year(day(0), day(0), 4, 10),
        "flatdemandstructure": rates(19.53, 19.53),
        "flatdemandmonths": [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0],
        "fixedchargefirstmeter": 19.71253,
        "fixedchargeunits": "$/day",
        "dgrules": "Net Metering",
        "demandattrs": [{"Power-Factor-Adjustment-Rate-$": "0.00005"}],
    }


def gs2() -> Rate:
    """SCE GS-2 TOU-B: the same parts, the old name of the fixed charge, discounts in free text."""
    return {
        "name": "Time of Use, General Service, Demand Metered, Option B: GS-2 TOU B, Single Phase",
        "energyratestructure": rates(0.0712, 0.09368, 0.066, 0.08888, 0.1355),
        "energyweekdayschedule": year(day(0, (8, 21, 1)), day(2, (8, 23, 3), (12, 18, 4)), 5, 9),
        "energyweekendschedule": year(day(0), day(2), 5, 9),
        "demandratestructure": rates(0, 5.3, 18.11),
        "demandweekdayschedule": year(day(0), day(0, (8, 23, 1), (12, 18, 2)), 5, 9),
        "demandweekendschedule": year(day(0), day(0), 5, 9),
        "flatdemandstructure": rates(13.2),
        "flatdemandmonths": [0] * 12,
        "fixedmonthlycharge": 259.2,
        "energyattrs": [{"California Climate credit": "$-0.00669/kwh"}],
    }


def schedule_rd() -> Rate:
    """Xcel Colorado RD: a home with a demand charge; `adj` on energy and demand."""
    return {
        "name": "Residential Demand Service (Schedule RD)",
        "energyratestructure": [[{"rate": 0.01974, "adj": 0.0283685, "unit": "kWh"}]],
        "energyweekdayschedule": year(day(0), day(0), 0, 0),
        "energyweekendschedule": year(day(0), day(0), 0, 0),
        "flatdemandstructure": [[{"rate": 7.76, "adj": 1.38}], [{"rate": 10.08, "adj": 1.43}]],
        "flatdemandmonths": [0, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0],
        "fixedchargefirstmeter": 15.91,
        "fixedchargeunits": "$/month",
        "dgrules": "Net Metering",
    }


def made_up() -> Rate:
    """Tiers on energy and demand, a ratchet over the year, a selling rate of its own."""
    return {
        "name": "made up",
        "energyratestructure": [
            [
                {"rate": 0.1, "max": 1000, "sell": 0.05},
                {"rate": 0.2, "max": 3000, "sell": 0.05},
                {"rate": 0.3, "sell": 0.05},
            ],
            [
                {"rate": 0.15, "max": 1000, "sell": 0.08},
                {"rate": 0.25, "max": 3000, "sell": 0.08},
                {"rate": 0.5, "sell": 0.08},
            ],
        ],
        "energyweekdayschedule": year(day(0, (8, 20, 1)), day(0), 0, 0),
        "energyweekendschedule": year(day(0), day(0), 0, 0),
        "flatdemandstructure": [[{"rate": 10.0, "max": 12}, {"rate": 14.0}]],
        "flatdemandmonths": [0] * 12,
        "lookbackpercent": 0.8,
        "lookbackrange": 11,
        "fixedchargefirstmeter": 120.0,
        "fixedchargeunits": "$/year",
        "dgrules": "Net Billing Instantaneous",
    }


RATES = {"PG&E E-19": e19, "SCE GS-2 TOU-B": gs2, "Xcel RD": schedule_rd, "made up": made_up}
PEAK_KW = {"PG&E E-19": 700.0, "SCE GS-2 TOU-B": 150.0, "Xcel RD": 9.0, "made up": 20.0}


def load_kw(name: str, seed: int = 3) -> list[float]:
    """A year of 15-minute means from a Monday on, as SAM's years are: seasons, an afternoon peak, chance."""
    chance = Random(seed)
    peak_kw = PEAK_KW[name]
    found = []
    for quarter in range(8760 * 4):
        hour = quarter / 4.0
        season = 0.45 + 0.15 * sin(2.0 * pi * (hour - 2000.0) / 8760.0)
        noon = 0.3 * exp(-(((hour % 24.0 - 15.0) / 4.0) ** 2))
        found.append(peak_kw * (season + noon) * (0.8 + 0.4 * chance.random()))
    return found


def sun_kw(name: str) -> list[float]:
    """A cloudless roof of half the peak, every day the same."""
    return [
        max(0.5 * PEAK_KW[name] * sin(pi * (quarter / 4.0 % 24.0 - 6.0) / 12.0), 0.0)
        for quarter in range(8760 * 4)
    ]
