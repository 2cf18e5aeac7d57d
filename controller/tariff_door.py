"""From `[tariff]` of the site file to the tariff it describes; what is wrong with it, with the place."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from controller.dispatch.settings import DemandSettings
from controller.forecast_files import ForecastFileError, read_forecast
from controller.planning.calendars import ALWAYS, QUARTERS, CalendarError, Hours, calendar_of
from controller.planning.tariff import DemandCharge, EnergyPrice, Tariff, Tier, TimeOfUse, flat
from controller.planning.urdb import UrdbError, urdb_tariff
from controller.price_files import PriceFileError, read_prices
from controller.schedule import DAYS
from controller.site_tariff import EnergyTable, HoursTable, PeriodTable, PricesTable, TariffTable
from controller.sitefile import SiteFile

MOST_URDB_BYTES = 2_000_000
UNDEFENDED_W = 1e9
"""A target that no site reaches."""
Place = tuple[str | int, ...]
Conflict = tuple[Place, str]


@dataclass(frozen=True, slots=True)
class PriceSource:
    """Where market prices come from: one of `csv`, `topic` and `url`."""

    csv: Path | None = None
    topic: str | None = None
    url: str | None = None
    per_mwh: bool = False
    column: str | None = None
    every_s: float = 1800.0
    ca: Path | None = None

    @property
    def words(self) -> str:
        """For the owner."""
        if self.csv is not None:
            return f"from {self.csv}"
        if self.topic is not None:
            return f"from MQTT topic {self.topic}"
        return f"from {urlsplit(self.url or '').hostname}, asked every {self.every_s / 60:g} min"


@dataclass(frozen=True, slots=True)
class TariffConfig:
    """A tariff, and the source of its market prices if it needs any."""

    tariff: Tariff
    source: PriceSource | None = None

    @property
    def demand(self) -> DemandSettings | None:
        """The billing windows that dispatch has to count where the site file has no [demand].

        The plan says what each may have. Without one only a peak that costs at all hours is defended, and
        only above what is billed anyway: to defend a charge on some hours all day would waste the battery.
        """
        charges = self.tariff.demand
        if not charges:
            return None
        floors_kw = [one.minimum_kw for one in charges if one.minimum_kw > 0.0 and one.hours == (ALWAYS,)]
        return DemandSettings(charges[0].window_s, min(floors_kw) * 1000.0 if floors_kw else UNDEFENDED_W)


def tariff_conflicts(site: SiteFile, config: TariffConfig | None) -> list[Conflict]:
    """What is wrong between the tariff and other tables."""
    assert site.tariff is not None, "asked only where there is one"
    found: list[Conflict] = []
    prices = site.tariff.prices
    if prices is not None and prices.mqtt is not None and site.mqtt is None:
        found.append((("tariff", "prices", "mqtt"), "needs a broker; describe it in [mqtt]"))
    windows = set() if config is None else {one.window_s // 60 for one in config.tariff.demand}
    if len(windows) > 1:
        several = f"windows of {' and '.join(map(str, sorted(windows)))} minutes; one meter counts in one"
        found.append((("tariff", "demand"), several))
    if site.demand is not None and windows and site.demand.window_min not in windows:
        differs = f"{site.demand.window_min}, but the tariff bills windows of {max(windows)} minutes"
        found.append((("demand", "window_min"), differs))
    return found


def forecast_conflicts(site: SiteFile, folder: Path) -> list[Conflict]:
    """What is wrong with an outside forecast: a file that holds none, a topic without a broker."""
    source, where = site.planning.forecast, ("planning", "forecast")
    if source is None:
        return []
    if source.csv is not None:
        try:
            read_forecast(folder / source.csv)
        except ForecastFileError as error:
            return [((*where, "csv"), str(error))]
    elif site.mqtt is None:
        return [((*where, "mqtt"), "needs a broker; describe it in [mqtt]")]
    return []


def tariff_config(folder: Path, table: TariffTable) -> tuple[TariffConfig | None, list[Conflict]]:
    """The tariff, or everything that is wrong between keys that are right by themselves."""
    found: list[Conflict] = []
    tariff = _urdb(folder, table, found) if table.urdb is not None else _inline(table, found)
    source = _source(folder, table.prices, found)
    if tariff is not None:
        if tariff.is_dynamic and table.prices is None:
            missing = "is missing; market = true needs one of csv, mqtt and url in [tariff.prices]"
            found.append((("tariff", "prices"), missing))
        if not tariff.is_dynamic and table.prices is not None:
            found.append((("tariff", "prices"), "is read by nobody; say market = true in [tariff.import]"))
    if found or tariff is None:
        return None, found
    return TariffConfig(tariff, source), []


def _urdb(folder: Path, table: TariffTable, found: list[Conflict]) -> Tariff | None:
    """A rate of the database; the site file may add what feeding in earns."""
    where: Place = ("tariff", "urdb")
    for key, given in (("import", table.import_), ("demand", table.demand), ("per_day", table.per_day)):
        if given:
            found.append((("tariff", key), f"{key} comes from the rate of urdb; leave one of the two out"))
    path = folder / (table.urdb or "")
    try:
        raw = path.read_bytes()
    except OSError as error:
        found.append((where, f"{path}: cannot be read: {error.strerror}"))
        return None
    try:
        if len(raw) > MOST_URDB_BYTES:
            raise UrdbError(f"{len(raw)} bytes; a rate has well under {MOST_URDB_BYTES}")
        tariff = urdb_tariff(_one_rate(json.loads(raw)))
    except (UrdbError, ValueError, RecursionError) as error:
        found.append((where, f"{path}: {error}"))
        return None
    if table.export is not None:
        tariff = replace(tariff, feed_in=_energy(table.export, ("tariff", "export"), found))
    fee = tariff.fixed_per_month + table.per_month
    return replace(tariff, fixed_per_month=fee)


def _one_rate(loaded: object) -> dict[str, object]:
    """The rate itself, or the one item of an answer of the database's own interface."""
    if isinstance(loaded, dict) and isinstance(loaded.get("items"), list):
        items = loaded["items"]
        if len(items) != 1:
            raise UrdbError(f"holds {len(items)} rates; keep one")
        loaded = items[0]
    if not isinstance(loaded, dict):
        raise UrdbError("is not a JSON object")
    return loaded


