"""The sun of a plant that was held down: what it could have given, from what it gave while it was not.

A site that may not export, or no more than so much, holds its inverters down once the battery is full. What
is measured then says only that there was at least as much sun. How clear such a day was is told by the times
at which the plant was free; what a cloudless day gives at hours at which it is often held down follows from
the other hours by the course of the sun, a half sine from the first light to the last.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from controller.planning.history import or_zero
from controller.planning.inputs import Floats

LEAST_HEIGHT = 0.2
"""Below this share of its height at noon the sun tells nothing about noon."""
NEARLY_ALL = 0.9
"""Of what the free hours tell about noon, so much lies below what is taken."""


def cloudless(
    clear_w: Floats, rows: Floats, held: NDArray[np.bool_], light: NDArray[np.bool_], most_w: float
) -> Floats:
    """`clear_w` by time of day, raised where the plant was held down; `rows` and `held` are days x slots."""
    lit = np.flatnonzero(light)
    height = np.zeros(len(clear_w))
    height[lit] = np.sin((lit - lit[0] + 0.5) / (lit[-1] - lit[0] + 1.0) * np.pi)
    free_w = np.where(held, 0.0, or_zero(rows)).max(axis=0)
    tells = height > LEAST_HEIGHT
    noon_w = np.quantile(free_w[tells] / height[tells], NEARLY_ALL) if tells.any() else 0.0
    raised_w = np.maximum(clear_w, np.minimum(noon_w * height, most_w))
    return np.where(held.any(axis=0), raised_w, clear_w)


def clearness_while_free(
    rows: Floats, held: NDArray[np.bool_], clear_w: Floats, light: NDArray[np.bool_]
) -> Floats:
    """Of each day the share of a cloudless one while the plant was free; the mean of all if it never was."""
    free = np.isfinite(rows) & ~held & light
    could_w = (free * clear_w).sum(axis=1)
    share = np.where(free, rows, 0.0).sum(axis=1) / np.maximum(could_w, 1e-9)
    known = could_w > 0.0
    return np.where(known, share, share[known].mean() if known.any() else 1.0)
