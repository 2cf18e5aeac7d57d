"""What was ordered before a power cut and still holds after it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from controller.clock import local_time
from controller.dispatch.modes import Mode
from controller.dispatch.orders import LocalTime
from controller.orderbook import FOREVER_S
from controller.state_file import KeptOrder
from tests.unit.ordered_site import LOAD_W, OrderedSite, on_a_site

NOON_UTC_S = 1_780_315_200.0


def trusted() -> tuple[float, LocalTime]:
    return NOON_UTC_S, local_time(NOON_UTC_S, None)


def untrusted() -> tuple[float, None]:
    return NOON_UTC_S, None


class Disk:
    """What is on it; it may be slow or refuse."""

    def __init__(self, takes_s: float = 0.0, works: bool = True) -> None:
        self.orders: list[KeptOrder] = []
        self.ids: list[str] = []
        self.trail: list[str] = []
        self._takes_s = takes_s
        self._works = works

    async def keep(self, orders: Sequence[KeptOrder], command_id: str, who: str, what: str) -> bool:
        await asyncio.sleep(self._takes_s)
        if self._works:
            self.orders, self.ids = list(orders), [*self.ids, command_id]
            self.trail.append(f"{who}: {what}")
        return self._works


def after_a_restart(disk: Disk, work: Any, clock: Any = trusted) -> None:
    async def restarted(site: OrderedSite) -> None:
        site.outside.remember(disk.orders, disk.ids, disk.keep)
        await site.seconds(3.0)
        await work(site)

    on_a_site(restarted, clock=clock)


def test_limits_and_settings_come_back_and_a_setpoint_does_not() -> None:
    disk = Disk()

    async def before(site: OrderedSite) -> None:
        site.outside.remember((), (), disk.keep)
        replies = [
            await site.asked("limits", "a", max_discharge_w=300.0, valid_for_s=600.0),
            await site.asked("reserve", "b", reserve_pct=30.0),
            await site.asked("policy", "c", policy="standby"),
            await site.asked("setpoint", "d", battery_discharge_w=-100.0, valid_for_s=600.0),
        ]
        assert [one["kept"] for one in replies] == [True, True, True, False]
        await site.seconds(1.0)
        await site.asked("policy", "e", policy=None)

    async def after(site: OrderedSite) -> None:
        assert (site.setpoint_w, site.cycles[-1].decision.limited_by) == (300.0, "order")
        orders = site.newest("orders")
        assert (orders["reserve_pct"], orders["policy"]) == (30.0, "self_consumption")
        assert 590.0 < orders["ends_in_s"]["limits"] <= 600.0
        again = await site.asked("reserve", "b", reserve_pct=30.0)
        assert again["reason"] == "was already carried out, before a restart"

    on_a_site(before, clock=trusted)
    assert disk.trail[1] == 'mqtt: reserve b: applied {"reserve_pct": 30.0}'
    after_a_restart(disk, after)


def test_that_a_fault_was_cleared_is_written_down_but_is_nothing_that_comes_back() -> None:
    disk = Disk()

    async def work(site: OrderedSite) -> None:
        site.outside.remember((), (), disk.keep)
        site.control.fault = "bat1: order outside of the nameplate"
        await site.seconds(5.0)
        reply = await site.asked("clear_fault", "a")
        assert (reply["result"], reply["kept"]) == ("applied", False)

    on_a_site(work, clock=trusted)
    assert (disk.orders, disk.ids) == ([], ["a"])
    assert disk.trail == ["mqtt: clear_fault a: applied {}"]


def test_a_stopped_site_is_still_stopped_after_a_power_cut() -> None:
    disk = Disk()

    async def before(site: OrderedSite) -> None:
        site.outside.remember((), (), disk.keep)
        await site.asked("stop", "a")

    async def after(site: OrderedSite) -> None:
        assert site.cycles[-1].decision.mode is Mode.STOPPED
        assert (await site.asked("start", "b"))["result"] == "applied"
        assert disk.orders == []

    on_a_site(before, clock=trusted)
    after_a_restart(disk, after)


def limit(name: str, ends_in_s: float, left_s: float, trusted: bool = True) -> KeptOrder:
    """Its end by a clock that stands at noon, and the time that it had left when it was saved."""
    return KeptOrder(
        name=name, value=300.0, expires_utc_s=NOON_UTC_S + ends_in_s, left_s=left_s, trusted=trusted
    )


YEAR_S, DAY_S = 365 * 86_400.0, 86_400.0


@pytest.mark.parametrize(
    ("clock", "order", "left_s"),
    [
        (trusted, ("the power was off for 100 s", 500.0, 600.0, True), 500.0),
        (trusted, ("the power was off for longer", -1.0, 600.0, True), None),
        (trusted, ("the clock was a year ahead", YEAR_S + 60.0, 60.0, True), 60.0),
        (trusted, ("it was 1970", -NOON_UTC_S + DAY_S, DAY_S - 30.0, False), DAY_S - 30.0),
        (trusted, ("the clock was not trusted, and ahead", 1e7, 60.0, False), 60.0),
        (untrusted, ("nobody knows what time it is", -1.0, 60.0, True), 60.0),
        (untrusted, ("nor has anybody known", 1e7, 60.0, False), 60.0),
    ],
)
def test_an_order_holds_for_what_it_had_left_less_the_time_that_two_trusted_clocks_tell(
    clock: Any, order: tuple[str, float, float, bool], left_s: float | None
) -> None:
    disk = Disk()
    disk.orders = [limit("limits.max_discharge_w", *order[1:])]

    async def after(site: OrderedSite) -> None:
        ends = site.newest("orders")["ends_in_s"]
        assert ends.get("limits") == (None if left_s is None else pytest.approx(left_s, abs=4.0))

    after_a_restart(disk, after, clock)


def test_what_has_no_end_holds_whatever_the_clock_says() -> None:
    disk = Disk()
    disk.orders = [
        KeptOrder(
            name="reserve.reserve_pct", value=40.0, expires_utc_s=FOREVER_S, left_s=FOREVER_S, trusted=False
        )
    ]

    async def after(site: OrderedSite) -> None:
        assert site.newest("orders")["reserve_pct"] == 40.0

    for clock in (trusted, untrusted):
        after_a_restart(disk, after, clock)


def test_an_order_that_is_kept_while_the_clock_is_not_trusted_says_so() -> None:
    disk = Disk()

    async def before(site: OrderedSite) -> None:
        site.outside.remember((), (), disk.keep)
        await site.asked("operator", "a", import_limit_w=4200.0, valid_for_s=600.0)
        (kept,) = disk.orders
        assert (kept.trusted, round(kept.left_s, -1)) == (False, 600.0)

    on_a_site(before, clock=untrusted)


@pytest.mark.parametrize("disk", [Disk(takes_s=5.0), Disk(works=False)])
def test_a_disk_that_is_slow_or_full_does_not_delay_the_answer_and_the_answer_says_so(disk: Disk) -> None:
    async def work(site: OrderedSite) -> None:
        site.outside.remember((), (), disk.keep)
        site.send("limits", "a", max_discharge_w=300.0)
        await site.seconds(0.75)
        assert (site.replies["a"][0]["result"], site.replies["a"][0]["kept"]) == ("applied", False)
        await site.seconds(1.0)
        assert site.setpoint_w == 300.0
        assert site.setpoint_w < LOAD_W

    on_a_site(work, clock=trusted)
