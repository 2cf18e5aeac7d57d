"""What each phase imports without the batteries, though the meter is late and they move."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import pytest

from controller.dispatch.limits import Range
from controller.dispatch.modes import Mode
from controller.dispatch.phase_loads import NO_PHASES, PhaseLoads, follow_phases
from controller.dispatch.phases import fuse_rooms
from controller.dispatch.response import NOTHING_HEARD, Response
from controller.dispatch.settings import BatterySettings, DispatchConfig, MeterSettings
from controller.dispatch.site import BatterySite, Site
from controller.dispatch.step import step
from drivers.device import BatteryReading, MeterReading, PvReading
from tests.unit.dispatch.policy_sites import a_site
from tests.unit.dispatch.sites import PV, RUNNING, a_config, a_snapshot

Look = tuple[float, tuple[float, ...], tuple[float | None, ...]]
"""Time, what the meter shows of each phase, and what each battery gives; None: it is silent."""


def on(*phases: int | None, delay_s: float = 2.0) -> DispatchConfig:
    batteries = tuple(BatterySettings(f"bat{n}", 10_000, phase=phase) for n, phase in enumerate(phases))
    return DispatchConfig(batteries, fuse_a=10.0, meter=MeterSettings(delay_s=delay_s, period_s=1.0))


def watched(
    config: DispatchConfig, *looks: Look, before: PhaseLoads = NO_PHASES, is_news: bool = True
) -> PhaseLoads:
    earlier = NOTHING_HEARD
    for now_s, imports_w, given_w in looks:
        heard = [(n, one_w) for n, one_w in enumerate(given_w) if one_w is not None]
        batteries = tuple([BatterySite(n, one_w, 50.0, 5000.0, 5000.0) for n, one_w in heard])
        pcc_w = sum(imports_w)
        site = Site(now_s, now_s, is_news, pcc_w, 0.0, batteries, 0.0, (), phase_import_w=imports_w)
        meter = MeterReading(now_s, pcc_w, imports_w)
        now = Response(samples=((now_s, 0.0),), value=meter, seen_at_s=now_s, polled_at_s=now_s)
        before, earlier = follow_phases(config, before, site, (earlier, now)), now
    return before


def test_what_batteries_move_from_one_phase_to_another_is_no_load() -> None:
    # L1 uses 1000 W. The battery on L1 gives it until 2 s, then the one on L2; the meter shows it 2 s later.
    before, shown = (0.0, 0.0, 0.0), (1000.0, -1000.0, 0.0)
    looks: list[Look] = [(float(second), before, (1000.0, 0.0)) for second in range(3)]
    looks += [(3.0, before, (0.0, 1000.0)), (4.0, before, (0.0, 1000.0))]
    looks += [(float(second), shown, (0.0, 1000.0)) for second in range(5, 9)]
    for count in range(1, len(looks) + 1):
        assert watched(on(1, 2), *looks[:count]).loads_w == (1000.0, 0.0, 0.0)


def test_a_load_is_seen_on_its_phase_while_a_battery_moves() -> None:
    # At 2 s the battery on L1 goes from 0 to 3000 W; at 4 s the meter still shows what was before, and at 6 s
    # 700 W of load beside the 3000 W.
    looks: list[Look] = [(0.0, (0.0, 0.0, 0.0), (0.0,)), (2.0, (0.0, 0.0, 0.0), (3000.0,))]
    looks += [(3.0, (0.0, 0.0, 0.0), (3000.0,)), (6.0, (-2300.0, 0.0, 0.0), (3000.0,))]
    assert watched(on(1), *looks[:3]).loads_w == (0.0, 0.0, 0.0)
    assert watched(on(1), *looks).loads_w == (700.0, 0.0, 0.0)


def test_the_first_look_takes_what_the_battery_gives() -> None:
    assert watched(on(1), (0.0, (500.0, 0.0, 0.0), (300.0,))).loads_w == (800.0, 0.0, 0.0)
    assert watched(on(1), (0.0, (500.0, 0.0, 0.0), (300.0,)), is_news=False).loads_w == (800.0, 0.0, 0.0)
    assert watched(on(1, 1), (0.0, (500.0, 0.0, 0.0), (300.0, None))).loads_w == (800.0, 0.0, 0.0)


@pytest.mark.parametrize("phase", [None, 1, 2])
def test_on_a_site_of_one_phase_a_battery_is_on_that_one_whatever_it_says(phase: int | None) -> None:
    # 2000 W of load and a fuse of 10 A, 2300 W: the battery may charge 300 W, or give 4300 W.
    config, site = replace(on(phase), phases=1), a_site(2000.0)
    assert fuse_rooms(config, site, (Range(-5000.0, 5000.0),), ()) == (Range(-300.0, 4300.0),)


def test_a_battery_on_all_phases_gives_a_third_to_each() -> None:
    looks: Look = (0.0, (100.0, 200.0, 300.0), (900.0, 60.0))
    known = watched(on(None, 3), looks)
    assert known.loads_w == (400.0, 500.0, 660.0)
    silent = watched(on(None, 3), (1.0, (100.0, 200.0, 300.0), (None, 60.0)), before=known, is_news=False)
    assert silent.loads_w == pytest.approx((100.0, 200.0, 360.0)), "it is in the loads of all while silent"


def test_a_load_that_ends_is_seen_as_one_that_begins() -> None:
    looks: list[Look] = [(0.0, (500.0, 0.0, 0.0), (300.0,)), (1.0, (100.0, 0.0, 0.0), (300.0,))]
    assert watched(on(1), *looks).loads_w == (400.0, 0.0, 0.0)


MOVED: list[Look] = [(0.0, (), (0.0,)), (1.0, (), (0.0,)), (2.0, (), (600.0,))]
"""From 1 s to 2 s the battery goes to 600 W; what the meter shows at 3 s is of -0.2 to 1.2 s: 0 to 120 W."""


@pytest.mark.parametrize(("phase", "loads_w"), [(1, (560.0, 0.0, 0.0)), (None, (520.0, 20.0, 20.0))])
def test_where_a_battery_moved_before_phases_were_shown_the_middle_is_taken(
    phase: int | None, loads_w: tuple[float, ...]
) -> None:
    known = watched(on(phase), *MOVED, (3.0, (500.0, 0.0, 0.0), (600.0,)))
    assert known.loads_w == pytest.approx(loads_w)


def test_one_battery_that_falls_silent_while_another_moves_takes_only_its_own_off() -> None:
    shows = (1000.0, 0.0, 0.0)
    looks: list[Look] = [(float(second), shows, (0.0, 500.0)) for second in range(2)]
    looks += [(2.0, shows, (600.0, 500.0)), (3.0, shows, (600.0, None))]
    assert watched(on(1, 1), *looks).loads_w == (1000.0, 0.0, 0.0)


def test_without_news_the_loads_are_what_they_were() -> None:
    known = watched(on(1), (0.0, (500.0, 0.0, 0.0), (300.0,)))
    later = watched(on(1), (1.0, (500.0, 0.0, 0.0), (900.0,)), before=known, is_news=False)
    assert later == PhaseLoads((((0.0, 300.0), (1.0, 900.0)),), (800.0, 0.0, 0.0))


@pytest.mark.parametrize("is_news", [True, False])
def test_what_a_silent_battery_gives_is_in_the_load_of_its_phase_until_it_is_heard_again(
    is_news: bool,
) -> None:
    shows = (200.0, 0.0, 0.0)
    known = watched(on(1, 1), (0.0, shows, (300.0, 500.0)))
    assert known.loads_w == (1000.0, 0.0, 0.0)
    silent = watched(on(1, 1), (1.0, shows, (300.0, None)), before=known, is_news=is_news)
    assert silent == PhaseLoads((((0.0, 300.0), (1.0, 300.0)), ()), (500.0, 0.0, 0.0))
    heard = watched(on(1, 1), (2.0, shows, (300.0, 500.0)), before=silent, is_news=is_news)
    assert heard.loads_w == (1000.0, 0.0, 0.0)


def test_while_the_meter_does_not_show_phases_only_the_batteries_are_followed() -> None:
    known = watched(on(1), (0.0, (500.0, 0.0, 0.0), (300.0,)))
    lost = watched(on(1), (1.0, (500.0,), (300.0,)), before=known)
    assert lost == PhaseLoads((((0.0, 300.0), (1.0, 300.0)),))
    assert watched(on(1), (2.0, (600.0, 0.0, 0.0), (300.0,)), before=lost).loads_w == (900.0, 0.0, 0.0)


def test_without_a_fuse_or_on_one_phase_nothing_is_remembered() -> None:
    look: Look = (0.0, (500.0, 0.0, 0.0), (300.0,))
    assert watched(replace(on(1), fuse_a=None), look) is NO_PHASES
    assert watched(replace(on(1), phases=1), look) is NO_PHASES


def test_holding_keeps_what_is_known_of_the_phases() -> None:
    known = PhaseLoads((((9.0, 300.0),),), (800.0, 0.0, 0.0))
    stale = replace(a_snapshot(now_s=10.0), now_s=11.6)
    memory, decision = step(a_config(), replace(RUNNING, phase_loads=known), stale)
    assert decision.mode is Mode.HOLDING
    assert memory.phase_loads is known


def closed_loop(
    config: DispatchConfig, lags: tuple[float, ...], load_w: float, pv: tuple[int, float], seconds: int
) -> list[float]:
    """What the PCC imports in each second: `lags` are what part of the way to its order a battery goes in a
    second; the load is even, PV on one phase goes to its cap at once, and the meter is as late as it says.
    """
    memory, given_w, late = RUNNING, [0.0] * len(lags), deque[tuple[float, ...]]()
    (pv_phase, sun_w), found = pv, []
    pv_w = sun_w
    for second in range(10, 10 + seconds):
        # A watt to and fro, so that the meter always has news.
        imports_w = [load_w / 3.0 + second % 2] * 3
        imports_w[pv_phase - 1] -= pv_w
        for settings, one_w in zip(config.batteries, given_w, strict=True):
            imports_w[(settings.phase or 1) - 1] -= one_w
        late.append(tuple(imports_w))
        found.append(sum(imports_w))
        shown_w = late[max(len(late) - 1 - round(config.meter.delay_s), 0)]
        now_s = float(second)
        snapshot = a_snapshot(
            now_s=now_s,
            meter=MeterReading(now_s, sum(shown_w), shown_w),
            batteries=tuple([BatteryReading(now_s, one_w, 50.0) for one_w in given_w]),
            pvs=(PvReading(now_s, pv_w, rated_w=sun_w),),
        )
        memory, decision = step(config, memory, snapshot)
        cap_w = decision.pv_caps_w[0]
        pv_w = sun_w if cap_w is None else min(sun_w, cap_w)
        for index, part in enumerate(lags):
            given_w[index] += part * ((decision.battery_setpoints_w[index] or 0.0) - given_w[index])
    return found


def single(phase: int, power_w: float) -> BatterySettings:
    return BatterySettings(
        f"bat{phase}", 10_000, max_charge_w=power_w, max_discharge_w=power_w, phase=phase, time_constant_s=0.5
    )


@pytest.mark.parametrize("delay_s", [0.0, 2.0, 5.0])
def test_pv_that_moves_on_another_phase_does_not_move_the_room_of_a_battery(delay_s: float) -> None:
    # Nothing may be exported. L3 has 3000 W of load and a fuse of 16 A, 3680 W: the battery there may charge
    # 680 W, so PV on L2 may give 9680 W.
    meter = MeterSettings(delay_s=delay_s, period_s=1.0)
    config = a_config(single(3, 1500.0), pvs=PV, fuse_a=16.0, export_limit_w=0.0, meter=meter)
    pcc_w = closed_loop(config, (0.8,), 9000.0, (2, 12_000.0), 120)
    assert min(pcc_w[60:]) > -50.0
    assert max(pcc_w[60:]) < 50.0


@pytest.mark.parametrize("delay_s", [0.0, 3.0, 5.0])
def test_batteries_of_different_speed_on_three_phases_do_not_hunt_behind_a_late_meter(delay_s: float) -> None:
    # 8000 W of sun on L3, nothing may be exported, and 25 A are less than the batteries could move.
    meter = MeterSettings(delay_s=delay_s, period_s=1.0)
    batteries = (single(3, 8000.0), single(2, 8000.0), single(1, 8000.0))
    config = a_config(*batteries, pvs=PV, fuse_a=25.0, export_limit_w=0.0, meter=meter)
    pcc_w = closed_loop(config, (0.9, 0.4, 0.6), 0.0, (3, 8000.0), 240)
    assert min(pcc_w[120:]) > -50.0
    assert max(pcc_w[120:]) < 50.0
