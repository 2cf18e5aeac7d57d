"""Traces: files of measured load and PV, and days out of a seed."""

from __future__ import annotations

import gzip
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.traces import CsvTraces, StepTrace, SyntheticHouse, Trace, TraceError, read_csv

HEADER = "timestamp,load_w,pv_w"


def a_file(folder: Path, *lines: str, name: str = "home.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def quarters(start: str, count: int) -> list[str]:
    first = datetime.fromisoformat(start)
    return [f"{(first + timedelta(minutes=15 * n)).isoformat()},{100 + n},{n}" for n in range(count)]


def refusal(path: Path) -> str:
    with pytest.raises(TraceError) as caught:
        read_csv(path)
    return str(caught.value).removeprefix(str(path))


# --- The even trace -----------------------------------------------------------------------------------


def test_a_step_trace_holds_each_value_for_its_step_and_then_begins_again() -> None:
    trace = StepTrace(900.0, [1.0, 2.0])
    assert [trace.at(t_s) for t_s in (0.0, 899.9, 900.0, 1799.0, 1800.0)] == [1.0, 1.0, 2.0, 2.0, 1.0]
    assert trace.next_edge_s(0.0) == 900.0
    assert trace.next_edge_s(900.0) == 1800.0
    assert trace.duration_s == 1800.0


@given(step_s=st.floats(0.01, 4000.0), number=st.integers(0, 10_000_000))
def test_the_next_edge_is_always_ahead(step_s: float, number: int) -> None:
    trace = StepTrace(step_s, [0.0])
    edge_s = number * step_s
    assert trace.next_edge_s(edge_s) > edge_s


@pytest.mark.parametrize(("step_s", "values"), [(0.0, [1.0]), (900.0, [])])
def test_a_trace_without_step_or_values_is_refused(step_s: float, values: list[float]) -> None:
    with pytest.raises(ValueError, match="a step above 0 s and at least one value"):
        StepTrace(step_s, values)


# --- Files --------------------------------------------------------------------------------------------


def test_a_file_of_quarter_hours_becomes_two_traces(tmp_path: Path) -> None:
    traces = read_csv(a_file(tmp_path, HEADER, *quarters("2024-01-01T00:00:00+01:00", 4)))
    assert (traces.rows, traces.step_s, traces.duration_s) == (4, 900.0, 3600.0)
    assert traces.load.at(1800.0) == 102.0
    assert traces.pv.at(2700.0) == 3.0
    assert traces.start == datetime(2023, 12, 31, 23, tzinfo=UTC)
    assert traces.notes == ()


def test_a_packed_file_reads_like_a_plain_one(tmp_path: Path) -> None:
    path = tmp_path / "home.csv.gz"
    lines = [HEADER, *quarters("2024-01-01T00:00:00+01:00", 4)]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    assert list(read_csv(path).load.values) == [100.0, 101.0, 102.0, 103.0]


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "home.csv"
    lines = [HEADER, *quarters("2024-01-01T00:00:00+01:00", 2), ""]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    assert list(read_csv(path).load.values) == [100.0, 101.0]


def test_any_even_step_is_found_by_itself(tmp_path: Path) -> None:
    rows = ["2024-01-01T00:00:00Z,1,0", "2024-01-01T00:00:00.5Z,2,0", "2024-01-01T00:00:01Z,3,0"]
    assert read_csv(a_file(tmp_path, HEADER, *rows)).step_s == 0.5


def test_both_clock_changes_are_even_steps_and_keep_their_local_time(tmp_path: Path) -> None:
    spring = [
        "2024-03-31T01:45:00+01:00,1,0",
        "2024-03-31T03:00:00+02:00,2,0",
        "2024-03-31T03:15:00+02:00,3,0",
    ]
    traces = read_csv(a_file(tmp_path, HEADER, *spring))
    assert traces.step_s == 900.0
    assert [traces.timestamp(row).isoformat() for row in range(3)] == [row[:25] for row in spring]
    autumn = [
        "2024-10-27T02:45:00+02:00,1,0",
        "2024-10-27T02:00:00+01:00,2,0",
        "2024-10-27T02:15:00+01:00,3,0",
    ]
    traces = read_csv(a_file(tmp_path, HEADER, *autumn))
    assert [traces.timestamp(row).isoformat() for row in range(3)] == [row[:25] for row in autumn]


def test_a_file_without_pv_has_none_and_says_so(tmp_path: Path) -> None:
    traces = read_csv(
        a_file(tmp_path, "timestamp,load_w", "2024-01-01T00:00:00Z,100", "2024-01-01T01:00:00Z,200")
    )
    assert list(traces.pv.values) == [0.0, 0.0]
    assert traces.notes == ("home.csv has no column pv_w: simulated without PV",)


def test_prices_are_kept_by_name_and_may_be_negative_and_other_columns_are_passed_over(
    tmp_path: Path,
) -> None:
    traces = read_csv(
        a_file(
            tmp_path,
            "note,import_price_eur_per_kwh,pv_w,load_w,timestamp",
            "cold,0.25,0,100,2024-01-01T00:00:00Z",
            ",-0.05,0,100,2024-01-01T01:00:00Z",
        )
    )
    assert list(traces.prices) == ["import_price_eur_per_kwh"]
    assert traces.prices["import_price_eur_per_kwh"].at(3600.0) == -0.05


GOOD = "2024-01-01T00:00:00Z,100,0"
NEXT = "2024-01-01T00:15:00Z,100,0"


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (
            [GOOD, "2024-01-01T00:15:00Z,abc,0"],
            ", line 3: column load_w: 'abc' is not a number; give watts, 0 or more",
        ),
        (
            [GOOD, "2024-01-01T00:15:00Z,,0"],
            ", line 3: column load_w: the value is blank; give watts, 0 or more",
        ),
        (
            [GOOD, "2024-01-01T00:15:00Z,nan,0"],
            ", line 3: column load_w: nan is not a finite number; give watts, 0 or more",
        ),
        (
            [GOOD, "2024-01-01T00:15:00Z,1,-inf"],
            ", line 3: column pv_w: -inf is not a finite number; give watts, 0 or more",
        ),
        (
            [GOOD, "2024-01-01T00:15:00Z,-7,0"],
            ", line 3: column load_w: -7 is negative; give watts, 0 or more",
        ),
        ([GOOD, "2024-01-01T00:15:00Z,7"], ", line 3: 2 values, but the header names 3 columns"),
        ([GOOD, "2024-01-01T00:15:00Z,1,5,0"], ", line 3: 4 values, but the header names 3 columns"),
        (
            [GOOD, "01.01.2024 00:15,1,0"],
            ", line 3: column timestamp: '01.01.2024 00:15' is not ISO 8601; "
            "write 2024-01-31T16:45:00+01:00; for all rows, where the day comes first: "
            r"sed -E 's#([0-9]{2})[./-]([0-9]{2})[./-]([0-9]{4})#\3-\2-\1#g' FILE > NEW.csv (else \3-\1-\2)",
        ),
        (
            ["2024-01-01T00:00:00,1,0"],
            ", line 2: column timestamp: '2024-01-01T00:00:00' has no UTC offset; "
            "write 2024-01-01T00:00:00+01:00, or 2024-01-01T00:00:00Z for UTC, "
            'or say in the site file on which clock it is: timezone = "Europe/Brussels"',
        ),
        (
            [GOOD, GOOD],
            ", line 3: column timestamp: 2024-01-01T00:00:00Z comes twice; give each instant one row",
        ),
        (
            [GOOD, NEXT, "2024-01-01T00:10:00Z,1,0"],
            ", line 4: column timestamp: 2024-01-01T00:10:00Z lies 300 s before the row above; "
            "sort the rows by time",
        ),
        (
            [GOOD, NEXT, "2024-01-01T01:00:00Z,1,0"],
            ", line 4: column timestamp: 2024-01-01T01:00:00Z comes 2700 s after the row above, "
            "but the step is 900 s; give every step one row",
        ),
        ([GOOD], ": 1 rows of data; at least two are needed to tell the step"),
        ([], ": 0 rows of data; at least two are needed to tell the step"),
    ],
)
def test_a_bad_row_is_refused_with_its_place_and_what_would_be_right(
    tmp_path: Path, rows: list[str], sentence: str
) -> None:
    assert refusal(a_file(tmp_path, HEADER, *rows)) == sentence


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ("timestamp,load", ", line 1: no column 'load_w' among timestamp, load; did you mean 'load'?"),
        (
            "Timestamp,load_w",
            ", line 1: no column 'timestamp' among Timestamp, load_w; did you mean 'Timestamp'?",
        ),
        ("timestamp,load_w,load_w", ", line 1: two columns are named 'load_w'"),
        (
            "Datum;Uhrzeit;Verbrauch",
            ", line 1: no column 'timestamp' among Datum, Uhrzeit, Verbrauch; line 1 has to name timestamp "
            "(date and time in one column; timestamp_end if it is the end of a step), load_w and pv_w, or "
            "import_w and export_w at the grid, with _kw, _wh or _kwh for other units; docs/studies.md has "
            "commands for the files of grid operators",
        ),
    ],
)
def test_a_bad_header_is_refused_with_the_nearest_name(tmp_path: Path, header: str, sentence: str) -> None:
    assert refusal(a_file(tmp_path, header, GOOD)) == sentence


