"""A connection string is read once, and a wrong one is answered with a right one."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.address import (
    Address,
    AnyAddress,
    RtuTcpAddress,
    SerialAddress,
    TlsAddress,
    parse_connection,
)
from drivers.link import LinkTiming, open_link

PEM = "ca=/etc/p/ca.pem&cert=/etc/p/c.pem&key=/etc/p/c.key"


@pytest.mark.parametrize(
    ("connection", "address"),
    [
        ("tcp://127.0.0.1:5020", Address("127.0.0.1", 5020)),
        ("tcp://inverter.local", Address("inverter.local", 502)),
        ("tcp://[fd00::20]:1502", Address("fd00::20", 1502)),
        ("tcp://[::1]", Address("::1", 502)),
        ("rtu+tcp://192.168.1.20:4196", RtuTcpAddress("192.168.1.20", 4196)),
        ("rtu:///dev/ttyUSB0", SerialAddress("/dev/ttyUSB0", 19200, "E", 1)),
        ("rtu:///dev/ttyUSB0?baud=9600&parity=n&stop=2", SerialAddress("/dev/ttyUSB0", 9600, "N", 2)),
        ("rtu:///dev/serial/by-id/usb-A%20B", SerialAddress("/dev/serial/by-id/usb-A B")),
        (
            f"tls://inverter.local?{PEM}",
            TlsAddress(
                "inverter.local",
                802,
                Path("/etc/p/ca.pem"),
                Path("/etc/p/c.pem"),
                Path("/etc/p/c.key"),
            ),
        ),
    ],
)
def test_a_connection_says_where_a_bus_is_and_how_to_reach_it(connection: str, address: AnyAddress) -> None:
    assert parse_connection(connection) == address


@pytest.mark.parametrize(
    ("connection", "complaint", "right"),
    [
        ("127.0.0.1:5020", "scheme", "tcp://HOST:PORT"),
        ("http://127.0.0.1:502", "'http' is not one of tcp://, tls://, rtu+tcp://, rtu://", "tcp://HOST"),
        ("tcp://", "the host is missing", "tcp://HOST:PORT"),
        ("tcp://:502", "the host is missing", "tcp://HOST:PORT"),
        ("tcp://host:0", "ports are 1 to 65535", "tcp://HOST:PORT"),
        ("tcp://host:70000", "out of range", "tcp://HOST:PORT"),
        ("tcp://host:5o2", "5o2", "tcp://HOST:PORT"),
        ("tcp://me@host:502", "no place in it", "tcp://HOST:PORT"),
        ("tcp://host:502/1", "'/1' follows the port", "tcp://HOST:PORT"),
        ("tcp://host:502?unit=1", "'unit' is not known, it takes no options", "tcp://HOST:PORT"),
        ("tcp://my host:502", "no place in it", "tcp://HOST:PORT"),
        ("tcp://[fd00::20:502", "IPv6", "tcp://HOST:PORT"),
        ("tcp://a..b:502", "label", "tcp://HOST:PORT"),
        ("", "scheme", "tcp://HOST:PORT"),
        ("rtu+tcp://host", "the port is missing", "rtu+tcp://HOST:PORT"),
        ("rtu://dev/ttyUSB0", "not the path of a serial device", "rtu:///dev/TTY"),
        ("rtu:///dev/", "not the path of a serial device", "rtu:///dev/TTY"),
        ("rtu:///dev/ttyUSB0?baud=9601", "baud is '9601', one of 1200", "rtu:///dev/TTY"),
        ("rtu:///dev/ttyUSB0?parity=X", "parity is 'X'", "rtu:///dev/TTY"),
        ("rtu:///dev/ttyUSB0?stop=3", "stop is '3'", "rtu:///dev/TTY"),
        ("rtu:///dev/ttyUSB0?speed=9600", "'speed' is not known, the options are baud", "rtu:///dev/TTY"),
        ("rtu:///dev/ttyUSB0?baud=9600&baud=19200", "given twice", "rtu:///dev/TTY"),
        ("tls://host", "ca is 'missing'", "tls://HOST:PORT"),
        ("tls://host?ca=ca.pem&cert=/c&key=/k", "ca is 'ca.pem'", "absolute paths"),
        (f"tls://host?{PEM}&verify=no", "'verify' is not known", "tls://HOST:PORT"),
    ],
)
def test_what_is_no_connection_is_refused_with_the_reason_and_an_example_of_one(
    connection: str, complaint: str, right: str
) -> None:
    with pytest.raises(ValueError, match="give ") as caught:
        open_link(connection, LinkTiming())
    assert complaint in str(caught.value)
    assert right in str(caught.value)
