"""The AC side of a battery: dead time, lag, ramp, limits, losses and the firmware's lease.

An order takes effect `dead_time_s` after it came. From then the output follows it with a slope of at most
`ramp_w_per_s` and a first-order lag of `time_constant_s`, and what the BMS does not allow is cut off.
Nothing here is stepped: between two events (order in effect, limit or zero crossed, settled, BMS step,
lease over) the output is constant, a straight line or an exponential, and its energy has a closed form.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from math import copysign, exp, inf, isfinite, log

from simulators.battery import Lithium
from simulators.cells.contract import Cells
from simulators.converter import InverterParams

__all__ = ["BatteryInverter", "InverterParams", "crossing_s"]

SETTLED_W = 0.1
"""Closer to its target than this, an output has arrived; a tenth of what inverters resolve."""
REST_W = 0.001
"""Below this an inverter is at rest."""


def crossing_s(value: Callable[[float], float], length_s: float, start: float, end: float) -> float:
    """Where `value` crosses 0 between 0 and `length_s`; `start` and `end` are its values there.

    False position with the Illinois correction (Dowell and Jarratt, BIT 11, 1971).
    """
    left_s, right_s = 0.0, length_s
    for _ in range(60):
        middle_s = right_s - end * (right_s - left_s) / (end - start)
        middle = value(middle_s)
        if middle * end < 0:
            left_s, start = right_s, end
        else:
            start /= 2
        right_s, end = middle_s, middle
        if abs(middle) < 1e-9 or abs(right_s - left_s) < 1e-12:
            break
    return min(max(right_s, 0.0), length_s)


class BatteryInverter:
    """A battery and its inverter on the AC bus; `power_w` is its discharge at the AC terminals now.

    The plant moves it with `move_to`, never past `until_s`: up to then its present law holds.
    Books in Wh since the start: `charged_wh` and `discharged_wh` at the AC terminals, `lost_wh`.
    """

    __slots__ = (
        "_arrive_w",
        "_arrive_wh",
        "_charge_gains",
        "_dc_part",
        "_discharge_gains",
        "_expires_s",
        "_gain",
        "_imposed_w",
        "_jumps",
        "_least_s",
        "_now_s",
        "_orders",
        "_slope_w_per_s",
        "_target_w",
        "_time_constant_s",
        "_u_w",
        "_wh_per_ws",
        "cells",
        "charged_wh",
        "discharged_wh",
        "held_w",
        "lost_wh",
        "moving",
        "params",
        "power_w",
        "until_s",
    )

    def __init__(self, params: InverterParams, cells: Cells, now_s: float = 0.0, speed: float = 1.0) -> None:
        """The cells' contents pass `speed` times as fast as orders, dead times and lags."""
        self.params = params
        self.cells = cells
        self.charged_wh = self.discharged_wh = self.lost_wh = 0.0
        self.held_w: float | None = None
        """The order last taken; None while the inverter runs its own program, which is rest."""
        self.moving = False
        """True while `power_w` is on its way (it is `_u_w` then); False while it is constant."""
        self.power_w = 0.0
        self.until_s = inf
        self._charge_gains = self._discharge_gains = None
        if isinstance(cells, Lithium):  # shares that hold at every power need no look-up
            if params.charge_loss is None:
                into = params.charge_efficiency
                self._charge_gains = (into, into * cells.params.charge_efficiency)
            if params.discharge_loss is None:
                out = 1 / params.discharge_efficiency
                self._discharge_gains = (out, out / cells.params.discharge_efficiency)
        self._time_constant_s = params.time_constant_s
        self._jumps = params.time_constant_s == 0 and params.ramp_w_per_s == inf
        self._wh_per_ws = speed / 3600
        # Where gains are not exact a limit is met only nearly, so the way to it must not get ever shorter.
        self._least_s = 0.0 if isinstance(cells, Lithium) else 0.05
        self._now_s = now_s
        self._orders: deque[tuple[float, float]] = deque()  # in flight: when it takes effect, output
        self._expires_s = inf
        self._u_w = 0.0  # what the converter would give if the BMS allowed everything
        self._target_w = 0.0
        self._slope_w_per_s = 0.0  # not 0: `_u_w` moves on a straight line, else as an exponential
        self._dc_part = 0.0  # Wh at the battery's terminals for each Wh at the AC terminals
        self._gain = 0.0  # Wh stored for each Wh into the AC terminals
        self._arrive_w: float | None = None  # `_u_w` at `until_s`, free of rounding
        self._arrive_wh: float | None = None  # contents at `until_s`, free of rounding
        self._imposed_w: float | None = None
        self._plan()

    def order(self, battery_discharge_w: float, expires_at_s: float) -> None:
        """Take an order now: what exceeds the rating is cut; at `expires_at_s` the own program is back."""
        if not isfinite(battery_discharge_w):
            raise ValueError(f"an order of {battery_discharge_w} W is no order")
        self.held_w = self.params.taken_w(battery_discharge_w)
        self._expires_s = expires_at_s
        self._heading(self.held_w)

    def release(self) -> None:
        """Back to the own program, which begins after the dead time as any order does."""
        self.held_w = None
        self._expires_s = inf
        self._heading(0.0)

    def impose(self, power_w: float | None) -> None:
        """Let the bus say what flows, as when forming a grid (or at 0: without one), whatever was ordered.

        The caller keeps it between the limits at every event. None: the newest order counts again, and the
        output goes there from where it is.
        """
        if power_w is None and self._imposed_w is None:
            return
        self._imposed_w = power_w
        if power_w is not None:
            self._u_w = self.power_w = power_w
        self._plan()

    @property
    def max_charge_w(self) -> float:
        """The most it can take at the AC terminals now, >= 0."""
        return self.params.most_charge_w(self.cells.charge_limit_w())

    @property
    def max_discharge_w(self) -> float:
        """The most it can give at the AC terminals now, >= 0."""
        return self.params.most_discharge_w(self.cells.discharge_limit_w())

    @property
    def heads_w(self) -> float:
        """Where the newest order leads to, once it has taken effect and within what the cells allow now."""
        heading_w = self._orders[-1][1] if self._orders else self._target_w
        if self._imposed_w is not None:
            heading_w = self._imposed_w
        return min(max(heading_w, -self.max_charge_w), self.max_discharge_w)

    def time_to_limit_s(self, marks_wh: Sequence[float] = ()) -> float:
        """Until full, empty, the next BMS step or mark, at the power the newest order leads to; inf if never.

        `marks_wh` ascend. Dead time and lag are left out: the true time is up to about their sum off.
        """
        power_w = self.heads_w
        if abs(power_w) < REST_W:
            return inf
        stored_wh = self.cells.stored_wh
        if power_w < 0:
            limit_wh = self.cells.next_step_wh()
            index = bisect_right(marks_wh, stored_wh)
            if index < len(marks_wh) and marks_wh[index] < limit_wh:
                limit_wh = marks_wh[index]
        else:
            limit_wh = self.cells.empty_wh
            index = bisect_left(marks_wh, stored_wh)
            if index and marks_wh[index - 1] > limit_wh:
                limit_wh = marks_wh[index - 1]
        gain = self._gains(power_w)[1]
        return (limit_wh - stored_wh) / (-power_w * gain * self._wh_per_ws) if gain else inf

    def power_after_w(self, seconds: float) -> float:
        """The power so many seconds from now, up to `until_s`."""
        return self._u_after_w(seconds) if self.moving else self.power_w

    def move_to(self, now_s: float) -> float:
        """Move to an instant up to `until_s`; gives the Wh discharged (negative: charged) at the AC side."""
        seconds = now_s - self._now_s
        self._now_s = now_s
        arrived = now_s >= self.until_s
        if self._u_w == self._target_w or self._imposed_w is not None:
            energy_wh = self.power_w * seconds * self._wh_per_ws
        else:
            u_w = self._arrive_w if arrived and self._arrive_w is not None else self._u_after_w(seconds)
            if self.moving:
                energy_wh = self._following_wh(seconds, u_w)
                self.power_w = u_w
            else:
                energy_wh = self.power_w * seconds * self._wh_per_ws
            self._u_w = u_w
        stored_wh = self.cells.take(energy_wh * self._dc_part, seconds * self._wh_per_ws)
        self.lost_wh -= energy_wh + stored_wh
        if energy_wh < 0:
            self.charged_wh -= energy_wh
        else:
            self.discharged_wh += energy_wh
        if arrived:
            if self._arrive_wh is not None:
                self.cells.arrive(self._arrive_wh)
            self._plan()
        return energy_wh

    def _heading(self, target_w: float) -> None:
        newest_w = self._orders[-1][1] if self._orders else self._target_w
        effect_s = min(self._now_s + self.params.dead_time_s, self._expires_s)
        if target_w != newest_w:
            self._orders.append((self._now_s + self.params.dead_time_s, target_w))
        else:
            effect_s = self._expires_s
        if effect_s <= self._now_s:
            self._plan()
        elif effect_s < self.until_s:
            self.until_s = effect_s
            self._arrive_w = self._arrive_wh = None

    def _obey(self) -> None:
        """Let orders and the lease take effect that are due; the law holds at most until the next is."""
        while self._orders and self._orders[0][0] <= self._now_s:
            self._target_w = self._orders.popleft()[1]
        if self._expires_s <= self._now_s:
            self._orders.clear()
            self._target_w = 0.0
            self.held_w = None
            self._expires_s = inf
        self.until_s = self._expires_s
        if self._orders and self._orders[0][0] < self.until_s:
            self.until_s = self._orders[0][0]

    def _plan(self) -> None:
        """Find the law that holds from now, and until when."""
        self._obey()
        self._arrive_w = self._arrive_wh = None
        if self._imposed_w is not None:
            self.moving = False
            if self._imposed_w:
                self._plan_flow(self._imposed_w)
            else:
                self._plan_rest()
            return
        u_w, target_w = self._u_w, self._target_w
        # A limit is looked up only where the output is, or goes, to its side of 0.
        low_w = -self.max_charge_w if u_w < 0 or target_w < 0 else 0.0
        high_w = self.max_discharge_w if u_w > 0 or target_w > 0 else 0.0
        if self._jumps or -SETTLED_W <= target_w - u_w <= SETTLED_W:
            self._u_w = towards_w = target_w
        else:
            towards_w = self._plan_way(low_w, high_w)
        middle_w = (self._u_w + towards_w) / 2  # no limit lies between the two, so it speaks for both
        self.moving = self._u_w != towards_w and low_w <= middle_w <= high_w
        power_w = middle_w if self.moving else min(max(middle_w, low_w), high_w)
        if abs(power_w) < REST_W:
            self.moving = False
            self.power_w = 0.0 - self.params.standby_w
            self._plan_rest()
            return
        self.power_w = self._u_w if self.moving else power_w
        self._plan_flow(power_w)

    def _plan_flow(self, power_w: float) -> None:
        """Plan what the contents do at a power of this sign."""
        self._dc_part, self._gain = self._gains(power_w)
        self._plan_horizon(power_w * self._dc_part)
        if self._gain:
            self._plan_limit(self.cells.next_step_wh() if power_w < 0 else self.cells.empty_wh)

    def _plan_rest(self) -> None:
        self._dc_part = self._gain = 0.0
        self._plan_horizon(0.0)

    def _plan_horizon(self, dc_discharge_w: float) -> None:
        """Look at the cells again before they have changed much."""
        hours = self.cells.good_for_h(dc_discharge_w)
        if hours < inf and self._now_s + hours / self._wh_per_ws < self.until_s:
            self.until_s = self._now_s + hours / self._wh_per_ws
            self._arrive_w = None

    def _gains(self, power_w: float) -> tuple[float, float]:
        """Wh at the battery's terminals, and in its content, for each Wh at the AC terminals."""
        gains = self._charge_gains if power_w < 0 else self._discharge_gains
        if gains is None:
            dc_discharge_w = self.params.dc_discharge_w(power_w)
            part = dc_discharge_w / power_w
            gains = (part, part * self.cells.gain(dc_discharge_w))
        return gains

    def _plan_way(self, low_w: float, high_w: float) -> float:
        """Choose line or exponential up to the next level at which the law changes; gives that level."""
        u_w, target_w = self._u_w, self._target_w
        gap_w = target_w - u_w
        knee_w = self.params.ramp_w_per_s * self._time_constant_s  # from here the lag is slower than the ramp
        on_ramp = abs(gap_w) > knee_w + SETTLED_W
        level_w = target_w - copysign(knee_w, gap_w) if on_ramp else target_w
        for kink_w in (low_w, 0.0, high_w):
            # One that is as good as reached is passed: a limit that moves away as fast is never reached.
            if u_w + SETTLED_W < kink_w < level_w or level_w < kink_w < u_w - SETTLED_W:
                level_w = kink_w
        if on_ramp:
            self._slope_w_per_s = copysign(self.params.ramp_w_per_s, gap_w)
            seconds = (level_w - u_w) / self._slope_w_per_s
        else:
            self._slope_w_per_s = 0.0
            seconds = self._time_constant_s * log(abs(gap_w) / max(abs(target_w - level_w), SETTLED_W))
        if self._now_s + seconds <= self.until_s:
            self.until_s = self._now_s + seconds
            self._arrive_w = level_w
        return level_w

    def _plan_limit(self, limit_wh: float) -> None:
        """Let the law end where the contents reach the next limit of the BMS."""
        to_go_wh = limit_wh - self.cells.stored_wh
        wh_per_ws = self._gain * self._wh_per_ws
        if not self.moving:
            seconds = to_go_wh / (-self.power_w * wh_per_ws)
        else:
            length_s = self.until_s - self._now_s
            if max(abs(self._u_w), abs(self._target_w)) * length_s * wh_per_ws < abs(to_go_wh):
                return

            def beyond_wh(seconds: float) -> float:
                flown_wh = self._following_wh(seconds, self._u_after_w(seconds)) * self._gain
                return copysign(flown_wh, to_go_wh) - to_go_wh

            end_wh = beyond_wh(length_s)
            if end_wh * to_go_wh <= 0:
                return
            seconds = crossing_s(beyond_wh, length_s, -to_go_wh, end_wh)
        seconds = max(seconds, self._least_s)
        if self._now_s + seconds <= self.until_s:
            self.until_s = self._now_s + seconds
            self._arrive_wh = limit_wh
            self._arrive_w = None

    def _u_after_w(self, seconds: float) -> float:
        if self._slope_w_per_s:
            return self._u_w + self._slope_w_per_s * seconds
        if self._u_w == self._target_w:
            return self._u_w
        return self._target_w + (self._u_w - self._target_w) * exp(-seconds / self._time_constant_s)

    def _following_wh(self, seconds: float, u_w: float) -> float:
        """The energy on the way from `_u_w` to `u_w`: area of a trapezium, or of an exponential."""
        if self._slope_w_per_s:
            return (self._u_w + u_w) / 2 * seconds * self._wh_per_ws
        area_ws = self._target_w * seconds + self._time_constant_s * (self._u_w - u_w)
        return area_ws * self._wh_per_ws
