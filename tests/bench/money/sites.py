"""The sites of `make bench-money`: measured loads, suns and prices of a data folder, each with a battery.

Efficiency is 0.95 each way, wear 2 ct per kWh discharged. Prices of a day-ahead market are known until the
end of tomorrow from 13:00 on, before that until the end of today; those of a tariff always.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from controller.planning.inputs import DemandTerm, Floats, Leave, Storage
from simulators.traces import CsvTraces, read_csv
from tests.bench.money.course import Case

HOME = Storage(10_000.0, 4000.0, 4000.0, wear_per_kwh=0.02, min_soc_pct=0.0)
CALIFORNIA = Storage(13_000.0, 5000.0, 5000.0, wear_per_kwh=0.02, min_soc_pct=0.0)
CAMPUS = Storage(500_000.0, 250_000.0, 250_000.0, wear_per_kwh=0.02, min_soc_pct=0.0)
PUBLISHED_S = 13 * 3600.0
FRENCH_BEGIN = np.datetime64("2024-12-01T00:00:00")


def clock(traces: CsvTraces) -> tuple[Floats, Floats]:
    """UTC and local offset of each step."""
    utc_s = traces.start.timestamp() + traces.step_s * np.arange(traces.rows)
    rows = np.array([row for row, _ in traces.offsets])
    offsets = np.array([offset.total_seconds() for _, offset in traces.offsets])
    return utc_s, offsets[np.searchsorted(rows, np.arange(traces.rows), side="right") - 1]


def published(utc_s: Floats, offset_s: Floats) -> NDArray[np.intp]:
    """The first step whose price is not known yet, for each step."""
    day = np.floor((utc_s + offset_s) / 86_400.0)
    days = np.where((utc_s + offset_s) % 86_400.0 >= PUBLISHED_S, 2, 1)
    return np.asarray(np.searchsorted(day, day + days))


def belgian_home(data: Path) -> Case:
    """A home with PV on the Belgian dynamic contract of 2024."""
    traces = read_csv(data / "residential" / "be_home1_2024_15min.csv.gz")
    utc_s, offset_s = clock(traces)
    buy, sell = (np.array(traces.prices[f"{one}_price_eur_per_kwh"].values) for one in ("import", "export"))
    load_w, pv_w = np.array(traces.load.values), np.array(traces.pv.values)
    until = published(utc_s, offset_s)
    leave = Leave(grid_charging=True, battery_export=True)
    return Case(
        "Belgian home 2024, dynamic", utc_s, offset_s, 900.0, load_w, pv_w, buy, sell, until, HOME, leave
    )


def with_german_prices(case: Case, data: Path, year: int) -> Case:
    """The same home under the day-ahead prices of another year and country, with the Belgian formula."""
    path = data / "prices" / f"de_dayahead_{year}_hourly.csv"
    market = np.genfromtxt(path, delimiter=",", skip_header=1, usecols=1)
    hours = np.resize(market, case.steps // 4 + 1)
    dayahead = np.repeat(hours, 4)[: case.steps]
    name = f"Belgian home, German prices of {year}"
    return replace(
        case,
        name=name,
        import_per_kwh=1.0812 * dayahead + 0.12936,
        export_per_kwh=0.98 * dayahead - 0.015,
    )


def belgian_home_capacity(data: Path) -> Case:
    """With a capacity tariff beside it, 52 EUR a year for each kW of the month's highest quarter hour.

    About as in Flanders, without the 2.5 kW that are billed there at least.
    """
    case = belgian_home(data)
    months = (case.utc_s + case.offset_s).astype("datetime64[s]").astype("datetime64[M]")
    terms = tuple(DemandTerm(52.0 / 12.0, months == one) for one in np.unique(months))
    return replace(case, name="Belgian home, capacity tariff", demand=terms)


def belgian_home_2015(data: Path) -> Case:
    """Under German prices of 2015."""
    return with_german_prices(belgian_home(data), data, 2015)


def belgian_home_2018(data: Path) -> Case:
    """Under German prices of 2018."""
    return with_german_prices(belgian_home(data), data, 2018)


def belgian_home_2023(data: Path) -> Case:
    """The load of 2023 from its first Monday on, with sun and prices of 2024, which begins with a Monday."""
    case = belgian_home(data)
    traces = read_csv(data / "residential" / "be_home1_2023_15min.csv.gz")
    load_w = np.resize(np.array(traces.load.values)[96:], case.steps)
    return replace(case, name="Belgian home, load of 2023", load_w=load_w)


def french_home(data: Path) -> Case:
    """25 winter days with electric heating, with Belgian sun and prices from 1 December 2024, a Sunday too.

    Nothing is known before them: it is a home's first month with a plan.
    """
    case = belgian_home(data)
    traces = read_csv(data / "residential" / "fr_sceaux_2006-12_1min.csv.gz")
    load_w = np.array(traces.load.values).reshape(-1, 15).mean(axis=1)
    first = int(np.searchsorted((case.utc_s + case.offset_s).astype("datetime64[s]"), FRENCH_BEGIN))
    days = slice(first, first + len(load_w))
    columns = (case.utc_s, case.offset_s, case.pv_w, case.import_per_kwh, case.export_per_kwh)
    utc_s, offset_s, pv_w, buy, sell = (one[days] for one in columns)
    return replace(
        case,
        name="French home, 25 days of winter",
        utc_s=utc_s,
        offset_s=offset_s,
        load_w=load_w,
        pv_w=pv_w,
        import_per_kwh=buy,
        export_per_kwh=sell,
        known_until=published(utc_s, offset_s),
    )


def californian_home(data: Path) -> Case:
    """A home with PV on a time-of-use tariff in the manner of SCE's TOU-D-4-9PM (round figures, not a bill).

    USD/kWh, June to September: 0.48 on working days from 16 to 21 h, 0.37 on free days then, 0.27 else;
    winter 0.36 from 16 to 21 h, 0.25 from 8 to 16 h, 0.27 else; exports earn 0.04.
    """
    traces = read_csv(data / "residential" / "us_ca_home13_2016-17_60min.csv.gz")
    utc_s, offset_s = clock(traces)
    times = [traces.timestamp(row) for row in range(traces.rows)]
    hour = np.array([one.hour for one in times])
    free = np.array([one.weekday() >= 5 for one in times])
    summer = np.array([6 <= one.month <= 9 for one in times])
    evening, day = (hour >= 16) & (hour < 21), (hour >= 8) & (hour < 16)
    dear = np.where(summer, np.where(free, 0.37, 0.48), 0.36)
    buy = np.where(evening, dear, np.where(day & ~summer, 0.25, 0.27))
    load_w, pv_w = np.array(traces.load.values), np.array(traces.pv.values)
    always = np.full(traces.rows, traces.rows)
    return Case(
        "Californian home 2016-17, TOU",
        utc_s,
        offset_s,
        3600.0,
        load_w,
        pv_w,
        buy,
        np.full(traces.rows, 0.04),
        always,
        CALIFORNIA,
        Leave(grid_charging=True),
    )


def californian_home_in_colorado(data: Path) -> Case:
    """The Californian home on Colorado's residential demand rate of 2018: nearly all of it is the peak."""
    traces = read_csv(data / "residential" / "us_ca_home13_2016-17_60min.csv.gz")
    path = data / "tariffs" / "urdb_psco_residential_demand_rd_2018.json"
    rate = json.loads(path.read_text(encoding="utf-8"))
    load_w, pv_w = np.array(traces.load.values), np.array(traces.pv.values)
    return on_urdb("Californian home, Colorado RD", traces, load_w, pv_w, rate, CALIFORNIA)


