"""The fuse of each phase, with batteries on one phase, on all, and on the same."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.dispatch.limits import Range
from controller.dispatch.phase_loads import NO_PHASES, follow_phases
from controller.dispatch.phases import fuse_rooms
from controller.dispatch.response import NOTHING_HEARD, Response
from controller.dispatch.settings import BatterySettings, DispatchConfig
from controller.dispatch.site import BatterySite, Site

FIVE_KW = Range(-5000.0, 5000.0)


def a_config(*phases: int | None, fuse_a: float | None = 10.0, of: int = 3) -> DispatchConfig:
    """Fuses of 10 A at 200 V: 2000 W on each phase."""
    batteries = tuple(BatterySettings(f"bat{n}", 10_000, phase=phase) for n, phase in enumerate(phases))
    return DispatchConfig(batteries, fuse_a=fuse_a, phases=of, nominal_v=200.0)


def a_site(
    phase_import_w: tuple[float, ...],
    *discharges_w: float,
    voltages_v: tuple[float, ...] = (),
    rated_w: tuple[float, ...] = (5000.0, 5000.0, 5000.0, 5000.0),
    pcc_import_w: float | None = None,
) -> Site:
    pcc_w = sum(phase_import_w) if pcc_import_w is None else pcc_import_w
    batteries = tuple(
        BatterySite(n, one_w, 50.0, rated_w[n], rated_w[n]) for n, one_w in enumerate(discharges_w)
    )
    net_load_w = pcc_w + sum(discharges_w)
    return Site(
        0.0,
        0.0,
        True,
        pcc_w,
        net_load_w,
        batteries,
        0.0,
        (),
        phase_import_w=phase_import_w,
        phase_voltage_v=voltages_v,
    )


def rooms_of(config: DispatchConfig, site: Site, *rooms: Range) -> tuple[Range, ...]:
    return within_fuses(config, site, rooms)


def within_fuses(config: DispatchConfig, site: Site, rooms: tuple[Range, ...]) -> tuple[Range, ...]:
    """With the batteries now where they were when the meter measured."""
    after = Response(samples=((0.0, 0.0),))
    return fuse_rooms(
        config, site, rooms, follow_phases(config, NO_PHASES, site, (NOTHING_HEARD, after)).loads_w
    )


@pytest.mark.parametrize(
    ("config", "site"),
    [
        (a_config(1, fuse_a=None), a_site((9000.0, 0.0, 0.0), 0.0)),
        (a_config(1), a_site((), 0.0, pcc_import_w=9000.0)),
        (a_config(1), a_site((9000.0, 0.0), 0.0)),
        (a_config(None, fuse_a=None, of=1), a_site((), 0.0, pcc_import_w=9000.0)),
    ],
)
def test_without_a_fuse_or_without_readings_of_each_phase_rooms_stay(
    config: DispatchConfig, site: Site
) -> None:
    rooms = (FIVE_KW,)
    assert within_fuses(config, site, rooms) is rooms


def test_without_a_battery_there_is_nothing_to_narrow() -> None:
    assert within_fuses(a_config(1), a_site((9000.0, 0.0, 0.0)), ()) == ()


@pytest.mark.parametrize(
    ("import_w", "discharge_w", "expected"),
    [
        (0.0, 0.0, Range(-2000.0, 2000.0)),
        # 500 W of load, of which the battery carries 800 W: charging up to 1500 W, discharging to 2500 W
        (-300.0, 800.0, Range(-1500.0, 2500.0)),
        # 3000 W of load: 1000 W must come from the battery
        (3000.0, 0.0, Range(1000.0, 5000.0)),
        # 3000 W of PV: 1000 W must go into the battery
        (-3000.0, 0.0, Range(-5000.0, -1000.0)),
        # more than the battery can: the nearest edge
        (9000.0, 0.0, Range(5000.0, 5000.0)),
        (-9000.0, 0.0, Range(-5000.0, -5000.0)),
    ],
)
def test_a_single_phase_battery_keeps_the_fuse_of_its_phase(
    import_w: float, discharge_w: float, expected: Range
) -> None:
    site = a_site((0.0, import_w, 0.0), discharge_w)
    assert rooms_of(a_config(2), site, FIVE_KW) == (expected,)


def test_a_single_phase_battery_cannot_help_another_phase() -> None:
    rooms = (Range(-2000.0, 2000.0),)
    assert within_fuses(a_config(1), a_site((0.0, 9000.0, -9000.0), 0.0), rooms) is rooms
    assert within_fuses(
        a_config(1, 1), a_site((0.0, 9000.0, -9000.0), 0.0, 0.0), (*rooms, Range(0.0, 0.0))
    ) == (
        *rooms,
        Range(0.0, 0.0),
    )


@pytest.mark.parametrize(("lower_w", "upper_w"), [(-2000.0, 2000.0), (-1999.0, 1999.0)])
def test_a_room_inside_the_fuse_is_the_same_object(lower_w: float, upper_w: float) -> None:
    for config, site in (
        (a_config(1), a_site((0.0, 0.0, 0.0), 0.0)),
        (a_config(1, 2), a_site((0.0, 0.0, 0.0), 0.0, 0.0)),
    ):
        rooms = (Range(lower_w, upper_w),) * len(site.batteries)
        assert within_fuses(config, site, rooms) is rooms


@pytest.mark.parametrize("room", [Range(-2001.0, 2000.0), Range(-2000.0, 2001.0)])
def test_one_watt_beyond_the_fuse_is_taken_away(room: Range) -> None:
    assert rooms_of(a_config(1), a_site((0.0, 0.0, 0.0), 0.0), room) == (Range(-2000.0, 2000.0),)
    inside = Range(-2000.0, 2000.0)
    site = a_site((0.0, 0.0, 0.0), 0.0, 0.0)
    assert rooms_of(a_config(1, 2), site, room, inside) == (inside, inside)


@pytest.mark.parametrize(
    ("imports_w", "discharge_w", "room", "expected"),
    [
        # each phase has 2000 W, the battery moves each by a third
        ((0.0, 0.0, 0.0), 0.0, Range(-9000.0, 9000.0), Range(-6000.0, 6000.0)),
        # L2 already imports 1400 W: 600 W each are left for charging; L3 exports 1000 W: 1000 W each
        ((0.0, 1400.0, -1000.0), 0.0, Range(-9000.0, 9000.0), Range(-1800.0, 3000.0)),
        # the same with 900 W of discharge, 300 W a phase, in the readings
        ((0.0, 1400.0, -1000.0), 900.0, Range(-9000.0, 9000.0), Range(-900.0, 3900.0)),
        # L1 imports 2500 W: 500 W each must come
        ((2500.0, 0.0, 0.0), 0.0, Range(-9000.0, 9000.0), Range(1500.0, 6000.0)),
        # L1 needs 2000 W each, L2 takes no more than -1000 W each: both are missed by 1500 W
        ((4000.0, -3000.0, 0.0), 0.0, Range(-9000.0, 9000.0), Range(1500.0, 1500.0)),
    ],
)
def test_an_even_battery_is_bound_by_the_worst_phase(
    imports_w: tuple[float, ...], discharge_w: float, room: Range, expected: Range
) -> None:
    assert rooms_of(a_config(None), a_site(imports_w, discharge_w), room) == (expected,)
    # a second battery that can do nothing changes nothing
    found = rooms_of(a_config(None, 1), a_site(imports_w, discharge_w, 0.0), room, Range(0.0, 0.0))
    assert found[0].lower_w == pytest.approx(expected.lower_w)
    assert found[0].upper_w == pytest.approx(expected.upper_w)
    assert found[1] == Range(0.0, 0.0)


def test_a_single_phase_site_needs_no_readings_of_phases() -> None:
    for phase in (None, 1):
        site = a_site((), 0.0, pcc_import_w=500.0)
        assert rooms_of(a_config(phase, of=1), site, FIVE_KW) == (Range(-1500.0, 2500.0),)
    site = a_site((1.0, 2.0, 3.0), 0.0, 0.0, pcc_import_w=500.0, voltages_v=(200.0, 200.0, 200.0))
    found = rooms_of(a_config(None, 1, of=1), site, FIVE_KW, FIVE_KW)
    assert found == (Range(-750.0, 1250.0), Range(-750.0, 1250.0))


@pytest.mark.parametrize(
    ("voltage_v", "fuse_w"),
    [
        (210.0, 2100.0),
        (180.0, 1800.0),
        (100.0, 1000.0),
        (99.9, 2000.0),
        (260.0, 2600.0),
        (260.1, 2000.0),
        (346.0, 2000.0),
        (0.0, 2000.0),
        (float("nan"), 2000.0),
    ],
)
def test_the_fuse_counts_at_the_measured_voltage_where_that_can_be_true(
    voltage_v: float, fuse_w: float
) -> None:
    site = a_site((0.0, 0.0, 0.0), 0.0, voltages_v=(150.0, voltage_v, 250.0))
    assert rooms_of(a_config(2), site, FIVE_KW) == (Range(-fuse_w, fuse_w),)


def test_an_incomplete_set_of_voltages_is_not_used() -> None:
    site = a_site((0.0, 0.0, 0.0), 0.0, voltages_v=(150.0, 150.0))
    assert rooms_of(a_config(1), site, FIVE_KW) == (Range(-2000.0, 2000.0),)


def test_batteries_on_one_phase_split_it_in_proportion_to_their_rooms() -> None:
    site = a_site((0.0, 0.0, 0.0), 0.0, 0.0)
    found = rooms_of(a_config(1, 1), site, Range(-3000.0, 1000.0), Range(-1000.0, 3000.0))
    assert found == (Range(-1500.0, 500.0), Range(-500.0, 1500.0))


def test_batteries_on_one_phase_split_what_it_must_have() -> None:
    rooms = (Range(-1000.0, 3000.0), Range(-1000.0, 1000.0))
    importing = rooms_of(a_config(1, 1), a_site((4000.0, 0.0, 0.0), 0.0, 0.0), *rooms)
    assert importing == (Range(1500.0, 3000.0), Range(500.0, 1000.0))
    exporting = rooms_of(a_config(1, 1), a_site((-3000.0, 0.0, 0.0), 0.0, 0.0), *rooms)
    assert exporting == (Range(-1000.0, -500.0), Range(-1000.0, -500.0))


def test_a_room_on_a_phase_that_has_enough_is_the_same_object() -> None:
    small = Range(-100.0, 100.0)
    found = rooms_of(a_config(1, 2), a_site((0.0, 0.0, 0.0), 0.0, 0.0), FIVE_KW, small)
    assert found == (Range(-2000.0, 2000.0), small)
    assert found[1] is small


def test_batteries_on_different_phases_do_not_bind_each_other() -> None:
    site = a_site((500.0, -500.0, 3000.0), 0.0, 0.0, 0.0)
    assert rooms_of(a_config(1, 2, 3), site, FIVE_KW, FIVE_KW, FIVE_KW) == (
        Range(-1500.0, 2500.0),
        Range(-2500.0, 1500.0),
        Range(1000.0, 5000.0),
    )


def test_an_even_battery_and_one_on_a_phase_share_that_phase() -> None:
    # 3000 W each phase from the even one and 1000 W from the single: 2000 W are 1500 W and 500 W
    found = rooms_of(
        a_config(None, 1), a_site((0.0, 0.0, 0.0), 0.0, 0.0), Range(-9000.0, 9000.0), Range(-1000.0, 1000.0)
    )
    assert found == (Range(-4500.0, 4500.0), Range(-500.0, 500.0))


def test_a_phase_that_only_its_own_battery_can_save_is_saved_by_it() -> None:
    # L1 needs 3000 W. L2 bears no discharge at all, so none may come from the even battery.
    site = a_site((5000.0, -2000.0, 0.0), 0.0, 0.0)
    even, single = rooms_of(a_config(None, 1), site, Range(-6000.0, 6000.0), FIVE_KW)
    assert even == Range(0.0, 0.0)
    assert single == Range(3000.0, 5000.0)


def test_the_even_battery_helps_as_far_as_the_single_one_cannot() -> None:
    # L1 needs 3000 W and its battery has 1000 W: 2000 W each from the even one, though L2 bears 1000 W
    # only together with 1000 W of charging there.
    site = a_site((5000.0, -1000.0, 0.0), 0.0, 0.0, 0.0)
    even, first, second = rooms_of(
        a_config(None, 1, 2), site, Range(-9000.0, 9000.0), Range(-1000.0, 1000.0), Range(-1000.0, 1000.0)
    )
    assert even == Range(6000.0, 6000.0)
    assert first == Range(1000.0, 1000.0)
    assert second == Range(-1000.0, -1000.0)


def test_batteries_on_all_phases_give_a_third_to_each() -> None:
    site = a_site((0.0, 0.0, 0.0), 900.0, 600.0)
    _, single = rooms_of(a_config(None, 3), site, Range(0.0, 0.0), FIVE_KW)
    assert single == Range(-1100.0, 2900.0)


watts = st.floats(-8000, 8000)
ratings = st.floats(0, 6000)


@st.composite
def forced(draw: st.DrawFn) -> Range:
    one_w, other_w = draw(watts), draw(watts)
    return Range(min(one_w, other_w), max(one_w, other_w))


rooms_st = st.one_of(st.builds(lambda c, d: Range(-c, d), ratings, ratings), forced())


def can_be_kept(places: list[int], rooms: tuple[Range, ...], loads_w: list[float], fuse_w: float) -> bool:
    """Whether any even power lets every phase's own batteries do the rest: tried at all corners."""

    def reach(phase: int) -> tuple[float, float]:
        own = [room for place, room in zip(places, rooms, strict=True) if place == phase]
        return sum(room.lower_w for room in own), sum(room.upper_w for room in own)

    lower_w, upper_w = (edge / 3.0 for edge in reach(0))
    corners = [lower_w, upper_w]
    for phase, load_w in enumerate(loads_w, 1):
        own_lower_w, own_upper_w = reach(phase)
        corners += [load_w - fuse_w - own_upper_w, load_w + fuse_w - own_lower_w]
    return any(
        lower_w <= even_w <= upper_w
        and all(
            load_w - fuse_w - even_w <= reach(phase)[1] + 1e-9
            and load_w + fuse_w - even_w >= reach(phase)[0] - 1e-9
            for phase, load_w in enumerate(loads_w, 1)
        )
        for even_w in corners
    )


