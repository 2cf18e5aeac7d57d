"""How far PV caps open in one cycle, and what is said of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.dispatch.curtailment import Caps
from controller.dispatch.orders import Prices
from controller.dispatch.pv_trim import EXACT_PV
from controller.dispatch.shortfall import NO_SHORTFALL, Shortfall
from controller.dispatch.site import BatterySite, Site
from controller.dispatch.sun import hold_sun
from tests.unit.dispatch.policy_sites import a_policy, a_site
from tests.unit.dispatch.sites import PV, RUNNING

CONFIG = replace(a_policy(), pvs=PV, export_limit_w=0.0)
HELD = replace(RUNNING, pv_caps_w=(1000.0,))
"""The sun is held to 1000 W of the 5000 W that the inverter is rated."""


def site(*batteries: tuple[float, float], net_load_w: float = -300.0, **changes: object) -> Site:
    """A house that uses 700 W of 1000 W of sun; of the batteries, what they give and what they may charge."""
    rows = tuple(
        [BatterySite(n, given_w, 50.0, rated_w, 4000.0) for n, (given_w, rated_w) in enumerate(batteries)]
    )
    usual = a_site(
        net_load_w,
        pcc_import_w=net_load_w - sum([given_w for given_w, _ in batteries]),
        pv_generation_w=1000.0,
        pv_rated_w=(5000.0,),
        pv_each_w=(1000.0,),
        batteries=rows,
    )
    return replace(usual, **changes)


def caps(now: Site, setpoint_w: float = -300.0, export_limit_w: float | None = 0.0) -> Caps:
    config = replace(CONFIG, export_limit_w=export_limit_w)
    return hold_sun(config, HELD, now, "self_consumption", 3000.0, setpoint_w)[0]


@pytest.mark.parametrize(
    ("batteries", "cap_w"),
    [
        (((-300.0, 5000.0),), 1500.0),
        (((-200.0, 5000.0), (-100.0, 2000.0)), 1700.0),
        (((-300.0, 505.0),), 1050.5),
        (((-300.0, 400.0),), 1050.0),  # at least 50 W
    ],
)
def test_caps_open_by_a_tenth_of_what_the_batteries_may_charge(
    batteries: tuple[tuple[float, float], ...], cap_w: float
) -> None:
    assert caps(site(*batteries)) == pytest.approx((cap_w,))


def test_caps_wait_for_batteries_that_do_not_take_yet_what_was_opened_before() -> None:
    takes_300_w = site((-300.0, 5000.0))
    assert caps(takes_300_w, setpoint_w=-800.0) == (1500.0,), "what they are ordered they do not take yet"
    # They are to take so much less that 50 W are left over, or more.
    assert caps(takes_300_w, setpoint_w=-250.0) == (1450.0,)
    assert caps(takes_300_w, setpoint_w=-249.5) == (1000.0,)


def test_what_may_be_exported_caps_open_to_at_once() -> None:
    assert caps(site((-300.0, 5000.0)), export_limit_w=200.0) == (1700.0,)


def test_without_a_limit_there_is_nothing_to_open_and_one_that_is_silent_keeps_the_limit_alone() -> None:
    assert caps(site((-300.0, 5000.0)), export_limit_w=None) == (None,)
    silent = site((-300.0, 5000.0), pv_generation_w=0.0, pv_each_w=(0.0,), pv_silent=(True,))
    assert caps(silent, export_limit_w=200.0) == (200.0,)


def test_the_decision_says_what_export_costs_and_what_batteries_do_not_take() -> None:
    costs = site((-300.0, 5000.0), prices=Prices(0.20, -0.05))

    def said(charge_w: float, takes_w: float | None) -> str:
        memory = replace(HELD, shortfall=Shortfall(takes_w, 50.0, 10.0))
        return hold_sun(CONFIG, memory, costs, "economic", charge_w, -300.0)[1]

    assert said(3000.0, None) == "the price for export is negative"
    assert said(3000.0, 300.0) == (
        "the price for export is negative; batteries take no more than 300 W of the 3000 W they may"
    )
    assert said(300.0, 300.0) == "the price for export is negative"
    nothing = replace(HELD, shortfall=Shortfall(0.0, 50.0, 10.0))
    said_of_none = hold_sun(CONFIG, nothing, site((0.0, 5000.0)), "standby", 3000.0, 0.0)[1]
    assert said_of_none == "batteries take no more than 0 W of the 3000 W they may"


def short(now: Site, known: Shortfall, meant_w: float) -> Shortfall:
    """What is known of the batteries after a cycle, where they were meant to do so much."""
    memory = replace(HELD, shortfall=known, setpoint_w=meant_w)
    return hold_sun(CONFIG, memory, now, "self_consumption", 3000.0, -300.0)[2]


def test_batteries_are_tried_with_more_while_the_sun_would_give_it() -> None:
    known = Shortfall(300.0, 50.0, known_s=-50.0)
    assert short(site((-300.0, 5000.0)), known, 0.0) == replace(
        known, takes_w=340.0, known_s=10.0, trying=True
    )
    # 800 W of the 1000 W that it may: there is no more sun.
    clouds = site((-300.0, 5000.0), net_load_w=-100.0, pv_generation_w=800.0, pv_each_w=(800.0,))
    assert short(clouds, known, -300.0) == known


def test_what_is_exported_while_batteries_are_meant_to_discharge_says_nothing_of_them() -> None:
    exports_500_w = site((-300.0, 5000.0), net_load_w=-800.0)
    assert short(exports_500_w, NO_SHORTFALL, -300.0).over_since_s == 10.0
    assert short(exports_500_w, NO_SHORTFALL, 100.0) == NO_SHORTFALL


def test_a_site_without_sun_has_no_caps() -> None:
    without = replace(CONFIG, pvs=())
    night = site((-300.0, 5000.0), pv_generation_w=0.0, pv_rated_w=(), pv_each_w=())
    assert hold_sun(without, RUNNING, night, "self_consumption", 3000.0, 0.0) == (
        (),
        "",
        NO_SHORTFALL,
        EXACT_PV,
    )
