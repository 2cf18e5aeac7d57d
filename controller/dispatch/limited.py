"""A power that every limit may move, and what the batteries may charge from the sun beside it."""

from __future__ import annotations

from controller.dispatch.limits import Bounds, narrowed

OF_BATTERIES = frozenset({"fuse", "ramp"})
"""The limits, beside their ratings and orders, that bound what the batteries may charge even from the sun."""


class Limited:
    """A power that every limit may move; the one that moved it last is the one that bound."""

    __slots__ = ("charges_w", "limited_by", "lower_w", "power_w", "upper_w")

    def __init__(self, wanted_w: float, lower_w: float, upper_w: float) -> None:
        self.lower_w, self.upper_w = lower_w, upper_w
        self.charges_w = -lower_w
        self.power_w, self.limited_by = wanted_w, ""
        self._keep_within("rating")

    def narrow(self, name: str, limit: Bounds | None) -> bool:
        """Narrow by one more limit; True when it moved the power."""
        if limit is None:
            return False
        if name in OF_BATTERIES:
            self.charges_w = min(self.charges_w, -limit[0])
        if limit[0] <= self.lower_w and self.upper_w <= limit[1]:
            return False
        self.lower_w, self.upper_w = narrowed((self.lower_w, self.upper_w), limit)
        return self._keep_within(name)

    @property
    def charge_room_w(self) -> float:
        """How much the batteries may charge from the sun; what must not be exported beyond it PV gives up.

        What the site may import does not narrow it: more sun is less import.
        """
        return self.charges_w if self.charges_w > 0.0 else 0.0

    def ask(self, by_w: float) -> bool:
        """Move by so much, to the side that has room, to see whether the meter is alive; whether one has."""
        for moved_w in (self.power_w - by_w, self.power_w + by_w):
            if self.lower_w <= moved_w <= self.upper_w:
                self.power_w = moved_w
                return True
        return False

    def _keep_within(self, name: str) -> bool:
        if self.lower_w <= self.power_w <= self.upper_w:
            return False
        self.power_w = min(max(self.power_w, self.lower_w), self.upper_w)
        self.limited_by = name
        return True
