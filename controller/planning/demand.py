"""The value of a peak: which mean import no slot should exceed, and what exceeding it costs."""

from __future__ import annotations

import numpy as np

from controller.planning.inputs import Floats, PlanInputs


def peak_targets(inputs: PlanInputs) -> tuple[Floats, Floats]:
    """For each slot the import that makes no new peak (inf: none), and the penalty per kWh above it."""
    target_w, penalty_per_kwh = np.full(inputs.slots, np.inf), np.zeros(inputs.slots)
    for term in inputs.demand:
        peak_w = max(term.peak_so_far_w, term.expected_peak_w)
        target_w = np.where(term.applies, np.minimum(target_w, peak_w), target_w)
        penalty_per_kwh += np.where(term.applies, term.per_kw * 3600.0 / inputs.slot_s, 0.0)
    return target_w, penalty_per_kwh
