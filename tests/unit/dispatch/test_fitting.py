"""What does not fit the site file is refused, not quietly cut short; and small edges of several files."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.dispatch.islanding import island_autonomy_h, island_pv_cap
from controller.dispatch.limits import Range, ramp
from controller.dispatch.share import share
from drivers.device import PvReading
from tests.unit.dispatch.islands import ONE, TWO, a_battery, a_snapshot
from tests.unit.dispatch.sites import PV

FIVE_KW = Range(-5000.0, 5000.0)


@pytest.mark.parametrize("total_w", [1000.0, -1000.0])
@pytest.mark.parametrize("short", ["preferred", "socs_pct", "capacities_wh"])
def test_batteries_without_a_room_a_soc_or_a_capacity_are_refused(short: str, total_w: float) -> None:
    usual: dict[str, tuple[object, ...]] = {
        "preferred": (FIVE_KW, FIVE_KW),
        "allowed": (FIVE_KW, FIVE_KW),
        "socs_pct": (50.0, 50.0),
        "capacities_wh": (1000.0, 1000.0),
        "efficient_from_w": (0.0, 0.0),
        "last_w": (0.0, 0.0),
    }
    with pytest.raises(ValueError, match=r"is (shorter|longer) than"):
        share(total_w, **(usual | {short: usual[short][:1]}))


def test_an_island_with_more_or_fewer_readings_than_batteries_is_refused() -> None:
    with pytest.raises(ValueError, match="is shorter than"):
        island_autonomy_h(TWO, a_snapshot(a_battery(500.0, 50.0)))
    with pytest.raises(ValueError, match="is longer than"):
        island_autonomy_h(ONE, a_snapshot(a_battery(500.0, 50.0), a_battery(500.0, 50.0)))


def test_the_last_half_percent_above_the_floor_still_counts() -> None:
    # 0.5 % of 10 kWh are 50 Wh.
    assert island_autonomy_h(ONE, a_snapshot(a_battery(100.0, 10.5))) == pytest.approx(0.5)


def test_on_the_island_all_batteries_together_have_room_for_pv() -> None:
    roof = replace(TWO, pvs=PV)
    island = a_snapshot(
        a_battery(-2000.0, 50.0), a_battery(-500.0, 50.0), pvs=(PvReading(100.0, 3000.0, rated_w=6000.0),)
    )
    assert island_pv_cap(roof, island, (None,)) == (None,)


def test_a_ramp_across_zero_is_not_cut_at_zero() -> None:
    assert ramp(1.0, -0.5, 1.0) == (-1.5, 0.5)
    assert ramp(1.0, 0.5, 1.0) == (-0.5, 1.5)
