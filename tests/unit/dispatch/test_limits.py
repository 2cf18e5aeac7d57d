"""Each limit for itself: the range it leaves, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.dispatch.limits import (
    GRID_LIMITS,
    LIMITS,
    NO_LATCHES,
    SITE_LIMITS,
    Bounds,
    Latches,
    Range,
    beyond,
    export_at_most_w,
    export_limit,
    import_limit,
    kept_for_reserve,
    latch,
    operator_export,
    operator_import,
    ordered,
    ramp,
    rating,
    total,
)
from controller.dispatch.orders import Order, Orders, in_force
from controller.dispatch.settings import DispatchConfig
from controller.dispatch.site import BatterySite
from tests.unit.dispatch.policy_sites import BATTERY, a_site

SITE = DispatchConfig((BATTERY,))
INFINITE_W = float("inf")
SOON_S = 10.5
"""The sites of these tests are at 10 s."""


def an_order(value: float, expires_at_s: float = SOON_S) -> Order:
    return Order(value, expires_at_s)


def test_an_order_holds_until_it_expires_and_not_at_that_instant() -> None:
    assert in_force(Order(500.0, 20.0), 19.9) == 500.0
    assert in_force(Order(500.0, 20.0), 20.0) is None
    assert in_force(None, 0.0) is None


def test_a_limit_on_import_asks_for_the_load_above_it() -> None:
    limited = replace(SITE, import_limit_w=4000.0)
    assert import_limit(limited, a_site(6000.0)) == (2000.0, INFINITE_W)
    assert import_limit(SITE, a_site(6000.0)) is None


def test_a_limit_on_export_asks_to_take_the_surplus_beyond_it() -> None:
    limited = replace(SITE, export_limit_w=1000.0)
    assert export_limit(limited, a_site(-3000.0)) == (-INFINITE_W, -2000.0)
    assert export_limit(SITE, a_site(-3000.0)) is None


def test_the_grid_operators_orders_bound_the_connection_point_while_they_are_in_force() -> None:
    orders = Orders(operator_import_w=an_order(4200.0), operator_export_w=an_order(500.0))
    assert operator_import(SITE, a_site(6000.0, orders=orders)) == (1800.0, INFINITE_W)
    assert operator_export(SITE, a_site(6000.0, orders=orders)) == (-INFINITE_W, 6500.0)
    later = a_site(6000.0, orders=orders, now_s=SOON_S)
    assert operator_import(SITE, later) is None
    assert operator_export(SITE, later) is None


def test_each_order_from_outside_bounds_what_it_names() -> None:
    def left(**orders: Order) -> Bounds | None:
        return ordered(a_site(1000.0, orders=Orders(**orders)))

    assert left() is None
    assert left(import_limit_w=an_order(300.0)) == (700.0, INFINITE_W)
    assert left(export_limit_w=an_order(300.0)) == (-INFINITE_W, 1300.0)
    assert left(max_charge_w=an_order(800.0)) == (-800.0, INFINITE_W)
    assert left(max_discharge_w=an_order(900.0)) == (-INFINITE_W, 900.0)
    assert left(max_charge_w=an_order(800.0), max_discharge_w=an_order(900.0)) == (-800.0, 900.0)


def test_orders_from_outside_hold_together_and_expire_one_by_one() -> None:
    orders = Orders(
        import_limit_w=an_order(300.0, 12.0),
        export_limit_w=an_order(200.0, 13.0),
        max_charge_w=an_order(100.0, 15.0),
        max_discharge_w=an_order(1100.0, 14.0),
    )

    def left(now_s: float) -> Bounds | None:
        return ordered(a_site(1000.0, orders=orders, now_s=now_s))

    assert left(11.0) == (700.0, 1100.0)
    assert left(12.0) == (-100.0, 1100.0)
    assert left(13.0) == (-100.0, 1100.0)
    assert left(14.0) == (-100.0, INFINITE_W)
    assert left(15.0) is None


@pytest.mark.parametrize(
    ("pcc_import_w", "is_beyond"), [(3051.0, 1), (3050.0, 0), (0.0, 0), (-1050.0, 0), (-1051.0, -1)]
)
def test_more_than_fifty_watts_beyond_a_limit_at_the_connection_point_are_too_much(
    pcc_import_w: float, is_beyond: int
) -> None:
    # The batteries give 700 W.
    site = a_site(pcc_import_w=pcc_import_w, net_load_w=pcc_import_w + 700.0, now_s=10.0)
    by_contract = DispatchConfig((BATTERY,), import_limit_w=3000.0, export_limit_w=1000.0)
    assert beyond(by_contract, site) == is_beyond
    assert beyond(DispatchConfig((BATTERY,)), site) == 0
    told = replace(
        site, orders=Orders(operator_import_w=Order(3000.0, 20.0), operator_export_w=Order(1000.0, 20.0))
    )
    assert beyond(DispatchConfig((BATTERY,)), told) == is_beyond


def test_the_tightest_export_limit_is_what_pv_has_to_keep() -> None:
    limited = replace(SITE, export_limit_w=1000.0)
    tight, loose, gone = an_order(400.0), an_order(2000.0), an_order(0.0, 10.0)
    assert export_at_most_w(SITE, (None, None), 10.0) is None
    assert export_at_most_w(SITE, (loose, tight), 10.0) == 400.0
    assert export_at_most_w(SITE, (tight, loose), 10.0) == 400.0
    assert export_at_most_w(limited, (loose, gone), 10.0) == 1000.0
    assert export_at_most_w(limited, (None, tight), 10.0) == 400.0


@pytest.mark.parametrize(
    ("before_w", "lower_w", "upper_w"),
    [
        (0.0, -300.0, 300.0),
        (1000.0, 0.0, 1300.0),
        (200.0, -100.0, 500.0),
        (-1000.0, -1300.0, 0.0),
        (-200.0, -500.0, 100.0),
    ],
)
def test_a_ramp_of_100_w_a_second_for_3_s_keeps_the_way_to_zero_open(
    before_w: float, lower_w: float, upper_w: float
) -> None:
    assert ramp(100.0, before_w, 3.0) == (lower_w, upper_w)


def test_a_slow_ramp_near_zero_still_reaches_it() -> None:
    assert ramp(0.1, 0.9, 1.0) == (0.0, 1.0)
    assert ramp(0.1, -0.9, 1.0) == (-1.0, 0.0)


def test_the_soc_latches_at_floor_ceiling_and_reserve() -> None:
    def latched(soc_pct: float | None, before: Latches = NO_LATCHES, reserve_pct: float = 30.0) -> Latches:
        return latch(before, soc_pct, 10.0, 90.0, reserve_pct)

    assert latched(50.0) == Latches()
    assert latched(30.1) == Latches()
    assert latched(30.0) == Latches(at_reserve=True)
    assert latched(10.1) == Latches(at_reserve=True)
    assert latched(10.0) == Latches(empty=True, at_reserve=True)
    assert latched(89.9) == Latches()
    assert latched(90.0) == Latches(full=True)
    assert latched(10.0, reserve_pct=0.0) == Latches(empty=True, at_reserve=True), "the floor is a reserve"
    assert latched(10.1, reserve_pct=0.0) == Latches()
    assert latched(None) == Latches(empty=True, full=True, at_reserve=True)


def test_each_latch_opens_only_when_the_soc_came_back_by_one_percent() -> None:
    def latched(soc_pct: float, **before: bool) -> Latches:
        return latch(Latches(**before), soc_pct, 10.0, 90.0, 30.0)

    assert latched(10.9, empty=True, at_reserve=True) == Latches(empty=True, at_reserve=True)
    assert latched(11.0, empty=True, at_reserve=True) == Latches(at_reserve=True)
    assert latched(30.9, at_reserve=True) == Latches(at_reserve=True)
    assert latched(31.0, at_reserve=True) == Latches()
    assert latched(89.1, full=True) == Latches(full=True)
    assert latched(89.0, full=True) is NO_LATCHES


def test_a_full_battery_may_only_discharge_and_an_empty_one_only_charge() -> None:
    battery = BatterySite(0, 0.0, 50.0, max_charge_w=3000.0, max_discharge_w=4000.0)
    assert rating(battery, Latches()) == Range(-3000.0, 4000.0)
    assert rating(battery, Latches(full=True)) == Range(0.0, 4000.0)
    assert rating(battery, Latches(empty=True)) == Range(-3000.0, 0.0)
    assert rating(battery, Latches(at_reserve=True)) == Range(-3000.0, 4000.0)


def test_a_battery_at_its_reserve_may_charge_and_gives_only_what_a_stronger_limit_asks() -> None:
    room = Range(-3000.0, 4000.0)
    assert kept_for_reserve(room, Latches(empty=True)) is room
    assert kept_for_reserve(room, Latches(at_reserve=True)) == Range(-3000.0, 0.0)
    assert kept_for_reserve(Range(500.0, 4000.0), Latches(at_reserve=True)) == Range(500.0, 500.0)


@pytest.mark.parametrize(
    ("other", "left"),
    [
        (Range(-50.0, 60.0), Range(-50.0, 60.0)),
        (Range(-500.0, 600.0), Range(-100.0, 200.0)),
        (Range(300.0, 400.0), Range(200.0, 200.0)),
        (Range(-400.0, -300.0), Range(-100.0, -100.0)),
        (Range(0.0, 600.0), Range(0.0, 200.0)),
    ],
)
def test_a_weaker_limit_narrows_and_never_leaves_the_stronger(other: Range, left: Range) -> None:
    assert Range(-100.0, 200.0).narrow(other) == left


def test_a_power_outside_of_a_range_becomes_its_nearest_edge() -> None:
    room = Range(-100.0, 200.0)
    assert [room.clamp(one) for one in (-101.0, -100.0, 0.0, 200.0, 201.0)] == [
        -100.0,
        -100.0,
        0.0,
        200.0,
        200.0,
    ]


def test_a_sum_of_nothing_is_nothing() -> None:
    assert total([]) == 0.0
    assert total([1.5, 2.0, -0.5]) == 3.0


def test_the_order_of_the_limits_at_the_connection_point_is_that_of_all_limits() -> None:
    names = [limit.name for limit in LIMITS]
    at_pcc = [name for name, _ in GRID_LIMITS]
    assert at_pcc == ["import_limit", "operator_import", "export_limit", "operator_export"]
    assert at_pcc == [name for name in names if name in at_pcc]
    assert [limit for _, limit in SITE_LIMITS] == [import_limit, export_limit]
