"""`[tariff]` of the site file: what it understands, and what it says of what cannot be right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controller.checking import describe
from controller.config import Config, ConfigError, load_config
from controller.planning.tariff import price_slots
from tests.reference.rates import e19
from tests.unit.planning.clocks import BRUSSELS, local_s, offset_in

SITE = """site = "house-7"
[[meter]]
id = "grid"
profile = "eastron-sdm630"
connection = "tcp://127.0.0.1:5020"
[[battery]]
id = "bat1"
profile = "sunspec-hybrid"
connection = "tcp://127.0.0.1:5021"
capacity_wh = 10_000
[policy]
name = "economic"
"""

CSV = """timestamp,price_eur_per_kwh
2026-06-01T00:00:00+02:00,0.10
2026-06-01T01:00:00+02:00,-0.02
2026-06-01T02:00:00+02:00,0.30
"""


def load(folder: Path, tariff: str, site: str = SITE) -> Config:
    path = folder / "house.toml"
    path.write_text(site + tariff, encoding="utf-8")
    return load_config(path)


def refused(folder: Path, tariff: str, site: str = SITE) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, tariff, site)
    return str(caught.value)


PERIODS = """[tariff]
[tariff.import]
factor = 1.1
[[tariff.import.period]]
name = "peak"
per_kwh = 0.40
from = "17:00"
to = "21:00"
days = ["mon", "tue", "wed", "thu", "fri"]
[[tariff.import.period]]
name = "peak"
per_kwh = 0.40
from = "07:00"
to = "09:00"
months = [11, 12, 1, 2]
[[tariff.import.period]]
name = "off-peak"
per_kwh = 0.20
[tariff.export]
per_kwh = 0.05
"""


def test_time_of_use_with_two_windows_of_one_name_and_the_rest(tmp_path: Path) -> None:
    config = load(tmp_path, PERIODS)
    assert config.tariff is not None
    tuesday = local_s(BRUSSELS, 2024, 6, 4)
    summer = price_slots(config.tariff.tariff, None, tuesday, 3600.0, 24, offset_in(BRUSSELS))
    assert [hour for hour in range(24) if summer.import_per_kwh[hour] > 0.3] == [17, 18, 19, 20]
    assert summer.import_per_kwh[17] == pytest.approx(0.44)
    assert set(summer.export_per_kwh) == {0.05}
    saturday = local_s(BRUSSELS, 2024, 12, 7)
    winter = price_slots(config.tariff.tariff, None, saturday, 3600.0, 24, offset_in(BRUSSELS))
    assert [hour for hour in range(24) if winter.import_per_kwh[hour] > 0.3] == [7, 8]


def test_prices_that_are_not_published_yet_are_absent(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text(CSV, encoding="utf-8")
    market = '[tariff]\n[tariff.import]\nmarket = true\n[tariff.prices]\ncsv = "prices.csv"\n'
    config = load(tmp_path, market)
    assert config.tariff is not None
    slots = price_slots(config.tariff.tariff, None, 0.0, 900.0, 4, offset_in(BRUSSELS))
    assert slots.known == 0


def test_check_tells_the_tariff_in_words(tmp_path: Path) -> None:
    (tmp_path / "e19.json").write_text(json.dumps(e19()), encoding="utf-8")
    words = "\n".join(describe(load(tmp_path, '[tariff]\nurdb = "e19.json"\n')))
    assert "import period 5: 0.16484 per kWh, 12:00 to 18:00 Mon to Fri May to Oct" in words
    assert "import period 2: 0.11253 per kWh, 08:00 to 21:00 Mon to Fri Nov to Apr" in words
    assert "monthly peak: 19.53 per kW and month, windows of 15 min, at all hours" in words
    assert "fixed: 19.7125 a day" in words
    assert "not read: net metering" in words
    assert "export earns what import costs at that moment" in words


def test_a_rate_of_urdb_comes_as_the_database_answers_too(tmp_path: Path) -> None:
    (tmp_path / "answer.json").write_text(json.dumps({"items": [e19()]}), encoding="utf-8")
    config = load(tmp_path, '[tariff]\nurdb = "answer.json"\n[tariff.export]\nper_kwh = 0.03\n')
    assert config.tariff is not None
    assert len(config.tariff.tariff.demand) == 4
    # Demand on summer afternoons is no reason to spend the battery on every quarter hour of the month.
    assert config.dispatch.demand is not None
    assert (config.dispatch.demand.window_s, config.dispatch.demand.target_w) == (900, 1e9)


def test_the_capacity_tariff_defends_from_2_5_kw_on_without_a_plan_too(tmp_path: Path) -> None:
    capacity = (
        "[tariff.import]\nper_kwh = 0.3\n[[tariff.demand]]\nper_kw = 4\nminimum_kw = 2.5\nmean_months = 12\n"
    )
    config = load(tmp_path, "[tariff]\n" + capacity)
    assert config.dispatch.demand is not None
    assert (config.dispatch.demand.window_s, config.dispatch.demand.target_w) == (900, 2500.0)


IMPORT = "[tariff]\n[tariff.import]\n"
MARKET = IMPORT + "market = true\n"
WRONG = {
    "no price": (
        IMPORT,
        "tariff.import: needs a price; give one of per_kwh, [[tariff.import.period]] and market",
    ),
    "two prices": (IMPORT + "per_kwh = 0.3\nmarket = true\n", "tariff.import: says more than one price"),
    "not a number": (IMPORT + "per_kwh = nan\n", "tariff.import.per_kwh is nan"),
    "per MWh": (IMPORT + "per_kwh = 95.0\n", "tariff.import.per_kwh is 95.0"),
    "as text": (IMPORT + 'per_kwh = "0.3"\n', 'tariff.import.per_kwh is "0.3"'),
    "unknown key": (IMPORT + "price = 0.3\n", "tariff.import.price is not a known key"),
    "no import": ("[tariff]\n", "tariff.import: is missing"),
    "no source": (MARKET, "tariff.prices: is missing; market = true needs one of csv, mqtt and url"),
    "source nobody reads": (
        IMPORT + 'per_kwh = 0.3\n[tariff.prices]\nurl = "https://prices.example/x"\n',
        "tariff.prices: is read by nobody",
    ),
    "two sources": (
        MARKET + '[tariff.prices]\nurl = "https://prices.example/x"\nmqtt = "a/b"\n',
        "tariff.prices: says mqtt and url; give one of csv, mqtt and url",
    ),
    "no broker": (MARKET + '[tariff.prices]\nmqtt = "a/b"\n', "tariff.prices.mqtt: needs a broker"),
    "many topics": (MARKET + '[tariff.prices]\nmqtt = "a/#"\n', "give one topic, without # and +"),
    "a bad url": (MARKET + '[tariff.prices]\nurl = "file:///etc/passwd"\n', 'give "https://host/path"'),
    "a missing file": (
        MARKET + '[tariff.prices]\ncsv = "none.csv"\n',
        "none.csv: cannot be read: No such file",
    ),
    "overlap": (
        IMPORT
        + '[[tariff.import.period]]\nname = "a"\nper_kwh = 0.1\nto = "08:00"\n'
        + '[[tariff.import.period]]\nname = "b"\nper_kwh = 0.2\nfrom = "07:30"\n',
        "tariff.import.period[1].from: overlaps period 1 on a Mon in Jan at 07:30",
    ),
    "missing hours": (
        IMPORT
        + '[[tariff.import.period]]\nname = "a"\nper_kwh = 0.1\nto = "08:00"\n'
        + '[[tariff.import.period]]\nname = "b"\nper_kwh = 0.2\nfrom = "08:00"\nto = "23:45"\n',
        "no period holds on a Mon in Jan at 23:45; add a period without hours for the rest",
    ),
    "odd minutes": (
        IMPORT + '[[tariff.import.period]]\nname = "a"\nper_kwh = 0.1\nto = "08:10"\n',
        "periods change on quarter hours",
    ),
    "two prices of one name": (
        IMPORT
        + '[[tariff.import.period]]\nname = "a"\nper_kwh = 0.1\nto = "08:00"\n'
        + '[[tariff.import.period]]\nname = "a"\nper_kwh = 0.2\nfrom = "08:00"\n',
        'tariff.import.period[1].per_kwh: 0.2, but "a" costs 0.1 above',
    ),
    "two windows": (
        IMPORT
        + "per_kwh = 0.3\n[[tariff.demand]]\nper_kw = 4\n"
        + '[[tariff.demand]]\nname = "b"\nper_kw = 4\nwindow_min = 30\n',
        "tariff.demand: windows of 15 and 30 minutes",
    ),
    "another window": (
        IMPORT + "per_kwh = 0.3\n[[tariff.demand]]\nper_kw = 4\n[demand]\nwindow_min = 60\n",
        "demand.window_min: 60, but the tariff bills windows of 15 minutes",
    ),
    "a broken rate": ('[tariff]\nurdb = "rate.json"\n', "rate.json: cannot be read"),
    "no tariff": ("", "policy.name: economic needs prices; describe them in [tariff]"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_tariff_that_cannot_be_right_is_refused_with_place_and_remedy(name: str, tmp_path: Path) -> None:
    tariff, says = WRONG[name]
    text = refused(tmp_path, tariff)
    assert says in text
    assert str(tmp_path / "house.toml") in text


@pytest.mark.parametrize(
    ("csv", "says"),
    [
        (CSV.replace("02:00:00+02:00,0.30", "03:00:00+02:00,0.30"), "no price from 2026-06-01T00:00:00Z to"),
        (CSV.replace("0.30", "nan"), "line 4: a price of nan is no price"),
        (CSV.replace("0.30", "95.1"), "line 4: 95.1 per kWh cannot be right"),
        (CSV.replace("0.30", "dear"), "line 4: 'dear' is no price"),
        (CSV.replace("01:00:00+02:00", "00:00:00+02:00"), "two prices for the time"),
        (CSV.replace("02:00:00+02:00", "01:00:07+02:00"), "steps of 7 s"),
        (CSV.replace("T00:00:00+02:00", "T00:00:00"), "line 2: '2026-06-01T00:00:00' has no UTC offset"),
        (CSV.replace("timestamp", "time"), "line 1: no column timestamp among time, price_eur_per_kwh"),
        (CSV.replace(",0.30", ",0.30,1"), "line 4: 3 values, but the header names 2 columns"),
        ("timestamp,import_price,export_price\n", "name the one to take with column"),
        ("timestamp,price\n", "holds no price"),
    ],
)
def test_a_price_file_with_a_gap_or_nonsense_is_refused_at_the_door(
    csv: str, says: str, tmp_path: Path
) -> None:
    (tmp_path / "prices.csv").write_text(csv, encoding="utf-8")
    text = refused(tmp_path, MARKET + '[tariff.prices]\ncsv = "prices.csv"\n')
    assert says in text
    assert "tariff.prices.csv" in text


def test_prices_per_mwh_are_told_so(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text(CSV.replace("0.10", "100").replace("0.30", "300"), encoding="utf-8")
    assert (
        load(tmp_path, MARKET + '[tariff.prices]\ncsv = "prices.csv"\nunit = "per_mwh"\n').tariff is not None
    )
