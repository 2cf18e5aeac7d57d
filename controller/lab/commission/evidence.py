"""Pure: three witnesses to every step (the order, the battery, the meter), and who of them is wrong.

Each step gives two ratios: what the battery says it did, and what the meter saw, for each watt ordered. Both
are 1 where all is right. The house moves meanwhile, so the meter's is a median over many steps, with its
standard error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt
from statistics import median

from controller.lab.commission.findings import Finding
from controller.lab.commission.plausible import factor

SURE = 0.12
"""Standard error of a ratio below which it is taken as known."""
ENOUGH_STEPS = 6
MAD_TO_SIGMA = 1.4826
"""Of a normal distribution; and the median's error is 1.2533 times the mean's."""
MEDIAN_TO_MEAN = 1.2533
NOTHING, NEXT_TO_NOTHING = 0.15, 0.05
BEYOND = 3.0


@dataclass(frozen=True, slots=True)
class Transition:
    """One step: from order to order, and what came of it once it had settled. All battery discharge, W."""

    order_change_w: float
    battery_change_w: float
    meter_change_w: float
    """How much less was imported: what the battery gave, if all is right."""
    phase_changes_w: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Ratio:
    """A median over steps and its standard error."""

    value: float
    error: float

    @property
    def is_sure(self) -> bool:
        """Small enough an error, in proportion to what it is."""
        return self.error <= SURE * max(1.0, abs(self.value))

    def near(self, wanted: float) -> bool:
        """Within 30 % of this, as far as can be known."""
        return abs(self.value - wanted) <= 0.3 * abs(wanted) + min(self.error, SURE)


def ratio(steps: Sequence[Transition], seen_w: Sequence[float]) -> Ratio:
    """What was seen for each watt ordered."""
    ratios = [seen / step.order_change_w for step, seen in zip(steps, seen_w, strict=True)]
    if len(ratios) < 2:
        return Ratio(ratios[0] if ratios else 0.0, inf)
    middle = median(ratios)
    spread = MAD_TO_SIGMA * median(abs(one - middle) for one in ratios)
    return Ratio(middle, MEDIAN_TO_MEAN * spread / sqrt(len(ratios)))


def of_battery(steps: Sequence[Transition]) -> Ratio:
    """What the battery says it did for each watt ordered."""
    return ratio(steps, [one.battery_change_w for one in steps])


def of_meter(steps: Sequence[Transition]) -> Ratio:
    """What the meter saw for each watt ordered."""
    return ratio(steps, [one.meter_change_w for one in steps])


def of_phases(steps: Sequence[Transition]) -> tuple[Ratio, ...]:
    """The same for each phase; nothing for a meter without phases."""
    number = min((len(one.phase_changes_w) for one in steps), default=0)
    return tuple(ratio(steps, [one.phase_changes_w[phase] for one in steps]) for phase in range(number))


def is_enough(steps: Sequence[Transition]) -> bool:
    """Whether more steps would not teach anything new."""
    return len(steps) >= ENOUGH_STEPS and of_battery(steps).is_sure and of_meter(steps).is_sure


def goes_beyond(steps: Sequence[Transition]) -> bool:
    """Whether small orders are answered by several times as much: then greater ones are not given."""
    if not steps:
        return False
    battery, meter = of_battery(steps), of_meter(steps)
    seen = [abs(one.meter_change_w) > BEYOND * abs(one.order_change_w) for one in steps]
    alike = all(
        one.meter_change_w * steps[0].meter_change_w * one.order_change_w * steps[0].order_change_w > 0
        for one in steps
    )
    return abs(battery.value) > BEYOND or (abs(meter.value) > BEYOND and all(seen) and alike)


@dataclass(frozen=True, slots=True)
class Named:
    """What is spoken of: the two devices, and what the site file says of the battery's phase."""

    battery: str
    meter: str
    phase: int | None
    meter_knows_amperes: bool


def verdicts(named: Named, steps: Sequence[Transition]) -> list[Finding]:
    """Who is wrong, or that all agree."""
    battery, meter, phases = of_battery(steps), of_meter(steps), of_phases(steps)
    if not battery.is_sure:
        text = f"does not hold what is ordered: {_spoken(battery)} for each watt, now more, now less"
        return [Finding("stop", named.battery, "orders", text)]
    if abs(battery.value) < NEXT_TO_NOTHING and abs(meter.value) < NOTHING + meter.error:
        text = "takes orders and does nothing: neither itself nor the meter shows any change"
        return [Finding("stop", named.battery, "orders", text)]
    if not meter.is_sure:
        return [_restless(named, steps, meter)]
    if battery.near(1.0) and len(phases) == 3:
        wrong = _phase_faults(named, phases)
        if wrong:
            return wrong
    if battery.near(1.0) and meter.near(1.0):
        text = f"meter and battery agree on sign and scale: for each watt ordered {_spoken(battery)} by the "
        text += f"battery, {_spoken(meter)} by the meter"
        return [Finding("good", named.battery, "sign", text)]
    return [_accused(named, battery, meter)]


def _restless(named: Named, steps: Sequence[Transition], meter: Ratio) -> Finding:
    size_w = median(abs(one.order_change_w) for one in steps)
    text = (
        f"undecided, the load is too restless: after {len(steps)} steps of {size_w:.0f} W the meter's answer"
        f" is known to {min(meter.error, 9.99):.0%} only; try again in a quiet hour, or consent to more power"
    )
    return Finding("unsure", named.meter, "sign", text)


