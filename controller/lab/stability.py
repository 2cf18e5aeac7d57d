"""Does the loop hunt? A load step on every combination of slow inverter, late meter and wrong profile.

The measures are those of the field: dead time, settling time, overshoot, stationary deviation (the German
efficiency guide for PV storage systems, BVES and BSW), band crossings, avoidable import and export.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product
from math import inf, pi

from controller.dispatch.decision import Memory
from controller.dispatch.settings import BatterySettings, DispatchConfig, MeterSettings, PolicySettings
from controller.dispatch.site import Snapshot
from controller.dispatch.step import step
from simulators.battery import LithiumParams
from simulators.inverter import InverterParams
from simulators.meters import HouseMeter, MeterParams
from simulators.site import BatteryUnit, House
from simulators.traces import StepTrace

RATED_W = 5000.0
LOAD_W = (600.0, 2600.0)
"""Before and after the step: 40 % of the rating, of which a lag leaves 2 % after three time constants."""
STEP_AT_S = 40.0
WATCH_S = 100.0
BAND_W = max(0.02 * RATED_W, 50.0)
FINE_S = 0.1

DEAD_TIMES_S = (0.2, 0.6, 1.6, 3.0, 5.0)
TIME_CONSTANTS_S = (0.1, 0.6, 3.0)
METER_DELAYS_S = (0.0, 1.0, 3.0, 10.0)
METER_PERIODS_S = (0.2, 1.0, 5.0, 10.0)
PROFILE_ERRORS = (-0.5, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Case:
    """One plant, and how wrong its profile is about the inverter."""

    dead_time_s: float
    time_constant_s: float
    meter_delay_s: float
    meter_period_s: float
    profile_error: float
    cycle_s: float = 1.0

    @property
    def settle_within_s(self) -> float:
        """What a right profile has to reach."""
        lag_s = self.dead_time_s + 3.0 * self.time_constant_s
        return lag_s + self.meter_delay_s + 2.0 * self.meter_period_s + 2.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the PCC came back to zero after the step; energies are of the time after it."""

    case: Case
    dead_s: float
    settled_s: float
    overshoot_pct: float
    deviation_w: float
    swing_w: float
    crossings_per_h: float
    avoidable_import_wh: float
    avoidable_export_wh: float

    @property
    def hunts(self) -> bool:
        """A limit cycle above 2 % of the rating after 60 s."""
        return self.swing_w > 0.02 * RATED_W

    @property
    def good(self) -> bool:
        """Everything that is asked of this case."""
        if self.hunts:
            return False
        right = self.case.profile_error == 0.0
        return not right or (self.settled_s <= self.case.settle_within_s and self.overshoot_pct <= 5.0)


def cases() -> Iterator[Case]:
    """The whole matrix."""
    for combination in product(
        DEAD_TIMES_S, TIME_CONSTANTS_S, METER_DELAYS_S, METER_PERIODS_S, PROFILE_ERRORS
    ):
        yield Case(*combination)


def run(case: Case) -> Outcome:
    """The loop over one load step, in steps of the controller's cycle."""
    house, meter = _plant(case)
    config = _config(case)
    battery, memory = house.battery(0), Memory()
    trace: list[tuple[float, float]] = []
    now_s, end_s = 0.0, STEP_AT_S + WATCH_S
    number = 0
    while now_s < end_s:
        reading = meter.reading(now_s)
        battery_reading = battery.reading(now_s)
        trace.append((now_s - STEP_AT_S, house.pcc_import_w))
        snapshot = Snapshot(now_s, reading, (battery_reading,))
        memory, decision = step(config, memory, snapshot)
        setpoint_w = decision.battery_setpoints_w[0]
        battery.order(now_s, 0.0 if setpoint_w is None else setpoint_w, inf)
        number += 1
        next_s = number * case.cycle_s
        fine_s = now_s
        while fine_s + FINE_S < next_s - 1e-9:
            fine_s += FINE_S
            house.advance(fine_s)
            trace.append((fine_s - STEP_AT_S, house.pcc_import_w))
        now_s = next_s
    return _measured(case, trace)


def _plant(case: Case) -> tuple[House, HouseMeter]:
    load = StepTrace(STEP_AT_S, [LOAD_W[0], LOAD_W[1], LOAD_W[1], LOAD_W[1], LOAD_W[1]])
    unit = BatteryUnit(
        LithiumParams(1_000_000.0),
        InverterParams(
            RATED_W,
            RATED_W,
            standby_w=0.0,
            dead_time_s=case.dead_time_s,
            time_constant_s=case.time_constant_s,
        ),
    )
    house = House(load, (), (unit,), phases=1)
    # Never in step with the controller: a phase that is no simple part of anything.
    return house, house.meter(MeterParams(case.meter_period_s, case.meter_delay_s, case.meter_period_s / pi))


def _config(case: Case) -> DispatchConfig:
    wrong = 1.0 + case.profile_error
    battery = BatterySettings(
        "bat1",
        1_000_000.0,
        max_charge_w=RATED_W,
        max_discharge_w=RATED_W,
        dead_time_s=case.dead_time_s * wrong,
        time_constant_s=case.time_constant_s * wrong,
    )
    return DispatchConfig(
        (battery,),
        meter=MeterSettings(case.meter_delay_s, case.meter_period_s),
        policy=PolicySettings(),
        cycle_s=case.cycle_s,
        phases=1,
        stale_after_s=max(1.5, 2.0 * case.meter_period_s),
        lost_after_s=max(2.5, 3.0 * case.meter_period_s),
    )


def _measured(case: Case, trace: list[tuple[float, float]]) -> Outcome:
    after = [(at_s, pcc_w) for at_s, pcc_w in trace if at_s > 0.0]
    step_w = LOAD_W[1] - LOAD_W[0]
    dead_s = next((at_s for at_s, pcc_w in after if pcc_w < 0.95 * step_w), WATCH_S)
    outside = [at_s for at_s, pcc_w in after if abs(pcc_w) > BAND_W]
    late = [pcc_w for at_s, pcc_w in after if at_s > 60.0]
    crossings = sum(
        1 for (_, one), (_, other) in pairwise(after) if (abs(one) <= BAND_W) != (abs(other) <= BAND_W)
    )
    hours = FINE_S / 3600.0
    return Outcome(
        case,
        dead_s,
        outside[-1] + FINE_S if outside else 0.0,
        100.0 * max(0.0, -min(pcc_w for _, pcc_w in after)) / step_w,
        (sum(pcc_w * pcc_w for pcc_w in late) / len(late)) ** 0.5,
        max(late) - min(late),
        crossings * 3600.0 / WATCH_S,
        sum(max(pcc_w, 0.0) for _, pcc_w in after) * hours,
        sum(max(-pcc_w, 0.0) for _, pcc_w in after) * hours,
    )
