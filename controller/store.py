"""What must survive a power cut, in one SQLite file: state, orders in force, command ids, the audit trail.

What is promised as kept has been synced to the disk (WAL, synchronous=FULL): a kill or a power cut at any
instant leaves all of a change or nothing of it. Each document stands twice, and the older copy is taken where
the newer one is damaged. A file that cannot be read or is of a later version is set aside, never deleted, and
the copy of the last start takes its place; so it does where a file is missing or empty that was there before.
Everything here blocks: `keeper.py` calls it from a thread. `store_read.py` reads without writing.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from zlib import crc32

VERSION = 1
MOST_COMMANDS = 1024
"""So many command ids are remembered (fault catalogue, D12)."""
MOST_ASIDE = 5
"""So many files set aside are kept; the oldest goes first."""
MOST_AUDIT = 10_000
"""So many lines of the audit trail are kept, and one more that they hang on."""
FIRST_HASH = "0" * 64
_HEAD = "audit"
"""The document that says how many entries the audit trail has."""
NAME, BEFORE, NEXT = "state.db", "state.before.db", "state.next.db"

_TABLES = """
CREATE TABLE documents (
    name TEXT, slot INTEGER, seq INTEGER, body TEXT, crc INTEGER, PRIMARY KEY (name, slot)
);
CREATE TABLE commands (seq INTEGER PRIMARY KEY, id TEXT UNIQUE);
CREATE TABLE audit (seq INTEGER PRIMARY KEY, utc_s REAL, who TEXT, what TEXT, hash TEXT);
"""


REFUSALS = (sqlite3.Error, UnicodeDecodeError)
"""How SQLite says no; the second when damaged text stands in its own message."""


class StoreError(Exception):
    """The disk does not take or give it now; the text says why. Trying again later may help.

    After an error of input or output (`untrusted`) nobody knows what of the file is on the disk: a sync that
    failed once succeeds the next time although the data is lost. Then `rewrite` makes a new file.
    """

    def __init__(self, text: str, untrusted: bool = False) -> None:
        super().__init__(text)
        self.untrusted = untrusted


class DamagedError(StoreError):
    """The file cannot be understood, now or later."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the audit trail: who did what. `hash` chains it to all lines before it."""

    seq: int
    utc_s: float | None
    who: str
    what: str
    hash: str


@dataclass(slots=True)
class Kept:
    """What was found: documents by name, command ids oldest first, and an alarm for each damage."""

    documents: dict[str, str]
    command_ids: tuple[str, ...]
    alarms: list[str]


