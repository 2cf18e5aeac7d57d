"""A PV inverter: what the sun offers, its rating, and a cap that acts after a dead time and may expire."""

from __future__ import annotations

from collections import deque
from math import inf


class PvInverter:
    """A PV inverter with its curtailment: gives what the sun offers, up to its rating and its cap.

    `power_w` is what it gives now, `available_w` what it would give without a cap, `cap_w` the cap last
    taken (None while there is none), `until_s` when a cap next takes effect or ends.
    """

    __slots__ = (
        "_caps",
        "_ceiling_w",
        "_dead_time_s",
        "_effective_cap_w",
        "_expires_s",
        "available_w",
        "cap_w",
        "power_w",
        "rated_w",
        "until_s",
    )

    def __init__(self, rated_w: float, dead_time_s: float = 0.5) -> None:
        if not (rated_w >= 0 and dead_time_s >= 0):
            raise ValueError(f"rated_w is {rated_w:g}, dead_time_s {dead_time_s:g}; give at least 0")
        self.rated_w = rated_w
        self.power_w = self.available_w = 0.0
        self.cap_w: float | None = None
        self.until_s = inf
        self._dead_time_s = dead_time_s
        self._effective_cap_w = self._ceiling_w = inf
        self._caps: deque[tuple[float, float]] = deque()  # in flight: when it takes effect, cap
        self._expires_s = inf

    def shine(self, sun_w: float) -> None:
        """Let the sun offer so much from now on."""
        self.available_w = sun_w if sun_w < self.rated_w else self.rated_w
        self._give()

    def cap(self, now_s: float, pv_cap_w: float, expires_at_s: float) -> None:
        """Give at most `pv_cap_w` until `expires_at_s`, beginning after the dead time."""
        if not pv_cap_w >= 0:
            raise ValueError(f"a cap of {pv_cap_w} W is no cap")
        self.cap_w = pv_cap_w
        self._expires_s = expires_at_s
        self._head_for(now_s, pv_cap_w)

    def release(self, now_s: float) -> None:
        """Lift the cap, beginning after the dead time."""
        self.cap_w = None
        self._expires_s = inf
        self._head_for(now_s, inf)

    def obey(self, now_s: float) -> None:
        """Let caps and the lease take effect that are due."""
        if now_s < self.until_s:
            return
        while self._caps and self._caps[0][0] <= now_s:
            self._effective_cap_w = self._caps.popleft()[1]
        if self._expires_s <= now_s:
            self._caps.clear()
            self._effective_cap_w = inf
            self.cap_w = None
            self._expires_s = inf
        self._wait()
        self._give()

    def throttle(self, ceiling_w: float) -> None:
        """Give no more than this either: the bus cannot take more, or (at 0) there is none to feed."""
        self._ceiling_w = ceiling_w
        self._give()

    def _head_for(self, now_s: float, cap_w: float) -> None:
        newest_w = self._caps[-1][1] if self._caps else self._effective_cap_w
        if cap_w != newest_w:
            self._caps.append((now_s + self._dead_time_s, cap_w))
        self._wait()
        self.obey(now_s)

    def _wait(self) -> None:
        self.until_s = min(self._caps[0][0] if self._caps else inf, self._expires_s)

    def _give(self) -> None:
        most_w = self._effective_cap_w if self._effective_cap_w < self._ceiling_w else self._ceiling_w
        self.power_w = most_w if most_w < self.available_w else self.available_w
