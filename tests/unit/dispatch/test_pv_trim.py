"""PV inverters that give more than their cap allows are capped so that they give what is meant."""

from __future__ import annotations

from dataclasses import replace
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.dispatch.curtailment import Caps
from controller.dispatch.decision import Memory
from controller.dispatch.pv_trim import EXACT_PV, PvTrim, learn_pv
from controller.dispatch.site import Site
from controller.dispatch.step import step
from drivers.device import PvReading
from tests.unit.dispatch.policy_sites import a_site
from tests.unit.dispatch.sites import PV, RUNNING, a_config, a_snapshot


def site(now_s: float, given_w: float) -> Site:
    return a_site(now_s=now_s, pv_generation_w=given_w, pv_rated_w=(10_000.0,))


def after(*looks: tuple[float, float], cap_w: float = 1000.0, before: PvTrim = EXACT_PV) -> PvTrim:
    """What is known after these (time, given), with this cap."""
    for now_s, given_w in looks:
        before = learn_pv(before, site(now_s, given_w), (cap_w,))
    return before


def test_what_is_given_too_much_for_three_seconds_is_taken_off() -> None:
    looks = [(float(second), 1150.0) for second in range(4)]
    assert after(*looks[:3]) == PvTrim(0.0, 1000.0, 1150.0, 0.0)
    # 70 % of it, and for five minutes nothing is added.
    assert after(*looks) == PvTrim(pytest.approx(-105.0), more_s=303.0)


def test_what_is_missing_for_half_a_minute_only_takes_back_what_was_made_up_for() -> None:
    looks = [(float(second), 900.0) for second in range(31)]
    assert after(*looks) == EXACT_PV, "the sun may give no more"
    known = PvTrim(-100.0)
    assert after(*looks[:30], cap_w=900.0, before=known).trim_w == -100.0
    assert after(*looks, cap_w=900.0, before=known) == PvTrim(pytest.approx(-30.0))
    coarse = PvTrim(-100.0, more_s=40.0)
    assert after(*looks, cap_w=900.0, before=coarse).trim_w == -100.0
    assert after(*looks, (40.0, 900.0), cap_w=900.0, before=coarse).trim_w == pytest.approx(-30.0)
    assert after(*[(at_s, 880.0) for at_s, _ in looks], cap_w=950.0, before=PvTrim(-50.0)) == EXACT_PV


def test_a_move_of_one_percent_of_the_rating_is_standing_still() -> None:
    assert after((0.0, 1100.0), (3.0, 1200.0)).trim_w == pytest.approx(-140.0)
    assert after((0.0, 1100.0), (3.0, 1201.0)) == PvTrim(0.0, 1000.0, 1201.0, 3.0)


def test_three_seconds_are_counted_from_when_it_began_to_stand_still() -> None:
    assert after((100.0, 1150.0), (102.0, 1150.0)) == PvTrim(0.0, 1000.0, 1150.0, 100.0)


def test_time_in_which_too_little_was_given_is_no_part_of_the_three_seconds() -> None:
    assert after((0.0, 970.0), (3.0, 1030.0)) == PvTrim(0.0, 1000.0, 1030.0, 3.0)


def test_three_percent_of_the_rating_below_its_cap_still_tell_something() -> None:
    known = after((0.0, 600.0), (30.0, 600.0), cap_w=900.0, before=PvTrim(-100.0))
    assert known == PvTrim(0.0)
    unchanged = after((0.0, 599.0), (30.0, 599.0), cap_w=900.0, before=PvTrim(-100.0))
    assert unchanged == PvTrim(-100.0)


def test_what_was_meant_is_the_cap_without_its_trim() -> None:
    trimmed = PvTrim(-100.0)
    assert after((0.0, 1000.0), (60.0, 1000.0), cap_w=900.0, before=trimmed) == trimmed


