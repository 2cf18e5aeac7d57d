"""Two serial ports joined by a null-modem cable, in software: what goes in at one comes out at the other.

Whoever opens one of them must live in the same process, or at least not need the cable while this event
loop sleeps. Between two programs, `socat pty,raw,echo=0,link=A pty,raw,echo=0,link=B` does the same.
"""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

Through = Callable[[bytes], bytes]


@contextmanager
def pty_pair(
    first: Path | None = None, second: Path | None = None, *, through: Through = lambda data: data
) -> Iterator[tuple[str, str]]:
    """The names of two joined ttys, gone afterwards as if both adapters were pulled out.

    Given paths become links to them, so that a pair can come back under its old names. `through` sees
    all bytes on their way, and may change them. Needs a running event loop.
    """
    ends = [os.openpty(), os.openpty()]
    loop = asyncio.get_running_loop()
    for fd in (fd for end in ends for fd in end):
        tty.setraw(fd)
        os.set_blocking(fd, False)

    def pump(source: int, sink: int) -> None:
        with suppress(BlockingIOError):  # nobody has read there for long: what does not fit is lost
            os.write(sink, through(os.read(source, 4096)))

    masters = [master for master, _ in ends]
    for source, sink in (masters, masters[::-1]):
        loop.add_reader(source, pump, source, sink)
    names = [os.ttyname(tty_fd) for _, tty_fd in ends]
    for path, name in zip((first, second), names, strict=True):
        if path is not None:
            path.symlink_to(name)
    try:
        yield names[0], names[1]
    finally:
        for path in (first, second):
            if path is not None:
                path.unlink()
        for master, tty_fd in ends:
            loop.remove_reader(master)
            os.close(tty_fd)
            os.close(master)
