"""Meters that are slower and later than the truth: a value every so often, shown only after a delay."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from drivers.device import MeterReading
from drivers.simulated import MeterPort
from simulators.site import House


class SlowMeter:
    """A meter that measures every `period_s` and shows each value `delay_s` later, until the next.

    It has to be asked before anything else moves the house: what it measured between two questions it
    can only find by moving the house through them.
    """

    def __init__(self, house: House, period_s: float, delay_s: float, phase_s: float = 0.0) -> None:
        self._port: MeterPort = house.meter()
        self._house = house
        self._period_s = period_s
        self._delay_s = delay_s
        self._next_s = house.now_s + phase_s % period_s
        self._shown: MeterReading = self._port.reading(house.now_s)
        self._coming: deque[MeterReading] = deque()

    def reading(self, now_s: float) -> MeterReading:
        """The newest value that can be seen at `now_s`; it looks as if it were measured then."""
        while self._next_s <= now_s:
            if self._next_s >= self._house.now_s:
                self._coming.append(self._port.reading(self._next_s))
            self._next_s += self._period_s
        while self._coming and self._coming[0].taken_at_s + self._delay_s <= now_s:
            self._shown = self._coming.popleft()
        return replace(self._shown, taken_at_s=now_s)