def _inline(table: TariffTable, found: list[Conflict]) -> Tariff | None:
    if table.import_ is None:
        found.append((("tariff", "import"), "is missing; give per_kwh, [[tariff.import.period]] or market"))
        return None
    energy = _energy(table.import_, ("tariff", "import"), found)
    feed_in = None if table.export is None else _energy(table.export, ("tariff", "export"), found)
    demand = tuple(
        DemandCharge(
            one.name,
            ((Tier(one.per_kw),),) * 12,
            (ALWAYS if one.always else _hours(one),),
            one.window_min * 60,
            one.minimum_kw,
            one.mean_months,
            one.ratchet_pct / 100.0,
            one.ratchet_months if one.ratchet_pct else 0,
        )
        for one in table.demand
    )
    names = [one.name for one in table.demand]
    for index, name in enumerate(names):
        if name in names[:index]:
            found.append((("tariff", "demand", index, "name"), f'"{name}" is taken; give each its own'))
    if energy is None:
        return None
    return Tariff("of the site file", table.currency, energy, feed_in, demand, table.per_month, table.per_day)


def _energy(table: EnergyTable, where: Place, found: list[Conflict]) -> EnergyPrice | None:
    given = [table.per_kwh is not None, bool(table.period), table.market]
    if sum(given) != 1:
        says = "needs a price" if not any(given) else "says more than one price"
        found.append(
            (where, f"{says}; give one of per_kwh, [[{'.'.join(map(str, where))}.period]] and market")
        )
        return None
    rates = None
    if table.per_kwh is not None:
        rates = flat("all", table.per_kwh)
    elif table.period:
        rates = _time_of_use(table.period, where, found)
        if rates is None:
            return None
    return EnergyPrice(rates, table.factor, table.offset_per_kwh)


def _time_of_use(periods: list[PeriodTable], where: Place, found: list[Conflict]) -> TimeOfUse | None:
    """Entries of one name are one period with several hours."""
    names = list(dict.fromkeys(one.name for one in periods))
    before = len(found)
    for index, one in enumerate(periods):
        first = next(other for other in periods if other.name == one.name)
        if one.per_kwh != first.per_kwh:
            wrong = f'{one.per_kwh:g}, but "{one.name}" costs {first.per_kwh:g} above'
            found.append(((*where, "period", index, "per_kwh"), wrong))
        if one is not first and one.always:
            found.append(((*where, "period", index, "from"), "is missing; say when it holds too"))
    if len(found) > before:
        return None
    prices = tuple((Tier(next(one.per_kwh for one in periods if one.name == name)),) for name in names)
    entries = [[] if one.always else [_hours(one)] for one in periods]
    try:
        calendar_of(entries)
        merged = [
            [
                hours
                for one, entry in zip(periods, entries, strict=True)
                if one.name == name
                for hours in entry
            ]
            for name in names
        ]
        return TimeOfUse(calendar_of(merged), tuple(names), prices)
    except CalendarError as error:
        place = where if error.index is None else (*where, "period", error.index, "from")
        rest = "; add a period without hours for the rest" if error.index is None else ""
        found.append((place, f"{error}{rest}"))
        return None


def _source(folder: Path, table: PricesTable | None, found: list[Conflict]) -> PriceSource | None:
    if table is None:
        return None
    given = [name for name in ("csv", "mqtt", "url") if getattr(table, name) is not None]
    if len(given) != 1:
        says = f"says {' and '.join(given)}" if given else "says no source"
        found.append((("tariff", "prices"), f"{says}; give one of csv, mqtt and url"))
        return None
    path = None if table.csv is None else folder / table.csv
    source = PriceSource(
        path,
        table.mqtt,
        table.url,
        table.unit == "per_mwh",
        table.column,
        table.every_min * 60.0,
        None if table.ca is None else folder / table.ca,
    )
    if source.ca is not None and not source.ca.is_file():
        found.append((("tariff", "prices", "ca"), f"{source.ca}: there is no such file"))
    if path is not None:
        try:
            read_prices(path, source.per_mwh, source.column)
        except PriceFileError as error:
            found.append((("tariff", "prices", "csv"), str(error)))
    return source


def _quarter(clock: str) -> int:
    return (int(clock[:2]) * 4 + int(clock[3:]) // 15) if clock != "24:00" else QUARTERS


def _hours(table: HoursTable) -> Hours:
    return Hours(
        frozenset(month - 1 for month in table.months),
        frozenset(DAYS.index(day) for day in table.days),
        _quarter(table.from_),
        _quarter(table.to),
    )
