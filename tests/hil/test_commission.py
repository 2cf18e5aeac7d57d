"""Commissioning finds every planted fault, accuses nobody who is right, and never goes beyond the consent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from controller.lab.commission.findings import Terms
from controller.lab.commission.paper import verdict
from drivers.profile import load_profile
from simulators.emulator import Behaviour, EmulatedUnit
from simulators.meters import HouseMeter, MeterParams
from simulators.traces import StepTrace
from tests.commissioning import CONSENT_W, Installation, commissioned, scaled, site_text, steady

HYBRID, SDM630, GOODWE = (load_profile(name) for name in ("sunspec-hybrid", "eastron-sdm630", "goodwe-et"))
PHASE_POWERS = tuple(f"phase_import_w.{n}" for n in (1, 2, 3))
USUAL = site_text("eastron-sdm630", "sunspec-hybrid")
SINGLE_PHASE = site_text("eastron-sdm630", "victron-gx-mode3|phase = 1")
NEVER_FORGETS = replace(
    HYBRID,
    control=replace(HYBRID.control, lease=None),  # type: ignore[type-var]  # a battery has a control
    lease=replace(HYBRID.lease, seconds=None, remaining=None),  # type: ignore[type-var]  # and a lease
)
RESTLESS = StepTrace(
    4.0, [300.0, 4000.0, 900.0, 2600.0, 300.0, 3300.0, 1500.0, 4100.0, 700.0, 2100.0, 3700.0]
)


def reversed_(*cts: int) -> Callable[[HouseMeter], None]:
    def wire(meter: HouseMeter) -> None:
        for ct in cts:
            meter.wire(ct, reverse=True)

    return wire


def exchanged(meter: HouseMeter) -> None:
    meter.wire(1, on_phase=2)
    meter.wire(2, on_phase=1)


async def foreign(units: dict[str, EmulatedUnit]) -> None:
    """Somebody else orders a discharge of 300 W (SunSpec model 704, WSet) every three seconds."""
    while True:
        await asyncio.sleep(3.0)
        await units["bat1"].write("192.0.2.7:40000", 40258, [0, 300])


HEALTHY = {
    "SDM630, SunSpec, PV": (site_text("eastron-sdm630", "sunspec-hybrid", roof=True), Installation()),
    "all self-describing": (site_text("sunspec", "sunspec"), Installation()),
    "Victron, GX in the loop": (site_text("victron-gx-meter", "victron-gx-mode2"), Installation()),
    "Victron on one phase": (
        site_text("carlo-gavazzi-em340", "victron-gx-mode3|phase = 1", grid="fuse_a = 35"),
        Installation(),
    ),
    "Huawei": (site_text("huawei-sun2000-meter", "huawei-luna2000"), Installation()),
    "GoodWe": (site_text("goodwe-et-meter", "goodwe-et"), Installation(load=steady(1500.0))),
    "Sungrow": (site_text("sungrow-sh-meter", "sungrow-sh"), Installation()),
    "SMA": (site_text("sma-meter", "sma-hybrid"), Installation()),
    "two Marstek on two phases": (
        site_text("chint-dtsu666", "marstek-venus|phase = 2", "marstek-venus|phase = 3"),
        Installation(),
    ),
    "single-phase house, zero export": (
        site_text("shelly-pro-3em", "kostal-plenticore", grid="phases = 1\nexport_limit_w = 0"),
        Installation(),
    ),
    "slow, late, coarse and noisy meter": (
        site_text("janitza-umg604", "solaredge-storedge"),
        Installation(meter=MeterParams(5.0, 1.0, averages=True, noise_w=10.0, resolution_w=1.0)),
    ),
    "Fox ESS": (site_text("foxess-h3-meter", "foxess-h3"), Installation()),
}

# Each with the device and the words by which it must be named.
FAULTS = {
    "all CTs reversed": (USUAL, Installation(wire=reversed_(1, 2, 3)), "grid", "CTs are reversed"),
    "one CT reversed": (USUAL, Installation(wire=reversed_(2)), "grid", "the CT of L2 is reversed"),
    "the CT of a single-phase house reversed": (
        site_text("carlo-gavazzi-em340", "kostal-plenticore", grid="phases = 1"),
        Installation(wire=reversed_(1)),
        "grid",
        "the CT of L1 is reversed",
    ),
    "CTs exchanged": (
        USUAL,
        Installation(wire=exchanged),
        "grid",
        "CTs of L1 and L2 sit on other conductors",
    ),
    "inverter on another phase": (
        SINGLE_PHASE,
        Installation(phases={"bat1": 2}),
        "bat1",
        "is on L1 by the site file and on L2 by the meter",
    ),
    "meter at another unit": (
        USUAL,
        Installation(units={"grid": 3}),
        "grid",
        "nobody answers at unit 1, but at unit 3",
    ),
    "battery at another unit": (
        USUAL,
        Installation(units={"bat1": 126}),
        "bat1",
        "nobody answers at unit 1, but at unit 126",
    ),
    "another meter": (
        USUAL,
        Installation(profiles={"grid": load_profile("chint-dtsu666")}),
        "grid",
        "these profiles fit: chint-dtsu666",
    ),
    "another battery": (
        USUAL,
        Installation(profiles={"bat1": GOODWE}),
        "bat1",
        "these profiles fit: goodwe-et",
    ),
    "watts of the meter ten times": (
        USUAL,
        Installation(profiles={"grid": scaled(SDM630, 10, "pcc_import_w", *PHASE_POWERS)}),
        "grid",
        "10 times as many W as its V times A",
    ),
    "a meter without amperes ten times": (
        site_text("huawei-sun2000-meter", "sunspec-hybrid"),
        Installation(profiles={"grid": scaled(load_profile("huawei-sun2000-meter"), 10, "pcc_import_w")}),
        "grid",
        "sees 10 times what bat1 is ordered and shows",
    ),
    "battery ten times, orders and power": (
        site_text("eastron-sdm630", "goodwe-et"),
        Installation(profiles={"bat1": scaled(GOODWE, 0.1, "battery_discharge_w", points=("ems_w",))}),
        "bat1",
        "does 10 times what it is ordered, and shows as much as was ordered",
    ),
    "orders of the battery ten times": (
        site_text("eastron-sdm630", "goodwe-et"),
        Installation(profiles={"bat1": scaled(GOODWE, 0.1, points=("ems_w",))}),
        "bat1",
        "the scale of its orders is wrong",
    ),
    "power of the battery ten times": (
        site_text("eastron-sdm630", "goodwe-et"),
        Installation(profiles={"bat1": scaled(GOODWE, 10, "battery_discharge_w")}),
        "bat1",
        "the scale of its power is wrong",
    ),
    "orders with the wrong sign": (
        USUAL,
        Installation(profiles={"bat1": scaled(HYBRID, -1, points=("wset",))}),
        "bat1",
        "charges when it is ordered to discharge",
    ),
    "power with the wrong sign": (
        USUAL,
        Installation(profiles={"bat1": scaled(HYBRID, -1, "battery_discharge_w")}),
        "bat1",
        "it discharges and shows charging",
    ),
    "slow battery": (
        USUAL,
        Installation(behaviours={"bat1": Behaviour(latency_s=1.2)}),
        "bat1",
        "there are 0.60 s for it, and never more than 1 s",
    ),
    "writes ignored": (
        USUAL,
        Installation(behaviours={"bat1": Behaviour(writes="ignore")}),
        "bat1",
        "acknowledges orders and does not hold them",
    ),
    "orders never forgotten": (
        USUAL,
        Installation(profiles={"bat1": NEVER_FORGETS}),
        "bat1",
        "does not forget an order",
    ),
    "another controller": (USUAL, Installation(meanwhile=foreign), "bat1", "another controller orders"),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_site_is_ready_to_go_live(tmp_path: Path, name: str) -> None:
    outcome = commissioned(tmp_path, *HEALTHY[name])
    assert verdict(outcome.report)[1], verdict(outcome.report)[0]
    assert 0.9 * CONSENT_W <= outcome.most_w <= CONSENT_W
    assert not any(outcome.held_w)


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_and_nobody_else_accused(tmp_path: Path, name: str) -> None:
    text, really, device, words = FAULTS[name]
    outcome = commissioned(tmp_path, text, really)
    sentence, good = verdict(outcome.report)
    assert not good
    assert words in sentence
    assert {one.device for one in outcome.stops} == {device}
    assert outcome.most_w <= CONSENT_W
    assert not any(outcome.held_w)


def test_a_meter_that_misses_beats_may_go_live_and_the_owner_is_told_how_it_would_not(tmp_path: Path) -> None:
    outcome = commissioned(tmp_path, USUAL, Installation(behaviours={"grid": Behaviour(latency_s=0.65)}))
    assert verdict(outcome.report)[1], verdict(outcome.report)[0]
    notes = [one.text for one in outcome.report.findings if one.kind == "warn" and one.device == "grid"]
    assert len(notes) == 1
    assert "it misses beats" in notes[0]
    assert "give cycle_s = 1.4" in notes[0]


def test_a_restless_house_is_undecided_rather_than_accused(tmp_path: Path) -> None:
    outcome = commissioned(tmp_path, USUAL, Installation(load=RESTLESS), Terms(200.0))
    assert outcome.stops == []
    assert "the load is too restless" in outcome.doubts[0].text
    assert outcome.most_w <= 200.0
