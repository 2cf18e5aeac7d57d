"""Whatever is measured in whatever order: the decision stays inside every limit that can be kept."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from controller.dispatch.decision import Memory
from controller.dispatch.limits import Range
from controller.dispatch.plausible import most_w as most_w_of
from controller.dispatch.settings import BatterySettings
from controller.dispatch.site import Snapshot
from controller.dispatch.step import step
from drivers.device import BatteryReading, MeterReading
from tests.unit.dispatch.sites import a_config

watts = st.floats(-20_000, 20_000)
ratings = st.floats(0, 10_000)
socs = st.one_of(st.none(), st.floats(0, 100))
limits = st.one_of(st.none(), st.floats(0, 20_000))


def powers(settings: BatterySettings) -> st.SearchStrategy[float]:
    """What a battery can be believed to give; more is as good as no reading (test_possible.py)."""
    most_w = most_w_of(settings, BatteryReading(0.0, 0.0))
    return st.floats(-most_w, most_w)


@st.composite
def batteries(draw: st.DrawFn) -> BatterySettings:
    floor = draw(st.floats(0, 60))
    return BatterySettings("b", 10_000, floor, draw(st.floats(floor + 2, 100)), draw(ratings), draw(ratings))


def ranges(draw: st.DrawFn) -> Range:
    return Range(-draw(ratings), draw(ratings))


@given(
    st.lists(batteries(), min_size=1, max_size=4),
    limits,
    limits,
    st.floats(0, 100),
    st.one_of(st.none(), st.floats(1, 10_000)),
    st.data(),
)
def test_every_setpoint_is_inside_rating_soc_and_grid_limits(
    settings: list[BatterySettings],
    import_limit_w: float | None,
    export_limit_w: float | None,
    reserve_pct: float,
    ramp_w_per_s: float | None,
    data: st.DataObject,
) -> None:
    config = a_config(
        *settings,
        import_limit_w=import_limit_w,
        export_limit_w=export_limit_w,
        reserve_pct=reserve_pct,
        ramp_w_per_s=ramp_w_per_s,
    )
    memory = Memory()
    for second in range(6):
        now_s = float(second)
        pcc_w = data.draw(watts)
        readings = tuple(BatteryReading(now_s, data.draw(powers(one)), data.draw(socs)) for one in settings)
        memory, decision = step(config, memory, Snapshot(now_s, MeterReading(now_s, pcc_w), readings))
        lowest_w = highest_w = 0.0
        for one, reading, setpoint_w in zip(settings, readings, decision.battery_setpoints_w, strict=True):
            assert setpoint_w is not None
            assert math.isfinite(setpoint_w)
            assert -(one.max_charge_w or 0) - 1e-6 <= setpoint_w <= (one.max_discharge_w or 0) + 1e-6
            empty = reading.soc_pct is None or reading.soc_pct <= one.min_soc_pct
            full = reading.soc_pct is None or reading.soc_pct >= one.max_soc_pct
            assert not (empty and setpoint_w > 1e-6), "discharged an empty battery"
            assert not (full and setpoint_w < -1e-6), "charged a full battery"
            lowest_w += 0.0 if full else -(one.max_charge_w or 0)
            highest_w += 0.0 if empty else (one.max_discharge_w or 0)
        if decision.mode.value != "RUNNING":
            assert decision.setpoint_w == 0.0
            continue
        after_w = memory.response.net_load_w - decision.setpoint_w
        if export_limit_w is not None and after_w < -export_limit_w - 1e-6:
            assert decision.setpoint_w < 1e-6, "exported from the battery beyond the export limit"
        signs = {one > 0 for one in decision.battery_setpoints_w if one is not None and abs(one) > 1e-6}
        assert len(signs) <= 1, "one battery charges another"


@given(ratings, ratings, watts, watts, watts)
def test_narrowing_never_leaves_the_stronger_range(
    charge_w: float, discharge_w: float, one_w: float, other_w: float, power_w: float
) -> None:
    strong = Range(-charge_w, discharge_w)
    narrowed = strong.narrow(Range(min(one_w, other_w), max(one_w, other_w)))
    assert strong.lower_w <= narrowed.lower_w <= narrowed.upper_w <= strong.upper_w
    assert narrowed.lower_w <= narrowed.clamp(power_w) <= narrowed.upper_w
