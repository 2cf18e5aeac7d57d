"""How long an outage would have been bridged: worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from controller.lab.study.survival import LONGEST_H, Island, autonomy_h, chance_pct

TEN_KWH = Island(10_000.0, 3000.0, 4000.0, 1.0, 1.0, 10.0)


def lasts(island: Island, net_load_w: list[float], soc_pct: float = 50.0) -> list[float]:
    """From the beginning of each hour on, with this SoC there."""
    net_w = np.array(net_load_w)
    return autonomy_h(island, net_w, np.full(len(net_w), soc_pct), 3600.0).tolist()


def test_what_is_above_the_floor_carries_the_load() -> None:
    # 50 % less 10 % of 10 kWh are 4 kWh: 4 hours at 1 kW.
    assert lasts(TEN_KWH, [1000.0] * 6)[0] == 4.0
    assert lasts(TEN_KWH, [1600.0] * 6)[0] == pytest.approx(2.5)


def test_losses_shorten_it() -> None:
    lossy = Island(10_000.0, 3000.0, 4000.0, 0.8, 0.8, 10.0)
    assert lasts(lossy, [1000.0] * 6)[0] == pytest.approx(3.2)


def test_more_than_the_inverter_gives_ends_it_at_once() -> None:
    assert lasts(TEN_KWH, [1000.0, 4001.0, 0.0])[:2] == [1.0, 0.0]


def test_the_sun_fills_it_again_as_fast_as_it_can_be_charged() -> None:
    # 3 kWh go in (not 5), 7 kWh are then above the floor: 7 hours at 1 kW after the sunny one.
    assert lasts(TEN_KWH, [-5000.0] + [1000.0] * 9)[0] == 8.0


def test_a_full_battery_takes_no_more() -> None:
    # 95 % and an hour of sun: full, 9 kWh above the floor.
    assert lasts(TEN_KWH, [-3000.0] + [3000.0] * 5, soc_pct=95.0)[0] == 4.0


def test_an_end_that_the_data_does_not_show_is_unknown_and_a_week_is_enough() -> None:
    assert np.isnan(lasts(TEN_KWH, [100.0] * 5)).all()
    weeks = lasts(TEN_KWH, [0.0] * 200)
    assert weeks[0] == LONGEST_H
    assert np.isnan(weeks[-1])


def test_the_chance_counts_only_what_is_known() -> None:
    assert chance_pct(np.array([1.0, 3.0, 5.0, np.nan]), (2.0, 4.0)) == pytest.approx((200 / 3, 100 / 3))
    assert np.isnan(chance_pct(np.array([np.nan]), (2.0,))[0])
