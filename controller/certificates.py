"""Certificates of devices: whether those of the site file are good, and an alarm before they end."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from controller.clock import WallClock
from controller.config import Config, ConfigError, placed
from drivers.address import TlsAddress, parse_connection
from drivers.doors import Where
from drivers.link import Link
from drivers.tls import TlsFilesError, certificates_hold

log = logging.getLogger("penstock")

WARN_BEFORE_S = 30 * 86_400.0
"""So long before a certificate ends it rings (fault catalogue, A33)."""
DAY_S = 86_400.0


def check_certificates(config: Config, utc_s: float) -> None:
    """ConfigError naming every connection whose files cannot be used now.

    For who checks a site file: a running site goes on trying, as a file may be renewed under it.
    """
    tables = [("meter", [config.meter]), ("battery", config.batteries), ("pv", config.pvs)]
    tables.append(("switch", [one.device for one in config.switches]))
    wrong: list[tuple[Where, str]] = []
    for table, entries in tables:
        for index, entry in enumerate(entries):
            address = parse_connection(entry.connection)
            if not isinstance(address, TlsAddress):
                continue
            try:
                certificates_hold(address, utc_s)
            except TlsFilesError as error:
                there = any(file.exists() for file in (address.ca, address.cert, address.key))
                none = "" if there else "; where none is there, penstock emulate makes all three for a try"
                wrong.append(((table, index, "connection"), f"{error}{none}"))
    if wrong:
        text = config.path.read_text(encoding="utf-8")
        raise ConfigError("\n".join(placed(config.path, text, where, what) for where, what in wrong))


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
