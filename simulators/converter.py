"""What a battery inverter is: ratings, losses over power, pace. Its laws of motion are in `inverter.py`."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt


@dataclass(frozen=True, slots=True)
class LossCurve:
    """Loss over power, W: `squared_w * x**2 + linear_w * x + constant_w`, x the AC power by `rated_w`.

    The form of Schmidt and Sauer (Renewable Energy 9, 1996) and of the laboratory measurements in bslib.
    """

    rated_w: float
    squared_w: float
    linear_w: float
    constant_w: float

    def loss_w(self, power_w: float) -> float:
        """The loss at an AC power, both >= 0."""
        part = power_w / self.rated_w
        return (self.squared_w * part + self.linear_w) * part + self.constant_w

    def charging_dc_w(self, power_w: float) -> float:
        """What is left of an AC power taken."""
        return max(power_w - self.loss_w(power_w), 0.0)

    def discharging_dc_w(self, power_w: float) -> float:
        """What it takes to give an AC power."""
        return power_w + max(self.loss_w(power_w), 0.0)

    def charging_ac_w(self, dc_w: float) -> float:
        """The AC power of which this is left."""
        return self._root(1.0 - self.linear_w / self.rated_w, -1.0, dc_w + self.constant_w)

    def discharging_ac_w(self, dc_w: float) -> float:
        """The AC power that can be had for this."""
        return max(self._root(1.0 + self.linear_w / self.rated_w, 1.0, dc_w - self.constant_w), 0.0)

    def _root(self, slope: float, sign: float, dc_w: float) -> float:
        """The lower p at which `sign * squared * p**2 + slope * p = dc_w`."""
        bend = sign * self.squared_w / (self.rated_w * self.rated_w)
        inside = slope * slope + 4.0 * bend * dc_w
        return 2.0 * dc_w / (slope + sqrt(inside)) if 0.0 <= inside < inf else inf


@dataclass(frozen=True, slots=True)
class InverterParams:
    """A battery inverter: ratings at its AC terminals, share of the power each way that it passes on.

    A loss curve, where there is one, takes the place of the share. `standby_w` is drawn from the AC side
    while the output is 0. Orders below `min_power_w` are taken as 0, others to the next `resolution_w`.
    Raises ValueError for impossible numbers.
    """

    rated_charge_w: float
    rated_discharge_w: float
    charge_efficiency: float = 0.97
    discharge_efficiency: float = 0.97
    standby_w: float = 5.0
    dead_time_s: float = 0.5
    time_constant_s: float = 0.3
    ramp_w_per_s: float = inf
    charge_loss: LossCurve | None = None
    discharge_loss: LossCurve | None = None
    min_power_w: float = 0.0
    resolution_w: float = 0.0

    def __post_init__(self) -> None:
        for name in ("charge_efficiency", "discharge_efficiency"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name):g}; give a share above 0, at most 1")
        sizes = ("rated_charge_w", "rated_discharge_w", "standby_w", "dead_time_s", "time_constant_s")
        for name in (*sizes, "min_power_w", "resolution_w"):
            if not 0 <= getattr(self, name) < inf:
                raise ValueError(f"{name} is {getattr(self, name):g}; give a number of at least 0")
        if not self.ramp_w_per_s > 0:
            raise ValueError(f"ramp_w_per_s is {self.ramp_w_per_s:g}; give a number above 0")

    def taken_w(self, battery_discharge_w: float) -> float:
        """What becomes of an order."""
        rated_w = min(max(battery_discharge_w, -self.rated_charge_w), self.rated_discharge_w)
        if self.resolution_w:
            rated_w = self.resolution_w * round(rated_w / self.resolution_w)
        return 0.0 if abs(rated_w) < self.min_power_w else rated_w

    def dc_discharge_w(self, discharge_w: float) -> float:
        """The power at the battery's terminals for one at the AC terminals, both negative while charging."""
        if discharge_w < 0:
            if self.charge_loss is not None:
                return -self.charge_loss.charging_dc_w(-discharge_w)
            return discharge_w * self.charge_efficiency
        if self.discharge_loss is not None:
            return self.discharge_loss.discharging_dc_w(discharge_w)
        return discharge_w / self.discharge_efficiency

    def most_charge_w(self, dc_limit_w: float) -> float:
        """The most it can take when the battery takes so much, >= 0."""
        if self.charge_loss is None:
            limit_w = dc_limit_w / self.charge_efficiency
        else:
            limit_w = self.charge_loss.charging_ac_w(dc_limit_w) if dc_limit_w else 0.0
        return limit_w if limit_w < self.rated_charge_w else self.rated_charge_w

    def most_discharge_w(self, dc_limit_w: float) -> float:
        """The most it can give when the battery gives so much, >= 0."""
        if self.discharge_loss is None:
            limit_w = dc_limit_w * self.discharge_efficiency
        else:
            limit_w = self.discharge_loss.discharging_ac_w(dc_limit_w)
        return limit_w if limit_w < self.rated_discharge_w else self.rated_discharge_w
