"""Reads what a folder keeps without writing there: the disk is read-only, or a controller is at work."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from controller.store import (
    BEFORE,
    NAME,
    DamagedError,
    Entry,
    Kept,
    Store,
    StoreError,
    holds_something,
    named,
)


def read_only(folder: Path) -> Kept:
    """What is kept in a folder that cannot be written; StoreError when it cannot be read either.

    The copy of the last start serves where the newest is missing, empty or damaged. Where there is no room
    for a copy elsewhere, as on a whole disk that is read-only, it is read in its place.
    """
    try:
        found = [name for name in (NAME, BEFORE) if holds_something(folder / name)]
    except OSError as error:
        raise named(error, folder) from None
    alarms = [f"{folder / NAME} is missing or empty"] if found == [BEFORE] else []
    for name in found:
        try:
            with _readable(folder, name) as store:
                kept = store.read()
        except DamagedError as error:
            alarms.append(str(error))
            continue
        if name == BEFORE:
            alarms.append("the state of the last start is used")
        kept.alarms[:0] = alarms
        return kept
    if alarms:
        raise DamagedError("; ".join(alarms))
    return Kept({}, (), [])


def audit_trail(folder: Path) -> list[Entry]:
    """The audit trail of a folder, also while a controller writes there; StoreError when unreadable."""
    if not (folder / NAME).exists():
        return []
    with _copied(folder, NAME) as store:
        return store.entries()


class _NoRoomError(StoreError):
    """Nowhere on this computer can a copy be put."""


@contextmanager
def _readable(folder: Path, name: str) -> Iterator[Store]:
    with ExitStack() as stack:
        try:
            store = stack.enter_context(_copied(folder, name))
        except _NoRoomError:
            store = stack.enter_context(_prepared(folder / name, as_it_is=True))
        yield store


@contextmanager
def _copied(folder: Path, name: str) -> Iterator[Store]:
    """A copy elsewhere of what a folder holds, whether or not that can be written or is in use."""
    with ExitStack() as stack:
        try:
            copy = Path(stack.enter_context(TemporaryDirectory(prefix="penstock-")))
            for one in (name, f"{name}-wal"):
                if (folder / one).exists():
                    shutil.copyfile(folder / one, copy / one)
        except OSError as error:
            raise _NoRoomError(f"{folder} cannot be copied to read it: {error.strerror or error}") from None
        yield stack.enter_context(_prepared(copy / name))


@contextmanager
def _prepared(path: Path, as_it_is: bool = False) -> Iterator[Store]:
    store = Store(path, as_it_is)
    try:
        store.prepare()
        yield store
    finally:
        store.close()