class Store:
    """The open file. Raises StoreError from every method when the disk refuses.

    With `as_it_is` nothing is written and nothing is locked: for a disk that takes neither.
    """

    def __init__(self, path: Path, as_it_is: bool = False) -> None:
        self._path = path
        self._seqs: dict[str, int] = {}
        self._hash, self._audit_seq = FIRST_HASH, 0
        self._inode: tuple[int, int] | None = None
        address = path.absolute().as_uri() + ("?mode=ro&vfs=unix-none" if as_it_is else "")
        try:
            self._db = sqlite3.connect(
                address, timeout=5.0, isolation_level=None, check_same_thread=False, uri=True
            )
        except REFUSALS as error:
            raise named(error, path) from None

    def prepare(self, may_be_new: bool = True) -> None:
        """Make the tables if the file is new, and see whether it is sound and of this version."""
        try:
            # Nobody else may open it. That also spares the card: the index of the WAL is then kept in memory
            # instead of in a file whose pages are written again with each save.
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._db.execute("PRAGMA page_size=1024")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            tables = {name for (name,) in self._db.execute("SELECT name FROM sqlite_master")}
            if version > VERSION:
                raise DamagedError(f"{self._path} is of version {version}, this program knows {VERSION}")
            if not tables and version == 0:
                if not may_be_new:
                    raise DamagedError(f"{self._path} is missing or empty")
                self._db.executescript(f"BEGIN; {_TABLES} PRAGMA user_version={VERSION}; COMMIT;")
            elif version != VERSION or not {"documents", "commands", "audit"} <= tables:
                raise DamagedError(f"{self._path} is no state of Penstock")
            (sound,) = self._db.execute("PRAGMA integrity_check(1)").fetchone()
            self._inode = _inode(self._path)
        except (*REFUSALS, OSError) as error:
            raise named(error, self._path) from None
        if sound != "ok":
            raise DamagedError(f"{self._path} is damaged: {sound}")

    def read(self) -> Kept:
        """Everything that is kept, with an alarm for each thing that was damaged."""
        alarms: list[str] = []
        try:
            names = self._db.execute("SELECT DISTINCT name FROM documents").fetchall()
            documents = {str(name): self._document(name, alarms) for (name,) in names}
            ids = [str(one) for (one,) in self._db.execute("SELECT id FROM commands ORDER BY seq")]
            entries = self.entries()
        except REFUSALS as error:
            raise named(error, self._path) from None
        broken = broken_at(entries)
        if broken is not None:
            alarms.append(f"the audit trail was changed by somebody else, at entry {broken}")
        if entries:
            self._hash, self._audit_seq = str(entries[-1].hash), entries[-1].seq
        head = documents.pop(_HEAD, "")
        if head.isdecimal() and int(head) != self._audit_seq:
            alarms.append(f"the audit trail ends at entry {self._audit_seq}, {head} were written")
        return Kept(documents, tuple(ids), alarms)

    def entries(self) -> list[Entry]:
        """The audit trail, oldest first."""
        try:
            rows = self._db.execute("SELECT seq, utc_s, who, what, hash FROM audit ORDER BY seq")
            return [Entry(*row) for row in rows]
        except REFUSALS as error:
            raise named(error, self._path) from None

    def _document(self, name: object, alarms: list[str]) -> str:
        """The newest whole copy; empty when there is none."""
        rows = self._db.execute("SELECT seq, body, crc FROM documents WHERE name = ?", (name,)).fetchall()
        whole = [row for row in rows if _is_whole(*row)]
        if len(whole) < len(rows):
            which = "the copy before it is used" if whole else "nothing of it is left"
            alarms.append(f"the {name} on disk was damaged; {which}")
        for seq, body, _ in sorted(whole)[-1:]:
            self._seqs[str(name)] = seq
            return str(body)
        return ""

    def save(
        self,
        documents: Mapping[str, str],
        command_id: str = "",
        audit: Sequence[tuple[float | None, str, str]] = (),
    ) -> None:
        """Keep all of it, or, when this raises, nothing. When it returns, the disk has it.

        `audit` are (UTC seconds, who, what). After an error the store is of no more use: close it. A file
        that was removed or replaced meanwhile is an error too: what it takes nobody finds again.
        """
        hash_, number, seqs = self._hash, self._audit_seq, dict(self._seqs)
        try:
            if _inode(self._path) != self._inode:
                raise StoreError(f"{self._path} was replaced by another file")
            self._db.execute("BEGIN IMMEDIATE")
            for name, body in documents.items():
                self._put(name, seqs, body)
            if command_id:
                self._db.execute("INSERT OR REPLACE INTO commands (id) VALUES (?)", (command_id,))
                oldest = "SELECT seq FROM commands ORDER BY seq DESC LIMIT -1 OFFSET ?"
                self._db.execute(f"DELETE FROM commands WHERE seq IN ({oldest})", (MOST_COMMANDS,))
            for utc_s, who, what in audit:
                number += 1
                hash_ = _chained(hash_, number, utc_s, who, what)
                row = (number, utc_s, who, what, hash_)
                self._db.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?)", row)
            if audit:
                self._db.execute("DELETE FROM audit WHERE seq < ?", (number - MOST_AUDIT,))
                self._put(_HEAD, seqs, str(number))
            self._db.execute("COMMIT")
        except (*REFUSALS, OSError) as error:
            raise named(error, self._path) from None
        self._seqs, self._hash, self._audit_seq = seqs, hash_, number

    def _put(self, name: str, seqs: dict[str, int], body: str) -> None:
        """In the place of the older of the two copies."""
        seq = seqs[name] = seqs.get(name, 0) + 1
        row = (name, seq % 2, seq, body, _crc(seq, body))
        self._db.execute("INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?, ?)", row)

    def copy_to(self, name: str) -> None:
        """A whole copy beside it under this name, synced; what had the name before is replaced at once."""
        target, made = self._path.with_name(name), self._path.with_name(f"{name}.part")
        try:
            made.unlink(missing_ok=True)
            self._db.execute("VACUUM INTO ?", (str(made),))
            _sync(made)
            made.replace(target)
            _sync(target.parent)
        except (*REFUSALS, OSError) as error:
            raise named(error, self._path) from None

    def check_writable(self) -> None:
        """DamagedError when the file, in a folder that can be written, says that it must not be."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(f"PRAGMA user_version={VERSION}")
            self._db.execute("ROLLBACK")
        except REFUSALS as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY:
                raise DamagedError(f"{self._path} says of itself that it is read-only") from None
            raise named(error, self._path) from None

    def close(self) -> None:
        """Close it; what was not saved is gone."""
        try:
            self._db.close()
        except REFUSALS as error:
            raise named(error, self._path) from None


def open_store(folder: Path) -> tuple[Store, Kept]:
    """The store of a folder, made if need be; what cannot be understood is set aside with an alarm.

    StoreError when the disk does not allow to write there.
    """
    alarms: list[str] = []
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / NAME
        if (folder / NEXT).exists():
            if not holds_something(path):
                (folder / NEXT).replace(path)
            (folder / NEXT).unlink(missing_ok=True)
        # Whoever has made a copy had a file: one that is missing or empty beside it was lost.
        new = not (folder / BEFORE).exists()
        for source in (None, BEFORE, ""):
            if source:
                if not (folder / source).exists():
                    continue
                made = folder / f"{NAME}.part"
                shutil.copyfile(folder / source, made)
                _sync(made)
                made.replace(path)
                alarms.append("the state of the last start is used")
            store = Store(path)
            try:
                store.prepare(may_be_new=new or source == "")
                kept = store.read()
                store.copy_to(BEFORE)
                store.check_writable()
            except DamagedError as error:
                store.close()
                alarms.append(f"{error}; it was set aside as {set_aside(path)}")
                continue
            except StoreError:
                store.close()
                raise
            kept.alarms[:0] = alarms
            return store, kept
    except OSError as error:
        raise named(error, folder) from None
    raise StoreError(f"{folder} does not keep what is written there")


def rewrite(folder: Path) -> None:
    """Put everything into a new file, after an error that leaves the old one in doubt; that is set aside."""
    path = folder / NAME
    store = Store(path)
    try:
        store.prepare()
        store.copy_to(NEXT)
    finally:
        store.close()
    try:
        set_aside(path)
        (folder / NEXT).replace(path)
        _sync(folder)
    except OSError as error:
        raise named(error, folder) from None


def broken_at(entries: Sequence[Entry]) -> int | None:
    """The first entry that does not follow from those before it; None when the chain is whole."""
    hash_, gone = FIRST_HASH, 0
    if entries and entries[-1].seq > MOST_AUDIT:
        # The lines before were let go; the oldest is there for its hash alone.
        gone = entries[-1].seq - MOST_AUDIT
        if entries[0].seq != gone:
            return gone
        hash_, entries = entries[0].hash, entries[1:]
    for number, entry in enumerate(entries, gone + 1):
        hash_ = _chained(hash_, number, entry.utc_s, entry.who, entry.what)
        if entry.seq != number or entry.hash != hash_:
            return number
    return None


def holds_something(path: Path) -> bool:
    """Whether there is a file that is not empty. Raises OSError."""
    return path.exists() and path.stat().st_size > 0


def set_aside(path: Path) -> str:
    """Rename a file that cannot be used, with what belongs to it; its new name. Raises OSError."""
    taken = sorted(path.parent.glob(f"{path.name}.aside-*"), key=_number)
    for old in taken[: max(len(taken) - MOST_ASIDE + 1, 0)]:
        old.unlink()
    target = path.with_name(f"{path.name}.aside-{_number(taken[-1]) + 1 if taken else 1}")
    path.replace(target)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return target.name


def _number(path: Path) -> int:
    last = path.name.rpartition("-")[2]
    return int(last) if last.isdecimal() else 0


def _chained(before: str, seq: int, utc_s: float | None, who: str, what: str) -> str:
    return sha256(json.dumps([before, seq, utc_s, who, what], default=repr).encode()).hexdigest()


def _crc(seq: int, body: str) -> int:
    return crc32(f"{seq}:{body}".encode("utf-8", "surrogatepass"))


def _is_whole(seq: object, body: object, crc: object) -> bool:
    return isinstance(seq, int) and isinstance(body, str) and crc == _crc(seq, body)


def _inode(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


_TROUBLE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    }
)
"""What says something of the disk, not of the file."""


def named(error: Exception, path: Path) -> StoreError:
    """The error of the disk, or a DamagedError, that a refusal of SQLite or the system means."""
    if isinstance(error, OSError):
        return StoreError(f"{path}: {error.strerror or error}")
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & 0xFF in _TROUBLE:
        return StoreError(f"{path}: {error}", untrusted=code & 0xFF == sqlite3.SQLITE_IOERR)
    return DamagedError(f"{path} cannot be read: {error}")
