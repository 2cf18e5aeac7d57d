"""What is most likely a mistake in measured data is said before a long run starts, with line and value."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from controller.lab.study.traces_door import of_year, read_checked
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


def test_kilowatts_in_a_column_for_watts_are_noticed(tmp_path: Path) -> None:
    said = refused(written(tmp_path, lambda at: usual_load(at) / 1000.0, usual_sun))
    assert "line 25: column load_w" in said, "23:00 of the first day has the highest load"
    assert "0.53 at most" in said
    assert "kW x 1000, or kWh of each step x 1000" in said


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
        lines.append(f"{at.isoformat()},{100 + hour},0")
    path = tmp_path / "winter.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    traces = read_checked(path, 50.0)
    of_2025 = of_year(path, traces, 2025)
    assert of_2025.timestamp(0).isoformat() == "2025-01-01T00:00:00+01:00"
    assert list(of_2025.load.values) == [float(100 + hour) for hour in range(48, 96)]
    with pytest.raises(DoorError, match=r"--years: 2026: .*winter\.csv holds 2024 to 2025"):
        of_year(path, traces, 2026)
