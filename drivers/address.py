"""Connection strings: where a bus is, and how to reach it.

    tcp://192.168.1.20:502                         Modbus TCP; port 502 when left out
    tls://192.168.1.20?ca=FILE&cert=FILE&key=FILE  Modbus/TCP Security; port 802 when left out
    rtu:///dev/ttyUSB0?baud=19200&parity=E&stop=1  a serial line; these three are the defaults
    rtu+tcp://192.168.1.20:4196                    serial frames through a transparent gateway

Defaults: MODBUS over Serial Line V1.02, sections 2.5.1 and 3.3 (8 data bits, 19,200 baud, even parity);
MODBUS/TCP Security V2.1 (port 802).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

MODBUS_PORT, MODBUS_SECURITY_PORT = 502, 802
BAUD_RATES = (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400)

Parity = Literal["N", "E", "O"]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a Modbus TCP device listens."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class TlsAddress:
    """Where a Modbus/TCP Security device listens, and the PEM files that either end shows and trusts."""

    host: str
    port: int
    ca: Path
    cert: Path
    key: Path


@dataclass(frozen=True, slots=True)
class RtuTcpAddress:
    """Where a gateway passes serial frames through as they are."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class SerialAddress:
    """A serial line, 8 data bits."""

    path: str
    baud: int = 19200
    parity: Parity = "E"
    stop_bits: Literal[1, 2] = 1


AnyAddress = Address | TlsAddress | RtuTcpAddress | SerialAddress

_OPTIONS = {"rtu": ("baud", "parity", "stop"), "tls": ("ca", "cert", "key")}
_USAGE = {
    "tcp": "give tcp://HOST:PORT, for instance tcp://192.168.1.20:502 or tcp://[fd00::20]:502",
    "tls": "give tls://HOST:PORT?ca=FILE&cert=FILE&key=FILE with absolute paths of PEM files",
    "rtu+tcp": "give rtu+tcp://HOST:PORT, for instance rtu+tcp://192.168.1.20:4196",
    "rtu": "give rtu:///dev/TTY?baud=19200&parity=E&stop=1, for instance rtu:///dev/ttyUSB0?baud=9600&parity=N",
}


def parse_connection(connection: str) -> AnyAddress:
    """Read a connection string; ValueError says what is wrong with it and shows a right one."""
    scheme = connection.partition(":")[0]
    usage = _USAGE.get(scheme, _USAGE["tcp"])
    try:
        parts = urlsplit(connection)
        if scheme not in _USAGE:
            known = ", ".join(f"{name}://" for name in _USAGE)
            raise ValueError(f"scheme {parts.scheme!r} is not one of {known}")
        if any(letter.isspace() for letter in connection) or parts.fragment or "@" in parts.netloc:
            raise ValueError("spaces, '#' and '@' have no place in it")
        return _read(scheme, parts)
    except ValueError as error:
        raise ValueError(f"connection {connection!r}: {error}; {usage}") from None


def _read(scheme: str, parts: SplitResult) -> AnyAddress:
    options = _options(parts, _OPTIONS.get(scheme, ()))
    if scheme == "rtu":
        return _serial(parts, options)
    if parts.path not in ("", "/") or (parts.path and scheme == "tcp"):
        raise ValueError(f"{parts.path!r} follows the port")
    host, port = _host(parts), parts.port
    if scheme == "tcp":
        return Address(host, _port(MODBUS_PORT if port is None else port))
    if scheme == "rtu+tcp":
        if port is None:
            raise ValueError("the port is missing, and there is no usual one")
        return RtuTcpAddress(host, _port(port))
    files = {name: _file(name, options) for name in ("ca", "cert", "key")}
    return TlsAddress(host, _port(MODBUS_SECURITY_PORT if port is None else port), **files)


def _options(parts: SplitResult, known: tuple[str, ...]) -> dict[str, str]:
    pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    options = dict(pairs)
    if len(options) != len(pairs):
        raise ValueError("an option is given twice")
    for name in options:
        if name not in known:
            allowed = "the options are " + ", ".join(known) if known else "it takes no options"
            raise ValueError(f"{name!r} is not known, {allowed}")
    return options


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    host.encode("idna")
    if not host:
        raise ValueError("the host is missing")
    return host


def _port(port: int) -> int:
    if port == 0:
        raise ValueError("ports are 1 to 65535")
    return port


def _file(name: str, options: dict[str, str]) -> Path:
    path = Path(options.get(name, ""))
    if not path.is_absolute() or "\0" in str(path):
        raise ValueError(f"{name} is {options.get(name, 'missing')!r}")
    return path


def _serial(parts: SplitResult, options: dict[str, str]) -> SerialAddress:
    path = unquote(parts.path)
    if parts.netloc or not path.startswith("/") or path.endswith("/"):
        raise ValueError(f"{parts.netloc + path!r} is not the path of a serial device")
    baud, parity, stop = options.get("baud", "19200"), options.get("parity", "E"), options.get("stop", "1")
    if baud not in map(str, BAUD_RATES):
        raise ValueError(f"baud is {baud!r}, one of {', '.join(map(str, BAUD_RATES))} is possible")
    found_parity = next((one for one in get_args(Parity) if one == parity.upper()), None)
    if found_parity is None:
        raise ValueError(f"parity is {parity!r}, N (none), E (even) and O (odd) are possible")
    if stop not in ("1", "2"):
        raise ValueError(f"stop is {stop!r}, 1 and 2 are possible")
    return SerialAddress(path, int(baud), found_parity, 1 if stop == "1" else 2)
