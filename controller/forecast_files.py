"""Outside forecasts out of text, CSV files and the JSON of MQTT messages; nonsense is refused."""

from __future__ import annotations

import csv
import io
import json
from itertools import pairwise
from math import nan
from pathlib import Path
from typing import Any

from controller.planning.said import QUARTER_S, Said, SaidError
from controller.price_files import PriceFileError, instant, shown
from controller.text_files import TextFileError, read_text

MOST_BYTES = 8_000_000
MOST_ROWS = 40_000
KEYS = ("load_w", "pv_w")
STEPS_S = (900, 1800, 3600)
USAGE = '{"forecast": [{"start": "2026-01-31T16:00:00Z", "load_w": 450, "pv_w": 1200}, ...]}'


class ForecastFileError(ValueError):
    """A forecast was refused; the text names the place, the value and what would be right."""


Row = tuple[float, Said]
"""UTC of its begin, and what is said of the time from then on."""


def read_forecast(path: Path) -> dict[int, Said]:
    """By quarter hour, of a CSV file with `timestamp` (ISO 8601 with offset) and `load_w`, `pv_w` or both."""
    try:
        text = read_text(path, MOST_BYTES)
    except TextFileError as error:
        raise ForecastFileError(str(error)) from None
    rows = csv.reader(io.StringIO(text))
    found: list[Row] = []
    try:
        header = [name.strip() for name in next(rows, [])]
        if "timestamp" not in header or not set(KEYS) & set(header):
            raise ForecastFileError(f"{path}, line 1: needs the columns timestamp and load_w or pv_w")
        for row in filter(None, rows):
            here = f"{path}, line {rows.line_num}"
            if len(row) != len(header):
                raise ForecastFileError(
                    f"{here}: {len(row)} values, but the header names {len(header)} columns"
                )
            named = dict(zip(header, row, strict=True))
            found.append(_row(here, named["timestamp"], {key: named.get(key, "").strip() for key in KEYS}))
            if len(found) > MOST_ROWS:
                raise ForecastFileError(f"{here}: more than {MOST_ROWS} rows; give a year at most")
    except csv.Error as error:
        raise ForecastFileError(f"{path}, line {rows.line_num}: {error}") from None
    return _quarters(str(path), found)


def forecast_in(payload: bytes, where: str) -> dict[int, Said]:
    """By quarter hour, of a JSON list of `start` with `load_w`, `pv_w` or both, or `forecast` of it."""
    if len(payload) > MOST_BYTES:
        raise ForecastFileError(f"{where}: {len(payload)} bytes; {MOST_BYTES} are the most")
    try:
        loaded = json.loads(payload)
    except (ValueError, RecursionError):
        raise ForecastFileError(f"{where}: is not JSON; give {USAGE}") from None
    items = loaded.get("forecast") if isinstance(loaded, dict) else loaded
    if not isinstance(items, list) or not all(isinstance(one, dict) for one in items):
        raise ForecastFileError(f"{where}: holds no forecast; give {USAGE}")
    if len(items) > MOST_ROWS:
        raise ForecastFileError(f"{where}: {len(items)} rows; {MOST_ROWS} are the most")
    return _quarters(where, [_row(where, one.get("start"), one) for one in items])


def _row(where: str, stamp: object, values: dict[str, Any]) -> Row:
    try:
        begin = instant(where, stamp if isinstance(stamp, str) else shown(stamp))
        return begin, Said(*(_power(where, values.get(key)) for key in KEYS))
    except (PriceFileError, SaidError) as error:
        text = str(error)
        raise ForecastFileError(text if text.startswith(where) else f"{where}: {text}") from None


def _power(where: str, value: object) -> float:
    """Mean W; nothing, or nothing between two commas, is not said."""
    if value is None or value == "":
        return nan
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ForecastFileError(f"{where}: {shown(value)!r} is no power")
    try:
        power_w = float(value)
    except (ValueError, OverflowError):
        raise ForecastFileError(f"{where}: {shown(value)!r} is no power") from None
    if power_w != power_w:
        raise ForecastFileError(f"{where}: {shown(value)!r} is no power; leave out what is not known")
    return power_w


def _quarters(where: str, rows: list[Row]) -> dict[int, Said]:
    """Each row holds until the next one could begin."""
    if not rows:
        raise ForecastFileError(f"{where}: holds no forecast")
    begins = sorted(begin for begin, _ in rows)
    step_s = min((later - before for before, later in pairwise(begins)), default=3600.0)
    if step_s == 0.0:
        twice = next(before for before, later in pairwise(begins) if later == before)
        raise ForecastFileError(f"{where}: two rows for the time from {twice:.0f} (UTC seconds)")
    if step_s not in STEPS_S or any(begin % QUARTER_S for begin in begins):
        raise ForecastFileError(
            f"{where}: rows {step_s:g} s apart; give steps of 15, 30 or 60 minutes on the quarter hour"
        )
    found = {}
    for begin, said in rows:
        for part in range(int(step_s) // QUARTER_S):
            found[int(begin) // QUARTER_S + part] = said
    return found
