"""The energy books: what is counted, from what, and that nothing ever goes back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from controller.clock import local_time
from controller.dispatch.orders import LocalTime
from controller.dispatch.settings import BatterySettings, DispatchConfig, PvSettings
from controller.dispatch.site import Snapshot
from controller.energy import NOTHING_COUNTED, Books, Totals, count
from drivers.device import BatteryReading, MeterReading, PvReading

CONFIG = DispatchConfig((BatterySettings("bat1", 10_000.0),), (PvSettings("roof"),), fuse_a=25.0)


def heard(
    now_s: float,
    pcc_w: float,
    battery_w: float = 0.0,
    pv_w: float = 0.0,
    counters: tuple[float, float] | None = None,
    utc_s: float | None = None,
) -> Snapshot:
    import_wh, export_wh = counters or (None, None)
    return Snapshot(
        now_s,
        MeterReading(now_s, pcc_w, import_wh=import_wh, export_wh=export_wh),
        (BatteryReading(now_s, battery_w),),
        (PvReading(now_s, pv_w),),
        local=None if utc_s is None else LocalTime(utc_s, 0.0),
    )


def counted(*snapshots: Snapshot, books: Books = NOTHING_COUNTED) -> Books:
    for snapshot in snapshots:
        books = count(CONFIG, books, snapshot)
    return books


def test_an_hour_of_steady_power_is_that_many_watt_hours() -> None:
    # 500 W in, 1000 W from the battery, 2000 W of sun: 3500 W of load, for an hour and a second.
    books = counted(*(heard(float(second), 500.0, 1000.0, 2000.0) for second in range(3602)))
    assert books.totals == Totals(500, 0, 0, 1000, 2000, 3500)


def test_each_direction_is_counted_by_itself_through_a_change_of_sign() -> None:
    # From 600 W import to 1200 W export in 36 s: 12 s of import at 300 W on average, 24 s of export at 600 W.
    books = counted(heard(0.0, 600.0), heard(36.0, -1200.0))
    assert (books.imported.milliwh, books.exported.milliwh) == (1000, 4000)


def test_in_a_house_whose_day_is_only_played_energy_fits_the_powers_of_that_day() -> None:
    # 1000 W of import for 300 s at 288 seconds a second, so for 24 h; the meter's counter says the same.
    books = NOTHING_COUNTED
    for second in range(301):
        shown = heard(float(second), 1000.0, 500.0, 0.0, (5000.0 + 80.0 * second, 0.0))
        books = count(CONFIG, books, shown, speed=288.0)
    assert books.totals == Totals(24_000, 0, 0, 12_000, 0, 36_000)
    assert books.meter is not None, "the counter is not taken for one that jumps"


def test_a_reading_that_is_not_news_counts_nothing() -> None:
    first = heard(10.0, 900.0)
    books = counted(first, replace(first, now_s=11.0), replace(first, now_s=12.0))
    assert books.totals == Totals()


def test_a_gap_in_the_readings_is_not_guessed() -> None:
    books = counted(heard(0.0, 3600.0, 3600.0), heard(600.0, 3600.0, 3600.0), heard(610.0, 3600.0, 3600.0))
    assert (books.imported.wh, books.discharged.wh) == (10, 10)


def test_the_meters_own_counters_are_followed_also_through_a_gap() -> None:
    books = counted(
        heard(0.0, 1000.0, counters=(50_000.0, 700.0)),
        heard(1.0, 1000.0, counters=(50_000.0, 700.0)),
        heard(1800.0, 1000.0, counters=(50_480.0, 703.0)),
    )
    assert (books.totals.import_wh, books.totals.export_wh) == (480, 3)


def test_a_counter_that_was_reset_counts_on_and_what_flowed_in_between_is_counted_by_power() -> None:
    books = counted(
        heard(0.0, 3600.0, counters=(9_000.0, 0.0)),
        heard(10.0, 3600.0, counters=(9_010.0, 0.0)),
        heard(20.0, 3600.0, counters=(0.0, 0.0)),
        heard(30.0, 3600.0, counters=(10.0, 0.0)),
    )
    assert books.totals.import_wh == 30


def test_a_counter_that_rolls_over_loses_nothing() -> None:
    last_wh = 2.0**32 / 100.0
    books = counted(
        heard(0.0, 3600.0, counters=(last_wh - 20.0, 0.0)),
        heard(10.0, 3600.0, counters=(last_wh - 10.0, 0.0)),
        heard(20.0, 3600.0, counters=(0.0, 0.0)),
        heard(30.0, 3600.0, counters=(10.0, 0.0)),
    )
    assert books.totals.import_wh == 30


def test_a_counter_that_jumps_further_than_the_fuses_carry_is_not_believed() -> None:
    books = counted(
        heard(0.0, 3600.0, counters=(1_000.0, 0.0)),
        heard(10.0, 3600.0, counters=(901_000.0, 0.0)),
        heard(20.0, 3600.0, counters=(901_010.0, 0.0)),
    )
    assert books.totals.import_wh == 20


def test_a_counter_that_stands_still_while_power_flows_is_left_aside() -> None:
    # 5 kW for an hour; the counter never moves. After 2.5 kWh it is stuck, from then on power counts.
    books = counted(*(heard(float(second), 5000.0, counters=(7.0, 0.0)) for second in range(0, 3601, 10)))
    assert abs(books.imported.milliwh - 5_000_000) <= 1


def test_after_a_restart_the_counter_tells_what_flowed_meanwhile_if_the_clock_was_right() -> None:
    before = counted(heard(500.0, 100.0, counters=(4_000.0, 10.0), utc_s=1_800_000_000.0))
    assert before.meter is not None
    kept = Books(before.imported, before.exported, meter=replace(before.meter, at_s=None))
    after_s = 1_800_000_000.0 + 7200.0
    known = counted(heard(3.0, 100.0, counters=(4_900.0, 10.0), utc_s=after_s), books=kept)
    unknown = counted(heard(3.0, 100.0, counters=(4_900.0, 10.0)), books=kept)
    assert (known.totals.import_wh, unknown.totals.import_wh) == (900, 0)


def test_tiny_powers_are_not_rounded_away() -> None:
    # 1 W for a day in steps of 1 s: each step is 0.27 mWh.
    books = counted(*(heard(float(second), 1.0) for second in range(86_401)))
    assert abs(books.imported.milliwh - 24_000) <= 1


def test_a_day_of_23_or_25_hours_is_the_sum_of_its_quarters_exactly() -> None:
    zone = ZoneInfo("Europe/Brussels")
    for day, hours in ((datetime(2026, 3, 29), 23), (datetime(2026, 10, 25), 25)):
        begin_s = day.replace(tzinfo=zone).timestamp()
        books, marks = NOTHING_COUNTED, []
        for second in range(0, hours * 3600 + 1, 60):
            utc_s = begin_s + second
            snapshot = replace(
                heard(float(second), 777.7, -333.3, 123.4), utc_s=utc_s, local=local_time(utc_s, zone)
            )
            books = count(CONFIG, books, snapshot)
            if second % 900 == 0:
                marks.append(books.totals.import_wh)
        next_day = (day + timedelta(days=1)).replace(tzinfo=zone)
        assert datetime.fromtimestamp(begin_s + hours * 3600, UTC) == next_day.astimezone(UTC)
        assert len(marks) == hours * 4 + 1
        assert sum(later - sooner for sooner, later in pairwise(marks)) == marks[-1]
        assert marks[-1] == int(777.7 * hours)


powers = st.floats(-20_000.0, 20_000.0, allow_subnormal=True)
meters = st.none() | st.tuples(st.floats(0.0, 1e7), st.floats(0.0, 1e7))


@given(st.lists(st.tuples(st.floats(-5.0, 100.0), powers, powers, powers, meters), max_size=40))
def test_no_counter_ever_goes_back_whatever_clock_and_meter_do(
    steps: list[tuple[float, float, float, float, tuple[float, float] | None]],
) -> None:
    now_s, books = 0.0, NOTHING_COUNTED
    for seconds, pcc_w, battery_w, pv_w, counters in steps:
        now_s += seconds
        before = books.totals
        books = count(CONFIG, books, heard(now_s, pcc_w, battery_w, pv_w, counters))
        after = books.totals
        assert all(getattr(after, name) >= getattr(before, name) for name in Totals.__dataclass_fields__), (
            before,
            after,
        )
        assert all(0.0 <= one.part < 1.0 for one in (books.imported, books.exported, books.load))
