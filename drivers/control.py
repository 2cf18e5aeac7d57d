"""Pure: an order in W -> the ordered steps that make a device follow it, and back again for the emulator.

A step names a point of the profile and its engineering value; turning that into words is the profile's
work. Each style is a pure function pair; which points it uses and with which numbers is data in
`[control]` and `[lease]` of the profile. The same `held` reads a device's own registers back for the
driver and tells the emulator what it has been ordered.

The styles here order nothing stale and nothing for ever: first the lease, then the value, then what
selects it, and the enable last, unless the device takes setpoints only once it is enabled (`enable_first`).
Releasing disables first, so that clearing the timer cannot make the order permanent. SunSpec's reversion
timer restarts with every write to its function and counts only while the function is enabled
(sunspec/models#215).

- `enabled_watts`, `enabled_percent`: one signed setpoint, in W or in percent of a point.
- `pinned_percent`: for devices that know two limits instead of a setpoint, one for discharging and one for
  charging, and take a negative limit as an order to do the opposite (SunSpec model 124): a limit and its
  negative on the other side leave exactly one power.
- `directed_watts`: a power without sign, and a register that says what to do with it. Where both directions
  share the power register, a change of direction goes through 0 W.
- `limited_amps`: two limits in A, one for discharging and one for charging, within which the device runs its
  own program; that of the other direction is 0. With both open it runs its own program and nothing else.
- `import_watts`: the device is ordered an import at a metering point and finds the battery power itself;
  `base` is what would be imported there with the battery at rest, as measured now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from drivers.registers import Value

Step = tuple[str, float]
Steps = tuple[Step, ...]
Values = Mapping[str, Value]
Sum = tuple[tuple[float, str], ...]
"""Points to be added up, each with its factor (1 or -1)."""

ON: Final = 1.0
OFF: Final = 0.0


@dataclass(frozen=True, slots=True)
class Control:
    """Which points a style uses; names are those of the profile's points."""

    style: str
    setpoint: str
    enable: str | None
    """None where the setpoint alone is the order, as long as it is repeated."""
    prepare: Steps = ()
    """Written before the setpoint: what the device is to fall back to."""
    select: Steps = ()
    """Written between setpoint and enable: what makes the device look at this setpoint."""
    percent_of: str | None = None
    """The point with the W that 100 % means; None where the setpoint is in W."""
    enable_each_time: bool = False
    """Some devices take a changed setpoint over only when it is enabled again (Fronius, Operating
    Instructions Datamanager, Modbus, "Controlling the power"), or only with all that belongs to it."""
    lease: Step | None = None
    """The timer point and the seconds to arm it with."""
    on: float = ON
    """What `enable` holds while the device obeys."""
    opposite: str | None = None
    """The point that limits the other direction: held at minus the setpoint, so that the two pin the power.
    Where it follows the setpoint on the wire, one request writes both: no other pair is ever in force."""
    restore: Steps = ()
    """Written after a release, as the device was found."""
    restore_found: bool = False
    """Instead, what these points held before the first order, if the device ran its own program then."""
    off: float = OFF
    """What `enable` holds while the device runs its own program."""
    enable_first: bool = False
    """The device takes setpoints only in its remote mode, so that is switched on before them."""
    direction: str | None = None
    """The point that says what the power means; it holds one of the three codes, `idle_code` for 0 W."""
    charging_code: float = 0.0
    discharging_code: float = 0.0
    idle_code: float = 0.0
    charge_setpoint: str | None = None
    """The power to charge with, where that has a register of its own."""
    base: Sum = ()
    """What is imported at the device's metering point, the battery's own power taken out."""
    together: bool = False
    """Steps that follow each other on the wire go into one request: the device wants a complete set."""
    renew_lease: bool = False
    """The timer is written with each repetition: on this device nothing else restarts it."""
    volts: str | None = None
    """The point with the battery's voltage, for setpoints in A."""
    change_s: float = 0.0
    """A new power is ordered at most this often, for registers that wear out; 0 W always."""
    clear_lease: bool = True
    """The timer is set to 0 after a release."""

    @property
    def measured(self) -> bool:
        """Whether an order is made from what the device measures now."""
        return bool(self.base) or self.volts is not None

    def points(self) -> tuple[str, ...]:
        """Every point that this control reads or writes."""
        named = [self.setpoint, self.enable, self.opposite, self.percent_of, self.direction, self.volts]
        named += [self.charge_setpoint, *(name for _, name in self.base)]
        named += [name for name, _ in self.prepare + self.select + self.restore]
        named += [self.lease[0]] if self.lease is not None else []
        return tuple(dict.fromkeys(name for name in named if name is not None))

    def evidence(self) -> tuple[str, ...]:
        """The points that, read back, show whether an order is in force."""
        named = [self.setpoint, self.opposite, self.charge_setpoint, self.direction, self.enable]
        named += [name for name, _ in self.select]
        return tuple(dict.fromkeys(name for name in named if name is not None))


@dataclass(frozen=True, slots=True)
class Style:
    """How one kind of device is ordered: the steps of an order in W, and the order that values amount to."""

    setpoints: Callable[[Control, float, Values], Steps]
    order_w: Callable[[Control, Values], float | None]
    needs: tuple[str, ...] = ()
    """Keys of `[control]` that this style, and no other, goes by."""


