"""Which units of a bus answer, which do not, and how long those are let alone.

A unit that is silent while others answer costs them its timeout once more for each try. So after two
tries it is asked again only after 1 s, 2 s, 4 s and so on up to 30 s, each with 20 % of chance in it. Where
nobody answers, nobody is harmed by trying: then it is the connection that is suspected, and made anew.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

TRIES = 2
FIRST_PAUSE_S, LONGEST_PAUSE_S, PAUSE_JITTER = 1.0, 30.0, 0.2
ALIVE_S = 10.0
"""Who answered within this time and was not silent since counts as somebody to protect."""


@dataclass(slots=True)
class _Unit:
    answered_at_s: float = -math.inf
    silences: int = 0
    pause_s: float = FIRST_PAUSE_S
    next_try_s: float = -math.inf


class Patience:
    """The units of one link, on its present connection."""

    def __init__(self, tries_of_a_line: int, chance: random.Random) -> None:
        self._tries_of_a_line = tries_of_a_line
        self._chance = chance
        self._units: dict[int, _Unit] = {}
        self._silences = 0  # of anybody, since the last answer of anybody

    def forget(self) -> None:
        """A new connection: everybody may have come back."""
        self._units.clear()
        self._silences = 0

    def why_not(self, unit: int, now_s: float) -> str | None:
        """Why this unit is not to be asked now."""
        one = self._units.get(unit)
        if one is None or one.next_try_s <= now_s:
            return None
        return f"not asked, as it was silent {one.silences} times; next try in {one.next_try_s - now_s:.1f} s"

    def on_trial(self, unit: int) -> bool:
        """Whether this unit has to prove first that it is back."""
        one = self._units.get(unit)
        return one is not None and one.silences >= TRIES

    def answered(self, unit: int, now_s: float) -> None:
        """It gave a right answer or a refusal."""
        self._silences = 0
        one = self._units.get(unit)
        if one is None:
            one = self._units[unit] = _Unit()
        elif one.silences:
            one.silences, one.pause_s, one.next_try_s = 0, FIRST_PAUSE_S, -math.inf
        one.answered_at_s = now_s

    def was_silent(self, unit: int, now_s: float) -> int:
        """It gave nothing usable: how many silences in a row condemn the connection, or 0 if they do not."""
        self._silences += 1
        if self._let_alone(unit, now_s):
            return 0
        return self._silences if self._silences >= self._tries_of_a_line else 0

    def gateway_says_silent(self, unit: int, now_s: float) -> None:
        """The gateway itself answered, and its answer was that the unit does not."""
        self._silences = 0
        self._let_alone(unit, now_s)

    def _let_alone(self, unit: int, now_s: float) -> bool:
        """Count a silence; whether others answer, so that the unit itself must be what is wrong."""
        one = self._units.setdefault(unit, _Unit())
        one.silences += 1
        others_answer = any(
            other is not one and not other.silences and now_s - other.answered_at_s <= ALIVE_S
            for other in self._units.values()
        )
        if others_answer and one.silences >= TRIES:
            one.next_try_s = now_s + one.pause_s * self._chance.uniform(1 - PAUSE_JITTER, 1 + PAUSE_JITTER)
            one.pause_s = min(2 * one.pause_s, LONGEST_PAUSE_S)
        return others_answer
