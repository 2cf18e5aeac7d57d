"""What a run cannot show is not judged: of real devices among emulated ones, of a broker that is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from controller.errors import RunError
from controller.lab.claims import Energy, Never, Reaches, Refreshes, Settles, Stays, Value, Writes
from controller.lab.hil import run_scenario
from controller.lab.mixed import refuse_what_cannot_be, why_open, widened
from controller.lab.scenario import Scenario, scenario_of
from controller.lab.verdict import judge, junit
from controller.lab.verdict_page import html

BAT1, GRID = frozenset({"bat1"}), frozenset({"grid"})
SCENARIO: dict[str, Any] = {
    "title": "A load that steps",
    "duration_s": 60,
    "site": {
        "site": "house-7",
        "meter": [{"id": "grid", "profile": "eastron-sdm630", "connection": "tcp://127.0.0.1:5020"}],
        "battery": [
            {
                "id": "bat1",
                "profile": "sunspec-hybrid",
                "connection": "tcp://127.0.0.1:5021",
                "capacity_wh": 10_000,
            }
        ],
        "pv": [{"id": "roof", "profile": "sunspec-pv", "connection": "tcp://127.0.0.1:5022"}],
    },
    "load": {"power_w": 500},
    "fault": [{"device": "bat1", "fault": "frozen", "at_s": 40, "for_s": 5}],
    "claim": [
        {"claim": "never", "mode": "FAULT", "to_s": 30},
        {"claim": "never", "mode": "FAULT"},
    ],
}


def scenario(**changes: Any) -> Scenario:
    return scenario_of(Path("steps.toml"), "", SCENARIO | changes)


def test_times_are_wider_by_what_a_device_is_seen_late_and_values_are_not() -> None:
    assert widened(Settles("pcc_import_w", 0.0, 100.0, 20.0, 8.0), 1.2) == Settles(
        "pcc_import_w", 0.0, 100.0, 20.0, 9.2
    )
    assert widened(Reaches("SAFE", 60.0, 4.5), 1.2) == Reaches("SAFE", 60.0, 5.7)
    assert widened(Stays("pcc_import_w", at_most=50.0), 1.2) == Stays("pcc_import_w", 50.0, longer_than_s=1.2)
    assert widened(Refreshes("bat1", 15.0), 1.2) == Refreshes("bat1", 16.2)
    assert widened(Value("bat1.soc_pct", 30.0, 71.0), 1.2) == Value("bat1.soc_pct", 30.0, 71.0, within_s=1.2)
    assert widened(Never("FAULT"), 1.2) == Never("FAULT")


def test_what_a_real_device_does_not_suffer_is_not_judged() -> None:
    judged_before, judged_after = Never("FAULT", to_s=40.0), Never("FAULT", to_s=41.0)
    assert why_open(judged_before, scenario(), BAT1) == ""
    assert why_open(judged_after, scenario(), frozenset()) == ""
    assert why_open(judged_after, scenario(), BAT1) == (
        "the fault bat1: frozen at 40 s does not happen to what is real"
    )
    outage = scenario(fault=[{"device": "site", "fault": "outage", "at_s": 30}])
    assert "site: outage at 30 s" in why_open(Never("FAULT"), outage, BAT1)


def test_behind_a_real_meter_the_scenario_has_no_load_of_its_own() -> None:
    steps = scenario(fault=[], step=[{"at_s": 20, "load_w": 2_000}])
    assert why_open(Never("FAULT"), steps, BAT1) == ""
    assert "the load of the scenario at 20 s" in why_open(Never("FAULT"), steps, GRID)
    quiet = scenario(fault=[])
    assert "does not see bat1" in why_open(Settles("pcc_import_w", 0.0, 100.0, 0.0, 9.0), quiet, GRID)
    assert why_open(Settles("pcc_import_w", 0.0, 100.0, 0.0, 9.0), quiet, GRID | BAT1) == ""
    assert "counted in the plant" in why_open(Energy("import"), quiet, GRID | BAT1)
    assert "between two cycles" in why_open(Writes("bat1", 60), quiet, GRID | BAT1)


def test_a_rig_in_which_nobody_sees_what_is_real_is_refused() -> None:
    config = scenario().config
    with pytest.raises(RunError, match="roof is real and grid is emulated"):
        refuse_what_cannot_be(config, frozenset({"roof"}))
    with pytest.raises(RunError, match="--real bat2: no such device here; there are bat1, grid, roof"):
        refuse_what_cannot_be(config, frozenset({"bat2"}))
    refuse_what_cannot_be(config, GRID | {"roof"})


def test_the_verdict_says_what_was_not_judged_and_how_much_wider_the_rest_was() -> None:
    made = scenario()
    verdict = judge(made, "virtual", run_scenario(made), BAT1)
    assert verdict.held
    assert [one.held for _, _, one in verdict.claims] == [True, None, True]
    # In virtual time nothing is late: a cycle of one second is all there is.
    assert verdict.notes == [
        "with bat1 real, times are judged 1.00 s wider: "
        "a cycle of 1 s and 0.00 s that readings came late at worst",
        "1 of 3 claims could not be judged",
    ]
    assert '<skipped message="the fault bat1: frozen' in junit([verdict], [1.0])
    assert "Held, as far as it could be judged: 2 of 3 claims" in html(verdict)


def test_the_bare_step_says_nothing_of_a_broker() -> None:
    reached = {"claim": "settles", "signal": "broker_reached", "to": 1, "tolerance": 0, "after_s": 0}
    made = scenario(fault=[], claim=[reached | {"within_s": 20}])
    for how, held in (("fast", None), ("virtual", False)):
        verdict = judge(made, how, run_scenario(made, how))  # type: ignore[arg-type]  # ways
        assert verdict.claims[0][2].held is held
    # Without a fault of the broker there is none in the scenario: nothing was seen of it.
    assert verdict.claims[0][2].text == "broker_reached was not seen after 20 s"
