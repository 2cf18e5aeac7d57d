"""The wall clock at the site: UTC, whether it can be trusted, and the local offset of this instant."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from controller.dispatch.orders import LocalTime

WallClock = Callable[[], tuple[float | None, LocalTime | None]]
"""UTC seconds, None while unknown, and the local time, None while the clock cannot be trusted."""

_SYNCHRONIZED = (Path("/run/systemd/timesync/synchronized"), Path("/run/chrony/chronyd.pid"))
_NO_TIMESYNC = Path("/run/systemd/timesync")
_BUILT_UTC_S = 1_767_225_600.0
"""1 January 2026: a clock before that has not been set since the power came on."""


def no_clock() -> tuple[float | None, LocalTime | None]:
    """For sites without a wall clock: nothing is known."""
    return None, None


def zone(name: str | None) -> ZoneInfo | None:
    """The time zone by its IANA name, None for the host's own; ValueError when there is none of that name."""
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, IsADirectoryError):
        usage = 'give a name such as "Europe/Brussels"'
        raise ValueError(f'"{name}" is no time zone of this host; {usage}') from None


def local_time(utc_s: float, where: ZoneInfo | None) -> LocalTime:
    """The local time of an instant, with the offset in force then."""
    offset = datetime.fromtimestamp(utc_s, UTC).astimezone(where).utcoffset()
    return LocalTime(utc_s, 0.0 if offset is None else offset.total_seconds())


def system_clock(where: ZoneInfo | None) -> WallClock:
    """The host's clock; trusted once it is synchronised, or set by hand on a host without a time service."""

    def read() -> tuple[float | None, LocalTime | None]:
        utc_s = datetime.now(UTC).timestamp()
        return utc_s, local_time(utc_s, where) if _trusted(utc_s) else None

    return read


def _trusted(utc_s: float) -> bool:
    if utc_s < _BUILT_UTC_S:
        return False
    return not _NO_TIMESYNC.exists() or any(path.exists() for path in _SYNCHRONIZED)
