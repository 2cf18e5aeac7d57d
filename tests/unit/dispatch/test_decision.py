"""The sentence in which the owner reads what is done and why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.dispatch.decision import Decision, Memory
from controller.dispatch.limits import LIMITS
from controller.dispatch.modes import Mode
from controller.dispatch.policies import POLICIES

COVERING = Decision(Mode.RUNNING, "self_consumption", 800.0, 800.0, (800.0,))


def reason(**changes: object) -> str:
    return replace(COVERING, **changes).reason


DOING = {
    "self_consumption": ("covering the house", "storing the surplus", "battery at rest"),
    "economic": ("discharging while dear", "charging while cheap", "waiting for a better price"),
    "schedule": ("discharging by schedule", "charging by schedule", "resting by schedule"),
    "follow": ("discharging as ordered", "charging as ordered", "resting as ordered"),
    "standby": ("discharging", "filling up for an outage", "kept full for an outage"),
}


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_says_what_it_does_with_the_battery(policy: str) -> None:
    said = tuple(reason(policy=policy, setpoint_w=one_w) for one_w in (1.0, -1.0, 0.0))
    assert said == DOING[policy]


BOUND = {
    "rating": "the battery's rating holds 1235 W back",
    "full": "the battery is full, 1235 W left over",
    "empty": "the battery is empty, 1235 W come from the grid",
    "fuse": "a fuse holds 1235 W back",
    "import_limit": "import limit asks for 1235 W",
    "export_limit": "export limit holds 1235 W back",
    "operator_import": "the grid operator's import order asks for 1235 W",
    "operator_export": "the grid operator's export order holds 1235 W back",
    "reserve": "reserve 20 % holds 1235 W back",
    "demand": "1235 W against a new peak in this billing window",
    "order": "an order from outside holds 1235 W back",
    "ramp": "1235 W still to come, ramping",
    "min_power": "1235 W are too little for the inverter",
}


@pytest.mark.parametrize("limit", [limit.name for limit in LIMITS])
@pytest.mark.parametrize("limited_w", [1234.6, -1234.6])
def test_every_limit_says_what_it_holds_back_in_whole_watts(limit: str, limited_w: float) -> None:
    said = reason(limited_by=limit, limited_w=limited_w, reserve_pct=20.0)
    assert said == f"covering the house; {BOUND[limit]}"


def test_where_a_limit_turns_the_battery_round_the_policy_is_not_given_as_the_reason() -> None:
    sold = {"policy": "economic", "wanted_w": 5000.0, "limited_by": "export_limit"}
    bound = "export limit holds 6750 W back"
    assert reason(**sold, setpoint_w=-1750.0, limited_w=6750.0) == f"charging only for a limit; {bound}"
    assert reason(**sold, setpoint_w=250.0, limited_w=4750.0) == (
        "discharging while dear; export limit holds 4750 W back"
    )
    bound = "import limit asks for 900 W"
    said = reason(wanted_w=-400.0, setpoint_w=500.0, limited_by="import_limit", limited_w=900.0)
    assert said == f"discharging only for a limit; {bound}"
    said = reason(policy="follow", wanted_w=2000.0, setpoint_w=0.0, limited_by="empty", limited_w=2000.0)
    assert said == "battery at rest; the battery is empty, 2000 W come from the grid"


def test_a_battery_that_rests_as_its_policy_wants_says_so_whatever_was_asked_of_it() -> None:
    assert reason(policy="economic", wanted_w=0.0, setpoint_w=0.0) == "waiting for a better price"


def test_a_reserve_is_named_while_the_battery_discharges_and_nothing_bounds_it() -> None:
    assert reason(reserve_pct=12.5) == "covering the house; reserve 12.5 % not touched"
    assert reason(reserve_pct=0.5) == "covering the house; reserve 0.5 % not touched"
    assert reason(reserve_pct=20.0, setpoint_w=0.5) == "covering the house; reserve 20 % not touched"
    assert reason(reserve_pct=0.0) == "covering the house"
    assert reason(reserve_pct=20.0, setpoint_w=0.0) == "battery at rest"
    assert reason(reserve_pct=20.0, setpoint_w=-5.0) == "storing the surplus"


RESTING = {
    Mode.STARTING: "starting, batteries at 0 W until the readings have proved themselves",
    Mode.HOLDING: "holding the last setpoint",
    Mode.SAFE: "safe, batteries at 0 W",
    Mode.ISLANDED: "grid lost, the inverter carries the house by itself",
    Mode.STOPPED: "stopped, devices run their own programs",
    Mode.FAULT: "fault, batteries at 0 W until somebody clears it",
}


@pytest.mark.parametrize("mode", [mode for mode in Mode if mode is not Mode.RUNNING])
def test_every_other_mode_says_what_it_is_and_which_reading_is_missing(mode: Mode) -> None:
    assert reason(mode=mode) == RESTING[mode]
    assert reason(mode=mode, missing="the meter is silent") == f"{RESTING[mode]}: the meter is silent"


def test_what_care_pv_and_loads_add_stands_at_the_end() -> None:
    assert reason(note="rack: charged to full, last full 31 days ago") == (
        "covering the house; rack: charged to full, last full 31 days ago"
    )
    assert reason(pv_caps_w=(1500.0, None, 500.4)) == "covering the house; PV held to at most 2000 W"
    assert reason(pv_caps_w=(None,)) == "covering the house"
    assert reason(loads_closed=(True, False, False)) == "covering the house; 2 load(s) shed"
    assert reason(loads_closed=(True, True)) == "covering the house"


def test_nothing_is_remembered_at_first_and_no_reading_was_ever_good() -> None:
    assert (Memory().mode, Memory().fresh_at_s) == (Mode.STARTING, float("-inf"))
