"""How long a price holds: steps of all sorts, steps that change, and what is a gap."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controller.planning.market import gaps
from controller.price_files import PriceFileError, prices_in, read_prices
from tests.unit.planning.clocks import BRUSSELS, local_s

NOON = local_s(BRUSSELS, 2026, 6, 1, 12)


def listed(*steps: tuple[int, int]) -> bytes:
    """Prices from noon on, of which none says its end: so many of so many minutes, then ..., numbered."""
    begins, at = [], NOON
    for count, minutes in steps:
        for _ in range(count):
            begins.append(at)
            at += 60 * minutes
    return json.dumps({"unix_seconds": begins, "price": [one / 1000 for one in range(len(begins))]}).encode()


def test_a_source_that_goes_from_hours_to_quarter_hours_leaves_no_gap_whichever_way_round() -> None:
    finer = prices_in(listed((10, 60), (8, 15)), False, "x")
    assert (gaps(finer), finer.until_utc_s) == ([], NOON + 12 * 3600)
    assert [finer.at(NOON + 9 * 3600 + 900 * place) for place in (0, 3, 4, 5)] == [0.009, 0.009, 0.010, 0.011]
    coarser = prices_in(listed((8, 15), (10, 60)), False, "x")
    assert (gaps(coarser), coarser.until_utc_s) == ([], NOON + 12 * 3600)
    assert [coarser.at(NOON + 7200 + 900 * place) for place in (-1, 0, 3, 4)] == [0.007, 0.008, 0.008, 0.009]


def test_hours_that_are_missing_from_a_list_are_no_longer_steps() -> None:
    market = prices_in(listed((3, 60), (1, 120), (3, 60)), False, "x")
    assert gaps(market) == [(NOON + 4 * 3600, NOON + 5 * 3600)]
    mixed = prices_in(listed((5, 60), (1, 120), (4, 15), (1, 60), (4, 15)), False, "x")
    assert gaps(mixed) == [(NOON + 6 * 3600, NOON + 7 * 3600), (NOON + 29_700, NOON + 32_400)]


@pytest.mark.parametrize("hours_each", [2, 3, 4, 6, 8, 12, 24])
def test_a_price_may_hold_for_any_part_of_a_day(hours_each: int) -> None:
    market = prices_in(listed((5, 60 * hours_each)), False, "x")
    assert (gaps(market), market.until_utc_s) == ([], NOON + 5 * hours_each * 3600)


@pytest.mark.parametrize("minutes", [5, 20, 75, 25 * 60])
def test_a_price_that_holds_for_no_part_of_a_day_is_refused(minutes: int) -> None:
    says = f"steps of {60 * minutes} s; prices hold for 15 minutes or a multiple of it that divides a day"
    with pytest.raises(PriceFileError, match=says):
        prices_in(listed((4, minutes)), False, "x")


def test_every_quarter_hour_has_the_price_of_the_newest_list_that_covers_it() -> None:
    hourly, finer = prices_in(listed((6, 60)), False, "x"), prices_in(listed((8, 15)), False, "x")
    for newer, older, after in ((finer, hourly, 0.002), (hourly, finer, 0.002)):
        joined = older.joined(newer, NOON)
        assert gaps(joined) == []
        assert joined.at(NOON + 7200) == after
    assert hourly.joined(finer, NOON).at(NOON + 2700) == 0.003
    assert finer.joined(hourly, NOON).at(NOON + 2700) == 0.0


def test_a_file_of_a_year_in_which_the_step_changes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    hourly = [f"2025-09-30T{hour:02d}:00:00+02:00,0.1" for hour in range(24)]
    quarters = [
        f"2025-10-01T{hour:02d}:{minute:02d}:00+02:00,0.2" for hour in range(24) for minute in (0, 15, 30, 45)
    ]
    path.write_text("\n".join(["timestamp,price", *hourly, *quarters]))
    market = read_prices(path, False, None)
    assert (len(market.per_kwh), gaps(market)) == (2 * 96, [])
    path.write_text("\n".join(["timestamp,price", *hourly, *quarters[:7], *quarters[8:]]))
    with pytest.raises(PriceFileError, match="no price from 2025-09-30T23:45:00Z to 2025-10-01T00:00:00Z"):
        read_prices(path, False, None)
