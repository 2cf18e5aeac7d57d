"""What is most likely a mistake in measured data is said before a long run starts, with line and value."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from controller.lab.study.traces_door import doubts, of_year, read_checked
from drivers.doors import DoorError

BEGIN = datetime(2025, 6, 1, tzinfo=timezone(timedelta(hours=2)))


def written(
    folder: Path, load: Callable[[datetime], float], pv: Callable[[datetime], float], days: int = 8
) -> Path:
    """A CSV of hours."""
    path = folder / "data.csv"
    lines = ["timestamp,load_w,pv_w"]
    for hour in range(24 * days):
        at = BEGIN + timedelta(hours=hour)
        lines.append(f"{at.isoformat()},{load(at):g},{pv(at):g}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def usual_load(at: datetime) -> float:
    return 300.0 + 10.0 * at.hour


def usual_sun(at: datetime) -> float:
    return max(0.0, 3000.0 - 500.0 * abs(at.hour - 13))


def refused(path: Path, latitude_deg: float = 50.0) -> str:
    with pytest.raises(DoorError) as error:
        read_checked(path, latitude_deg)
    return str(error.value)


def test_good_data_is_taken_as_it_is(tmp_path: Path) -> None:
    traces = read_checked(written(tmp_path, usual_load, usual_sun), 50.0)
    assert (traces.rows, traces.step_s) == (192, 3600.0)


def test_the_sun_is_looked_for_on_the_clock_of_the_site(tmp_path: Path) -> None:
    def californian(at: datetime) -> float:
        return usual_sun(at - timedelta(hours=9))  # the stamps' +02:00 is nine hours ahead of the Pacific

    path = written(tmp_path, usual_load, californian)
    assert "2500 W at 2025-06-01T23:00+02:00, by night" in refused(path)
    assert read_checked(path, 38.0, "America/Los_Angeles").rows == 192


def test_kilowatts_in_a_column_for_watts_are_noticed(tmp_path: Path) -> None:
    said = refused(written(tmp_path, lambda at: usual_load(at) / 1000.0, usual_sun))
    assert "line 25: column load_w" in said, "23:00 of the first day has the highest load"
    assert "0.53 at most" in said
    assert "kW x 1000, or kWh of each step x 1000" in said


def renamed(path: Path, header: str) -> Path:
    """The same values under other names."""
    path.write_text("\n".join([header, *path.read_text().splitlines()[1:]]) + "\n")
    return path


def test_the_advice_for_kilowatts_and_for_kilowatt_hours_is_taken(tmp_path: Path) -> None:
    path = written(tmp_path, lambda at: usual_load(at) / 1000.0, lambda at: usual_sun(at) / 1000.0)
    assert refused(path).endswith("or name the column load_kw or load_kwh")
    kilowatts = read_checked(renamed(path, "timestamp,load_kw,pv_kw"), 50.0)
    energies = read_checked(renamed(path, "timestamp,load_kwh,pv_kwh"), 50.0)
    assert max(kilowatts.load.values) == max(energies.load.values) == 530.0


def test_a_unit_that_leaves_next_to_nothing_is_doubted_by_its_name(tmp_path: Path) -> None:
    path = written(tmp_path, lambda at: usual_load(at) / 1000.0, lambda at: 0.0)
    said = refused(renamed(path, "timestamp,import_wh,export_wh"))
    assert "line 25: column import_wh: the load is 0.415 on average" in said
    assert said.endswith("are the values Wh of each step, as the name of the column says?")


@pytest.mark.parametrize(("mean_w", "asked"), [(99.0, True), (20.0, True), (101.0, False)])
def test_a_small_load_in_watts_may_be_energies(tmp_path: Path, mean_w: float, asked: bool) -> None:
    """415 W on average; a usual home has some 100 Wh in each quarter hour."""
    path = written(tmp_path, lambda at: usual_load(at) * mean_w / 415.0, lambda at: 0.0)
    said = doubts(path, read_checked(path, 50.0))
    year_kwh = f"{8.76 * mean_w:.0f}"
    asks = "if these are Wh of each step, name the column load_wh"
    whole = f"data.csv: column load_w: {mean_w:.0f} W on average are {year_kwh} kWh a year; {asks}"
    assert said == ([whole] if asked else [])
    renamed(path, "timestamp,load_wh,pv_wh")
    assert doubts(path, read_checked(path, 50.0)) == []


def test_a_counter_of_kilowatt_hours_is_noticed_by_its_own_numbers(tmp_path: Path) -> None:
    path = written(tmp_path, lambda at: 5000.0 + (at - BEGIN).total_seconds() / 7200.0, usual_sun)
    said = refused(renamed(path, "timestamp,load_kwh,pv_w"))
    assert "lines 2 to 193: column load_kwh: rises from 5000 to 5095.5 and never falls" in said
    assert said.endswith("is this a counter? Give what it rises within each step")


@pytest.mark.parametrize(("column", "per_kwh"), [("load_w", 1.0), ("load_w", 1000.0), ("pv_w", 1.0)])
def test_a_counter_in_a_column_for_a_power_is_noticed(tmp_path: Path, column: str, per_kwh: float) -> None:
    def counted(at: datetime) -> float:
        hours = int((at - BEGIN).total_seconds() // 3600)
        used_wh = sum(usual_load(BEGIN + timedelta(hours=one)) for one in range(hours))
        return 5000.0 + used_wh / per_kwh

    load, sun = (counted, usual_sun) if column == "load_w" else (usual_load, counted)
    said = refused(written(tmp_path, load, sun))
    last = 5000.0 + (8 * 24 * 300.0 + 8 * 2760.0 - 530.0) / per_kwh
    assert f"lines 2 to 193: column {column}: rises from 5000 to {last:g} and never falls" in said
    assert "is this a counter? Give the mean watts of each step" in said
    assert "x 1 if it counts Wh, x 1000 if kWh" in said


def test_a_load_that_steps_up_now_and_then_is_no_counter(tmp_path: Path) -> None:
    path = written(tmp_path, lambda at: 300.0 if at.day < 4 else 500.0, usual_sun)
    assert read_checked(path, 50.0).rows == 192


@pytest.mark.parametrize(
    ("load_w", "sun_kw", "is_doubted"),
    [
        (1.0, 0.001, True),  # a home of 415 W whose 3 kW are written as 3
        (1.0, 0.01, False),  # 30 W, a module of a balcony in winter
        (50.0, 0.02, True),  # a shop of 21 kW whose 60 kW are written as 60
        (50.0, 0.2, False),  # or with a balcony of 600 W
        (5000.0, 1.0, True),  # a plant of 2 MW whose 3 MW are written as 3000
        (0.1, 0.01, False),  # a hut of 41 W with 30 W of sun
        (1.0, 0.0, False),  # no sun at all
    ],
)
def test_sun_in_kilowatts_beside_a_load_in_watts_is_noticed(
    tmp_path: Path, load_w: float, sun_kw: float, is_doubted: bool
) -> None:
    path = written(tmp_path, lambda at: load_w * usual_load(at), lambda at: sun_kw * usual_sun(at))
    if not is_doubted:
        assert read_checked(path, 50.0).rows == 192
        return
    said = refused(path)
    assert f"line 15: column pv_w: the sun gives {3000.0 * sun_kw:g} at most" in said, (
        "13:00 of the first day"
    )
    assert "are these kW or kWh? Give watts: kW x 1000, or kWh of each step x 1000" in said
    assert "leave the column out" in said


def test_blank_lines_do_not_shift_the_place_that_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, usual_load, lambda at: 9e7 if at == BEGIN + timedelta(hours=30) else 0.0)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], "", "", *lines[1:20], "", *lines[20:]]) + "\n")
    assert "line 35: column pv_w: 9e+07 W" in refused(path), "hour 30 is row 30: 2 and 3 blank lines further"


def test_more_than_any_site_takes_is_noticed(tmp_path: Path) -> None:
    said = refused(written(tmp_path, lambda at: usual_load(at) * 1e6, usual_sun))
    assert "5.3e+08 W is more than a site behind one meter takes" in said


def test_sun_at_midnight_is_noticed(tmp_path: Path) -> None:
    said = refused(written(tmp_path, usual_load, lambda at: usual_sun(at + timedelta(hours=9))))
    assert "column pv_w" in said
    assert "by night" in said
    assert "another time zone" in said


def test_near_the_pole_the_sun_may_shine_at_midnight(tmp_path: Path) -> None:
    path = written(tmp_path, usual_load, lambda at: 500.0 + at.hour)
    assert read_checked(path, 64.0).rows == 192


def test_a_meter_that_was_not_read_for_a_week_is_noticed(tmp_path: Path) -> None:
    said = refused(written(tmp_path, lambda at: 400.0, usual_sun))
    assert "line 2: column load_w: 400 W without any change for 7 days" in said


def test_what_the_message_of_a_standing_meter_advises_is_taken(tmp_path: Path) -> None:
    path = written(tmp_path, lambda at: 400.0 if 3 <= at.day < 12 else usual_load(at), usual_sun, days=14)
    assert "line 50: column load_w: 400 W without any change for 7 days and more, to line 265" in refused(
        path
    )
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], *lines[1:49]]) + "\n")
    assert read_checked(path, 50.0).rows == 48, "the rows before it"
    path.write_text("\n".join([lines[0], *lines[265:]]) + "\n")
    assert read_checked(path, 50.0).rows == 72, "the rows after it"


def test_less_than_a_day_says_nothing_about_a_year(tmp_path: Path) -> None:
    path = written(tmp_path, usual_load, usual_sun)
    path.write_text("\n".join(path.read_text().splitlines()[:13]) + "\n")
    assert "holds 12.0 hours; give at least a whole day" in refused(path)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("timestamp,load,pv_w\n", "no column 'load_w'"),
        ("timestamp,load_w,pv_w\n2025-06-01T00:00:00,1,2\n", "line 2: column timestamp"),
        ("timestamp,load_w,pv_w\n2025-06-01T00:00:00Z,-5,2\n", "line 2: column load_w: -5 is negative"),
    ],
)
def test_what_is_no_trace_is_said_with_its_line(tmp_path: Path, broken: str, said: str) -> None:
    path = tmp_path / "broken.csv"
    path.write_text(broken)
    assert said in refused(path)


def test_two_hour_steps_are_too_coarse(tmp_path: Path) -> None:
    path = written(tmp_path, usual_load, usual_sun)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], *lines[1::2]]) + "\n")
    assert "a row every 7200 s; give steps of an hour or less" in refused(path)


def test_a_year_is_cut_out_on_the_local_clock(tmp_path: Path) -> None:
    begin = datetime(2024, 12, 30, tzinfo=timezone(timedelta(hours=1)))
    lines = ["timestamp,load_w,pv_w"]
    for hour in range(24 * 4):
        at = begin + timedelta(hours=hour)
        lines.append(f"{at.isoformat()},{100 + hour % 50},0")
    path = tmp_path / "winter.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    traces = read_checked(path, 50.0)
    of_2025 = of_year(path, traces, 2025)
    assert of_2025.timestamp(0).isoformat() == "2025-01-01T00:00:00+01:00"
    assert list(of_2025.load.values) == [float(100 + hour % 50) for hour in range(48, 96)]
    with pytest.raises(DoorError, match=r"--years: 2026: .*winter\.csv holds 2024 to 2025"):
        of_year(path, traces, 2026)