@given(
    st.lists(st.tuples(st.sampled_from([None, 1, 2, 3]), rooms_st, watts), min_size=1, max_size=4),
    st.tuples(watts, watts, watts),
    st.floats(0, 30),
)
def test_no_choice_inside_the_rooms_overloads_a_phase_where_that_can_be_avoided(
    batteries: list[tuple[int | None, Range, float]], imports_w: tuple[float, float, float], fuse_a: float
) -> None:
    config = a_config(*(phase for phase, _, _ in batteries), fuse_a=fuse_a)
    before = tuple(room for _, room, _ in batteries)
    site = a_site(imports_w, *(discharge_w for _, _, discharge_w in batteries))
    after = within_fuses(config, site, before)
    places = [phase or 0 for phase, _, _ in batteries]
    for old, new in zip(before, after, strict=True):
        assert old.lower_w - 1e-6 <= new.lower_w <= new.upper_w + 1e-6 <= old.upper_w + 2e-6
    loads_w = []
    for phase, import_w in enumerate(imports_w, 1):
        load_w = import_w
        for place, (_, _, discharge_w) in zip(places, batteries, strict=True):
            load_w += discharge_w / 3.0 if place == 0 else discharge_w if place == phase else 0.0
        loads_w.append(load_w)
    if not can_be_kept(places, before, loads_w, fuse_a * 200.0):
        return
    for orders_w in itertools.product(*((room.lower_w, room.upper_w) for room in after)):
        for phase, load_w in enumerate(loads_w, 1):
            for place, order_w in zip(places, orders_w, strict=True):
                load_w -= order_w / 3.0 if place == 0 else order_w if place == phase else 0.0
            assert abs(load_w) <= fuse_a * 200.0 + 1e-5


@given(st.sampled_from([None, 1, 2, 3]), rooms_st, st.tuples(watts, watts, watts), watts, st.floats(0, 30))
def test_one_battery_fares_as_it_does_beside_one_that_can_do_nothing(
    phase: int | None, room: Range, imports_w: tuple[float, float, float], discharge_w: float, fuse_a: float
) -> None:
    (alone,) = within_fuses(a_config(phase, fuse_a=fuse_a), a_site(imports_w, discharge_w), (room,))
    beside, _ = within_fuses(
        a_config(phase, 1, fuse_a=fuse_a), a_site(imports_w, discharge_w, 0.0), (room, Range(0.0, 0.0))
    )
    assert alone.lower_w == pytest.approx(beside.lower_w, abs=1e-5)
    assert alone.upper_w == pytest.approx(beside.upper_w, abs=1e-5)
