"""What a battery may take and give at its temperature and SoC."""

from __future__ import annotations

from controller.dispatch.settings import BatterySettings, Curve
from controller.dispatch.site import BatterySite


def derated(settings: BatterySettings, battery: BatterySite) -> tuple[float, float]:
    """Charge and discharge limit in W, both >= 0, after the curves of temperature and SoC.

    A curve gives a share of what the device itself allows now. Each curve is a cap of its own, so the
    lower one counts, not their product. A reading that is absent counts as the worst one on its curve.
    """
    charge_w, discharge_w = battery.max_charge_w, battery.max_discharge_w
    if settings.charge_by_temperature or settings.charge_by_soc:
        charge_w *= min(
            _share(settings.charge_by_temperature, battery.temperature_c),
            _share(settings.charge_by_soc, battery.soc_pct),
        )
    if settings.discharge_by_temperature or settings.discharge_by_soc:
        discharge_w *= min(
            _share(settings.discharge_by_temperature, battery.temperature_c),
            _share(settings.discharge_by_soc, battery.soc_pct),
        )
    return charge_w, discharge_w


def _share(curve: Curve, reading: float | None) -> float:
    if not curve:
        return 1.0
    return min(share for _, share in curve) if reading is None else along(curve, reading)


def along(curve: Curve, reading: float) -> float:
    """The share at this reading; where the curve jumps, the jump comes after its x and not at it."""
    left, left_share = curve[0]
    if reading <= left:
        return left_share
    for right, right_share in curve:
        if reading <= right:
            return left_share + (right_share - left_share) * (reading - left) / (right - left)
        left, left_share = right, right_share
    return left_share
