"""Was a limit broken, and could the controller have kept it? Judged at the plant."""

from __future__ import annotations

from dataclasses import dataclass

from controller.dispatch.limits import HYSTERESIS_PCT
from controller.dispatch.observe import allowed_now
from controller.dispatch.settings import BatterySettings, DispatchConfig
from controller.dispatch.site import Snapshot
from drivers.device import BatteryReading
from simulators.inverter import BatteryInverter
from simulators.site import House

GRACE_S = 5.0
LOOK_S = 1.0
TOLERANCE_PART, TOLERANCE_W = 0.02, 100.0
"""A limit is broken beyond max(2 %, 100 W) for more than 5 s (invariant I03; UL 1741 PCS allows 30 s)."""


@dataclass(slots=True)
class Verdict:
    """Counts of broken limits.

    `violations` could have been kept: a battery had room, or a PV inverter could have been capped.
    `beyond_control_s` is the time in which nothing on the site could have kept the limit.
    """

    violations: int = 0
    violation_s: float = 0.0
    worst_w: float = 0.0
    beyond_control_s: float = 0.0


class LimitJudge:
    """Moves the house on and watches the power at the PCC, as mean over what is left after the grace.

    That is `GRACE_S` and `late_s`: by so much later than with a prompt meter and a beat a second the site can
    have seen a change twice.
    """

    def __init__(self, config: DispatchConfig, verdict: Verdict, late_s: float = 0.0) -> None:
        self._config = config
        self._verdict = verdict
        self._over_s = 0.0
        self._importing = False  # which limit it is that `_over_s` counts for
        self._grace_s = GRACE_S + late_s
        self._watches = config.import_limit_w is not None or config.export_limit_w is not None

    def watch(self, house: House, snapshot: Snapshot, until_s: float) -> None:
        """Judge from the last decision, at `snapshot`, to the next at `until_s`.

        While a limit is exceeded, each second is looked at, until it has been for longer than the grace.
        """
        if not self._watches:
            house.advance(until_s)
            return
        at_s = snapshot.now_s
        while at_s < until_s:
            end_s = until_s
            if self._over_s <= self._grace_s and self._over_w(house.pcc_import_w) > 0.0:
                end_s = min(at_s + LOOK_S, until_s)
            elif until_s - at_s > self._grace_s and self._over_s == 0.0:
                # What was ordered at its begin needs its time: the mean is of what comes after.
                house.advance(at_s + self._grace_s)
            self._judge(house, end_s, end_s - at_s)
            at_s = end_s

    def _judge(self, house: House, end_s: float, seconds: float) -> None:
        """One piece of `seconds` up to `end_s`, of which the house has the begin behind it or not."""
        before_wh, measured_s = house.import_wh - house.export_wh, end_s - house.now_s
        house.advance(end_s)
        pcc_w = (house.import_wh - house.export_wh - before_wh) * 3600.0 / measured_s
        over_w, importing = self._over_w(pcc_w), pcc_w > 0.0
        if over_w <= 0.0:
            self._over_s = 0.0
            return
        if importing is not self._importing:
            self._over_s, self._importing = 0.0, importing
        self._over_s += seconds
        if self._over_s <= self._grace_s:
            return
        if self._room_w(house, importing) <= TOLERANCE_W:
            self._verdict.beyond_control_s += measured_s
            return
        self._verdict.violations += 1
        self._verdict.violation_s += measured_s
        self._verdict.worst_w = max(self._verdict.worst_w, over_w)

    def _over_w(self, pcc_import_w: float) -> float:
        """How far beyond limit and tolerance; negative inside."""
        limit_w = self._config.import_limit_w if pcc_import_w > 0.0 else self._config.export_limit_w
        if limit_w is None:
            return -1.0
        return abs(pcc_import_w) - limit_w - max(TOLERANCE_PART * limit_w, TOLERANCE_W)

    def _room_w(self, house: House, importing: bool) -> float:
        """What the devices could still do about it now, whatever they have on the way.

        A battery between its edge and the hysteresis may be resting there by rule, so it does not count.
        """
        room_w = 0.0
        for settings, unit in zip(self._config.batteries, house.batteries, strict=True):
            charge_w, discharge_w = _allowed_w(settings, unit)
            if importing and unit.cells.soc_pct >= settings.min_soc_pct + HYSTERESIS_PCT:
                room_w += discharge_w - unit.power_w
            elif not importing and unit.cells.soc_pct <= settings.max_soc_pct - HYSTERESIS_PCT:
                room_w += charge_w + unit.power_w
        if not importing:
            # Sun without an inverter in the site file is nobody's to curtail.
            room_w += sum(unit.power_w for unit, _ in zip(house.pvs, self._config.pvs, strict=False))
        return room_w


def _allowed_w(settings: BatterySettings, unit: BatteryInverter) -> tuple[float, float]:
    """What the battery may charge and discharge at most, as the site sees it."""
    cells = unit.cells
    reading = BatteryReading(
        0.0, unit.power_w, cells.soc_pct, unit.max_discharge_w, unit.max_charge_w, None, cells.temperature_c
    )
    allowed = allowed_now(settings, 0, reading)
    return allowed.max_charge_w, allowed.max_discharge_w
