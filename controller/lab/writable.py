"""Where a report is to go is tried before the work begins: nobody wants to learn of it afterwards."""

from __future__ import annotations

import tempfile
from pathlib import Path

from controller.errors import RunError
from drivers.doors import DoorError


def folder(path: Path, option: str) -> None:
    """Make the folder if there is none; DoorError when files cannot be written into it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        why = "is no folder" if isinstance(error, FileExistsError) else _why(error)
        raise DoorError(f"{option} {path}: {why}; give a folder that can be written to") from None


def page(path: Path, option: str) -> None:
    """DoorError when a file cannot be written there; whatever is there stays as it is."""
    was_there = path.exists()
    try:
        with path.open("ab"):
            pass
        if not was_there:
            path.unlink()
    except OSError as error:
        raise DoorError(f"{option} {path}: {_why(error)}; give a file that can be written") from None


def write(path: Path, text: str) -> None:
    """RunError when it cannot be written after all."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RunError(f"{path}: {_why(error)}") from None


def _why(error: OSError) -> str:
    return f"cannot be written: {error.strerror}"
