"""The site's own past in quarter hours: what counts, what is left out, what survives on the disk."""

from __future__ import annotations

from math import nan
from pathlib import Path

import numpy as np
import pytest

from controller.past import FILE, Collector, Past, Quarter, append_past, read_past, rewrite_past

BEGIN = 1_780_000_200.0  # on a quarter hour


def collected(samples: list[tuple[float, float, float, float]], gap_s: float = 30.0) -> list[Quarter]:
    found: list[Quarter] = []
    collector = Collector(found.append, gap_s)
    for sample in samples:
        collector.take(*sample)
    return found


def every(step_s: float, count: int, load_w: float = 500.0, pv_w: float = 0.0, import_w: float = 500.0):
    return [(BEGIN + place * step_s, load_w, pv_w, import_w) for place in range(count)]


def test_begin_is_on_a_quarter_hour() -> None:
    assert BEGIN % 900 == 0


def test_a_quarter_hour_is_the_mean_over_its_time() -> None:
    """600 s at 300 W and 300 s at 900 W are 500 W."""
    samples = [(at, 900.0 if at >= BEGIN + 600 else 300.0, 100.0, 200.0) for at, *_ in every(10, 91)]
    assert collected(samples) == [Quarter(BEGIN, 500.0, 100.0, 200.0)]


def test_a_quarter_hour_says_for_how_much_of_it_the_sun_was_held_down() -> None:
    """300 of 900 s."""
    samples = [(at, 500.0, 100.0, 400.0, at >= BEGIN + 600) for at, *_ in every(10, 91)]
    collector_said: list[Quarter] = []
    collector = Collector(collector_said.append)
    for sample in samples:
        collector.take(*sample)
    assert collector_said[0].pv_held_share == pytest.approx(1 / 3)


def test_export_does_not_pay_for_import_within_a_quarter_hour() -> None:
    """Half the time 1000 W in, half the time 1000 W out: the biller counts 500 W."""
    samples = [
        (at, 0.0, 0.0, 1000.0 if place % 2 else -1000.0) for place, (at, *_) in enumerate(every(10, 91))
    ]
    assert collected(samples)[0].import_w == 500.0


def test_what_the_meter_has_counted_goes_before_the_power_of_an_instant() -> None:
    """A reading of 9 kW stands for a moment in which the battery had not heard of the load yet."""
    found: list[Quarter] = []
    collector = Collector(found.append, 86_400.0)
    for second, import_w, counted_wh in ((0.0, 9000.0, 50.0), (600.0, 0.0, 51.0), (900.0, 500.0, 52.0)):
        collector.take(BEGIN + second, 9000.0, 0.0, import_w, False, counted_wh)
    assert found[0].load_w == 9000.0
    assert found[0].import_w == pytest.approx(8.0)


def test_the_same_instant_counted_twice_is_no_import() -> None:
    found: list[Quarter] = []
    collector = Collector(found.append, 86_400.0)
    for second in (0.0, 450.0, 450.0, 900.0):
        collector.take(BEGIN + second, 0.0, 0.0, 0.0, False, second / 9.0)
    assert found[0].import_w == pytest.approx(400.0)


def test_a_quarter_hour_seen_for_less_than_four_fifths_is_absent() -> None:
    whole = every(10, 181)
    assert len(collected(whole)) == 2
    assert [one.begin_utc_s for one in collected(whole[:5] + whole[30:])] == [BEGIN + 900]
    assert len(collected(whole[:5] + whole[20:])) == 2


def test_steps_longer_than_a_quarter_hour_fill_several_in_a_simulated_time() -> None:
    assert [one.load_w for one in collected(every(3600, 3), gap_s=86_400)] == [500.0] * 8


