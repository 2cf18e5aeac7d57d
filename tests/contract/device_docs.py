"""Writes docs/devices.md from the profiles: `python -m tests.contract.device_docs`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from drivers.profile import DeviceProfile, load_profile, shipped_profiles
from drivers.profile.model import HELD, REQUIRED, Role

PAGE: Final = Path(__file__).parent.parent.parent / "docs" / "devices.md"
TITLES: Final[dict[Role, str]] = {
    "meter": "Meters",
    "battery": "Battery inverters",
    "pv": "PV inverters",
    "switch": "Switches of loads",
}
WAYS: Final = {"tcp": "TCP", "rtu": "RS-485", "tls": "TLS"}
POSITIVE: Final = {
    "meter": ("import", "export"),
    "battery": ("discharge", "charge"),
    "pv": ("generation", "load"),
}
HEADER: Final = """\
# Devices

This page is made from the profiles in `drivers/profiles` by `python -m tests.contract.device_docs`; a test
fails while it is out of date. Change a profile, not this page. A device that is not here can be added in an
evening: [add-a-device.md](add-a-device.md). Whatever speaks SunSpec needs no profile: `profile = "sunspec"`.

No profile was tried on a device by us unless its source says so. Confidence is *high* where two independent
sources, or the vendor's own table, agree; *medium* where one program that people use reads it so; *low* where
`penstock check` warns. RS-485 devices work on a serial line (`rtu://`) and behind a gateway (`tcp://`,
`rtu+tcp://`). *Sign* is what a positive number in the device's own register means; inside Penstock a
positive power always feeds the site. *Lease* is how long the device keeps an order when we fall silent, and
what it does then. *How fast* is the time until the power begins to follow an order; where it is not known, an
order has 15 s to show in the power.
"""


def page() -> str:
    """The whole of docs/devices.md."""
    profiles = [load_profile(name) for name in shipped_profiles()]
    parts = [HEADER]
    for role, title in TITLES.items():
        rows = [_row(profile) for profile in profiles if profile.role == role]
        ordered = role in HELD or role == "switch"
        names = ["Device", "Profile", "Reached over", "Sign", "Confidence", "Source"]
        if ordered:
            names[4:4] = ["How it is ordered", "Lease", "Write wear", "How fast"]
        parts.append(f"\n## {title}\n\n{_line(names)}{_line(['---'] * len(names))}")
        parts += [_line(row if ordered else row[:4] + row[8:]) for row in rows]
    return "".join(parts)


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _row(profile: DeviceProfile) -> list[str]:
    return [
        profile.name,
        f"`{profile.id}`",
        ", ".join(WAYS[way] for way in profile.transport.over) or "not said",
        _sign(profile),
        _ordered(profile),
        _lease(profile),
        _wear(profile),
        _fast(profile),
        profile.confidence,
        "<br>".join(profile.source),
    ]


def _sign(profile: DeviceProfile) -> str:
    field = REQUIRED[profile.role]
    if profile.role == "switch":
        return f"{profile.gives[field].true_when[0]} is closed"
    plus, minus = POSITIVE[profile.role]
    terms = profile.sums.get(field)
    if terms is not None:
        text = " ".join(f"{'+' if factor > 0 else '-'} `{name}`" for factor, name in terms).removeprefix("+ ")
        turned = {profile.points[name].encoding.scale < 0 for _, name in terms}
        one_way = all(factor > 0 for factor, _ in terms) and len(turned) == 1
        return f"{text}, each + {minus if turned.pop() else plus}" if one_way else text
    point = profile.gives[field]
    if point.sign is not None:
        return f"in the bits of `{point.sign.point}`"
    return f"+ {minus if point.encoding.scale < 0 else plus}"


def _ordered(profile: DeviceProfile) -> str:
    if profile.relay is not None:
        point = profile.points[profile.relay.point]
        moves = f"0x{profile.relay.close:04X} closes, 0x{profile.relay.open:04X} opens"
        return f"{moves} (function {6 if point.single else 16}), {profile.relay.channels} relays"
    control = profile.control
    if control is None:
        return "read only"
    steps = [name for name, _ in control.prepare]
    steps += [control.setpoint, *(name for name, _ in control.select)]
    steps += [name for name in (control.direction, control.enable) if name is not None]
    text = f"{control.style}: " + ", ".join(f"`{name}`" for name in dict.fromkeys(steps))
    return f"{text}; **{profile.limited}**" if profile.limited else text


def _lease(profile: DeviceProfile) -> str:
    lease = profile.lease
    if lease is None:
        return "-"
    if lease.seconds is None:
        return f"**none**: {lease.fallback}"
    return f"{lease.seconds:g} s, then {lease.fallback}"


def _wear(profile: DeviceProfile) -> str:
    worn = [point for point in profile.points.values() if point.writes_per_day is not None]
    if profile.relay is not None:
        return "contacts: moved only when they must"
    return ", ".join(f"`{point.name}`: {point.writes_per_day} a day" for point in worn) or "none known"


def _fast(profile: DeviceProfile) -> str:
    response = profile.response
    if not response.source:
        return "not known"
    lag = f"{response.dead_time_s:g} s, then a time constant of {response.time_constant_s:g} s"
    return f"{lag} ({response.source})"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