def take(control: Control, order_w: float, values: Values) -> Steps:
    """All steps that put a device under this order, whatever it did before; ValueError if none can."""
    lease = (control.lease,) if control.lease is not None else ()
    enable = ((control.enable, control.on),) if control.enable is not None else ()
    setpoints = STYLES[control.style].setpoints(control, order_w, values)
    if control.enable_first:
        return (*control.prepare, *lease, *enable, *setpoints, *control.select)
    return (*control.prepare, *lease, *setpoints, *control.select, *enable)


def change(control: Control, order_w: float, values: Values) -> Steps:
    """The steps for another order, or the same again, to a device taken over before."""
    lease = (control.lease,) if control.lease is not None and control.renew_lease else ()
    enable = control.enable_each_time and control.enable is not None
    setpoints = STYLES[control.style].setpoints(control, order_w, values)
    return (*lease, *setpoints, *(((control.enable or "", control.on),) if enable else ()))


def release(control: Control) -> Steps:
    """The steps that hand the device back to its own program; none if it only waits for our silence."""
    enable = ((control.enable, control.off),) if control.enable is not None else ()
    lease = ((control.lease[0], OFF),) if control.lease is not None and control.clear_lease else ()
    return (*enable, *lease, *control.restore)


def held(control: Control, values: Values) -> float | None:
    """The order in W that these registers amount to; None if the device runs its own program."""
    if control.enable is not None and values.get(control.enable) != control.on:
        return None
    if any(values.get(name) != wanted for name, wanted in control.select):
        return None
    return STYLES[control.style].order_w(control, values)


def _number(values: Values, name: str | None) -> float | None:
    value = values.get(name or "")
    return None if isinstance(value, str) else value


def _watts(control: Control, order_w: float, values: Values) -> Steps:
    return ((control.setpoint, order_w),)


def _watts_back(control: Control, values: Values) -> float | None:
    return _number(values, control.setpoint)


def _percent(control: Control, order_w: float, values: Values) -> Steps:
    full_w = _full_w(control, values)
    if full_w is None:
        raise ValueError(f"{control.percent_of} is not available, so {order_w:g} W cannot be said in percent")
    percent = max(-100.0, min(100.0, order_w * 100.0 / full_w))
    pinning = ((control.opposite, -percent),) if control.opposite is not None else ()
    return ((control.setpoint, percent), *pinning)


def _percent_back(control: Control, values: Values) -> float | None:
    full_w, percent = _full_w(control, values), _number(values, control.setpoint)
    if full_w is None or percent is None:
        return None
    if control.opposite is not None and values.get(control.opposite) != -percent:
        return None
    return percent * full_w / 100.0


def _full_w(control: Control, values: Values) -> float | None:
    full_w = _number(values, control.percent_of)
    return full_w if full_w is not None and full_w > 0 else None


def _directed(control: Control, order_w: float, values: Values) -> Steps:
    direction, shared = control.direction or "", control.charge_setpoint is None
    said = (
        control.charging_code
        if order_w < 0
        else control.discharging_code
        if order_w > 0
        else control.idle_code
    )
    point = control.charge_setpoint or control.setpoint
    power = (point if said == control.charging_code else control.setpoint, abs(order_w))
    if not shared:
        return (power, (direction, said))
    through_zero = ((control.setpoint, 0.0),) if values.get(direction) != said else ()
    return (*through_zero, (direction, said), power)


def _directed_back(control: Control, values: Values) -> float | None:
    said = _number(values, control.direction)
    if said == control.charging_code:
        power_w = _number(values, control.charge_setpoint or control.setpoint)
        return None if power_w is None else -power_w or 0.0
    if said == control.discharging_code:
        return _number(values, control.setpoint)
    return 0.0 if said == control.idle_code else None


def _amps(control: Control, order_w: float, values: Values) -> Steps:
    volts = _number(values, control.volts)
    if volts is None or volts <= 0:
        raise ValueError(f"{control.volts} is not available, so {order_w:g} W cannot be said in A")
    charge_a, discharge_a = max(-order_w, 0.0) / volts, max(order_w, 0.0) / volts
    return ((control.charge_setpoint or "", charge_a), (control.setpoint, discharge_a))


def _amps_back(control: Control, values: Values) -> float | None:
    discharge_a, charge_a = _number(values, control.setpoint), _number(values, control.charge_setpoint)
    volts = _number(values, control.volts)
    if discharge_a is None or charge_a is None or volts is None or (discharge_a > 0 and charge_a > 0):
        return None
    return (discharge_a - charge_a) * volts


def _import(control: Control, order_w: float, values: Values) -> Steps:
    base_w = added(control.base, values)
    if base_w is None:
        terms = ", ".join(name for _, name in control.base)
        raise ValueError(f"not all of {terms} are available, so {order_w:g} W cannot be said as an import")
    return ((control.setpoint, base_w - order_w),)


def _import_back(control: Control, values: Values) -> float | None:
    base_w, import_w = added(control.base, values), _number(values, control.setpoint)
    return None if base_w is None or import_w is None else base_w - import_w


def added(terms: Sum, values: Values) -> float | None:
    """The sum of these points; None if one of them is missing."""
    total = 0.0
    for factor, name in terms:
        value = _number(values, name)
        if value is None:
            return None
        total += factor * value
    return total


STYLES: Final[dict[str, Style]] = {
    "enabled_watts": Style(_watts, _watts_back),
    "enabled_percent": Style(_percent, _percent_back, needs=("percent_of",)),
    "pinned_percent": Style(_percent, _percent_back, needs=("percent_of", "opposite")),
    "directed_watts": Style(_directed, _directed_back, needs=("direction",)),
    "limited_amps": Style(_amps, _amps_back, needs=("volts",)),
    "import_watts": Style(_import, _import_back, needs=("base",)),
}
