"""A PV inverter that does not answer: the meter shows what it gives, and the others make room for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.dispatch.curtailment import closed_loop
from controller.dispatch.decision import Memory
from controller.dispatch.settings import DispatchConfig, PvSettings
from controller.dispatch.step import step
from drivers.device import PvReading
from tests.unit.dispatch.policy_sites import a_site
from tests.unit.dispatch.sites import FIVE_KW, RUNNING, a_config, a_snapshot

TWO_ROOFS = (PvSettings("east"), PvSettings("west"))
RATED_W = (5000.0, 5000.0)


def run(
    config: DispatchConfig, memory: Memory, begin_s: float, seconds: int, west_w: float, west_heard: bool
) -> tuple[Memory, list[float], list[tuple[float | None, ...]]]:
    """A house of 2000 W, a full battery: the east gives all that it may, the west so much, heard or not."""
    exports_w, all_caps_w = [], []
    for second in range(seconds):
        now_s = begin_s + second
        caps_w = memory.pv_caps_w or (None, None)
        east_w = 4000.0 if caps_w[0] is None else min(4000.0, caps_w[0])
        pcc_w = 2000.0 - east_w - west_w
        readings = (
            PvReading(now_s, east_w, 5000.0),
            PvReading(now_s, west_w, 5000.0) if west_heard else PvReading(5.0, 1000.0, 5000.0),
        )
        snapshot = a_snapshot(pcc_w + 0.1 * (second % 2), soc_pct=100.0, now_s=now_s, pvs=readings)
        memory, decision = step(config, memory, snapshot)
        exports_w.append(-pcc_w)
        all_caps_w.append(decision.pv_caps_w)
    return memory, exports_w, all_caps_w


def test_while_one_is_silent_the_others_give_what_the_meter_shows_to_be_left() -> None:
    # 500 W are left beside what the silent one gives, whatever that is; it itself may only export nothing.
    site = a_site(-1500.0, pv_generation_w=2000.0, pv_rated_w=RATED_W, pv_each_w=(2000.0, 0.0))
    silent = replace(site, pv_silent=(False, True))
    assert closed_loop(silent, 0.0, 0.0, (None, None)) == (500.0, 0.0)
    assert closed_loop(silent, 0.0, 0.0, (2000.0, 900.0)) == (500.0, 0.0)
    assert closed_loop(replace(silent, pv_silent=(True, True)), 600.0, 0.0, (None, None)) == (300.0, 300.0)
    assert closed_loop(silent, None, 0.0, (None, None)) == (None, None)


def test_a_cap_that_no_longer_binds_is_lifted_though_another_inverter_is_silent() -> None:
    site = a_site(5000.0, pv_generation_w=100.0, pv_rated_w=RATED_W, pv_each_w=(0.0, 100.0))
    assert closed_loop(replace(site, pv_silent=(True, False)), 0.0, 0.0, (0.0, 4000.0)) == (0.0, None)


def test_one_that_falls_silent_and_is_off_leaves_its_part_to_the_others() -> None:
    config = a_config(FIVE_KW, export_limit_w=0.0, pvs=TWO_ROOFS)
    memory = replace(RUNNING, pv_caps_w=(1000.0, 1000.0))
    memory, _, _ = run(config, memory, 10.0, 5, 1000.0, west_heard=True)
    _, exports_w, caps_w = run(config, memory, 15.0, 30, 0.0, west_heard=False)
    assert caps_w[-1] == (pytest.approx(2000.0, abs=20.0), 0.0)
    assert max(exports_w) <= 20.0


def test_one_that_falls_silent_and_goes_on_leaves_the_others_where_they_are() -> None:
    config = a_config(FIVE_KW, export_limit_w=0.0, pvs=TWO_ROOFS)
    memory, exports_w, caps_w = run(
        config, replace(RUNNING, pv_caps_w=(1000.0, 1000.0)), 10.0, 5, 1000.0, True
    )
    _, more_w, caps_w = run(config, memory, 15.0, 30, 1000.0, west_heard=False)
    assert max(exports_w + more_w) <= 20.0
    assert caps_w[-1] == (pytest.approx(1000.0, abs=20.0), 0.0)


def test_one_that_comes_back_unheard_at_its_full_rating_displaces_the_others_at_once() -> None:
    config = a_config(FIVE_KW, export_limit_w=1000.0, pvs=TWO_ROOFS)
    memory = replace(RUNNING, pv_caps_w=(1500.0, 1500.0))
    memory, _, _ = run(config, memory, 10.0, 5, 1500.0, west_heard=True)
    memory, _, _ = run(config, memory, 15.0, 30, 0.0, west_heard=False)
    # 5000 W where house and limit take 3000: the east gives nothing from the second reading on, as a jump
    # of the load is believed then, and its part of the limit is all that the west would be allowed.
    _, _, caps_w = run(config, memory, 45.0, 4, 5000.0, west_heard=False)
    assert caps_w[1:] == [(0.0, 500.0)] * 3


def test_when_it_is_heard_again_both_share_anew() -> None:
    config = a_config(FIVE_KW, export_limit_w=0.0, pvs=TWO_ROOFS)
    memory = replace(RUNNING, pv_caps_w=(1000.0, 1000.0))
    memory, _, _ = run(config, memory, 10.0, 5, 1000.0, west_heard=True)
    memory, _, _ = run(config, memory, 15.0, 10, 1000.0, west_heard=False)
    _, exports_w, caps_w = run(config, memory, 25.0, 5, 1000.0, west_heard=True)
    assert caps_w[-1] == (pytest.approx(1000.0, abs=20.0), pytest.approx(1000.0, abs=20.0))
    assert max(exports_w) <= 20.0
