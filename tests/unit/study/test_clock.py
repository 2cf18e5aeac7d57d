"""Measured data on the clock of the site: whatever offset its stamps are in, and wherever it begins."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from controller.config import load_config
from controller.lab.billing import planner
from controller.lab.measured import from_quarter_hour, invented_wall, on_site_clock
from controller.lab.simulate_command import simulate_site
from controller.lab.study.asked import asked
from controller.lab.study.case import NO_BATTERY, Outcome, run_case
from drivers.doors import DoorError
from simulators.traces import read_csv
from tests.unit.study.sites import a_site, billed_site, case_of, material_of

BRUSSELS = ZoneInfo("Europe/Brussels")
MIDNIGHT = datetime(2025, 5, 5, tzinfo=BRUSSELS)


def written(
    path: Path,
    begin: datetime,
    load_w: Callable[[datetime], float],
    *,
    zone: tzinfo = BRUSSELS,
    minutes: float = 15,
    hours: int = 24,
) -> Path:
    """Load on the clock of Brussels, with stamps in another zone."""
    lines = ["timestamp,load_w"]
    for row in range(round(hours * 60 / minutes)):
        at = begin.astimezone(UTC) + timedelta(minutes=minutes * row)
        lines.append(f"{at.astimezone(zone).isoformat()},{load_w(at.astimezone(BRUSSELS)):g}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def late_washing(at: datetime) -> float:
    """2 kW from 22 h to midnight."""
    return 2000.0 if at.hour >= 22 else 0.0


def in_brussels(site: Path) -> Path:
    text = site.read_text(encoding="utf-8")
    site.write_text(text.replace('site = "small"', 'site = "small"\ntimezone = "Europe/Brussels"'))
    return site


def without_battery(site: Path, source: Path) -> Outcome:
    found = asked(site, [source], None, (), (), ())
    return run_case(material_of(found), case_of(found, NO_BATTERY))


@pytest.mark.parametrize("zone", [BRUSSELS, UTC, ZoneInfo("America/New_York")])
def test_a_night_tariff_goes_by_the_clock_of_the_site_whatever_the_stamps_are_in(
    zone: tzinfo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "day.csv", MIDNIGHT, late_washing, zone=zone)
    site = in_brussels(a_site(tmp_path))
    one = without_battery(site, path)
    assert one.energy_cost == pytest.approx(4.0 * 0.20)
    assert one.first_day == "2025-05-05"
    simulate_site(site, None, path, 60.0, True)
    assert json.loads(capsys.readouterr().out)["bill_energy_without_battery"] == pytest.approx(0.80)


def test_without_a_time_zone_it_goes_by_the_offsets_of_the_stamps(tmp_path: Path) -> None:
    path = written(tmp_path / "utc.csv", MIDNIGHT, late_washing, zone=UTC)
    # 20 to 22 h UTC are dear.
    assert without_battery(a_site(tmp_path), path).energy_cost == pytest.approx(4.0 * 0.40)


def dear_evening(folder: Path, zone_line: str) -> Path:
    """The small site with the dear hours from 18:00 to 22:00, when the invented house needs most."""
    path = a_site(folder)
    text = path.read_text(encoding="utf-8").replace('"06:00"', '"18:00"')
    path.write_text(text.replace('site = "small"', f'site = "small"\n{zone_line}'), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["Europe/Brussels", "America/Los_Angeles", "Pacific/Auckland"])
def test_the_hours_of_a_tariff_are_those_of_an_invented_house_wherever_it_stands(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def energy(zone_line: str) -> float:
        assert simulate_site(dear_evening(tmp_path, zone_line), 1, None, 60.0, True)
        found: float = json.loads(capsys.readouterr().out)["bill_energy_without_battery"]
        return found

    assert energy(f'timezone = "{name}"') == energy("") == energy('timezone = "UTC"')


def test_prices_of_a_market_meet_an_invented_house_at_its_own_hours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same dear hours once as a tariff, once as prices of instants, from 18:00 to 22:00 in Brussels."""

    def energy(site: Path) -> float:
        assert simulate_site(site, 1, None, 60.0, True)
        found: float = json.loads(capsys.readouterr().out)["bill_energy_without_battery"]
        return found

    site = dear_evening(tmp_path, 'timezone = "Europe/Brussels"')
    by_tariff, text = energy(site), site.read_text(encoding="utf-8")
    first, last = text.index("[[tariff.import.period]]"), text.index("[tariff.export]")
    market = '[tariff.import]\nmarket = true\n[tariff.prices]\ncsv = "prices.csv"\n\n'
    site.write_text(text[:first] + market + text[last:], encoding="utf-8")
    begin = datetime(2026, 6, 1, tzinfo=BRUSSELS)
    hours = [(begin + timedelta(hours=hour), 0.40 if 18 <= hour < 22 else 0.20) for hour in range(24)]
    lines = [f"{at.isoformat()},{price}" for at, price in hours]
    (tmp_path / "prices.csv").write_text("\n".join(["timestamp,price", *lines]), encoding="utf-8")
    assert energy(site) == pytest.approx(by_tariff)


