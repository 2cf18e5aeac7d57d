"""`docs/tariffs.md`: every example in it is loaded, and what the page says of each is there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from controller.checking import describe
from controller.config import load_config
from tests.reference.rates import e19

PAGE = Path(__file__).parents[2] / "docs" / "tariffs.md"
EXAMPLES: list[str] = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
CSV = re.search(r"```\n(timestamp,.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
DEVICES = """[[meter]]
id = "grid"
profile = "eastron-sdm630"
connection = "tcp://127.0.0.1:5020"
[[battery]]
id = "bat1"
profile = "sunspec-hybrid"
connection = "tcp://127.0.0.1:5021"
capacity_wh = 10_000
"""


def words(folder: Path, example: str) -> str:
    assert CSV is not None
    (folder / "prices.csv").write_text(CSV[1], encoding="utf-8")
    (folder / "rate.json").write_text(json.dumps(e19()), encoding="utf-8")
    forecast = "timestamp,load_w\n2026-01-31T16:00:00+01:00,450\n"
    (folder / "forecast.csv").write_text(forecast, encoding="utf-8")
    path = folder / "house.toml"
    if "[tariff" not in example:
        example += "[tariff.import]\nper_kwh = 0.3\n"
    path.write_text(f'site = "house-7"\n{DEVICES}{example}', encoding="utf-8")
    return "\n".join(describe(load_config(path)))


@pytest.mark.parametrize("place", range(len(EXAMPLES)))
def test_every_example_is_a_site_file(place: int, tmp_path: Path) -> None:
    assert "tariff" in words(tmp_path, EXAMPLES[place])


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ("per_month = 6.50", "fixed: 6.5 a month"),
        ("winter night", "import winter night: 0.24 per kWh, 22:00 to 06:00 Nov to Mar"),
        ("1.0812", "import follows the market: price x 1.0812 +0.12936 per kWh, from api.energy-charts.info"),
        ("market/day-ahead", "from MQTT topic market/day-ahead"),
        (
            "summer afternoon",
            "windows of 15 min, 12:00 to 18:00 Mon to Fri Jun to Sep",
        ),
        (
            "mean_months",
            "windows of 15 min, at all hours; at least 2.5 kW; mean of 12 months",
        ),
        ("ratchet_pct", "at least 80 % of the 11 months before"),
        ("urdb", "not read: demandattrs, free text: Power-Factor"),
    ],
)
def test_it_is_understood_as_the_page_says(part: str, says: str, tmp_path: Path) -> None:
    [example] = [one for one in EXAMPLES if part in one]
    assert says in words(tmp_path, example)
