"""Billed peaks as a plan sees them: what a kW more would cost, when it counts, what was had already."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from controller.planning.bills import monthly_peaks_kw
from controller.planning.calendars import LocalSteps, OffsetAt, local_steps
from controller.planning.inputs import Floats
from controller.planning.request import Peak
from controller.planning.tariff import DemandCharge, rate_at

FEWEST_MONTHS, MOST_MONTHS = 3, 12
"""The lowest peak of so many months before will be had this month too. Of one or two it says too little: a
month of holidays after months of work has no need of the peak they had."""


def peaks_ahead(
    charges: Sequence[DemandCharge],
    past: Floats,
    begin_utc_s: float,
    slot_s: float,
    slots: int,
    offset_at: OffsetAt,
) -> tuple[Peak, ...]:
    """A peak for each charge and each billing month within the slots.

    `past` has rows of a quarter hour's UTC begin and its mean import. A kW more costs its rate. With a mean
    over months it costs a part in each of so many bills, which adds up to the same; with a ratchet of the
    whole it stays for all the months that the ratchet looks back. Without any past too: else the battery
    itself would make the month's peak on its first day, by charging while it is cheap.
    """
    steps = local_steps(begin_utc_s, slot_s, slots, offset_at)
    found = []
    for charge in charges:
        before_kw = _months(charge, past, offset_at)
        counts = charge.counts(steps)
        for number in np.unique(steps.month_number):
            applies = counts & (steps.month_number == number)
            if applies.any():
                within = int(np.argmax(applies))
                ends = within + slots_left(float(steps.local_s[within]), slot_s)
                found.append(_peak(charge, applies, int(number), before_kw, ends))
    return tuple(found)


def slots_left(local_s: float, slot_s: float) -> int:
    """How many slots are left of its month at this instant of the local clock."""
    month = np.datetime64(int(local_s), "s").astype("datetime64[M]")
    ends_s = (month + 1).astype("datetime64[s]").astype(np.int64)
    return round((float(ends_s) - local_s) / slot_s)


def _peak(
    charge: DemandCharge, applies: np.ndarray, number: int, before_kw: dict[int, float], ends: int
) -> Peak:
    so_far_kw = before_kw.get(number, 0.0)
    earlier = [kw for month, kw in sorted(before_kw.items()) if month < number][-MOST_MONTHS:]
    ratcheted = [
        kw
        for month, kw in before_kw.items()
        if number - charge.ratchet_months <= month < number and month % 12 in charge.ratchet_counts
    ]
    billed_kw = max(so_far_kw, charge.minimum_kw, charge.ratchet_share * max(ratcheted, default=0.0))
    rate = rate_at(charge.tiers[number % 12], billed_kw)
    if charge.ratchet_share >= 1.0:
        rate *= 1.0 + charge.ratchet_months
    expected_kw = min(earlier) if len(earlier) >= FEWEST_MONTHS else 0.0
    return Peak(rate, tuple(applies.tolist()), 1000.0 * billed_kw, 1000.0 * expected_kw, ends)


def _months(charge: DemandCharge, past: Floats, offset_at: OffsetAt) -> dict[int, float]:
    """The peak of each month seen, kW; the past may have gaps, which count as no import."""
    if not len(past):
        return {}
    begin_utc_s, step_s = float(past[0, 0]), 900.0
    count = int((past[-1, 0] - begin_utc_s) // step_s) + 1
    import_w = np.zeros(count)
    places = ((past[:, 0] - begin_utc_s) // step_s).astype(np.int64)
    import_w[places] = past[:, 1]
    steps: LocalSteps = local_steps(begin_utc_s, step_s, count, offset_at)
    return monthly_peaks_kw(charge, import_w, steps)
