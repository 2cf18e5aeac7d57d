"""Device profiles: one TOML file makes both the driver and the emulator of a kind of device.

`load_profile` reads, checks and freezes one; a profile that contradicts itself or its own examples is
refused with file, line, point and what to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from drivers.doors import DoorError, Where, dotted, line_of, nearest, one_line, read_toml, validate
from drivers.profile.build import ContradictionError, build
from drivers.profile.door import PointTable, ProfileFile
from drivers.profile.examples import examples_wrong
from drivers.profile.model import Block, DeviceProfile, Lease, Point, Response, Transport, Write

__all__ = [
    "PROFILES",
    "Block",
    "DeviceProfile",
    "Lease",
    "Point",
    "ProfileError",
    "Response",
    "Transport",
    "Write",
    "load_profile",
    "profile_of",
    "profile_schema",
    "shipped_profiles",
]

PROFILES: Final = Path(__file__).parent.parent / "profiles"


class ProfileError(ValueError):
    """A profile was refused; each line of the text is one thing to fix."""


def shipped_profiles() -> tuple[str, ...]:
    """The names that `load_profile` knows without a path."""
    return tuple(sorted(path.stem for path in PROFILES.glob("*.toml")))


def load_profile(name_or_path: str, base: Path | None = None) -> DeviceProfile:
    """A shipped profile by name, or a .toml file by path, relative to `base`; ProfileError if it is bad."""
    path = _path(name_or_path, base)
    try:
        text, tables = read_toml(path)
    except DoorError as error:
        raise ProfileError(str(error)) from None
    return profile_of(path, text, tables)


def profile_of(path: Path, text: str, tables: dict[str, Any]) -> DeviceProfile:
    """The profile in these tables, which stand so in the text of a file; ProfileError if it is bad."""
    try:
        unknown = [_line(path, text, where, what) for where, what in _unknown_point_keys(tables)]
        if unknown:
            raise ProfileError("\n".join(unknown))
        file = validate(path, text, ProfileFile, tables)
    except DoorError as error:
        raise ProfileError(str(error)) from None
    try:
        profile = build(path.stem, file)
    except ContradictionError as error:
        raise ProfileError("\n".join(_line(path, text, where, what) for where, what in error.found)) from None
    for variant in profile.variants.values() or (profile,):
        wrong = [_line(path, text, ("examples", n), what) for n, what in examples_wrong(variant)]
        if wrong:
            raise ProfileError("\n".join(wrong))
    return profile


def profile_schema() -> dict[str, Any]:
    """The JSON Schema of profile files."""
    return ProfileFile.model_json_schema()


def _path(name_or_path: str, base: Path | None) -> Path:
    if name_or_path.endswith(".toml"):
        return (base or Path()) / name_or_path
    known = shipped_profiles()
    if name_or_path not in known:
        raise ProfileError(
            f'there is no profile "{name_or_path}"; {nearest(name_or_path, known)} A path ends in .toml'
        )
    return PROFILES / f"{name_or_path}.toml"


def _unknown_point_keys(tables: dict[str, Any]) -> Iterator[tuple[Where, str]]:
    """Asked first, because the door knows the keys of named tables, but not of freely named ones."""
    points = tables.get("points")
    for name, point in points.items() if isinstance(points, dict) else ():
        for key in point if isinstance(point, dict) else ():
            if key not in PointTable.model_fields:
                known = list(PointTable.model_fields)
                yield ("points", name, key), f"is not a known key; {nearest(key, known)}"


def _line(path: Path, text: str, where: Where, what: str) -> str:
    line = line_of(text, where)
    return one_line(f"{path}{f':{line}' if line else ''}: {dotted(where)}: {what}")
