"""Only one controller a site: a lock in the state folder, held for as long as the program lives."""

from __future__ import annotations

import fcntl
import logging
import os
from contextlib import suppress
from pathlib import Path

from controller.errors import RunError

log = logging.getLogger("penstock.state")

NAME = "lock"


class SiteLock:
    """The lock of one state folder; `take` it before the first order, and when the folder is made anew."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: int | None = None

    def take(self) -> None:
        """Hold it. Does nothing while it is held.

        RunError when another controller holds it, or when this user may not even look whether one does. On a
        disk that cannot be written it locks all the same; where there is nothing to lock, that is logged.
        """
        if self._held is not None and self._is_there(self._held):
            return
        self.release()
        with suppress(OSError):  # then the next line fails too, and says why
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._held = self._opened()
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise RunError(
                f"another penstock controls this site: it holds {self._folder / NAME}; end that one first"
            ) from None
        except PermissionError as error:
            raise RunError(
                f"{error.filename}: {error.strerror}, so another penstock may control this site; "
                "give this user the folder, or run as the one it belongs to"
            ) from None
        except OSError as error:
            log.warning("%s: %s; a second controller of this site would not be noticed", self._folder, error)

    def release(self) -> None:
        """Let it go."""
        held, self._held = self._held, None
        if held is not None:
            os.close(held)

    def _opened(self) -> int:
        """The lock file, also where it cannot be written; the folder itself where there can be no file."""
        path = self._folder / NAME
        with suppress(OSError):
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with suppress(FileNotFoundError):
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        return os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC)

    def _is_there(self, held: int) -> bool:
        """Whether what is held still is what the next controller would find."""
        ours = os.fstat(held)
        for path in (self._folder / NAME, self._folder):
            with suppress(OSError):
                return os.path.samestat(ours, path.stat())
        return False
