"""How the states of an ensemble follow each other: one Markov chain, or two that know nothing of each other.

A site with sun has a state for each pair of a state of its load and one of its sun. The two chains are kept
apart: what one matrix for all pairs says is the product of two small ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.planning.inputs import Ensemble, Floats

GOLDEN, PLASTIC = 0.6180339887498949, 0.7548776662466927
"""Multiples of them spread evenly over 0 to 1, and over a square as pairs: draws without chance."""

ALIKE = 1e-12
"""Chances closer than this differ by rounding alone."""


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """`load[step]` leads the first part of a state from a step to the next, `sun[step]` the second.

    A state's number is that of its first part times the number of second ones, plus that of its second.
    """

    load: Floats
    sun: Floats

    @classmethod
    def of(cls, ensemble: Ensemble) -> Chain:
        """That of an ensemble, slot by slot; one without transitions begins anew in each."""
        states, slots = ensemble.load_w.shape
        load, sun = ensemble.transition, ensemble.sun_transition
        if load is None:
            load = np.tile(ensemble.weights, (states, 1))
        if sun is None:
            sun = np.ones((1, 1))
        return cls(_each(load, slots), _each(sun, slots))

    def over(self, begin: NDArray[np.intp], lasts: NDArray[np.intp]) -> Chain:
        """The same for steps of several slots: each `begin`s with a slot, and `lasts` for so many."""
        return Chain(_over(self.load, begin, lasts), _over(self.sun, begin, lasts))

    def before(self, step: int, worth: Floats, out: Floats) -> None:
        """Into `out`, states x anything: what is expected of `worth` in the next step, by the state now.

        `worth` has a row for each state, or one for each of the load's where the sun makes no difference.
        """
        loads, suns = self.load.shape[-1], self.sun.shape[-1]
        led = self.load[step] @ worth.reshape(loads, -1)
        if len(worth) == loads:
            out.reshape(loads, suns, -1)[:] = led[:, None]
        else:
            np.matmul(self.sun[step], led.reshape(loads, suns, -1), out=out.reshape(loads, suns, -1))

    def forgets_sun(self) -> NDArray[np.bool_]:
        """For each step whether what follows it does not depend on the state of its sun."""
        return np.asarray(np.ptp(self.sun, axis=1).max(axis=1) < ALIKE)

    def likely(self, weights: Floats) -> Floats:
        """Steps x states: how likely each state is in each step, from how likely each is in the first."""
        found = np.empty((len(self.load), self.load.shape[-1], self.sun.shape[-1]))
        found[0] = weights.reshape(found.shape[1:])
        for step in range(1, len(found)):
            found[step] = self.load[step - 1].T @ found[step - 1] @ self.sun[step - 1]
        return found.reshape(len(found), -1)

    def drawn(self, weights: Floats) -> NDArray[np.intp]:
        """Steps x courses, as many as states: the state of each course in each step, spread evenly."""
        courses, suns = len(weights), self.sun.shape[-1]
        places = (np.arange(courses) + 0.5) / courses
        reach = np.cumsum(weights)
        reach[-1] = 1.0
        first = np.searchsorted(reach, places)
        path = _walked(first // suns, self.load, places, GOLDEN)
        if suns > 1:
            path *= suns
            path += _walked(first % suns, self.sun, places[np.argsort(places / GOLDEN % 1.0)], PLASTIC)
        return path


def _each(transition: Floats, slots: int) -> Floats:
    return np.broadcast_to(transition, (slots, *transition.shape[-2:]))


def _over(follow: Floats, begin: NDArray[np.intp], lasts: NDArray[np.intp]) -> Floats:
    found = follow[begin]
    for more in range(1, int(lasts.max(initial=1))):
        longer = np.flatnonzero(lasts > more)
        found[longer] = found[longer] @ follow[begin[longer] + more]
    return found


def _walked(first: NDArray[np.intp], follow: Floats, places: Floats, spread: float) -> NDArray[np.intp]:
    """Steps x courses: where each goes from `first`; its draw is its place, moved on by `spread`."""
    steps, states = follow.shape[:2]
    path = np.empty((steps, len(first)), dtype=np.intp)
    path[0] = first
    reach = np.cumsum(follow, axis=-1)
    reach[..., -1] = 1.0
    # All rows one after the other make one rising row: the state's number goes in front of its draw.
    rising = (reach + np.arange(states)[:, None]).reshape(steps, -1)
    draws = (places + np.arange(steps)[:, None] * spread) % 1.0
    for step in range(1, steps):
        before = path[step - 1]
        path[step] = rising[step - 1].searchsorted(before + draws[step - 1]) - before * states
    return path