def campus(data: Path) -> Case:
    """An Italian campus on PG&E's E-19 (energy and demand by time of use, and a peak at any time)."""
    traces = read_csv(data / "commercial" / "it_campus_2015_15min.csv.gz")
    load_w = np.array(traces.load.values)
    rate = json.loads((data / "tariffs" / "urdb_pge_e19_secondary_2019.json").read_text(encoding="utf-8"))
    return on_urdb("Campus, PG&E E-19", traces, load_w, np.zeros(len(load_w)), rate, CAMPUS)


def on_urdb(
    name: str, traces: CsvTraces, load_w: Floats, pv_w: Floats, rate: dict[str, list], storage: Storage
) -> Case:
    """A site on a rate of the OpenEI database; exports earn nothing."""
    utc_s, offset_s = clock(traces)
    times = [traces.timestamp(row) for row in range(traces.rows)]
    month = np.array([one.month - 1 for one in times])
    hour = np.array([one.hour for one in times])
    free = np.array([one.weekday() >= 5 for one in times])

    def period(kind: str) -> NDArray[np.intp]:
        at_work, at_rest = (np.array(rate[f"{kind}{days}schedule"]) for days in ("weekday", "weekend"))
        return np.where(free, at_rest[month, hour], at_work[month, hour])

    energy = [tiers[0]["rate"] + tiers[0].get("adj", 0.0) for tiers in rate["energyratestructure"]]
    terms = []
    months = np.array([one.year * 12 + one.month for one in times])
    demand = period("demand") if "demandweekdayschedule" in rate else np.zeros(traces.rows, dtype=np.intp)
    for number in np.unique(months):
        of_month = months == number
        if "flatdemandstructure" in rate:
            tier = rate["flatdemandstructure"][rate["flatdemandmonths"][(int(number) - 1) % 12]][0]
            terms.append(DemandTerm(tier["rate"] + tier.get("adj", 0.0), of_month))
        for index, tiers in enumerate(rate.get("demandratestructure", ())):
            per_kw = tiers[0]["rate"] + tiers[0].get("adj", 0.0)
            applies = of_month & (demand == index)
            if per_kw > 0.0 and applies.any():
                terms.append(DemandTerm(per_kw, applies))
    return Case(
        name,
        utc_s,
        offset_s,
        traces.step_s,
        load_w,
        pv_w,
        np.array(energy)[period("energy")],
        np.zeros(traces.rows),
        np.full(traces.rows, traces.rows),
        storage,
        Leave(grid_charging=True),
        tuple(terms),
    )
