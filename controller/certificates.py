"""Certificates of devices that end soon: an alarm while there is still time to renew them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from controller.clock import WallClock
from drivers.link import Link

log = logging.getLogger("penstock")

WARN_BEFORE_S = 30 * 86_400.0
"""So long before a certificate ends it rings (fault catalogue, A33)."""
DAY_S = 86_400.0


class Certificates:
    """Those of all links; each that ends soon is named in the log, once for each day that is left."""

    def __init__(self, links: Sequence[Link], clock: WallClock) -> None:
        self._links = links
        self._clock = clock
        self._told: dict[str, int] = {}

    def alarms(self) -> tuple[str, ...]:
        """The name of what rings now; nothing while the time is not known."""
        utc_s = self._clock()[0]
        if utc_s is None:
            return ()
        ending = [one for one in self._links if one.certificate_until_utc_s - utc_s < WARN_BEFORE_S]
        for one in ending:
            days = int((one.certificate_until_utc_s - utc_s) // DAY_S)
            place = one.connection.partition("?")[0]
            if self._told.get(place) != days:
                self._told[place] = days
                log.warning("%s: a certificate of the device or its authority ends in %d days", place, days)
        return ("certificate",) if ending else ()
