"""Market prices out of text: CSV files, and the JSON of price services and MQTT messages.

A file of the owner's is refused for a gap, since he can mend it; of a service's answer what is missing is
absent. What cannot be a price is refused in both.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby, pairwise
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from controller.planning.market import STEPS, STEPS_S, Market, Point, PriceError, gaps, market_of
from controller.text_files import TextFileError, read_text

MOST_BYTES = 8_000_000
MOST_POINTS = 40_000
PER_MWH = 1000.0
IN_A_ROW = 4
"""So many equal distances are a step; a single longer one is a gap."""


class PriceFileError(ValueError):
    """Prices were refused; the text names the place, the value and what would be right."""


def read_prices(path: Path, per_mwh: bool, column: str | None) -> Market:
    """The market of a CSV file with `timestamp` (ISO 8601 with offset, even steps) and a price column."""
    try:
        text = read_text(path, MOST_BYTES)
    except TextFileError as error:
        raise PriceFileError(str(error)) from None
    points, lines = _csv_points(str(path), text, per_mwh, column)
    try:
        market = market_of(points)
    except PriceError as error:
        line = "" if error.index is None else f", line {lines[error.index]}"
        raise PriceFileError(f"{path}{line}: {error}") from None
    missing = gaps(market)
    if missing:
        begin, end = (_iso(one) for one in missing[0])
        more = f" and {len(missing) - 1} more gaps" if len(missing) > 1 else ""
        raise PriceFileError(f"{path}: no price from {begin} to {end}{more}; give one for every step")
    return market


def _csv_points(where: str, text: str, per_mwh: bool, column: str | None) -> tuple[list[Point], list[int]]:
    rows = csv.reader(io.StringIO(text))
    try:
        header = [name.strip() for name in next(rows, [])]
        stamp, price = _columns(where, header, column)
        found: list[tuple[float, float, int]] = []
        for row in rows:
            if not row:
                continue
            here = f"{where}, line {rows.line_num}"
            if len(row) != len(header):
                raise PriceFileError(f"{here}: {len(row)} values, but the header names {len(header)} columns")
            found.append((instant(here, row[stamp]), _price(here, row[price], per_mwh), rows.line_num))
            if len(found) > MOST_POINTS:
                raise PriceFileError(f"{here}: more than {MOST_POINTS} prices; give a year at most")
    except csv.Error as error:
        raise PriceFileError(f"{where}, line {rows.line_num}: {error}") from None
    found.sort()
    for (before, *_), (at, _, line) in pairwise(found):
        if at == before:
            raise PriceFileError(f"{where}, line {line}: two prices for the time from {_iso(at)}")
    steps_s = _steps_s(where, [one[0] for one in found])
    return [Point(at, steps_s[at], price) for at, price, _ in found], [line for *_, line in found]


def _columns(where: str, header: Sequence[str], column: str | None) -> tuple[int, int]:
    if "timestamp" not in header:
        raise PriceFileError(f"{where}, line 1: no column timestamp among {', '.join(header)[:200]}")
    prices = [name for name in header if "price" in name.lower()]
    if column is not None:
        if column not in header:
            raise PriceFileError(f"{where}, line 1: no column {column} among {', '.join(header)[:200]}")
        prices = [column]
    if len(prices) != 1:
        says = "no column with price in its name" if not prices else f"columns {', '.join(prices)}"
        raise PriceFileError(f"{where}, line 1: {says}; name the one to take with column = ...")
    return header.index("timestamp"), header.index(prices[0])


def instant(where: str, text: str) -> float:
    """UTC seconds of ISO 8601 with an offset."""
    try:
        stamp = datetime.fromisoformat(text.strip())
    except ValueError:
        raise PriceFileError(
            f"{where}: {text[:40]!r} is not ISO 8601; write 2024-01-31T16:00:00+01:00"
        ) from None
    if stamp.tzinfo is None:
        raise PriceFileError(
            f"{where}: {text[:40]!r} has no UTC offset; write {text[:40]}+01:00, or Z for UTC"
        )
    return stamp.timestamp()


def _price(where: str, text: str, per_mwh: bool) -> float:
    try:
        value = float(text)
    except ValueError:
        raise PriceFileError(f"{where}: {text[:40]!r} is no price") from None
    return value / PER_MWH if per_mwh else value


def _steps_s(where: str, begins: Iterable[float]) -> dict[float, float]:
    """How long the price of each begin holds, where its source does not say: to the next one.

    A source may change its step, as day-ahead markets went from hours to quarter hours. What is no step is
    a gap: the price before it holds as long as those before that, or as the shortest step of all.
    """
    at = sorted(set(begins))
    if not at:
        raise PriceFileError(f"{where}: holds no price")
    apart = [later - before for before, later in pairwise(at)]
    shortest_s = min(apart, default=3600.0)
    if shortest_s not in STEPS_S:
        raise PriceFileError(f"{where}: steps of {shortest_s:g} s; {STEPS}")
    found: list[float] = []
    step_s = shortest_s
    for distance_s, run in groupby(apart):
        times = len(list(run))
        if distance_s == shortest_s or (times >= IN_A_ROW and distance_s in STEPS_S):
            step_s = distance_s
        elif distance_s < step_s:
            step_s = shortest_s
        found += [step_s] * times
    return dict(zip(at, [*found, step_s], strict=True))


def _iso(utc_s: float) -> str:
    return datetime.fromtimestamp(utc_s, UTC).isoformat().replace("+00:00", "Z")


def prices_in(payload: bytes, per_mwh: bool, where: str) -> Market:
    """The market of a JSON text; PriceFileError when it is none or any price in it cannot be right.

    Understood are a list of `{"start", "price"}` with `end` if steps differ, alone or under `prices`;
    aWATTar's `data` of `start_timestamp` (ms) and `marketprice`; Energy-Charts' `unix_seconds` beside
    `price`. A `unit` in it that speaks of kWh or MWh goes before the setting.
    """
    if len(payload) > MOST_BYTES:
        raise PriceFileError(f"{where}: {len(payload)} bytes; {MOST_BYTES} are the most")
    try:
        loaded = json.loads(payload)
    except (ValueError, RecursionError):  # a ValueError is also a whole number of thousands of digits
        raise PriceFileError(f"{where}: is not JSON") from None
    try:
        return market_of(_json_points(where, loaded, per_mwh))
    except PriceError as error:
        raise PriceFileError(f"{where}: {error}") from None


def _json_points(where: str, loaded: Any, per_mwh: bool) -> list[Point]:
    if isinstance(loaded, dict) and isinstance(loaded.get("unix_seconds"), list):
        values = loaded.get("price")
        if not isinstance(values, list) or len(values) != len(loaded["unix_seconds"]):
            raise PriceFileError(f"{where}: unix_seconds and price are not of one length")
        scale = _scale(loaded.get("unit"), per_mwh)
        begins = [_number(where, one) for one in loaded["unix_seconds"]]
        rows = [
            (begin, _number(where, value) / scale)
            for begin, value in zip(begins, values, strict=True)
            if value is not None
        ]
        steps_s = _steps_s(where, begins)
        return [Point(begin, steps_s[begin], price) for begin, price in rows]
    items = loaded
    unit = None
    if isinstance(loaded, dict):
        unit = loaded.get("unit")
        items = next((loaded[key] for key in ("prices", "data") if isinstance(loaded.get(key), list)), None)
    if not isinstance(items, list) or not all(isinstance(one, dict) for one in items):
        usage = 'give {"prices": [{"start": "2026-01-31T16:00:00Z", "price": 0.21}, ...]}'
        raise PriceFileError(f"{where}: holds no list of prices; {usage}")
    if len(items) > MOST_POINTS:
        raise PriceFileError(f"{where}: {len(items)} prices; {MOST_POINTS} are the most")
    found = [_item(where, one, unit, per_mwh) for one in items]
    steps_s = _steps_s(where, (begin for begin, *_ in found))
    return [
        Point(begin, steps_s[begin] if end is None else end - begin, price) for begin, end, price in found
    ]


def _item(where: str, one: dict[str, Any], unit: object, per_mwh: bool) -> tuple[float, float | None, float]:
    """Begin, end if it is said, price per kWh."""
    scale = _scale(one.get("unit", unit), per_mwh)
    if "start_timestamp" in one:
        begin = _number(where, one["start_timestamp"]) / 1000.0
        end = _number(where, one["end_timestamp"]) / 1000.0 if "end_timestamp" in one else None
        return begin, end, _number(where, one.get("marketprice")) / scale
    ends = None if one.get("end") is None else _instant(where, one["end"])
    return _instant(where, one.get("start")), ends, _number(where, one.get("price")) / scale


def _instant(where: str, value: object) -> float:
    return instant(where, value if isinstance(value, str) else shown(value))


def _number(where: str, value: object) -> float:
    try:
        if not isinstance(value, bool) and isinstance(value, int | float) and isfinite(value):
            return float(value)
    except OverflowError:  # JSON knows whole numbers that no float can hold
        pass
    raise PriceFileError(f"{where}: {shown(value)!r} is no number")


def shown(value: object) -> str:
    """A value for a sentence; of one that holds others only what it is."""
    return type(value).__name__ if isinstance(value, list | dict) else str(value)[:40]


def _scale(unit: object, per_mwh: bool) -> float:
    """What a price is divided by, so that it is per kWh; the source's own word goes first."""
    said = re.sub(r"\s", "", unit if isinstance(unit, str) else "").lower()
    if said.endswith(("/mwh", "per_mwh")):
        return PER_MWH
    if said.endswith(("/kwh", "per_kwh")):
        return 1.0
    return PER_MWH if per_mwh else 1.0


def to_keep(market: Market) -> bytes:
    """What is known of a market as bytes for `kept_prices`."""
    known = np.flatnonzero(~np.isnan(market.per_kwh))
    kept = {"quarters": (market.first + known).tolist(), "per_kwh": market.per_kwh[known].tolist()}
    return json.dumps(kept).encode()


def kept_prices(payload: bytes, where: str) -> Market:
    """A market that was kept; PriceFileError when the file was damaged."""
    try:
        loaded = json.loads(payload)
        pairs = zip(loaded["quarters"], loaded["per_kwh"], strict=True)
        return market_of([Point(_number(where, at) * 900.0, 900.0, _number(where, one)) for at, one in pairs])
    except PriceError as error:
        raise PriceFileError(f"{where}: {error}") from None
    except (ValueError, TypeError, KeyError, RecursionError):
        raise PriceFileError(f"{where}: is damaged; the prices are asked for again") from None
