"""Measured data as owners have them: other units, separators, clocks, ends of steps, import and export."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from simulators.traces import CsvTraces, TraceError, read_csv

BRUSSELS = ZoneInfo("Europe/Brussels")


def read(folder: Path, *lines: str, where: ZoneInfo | None = None) -> CsvTraces:
    path = folder / "home.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_csv(path, where)


def refusal(folder: Path, *lines: str, where: ZoneInfo | None = None) -> str:
    with pytest.raises(TraceError) as caught:
        read(folder, *lines, where=where)
    return str(caught.value).removeprefix(str(folder / "home.csv"))


@pytest.mark.parametrize(
    ("unit", "text"), [("w", "1000"), ("kw", "1"), ("wh", "250"), ("kwh", "0.25"), ("kwh", " 0.25")]
)
def test_a_column_is_in_the_unit_that_its_name_says(tmp_path: Path, unit: str, text: str) -> None:
    """1 kW is 250 Wh in each quarter hour."""
    rows = [f"2025-06-01T00:{minute}:00Z,{text},{text}" for minute in ("00", "15")]
    traces = read(tmp_path, f"timestamp,load_{unit},pv_{unit}", *rows)
    assert list(traces.load.values) == list(traces.pv.values) == [1000.0, 1000.0]
    assert (traces.load_column, traces.pv_column) == (f"load_{unit}", f"pv_{unit}")


def test_watts_are_taken_where_there_are_several_and_load_before_import(tmp_path: Path) -> None:
    header = "timestamp,import_w,load_kwh,load_w,export_kwh"
    traces = read(tmp_path, header, "2025-06-01T00:00:00Z,1,2,300,4", "2025-06-01T01:00:00Z,1,2,400,4")
    assert list(traces.load.values) == [300.0, 400.0]
    assert traces.notes == ("home.csv has no column pv_w: simulated without PV",)


def test_import_and_export_stand_for_load_and_sun_and_a_note_says_so(tmp_path: Path) -> None:
    header = "timestamp,import_kwh,export_kwh"
    traces = read(tmp_path, header, "2025-06-01T00:00:00Z,0.3,0", "2025-06-01T01:00:00Z,0,1.2")
    assert (list(traces.load.values), list(traces.pv.values)) == ([300.0, 0.0], [0.0, 1200.0])
    assert len(traces.notes) == 1
    assert "import is simulated as the load and export as the sun" in traces.notes[0]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_semicolons_and_tabs_separate_columns_with_decimal_commas(tmp_path: Path, separator: str) -> None:
    lines = ["timestamp;load_kwh;pv_kwh", "2025-06-01T00:00:00Z;0,25;0", "2025-06-01T01:00:00Z;0.5;1,5"]
    traces = read(tmp_path, *(one.replace(";", separator) for one in lines))
    assert (list(traces.load.values), list(traces.pv.values)) == ([250.0, 500.0], [0.0, 1500.0])


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (
            ("timestamp,load_kwh", '2025-06-01T00:00:00Z,"0,25"'),
            ", line 2: column load_kwh: '0,25' is not a number; give kWh of each step, 0 or more, "
            "with a point for decimals, or separate the columns by semicolons",
        ),
        (
            ("timestamp;load_w", "2025-06-01T00:00:00Z;1.234,5"),
            ", line 2: column load_w: '1.234.5' is not a number; give watts, 0 or more",
        ),
        (
            ("timestamp;load_kw", "2025-06-01T00:00:00Z;"),
            ", line 2: column load_kw: the value is blank; give kilowatts, 0 or more",
        ),
    ],
)
def test_what_is_no_number_is_said_with_its_unit(
    tmp_path: Path, lines: tuple[str, ...], sentence: str
) -> None:
    assert refusal(tmp_path, *lines) == sentence


@pytest.mark.parametrize("minutes", [15, 60])
@pytest.mark.parametrize("month", [3, 10])
def test_local_stamps_are_even_steps_over_both_clock_changes(
    tmp_path: Path, month: int, minutes: int
) -> None:
    begin = datetime(2025, 3, 29, 23, tzinfo=UTC) if month == 3 else datetime(2025, 10, 25, 22, tzinfo=UTC)
    stamps = [(begin + timedelta(minutes=minutes * row)).astimezone(BRUSSELS) for row in range(18)]
    rows = [f"{stamp:%Y-%m-%dT%H:%M:%S},100" for stamp in stamps]
    traces = read(tmp_path, "timestamp,load_w", *rows, where=BRUSSELS)
    assert (traces.rows, traces.start, traces.step_s) == (18, begin, 60.0 * minutes)
    assert [traces.timestamp(row).isoformat() for row in range(18)] == [one.isoformat() for one in stamps]


def test_an_hour_that_the_clock_skips_or_does_not_show_twice_is_of_another_clock(tmp_path: Path) -> None:
    hours = [f"2025-03-30T{hour:02d}:00:00,100" for hour in range(4)]
    said = refusal(tmp_path, "timestamp,load_w", *hours, where=BRUSSELS)
    assert (
        ", line 4: column timestamp: 2025-03-30T02:00:00 is skipped by the clock of Europe/Brussels" in said
    )
    assert said.endswith("Then write the offset behind each: 2025-03-30T02:00:00+01:00")
    hours = [f"2025-10-26T{hour:02d}:00:00,100" for hour in range(5)]
    said = refusal(tmp_path, "timestamp,load_w", *hours, where=BRUSSELS)
    assert ", line 5: column timestamp: 2025-10-26T03:00:00 comes 7200 s after the row above" in said


@pytest.mark.parametrize(
    ("first", "second", "above"),
    [("T00:00:00Z", "T01:00:00", "a UTC offset"), ("T00:00:00", "T01:00:00Z", "no UTC offset")],
)
def test_stamps_are_all_with_an_offset_or_all_without(
    tmp_path: Path, first: str, second: str, above: str
) -> None:
    rows = [f"2025-06-01{one},100" for one in (first, second)]
    said = refusal(tmp_path, "timestamp,load_w", *rows, where=BRUSSELS)
    assert said.startswith(
        f", line 3: column timestamp: 2025-06-01{second}, but the rows above have {above};"
    )


def test_stamps_of_ends_are_moved_to_the_begin_of_their_step(tmp_path: Path) -> None:
    ends = ("2025-10-26T02:45:00+02:00", "2025-10-26T02:00:00+01:00", "2025-10-26T02:15:00+01:00")
    traces = read(tmp_path, "timestamp_end,load_w", *(f"{one},100" for one in ends))
    begins = ("2025-10-26T02:30:00+02:00", "2025-10-26T02:45:00+02:00", "2025-10-26T02:00:00+01:00")
    assert tuple(traces.timestamp(row).isoformat() for row in range(3)) == begins


@pytest.mark.parametrize(("first", "asked"), [(0, False), (1, True), (2, False)])
def test_data_from_a_quarter_past_to_midnight_are_asked_about(
    tmp_path: Path, first: int, asked: bool
) -> None:
    begin = datetime(2025, 6, 1, tzinfo=UTC)
    rows = [f"{(begin + timedelta(minutes=15 * row)).isoformat()},100,0" for row in range(first, 97)]
    asks = (
        "begins at 00:15, its last row at 00:00: if these are the ends of the steps, "
        "name the column timestamp_end"
    )
    notes = read(tmp_path, "timestamp,load_w,pv_w", *rows).notes
    assert notes == ((f"home.csv {asks}",) if asked else ())
    assert read(tmp_path, "timestamp_end,load_w,pv_w", *rows).notes == ()
