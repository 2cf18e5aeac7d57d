"""The demand window in a closed loop: whatever load and wish do, no window makes a new peak."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.dispatch.demand import demand_range
from controller.dispatch.settings import DemandSettings
from tests.unit.dispatch.test_demand import CONFIG, TARGET_W, at, begun, updated


@given(
    st.lists(
        st.tuples(st.floats(-20_000, 60_000), st.integers(1, 400), st.floats(-30_000, 30_000)),
        min_size=1,
        max_size=12,
    ),
    st.floats(0, 40_000),
    st.floats(0, 20_000),
    st.booleans(),
)
def test_no_window_exceeds_target_or_peak_whatever_the_load_and_the_wish(
    pieces: list[tuple[float, int, float]], target_w: float, peak_w: float, trusted: bool
) -> None:
    """A battery that is big enough, ordered every 5 s, in windows counted here and not by the product."""
    config = replace(CONFIG, cycle_s=5.0, demand=DemandSettings(900, target_w))
    state = updated(begun(month_peak_w=peak_w), at(0.0, trusted=trusted), config)
    counted_wh: dict[int, float] = {}
    pcc_w, cycle = 0.0, 0
    for load_w, cycles, wanted_w in pieces:
        for _ in range(cycles):
            cycle += 1
            site = at(5.0 * cycle, pcc_w, load_w, trusted)
            state = updated(state, site, config)
            allowed = demand_range(config, state, site)
            assert allowed is not None
            pcc_w = load_w - max(wanted_w, allowed[0])
            window = cycle * 5 // 900
            counted_wh[window] = counted_wh.get(window, 0.0) + max(pcc_w, 0.0) * 5.0 / 3600.0
    for counted in counted_wh.values():
        assert counted * 4.0 <= 0.99 * max(target_w, peak_w) + 1e-3
    assert state.month_peak_w <= max(target_w, peak_w) + 1e-3


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(st.floats(0, 20_000), st.integers(20, 500), st.floats(-30_000, 30_000)),
        min_size=4,
        max_size=8,
    )
)
def test_a_battery_that_follows_two_seconds_late_makes_no_new_peak(
    pieces: list[tuple[float, int, float]],
) -> None:
    state = updated(begun(), at(0.0))
    counted_wh: dict[int, float] = {}
    orders_w, second, pcc_w = [0.0, 0.0, 0.0], 0, 0.0
    for load_w, seconds, wanted_w in pieces:
        for _ in range(seconds):
            second += 1
            site = at(float(second), pcc_w, pcc_w + orders_w[0])
            state = updated(state, site)
            allowed = demand_range(CONFIG, state, site)
            assert allowed is not None
            orders_w = [*orders_w[1:], max(wanted_w, allowed[0])]
            pcc_w = load_w - orders_w[0]
            window = second // 900
            counted_wh[window] = counted_wh.get(window, 0.0) + max(pcc_w, 0.0) / 3600.0
    assert all(counted * 4.0 <= TARGET_W for counted in counted_wh.values())
