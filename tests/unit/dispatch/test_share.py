"""One setpoint for the site into one for each battery."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.dispatch.limits import Range
from controller.dispatch.share import share

FIVE_KW = Range(-5000.0, 5000.0)
KEPT = Range(-5000.0, 0.0)
"""Five kilowatts, down to its reserve."""


def shared(
    total_w: float,
    *rooms: Range,
    preferred: tuple[Range, ...] | None = None,
    socs_pct: tuple[float | None, ...] | None = None,
    capacities_wh: tuple[float, ...] | None = None,
    efficient_from_w: tuple[float, ...] | None = None,
    last_w: tuple[float, ...] | None = None,
) -> tuple[float, ...]:
    """Equal batteries at 50 % that work well at any power, where nothing else is said."""
    count = len(rooms)
    return share(
        total_w,
        rooms if preferred is None else preferred,
        rooms,
        (50.0,) * count if socs_pct is None else socs_pct,
        (10_000.0,) * count if capacities_wh is None else capacities_wh,
        (0.0,) * count if efficient_from_w is None else efficient_from_w,
        (0.0,) * count if last_w is None else last_w,
    )


@pytest.mark.parametrize(
    ("total_w", "room", "expected_w"),
    [
        (1200.0, FIVE_KW, 1200.0),
        (-1200.0, FIVE_KW, -1200.0),
        (7000.0, FIVE_KW, 5000.0),
        (-7000.0, FIVE_KW, -5000.0),
        (0.0, Range(300.0, 5000.0), 300.0),
    ],
)
def test_one_battery_takes_it_all_within_its_room(total_w: float, room: Range, expected_w: float) -> None:
    assert shared(total_w, room, preferred=(Range(0.0, 0.0),)) == (expected_w,)


def test_equal_batteries_share_equally_and_rest_together() -> None:
    assert shared(3000.0, FIVE_KW, FIVE_KW) == (1500.0, 1500.0)
    assert shared(-3000.0, FIVE_KW, FIVE_KW) == (-1500.0, -1500.0)
    assert shared(0.0, FIVE_KW, FIVE_KW) == (0.0, 0.0)


def test_a_room_that_misses_0_w_by_half_a_watt_gets_its_edge_and_the_other_one_the_rest() -> None:
    assert shared(0.0, Range(0.5, 5000.0), FIVE_KW) == (0.5, -0.5)
    assert shared(0.0, Range(-5000.0, -0.5), FIVE_KW) == (-0.5, 0.5)


def test_less_than_a_watt_is_shared_as_well() -> None:
    half = Range(-0.5, 0.5)
    assert shared(0.5, FIVE_KW, FIVE_KW) == (0.25, 0.25)
    assert shared(1.0, FIVE_KW, FIVE_KW) == (0.5, 0.5)
    assert shared(1.0, half, FIVE_KW, socs_pct=(55.0, 45.0)) == (0.5, 0.5)
    assert shared(0.5, half, half, socs_pct=(52.0, 48.0)) == pytest.approx((0.3, 0.2))


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_twice_the_capacity_works_twice_as_much_so_that_socs_stay_equal(side: float) -> None:
    assert shared(side * 3000.0, FIVE_KW, FIVE_KW, capacities_wh=(20_000.0, 10_000.0)) == (
        side * 2000.0,
        side * 1000.0,
    )


def test_the_fuller_battery_discharges_more_and_charges_less() -> None:
    # mean 50 %: 55 % counts 1.5 times, 45 % half
    socs_pct = (55.0, 45.0)
    assert shared(2000.0, FIVE_KW, FIVE_KW, socs_pct=socs_pct) == (1500.0, 500.0)
    assert shared(-2000.0, FIVE_KW, FIVE_KW, socs_pct=socs_pct) == (-500.0, -1500.0)


def test_the_mean_soc_counts_capacity() -> None:
    # mean (60 x 30 + 40 x 10) / 40 = 55 %: weights 30 x 15 and 10 x 0
    assert shared(2000.0, FIVE_KW, FIVE_KW, socs_pct=(60.0, 40.0), capacities_wh=(30_000.0, 10_000.0)) == (
        2000.0,
        0.0,
    )
    # (52 x 30 + 48 x 10) / 40 = 51 %: weights 30 x 11 and 10 x 7
    assert shared(
        4000.0, FIVE_KW, FIVE_KW, socs_pct=(52.0, 48.0), capacities_wh=(30_000.0, 10_000.0)
    ) == pytest.approx((3300.0, 700.0))


@pytest.mark.parametrize(("low_pct", "expected_w"), [(30.0, 0.0), (29.0, 0.0), (32.0, 100.0)])
def test_a_battery_ten_percent_below_the_mean_waits(low_pct: float, expected_w: float) -> None:
    # mean half way to 50 %
    found_w = shared(2000.0, FIVE_KW, FIVE_KW, socs_pct=(50.0, low_pct))
    assert found_w == pytest.approx((2000.0 - expected_w, expected_w))


def test_a_waiting_battery_still_gives_what_the_others_cannot() -> None:
    assert shared(6000.0, FIVE_KW, FIVE_KW, socs_pct=(80.0, 20.0)) == (5000.0, 1000.0)
    assert shared(-6000.0, FIVE_KW, FIVE_KW, socs_pct=(80.0, 20.0)) == (-1000.0, -5000.0)
    # two that wait share as others do, by capacity and SoC
    found_w = shared(8000.0, FIVE_KW, FIVE_KW, Range(-5000.0, 1000.0), socs_pct=(90.0, 10.0, 10.0))
    assert found_w == pytest.approx((5000.0, 2000.0, 1000.0))


def test_the_mean_is_of_those_that_have_room_to_this_side() -> None:
    # The full one cannot discharge; without it the mean is 50 %.
    rooms = (Range(-5000.0, 0.0), FIVE_KW, FIVE_KW)
    assert shared(2000.0, *rooms, socs_pct=(100.0, 55.0, 45.0)) == (0.0, 1500.0, 500.0)


def test_an_unknown_soc_counts_as_the_mean() -> None:
    found_w = shared(3000.0, FIVE_KW, FIVE_KW, FIVE_KW, socs_pct=(55.0, None, 45.0))
    assert found_w == pytest.approx((1500.0, 1000.0, 500.0))
    assert shared(3000.0, FIVE_KW, FIVE_KW, socs_pct=(None, None)) == (1500.0, 1500.0)


def test_what_a_small_battery_cannot_take_goes_to_the_others_by_weight() -> None:
    small = Range(-500.0, 500.0)
    assert shared(4500.0, small, FIVE_KW, FIVE_KW) == (500.0, 2000.0, 2000.0)
    assert shared(
        -6500.0, small, FIVE_KW, FIVE_KW, capacities_wh=(10_000.0, 10_000.0, 20_000.0)
    ) == pytest.approx((-500.0, -2000.0, -4000.0))
    # the second reaches its room only after the first has
    assert shared(6000.0, small, Range(-2000.0, 2000.0), FIVE_KW) == pytest.approx((500.0, 2000.0, 3500.0))


def test_a_share_that_just_fits_stays() -> None:
    assert shared(2000.0, Range(-1000.0, 1000.0), FIVE_KW) == (1000.0, 1000.0)


def test_more_than_all_have_is_what_all_have() -> None:
    rooms = (Range(-1000.0, 2000.0), Range(-3000.0, 4000.0))
    assert shared(9000.0, *rooms) == (2000.0, 4000.0)
    assert shared(-9000.0, *rooms) == (-1000.0, -3000.0)
    assert shared(9000.0, *rooms, preferred=(Range(-1000.0, 500.0), Range(-3000.0, 0.0))) == (2000.0, 4000.0)


def test_a_reserve_is_touched_only_for_what_the_others_cannot_give() -> None:
    rooms, preferred = (FIVE_KW, FIVE_KW), (FIVE_KW, KEPT)
    assert shared(4000.0, *rooms, preferred=preferred) == (4000.0, 0.0)
    assert shared(6000.0, *rooms, preferred=preferred) == (5000.0, 1000.0)
    assert shared(-4000.0, *rooms, preferred=preferred) == (-2000.0, -2000.0)


def test_reserves_are_touched_by_room() -> None:
    rooms = (FIVE_KW, Range(-5000.0, 3000.0), Range(-5000.0, 1000.0))
    found_w = shared(6000.0, *rooms, preferred=(FIVE_KW, KEPT, KEPT))
    assert found_w == (5000.0, 750.0, 250.0)


def test_a_room_without_zero_gets_its_edge_and_the_rest_goes_on_from_there() -> None:
    saving_a_fuse = Range(2000.0, 5000.0)
    assert shared(2000.0, saving_a_fuse, FIVE_KW) == (2000.0, 0.0)
    assert shared(4000.0, saving_a_fuse, FIVE_KW) == (3000.0, 1000.0)
    assert shared(9500.0, saving_a_fuse, FIVE_KW) == (5000.0, 4500.0)
    # less in all than the one must give: the other takes it up
    assert shared(500.0, saving_a_fuse, FIVE_KW) == (2000.0, -1500.0)
    assert shared(-500.0, Range(-5000.0, -2000.0), FIVE_KW) == (-2000.0, 1500.0)
    assert shared(-9000.0, saving_a_fuse, FIVE_KW) == (2000.0, -5000.0)


def test_batteries_that_are_all_held_back_share_what_must_be_charged_all_the_same() -> None:
    held = Range(0.0, 5000.0)
    assert shared(-4000.0, FIVE_KW, FIVE_KW, preferred=(held, held)) == (-2000.0, -2000.0)


def test_what_a_battery_does_anyway_the_others_work_around_as_long_as_they_can() -> None:
    does = Range(3000.0, 3000.0)
    assert shared(500.0, FIVE_KW, FIVE_KW, preferred=(FIVE_KW, does)) == (-2500.0, 3000.0)
    assert shared(6000.0, FIVE_KW, FIVE_KW, preferred=(FIVE_KW, does)) == (3000.0, 3000.0)
    full = Range(-1000.0, 5000.0)
    assert shared(500.0, full, FIVE_KW, preferred=(full, does)) == (-1000.0, 1500.0), "asked all the same"
    charges = Range(-5000.0, -1000.0)
    assert shared(1000.0, FIVE_KW, FIVE_KW, preferred=(charges, FIVE_KW)) == (-1000.0, 2000.0)


EFFICIENT = (1000.0, 1000.0)


@pytest.mark.parametrize(
    ("total_w", "last_w", "expected_w"),
    [
        (999.0, (0.0, 0.0), (999.0, 0.0)),
        (1000.0, (0.0, 0.0), (500.0, 500.0)),
        (999.0, (700.0, 700.0), (999.0, 0.0)),
        (1000.0, (700.0, 700.0), (500.0, 500.0)),
        # alone, it goes on alone up to 1200 W
        (1199.0, (900.0, 0.0), (1199.0, 0.0)),
        (1200.0, (900.0, 0.0), (600.0, 600.0)),
        (1199.0, (0.0, 900.0), (0.0, 1199.0)),
        # also to the other side
        (-999.0, (0.0, 900.0), (0.0, -999.0)),
        (-999.0, (0.0, 0.0), (-999.0, 0.0)),
        (-1199.0, (0.0, -5.0), (0.0, -1199.0)),
    ],
)
def test_a_low_power_is_for_one_unit_which_then_stays(
    total_w: float, last_w: tuple[float, float], expected_w: tuple[float, float]
) -> None:
    assert shared(total_w, FIVE_KW, FIVE_KW, efficient_from_w=EFFICIENT, last_w=last_w) == expected_w


@pytest.mark.parametrize(
    ("socs_pct", "last_w", "total_w", "worker"),
    [
        ((50.0, 50.1), (0.0, 0.0), 500.0, 1),
        ((50.0, 50.1), (0.0, 0.0), -500.0, 0),
        ((50.0, 55.0), (500.0, 0.0), 500.0, 0),
        ((50.0, 55.5), (500.0, 0.0), 500.0, 1),
        ((55.0, 50.0), (500.0, 0.0), -500.0, 0),
        ((55.5, 50.0), (500.0, 0.0), -500.0, 1),
    ],
)
def test_the_fittest_works_alone_and_hands_over_at_five_percent(
    socs_pct: tuple[float, float], last_w: tuple[float, float], total_w: float, worker: int
) -> None:
    found_w = shared(total_w, FIVE_KW, FIVE_KW, socs_pct=socs_pct, efficient_from_w=EFFICIENT, last_w=last_w)
    assert found_w[worker] == total_w
    assert found_w[1 - worker] == 0.0


def test_each_unit_is_measured_by_its_own_efficient_power() -> None:
    assert shared(500.0, FIVE_KW, FIVE_KW, socs_pct=(50.0, 52.0), efficient_from_w=(1000.0, 0.0)) != (
        0.0,
        500.0,
    )
    assert shared(500.0, FIVE_KW, FIVE_KW, socs_pct=(52.0, 50.0), efficient_from_w=(1000.0, 0.0)) == (
        500.0,
        0.0,
    )


def test_only_a_unit_with_room_for_all_of_it_works_alone() -> None:
    small = Range(-400.0, 400.0)
    assert shared(500.0, small, FIVE_KW, socs_pct=(52.0, 50.0), efficient_from_w=EFFICIENT) == (0.0, 500.0)
    assert shared(400.0, small, FIVE_KW, socs_pct=(52.0, 50.0), efficient_from_w=EFFICIENT) == (400.0, 0.0)
    assert shared(500.0, small, FIVE_KW, efficient_from_w=EFFICIENT, last_w=(300.0, 0.0)) == (0.0, 500.0)
    assert shared(400.0, small, FIVE_KW, efficient_from_w=EFFICIENT, last_w=(300.0, 0.0)) == (400.0, 0.0)
    assert shared(600.0, small, small, efficient_from_w=EFFICIENT) == (300.0, 300.0)


def test_the_last_unit_goes_on_while_it_just_has_room() -> None:
    found_w = shared(
        400.0,
        Range(-400.0, 400.0),
        FIVE_KW,
        socs_pct=(50.0, 52.0),
        efficient_from_w=EFFICIENT,
        last_w=(300.0, 0.0),
    )
    assert found_w == (400.0, 0.0)


def test_a_reserve_is_not_touched_to_work_alone() -> None:
    found_w = shared(
        500.0,
        FIVE_KW,
        FIVE_KW,
        preferred=(KEPT, FIVE_KW),
        socs_pct=(50.0, 20.0),
        efficient_from_w=EFFICIENT,
        last_w=(400.0, 0.0),
    )
    assert found_w == (0.0, 500.0)


def test_socs_draw_together_while_the_site_cycles() -> None:
    socs_pct, capacities_wh = [80.0, 50.0, 30.0], (10_000.0, 5_000.0, 20_000.0)
    for minute in range(12 * 60):
        total_w = 4000.0 if minute // 120 % 2 == 0 else -4000.0
        shares_w = shared(
            total_w, FIVE_KW, FIVE_KW, FIVE_KW, socs_pct=tuple(socs_pct), capacities_wh=capacities_wh
        )
        for index, one_w in enumerate(shares_w):
            socs_pct[index] -= one_w / 60.0 / capacities_wh[index] * 100.0
    assert max(socs_pct) - min(socs_pct) < 0.5


watts = st.floats(0, 10_000)


@st.composite
def rooms_st(draw: st.DrawFn, containing_zero: bool) -> Range:
    one_w, other_w = draw(watts), draw(watts)
    if containing_zero or draw(st.booleans()):
        return Range(-one_w, other_w)
    side = draw(st.sampled_from([-1.0, 1.0]))
    return Range(min(side * one_w, side * other_w), max(side * one_w, side * other_w))


@st.composite
def sites(
    draw: st.DrawFn, containing_zero: bool
) -> tuple[tuple[Range, ...], tuple[Range, ...], dict[str, object]]:
    count = draw(st.integers(2, 6))
    rooms = tuple(draw(rooms_st(containing_zero)) for _ in range(count))
    kept = st.sampled_from(
        [Range(-math.inf, math.inf), Range(-math.inf, 0.0), Range(0.0, math.inf), Range(0.0, 0.0)]
    )
    preferred = tuple(room.narrow(draw(kept)) for room in rooms)

    def each(values: st.SearchStrategy[float | None]) -> tuple[float | None, ...]:
        return tuple(draw(values) for _ in range(count))

    return (
        rooms,
        preferred,
        {
            "socs_pct": each(st.one_of(st.none(), st.integers(0, 1000).map(lambda tenths: tenths / 10.0))),
            "capacities_wh": each(st.floats(100, 100_000)),
            "efficient_from_w": each(st.floats(0, 5000)),
            "last_w": each(st.one_of(st.just(0.0), st.floats(-5000, 5000))),
        },
    )


@given(st.floats(-60_000, 60_000), st.booleans().flatmap(sites))
def test_shares_add_up_to_the_clamped_total_inside_every_room(
    total_w: float, site: tuple[tuple[Range, ...], tuple[Range, ...], dict[str, tuple[float, ...]]]
) -> None:
    rooms, preferred, settings = site
    shares_w = shared(total_w, *rooms, preferred=preferred, **settings)
    reach = Range(sum(room.lower_w for room in rooms), sum(room.upper_w for room in rooms))
    assert math.isclose(sum(shares_w), reach.clamp(total_w), abs_tol=1e-6)
    for one_w, room in zip(shares_w, rooms, strict=True):
        assert room.lower_w <= one_w <= room.upper_w


@given(st.floats(-60_000, 60_000), sites(True))
def test_no_battery_charges_another_and_no_reserve_is_touched_in_vain(
    total_w: float, site: tuple[tuple[Range, ...], tuple[Range, ...], dict[str, tuple[float, ...]]]
) -> None:
    rooms, preferred, settings = site
    shares_w = shared(total_w, *rooms, preferred=preferred, **settings)
    assert all(one_w * total_w >= 0.0 for one_w in shares_w)
    if abs(total_w) <= sum(room.upper_w if total_w > 0.0 else -room.lower_w for room in preferred) - 1e-6:
        for one_w, room in zip(shares_w, preferred, strict=True):
            assert room.lower_w - 1e-6 <= one_w <= room.upper_w + 1e-6


@given(st.floats(-60_000, 60_000), sites(False))
def test_charging_mirrors_discharging(
    total_w: float, site: tuple[tuple[Range, ...], tuple[Range, ...], dict[str, tuple[float, ...]]]
) -> None:
    rooms, preferred, settings = site
    # Who works alone hangs on the last digit of a SoC; apart from that all is mirrored.
    settings["efficient_from_w"] = (0.0,) * len(rooms)
    there_w = shared(total_w, *rooms, preferred=preferred, **settings)
    settings["socs_pct"] = tuple(None if soc is None else 100.0 - soc for soc in settings["socs_pct"])
    back_w = shared(
        -total_w,
        *(Range(-room.upper_w, -room.lower_w) for room in rooms),
        preferred=tuple(Range(-room.upper_w, -room.lower_w) for room in preferred),
        **settings,
    )
    assert there_w == pytest.approx(tuple(-one_w for one_w in back_w), abs=1e-4)
