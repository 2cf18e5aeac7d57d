"""A serial line as an asyncio transport, by termios: raw, 8 data bits, ours alone.

pymodbus' own transport for serial lines does not tell its protocol when it is closed, and needs a further
package for the few settings that are made here. A line that vanishes (an adapter pulled out) is a lost
connection; who wants it back opens it anew.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import stat
import termios
from typing import Any, cast

from drivers.address import SerialAddress

READ_BYTES = 4096
_PSEUDO_TERMINAL_MAJORS = range(136, 144)  # Linux, admin-guide/devices.txt


class PortError(OSError):
    """A serial line cannot be opened; the text says what to do."""


def open_port(address: SerialAddress, protocol: asyncio.Protocol) -> SerialTransport:
    """The line, already connected to its protocol; PortError when there is none or it is not free."""
    try:
        fd = os.open(address.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError as error:
        raise PortError(_why_not(error)) from None
    try:
        _set_up(fd, address)
    except (OSError, termios.error) as error:
        os.close(fd)
        raise PortError(_why_not(error)) from None
    return SerialTransport(fd, protocol)


def _why_not(error: OSError | termios.error) -> str:
    number = error.args[0]
    match number:
        case errno.ENOENT | errno.ENXIO | errno.ENODEV | errno.EIO:
            return "there is no such serial device; is the adapter plugged in?"
        case errno.EACCES | errno.EPERM:
            return "no permission to use it; the user must be in the group that owns it, often dialout"
        case errno.EWOULDBLOCK | errno.EBUSY:
            return "another program uses it"
        case errno.ENOTTY:
            return "it is not a serial device"
    return os.strerror(number).lower()


def _set_up(fd: int, address: SerialAddress) -> None:
    attributes: list[Any] = termios.tcgetattr(fd)
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    flags = termios.CS8 | termios.CREAD | termios.CLOCAL
    # A pseudo-terminal has no line: it refuses parity.
    if address.parity != "N" and not _is_pseudo(fd):
        flags |= termios.PARENB | (termios.PARODD if address.parity == "O" else 0)
    if address.stop_bits == 2:
        flags |= termios.CSTOPB
    speed = getattr(termios, f"B{address.baud}")
    control_characters = list(attributes[6])
    control_characters[termios.VMIN], control_characters[termios.VTIME] = 1, 0
    check_parity = termios.INPCK if flags & termios.PARENB else 0
    termios.tcsetattr(fd, termios.TCSANOW, [check_parity, 0, flags, 0, speed, speed, control_characters])
    termios.tcflush(fd, termios.TCIOFLUSH)


def _is_pseudo(fd: int) -> bool:
    status = os.fstat(fd)
    return stat.S_ISCHR(status.st_mode) and os.major(status.st_rdev) in _PSEUDO_TERMINAL_MAJORS


class SerialTransport(asyncio.Transport):
    """A serial line that is open; `close` and `abort` are the same, as nothing is worth waiting for."""

    def __init__(self, fd: int, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._fd = fd
        self._protocol: asyncio.BaseProtocol = protocol
        self._unsent = bytearray()
        self._closing = False
        self._reading = True
        self._loop.add_reader(fd, self._readable)
        protocol.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Send, now as far as the line takes it, the rest as soon as it does."""
        if self._closing:
            return
        waiting = bool(self._unsent)
        self._unsent += data
        if not waiting:
            self._writable()
            if self._unsent and not self._closing:
                self._loop.add_writer(self._fd, self._writable)

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._end(None)

    def abort(self) -> None:
        self._end(None)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def is_reading(self) -> bool:
        return self._reading

    def pause_reading(self) -> None:
        if self._reading and not self._closing:
            self._reading = False
            self._loop.remove_reader(self._fd)

    def resume_reading(self) -> None:
        if not self._reading and not self._closing:
            self._reading = True
            self._loop.add_reader(self._fd, self._readable)

    def get_write_buffer_size(self) -> int:
        return len(self._unsent)

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(error)
            return
        if data:
            cast(asyncio.Protocol, self._protocol).data_received(data)
        else:
            self._end(None)

    def _writable(self) -> None:
        try:
            del self._unsent[: os.write(self._fd, self._unsent)]
        except BlockingIOError:
            return
        except OSError as error:
            self._end(error)
            return
        if not self._unsent:
            self._loop.remove_writer(self._fd)

    def _end(self, error: OSError | None) -> None:
        if self._closing:
            return
        self._closing = True
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        os.close(self._fd)
        self._loop.call_soon(self._protocol.connection_lost, error)
