"""Local offsets of real places, as planning asks for them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from controller.clock import local_time
from controller.planning.calendars import OffsetAt

BRUSSELS = ZoneInfo("Europe/Brussels")
LOS_ANGELES = ZoneInfo("America/Los_Angeles")


def offset_in(zone: ZoneInfo) -> OffsetAt:
    """The offset in force there at an instant."""
    return lambda utc_s: local_time(utc_s, zone).offset_s


def utc_s(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> float:
    """Of an instant given in UTC."""
    return datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp()


def local_s(zone: ZoneInfo, year: int, month: int, day: int, hour: int = 0) -> float:
    """UTC seconds of an instant given on the clock of a place."""
    return datetime(year, month, day, hour, tzinfo=zone).timestamp()
