"""The cells of a lithium battery, by energy: what is stored, and what the BMS allows now.

Powers are DC, at the battery's terminals. Each way the cells keep a fixed share of the energy. Near full
the BMS lowers the charge power: linearly over SoC, in steps of about one per cent, as the limit tables
of real BMS do. Between two steps the limits are constant, so a plant can move exactly from step to step.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from math import inf

TEMPERATURE_C = 25.0
"""Nothing warms it, nothing cools it."""


@dataclass(frozen=True, slots=True)
class LithiumParams:
    """What never changes about a battery; efficiencies are shares of 1, SoC limits those of the BMS.

    From `taper_from_pct` on, the charge limit falls linearly to 0 at `max_soc_pct`; 100 means no taper.
    Raises ValueError when the numbers contradict each other.
    """

    capacity_wh: float
    max_charge_w: float = inf
    max_discharge_w: float = inf
    charge_efficiency: float = 0.975
    discharge_efficiency: float = 0.975
    min_soc_pct: float = 0.0
    max_soc_pct: float = 100.0
    taper_from_pct: float = 90.0

    def __post_init__(self) -> None:
        if not 0 < self.capacity_wh < inf:
            raise ValueError(f"capacity_wh is {self.capacity_wh:g}; give a number above 0")
        for name in ("charge_efficiency", "discharge_efficiency"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name):g}; give a share above 0, at most 1")
        if not 0 <= self.min_soc_pct < self.max_soc_pct <= 100:
            raise ValueError(
                f"min_soc_pct is {self.min_soc_pct:g} and max_soc_pct {self.max_soc_pct:g}; "
                "give 0 <= min_soc_pct < max_soc_pct <= 100"
            )
        if self.max_charge_w < 0 or self.max_discharge_w < 0:
            raise ValueError("max_charge_w and max_discharge_w are sizes; give numbers of at least 0")

    def new(self, soc_pct: float) -> Lithium:
        """A battery at this state of charge."""
        return Lithium(self, soc_pct)


class Lithium:
    """The one thing a battery remembers, `stored_wh`, and the limits that follow from it."""

    __slots__ = ("_charge_limits_w", "_edges_wh", "_full_wh", "empty_wh", "params", "stored_wh")

    def __init__(self, params: LithiumParams, soc_pct: float) -> None:
        if not 0 <= soc_pct <= 100:
            raise ValueError(f"soc_pct is {soc_pct:g}; give a percentage from 0 to 100")
        self.params = params
        self.stored_wh = params.capacity_wh * soc_pct / 100
        self.empty_wh = params.capacity_wh * params.min_soc_pct / 100
        self._full_wh = params.capacity_wh * params.max_soc_pct / 100
        width_pct = max(params.max_soc_pct - max(params.taper_from_pct, params.min_soc_pct), 0.0)
        steps = round(width_pct)
        step_wh = params.capacity_wh * width_pct / 100 / max(steps, 1)
        self._edges_wh = (*(self._full_wh - step_wh * n for n in range(steps, 0, -1)), self._full_wh)
        # Each step has the taper's value at its middle, so that the mean over the taper is the line's.
        shares = ((steps - n - 0.5) / steps for n in range(steps))
        self._charge_limits_w = (params.max_charge_w, *(params.max_charge_w * share for share in shares), 0.0)

    @property
    def soc_pct(self) -> float:
        return 100 * self.stored_wh / self.params.capacity_wh

    @property
    def true_soc_pct(self) -> float:
        return self.soc_pct

    @property
    def capacity_wh(self) -> float:
        return self.params.capacity_wh

    @property
    def temperature_c(self) -> float:
        return TEMPERATURE_C

    @property
    def health(self) -> float:
        return 1.0

    def gain(self, discharge_w: float) -> float:
        """Wh that the content changes for each Wh through the terminals."""
        params = self.params
        return params.charge_efficiency if discharge_w < 0 else 1 / params.discharge_efficiency

    def good_for_h(self, discharge_w: float) -> float:
        """For ever: the gain never changes, and the limits only at contents that are known."""
        return inf

    def take(self, discharge_wh: float, hours: float) -> float:
        """Let this energy out (negative: in); gives how the content changed, Wh."""
        if discharge_wh < 0:
            stored_wh = -discharge_wh * self.params.charge_efficiency
        else:
            stored_wh = -discharge_wh / self.params.discharge_efficiency
        self.stored_wh += stored_wh
        return stored_wh

    def arrive(self, stored_wh: float) -> None:
        """The step just taken was to end at this content: lose its rounding."""
        self.stored_wh = stored_wh

    def charge_limit_w(self) -> float:
        """The most DC power the BMS lets in now, >= 0; constant until `next_step_wh`."""
        if self.stored_wh < self._edges_wh[0]:
            return self.params.max_charge_w
        return self._charge_limits_w[bisect_right(self._edges_wh, self.stored_wh)]

    def discharge_limit_w(self) -> float:
        """The most DC power the BMS lets out now, >= 0; constant until `empty_wh`."""
        return self.params.max_discharge_w if self.stored_wh > self.empty_wh else 0.0

    def next_step_wh(self) -> float:
        """The content at which the charge limit next falls while charging; inf when already full."""
        index = bisect_right(self._edges_wh, self.stored_wh)
        return self._edges_wh[index] if index < len(self._edges_wh) else inf
