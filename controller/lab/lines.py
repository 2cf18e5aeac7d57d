"""What emulators need before anybody can connect: joined serial ports and certificates, made on the fly.

A serial port that is not there, outside of /dev, becomes one end of a pair in software; the emulator answers
at the other end. Certificates that are not there are signed by an authority that is forgotten at once: for
tests on one host, and for nothing else. They stay, so that both ends can be started again.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

from controller.config import Config, DeviceEntry
from controller.errors import RunError
from drivers.address import SerialAddress, TlsAddress, parse_connection
from simulators.serial_pair import pty_pair

log = logging.getLogger("penstock")

Way = Literal["tcp", "rtu", "tls"]
WAYS: tuple[Way, ...] = get_args(Way)
DEVICES = Path("/dev")
"""Where real serial ports are: one that is missing there is not plugged in, and none is invented."""


@contextmanager
def laid(connections: Iterable[str]) -> Iterator[Mapping[str, str]]:
    """Where the emulator of each connection has to listen; pairs of ports are gone afterwards."""
    with ExitStack() as stack:
        found: dict[str, str] = {}
        for connection in connections:
            address = parse_connection(connection)
            found[connection] = connection
            if isinstance(address, SerialAddress) and _is_to_be_made(Path(address.path)):
                found[connection] = stack.enter_context(_paired(address))
            elif isinstance(address, TlsAddress):
                _certify(address)
        yield found


def _is_to_be_made(port: Path) -> bool:
    return not port.exists() and DEVICES not in port.parents


@contextmanager
def _paired(address: SerialAddress) -> Iterator[str]:
    """A pair of ports, one under this name; the connection string of the other."""
    port = Path(address.path)
    if port.is_symlink():  # left behind by a program that was killed
        port.unlink()
    try:
        with pty_pair(port) as (ours, others):
            log.info("%s: made two joined serial ports, %s and %s", port, ours, others)
            yield f"rtu://{others}?baud={address.baud}&parity={address.parity}&stop={address.stop_bits}"
    except OSError as error:
        raise RunError(f"{port}: cannot be made: {error.strerror or error}") from None


def _certify(address: TlsAddress) -> None:
    """Make the three files if none of them is there; RunError when that cannot be done."""
    files = (address.ca, address.cert, address.key)
    if any(one.exists() for one in files):
        return
    try:
        import trustme
    except ModuleNotFoundError:
        raise RunError(f"{address.ca} is not there; the extra lab makes one for tests") from None
    authority = trustme.CA(organization_name="Penstock test")
    issued = authority.issue_cert(address.host)
    try:
        address.key.touch(mode=0o600)
        authority.cert_pem.write_to_path(address.ca)
        issued.private_key_pem.write_to_path(address.key)
        for one in issued.cert_chain_pems:
            one.write_to_path(address.cert)
    except OSError as error:
        raise RunError(f"{error.filename}: cannot be made: {error.strerror}") from None
    log.info("made test certificates: %s, %s and %s", *files)


def moved_to(config: Config, way: Way, folder: Path) -> Config:
    """The same site with every bus at a free place of this host; ports and certificates go into `folder`."""
    places: dict[str, str] = {}

    def place(number: int) -> str:
        if way == "rtu":
            return f"rtu://{folder}/bus{number}?baud=115200&parity=N"
        files = f"?ca={folder}/ca{number}.pem&cert={folder}/cert{number}.pem&key={folder}/key{number}.pem"
        return f"{way}://127.0.0.1:{_free_port()}{files if way == 'tls' else ''}"

    def moved(entry: DeviceEntry) -> DeviceEntry:
        if entry.connection not in places:
            places[entry.connection] = place(len(places) + 1)
        return replace(entry, connection=places[entry.connection])

    return replace(
        config,
        meter=moved(config.meter),
        batteries=tuple(moved(one) for one in config.batteries),
        pvs=tuple(moved(one) for one in config.pvs),
        switches=tuple(replace(one, device=moved(one.device)) for one in config.switches),
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