def test_an_empty_file_says_what_it_needs(tmp_path: Path) -> None:
    path = tmp_path / "home.csv"
    path.write_bytes(b"")
    assert refusal(path) == " is empty; it needs a header line: timestamp,load_w,pv_w"


def test_a_bad_price_is_refused_too(tmp_path: Path) -> None:
    path = a_file(tmp_path, "timestamp,load_w,price", "2024-01-01T00:00:00Z,1,", "2024-01-01T01:00:00Z,1,2")
    assert refusal(path) == ", line 2: column price: the value is blank; give a price"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.csv") == ": No such file or directory"


def test_a_plain_file_named_gz_and_a_packed_file_not_named_gz_are_told_apart(tmp_path: Path) -> None:
    plain = a_file(tmp_path, HEADER, GOOD, NEXT, name="home.csv.gz")
    assert refusal(plain) == ": the name ends in .gz, but it is not a gzip file"
    packed = tmp_path / "home.csv"
    packed.write_bytes(gzip.compress(b"x"))
    assert refusal(packed) == ": this is a gzip file; its name must end in .gz"


def test_a_packed_file_that_is_cut_or_broken_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress("\n".join([HEADER, *quarters("2024-01-01T00:00:00+01:00", 400)]).encode())
    path = tmp_path / "home.csv.gz"
    path.write_bytes(whole[:-20])
    assert refusal(path) == ": the compressed file ends too early; copy it again"
    path.write_bytes(whole[:200] + bytes(100) + whole[300:])
    assert "copy it again" in refusal(path)


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "home.csv"
    path.write_bytes("timestamp,load_w,Wärme\n".encode("latin-1"))
    assert refusal(path).endswith("is not UTF-8; save the file as UTF-8")


