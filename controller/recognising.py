"""Which of the known profiles fits a device that does not say what it is: read it by each, and look.

Registers of another device decode to something too, so a fit needs at least two values that hardly come by
chance (a mains voltage, a mains frequency, a state of charge, a nameplate, a name in letters, a code that the
profile knows) and none that cannot be. The meter of a hybrid may show nothing but a power: it is named where
another part of the same make fits. Where nothing fits like that, what has all the registers of a profile and
shows something in them could be that device. All this is a hint: the display of the device decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

from drivers.device import DeviceError
from drivers.link import Link
from drivers.modbus.polling import Poller
from drivers.profile import DeviceProfile, load_profile, shipped_profiles
from drivers.profile.model import GIVES, IDENTITY
from drivers.registers import Value

ONE_PROFILE_S = 40.0
"""A profile is given up with the first request that fails: so long only a slow device takes for it."""
ALL_PROFILES_S = 80.0
ENOUGH_FACTS = 2
LAYOUTS = "sunspec-"
"""Profiles of devices that a SunSpec walk would have found."""

# A value inside is a fact; 0 is none, and not implausible either; anything else cannot be.
LIKELY: dict[str, tuple[float, float]] = {
    "phase_voltage_v": (80.0, 300.0),
    "frequency_hz": (45.0, 65.0),
    "soc_pct": (1.0, 100.0),
    "capacity_wh": (500.0, 5e6),
    "max_charge_w": (100.0, 1e6),
    "max_discharge_w": (100.0, 1e6),
    "rated_w": (100.0, 1e6),
}
POSSIBLE: dict[str, float] = {"W": 1e6, "A": 5e3, "Wh": 1e12, "C": 120.0}
"""Largest magnitude of everything else, by unit."""
SMALLEST = 1e-6
"""Below this, other than 0, stands a whole number that was read as a float."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A profile that makes sense of a device: `facts` of its values speak for it."""

    profile: DeviceProfile
    facts: int
    values: dict[str, Value]
    """The reading's fields and the identity, by name."""

    @property
    def shown(self) -> int:
        """How many of the values are there and not 0."""
        return sum(value not in (None, 0.0, "") for value in self.values.values())


async def fits(link: Link, unit: int, within_s: float = ALL_PROFILES_S) -> tuple[list[Fit], list[Fit]]:
    """The profiles that fit, and those that could, the best one first; no register is written.

    A reply may take as long as the profile that is tried says that its device does.
    """
    until_s = asyncio.get_running_loop().time() + within_s
    possible = []
    for name in shipped_profiles():
        now_s = asyncio.get_running_loop().time()
        if name.startswith(LAYOUTS) or now_s >= until_s:
            continue
        profile = load_profile(name)
        with link.patient(profile.transport.timeout_ms / 1000.0):
            fit = await _fit(profile, link, unit, min(until_s, now_s + ONE_PROFILE_S))
        if fit is not None:
            possible.append(fit)
    makers = {_maker(fit) for fit in possible if fit.facts >= ENOUGH_FACTS}
    possible.sort(key=lambda fit: (-fit.facts, -fit.shown))
    found = [fit for fit in possible if fit.facts >= ENOUGH_FACTS or _maker(fit) in makers]
    return found, [fit for fit in possible if fit not in found and fit.shown > 0]


def _maker(fit: Fit) -> str:
    return fit.profile.name.split()[0]


async def _fit(profile: DeviceProfile, link: Link, unit: int, deadline_s: float) -> Fit | None:
    poller = Poller("scan", profile, link, unit)
    try:
        _, read = await poller.poll(deadline_s)
    except DeviceError:
        return None
    fields = [*GIVES[profile.role], *IDENTITY]
    values = {field: read.get(poller.profile.named(field)) for field in fields}
    judged = [_fact(profile, field, value) for field, value in values.items() if value is not None]
    if None in judged:
        return None
    return Fit(profile, sum(fact is True for fact in judged) + _codes(poller.profile, read), values)


def _codes(profile: DeviceProfile, read: Mapping[str, Value]) -> int:
    """How many registers of its control hold a code that the profile knows, other than 0 and 1."""
    control = profile.control
    if control is None:
        return 0
    directions = (control.charging_code, control.discharging_code, control.idle_code)
    codes: list[tuple[str | None, tuple[float, ...]]] = [
        (control.enable, (control.on, control.off)),
        (control.direction, directions),
        *((name, (code,)) for name, code in control.select + control.restore),
    ]
    held = {name: read.get(name) for name, known in codes if name and read.get(name) in known}
    return sum(name != control.setpoint and code not in (0.0, 1.0) for name, code in held.items())


def _fact(profile: DeviceProfile, field: str, value: Value) -> bool | None:
    """Whether a value speaks for the profile; None if it speaks against it."""
    if isinstance(value, str):
        letters = sum(one.isalnum() for one in value)
        return None if "?" in value else letters >= 3
    if value is None or value == 0.0:
        return False
    name = field.partition(".")[0]
    if name in LIKELY:
        low, high = LIKELY[name]
        return True if low <= value <= high else None
    largest = POSSIBLE.get(GIVES[profile.role].get(field, ""))
    if largest is None:
        return False
    return False if isfinite(value) and SMALLEST <= abs(value) <= largest else None