def test_an_invented_house_lives_through_clock_changes() -> None:
    wall = invented_wall(date(2025, 3, 29), 2 * 86_400.0, "Europe/Brussels")
    assert wall.begin_utc_s == datetime(2025, 3, 28, 23, tzinfo=UTC).timestamp()
    assert wall.offsets_s == ((0.0, 3600.0), (26 * 3600.0, 7200.0)), "at 02:00 of the 30th"


def test_invented_prices_are_cheap_at_noon_and_dear_in_the_evening_of_the_house_wherever_it_stands(
    tmp_path: Path,
) -> None:
    site = in_brussels(a_site(tmp_path))
    text = site.read_text(encoding="utf-8")
    begin, end = text.index("[[tariff.import.period]]"), text.index("[tariff.export]")
    market = '[tariff.import]\nmarket = true\n[tariff.prices]\nurl = "https://example.invalid/p"\n\n'
    site.write_text(text[:begin] + market + text[end:], encoding="utf-8")
    config = load_config(site)
    wall = invented_wall(config.simulation.start, 86_400.0, config.timezone)
    inside, _ = planner(config, wall, None, 86_400.0)
    assert inside is not None
    hourly = inside.market.over(wall.begin_utc_s, 3600.0, 24)
    assert hourly.argmax() == 19, "o'clock in Brussels, in summer too"
    assert hourly[11:16].max() < hourly[:6].min()


def test_a_clock_change_that_the_stamps_do_not_show_is_on_the_clock_of_the_site(tmp_path: Path) -> None:
    begin = datetime(2025, 3, 29, 23, tzinfo=UTC)  # midnight of the day with 23 hours
    path = written(tmp_path / "spring.csv", begin, lambda at: 100.0, zone=UTC, minutes=60)
    traces = on_site_clock(read_csv(path), "Europe/Brussels")
    assert traces.offsets == ((0, timedelta(hours=1)), (2, timedelta(hours=2)))
    assert [traces.timestamp(row).hour for row in (0, 1, 2, 22, 23)] == [0, 1, 3, 23, 0]
    assert traces.start == read_csv(path).start


def test_a_billed_quarter_hour_is_one_of_the_clock_wherever_the_data_begin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """9 kW from 18:00 to 18:15 in 5-min data from 00:05 on: 9 kW are billed, not a part of it."""

    def load_w(at: datetime) -> float:
        return 9000.0 if at.hour == 18 and at.minute < 15 else 500.0

    path = written(tmp_path / "day.csv", MIDNIGHT + timedelta(minutes=5), load_w, minutes=5)
    site = in_brussels(billed_site(tmp_path))
    one = without_battery(site, path)
    assert one.demand_cost == pytest.approx(90.0)
    # 16 dear hours at 500 W and a quarter hour at 8.5 kW more; 8 hours less 15 min at night.
    assert one.energy_cost == pytest.approx((8.0 + 0.25 * 8.5) * 0.40 + 7.75 * 0.5 * 0.20)
    simulate_site(site, None, path, 60.0, True)
    said = capsys.readouterr()
    assert json.loads(said.out)["bill_demand_without_battery"] == pytest.approx(90.0)
    assert "quarter hour at 2025-05-05T00:15:00+02:00: 2 rows before it are left out" in said.err


def test_what_is_left_out_is_said_and_what_begins_with_a_quarter_hour_stays(tmp_path: Path) -> None:
    half_past = written(tmp_path / "a.csv", MIDNIGHT + timedelta(minutes=30), late_washing, minutes=60)
    hourly = read_csv(half_past)
    assert from_quarter_hour(half_past, hourly) == (hourly, "")
    ten_past = written(tmp_path / "b.csv", MIDNIGHT + timedelta(minutes=10), late_washing, minutes=20)
    left, said = from_quarter_hour(ten_past, read_csv(ten_past))
    assert left.line(0) == read_csv(ten_past).line(read_csv(ten_past).rows - left.rows), "as in the file"
    assert left.start == MIDNIGHT + timedelta(minutes=30)
    assert left.rows == read_csv(ten_past).rows - 1
    assert said.endswith("the row before it is left out")


def test_data_that_never_meet_a_quarter_hour_cannot_be_billed_and_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "c.csv", MIDNIGHT + timedelta(minutes=10), late_washing, minutes=60)
    with pytest.raises(DoorError, match=r"begins at 2025-05-05T00:10:00.*a row every 3600 s"):
        from_quarter_hour(path, read_csv(path))