def test_a_bad_byte_is_named_with_its_line_however_far_in_the_file(tmp_path: Path) -> None:
    path = a_file(tmp_path, HEADER, *quarters("2024-01-01T00:00:00+01:00", 5000))
    path.write_bytes(path.read_bytes() + "é".encode("latin-1"))
    assert refusal(path) == ", line 5002: byte 0xe9 is not UTF-8; save the file as UTF-8"


def test_what_is_no_text_at_all_is_not_told_to_be_saved_as_one(tmp_path: Path) -> None:
    path = tmp_path / "home.csv"
    path.write_bytes(b"PAR1\x15\x04\x15\x80\xb3\x03\x00\x00")
    assert refusal(path) == " is no text file (it begins with 'PAR1'); give a CSV file in UTF-8"
    path.write_bytes("timestamp,load_w".encode("utf-16"))
    assert refusal(path) == ", line 1: byte 0xff is not UTF-8; save the file as UTF-8"


def test_a_row_knows_its_line_past_blank_ones(tmp_path: Path) -> None:
    rows = quarters("2024-01-01T00:00:00+01:00", 4)
    traces = read_csv(a_file(tmp_path, HEADER, "", rows[0], rows[1], "", "", rows[2], rows[3]))
    assert [traces.line(row) for row in range(4)] == [3, 4, 7, 8]


def test_a_year_of_minutes_can_be_asked_for_any_row(tmp_path: Path) -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    step = timedelta(minutes=1)
    path = a_file(tmp_path, HEADER, *(f"{start + n * step},{n % 1000},0" for n in range(20_000)))
    traces: CsvTraces = read_csv(path)
    assert traces.timestamp(19_999) == start + 19_999 * step
    assert traces.load.at(19_999 * 60.0) == 999.0


# --- Days out of a seed -------------------------------------------------------------------------------


