"""An inverter that cannot hold little, beside a limit that leaves it about as much as its least power."""

from __future__ import annotations

from dataclasses import replace

from controller.dispatch.orders import Order, Orders
from tests.unit.dispatch.sites import FIVE_KW, RUNNING, a_config, a_snapshot, decide

COARSE = replace(FIVE_KW, min_power_w=600.0)
AT_WORK = replace(RUNNING, battery_setpoints_w=(600.0,), setpoint_w=600.0)


def test_a_load_beside_the_least_of_an_inverter_does_not_switch_it_on_and_off_at_an_export_limit() -> None:
    # At its least it exports up to 50 W, which the limit bears; at rest it waits for a load of 600 W.
    config = a_config(COARSE, export_limit_w=0.0)
    for load_w, goes_on_w, begins_w in ((601.0, 601.0, 601.0), (550.0, 600.0, 0.0), (549.0, 0.0, 0.0)):
        given = a_snapshot(load_w - 600.0, 600.0)
        assert decide(config, given, AT_WORK).battery_setpoints_w == (goes_on_w,)
        assert decide(config, a_snapshot(load_w)).battery_setpoints_w == (begins_w,)


def test_an_order_to_discharge_less_than_an_inverter_can_hold_lets_it_rest() -> None:
    config = a_config(COARSE)
    ordered = Orders(max_discharge_w=Order(590.0, 99.0))
    given = a_snapshot(400.0, 600.0, orders=ordered)
    assert decide(config, given, AT_WORK).battery_setpoints_w == (0.0,)
