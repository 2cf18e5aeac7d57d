"""Pure: did the order take effect? Written is not obeyed: registers are read back, then power must follow.

The outcomes, as they are published: "" nothing ordered, "pending" not yet known, "applied", "clamped" (the
device does less of it, as a full battery does), "ignored" (acknowledged, and nothing came of it),
"reverted" (it went back to its own program before its lease was over) and "foreign" (somebody else orders
this device otherwise).
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final, Literal

from drivers.control import Control, Values, held
from drivers.profile.model import Response, Role
from drivers.registers import Value

Outcome = Literal["", "pending", "applied", "clamped", "ignored", "reverted", "foreign"]

TEXT: Final[dict[str, str]] = {
    "ignored": "the device acknowledges orders, but does not hold them",
    "reverted": "the device went back to its own program",
    "foreign": "another controller orders this device",
}
UNKNOWN_SETTLE_S = 15.0
"""Where a profile does not say how fast its device is: the slowest system in bslib's database (measured by
HTW Berlin, PerMod) settles in 14.2 s."""
TOLERANCE_W, TOLERANCE_SHARE = 200.0, 0.1
READ_BACK_W, READ_BACK_PCT, READ_BACK_A, READ_BACK_SHARE = 10.0, 1.0, 0.5, 0.01
"""Devices keep powers in steps of their own; what else they hold must be exactly what was written."""
DISSENTING_READINGS = 3
REWRITES, MOST_REWRITES, REWRITES_WINDOW_S = 2, 3, 60.0
"""A disputed order is written again twice in a minute, and a third time only after giving way."""
GIVE_WAY_S, LONGEST_GIVE_WAY_S = 30.0, 300.0
"""How long to wait then; twice as long each time that another controller is found to be there still."""


@dataclass(frozen=True, slots=True)
class _Ordered:
    at_s: float
    order_w: float


class SignOff:
    """Judges one device's orders by what it says and what it does. Times are event-loop seconds."""

    def __init__(self, control: Control, response: Response, role: Role) -> None:
        self.outcome: Outcome = ""
        self.disputed = False
        """The registers do not hold our order: it has to be written again, if there is a rewrite left."""
        self._control = control
        self._role = role
        self._powers = {control.setpoint, control.charge_setpoint, control.opposite}
        in_amps, in_percent = control.volts is not None, control.percent_of is not None
        self._step = READ_BACK_A if in_amps else READ_BACK_PCT if in_percent else READ_BACK_W
        lag_s = response.dead_time_s + 5.0 * response.time_constant_s
        self._settle_s = lag_s + 1.0 if lag_s > 0 else UNKNOWN_SETTLE_S
        self._ramp_w_per_s = response.ramp_w_per_s or math.inf
        self._orders: deque[_Ordered] = deque()
        self._expected: dict[str, Value] = {}
        self._before: dict[str, Value] = {}
        self._confirmed = self._ever_confirmed = False
        self._dissenting = 0
        self._rewritten_at_s: deque[float] = deque(maxlen=MOST_REWRITES)
        self._gives_way_until_s = -math.inf
        self._give_way_s = GIVE_WAY_S
        self._gave_way_to: Outcome = ""

    def ordered(self, now_s: float, order_w: float, expected: dict[str, Value], before: Values) -> None:
        """This was written: `expected` is what the registers should hold now, `before` what they held."""
        if self.outcome == "":
            self._orders.clear()
        changed = expected != self._expected
        self._confirmed = self._confirmed and not self.disputed and not changed
        self._expected, self._before = expected, {name: before.get(name) for name in expected}
        self._orders.append(_Ordered(now_s, order_w))
        if self.outcome == "":
            self.outcome = "pending"
        self.disputed = False

    def released(self) -> None:
        """Nothing of ours is in force any more."""
        self.outcome, self.disputed = "", False
        self._confirmed = self._ever_confirmed = False
        self._orders.clear()
        self._expected = {}
        self._dissenting = 0

    def may_rewrite(self, now_s: float) -> bool:
        """Whether a disputed order may be written once more; counts it. After two in a minute, give way.

        After giving way it is one, or it is given way to again; three in any minute at most.
        """
        if self.yielding_s(now_s) > 0:
            return False
        again = now_s - self._gives_way_until_s < REWRITES_WINDOW_S
        since_s = self._gives_way_until_s if again else now_s - REWRITES_WINDOW_S
        if sum(at_s >= since_s for at_s in self._rewritten_at_s) >= (1 if again else REWRITES):
            still_there = again and self.outcome == self._gave_way_to == "foreign"
            self._give_way_s = min(2.0 * self._give_way_s, LONGEST_GIVE_WAY_S) if still_there else GIVE_WAY_S
            self._gives_way_until_s, self._gave_way_to = now_s + self._give_way_s, self.outcome
            if len(self._rewritten_at_s) == MOST_REWRITES:
                free_at_s = self._rewritten_at_s[0] + REWRITES_WINDOW_S
                self._gives_way_until_s = max(self._gives_way_until_s, free_at_s)
            return False
        self._rewritten_at_s.append(now_s)
        return True

    def yielding_s(self, now_s: float) -> float:
        """How much longer this device is left to whoever orders it."""
        return max(0.0, self._gives_way_until_s - now_s)

    def seen_while_yielding(self, now_s: float, values: Values) -> None:
        """What the registers say of a device that was given way to: it is over when nobody else orders it."""
        self.read_back(values, at_once=True)
        deserted = self.outcome == "foreign" and held(self._control, values) is None
        if deserted or not self.disputed:
            self._gives_way_until_s = now_s

    def read_back(self, values: Values, at_once: bool = False) -> None:
        """Registers that were read after the last write; `at_once` they can only confirm it."""
        found = {name: values[name] for name in self._expected if name in values}
        if not found:
            return
        if all(self._same(name, self._expected[name], value) for name, value in found.items()):
            self._confirmed = self._ever_confirmed = True
            self.disputed = False
            if self.outcome in TEXT:
                self.outcome = "pending"
        elif not at_once:
            self.outcome = self._dissent(found, held(self._control, values))

    def _dissent(self, found: dict[str, Value], held_w: float | None) -> Outcome:
        """What it means that the registers hold something else."""
        unmoved = all(self._same(name, self._before[name], value) for name, value in found.items())
        less = self._role == "battery" and _less(held_w, self._orders[-1].order_w)
        if less and not self._confirmed and not (unmoved and not self._ever_confirmed):
            return "clamped"
        self.disputed = True
        if unmoved and not self._confirmed:
            return "ignored"
        if held_w is None:
            return "reverted" if self._ever_confirmed else "ignored"
        return "foreign"

    def _same(self, name: str, expected: Value, found: Value) -> bool:
        if name not in self._powers or not isinstance(expected, float) or not isinstance(found, float):
            return expected == found
        return abs(found - expected) <= max(self._step, READ_BACK_SHARE * abs(expected))

    def measured(self, taken_at_s: float, power_w: float) -> None:
        """The power that was measured; it must lie within what was ordered in the time it takes to settle."""
        if not self._orders or self.disputed:
            return
        while len(self._orders) > 1 and taken_at_s - self._orders[1].at_s >= self._within_s():
            self._orders.popleft()
        asked = [one.order_w for one in self._orders]
        low_w, high_w = min(asked), max(asked)
        slack_w = max(TOLERANCE_W, TOLERANCE_SHARE * max(abs(low_w), abs(high_w)))
        inside = power_w <= high_w + slack_w and (self._role == "pv" or power_w >= low_w - slack_w)
        settled = taken_at_s - self._orders[0].at_s >= self._within_s()
        if inside:
            self._dissenting = 0
            if settled or len(asked) == 1:
                self.outcome = "applied"
        elif settled:
            self._dissenting += 1
            if self._dissenting >= DISSENTING_READINGS:
                at_rest = abs(power_w) <= slack_w
                less = _less(power_w, low_w) or _less(power_w, high_w)
                # A battery at rest that holds our order is full or empty; else it may not have heard us.
                clamped = self._ever_confirmed if at_rest else less
                self.outcome = "clamped" if clamped and self._role == "battery" else "ignored"

    def _within_s(self) -> float:
        if math.isinf(self._ramp_w_per_s):
            return self._settle_s
        orders = [one.order_w for one in self._orders]
        return self._settle_s + (max(orders) - min(orders)) / self._ramp_w_per_s


def _less(found_w: float | None, order_w: float) -> bool:
    """Between 0 and what was ordered."""
    return found_w is not None and found_w * order_w >= 0 and abs(found_w) < abs(order_w)
