"""Which bytes are on their way between sockets of this process: sent at one end, not yet come to the other.

Linux counts both for each TCP connection (`struct tcp_info` in <linux/tcp.h>). On the loopback bytes arrive
before `send` returns, unless the host is busy; then the kernel delivers them a little later. A socket that
gathers small writes (Nagle's algorithm, RFC 896) holds them back until what it sent before is acknowledged,
which takes up to 40 ms; what waits because the other end takes nothing more is not on its way.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable

_INFO_BYTES = 216
# Packets not acknowledged, bytes received, bytes held back, and bytes sent and sent again.
_COUNTS = struct.Struct("=24xI100xQ8xI52xQQ")


class Connections:
    """The TCP connections both of whose ends are among these descriptors."""

    def __init__(self, descriptors: Iterable[int]) -> None:
        self.strange = 0
        """How many descriptors are no TCP sockets: nobody can tell what is on its way there."""
        self._known: list[socket.socket] = []
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        ends: dict[tuple[object, object], socket.socket] = {}
        for number in descriptors:
            one = _tcp(number)
            if one is None:
                self.strange += 1
                continue
            self._known.append(one)
            try:
                here, there = one.getsockname(), one.getpeername()
            except OSError:
                continue  # it listens, or is not connected yet
            other = ends.pop((there, here), None)
            if other is None:
                ends[here, there] = one
            else:
                self._pairs.append((one, other))

    def in_flight(self) -> bool:
        """Whether something was sent that has not come yet."""
        for one, other in self._pairs:
            one_received, one_sent, one_gathers = _counts(one)
            other_received, other_sent, other_gathers = _counts(other)
            if one_sent > other_received or other_sent > one_received or one_gathers or other_gathers:
                return True
        return False

    def let_go(self) -> None:
        """Forget the descriptors without closing them."""
        for one in self._known:
            one.detach()
        self._known, self._pairs = [], []


def _tcp(descriptor: int) -> socket.socket | None:
    """The socket behind a descriptor, if it is one of TCP; somebody else's, so never closed here."""
    try:
        one = socket.socket(fileno=descriptor)
    except OSError:
        return None
    if one.family in (socket.AF_INET, socket.AF_INET6) and one.type == socket.SOCK_STREAM:
        return one
    one.detach()
    return None


def _counts(one: socket.socket) -> tuple[int, int, bool]:
    """Bytes received and sent by this end, and whether it holds some back until others are acknowledged.

    Older kernels do not count what was sent.
    """
    info = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
    if len(info) < _INFO_BYTES:
        return 0, 0, False
    unacknowledged, received, held_back, sent, again = _COUNTS.unpack(info)
    return received, sent - again, held_back > 0 and unacknowledged > 0
