"""Text that a user gives us: read whole if it is not too large, or said clearly why not."""

from __future__ import annotations

from pathlib import Path


class TextFileError(ValueError):
    """A file could not be read as text; the text names the file and what would be right."""


def read_text(path: Path, most_bytes: int) -> str:
    """The text of a UTF-8 file, without a byte order mark; TextFileError when there is none to be had."""
    try:
        if path.stat().st_size > most_bytes:
            raise TextFileError(f"{path}: is larger than {most_bytes} bytes")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise TextFileError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise TextFileError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
