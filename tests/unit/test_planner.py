"""Planning beside a running loop, in virtual time: what the battery does with a plan, and without one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from controller.clock import local_time
from controller.config import load_config
from controller.dispatch.modes import Mode
from controller.dispatch.orders import LocalTime
from controller.dispatch.settings import PolicySettings
from controller.loop import ControlLoop, Cycle
from controller.mqtt import Inbound
from controller.outbox import Outbox
from controller.past import read_past
from controller.plan_keeper import FIRST, NET_LOAD, NEW_PRICES, SOC, TURN, held_down
from controller.planner import Planner
from controller.planning.inputs import PlanError
from controller.planning.market import Point, market_of
from controller.planning.plan import PlanTable
from controller.planning.request import PlanRequest, plan_for
from controller.tariff_door import TariffConfig
from drivers.device import PvReading
from simulators import virtual_time
from simulators.site import House
from tests.unit.planning.clocks import BRUSSELS, local_s
from tests.unit.sites import CONFIG, a_house, a_loop, constant
from tests.unit.test_site_tariff import IMPORT, MARKET, load

MIDNIGHT = local_s(BRUSSELS, 2026, 6, 1)
CYCLE_S = 10.0
NIGHT = """[[tariff.import.period]]
name = "night"
per_kwh = 0.10
to = "06:00"
[[tariff.import.period]]
name = "day"
per_kwh = 0.40
"""


class Inside:
    """A planner in this process. `fails` is asked before each plan and may raise."""

    def __init__(self, fails: Callable[[], None] = lambda: None) -> None:
        self.asked = 0
        self._fails = fails

    async def ask(self, request: PlanRequest) -> PlanTable:
        self.asked += 1
        self._fails()
        return plan_for(request)

    async def close(self) -> str:
        return ""


class Night:
    """A house with 500 W of load and a half full battery, under the planner, from midnight on.

    It has no sun unless said otherwise.
    """

    def __init__(self, folder: Path, tariff: str, process: Inside, grid_charging: bool = True) -> None:
        config = load(folder, tariff)
        policy = PolicySettings("economic", grid_charging=grid_charging)
        dispatch = replace(
            CONFIG,
            policy=policy,
            cycle_s=CYCLE_S,
            stale_after_s=15.0,
            lost_after_s=30.0,
            demand=config.dispatch.demand,
        )
        self.config = replace(config, dispatch=dispatch, timezone="Europe/Brussels")
        assert config.tariff is not None
        self.tariff: TariffConfig = config.tariff
        self.process = process
        self.pv_rated_w = self.sun_w = 0.0
        self.outbox = Outbox("house-7")
        self.cycles: list[Cycle] = []
        self.trusted = True
        self.at: dict[float, Callable[[Planner, House], None]] = {}

    def clock(self) -> tuple[float | None, LocalTime | None]:
        utc_s = MIDNIGHT + asyncio.get_running_loop().time()
        return utc_s, local_time(utc_s, BRUSSELS) if self.trusted else None

    def spend(self, hours: float) -> Planner:
        async def spent() -> Planner:
            house = a_house(constant(500.0), constant(self.sun_w), pv_rated_w=self.pv_rated_w)
            planner = Planner(
                self.config,
                self.tariff,
                self.clock,
                process=self.process,  # type: ignore[arg-type]  # this one plans in place
            )
            planner.outbox = self.outbox
            control: ControlLoop = a_loop(
                house, self.cycles.append, planner.heard, config=self.config.dispatch
            )
            control.clock, control.told = self.clock, planner.told
            tasks = [asyncio.create_task(control.run()), asyncio.create_task(planner.run())]
            for hour, happens in sorted(self.at.items()):
                await asyncio.sleep(hour * 3600.0 - asyncio.get_running_loop().time())
                happens(planner, house)
            await asyncio.sleep(hours * 3600.0 - asyncio.get_running_loop().time())
            control.stop()
            await tasks[0]
            tasks[1].cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            return planner

        return virtual_time.run(spent())

    def setpoint_w(self, hour: float) -> float:
        return self.cycles[int(hour * 3600 / CYCLE_S)].decision.setpoint_w

    def policy(self, hour: float) -> str:
        return self.cycles[int(hour * 3600 / CYCLE_S)].decision.policy

    @property
    def plan(self) -> dict:
        slot = self.outbox._slots[f"{self.outbox.prefix}/plan"]
        return json.loads(slot.letter.payload)


def test_it_charges_at_night_for_the_day_and_says_so(tmp_path: Path) -> None:
    night = Night(tmp_path, IMPORT + NIGHT.replace("06:00", "01:15"), Inside())
    night.at[0.3] = lambda *_: words.append(night.plan["words"])
    words: list[str] = []
    night.spend(1.3)
    assert night.policy(1.2) == "economic"
    assert night.setpoint_w(1.2) == -5000.0
    assert words[0].startswith("charges from the grid")
    assert "until 01:15 at 0.100 EUR" in words[0]
    battery = night.cycles[int(1.25 * 360)].snapshot.batteries[0]
    assert battery is not None
    assert battery.soc_pct is not None
    assert battery.soc_pct > 90.0
    # From 1:15 on it covers the house.
    assert night.setpoint_w(1.28) == pytest.approx(500.0, abs=25.0)
    plan = night.plan
    assert (plan["currency"], plan["slot_s"], len(plan["slots"])) == ("EUR", 900.0, 192)
    first, noon = plan["slots"][0], plan["slots"][46]
    assert (first["begin"], first["import_per_kwh"]) == ("2026-05-31T23:15:00Z", 0.4)
    assert first["price_known"]
    assert noon["import_per_kwh"] == 0.4
    assert 0.1 < noon["water_value_per_kwh"] <= 0.4
    assert plan["slots"][4]["soc_low_pct"] <= plan["slots"][4]["soc_pct"] <= plan["slots"][4]["soc_high_pct"]


def test_where_sun_may_come_that_nobody_has_seen_yet_less_is_bought_at_night(tmp_path: Path) -> None:
    night = Night(tmp_path, IMPORT + NIGHT.replace("06:00", "01:15"), Inside())
    night.pv_rated_w = 6000.0
    night.spend(1.3)
    battery = night.cycles[int(1.25 * 360)].snapshot.batteries[0]
    assert battery is not None
    assert battery.soc_pct is not None
    assert battery.soc_pct < 50.0
    assert "fills from the sun" in night.plan["words"]
    assert "charges from the grid" not in night.plan["words"]


def test_the_past_says_when_the_sun_was_held_down_as_nothing_could_take_it(tmp_path: Path) -> None:
    house = Night(tmp_path, IMPORT + NIGHT, Inside(), grid_charging=False)
    house.pv_rated_w = house.sun_w = 6000.0
    planner = house.spend(2.3)
    quarters = planner.keeper.history.quarters
    # The battery has room for 5 kWh, an hour's surplus; then house and export limit take 500 + 3000 W.
    assert quarters[0].pv_held_share < 0.05
    assert quarters[-1].pv_held_share == 1.0
    assert quarters[0].pv_w == pytest.approx(6000.0, rel=0.01)
    assert quarters[-1].pv_w == pytest.approx(3500.0, rel=0.02)
    request = planner.keeper.request(MIDNIGHT + 2.3 * 3600.0)
    assert isinstance(request, PlanRequest)
    assert request.past.pv_held[-1] == len(request.past.offset_s) - 1
    assert 0 not in request.past.pv_held


def test_sun_that_is_held_down_is_no_surprise(tmp_path: Path) -> None:
    house = Night(tmp_path, IMPORT + NIGHT, Inside(), grid_charging=False)
    house.pv_rated_w = house.sun_w = 9000.0
    plans: list[int] = []
    house.at[1.6] = lambda *_: plans.append(house.process.asked)
    house.spend(2.3)
    assert house.policy(2.2) == "economic"
    assert house.process.asked - plans[0] == 3, "at 1:45, 2:00 and 2:15"


@pytest.mark.parametrize(
    ("gives_w", "ordered_w", "says_w", "held"),
    [
        (2000.0, None, None, False),
        (2000.0, 2000.0, None, True),
        (1850.0, 2000.0, None, True),
        (1500.0, 2000.0, None, False),
        (2000.0, None, 2000.0, True),
        (2000.0, 5000.0, 2000.0, True),
        (0.0, 0.0, None, True),
    ],
)
def test_an_inverter_that_gives_about_its_cap_is_held_down_whoever_set_it(
    gives_w: float, ordered_w: float | None, says_w: float | None, held: bool
) -> None:
    pv = PvReading(0.0, gives_w, 6000.0, says_w)
    assert held_down((None, pv), (100.0, ordered_w)) is held
    assert held_down((pv,), ()) is (says_w is not None)


def test_without_leave_it_keeps_what_it_has_for_the_dear_hours(tmp_path: Path) -> None:
    night = Night(tmp_path, IMPORT + NIGHT, Inside(), grid_charging=False)
    night.spend(0.5)
    assert night.setpoint_w(0.4) == 0.0
    assert "keeps 50 % until 06:00" in night.plan["words"]


def test_a_missing_price_is_no_price_and_nothing_is_bought_at_it(tmp_path: Path) -> None:
    """Known are 0:00 to 1:00 and again from 2:00 on, all of it cheap against the day to come."""
    night = Night(tmp_path, MARKET + BROKER, Inside())
    prices = [(0, 0.1)] + [(hour, 0.1 if hour < 6 else 0.4) for hour in range(2, 30)]
    market = market_of([Point(MIDNIGHT + 3600 * hour, 3600, price) for hour, price in prices])
    night.at[0.01] = lambda planner, _: planner.keeper.learn(market)
    night.spend(2.5)
    assert night.policy(0.5) == "economic"
    for hour in (1.02, 1.5, 1.98):
        assert night.policy(hour) == "self_consumption"
        assert night.setpoint_w(hour) >= 0.0
    assert night.policy(2.2) == "economic"


BROKER = '[tariff.prices]\nmqtt = "market"\n[mqtt]\nurl = "embedded"\n'


def test_prices_that_come_after_the_start_make_a_plan_at_once(tmp_path: Path) -> None:
    night, words = Night(tmp_path, MARKET + BROKER, Inside()), []
    market = market_of([Point(MIDNIGHT + 3600 * hour, 3600, 0.2) for hour in range(48)])
    night.at[72 / 3600] = lambda *_: words.append(night.plan["words"])
    night.at[73 / 3600] = lambda planner, _: planner.keeper.learn(market)
    night.at[75 / 3600] = lambda *_: words.append(night.plan["reason"])
    night.spend(80 / 3600)
    assert words == ["no plan: the price of now is not known", "prices"]


def test_a_source_of_prices_that_fails_is_run_again_and_planning_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    night = Night(tmp_path, MARKET + BROKER, Inside())
    good = json.dumps([{"start": "2026-06-01T00:00:00+02:00", "price": 0.2}]).encode()

    def heard(planner: Planner, _: House) -> None:
        assert planner.feed is not None
        planner.feed.heard(None)  # type: ignore[arg-type]  # it fails at that, and should not
        planner.feed.heard(Inbound("market", good))

    night.at[0.01] = heard
    planner = night.spend(0.05)
    assert len([one for one in caplog.records if "has failed; it is run again" in one.message]) == 1
    assert planner.keeper.market.at(MIDNIGHT) == 0.2
    assert night.plan["reason"] == "prices"


def test_a_planner_that_fails_leaves_its_last_plan_until_that_expires(tmp_path: Path) -> None:
    """Plans for two hours: the last one, made at 0:15 or before, ends by 2:15."""
    alive = [True]

    def fails() -> None:
        if not alive[0]:
            raise PlanError("the planner died")

    night = Night(tmp_path, IMPORT + NIGHT, Inside(fails))
    night.at[0.3] = lambda planner, house: alive.clear() or alive.append(False)
    night.spend(2.6)
    assert night.policy(1.9) == "economic"
    assert night.policy(2.4) == "self_consumption"
    assert night.plan["slots"] == []
    assert night.plan["words"] == "no plan: the planner died"
    # Two hours of pauses that double from 5 s to 600 s are no more than this many attempts.
    assert night.process.asked < 30


def test_without_a_clock_that_can_be_trusted_there_is_neither_price_nor_plan(tmp_path: Path) -> None:
    night = Night(tmp_path, IMPORT + NIGHT, Inside())
    night.trusted = False
    night.spend(0.5)
    running = {one.decision.policy for one in night.cycles if one.decision.mode is Mode.RUNNING}
    assert running == {"self_consumption"}
    assert night.process.asked == 0
    assert night.plan["words"] == "no plan: the clock is not trusted"


def test_the_clock_that_is_lost_takes_the_plan_with_it_and_brings_it_back(tmp_path: Path) -> None:
    night = Night(tmp_path, IMPORT + NIGHT, Inside())
    night.at[0.5] = lambda *_: setattr(night, "trusted", False)
    night.at[1.0] = lambda *_: setattr(night, "trusted", True)
    night.spend(1.2)
    assert [night.policy(hour) for hour in (0.4, 0.9, 1.1)] == ["economic", "self_consumption", "economic"]


def test_the_past_of_the_house_is_remembered_by_quarter_hours_and_over_a_restart(tmp_path: Path) -> None:
    night = Night(tmp_path, IMPORT + NIGHT, Inside())
    planner = night.spend(1.1)
    quarters = planner.keeper.history.quarters
    assert [one.begin_utc_s - MIDNIGHT for one in quarters] == [0.0, 900.0, 1800.0, 2700.0]
    assert [round(one.load_w) for one in quarters] == [500, 500, 500, 500]
    # It is midnight again: they are of the future, which no plan is made from, and kept all the same.
    history = Night(tmp_path, IMPORT + NIGHT, Inside()).spend(0.02).keeper.history
    assert (len(history.before(MIDNIGHT)), len(history.quarters)) == (0, 4)
    folder = tmp_path / "house-state"
    assert len(read_past(folder, 1e9).quarters) == 4


def test_plans_are_due_by_turn_on_new_prices_and_on_surprise(tmp_path: Path) -> None:
    night = Night(tmp_path, IMPORT + NIGHT, Inside(), grid_charging=False)
    planner = night.spend(1.05)
    keeper = planner.keeper
    now = MIDNIGHT + 1.05 * 3600.0
    # Plans were made at the start and then with each quarter hour.
    assert night.process.asked == 5
    assert keeper.due(now) == ""
    assert keeper.due(now + 900.0) == TURN
    keeper.learn(keeper.market)
    assert keeper.due(now) == NEW_PRICES
    keeper._prices_are_new = False
    assert keeper._snapshot is not None
    snapshot = keeper._snapshot
    later = MIDNIGHT + 3600.0 + 400.0
    moved = tuple(replace(one, soc_pct=20.0) for one in snapshot.batteries if one is not None)
    keeper._snapshot = replace(snapshot, batteries=moved)
    assert keeper.due(later) == SOC
    # One above or below the plan's levels stands at their end to it.
    floored = tuple(replace(one, soc_pct=0.0) for one in snapshot.batteries if one is not None)
    keeper._snapshot = replace(snapshot, batteries=floored)
    at_the_floor = replace(keeper.standing, table=replace(keeper.standing.table, soc_from_pct=50.0))
    standing, keeper.standing = keeper.standing, at_the_floor
    assert keeper.due(later) == ""
    keeper.standing = standing
    keeper._snapshot = snapshot
    assert keeper.due(later) == ""
    keeper._slot_sums = (int(later // 900), 10.0, 10 * 3500.0)
    assert keeper.due(later) == NET_LOAD
    # A plan that nobody follows surprises nobody.
    keeper._followed = False
    assert keeper.due(later) == ""
    keeper.standing = None
    assert keeper.due(now + 900.0) == FIRST


def test_the_day_the_clocks_go_back_has_prices_for_25_hours(tmp_path: Path) -> None:
    night = Night(tmp_path, IMPORT + NIGHT, Inside())
    planner = night.spend(0.05)
    autumn = local_s(BRUSSELS, 2026, 10, 25)
    cheap = 0
    for quarter in range(25 * 4):
        prices, _ = planner.keeper.told(local_time(autumn + 900 * quarter, BRUSSELS))
        assert prices is not None
        cheap += prices.import_per_kwh == 0.1
    assert cheap == 7 * 4


def test_a_tariff_is_nothing_to_sites_that_have_none(tmp_path: Path) -> None:
    plain = load(tmp_path, "", SITE_WITHOUT)
    assert plain.tariff is None
    assert load_config(tmp_path / "house.toml").dispatch.demand is None


SITE_WITHOUT = """site = "house-7"
[[meter]]
id = "grid"
profile = "eastron-sdm630"
connection = "tcp://127.0.0.1:5020"
[[battery]]
id = "bat1"
profile = "sunspec-hybrid"
connection = "tcp://127.0.0.1:5021"
capacity_wh = 10_000
"""


def test_nothing_is_planned_while_the_soc_is_not_known(tmp_path: Path) -> None:
    night = Night(tmp_path, IMPORT + NIGHT, Inside())
    planner = night.spend(0.05)
    snapshot = planner.keeper._snapshot
    assert snapshot is not None
    blind = tuple(replace(one, soc_pct=None) for one in snapshot.batteries if one is not None)
    planner.keeper._snapshot = replace(snapshot, batteries=blind)
    assert planner.keeper.request(MIDNIGHT + 200.0) == "the batteries' SoC is not known"
