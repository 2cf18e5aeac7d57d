"""Whatever a site has measured, its plan is one: finite, falling with charge, with no target below 0 W."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from controller.planning.forecast import forecast
from controller.planning.history import Ahead, History
from controller.planning.inputs import DemandTerm, Floats, Leave, PlanInputs, Storage
from controller.planning.plan import make_plan

HOUR_S = 3600.0
DEAREST_PER_KWH = 1e4
LOADS = ("none", "level", "random", "evenings", "rare", "gone at first", "more sun than load")


def measured(kind: str, slots: int, scale_w: float, chance: np.random.Generator) -> tuple[Floats, Floats]:
    """Load and sun of some hours, as they come in logs."""
    hour = np.arange(slots) % 24
    sun_w = scale_w * np.clip(np.sin((hour - 6) / 12 * np.pi), 0.0, 1.0) * chance.random(slots)
    load_w = {
        "none": np.zeros(slots),
        "level": np.full(slots, scale_w),
        "evenings": scale_w * (hour > 17) * chance.gamma(1.0, 1.0, slots),
        "rare": scale_w * (chance.random(slots) > 0.98),
    }.get(kind, scale_w * chance.random(slots))
    if kind == "gone at first":
        load_w[: slots // 2] = np.nan
    if kind == "more sun than load":
        return load_w - 2.0 * sun_w, np.full(slots, np.nan)
    return np.where(chance.random(slots) < 0.01, np.nan, load_w), sun_w


@st.composite
def any_site(draw: st.DrawFn) -> PlanInputs:
    """Any past of up to four weeks, any peaks that are billed, any battery."""
    chance = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    slots, ahead = draw(st.integers(1, 29 * 24)), draw(st.sampled_from([3, 24, 48]))
    scale_w = draw(st.sampled_from([1.0, 300.0, 5e5]))
    load_w, pv_w = measured(draw(st.sampled_from(LOADS)), slots, scale_w, chance)
    begin_s = draw(st.integers(0, 40_000)) * HOUR_S
    offset_s = draw(st.integers(-11, 13)) * HOUR_S
    rated_w = draw(st.sampled_from([0.0, scale_w]))
    prices = chance.random(slots)
    held = chance.random(slots) < draw(st.sampled_from([0.0, 0.3, 1.1]))
    history = History(
        begin_s,
        HOUR_S,
        np.full(slots, offset_s),
        load_w,
        pv_w,
        prices,
        pv_rated_w=rated_w,
        pv_held=held,
    )
    ensemble = forecast(history, Ahead(np.full(ahead, offset_s), chance.random(ahead)), battery_w=3000.0)
    terms = tuple(
        DemandTerm(
            draw(st.sampled_from([0.0, 5.0, 20.0])),
            chance.random(ahead) < share,
            draw(st.sampled_from([0.0, scale_w, 3.0 * scale_w])),
            draw(st.sampled_from([0.0, scale_w])),
            draw(st.sampled_from([0, 1, ahead // 2 + 1, ahead, ahead + 500])),
        )
        for share in draw(st.lists(st.sampled_from([0.1, 0.5, 1.1]), min_size=1, max_size=3))
    )
    storage = Storage(
        draw(st.sampled_from([0.0, 1e4, 5e5])),
        draw(st.sampled_from([0.0, 5e3])),
        draw(st.sampled_from([0.0, 5e3])),
        min_soc_pct=draw(st.sampled_from([0.0, 20.0, 100.0])),
        wear_per_kwh=0.02,
    )
    buy = chance.random(ahead)
    soc_pct, leave = draw(st.floats(-5.0, 105.0)), Leave(draw(st.booleans()), draw(st.booleans()))
    return PlanInputs(
        history.end_utc_s, HOUR_S, buy, 0.2 * buy, ensemble, storage, soc_pct, leave, terms, levels=11
    )


@given(any_site())
def test_a_plan_is_a_plan_whatever_a_site_has_measured(inputs: PlanInputs) -> None:
    plan = make_plan(inputs)
    for values in (plan.water_values, plan.soc_pct, plan.battery_discharge_w, plan.net_load_w):
        assert np.isfinite(values).all()
    assert np.abs(plan.water_values).max() < DEAREST_PER_KWH
    assert (np.diff(plan.water_values, axis=1) <= 1e-6 + 1e-9 * np.abs(plan.water_values).max()).all()
    assert (plan.import_target_w >= 0.0).all()
