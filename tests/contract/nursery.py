"""Starts `penstock run SITE` again and again without waiting for its imports each time.

`python -m tests.contract.nursery SITE` forks one for each line that it reads, says its pid, and, when it has
ended, how: the number of the signal as a negative one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from controller import config, supervisor
from controller.__main__ import main as penstock


class Nursery:
    """The other end, in the test."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def start(self) -> int:
        """One more controller; its pid."""
        assert self._process.stdin is not None
        self._process.stdin.write("start\n")
        self._process.stdin.flush()
        return self._said()

    def killed(self, pid: int, number: int) -> int:
        """Send it this signal and wait for its end."""
        os.kill(pid, number)
        return self._said()

    def _said(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


@contextmanager
def nursery(site: Path, log: Path) -> Iterator[Nursery]:
    """What the controllers say goes into `log`."""
    command = [sys.executable, "-m", "tests.contract.nursery", str(site)]
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output, text=True
        )
    try:
        yield Nursery(process)
    finally:
        process.communicate()


IMPORTED = (config, supervisor)
"""All that a run imports only once it runs."""


def main() -> None:
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            os.dup2(os.open(os.devnull, os.O_RDWR), 0)
            os.dup2(2, 1)
            sys.argv = ["penstock", "run", sys.argv[1]]
            penstock()
            os._exit(0)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