def test_a_clock_set_back_begins_its_quarter_hour_anew_and_never_counts_one_twice() -> None:
    past = Past(86_400)
    collector = Collector(lambda one: past.add(one) and None, 30.0)
    for at, *rest in every(10, 200):
        collector.take(at, *rest)
    for at, *rest in every(10, 400):
        collector.take(at - 1000.0, *rest)
    begins = [one.begin_utc_s for one in past.quarters]
    assert begins == sorted(set(begins))


def test_it_forgets_what_is_older_than_it_keeps() -> None:
    past = Past(3600, [Quarter(BEGIN + 900 * place, 1.0, 0.0, 1.0) for place in range(10)])
    assert [one.begin_utc_s for one in past.quarters] == [BEGIN + 900 * place for place in range(6, 10)]


def quarters(first: int, end: int, load_w: float = 100.0) -> list[Quarter]:
    return [Quarter(BEGIN + 900.0 * place, load_w, 0.0, load_w) for place in range(first, end)]


def test_a_clock_that_was_a_year_ahead_or_behind_for_half_an_hour_costs_half_an_hour() -> None:
    year = 365 * 96
    past = Past(20 * 900.0, quarters(0, 20))
    for one in (*quarters(year, year + 2, 9.0), *quarters(22, 24), *quarters(24 - year, 26 - year, 9.0)):
        assert past.add(one)
    assert past.add(quarters(26, 27)[0])
    assert list(past.quarters) == quarters(5, 20) + quarters(22, 24) + quarters(26, 27) + quarters(
        year, year + 2, 9.0
    )
    assert np.array_equal(past.table[:, 0], [one.begin_utc_s for one in past.quarters])
    assert past.before(BEGIN + 27 * 900.0)[-1, 0] == BEGIN + 26 * 900.0, "no plan is made of the future"


def test_a_clock_that_is_20_days_behind_at_the_start_loses_nothing_of_the_disk(tmp_path: Path) -> None:
    for one in (*quarters(0, 3), *quarters(-1920, -1918)):
        append_past(tmp_path, one)
    rewrite_past(tmp_path, read_past(tmp_path, 86_400.0))
    assert list(read_past(tmp_path, 86_400.0).quarters) == quarters(-1920, -1918) + quarters(0, 3)


def test_it_survives_on_the_disk_but_for_a_torn_line_and_nonsense(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    kept = [
        Quarter(BEGIN + 900 * place, 100.0 + place, 5.0, 95.0, pv_held_share=place / 4) for place in range(4)
    ]
    for one in kept[:3]:
        append_past(folder, one)
    file = folder / FILE
    with file.open("a") as out:
        out.write(f"{BEGIN + 2700:.0f},10")
    append_past(folder, kept[3])
    with file.open("a") as out:
        out.write(f"nan,1,1,1\n{BEGIN + 3600:.0f},inf,1,1\n{BEGIN + 3600:.0f},1,1,1,,,1.5\n")
        out.write(f"{BEGIN + 7:.0f},1,1,1\n\x00\n")
    assert list(read_past(folder, 86_400).quarters) == kept
    rewrite_past(folder, read_past(folder, 86_400))
    assert file.read_text().count("\n") == 5


def test_no_file_is_no_past(tmp_path: Path) -> None:
    assert not read_past(tmp_path / "none", 86_400).quarters


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        append_past(tmp_path / "file", Quarter(BEGIN, 1.0, 0.0, 1.0))


def test_as_a_table_it_says_the_same_however_long_it_has_run() -> None:
    past = Past(3600.0 * 24 * 2)
    for place in range(1000):
        past.add(Quarter(BEGIN + 900.0 * place, 100.0 + place, 1.0, 2.0, None, 3.0 if place % 2 else None))
    rows = [
        (one.begin_utc_s, one.load_w, one.pv_w, one.import_w, nan, nan if one.said_pv_w is None else 3.0, 0.0)
        for one in past.quarters
    ]
    assert len(rows) == 192
    assert np.array_equal(past.table, np.array(rows), equal_nan=True)
    assert past.table.shape == (192, 7)
    assert Past(1.0).table.shape == (0, 7)
