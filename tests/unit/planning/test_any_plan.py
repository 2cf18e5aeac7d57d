"""Whatever a plan is made from: it is finite, within the battery, and never charges without leave."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from controller.planning.inputs import DemandTerm, Ensemble, Leave, PlanInputs, Storage
from controller.planning.plan import make_plan

LIMITS = st.none() | st.floats(0.0, 5000.0)
SHARES = st.floats(0.5, 1.0)


@st.composite
def any_inputs(draw: st.DrawFn) -> PlanInputs:
    """Any site for some hours: a few states, any prices, any battery."""
    states, slots = draw(st.integers(1, 3)), draw(st.sampled_from([1, 3, 30]))
    chance = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale_w, dearest = draw(st.sampled_from([0.0, 3000.0, 1e6])), draw(st.sampled_from([0.0, 0.4, 99.0]))
    load_w, pv_w = (chance.random((2, states, slots)) * scale_w).round(-1)
    prices = (chance.random((2, slots)) * 2.0 - 1.0) * dearest
    row = chance.random((states, states)) + 0.01
    storage = Storage(
        draw(st.sampled_from([0.0, 1.0, 10_000.0])),
        draw(st.sampled_from([0.0, 3000.0])),
        draw(st.sampled_from([0.0, 4000.0])),
        ((0.1, draw(SHARES)), (1.0, draw(SHARES))),
        ((1.0, draw(SHARES)),),
        draw(st.floats(0.0, 0.5)),
        draw(st.floats(0.0, 100.0)),
        draw(st.floats(0.0, 100.0)),
        draw(st.floats(0.0, 100.0)),
    )
    leave = Leave(draw(st.booleans()), draw(st.booleans()), draw(LIMITS), draw(LIMITS))
    demand = (DemandTerm(draw(st.floats(0.0, 20.0)), chance.random(slots) < 0.5, draw(st.floats(0, 1e4))),)
    return PlanInputs(
        0.0,
        draw(st.sampled_from([900.0, 3600.0])),
        prices.max(axis=0) if draw(st.booleans()) else prices[0],
        prices.min(axis=0) if draw(st.booleans()) else prices[1],
        Ensemble(load_w, pv_w, np.full(states, 1.0 / states), row / row.sum(axis=1, keepdims=True)),
        storage,
        draw(st.floats(-10.0, 110.0)),
        leave,
        demand if draw(st.booleans()) else (),
        levels=draw(st.sampled_from([2, 11])),
    )


@given(any_inputs())
def test_a_plan_can_be_made_of_anything_and_stays_within_the_battery(inputs: PlanInputs) -> None:
    plan, storage = make_plan(inputs), inputs.storage
    for values in (plan.water_values, plan.soc_pct, plan.battery_discharge_w, plan.net_load_w):
        assert np.isfinite(values).all()
    assert (plan.soc_pct >= storage.floor_pct - 1e-6).all()
    assert (plan.soc_pct <= storage.max_soc_pct + 1e-6).all()
    assert (np.diff(plan.water_values, axis=1) <= 1e-6 + 1e-9 * np.abs(plan.water_values).max()).all()
    # A course of several slots may end each of them anywhere in the battery, but no faster than it can.
    assert (plan.battery_discharge_w <= storage.max_discharge_w * 1.01 + 1.0).all()
    if not inputs.leave.grid_charging:
        sun_w = np.maximum(-inputs.ensemble.net_load_w, 0.0).max(axis=0)
        assert (plan.battery_discharge_w >= -sun_w - 1.0).all()
