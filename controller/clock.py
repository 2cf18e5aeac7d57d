"""The wall clock at the site: UTC, whether it can be trusted, and the local offset of this instant."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from controller.dispatch.orders import LocalTime

WallClock = Callable[[], tuple[float | None, LocalTime | None]]
"""UTC seconds, None while unknown, and the local time, None while the clock cannot be trusted."""

TIME_SERVICES = ("systemd/timesync", "chrony/chronyd.pid", "chronyd.pid", "ntpd.pid")
"""Below /run: a host that has one of these has a time service, and its clock is to be synchronised."""
SYNCHRONIZED = "systemd/timesync/synchronized"
"""Below /run: systemd-timesyncd has synchronised the clock since the power came on."""
BUILT_UTC_S = 1_767_225_600.0
"""1 January 2026: a clock before that has not been set since the power came on."""
SYNCHRONIZED_BELOW_US = 16_000_000
"""The kernel lets the greatest possible error of an unsynchronised clock stand there, or rise to there. Time
services set it lower; its flag STA_UNSYNC says less, since chrony without `rtcsync` leaves that set."""


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


_LIBC = ctypes.CDLL(None)


class _Timex(ctypes.Structure):
    """The first members of `struct timex` (adjtimex(2)), and room for the others."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("others", ctypes.c_byte * 256),
    )


def kernel_max_error_us() -> int:
    """By how much the clock may be off, as the kernel was told; unsynchronised where it does not say."""
    found = _Timex()
    if _LIBC.adjtimex(ctypes.byref(found)) < 0:
        return SYNCHRONIZED_BELOW_US
    return int(found.maxerror)


def local_time(utc_s: float, where: ZoneInfo | None) -> LocalTime:
    """The local time of an instant, with the offset in force then."""
    offset = datetime.fromtimestamp(utc_s, UTC).astimezone(where).utcoffset()
    return LocalTime(utc_s, 0.0 if offset is None else offset.total_seconds())


def system_clock(
    where: ZoneInfo | None, run: Path = Path("/run"), max_error_us: Callable[[], int] = kernel_max_error_us
) -> WallClock:
    """The host's clock; trusted once it is synchronised, or set by hand on a host without a time service.

    Once is enough: without the network it drifts by seconds in a week.
    """
    known = False

    def is_known() -> bool:
        if not any((run / one).exists() for one in TIME_SERVICES):
            return True
        return (run / SYNCHRONIZED).exists() or max_error_us() < SYNCHRONIZED_BELOW_US

    def read() -> tuple[float | None, LocalTime | None]:
        nonlocal known
        utc_s = datetime.now(UTC).timestamp()
        known = utc_s >= BUILT_UTC_S and (known or is_known())
        return utc_s, local_time(utc_s, where) if known else None

    return read
