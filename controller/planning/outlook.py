"""What lies ahead of a plan, in the steps in which it is gone through: slots at first, then whole hours.

What happens within an hour of tomorrow matters little today, and takes as long to go through as an hour of
today.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from controller.planning.chain import Chain
from controller.planning.inputs import Floats, PlanInputs

FINE_S = 6 * 3600.0
"""So far a plan goes slot by slot; long before its end there is a newer one."""
HOUR_S = 3600.0
"""Then it goes by whole hours of UTC, at whose begin hourly prices change."""


@dataclass(frozen=True, slots=True, eq=False)
class Outlook:
    """Steps x states of net load and prices, and for each step its target of import and its length.

    `begin` is the first slot of each step, `lasts` the number of its slots. `chain` leads from step to step.
    """

    begin: NDArray[np.intp]
    lasts: NDArray[np.intp]
    hours: Floats
    net_w: Floats
    import_per_kwh: Floats
    export_per_kwh: Floats
    target_w: Floats
    chain: Chain

    def until(self, steps: int) -> Outlook:
        """The first `steps` of it."""
        first = slice(steps)
        chain = Chain(self.chain.load[first], self.chain.sun[first])
        return replace(
            self,
            begin=self.begin[first],
            lasts=self.lasts[first],
            hours=self.hours[first],
            net_w=self.net_w[first],
            import_per_kwh=self.import_per_kwh[first],
            export_per_kwh=self.export_per_kwh[first],
            target_w=self.target_w[first],
            chain=chain,
        )

    @property
    def steps(self) -> int:
        """How many there are."""
        return len(self.begin)

    def spread(self, values: Floats) -> Floats:
        """Slots x anything: that of its step for each slot."""
        return values if len(values) == self.slots else np.repeat(values, self.lasts, axis=0)

    @property
    def slots(self) -> int:
        """How many there are in all steps."""
        return int(self.begin[-1] + self.lasts[-1])


def outlook(inputs: PlanInputs, target_w: Floats) -> Outlook:
    """What lies ahead; `target_w` is the import not to exceed in each slot, in a step the least of them."""
    begin = _begins(inputs)
    lasts = np.diff(begin, append=inputs.slots)
    states = len(inputs.ensemble.weights)
    chain = Chain.of(inputs.ensemble).over(begin, lasts)

    export_per_kwh = inputs.export_per_kwh
    if inputs.leave.curtails:
        export_per_kwh = np.maximum(export_per_kwh, 0.0)

    def mean(values: Floats) -> Floats:
        sums = np.add.reduceat(values, begin, axis=-1) / lasts
        return np.broadcast_to(sums, (states, len(begin))).T

    net_w = np.array(mean(inputs.ensemble.net_load_w))
    by_sun = net_w.reshape(len(begin), -1, chain.sun.shape[-1])
    # A step in which day breaks begins in a state of the day before, of which this day knows nothing.
    dawns = np.flatnonzero(chain.forgets_sun())
    by_sun[dawns] = by_sun[dawns] @ chain.sun[dawns, 0, :, None]
    return Outlook(
        begin,
        lasts,
        lasts * (inputs.slot_s / HOUR_S),
        net_w,
        mean(inputs.import_per_kwh),
        mean(export_per_kwh),
        np.minimum.reduceat(target_w, begin),
        chain,
    )


def _begins(inputs: PlanInputs) -> NDArray[np.intp]:
    """The first slot of each step."""
    slots, slot_s = np.arange(inputs.slots), inputs.slot_s
    from_hour_s = (inputs.begin_utc_s + slots * slot_s) % HOUR_S
    return np.flatnonzero((slots * slot_s < FINE_S) | (from_hour_s < slot_s - 1e-6))
