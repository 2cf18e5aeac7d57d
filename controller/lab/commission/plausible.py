"""Pure: do a device's readings make sense, by themselves and beside each other?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil
from statistics import median

from controller.dispatch.settings import BatterySettings
from controller.lab.commission.findings import Finding
from controller.loop import LONGEST_WAIT_S, READ_PART
from drivers.device import BatteryReading, MeterReading

SUPPLIES_V = (120.0, 230.0)
"""Nominal voltages between phase and neutral in the world's two kinds of supply."""
BAND_SHARE = 0.2
FREQUENCIES_HZ = (50.0, 60.0)
FREQUENCY_BAND_HZ = 3.0
CURRENT_A, LOADED_A = 0.3, 4.0
"""Below the first, power and current say nothing about each other; above the second, not even reactive
power explains a tenth."""
SCALES = (10.0, 0.1, 100.0, 0.01, 1000.0, 0.001)
MOST_LATE_SHARE = 0.1
SLOWEST_S = 1.0
"""A device on a network that takes longer for a reading cannot be ordered in time either."""
CAPACITY_SHARE = 0.35
PHASE_SUM_W, PHASE_SUM_SHARE = 100.0, 0.1
RESTING_EXPORT_W = 80.0


def meter_findings(
    device: str, readings: Sequence[MeterReading], phases: int, rests_without_pv: bool
) -> list[Finding]:
    """What is odd about a meter, or that nothing is. `rests_without_pv`: nothing on site feeds in."""
    found = [
        *_voltages(device, readings, phases),
        *_frequencies(device, readings),
        *_watts_and_amperes(device, readings),
        *_sums(device, readings),
    ]
    if rests_without_pv and not found:
        found += _exporting_phases(device, readings)
    return found or [Finding("good", device, "plausible", f"makes sense: {_shown(readings[-1], phases)}")]


def _shown(reading: MeterReading, phases: int) -> str:
    """The newest reading in short."""
    volts = ", ".join(f"{one:.0f} V" for one in reading.phase_voltage_v[:phases])
    hertz = "" if reading.frequency_hz is None else f"{reading.frequency_hz:.2f} Hz"
    return ", ".join(part for part in (f"{reading.pcc_import_w:.0f} W", volts, hertz) if part)


def _voltages(device: str, readings: Sequence[MeterReading], phases: int) -> list[Finding]:
    shown = max((len(one.phase_voltage_v) for one in readings), default=0)
    for phase in range(min(shown, phases)):
        shown_v = median(one.phase_voltage_v[phase] for one in readings if len(one.phase_voltage_v) > phase)
        wrong = _off(shown_v, SUPPLIES_V, lambda nominal_v: BAND_SHARE * nominal_v)
        if wrong:
            return [Finding("stop", device, "plausible", f"shows {shown_v:.1f} V on L{phase + 1}{wrong}")]
    return []


def _frequencies(device: str, readings: Sequence[MeterReading]) -> list[Finding]:
    shown_hz = [one.frequency_hz for one in readings if one.frequency_hz is not None]
    if not shown_hz:
        return []
    middle_hz = median(shown_hz)
    wrong = _off(middle_hz, FREQUENCIES_HZ, lambda nominal_hz: FREQUENCY_BAND_HZ)
    return [Finding("stop", device, "plausible", f"shows {middle_hz:.2f} Hz{wrong}")] if wrong else []


def _off(shown: float, nominals: Sequence[float], band: Callable[[float], float]) -> str:
    """Empty when it is near one of these; else what it could be."""
    if any(abs(shown - nominal) <= band(nominal) for nominal in nominals):
        return ""
    for scale in SCALES:
        near = next((one for one in nominals if abs(shown / scale - one) <= band(one)), None)
        if near is not None:
            return f": {factor(scale)} what a supply of {near:.0f} has; is it the right profile?"
    usual = " or ".join(f"{one:.0f}" for one in nominals)
    return f": no supply is like that, {usual} is usual; is it the right profile?"


def factor(ratio: float) -> str:
    """`10 times`, or `a tenth of`."""
    if ratio >= 1.0:
        return f"{ratio:.0f} times"
    parts = {10: "a tenth of", 100: "a hundredth of", 1000: "a thousandth of"}
    return parts.get(round(1.0 / ratio), f"{ratio:.2g} times")


def knows_amperes(readings: Sequence[MeterReading]) -> bool:
    """Whether there is enough current to hold the watts against."""
    return any(abs(one) > CURRENT_A for reading in readings for one in reading.phase_current_a)


def _watts_and_amperes(device: str, readings: Sequence[MeterReading]) -> list[Finding]:
    """Active power cannot be more than volts times amperes."""
    ratios: list[float] = []
    loaded: list[float] = []
    for one in readings:
        columns = zip(one.phase_import_w, one.phase_voltage_v, one.phase_current_a, strict=False)
        for power_w, voltage_v, current_a in columns:
            apparent_va = voltage_v * abs(current_a)
            if abs(current_a) > CURRENT_A and apparent_va > 0:
                ratios.append(abs(power_w) / apparent_va)
            if abs(current_a) > LOADED_A and apparent_va > 0:
                loaded.append(abs(power_w) / apparent_va)
    if ratios and median(ratios) > 1.3:
        shown = factor(round(median(ratios))) if median(ratios) < 1000 else f"{median(ratios):.0f} times"
        text = (
            f"shows {shown} as many W as its V times A; the scale of the power, or of the current, is wrong"
        )
        return [Finding("stop", device, "scale", text)]
    if len(loaded) >= 5 and median(loaded) < 0.12:
        text = f"shows {median(loaded):.0%} of its V times A as W, much as the house takes; is a scale wrong?"
        return [Finding("stop", device, "scale", text)]
    return []


