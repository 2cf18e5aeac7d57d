"""The last gate before a write: no order that is not a number, beyond the nameplate or too often.

It shares nothing with dispatch, on purpose: a mistake there must not be able to excuse itself here. It
never corrects an order; what it refuses is not written, and the caller releases the device instead.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable

from drivers.device import DeviceError

TOLERANCE_W = 0.5
RESERVED_SHARE = 8
"""One of so many writes a day is kept for rest and release."""
DAY_S = 86_400.0


class GuardError(DeviceError):
    """An order was refused before it reached the wire; the text says which and why."""


class Guard:
    """What one device may be ordered: its nameplate in W, both >= 0, and its write budget.

    `writes_per_day` is for registers that wear out (settings kept in flash); None when nothing wears.
    """

    def __init__(self, rated_charge_w: float, rated_discharge_w: float, writes_per_day: int | None) -> None:
        for rated_w in (rated_charge_w, rated_discharge_w):
            if not (math.isfinite(rated_w) and rated_w >= 0):
                raise ValueError(f"a nameplate of {rated_w:g} W guards nothing; give a number of W from 0 up")
        if writes_per_day is not None and writes_per_day < 1:
            raise ValueError(f"writes_per_day is {writes_per_day}; give at least 1, or none for no limit")
        self._rated_charge_w = rated_charge_w
        self._rated_discharge_w = rated_discharge_w
        self._writes_per_day = writes_per_day
        self._written_at_s: deque[float] = deque(maxlen=writes_per_day if writes_per_day else 0)

    def check(self, battery_discharge_w: float) -> None:
        """GuardError unless it is a number inside the nameplate (negative charges), give or take 0.5 W."""
        if not math.isfinite(battery_discharge_w):
            raise GuardError(f"refused an order of {battery_discharge_w} W: not a number of watts")
        lower_w, upper_w = -self._rated_charge_w, self._rated_discharge_w
        if not lower_w - TOLERANCE_W <= battery_discharge_w <= upper_w + TOLERANCE_W:
            raise GuardError(
                f"refused an order of {battery_discharge_w:.1f} W: the nameplate allows "
                f"{lower_w:.0f} W to {upper_w:.0f} W"
            )

    def check_cap(self, pv_cap_w: float) -> None:
        """GuardError unless it is a finite number of W from 0 up; a cap above the nameplate caps nothing."""
        if not (math.isfinite(pv_cap_w) and pv_cap_w >= 0):
            raise GuardError(f"refused a PV cap of {pv_cap_w} W: not a number of watts from 0 up")

    def spend_write(self, now_s: float, *, to_rest: bool = False) -> None:
        """Count one write at `now_s` (event-loop time); GuardError when the last 24 h had all there are.

        An eighth of them, rounded down, is kept for writes that bring the device to rest or hand it back,
        so that it is never left at a power because too many were ordered before. Call it before each write,
        whether or not that succeeds: a write that failed may have worn the register all the same. A refused
        write is not counted.
        """
        if self._writes_per_day is None:
            return
        most = self._writes_per_day
        usable = most if to_rest else most - most // RESERVED_SHARE
        in_24_h = [at_s for at_s in self._written_at_s if now_s - at_s < DAY_S]
        if len(in_24_h) >= usable:
            kept = "" if usable == most else f" ({most - usable} more are kept for rest and release)"
            free_in_s = in_24_h[len(in_24_h) - usable] + DAY_S - now_s
            raise GuardError(
                f"refused a write: all {usable} of 24 h are used up{kept}, "
                f"the next is free in {free_in_s / 60:.0f} min"
            )
        self._written_at_s.append(now_s)

    def spent_ago_s(self, now_s: float) -> tuple[float, ...]:
        """How long ago each write of the last 24 h was, oldest first: worth keeping over a restart."""
        return tuple(now_s - at_s for at_s in self._written_at_s if now_s - at_s < DAY_S)

    def remember(self, ago_s: Iterable[float], now_s: float) -> None:
        """Count writes of before the restart; of one said to be in the future, as of now."""
        self._written_at_s.extend(sorted(now_s - max(one_s, 0.0) for one_s in ago_s if one_s < DAY_S))
