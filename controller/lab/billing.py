"""A tariff over a simulated time: its market prices, the planner beside the decisions, and the bills."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from controller.config import Config
from controller.lab.inside import Inside
from controller.lab.rehearsal import day_ahead
from controller.lab.simulate import METERED_S, Metered, Result, Wall
from controller.planning.bills import Bill, BillError, bill
from controller.planning.inputs import Floats
from controller.planning.market import QUARTER_S, Market, Point, PriceError, market_of
from controller.price_files import PriceFileError, prices_in, read_prices
from drivers.doors import DoorError
from simulators.traces import StepTrace


@dataclass(frozen=True, slots=True)
class Bills:
    """The same time with the battery and without it."""

    with_battery: Bill
    without: Bill


def planner(
    config: Config, wall: Wall, columns: Mapping[str, StepTrace] | None, duration_s: float
) -> tuple[Inside | None, str]:
    """The planner of a site with a tariff, and a note on where its market prices are from.

    `columns` are the price columns of measured data; None for an invented house.
    """
    if config.tariff is None:
        return None, ""
    market, note = Market(), ""
    if config.tariff.tariff.is_dynamic:
        try:
            market, note = _market(config, wall, columns, duration_s)
        except (PriceFileError, PriceError) as error:
            raise DoorError(f"{config.path}: tariff.prices: {error}") from None
    return Inside(config, config.tariff.tariff, wall, market), note


def _market(
    config: Config, wall: Wall, columns: Mapping[str, StepTrace] | None, duration_s: float
) -> tuple[Market, str]:
    assert config.tariff is not None, "asked only where there is one"
    source = config.tariff.source
    assert source is not None, "the door demands one of a tariff that follows a market"
    if source.csv is not None:
        return read_prices(source.csv, source.per_mwh, source.column), ""
    if columns is None:
        payload = day_ahead(config, int(duration_s // 86_400) + 3, wall.begin_utc_s)
        return prices_in(payload, False, "invented prices"), "market prices are invented from the seed"
    names = [name for name in columns if source.column in (None, name)]
    names = [name for name in names if "ahead" in name.lower()] or names
    if not names:
        return Market(), "the measured data has no market price, so the policy's fallback decides"
    if len(names) > 1:
        usage = "name the one of the market with tariff.prices.column, or give prices as csv"
        raise PriceFileError(f"the measured data has {', '.join(columns)}; {usage}")
    trace = columns[names[0]]
    values, step_s = np.asarray(trace.values) / (1000.0 if source.per_mwh else 1.0), trace.step_s
    if step_s < QUARTER_S and QUARTER_S % step_s == 0.0:
        per_quarter = round(QUARTER_S / step_s)
        values = values[: len(values) // per_quarter * per_quarter].reshape(-1, per_quarter).mean(axis=1)
        step_s = float(QUARTER_S)
    points = [
        Point(wall.begin_utc_s + place * step_s, step_s, value) for place, value in enumerate(values.tolist())
    ]
    return market_of(points), f"market prices are column {names[0]} of the data"


def bills(inside: Inside, result: Result) -> Bills | None:
    """What the simulated time cost; None for one shorter than a quarter hour, or with a price missing."""
    metered = result.metered
    if result.duration_s < METERED_S:
        return None
    whole = metered[: int(result.duration_s // METERED_S) + 1]
    try:
        return Bills(
            _bill(inside, *(_means_w(whole, name) for name in ("import_wh", "export_wh"))),
            _bill(inside, *(_means_w(whole, name) for name in ("import_without_wh", "export_without_wh"))),
        )
    except BillError:
        return None


def _means_w(metered: list[Metered], name: str) -> Floats:
    counted = np.array([getattr(one, name) for one in metered], dtype=np.float64)
    return np.diff(counted) * 3600.0 / METERED_S


def _bill(inside: Inside, import_w: Floats, export_w: Floats) -> Bill:
    wall = inside.wall
    return bill(
        inside.tariff,
        import_w,
        wall.begin_utc_s,
        METERED_S,
        wall.offset_at,
        export_w=export_w,
        market=inside.market,
    )


def bill_numbers(billed: Bills | None) -> dict[str, float | str]:
    """For JSON; nothing where nothing was billed."""
    if billed is None:
        return {}
    return {
        "currency": billed.with_battery.currency,
        **{f"bill_{name}": value for name, value in _parts(billed.with_battery).items()},
        **{f"bill_{name}_without_battery": value for name, value in _parts(billed.without).items()},
    }


def bill_rows(billed: Bills | None) -> list[tuple[str, str, str]]:
    """For the table."""
    if billed is None:
        return []
    currency, without = billed.with_battery.currency, _parts(billed.without)
    return [
        (
            f"bill, {name.replace('_', ' ')}",
            f"{value:,.2f} {currency}",
            f"{without[name]:,.2f} without the battery",
        )
        for name, value in _parts(billed.with_battery).items()
        if value or without[name]
    ]


def _parts(one: Bill) -> dict[str, float]:
    return {
        "energy": one.energy_cost,
        "export_credit": one.export_credit,
        "demand": one.demand_cost,
        "fixed": one.fixed_cost,
        "total": one.total,
    }
