"""Follow: a setpoint from outside for battery or PCC, and a frequency response beside it or alone."""

from __future__ import annotations

from controller.dispatch.limits import HYSTERESIS_PCT
from controller.dispatch.orders import in_force
from controller.dispatch.settings import DispatchConfig, FrequencySettings
from controller.dispatch.site import Site

BELIEVED_SHARE = 0.15
"""A frequency further from nominal than EN 50160 knows of any public grid (42.5 to 57.5 Hz) is a false
reading, and counts as none."""


def follow(config: DispatchConfig, site: Site, before_w: float = 0.0) -> float | None:
    """The setpoint in force plus the frequency response; one for the battery goes before one for the PCC.

    Without a setpoint: the frequency response, and inside its dead band the way back to the SoC band.
    None when there is neither a setpoint nor a frequency to respond to.
    """
    wanted_w = in_force(site.orders.follow_battery_w, site.now_s)
    if wanted_w is None:
        import_w = in_force(site.orders.follow_pcc_w, site.now_s)
        if import_w is not None:
            wanted_w = site.net_load_w - import_w
    settings, frequency_hz = config.policy.frequency, site.frequency_hz
    if settings is None or frequency_hz is None or not _believed(settings, frequency_hz):
        return wanted_w
    response_w = _response_w(settings, frequency_hz)
    if wanted_w is not None:
        return wanted_w + response_w
    return response_w if response_w != 0.0 else _recovery_w(settings, site.soc_pct, frequency_hz, before_w)


def _believed(settings: FrequencySettings, frequency_hz: float) -> bool:
    return abs(frequency_hz - settings.nominal_hz) <= BELIEVED_SHARE * settings.nominal_hz


def _response_w(settings: FrequencySettings, frequency_hz: float) -> float:
    """Droop outside of the dead band: discharge below it, charge (negative) above it."""
    low_hz = settings.nominal_hz - settings.deadband_hz
    high_hz = settings.nominal_hz + settings.deadband_hz
    if frequency_hz > high_hz:
        return max(settings.w_per_hz * (high_hz - frequency_hz), -settings.most_w)
    if frequency_hz < low_hz:
        return min(settings.w_per_hz * (low_hz - frequency_hz), settings.most_w)
    return 0.0


def _recovery_w(
    settings: FrequencySettings, soc_pct: float | None, frequency_hz: float, before_w: float
) -> float:
    """The way back into the SoC band, a percent deep, and ever less towards the edge of the dead band."""
    if soc_pct is None:
        return 0.0
    most_w = settings.recover_w
    if settings.deadband_hz > 0.0:
        most_w *= 1.0 - abs(frequency_hz - settings.nominal_hz) / settings.deadband_hz
    high_pct, low_pct = settings.soc_high_pct, settings.soc_low_pct
    if soc_pct > high_pct or (before_w > 0.0 and soc_pct > high_pct - HYSTERESIS_PCT):
        return most_w
    back = soc_pct < low_pct or (before_w < 0.0 and soc_pct < low_pct + HYSTERESIS_PCT)
    return 0.0 - most_w if back else 0.0  # not `-most_w`: that would be -0.0 for 0 W
