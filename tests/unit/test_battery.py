"""The cells: what the BMS allows at which content."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.battery import Lithium, LithiumParams

HOME = LithiumParams(capacity_wh=10_000.0, max_charge_w=4000.0, max_discharge_w=5000.0, min_soc_pct=5.0)


def test_a_battery_starts_with_the_soc_it_was_given() -> None:
    cells = Lithium(HOME, soc_pct=40.0)
    assert cells.stored_wh == 4000.0
    assert cells.soc_pct == 40.0


def test_in_the_middle_the_bms_allows_the_rating_both_ways() -> None:
    cells = Lithium(HOME, soc_pct=50.0)
    assert cells.charge_limit_w() == 4000.0
    assert cells.discharge_limit_w() == 5000.0


def test_at_the_lowest_soc_the_bms_lets_nothing_out() -> None:
    assert Lithium(HOME, soc_pct=5.0).discharge_limit_w() == 0.0
    assert Lithium(HOME, soc_pct=5.0).charge_limit_w() == 4000.0


def test_a_full_battery_takes_nothing() -> None:
    cells = Lithium(HOME, soc_pct=100.0)
    assert cells.charge_limit_w() == 0.0
    assert cells.discharge_limit_w() == 5000.0
    assert cells.next_step_wh() == float("inf")


@pytest.mark.parametrize(
    ("soc_pct", "charge_limit_w"),
    [(89.9, 4000.0), (90.0, 3800.0), (90.9, 3800.0), (91.0, 3400.0), (95.5, 1800.0), (99.5, 200.0)],
)
def test_near_full_the_charge_limit_falls_by_a_tenth_a_percent(soc_pct: float, charge_limit_w: float) -> None:
    assert Lithium(HOME, soc_pct).charge_limit_w() == pytest.approx(charge_limit_w)


def test_the_next_step_of_the_limit_is_the_next_whole_percent() -> None:
    assert Lithium(HOME, soc_pct=20.0).next_step_wh() == 9000.0
    assert Lithium(HOME, soc_pct=90.0).next_step_wh() == 9100.0
    assert Lithium(HOME, soc_pct=99.5).next_step_wh() == 10_000.0


def test_without_a_taper_the_limit_holds_until_full() -> None:
    cells = Lithium(LithiumParams(10_000.0, max_charge_w=4000.0, taper_from_pct=100.0), soc_pct=99.9)
    assert cells.charge_limit_w() == 4000.0
    assert cells.next_step_wh() == 10_000.0


def test_the_taper_ends_at_the_highest_soc_the_bms_allows() -> None:
    cells = Lithium(LithiumParams(10_000.0, max_charge_w=4000.0, max_soc_pct=95.0), soc_pct=94.5)
    assert cells.charge_limit_w() == pytest.approx(400.0)  # the middle of the last of five steps
    assert cells.next_step_wh() == 9500.0


@given(
    low=st.floats(0, 100),
    high=st.floats(0, 100),
    taper=st.floats(0, 100),
    ceiling=st.floats(10, 100),
)
def test_the_charge_limit_never_rises_with_the_content(
    low: float, high: float, taper: float, ceiling: float
) -> None:
    params = LithiumParams(5000.0, max_charge_w=3000.0, max_soc_pct=ceiling, taper_from_pct=taper)
    below, above = Lithium(params, min(low, high)), Lithium(params, max(low, high))
    assert below.charge_limit_w() >= above.charge_limit_w() >= 0.0
    assert above.next_step_wh() > above.stored_wh


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"capacity_wh": 0.0}, "capacity_wh is 0; give a number above 0"),
        ({"charge_efficiency": 1.2}, "charge_efficiency is 1.2; give a share above 0, at most 1"),
        ({"discharge_efficiency": 0.0}, "discharge_efficiency is 0; give a share above 0, at most 1"),
        ({"min_soc_pct": 95.0, "max_soc_pct": 90.0}, "min_soc_pct is 95 and max_soc_pct 90"),
        ({"max_charge_w": -1.0}, "give numbers of at least 0"),
    ],
)
def test_a_battery_that_cannot_exist_is_refused_in_a_sentence(wrong: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        LithiumParams(**({"capacity_wh": 10_000.0} | wrong))


def test_a_soc_above_100_is_refused() -> None:
    with pytest.raises(ValueError, match="soc_pct is 101"):
        Lithium(HOME, soc_pct=101.0)
