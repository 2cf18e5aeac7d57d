"""The two wells of a lead-acid battery: charge that is at hand, and charge that has to flow there first.

The kinetic battery model of Manwell and McGowan (Solar Energy 50, 1993): of the charge q a share c can be
used at once (well 1), the rest (well 2) follows with the rate constant k, driven by the difference in height.
At a constant current both have closed forms, so a step of any length is exact. The capacity falls with the
current, and comes back at rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import exp


@dataclass(frozen=True, slots=True)
class KiBaM:
    """The share c of well 1, the rate constant k by the hour, and the largest charge of both wells, Ah."""

    share: float
    rate_per_h: float
    most_ah: float

    def after(self, one_ah: float, two_ah: float, current_a: float, hours: float) -> tuple[float, float]:
        """Both wells after a constant current, positive out of them."""
        c, k = self.share, self.rate_per_h
        fading = exp(-k * hours)
        both_ah = one_ah + two_ah
        reached = 1 - fading
        late_ah = current_a * (k * hours - reached) / k
        new_one_ah = one_ah * fading + (both_ah * k * c - current_a) * reached / k - late_ah * c
        new_two_ah = two_ah * fading + both_ah * (1 - c) * reached - late_ah * (1 - c)
        return new_one_ah, new_two_ah

    def most_a(self, one_ah: float, both_ah: float, hours: float) -> float:
        """The current out that empties well 1 in this time."""
        c, k = self.share, self.rate_per_h
        fading = exp(-k * hours)
        flows = k * one_ah * fading + both_ah * k * c * (1 - fading)
        return flows / (1 - fading + c * (k * hours - 1 + fading))

    def most_in_a(self, one_ah: float, both_ah: float, hours: float) -> float:
        """The current in that fills well 1 in this time, >= 0."""
        c, k = self.share, self.rate_per_h
        fading = exp(-k * hours)
        room = k * c * self.most_ah - k * one_ah * fading - both_ah * k * c * (1 - fading)
        return max(room / (1 - fading + c * (k * hours - 1 + fading)), 0.0)

    def capacity_ah(self, hours: float) -> float:
        """What a full battery gives when it is emptied evenly in this time."""
        return self.most_a(self.share * self.most_ah, self.most_ah, hours) * hours


@lru_cache
def fitted(c20_ah: float, c10_ah: float, c1_ah: float) -> KiBaM:
    """The wells of a data sheet with capacities at 20, 10 and 1 h. ValueError when no wells give these.

    A capacity at T hours is most * k c T / (1 - exp(-k T) + c (k T - 1 + exp(-k T))): two ratios give c for
    any k, and k is where both agree.
    """
    if not 0 < c1_ah < c10_ah < c20_ah:
        raise ValueError(
            f"capacities of {c20_ah:g}, {c10_ah:g} and {c1_ah:g} Ah do not fall with the current"
        )

    def disagreement(k: float) -> float:
        return _share(c1_ah / c20_ah, 20.0, k) - _share(c1_ah / c10_ah, 10.0, k)

    low = best = 0.0
    for number in range(1, 5000):
        k = number * 0.002
        if number > 1 and disagreement(k) * disagreement(k - 0.002) < 0:
            low, best = k - 0.002, k
            break
    if not best:
        raise ValueError(f"no two wells have capacities of {c20_ah:g}, {c10_ah:g} and {c1_ah:g} Ah")
    high, sign = best, disagreement(low)
    for _ in range(60):
        best = (low + high) / 2
        if disagreement(best) * sign > 0:
            low = best
        else:
            high = best
    c = _share(c1_ah / c20_ah, 20.0, best)
    fading = exp(-best * 20)
    most_ah = c20_ah * (1 - fading + c * (best * 20 - 1 + fading)) / (best * c * 20)
    return KiBaM(c, best, most_ah)


def _share(ratio: float, hours: float, k: float) -> float:
    """The c at which the capacities at 1 h and at this time stand in this ratio."""
    one, late = 1 - exp(-k), 1 - exp(-k * hours)
    above = ratio * one * hours - late
    return above / (above - k * ratio * hours + k * hours)
