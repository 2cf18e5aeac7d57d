"""An order that is cancelled at any of its awaits leaves no lock held and no half of a setpoint in force."""

from __future__ import annotations

import asyncio

import pytest

from drivers.link import Link
from drivers.profile import load_profile
from tests.contract.plants import RATING, Obeying, battery_of, in_virtual_time, soon


@pytest.mark.parametrize("profile", ["sunspec-hybrid", "goodwe-et", "huawei-luna2000", "sma-hybrid"])
def test_wherever_an_order_is_cancelled_the_next_is_carried_out_and_nothing_else_ever_was(
    profile: str,
) -> None:
    plant, known, cancelled = Obeying(), load_profile(profile), 0

    async def scenario(link: Link) -> None:
        nonlocal cancelled
        battery = battery_of(known, link)
        await battery.read(soon())
        turns, done = 0, False
        while not done:
            await battery.release(soon())
            ordering = asyncio.create_task(battery.order(2000.0, soon()))
            for _ in range(turns):
                await asyncio.sleep(0)
            done = ordering.done()
            cancelled += not done
            ordering.cancel()
            await asyncio.gather(ordering, return_exceptions=True)
            await battery.read(soon())
            await battery.order(1000.0, soon())
            assert plant.ordered_w(asyncio.get_running_loop().time()) == pytest.approx(1000.0, abs=1.0)
            await asyncio.sleep(1.0)
            turns += 1

    in_virtual_time(known, plant, scenario, RATING)
    assert cancelled >= 7, "at as many places"
    orders_w = {round(one[0], -2) for one in plant.diary if one is not None}
    assert orders_w <= {0.0, 1000.0, 2000.0}