def _spoken(one: Ratio) -> str:
    return f"{one.value:.2f} W"


def _accused(named: Named, battery: Ratio, meter: Ratio) -> Finding:
    """The two witnesses that agree accuse the third."""
    device, check, text = _sign_fault(named, battery, meter) or _scale_fault(named, battery, meter)
    return Finding("stop", device, check, text)


def _sign_fault(named: Named, battery: Ratio, meter: Ratio) -> tuple[str, str, str] | None:
    if battery.near(1.0) and meter.near(-1.0):
        text = "counts the wrong way: importing shows as exporting; its CTs are reversed"
        return named.meter, "sign", text
    if battery.near(-1.0) and meter.near(1.0):
        text = "shows its power with the wrong sign: it discharges and shows charging"
        return named.battery, "sign", text
    if battery.near(-1.0) and meter.near(-1.0):
        text = "charges when it is ordered to discharge: the sign of its orders is wrong"
        return named.battery, "sign", text
    if battery.near(1.0) and abs(meter.value) < NOTHING:
        return named.meter, "sign", f"sees nothing of what {named.battery} does: is it behind this meter?"
    return None


def _scale_fault(named: Named, battery: Ratio, meter: Ratio) -> tuple[str, str, str]:
    for scale in (10.0, 0.1, 100.0, 0.01):
        times = factor(scale)
        if battery.near(1.0) and meter.near(scale):
            if named.meter_knows_amperes:  # by which its watts have been found right
                text = (
                    f"does {times} what it is ordered, and shows as much as was ordered: its scale is wrong"
                )
                return named.battery, "scale", text
            text = (
                f"sees {times} what {named.battery} is ordered and shows: the scale of one of them is wrong"
            )
            return named.meter, "scale", text
        if battery.near(scale) and meter.near(scale):
            return (
                named.battery,
                "scale",
                f"does {times} what it is ordered: the scale of its orders is wrong",
            )
        if battery.near(scale) and meter.near(1.0):
            return named.battery, "scale", f"shows {times} what it does: the scale of its power is wrong"
    if NOTHING <= battery.value < 0.7 and abs(battery.value - meter.value) <= 0.2:
        return named.battery, "orders", f"does {battery.value:.0%} of what it is ordered: something clamps it"
    text = (
        f"sees {_spoken(meter)} for each watt that {named.battery} was ordered, which shows "
        f"{_spoken(battery)}: neither a sign nor a scale explains that; look at the CTs and at the profile"
    )
    return named.meter, "sign", text


def _phase_faults(named: Named, phases: Sequence[Ratio]) -> list[Finding]:
    """Reversed and exchanged CTs, and a battery on another phase than the site file says."""
    values = [one.value for one in phases]
    if max(one.error for one in phases) > SURE / 2:
        return []
    size = sum(abs(value) for value in values)
    if size < NOTHING:
        return []
    largest = max(range(3), key=lambda phase: abs(values[phase]))
    single = abs(values[largest]) > 0.75 * size
    if single:
        return _single_phase_faults(named, largest, values[largest])
    if named.phase is not None:
        seen = " and ".join(f"L{phase + 1}" for phase in range(3) if abs(values[phase]) > NOTHING / 2)
        text = f"is on L{named.phase} by the site file, the meter sees it on {seen}; correct phase"
        return [Finding("stop", named.battery, "phase", text)]
    # Of a balanced three-phase step each phase has a third. A CT on another conductor than its voltage
    # sees the current 120 degrees off, of which cos 120 degrees is minus a half.
    crossed = [phase for phase in range(3) if -0.25 < values[phase] < -0.08]
    reversed_ = [phase for phase in range(3) if values[phase] <= -0.25]
    if crossed:
        which = " and ".join(f"L{phase + 1}" for phase in crossed)
        text = f"the CTs of {which} sit on other conductors than their voltages: exchange them"
        return [Finding("stop", named.meter, "phase", text)]
    if len(reversed_) == 3:
        return [
            Finding("stop", named.meter, "sign", "counts the wrong way on all phases: its CTs are reversed")
        ]
    return [
        Finding("stop", named.meter, "sign", f"the CT of L{phase + 1} is reversed: it counts the wrong way")
        for phase in reversed_
    ]


def _single_phase_faults(named: Named, phase: int, value: float) -> list[Finding]:
    found: list[Finding] = []
    if -0.7 < value < -0.3:
        text = f"the CT of L{phase + 1} sits on another conductor than its voltage: exchange it"
        return [Finding("stop", named.meter, "phase", text)]
    if value < 0:
        text = f"the CT of L{phase + 1} is reversed: it counts the wrong way; look at the others too"
        found.append(Finding("stop", named.meter, "sign", text))
    if named.phase is not None and named.phase != phase + 1:
        text = (
            f"is on L{named.phase} by the site file and on L{phase + 1} by the meter: correct phase, or "
            f"exchange the CTs of L{named.phase} and L{phase + 1}"
        )
        found.append(Finding("stop", named.battery, "phase", text))
    return found


def phase_of(steps: Sequence[Transition]) -> int | None:
    """The one phase (1 to 3) on which a three-phase meter sees the battery; None if it is on all of them."""
    values = [abs(one.value) for one in of_phases(steps)]
    if len(values) != 3 or sum(values) < NOTHING:
        return None
    largest = max(range(3), key=lambda phase: values[phase])
    return largest + 1 if values[largest] > 0.75 * sum(values) else None
