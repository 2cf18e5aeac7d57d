"""Shares move little where the power or a SoC moves a little: batteries do not hand power to and fro."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.dispatch.limits import Range
from controller.dispatch.share import share

FIVE_KW, ONE_KW = Range(-5000.0, 5000.0), Range(-1000.0, 1000.0)
POWERS_W = st.integers(0, 6000).map(float)


def of_three(total_w: float, *socs_pct: float) -> tuple[float, ...]:
    rooms = (ONE_KW, FIVE_KW, FIVE_KW)
    return share(total_w, rooms, rooms, socs_pct, (10_000.0,) * 3, (0.0,) * 3, (0.0,) * 3)


def test_batteries_beside_one_that_gives_its_all_hand_nothing_over_where_their_soc_lets_them_wait() -> None:
    # The first gives all of its 1 kW. The second is 10 % below the mean of 55 %, so both others wait for it;
    # among themselves they are 2.5 % above and below their mean and share by 12.5 to 7.5.
    assert of_three(3000.0, 80.0, 45.0, 40.0) == pytest.approx((1000.0, 1250.0, 750.0))
    # A little above, its part beside the first is 0.1 to 34.8, 2.87 W; the rest is shared like that.
    assert of_three(3000.0, 80.0, 45.3, 40.3) == pytest.approx((1000.0, 1251.08, 748.92), abs=0.01)
    # Charging mirrors it.
    assert of_three(-3000.0, 20.0, 54.7, 59.7) == pytest.approx((-1000.0, -1251.08, -748.92), abs=0.01)


@given(
    st.lists(
        st.tuples(POWERS_W, st.integers(0, 100).map(float), st.sampled_from((500.0, 2000.0, 30_000.0))),
        min_size=2,
        max_size=6,
    ),
    st.floats(0.0, 20_000.0),
)
def test_a_watt_more_moves_no_battery_by_more_than_that_and_none_back(
    batteries: list[tuple[float, float, float]], total_w: float
) -> None:
    rooms = tuple([Range(-most_w, most_w) for most_w, _, _ in batteries])
    socs_pct = tuple([soc_pct for _, soc_pct, _ in batteries])
    capacities_wh = tuple([capacity_wh for _, _, capacity_wh in batteries])
    none_w = (0.0,) * len(batteries)
    for side in (1.0, -1.0):
        before_w, after_w = (
            share(side * power_w, rooms, rooms, socs_pct, capacities_wh, none_w, none_w)
            for power_w in (total_w, total_w + 1.0)
        )
        for one_w, more_w in zip(before_w, after_w, strict=True):
            assert -1e-6 <= side * (more_w - one_w) <= 1.0 + 1e-6
