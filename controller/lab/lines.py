"""What emulators need before anybody can connect: joined serial ports and certificates, made on the fly.

A serial port that is not there, outside of /dev, becomes one end of a pair in software; the emulator answers
at the other end. Certificates that are not there are signed by an authority that is forgotten at once: for
tests on one host, and for nothing else. They stay, so that both ends can be started again.
"""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
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
def laid(connection: str) -> Iterator[str]:
    """Where the emulator of this connection has to listen; a pair of ports made for it is gone afterwards."""
    address = parse_connection(connection)
    if isinstance(address, SerialAddress) and _is_to_be_made(Path(address.path)):
        with _paired(address) as place:
            yield place
        return
    if isinstance(address, TlsAddress):
        _certify(address)
    yield connection


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
        wrong = {
            "expired": authority.issue_cert(
                address.host,
                not_before=datetime(2020, 1, 1, tzinfo=UTC),
                not_after=datetime(2021, 1, 1, tzinfo=UTC),
            ),
            "other_host": authority.issue_cert("somebody-else.example"),
            "stranger": trustme.CA(organization_name="Stranger").issue_cert(address.host),
        }
        for what, other in wrong.items():
            path = _wrong_file(address, what)
            path.touch(mode=0o600)
            other.private_key_and_cert_chain_pem.write_to_path(path)
    except OSError as error:
        raise RunError(f"{error.filename}: cannot be made: {error.strerror}") from None
    log.info("made test certificates: %s, %s and %s", *files)


def _wrong_file(address: TlsAddress, what: str) -> Path:
    return address.cert.with_name(f"{address.cert.name}.{what}")


def wrong_context(address: TlsAddress, what: str) -> ssl.SSLContext | None:
    """For an end that shows a certificate nobody must trust; None where the certificates are not ours."""
    path = _wrong_file(address, what)
    if not path.exists():
        log.error("%s is not there: the certificates of %s were not made here", path, address.host)
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def moved_to(config: Config, way: Way | None, folder: Path, virtual: bool = False) -> Config:
    """The same site with every bus at a free place of this host; ports and certificates go into `folder`.

    Each is of the kind that its connection string says, unless a `way` says what all of them are. In virtual
    time serial frames go through a gateway on TCP: the kernel hands on the bytes of a tty whenever it likes,
    and nobody can ask it whether some are still on their way.
    """
    places: dict[str, str] = {}

    def place(kind: str, number: int) -> str:
        if kind == "rtu" and virtual:
            kind = "rtu+tcp"
        if kind == "rtu":
            return f"rtu://{folder}/bus{number}?baud=115200&parity=N"
        files = f"?ca={folder}/ca{number}.pem&cert={folder}/cert{number}.pem&key={folder}/key{number}.pem"
        return f"{kind}://127.0.0.1:{_free_port()}{files if kind == 'tls' else ''}"

    def moved(entry: DeviceEntry) -> DeviceEntry:
        if entry.connection not in places:
            kind = way or entry.connection.partition(":")[0]
            places[entry.connection] = place(kind, len(places) + 1)
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
