"""What is kept over a cycle in which nothing new is ordered, and what PV may give meanwhile."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.dispatch.care import CareState
from controller.dispatch.decision import Decision, Memory
from controller.dispatch.demand import DemandState
from controller.dispatch.islanding import IslandState
from controller.dispatch.limits import Latches
from controller.dispatch.modes import Mode
from controller.dispatch.orders import Order, Orders
from controller.dispatch.plausible import Doubt
from controller.dispatch.pv_trim import PvTrim
from controller.dispatch.response import Response
from controller.dispatch.settings import LoadSettings
from controller.dispatch.shortfall import Shortfall
from controller.dispatch.site import Snapshot
from controller.dispatch.soc import Charge
from controller.dispatch.step import step
from controller.dispatch.trim import Trim
from drivers.device import BatteryReading, MeterReading, PvReading
from tests.unit.dispatch.sites import FIVE_KW, PV, RUNNING, TWO_KW, a_config, a_snapshot, decide

HOUSE = a_config(pvs=PV, loads=(LoadSettings("boiler", 2000.0),), export_limit_w=600.0)
BUSY = Memory(
    Mode.RUNNING,
    0.0,
    10.0,
    9.0,
    Response(((9.0, 600.0),), 700.0, 0, MeterReading(9.0, 100.0), 9.0, 9.0, 600.0),
    Doubt(1, 2),
    "follow",
    700.0,
    600.0,
    (600.0,),
    ((600.0, 9.0),),
    (1500.0,),
    (Latches(at_reserve=True),),
    True,
    DemandState(month_peak_w=900.0),
    (CareState(5.0),),
    IslandState(loads_closed=(False,), switched_at_s=(5.0,)),
    shortfall=Shortfall(200.0, 99.0, 5.0),
    trims=(Trim(0.97, 1.03),),
    orders_w=(618.0,),
    pv_trim=PvTrim(-30.0),
)
OLD = "the last reading of the meter at the PCC is {} s old, allowed are 1.5 s"


def at(now_s: float, soc_pct: float = 50.0) -> tuple[Charge, ...]:
    """What is remembered of a SoC that was believed."""
    return (Charge(now_s, soc_pct, soc_pct),)


def later(now_s: float, **changes: object) -> Snapshot:
    """The meter was read at 10 s, everything else just now."""
    return a_snapshot(
        100.0, 600.0, pv_generation_w=700.0, now_s=now_s, meter=MeterReading(10.0, 100.0), **changes
    )


def test_holding_keeps_all_that_was_ordered_and_remembered() -> None:
    after, decision = step(HOUSE, BUSY, later(12.0))
    assert after == replace(
        BUSY, mode=Mode.HOLDING, fresh_since_s=None, decided_at_s=12.0, charges=at(12.0), held_since_s=12.0
    )
    assert decision == Decision(
        Mode.HOLDING,
        "follow",
        700.0,
        600.0,
        (618.0,),
        (1500.0,),
        missing=OLD.format("2.0"),
        loads_closed=(False,),
    )


def test_holding_before_anything_was_ordered_is_zero_watts() -> None:
    after, decision = step(HOUSE, RUNNING, later(12.0))
    assert (decision.battery_setpoints_w, after.battery_setpoints_w) == ((0.0,), ())


def test_readings_that_are_back_while_holding_are_not_said_to_be_missing() -> None:
    after, decision = step(HOUSE, replace(BUSY, mode=Mode.HOLDING, fresh_since_s=None), later(11.0))
    assert (decision.mode, decision.missing) == (Mode.HOLDING, "")
    assert (after.fresh_since_s, after.fresh_at_s) == (11.0, 11.0)


def test_nonsense_is_held_through_for_two_and_a_half_seconds() -> None:
    def mode_at(now_s: float) -> Mode:
        return decide(HOUSE, replace(later(now_s), meter=MeterReading(now_s, float("nan"))), BUSY).mode

    assert mode_at(12.5) is Mode.HOLDING
    assert mode_at(12.75) is Mode.SAFE


def test_safe_orders_nothing_and_forgets_only_what_it_must() -> None:
    after, decision = step(HOUSE, BUSY, later(13.0))
    assert after == Memory(
        Mode.SAFE,
        None,
        10.0,
        13.0,
        BUSY.response,
        BUSY.doubt,
        battery_setpoints_w=BUSY.battery_setpoints_w,
        heard=BUSY.heard,
        pv_caps_w=(600.0,),
        latches=BUSY.latches,
        demand=BUSY.demand,
        care=BUSY.care,
        island=BUSY.island,
        charges=at(13.0),
        trims=BUSY.trims,
        pv_trim=BUSY.pv_trim,
    )
    assert decision == Decision(
        Mode.SAFE,
        "self_consumption",
        0.0,
        0.0,
        (0.0,),
        (600.0,),
        missing=OLD.format("3.0"),
        loads_closed=(False,),
    )


def test_a_stop_leaves_everything_to_the_devices_and_blames_no_reading() -> None:
    after, decision = step(HOUSE, BUSY, later(13.0, orders=Orders(stop=True)))
    assert decision == Decision(Mode.STOPPED, "self_consumption", 0.0, 0.0, (None,), (None,))
    assert after.mode is Mode.STOPPED
    assert after.island == BUSY.island


def test_an_island_says_how_long_its_energy_lasts() -> None:
    # 50 % less the floor of 10 % of 10 kWh are 4 kWh, at 500 W for 8 h.
    island = BatteryReading(10.0, 500.0, 50.0, grid_present=False)
    after, decision = step(a_config(loads=HOUSE.loads), RUNNING, a_snapshot(batteries=(island,), meter=None))
    assert (decision.mode, decision.autonomy_h) == (Mode.ISLANDED, 8.0)
    assert decision.loads_closed == (True,)
    assert after.island is not None
    assert after.island.islanded_since_s == 10.0


BOTH = a_config(
    replace(FIVE_KW, lease_s=60.0),
    replace(TWO_KW, lease_s=60.0),
    pvs=PV * 2,
    export_limit_w=2000.0,
)
ROOF = (PvReading(10.0, 0.0, rated_w=5000.0), PvReading(10.0, 0.0, rated_w=3000.0))


def caps_w(
    now_s: float,
    *batteries: BatteryReading | None,
    heard: tuple[tuple[float, float], ...] = ((600.0, 0.0), (-300.0, 0.0)),
    **changes: object,
) -> tuple[float | None, ...]:
    """The caps without a meter; the batteries, heard last at 0 s, gave 600 W and took 300 W."""
    usual = Snapshot(now_s, None, batteries or (None, None), ROOF)
    return decide(BOTH, replace(usual, **changes), Memory(mode=Mode.SAFE, heard=heard)).pv_caps_w


def test_pv_leaves_room_for_what_a_silent_battery_may_still_discharge_until_its_lease_ends() -> None:
    # 2000 W less 600 W, as 5 to 3.
    assert caps_w(60.0) == (875.0, 525.0)
    assert caps_w(60.5) == (1250.0, 750.0)


def test_a_silent_battery_that_was_never_heard_or_charged_takes_nothing_from_the_pv() -> None:
    assert caps_w(10.0, heard=()) == (1250.0, 750.0)
    assert caps_w(10.0, heard=((-600.0, 0.0), (0.0, 0.0))) == (1250.0, 750.0)
    assert caps_w(10.0, heard=((400.0, 0.0), (1200.0, 0.0))) == (250.0, 150.0)


def test_a_battery_that_answers_is_at_zero_watts_and_takes_nothing_from_the_pv() -> None:
    assert caps_w(10.0, BatteryReading(8.5, 600.0), None) == (1250.0, 750.0)
    assert caps_w(10.0, BatteryReading(8.4, 600.0), None) == (875.0, 525.0)


def test_a_battery_that_never_forgets_its_order_is_counted_for_ever() -> None:
    config = replace(BOTH, batteries=(FIVE_KW, TWO_KW))
    memory = Memory(mode=Mode.SAFE, heard=((600.0, 0.0), (0.0, 0.0)))
    assert decide(config, Snapshot(1e6, None, (None, None), ROOF), memory).pv_caps_w == (875.0, 525.0)


def test_an_unknown_rating_or_a_silent_inverter_shares_the_cap_evenly() -> None:
    assert caps_w(61.0, pvs=(ROOF[0], None)) == (1000.0, 1000.0)
    assert caps_w(61.0, pvs=(ROOF[0], PvReading(61.0, 0.0))) == (1000.0, 1000.0)
    assert caps_w(61.0, pvs=(PvReading(61.0, 0.0, 0.0), PvReading(61.0, 0.0, 0.0))) == (1000.0, 1000.0)
    assert caps_w(61.0, pvs=(PvReading(61.0, 0.0, 0.0), ROOF[1])) == (0.0, 2000.0)


@pytest.mark.parametrize("name", ["operator_export_w", "export_limit_w"])
def test_an_order_to_reduce_export_holds_without_readings_too_until_it_expires(name: str) -> None:
    order = Orders(**{name: Order(400.0, 70.0)})
    assert caps_w(69.0, orders=order) == (250.0, 150.0)
    assert caps_w(70.0, orders=order) == (1250.0, 750.0)
