"""The process of what serves until it is ended: neither a log that nobody reads nor a disk makes it wait."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import traceback
from collections.abc import Coroutine
from logging.handlers import QueueHandler
from queue import Empty, Full, Queue
from threading import Thread
from typing import Any, NoReturn

from controller.errors import EXIT_BAD_FILE, EXIT_FAILED, RunError
from drivers.doors import DoorError

MOST_LINES = 2000
"""So many lines wait for whoever reads the log; what comes then is lost, and counted."""
LAST_LINES_WITHIN_S = 2.0
FORMAT, TIME_FORMAT = "%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"


class LogThread(QueueHandler):
    """Writes the log with a thread of its own: a pipe that nobody empties, or Ctrl-S, stops only the log."""

    def __init__(self, out: logging.Handler, most_lines: int = MOST_LINES) -> None:
        self._lines: Queue[logging.LogRecord | None] = Queue(most_lines)
        super().__init__(self._lines)
        self._out = out
        self._lost = self._told_lost = 0
        self._thread = Thread(target=self._write, name="penstock-log", daemon=True)
        self._thread.start()

    def enqueue(self, record: logging.LogRecord) -> None:
        """Never waits."""
        try:
            self._lines.put_nowait(record)
        except Full:
            self._lost += 1

    def ended(self, within_s: float) -> bool:
        """Whether all of it was written, within this time from when there is room; nothing more is then."""
        try:
            self._lines.put(None, timeout=within_s)
        except Full:
            return False
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _write(self) -> None:
        while (record := self._next()) is not None:
            self._out.handle(record)

    def _next(self) -> logging.LogRecord | None:
        """The next line; before one is waited for, how many there was no room for."""
        try:
            return self._lines.get_nowait()
        except Empty:
            lost = self._lost - self._told_lost
            if not lost:
                return self._lines.get()
        self._told_lost += lost
        text = f"{lost} lines of the log are missing here: nobody read it"
        return logging.LogRecord("penstock", logging.WARNING, __file__, 0, text, None, None)


def run_alone(work: Coroutine[Any, Any, None], quiet: bool) -> NoReturn:
    """Run to the end and leave with its exit code; nothing else runs in this process.

    It leaves at once: devices are released by then and what was to be kept is written, or was given up after
    its own time. The interpreter would wait for ever for a thread that a disk does not answer.
    """
    out = logging.StreamHandler(sys.stderr)
    out.setFormatter(logging.Formatter(FORMAT, TIME_FORMAT))
    log = LogThread(out)
    level = logging.WARNING if quiet else logging.INFO
    logging.basicConfig(level=level, format="%(message)s", handlers=[log])
    code, last_words = EXIT_FAILED, ""
    try:
        # Its `close`, which is left out, waits for threads as well.
        asyncio.Runner().run(work)
        code = 0
    except KeyboardInterrupt:
        code = 130
    except (RunError, DoorError) as error:
        code = EXIT_BAD_FILE if isinstance(error, DoorError) else EXIT_FAILED
        last_words = "".join(f"penstock: {line}\n" for line in str(error).splitlines())
    finally:
        # A bug is still on its way here: what the interpreter would say of it is said before it ends.
        bug = sys.exc_info()[1]
        if log.ended(LAST_LINES_WITHIN_S):
            if bug is not None:
                last_words = "".join(traceback.format_exception(bug))
            sys.stderr.write(last_words)
            sys.stderr.flush()
        os._exit(code)