@pytest.mark.parametrize("given_w", [1020.0, 980.0, 1301.0, 689.0])
def test_what_is_hardly_off_or_by_more_than_three_percent_of_the_rating_tells_nothing(given_w: float) -> None:
    assert after(*[(float(second), given_w) for second in range(60)]) == EXACT_PV
    learning = PvTrim(-10.0, 1010.0, given_w, 0.0)
    assert after((60.0, given_w), cap_w=990.0, before=learning) == PvTrim(-10.0, 1010.0, given_w)


def test_the_trim_is_at_most_three_percent_of_the_rating() -> None:
    known = EXACT_PV
    for second in range(0, 60, 5):
        # 300 W more than is ordered.
        known = after((float(second), 1300.0 + known.trim_w), cap_w=1000.0 + known.trim_w, before=known)
    assert known.trim_w == pytest.approx(-300.0, abs=20.0)
    beyond = after((60.0, 1310.0), (90.0, 1310.0), before=PvTrim(-290.0))
    assert beyond.trim_w == -290.0


def test_what_still_moves_is_waited_for() -> None:
    moving = after(*[(5.0 * n, 1150.0 + 101.0 * (n % 2)) for n in range(8)])
    assert (moving.trim_w, moving.still_since_s) == (0.0, 35.0)


@pytest.mark.parametrize(
    ("caps_w", "given_w"), [((None,), 500.0), ((1000.0, None), 1150.0), ((1000.0,), 0.0)]
)
def test_without_a_cap_for_all_or_one_that_binds_nothing_is_learnt(caps_w: Caps, given_w: float) -> None:
    learning = PvTrim(50.0, 1000.0, 1150.0, 0.0)
    assert learn_pv(learning, site(60.0, given_w), caps_w) == PvTrim(50.0, 1000.0, 1150.0)
    assert learn_pv(PvTrim(50.0), site(60.0, given_w), caps_w) == PvTrim(50.0)
    unrated = a_site(now_s=60.0, pv_generation_w=1150.0, pv_rated_w=(None,))
    assert learn_pv(EXACT_PV, unrated, (1000.0,)) == EXACT_PV
    as_capped = a_site(now_s=60.0, pv_generation_w=1000.0, pv_rated_w=(None,))
    assert learn_pv(PvTrim(-50.0), as_capped, (1000.0,)) == PvTrim(-50.0)


@given(
    gain=st.floats(0.98, 1.02),
    offset_w=st.floats(-200.0, 100.0),
    step_w=st.sampled_from([0.0, 100.0]),
    load_w=st.floats(50.0, 3000.0),
)
def test_nothing_is_exported_for_long_by_an_inverter_with_coarse_and_imprecise_caps(
    gain: float, offset_w: float, step_w: float, load_w: float
) -> None:
    """An inverter of 10 kW in full sun, a full battery, no export: after half a minute hardly any is left."""
    config, given_w = a_config(pvs=PV, export_limit_w=0.0), 8000.0
    memory: Memory = replace(RUNNING, trims=())
    exported_s = 0
    for second in range(10, 200):
        pv = (PvReading(float(second), given_w, rated_w=10_000.0),)
        snapshot = a_snapshot(load_w - given_w, soc_pct=100.0, now_s=float(second), pvs=pv)
        memory, decision = step(config, memory, snapshot)
        (cap_w,) = decision.pv_caps_w
        assert cap_w is not None, "lifting it would let all the sun out"
        given_w = max(cap_w * gain + offset_w, 0.0)
        if step_w:
            given_w = floor(given_w / step_w) * step_w
        exported_s += second > 40 and given_w - load_w > 101.0
    assert exported_s <= 4


def test_what_an_inverter_in_the_shade_does_not_give_is_no_imprecision() -> None:
    def two(now_s: float, given_w: tuple[float, float]) -> Site:
        return a_site(
            now_s=now_s, pv_generation_w=sum(given_w), pv_rated_w=(5000.0, 5000.0), pv_each_w=given_w
        )

    trim = EXACT_PV
    # 100 W of 310 W that it may, and 40 W more than 1690 W: 28 W are made up for, not 170 W missed.
    for now_s in range(5):
        trim = learn_pv(trim, two(float(now_s), (100.0, 1730.0)), (310.0, 1690.0))
    assert trim.trim_w == -28.0