def energy_kwh(trace: Trace, begin_s: float, end_s: float) -> float:
    energy_ws, t_s = 0.0, begin_s
    while t_s < end_s:
        edge_s = min(trace.next_edge_s(t_s), end_s)
        energy_ws += trace.at(t_s) * (edge_s - t_s)
        t_s = edge_s
    return energy_ws / 3.6e6


def test_a_home_uses_about_4000_kwh_a_year_and_its_pv_gives_about_1000_kwh_for_a_kilowatt() -> None:
    house = SyntheticHouse(1, pv_peak_w=1000.0, resolution_s=900)
    assert energy_kwh(house.load, 0.0, 365 * 86_400.0) == pytest.approx(4000.0, rel=0.05)
    assert energy_kwh(house.pv, 0.0, 365 * 86_400.0) == pytest.approx(1000.0, rel=0.15)


def test_the_evening_is_the_peak_of_the_day_and_the_night_its_base() -> None:
    house = SyntheticHouse(1, resolution_s=900)
    mean_w = [0.0] * 24
    for hour in range(200 * 24):
        mean_w[hour % 24] += house.load.at(hour * 3600.0 + 450.0) / 200
    assert mean_w.index(max(mean_w)) in (18, 19)
    assert max(mean_w) > 5 * mean_w[3]
    assert mean_w[7] > 1.5 * mean_w[3]


def test_the_same_seed_gives_the_same_day_whatever_was_asked_before() -> None:
    def afternoon(house: SyntheticHouse, first_s: float) -> list[float]:
        return [
            trace.at(first_s + minute * 60.0) for trace in (house.load, house.pv) for minute in range(300)
        ]

    through = SyntheticHouse("a", first_day=date(2024, 6, 1))
    for day in range(20):
        through.load.at(day * 86_400.0)
    alone = SyntheticHouse("a", first_day=date(2024, 6, 21))
    assert afternoon(through, 20 * 86_400.0 + 50_000.0) == afternoon(alone, 50_000.0)
    other = SyntheticHouse("b", first_day=date(2024, 6, 21))
    assert afternoon(alone, 50_000.0) != afternoon(other, 50_000.0)


def test_an_appliance_switches_within_a_second() -> None:
    load = SyntheticHouse(1).load
    edges_s, t_s = [], 0.0
    while t_s < 86_400.0:
        t_s = load.next_edge_s(t_s)
        edges_s.append(t_s)
    assert all(edge_s == int(edge_s) for edge_s in edges_s)
    jumps_w = [load.at(edge_s) - load.at(edge_s - 1.0) for edge_s in edges_s[:-1]]
    assert max(jumps_w) >= 1800.0


def test_a_coarser_resolution_has_the_same_energy() -> None:
    fine, coarse = SyntheticHouse(3), SyntheticHouse(3, resolution_s=900)
    for one, other in ((fine.load, coarse.load), (fine.pv, coarse.pv)):
        assert energy_kwh(other, 0.0, 86_400.0 * 3) == pytest.approx(energy_kwh(one, 0.0, 86_400.0 * 3))
    assert coarse.load.next_edge_s(0.0) == 900.0


def test_the_sun_is_down_at_night_and_pv_never_exceeds_its_peak() -> None:
    pv = SyntheticHouse(1, first_day=date(2024, 6, 1), pv_peak_w=5000.0).pv
    minutes_w = [pv.at(minute * 60.0) for minute in range(30 * 1440)]
    assert max(minutes_w) <= 5000.0
    assert max(minutes_w) > 3500.0
    assert min(minutes_w) >= 0.0
    assert pv.at(2 * 3600.0) == 0.0


def test_summer_gives_several_times_what_winter_gives() -> None:
    summer = SyntheticHouse(1, first_day=date(2024, 6, 1), resolution_s=900).pv
    winter = SyntheticHouse(1, first_day=date(2024, 12, 1), resolution_s=900).pv
    month_s = 30 * 86_400.0
    assert energy_kwh(summer, 0.0, month_s) > 3 * energy_kwh(winter, 0.0, month_s)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"resolution_s": 7}, "resolution_s is 7"),
        ({"latitude_deg": 80.0}, "latitude_deg is 80"),
        ({"pv_peak_w": -1.0}, "at least 0"),
    ],
)
def test_a_house_that_cannot_be_invented_is_refused(wrong: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        SyntheticHouse(1, **wrong)  # type: ignore[arg-type]  # the very point
