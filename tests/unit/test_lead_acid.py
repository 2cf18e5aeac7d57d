"""Lead-acid batteries: two wells, what a data sheet says, and how a charge ends."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.cells import Cells
from simulators.cells.fade import LeadLife
from simulators.cells.kibam import KiBaM, fitted
from simulators.cells.lead_acid import LeadAcidCells, LeadAcidParams


def a_lead_acid(soc_pct: float = 100.0, ambient_c: float = 25.0) -> LeadAcidCells:
    """2 kWh in 10 h, 1000 Ah at 2 V."""
    return LeadAcidParams(
        2000.0,
        (1.06, 1.0, 0.65),
        LeadLife(900.0, 1.2, 10.0),
        max_charge_w=2000.0,
        max_discharge_w=2000.0,
        ambient_c=ambient_c,
    ).new(soc_pct)


WELLS = fitted(106.0, 100.0, 65.0)


def test_the_wells_give_the_capacities_of_the_data_sheet() -> None:
    assert [WELLS.capacity_ah(hours) for hours in (20.0, 10.0, 1.0)] == pytest.approx([106.0, 100.0, 65.0])
    with pytest.raises(ValueError, match="do not fall with the current"):
        fitted(100.0, 100.0, 50.0)


@settings(deadline=None)
@given(st.floats(-30.0, 30.0), st.floats(0.01, 5.0), st.lists(st.floats(0.0, 1.0), max_size=6))
def test_the_wells_go_the_same_way_in_one_step_and_in_many(
    current_a: float, hours: float, cuts: list[float]
) -> None:
    one_ah, two_ah = WELLS.share * 50.0, (1 - WELLS.share) * 50.0 + 3.0
    whole = WELLS.after(one_ah, two_ah, current_a, hours)
    assert sum(whole) == pytest.approx(one_ah + two_ah - current_a * hours)
    now_h = 0.0
    for end_h in [*(hours * cut for cut in sorted(cuts)), hours]:
        one_ah, two_ah = WELLS.after(one_ah, two_ah, current_a, end_h - now_h)
        now_h = end_h
    assert (one_ah, two_ah) == pytest.approx(whole, abs=1e-9)


def test_the_current_that_empties_well_1_in_time_does_so() -> None:
    wells = KiBaM(0.4, 0.8, 100.0)
    out_a = wells.most_a(30.0, 70.0, 0.5)
    assert wells.after(30.0, 40.0, out_a, 0.5)[0] == pytest.approx(0.0, abs=1e-9)
    in_a = wells.most_in_a(30.0, 70.0, 0.5)
    assert wells.after(30.0, 40.0, -in_a, 0.5)[0] == pytest.approx(40.0)


def discharged_wh(cells: Cells, power_w: float) -> float:
    """What it gives at this power until it cannot any more."""
    given_wh = 0.0
    while cells.discharge_limit_w() >= power_w:
        cells.take(power_w / 120, 1 / 120)
        given_wh += power_w / 120
    return given_wh


def test_a_lead_acid_battery_gives_less_the_faster_it_is_emptied_and_less_when_cold() -> None:
    slow_wh = discharged_wh(a_lead_acid(), 200.0)
    assert slow_wh == pytest.approx(2000.0, rel=0.05)  # its capacity in 10 h
    assert discharged_wh(a_lead_acid(), 1300.0) < 0.75 * slow_wh
    assert discharged_wh(a_lead_acid(ambient_c=0.0), 200.0) < 0.85 * slow_wh


def test_a_lead_acid_battery_that_was_cut_off_recovers_at_rest() -> None:
    cells = a_lead_acid()
    while cells.discharge_limit_w() > 0:
        cells.take(min(1500.0, cells.discharge_limit_w()) / 120, 1 / 120)
    assert cells.soc_pct == 0.0
    for _ in range(120):
        cells.take(0.0, 1 / 60)
    assert cells.discharge_limit_w() > 500.0


def charged(cells: LeadAcidCells, hours: int) -> float:
    """Charge as fast as it lets; the power at the end."""
    for _ in range(hours * 60):
        limit_w = cells.charge_limit_w()
        cells.take(-limit_w / 60, 1 / 60)
    return cells.charge_limit_w()


def test_a_charge_ends_with_absorption_and_then_float() -> None:
    cells = a_lead_acid(50.0)
    assert cells.charge_limit_w() > 400.0
    charged(cells, 5)
    assert cells.voltage(-cells.charge_limit_w()) == pytest.approx(2.40, abs=0.03)
    float_w = charged(cells, 30)
    assert cells.floats
    assert cells.soc_pct == pytest.approx(100.0, abs=0.5)
    # On float all of the current makes gas: 1000 Ah * 2e-4 * exp(11 * (2.25 - 2.23) + 0.06 * 5) at 2.25 V.
    assert float_w == pytest.approx(2.25 * 1000.0 * 2e-4 * 1.682, rel=0.3)


def test_a_battery_on_float_stays_full_and_one_left_alone_does_not() -> None:
    floating, alone = a_lead_acid(), a_lead_acid()
    charged(floating, 24 * 30)
    for _ in range(24 * 30):
        alone.take(0.0, 1.0)
    assert floating.true_soc_pct > 99.0
    assert 92.0 < alone.true_soc_pct < 98.5
