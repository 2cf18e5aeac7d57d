"""Pure: an order in W -> the ordered steps that make a device follow it, and back again for the emulator.

A step names a point of the profile and its engineering value; turning that into words is the profile's
work. Each style is a pure function pair; which points it uses and with which numbers is data in
`[control]` and `[lease]` of the profile. The same `held` reads a device's own registers back for the
driver and tells the emulator what it has been ordered.

Both styles here order nothing stale and nothing for ever: first the lease, then the value, then what
selects it, and the enable last. Releasing disables first, so that clearing the timer cannot make the order
permanent. SunSpec's reversion timer restarts with every write to its function and counts only while the
function is enabled (sunspec/models#215).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from drivers.registers import Value

Step = tuple[str, float]
Steps = tuple[Step, ...]
Values = Mapping[str, Value]

ON: Final = 1.0
OFF: Final = 0.0


@dataclass(frozen=True, slots=True)
class Control:
    """Which points a style uses; names are those of the profile's points."""

    style: str
    setpoint: str
    enable: str
    prepare: Steps = ()
    """Written before the setpoint: what the device is to fall back to."""
    select: Steps = ()
    """Written between setpoint and enable: what makes the device look at this setpoint."""
    percent_of: str | None = None
    """The point with the W that 100 % means; None where the setpoint is in W."""
    enable_each_time: bool = False
    """Some devices take a changed setpoint over only when it is enabled again (Fronius, Operating
    Instructions Datamanager, Modbus, section "Controlling the power")."""
    lease: Step | None = None
    """The timer point and the seconds to arm it with."""

    def points(self) -> tuple[str, ...]:
        """Every point that this control reads or writes."""
        named = [self.setpoint, self.enable, *(name for name, _ in self.prepare + self.select)]
        named += [self.lease[0]] if self.lease is not None else []
        named += [self.percent_of] if self.percent_of is not None else []
        return tuple(dict.fromkeys(named))


@dataclass(frozen=True, slots=True)
class Style:
    """How one kind of device is ordered: `setpoint` from an order in W, `order_w` from a setpoint."""

    setpoint: Callable[[Control, float, Values], float]
    order_w: Callable[[Control, float, Values], float | None]
    needs_percent_of: bool


def take(control: Control, order_w: float, values: Values) -> Steps:
    """All steps that put a device under this order, whatever it did before; ValueError if none can."""
    lease = (control.lease,) if control.lease is not None else ()
    setpoint = (control.setpoint, STYLES[control.style].setpoint(control, order_w, values))
    return (*control.prepare, *lease, setpoint, *control.select, (control.enable, ON))


def change(control: Control, order_w: float, values: Values) -> Steps:
    """The steps for another order, or the same again, to a device taken over before."""
    setpoint = (control.setpoint, STYLES[control.style].setpoint(control, order_w, values))
    return (setpoint, (control.enable, ON)) if control.enable_each_time else (setpoint,)


def release(control: Control) -> Steps:
    """The steps that hand the device back to its own program."""
    lease = ((control.lease[0], OFF),) if control.lease is not None else ()
    return ((control.enable, OFF), *lease)


def held(control: Control, values: Values) -> float | None:
    """The order in W that these registers amount to; None if the device runs its own program."""
    setpoint = values.get(control.setpoint)
    if setpoint is None or isinstance(setpoint, str) or values.get(control.enable) != ON:
        return None
    if any(values.get(name) != wanted for name, wanted in control.select):
        return None
    return STYLES[control.style].order_w(control, setpoint, values)


def _watts(control: Control, order_w: float, values: Values) -> float:
    return order_w


def _watts_back(control: Control, setpoint: float, values: Values) -> float | None:
    return setpoint


def _percent(control: Control, order_w: float, values: Values) -> float:
    full_w = _full_w(control, values)
    if full_w is None:
        raise ValueError(f"{control.percent_of} is not available, so {order_w:g} W cannot be said in percent")
    return min(100.0, order_w * 100.0 / full_w)


def _percent_back(control: Control, setpoint: float, values: Values) -> float | None:
    full_w = _full_w(control, values)
    return None if full_w is None else setpoint * full_w / 100.0


def _full_w(control: Control, values: Values) -> float | None:
    full_w = values.get(control.percent_of or "")
    return full_w if isinstance(full_w, float) and full_w > 0 else None


STYLES: Final[dict[str, Style]] = {
    "enabled_watts": Style(_watts, _watts_back, needs_percent_of=False),
    "enabled_percent": Style(_percent, _percent_back, needs_percent_of=True),
}