def _sums(device: str, readings: Sequence[MeterReading]) -> list[Finding]:
    """Three phases add up to their sum, give or take what changed while they were read."""
    full = [one for one in readings if len(one.phase_import_w) == 3]
    if not full:
        return []
    offs_w = [abs(sum(one.phase_import_w) - one.pcc_import_w) for one in full]
    largest_w = median(max(abs(one.pcc_import_w), *(abs(w) for w in one.phase_import_w)) for one in full)
    if median(offs_w) <= max(PHASE_SUM_W, PHASE_SUM_SHARE * largest_w):
        return []
    text = f"its phases miss its sum by {median(offs_w):.0f} W; is it the right profile?"
    return [Finding("stop", device, "plausible", text)]


def _exporting_phases(device: str, readings: Sequence[MeterReading]) -> list[Finding]:
    """While nothing on site feeds in, no phase exports."""
    found = []
    for phase in range(max((len(one.phase_import_w) for one in readings), default=0)):
        shown_w = [one.phase_import_w[phase] for one in readings if len(one.phase_import_w) > phase]
        if max(shown_w) < -RESTING_EXPORT_W:
            text = (
                f"L{phase + 1} exports {-median(shown_w):.0f} W although nothing on site feeds in: "
                f"the CT of L{phase + 1} is reversed"
            )
            found.append(Finding("stop", device, "sign", text))
    return found


def battery_findings(settings: BatterySettings, readings: Sequence[BatteryReading]) -> list[Finding]:
    """What is odd about a battery, or that nothing is."""
    found = []
    newest = readings[-1]
    if newest.soc_pct is not None and not 0.0 <= newest.soc_pct <= 100.0:
        text = f"shows a state of charge of {newest.soc_pct:g} %; is it the right profile?"
        found.append(Finding("stop", settings.id, "plausible", text))
    capacity_wh = newest.capacity_wh
    if capacity_wh is not None and capacity_wh > 0:
        ratio = capacity_wh / settings.capacity_wh
        for scale in SCALES:
            if abs(ratio / scale - 1.0) < CAPACITY_SHARE:
                text = (
                    f"says it has {capacity_wh:.0f} Wh, {factor(scale)} the {settings.capacity_wh:.0f} Wh of "
                    "the site file; a scale is wrong, or capacity_wh is"
                )
                found.append(Finding("stop", settings.id, "scale", text))
                break
        else:
            if abs(ratio - 1.0) > CAPACITY_SHARE:
                text = f"says it has {capacity_wh:.0f} Wh; the site file says {settings.capacity_wh:.0f} Wh"
                found.append(Finding("warn", settings.id, "plausible", text))
    if newest.fault:
        found.append(Finding("stop", settings.id, "plausible", "reports a fault; mend that first"))
    if newest.grid_present is False:
        found.append(Finding("stop", settings.id, "plausible", "says that the grid is gone"))
    if found:
        return found
    soc = "" if newest.soc_pct is None else f", {newest.soc_pct:.0f} %"
    text = f"makes sense: {newest.battery_discharge_w:.0f} W{soc}"
    return [Finding("good", settings.id, "plausible", text)]


def timing_findings(device: str, took_s: Sequence[float], cycle_s: float, serial: bool) -> list[Finding]:
    """Whether a device answers within the part of the cycle that is left for it.

    One on a serial line must, as others wait for the line. One on a network may miss beats, see `loop.py`.
    """
    allowed_s = min(READ_PART * cycle_s, LONGEST_WAIT_S)
    late = sum(one > allowed_s for one in took_s)
    slow_s = sorted(took_s)[int(0.9 * (len(took_s) - 1))]
    if late <= MOST_LATE_SHARE * len(took_s):
        return [Finding("good", device, "timing", f"answers within {slow_s * 1e3:.0f} ms (9 of 10 readings)")]
    usable = not serial and slow_s <= SLOWEST_S
    text = f"takes {slow_s:.2f} s to answer; in a cycle of {cycle_s:g} s there are {allowed_s:.2f} s for it"
    if usable:
        text += ": it misses beats, and what changes is met seconds later"
    if slow_s * 1.2 <= LONGEST_WAIT_S:
        text += f"; give cycle_s = {ceil(slow_s * 1.2 / READ_PART * 10) / 10:g}"
    else:
        most_s = LONGEST_WAIT_S if serial else SLOWEST_S
        text += "" if usable else f", and never more than {most_s:g} s"
        text += "; look at its line, its gateway and who else asks it"
    return [Finding("warn" if usable else "stop", device, "timing", text)]
