"""The flight recorder's files: every cycle as the core saw it and what it decided, in segments.

A segment stands by itself: it begins with the version of the program, the settings and the memory, so that
any later program can decide it all again, to the bit. It is a row of frames, each with its length and a
check sum; where a power cut has torn the last one, all before it is still good. No secrets are ever in it:
only what dispatch knows, and the error texts of devices.
"""

from __future__ import annotations

import json
import os
import platform
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from controller import __version__
from controller.dispatch.decision import Decision, Memory
from controller.dispatch.orders import NO_ORDERS
from controller.dispatch.settings import DispatchConfig
from controller.dispatch.site import Snapshot
from controller.record_types import RecordError
from controller.records import Reader, Vocabulary
from drivers.doors import DoorError

MAGIC = b"PENSTOCK JOURNAL\n"
FORMAT = 1
SUFFIX = ".penstock"
LARGEST_FRAME = 64 * 1024 * 1024
_WHEN = "%Y%m%dT%H%M%S"
_FRAME = struct.Struct("<II")


class JournalError(DoorError):
    """A file is no segment that this program can read; the text says why."""


@dataclass(frozen=True, slots=True)
class Aside:
    """What is worth knowing of a cycle beside the core's part; tuples are in the order of the stations.

    `errors` say why a device is offline or its last order failed, `outcomes` what became of that order.
    """

    seq: int
    read_ms: int = 0
    overruns: int = 0
    errors: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recorded:
    """One cycle. `decision` is None for the one in which the core failed and the program ended."""

    snapshot: Snapshot
    decision: Decision | None
    aside: Aside


@dataclass(frozen=True, slots=True)
class Start:
    """What a segment begins with. `why` is the reason of an incident, empty for the running record."""

    site: str
    config: DispatchConfig
    memory: Memory
    stations: tuple[str, ...] = ()
    why: str = ""
    program: str = __version__
    python: str = platform.python_version()


_WORDS = Vocabulary(Snapshot, Decision, Memory, DispatchConfig, Aside, usual=(NO_ORDERS,))


class SegmentWriter:
    """A segment being written; raises OSError when the disk refuses, and is of no more use then."""

    def __init__(self, path: Path, start: Start) -> None:
        self.path = path
        self.size = 0
        self._words = _WORDS.writer()
        self._packer = zlib.compressobj(6)
        self._last: tuple[Snapshot | None, Decision | None, Aside | None] = (None, None, None)
        self._file = path.open("xb", buffering=0)
        head = {
            "format": FORMAT,
            "site": start.site,
            "stations": start.stations,
            "why": start.why,
            "program": start.program,
            "python": start.python,
            "types": _WORDS.described(),
        }
        out = bytearray()
        self._words.put(out, start.config)
        self._words.put(out, start.memory)
        try:
            self._write(MAGIC + _framed(json.dumps(head).encode()) + _framed(self._packed(out)))
        except OSError:
            self._file.close()
            path.unlink(missing_ok=True)
            raise

    def add(self, cycles: Sequence[Recorded]) -> None:
        """Append cycles, in one piece."""
        out = bytearray()
        snapshot, decision, aside = self._last
        for one in cycles:
            self._words.put(out, one.snapshot, snapshot)
            self._words.put(out, one.decision, decision)
            self._words.put(out, one.aside, aside)
            snapshot, decision, aside = one.snapshot, one.decision, one.aside
        self._write(_framed(self._packed(out)))
        self._last = (snapshot, decision, aside)

    def close(self, sync: bool = True) -> None:
        """The end of it; synced, so that a finished segment is on the disk."""
        try:
            if sync:
                os.fsync(self._file.fileno())
        finally:
            self._file.close()

    def _packed(self, data: bytearray) -> bytes:
        return self._packer.compress(data) + self._packer.flush(zlib.Z_SYNC_FLUSH)

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]
        self.size += len(data)


class Segment:
    """A segment that was written: `start`, and its cycles one after the other."""

    def __init__(self, path: Path) -> None:
        """JournalError when the file is no segment, or one of a later program."""
        self.path = path
        self.torn = ""
        """Why the cycles ended before the file did, once they have been read; empty when they did not."""
        try:
            file = path.open("rb")
        except OSError as error:
            raise JournalError(f"{path}: {error.strerror}") from None
        with file:
            head, self._reader, memory_config, self._begin = _opened(path, file)
        config, memory = memory_config
        self.start = Start(
            str(head.get("site", "")),
            config,
            memory,
            tuple(str(one) for one in head.get("stations", ())),
            str(head.get("why", "")),
            str(head.get("program", "")),
            str(head.get("python", "")),
        )

    def cycles(self) -> Iterator[Recorded]:
        """Every cycle that is whole."""
        self.torn = ""
        snapshot = decision = aside = None
        with self.path.open("rb") as file:
            unpacker = zlib.decompressobj()
            file.seek(len(MAGIC))
            _frame(file)
            _unpacked(unpacker, _frame(file))
            while True:
                try:
                    frame = _frame(file)
                    if not frame:
                        return
                    data, at = _unpacked(unpacker, frame), 0
                    while at < len(data):
                        snapshot, at = self._reader.take(data, at, snapshot)
                        decision, at = self._reader.take(data, at, decision)
                        aside, at = self._reader.take(data, at, aside)
                        yield Recorded(snapshot, decision, aside)
                except (_TornError, RecordError) as error:
                    self.torn = str(error)
                    return


class _TornError(Exception):
    """A frame is not whole."""


def _framed(payload: bytes) -> bytes:
    return _FRAME.pack(len(payload), zlib.crc32(payload)) + payload


def _frame(file: IO[bytes]) -> bytes:
    """The next frame; empty at the end of the file."""
    head = file.read(_FRAME.size)
    if not head:
        return b""
    if len(head) < _FRAME.size:
        raise _TornError("the file ends in the middle of a frame")
    length, crc = _FRAME.unpack(head)
    if length > LARGEST_FRAME:
        raise _TornError("a frame has an impossible length")
    payload = file.read(length)
    if len(payload) < length:
        raise _TornError("the file ends in the middle of a frame")
    if zlib.crc32(payload) != crc:
        raise _TornError("a frame is damaged")
    return payload


def _unpacked(unpacker: Any, payload: bytes) -> bytes:
    try:
        data = unpacker.decompress(payload, LARGEST_FRAME)
    except zlib.error as error:
        raise _TornError(f"a frame is damaged ({error})") from None
    if unpacker.unconsumed_tail:
        raise _TornError("a frame is larger than any that was written")
    return bytes(data)


def _opened(path: Path, file: IO[bytes]) -> tuple[dict[str, Any], Reader, tuple[Any, Any], int]:
    if file.read(len(MAGIC)) != MAGIC:
        raise JournalError(f"{path} is no recording of Penstock; give a file that ends in {SUFFIX}")
    try:
        head = json.loads(_frame(file))
        if not isinstance(head, dict) or head.get("format") != FORMAT:
            found = head.get("format") if isinstance(head, dict) else None
            ours = f"this Penstock ({__version__}) reads format {FORMAT}"
            raise JournalError(f"{path} has format {found}; {ours}, take the one that recorded it")
        reader = _WORDS.reader(head.get("types"))
        data = _unpacked(zlib.decompressobj(), _frame(file))
        config, at = reader.take(data, 0)
        memory, _ = reader.take(data, at)
    except (ValueError, _TornError) as error:
        if isinstance(error, JournalError):
            raise
        raise JournalError(f"{path} cannot be read: {error}") from None
    if not isinstance(config, DispatchConfig) or not isinstance(memory, Memory):
        raise JournalError(f"{path} cannot be read: it does not begin with settings and memory")
    return head, reader, (config, memory), file.tell()


def segments(folder: Path) -> list[Path]:
    """The segments of a folder, oldest first by their running number; the clock may have been wrong.

    What only has the name of one, a folder or a link to nowhere, is none.
    """
    return sorted((one for one in folder.glob(f"*{SUFFIX}") if one.is_file()), key=number_of)


def number_of(path: Path) -> int:
    """The running number that a file's name begins with; 0 when there is none."""
    first = path.name.partition("-")[0]
    return int(first) if first.isdecimal() else 0


def begun_utc_s(path: Path) -> float | None:
    """When a segment was begun, by the clock of then as its name has it; None when that says nothing."""
    try:
        return datetime.strptime(path.name.split("-")[1].partition(".")[0], f"{_WHEN}%z").timestamp()
    except (IndexError, ValueError):
        return None


def next_path(folder: Path, utc_s: float | None, word: str = "") -> Path:
    """The name of the next segment: running number, UTC, and a word for an incident."""
    newest = max((number_of(one) for one in folder.glob(f"*{SUFFIX}")), default=0)
    when = "no-clock" if utc_s is None else datetime.fromtimestamp(utc_s, UTC).strftime(_WHEN) + "Z"
    return folder / f"{newest + 1:06d}-{when}{f'-{word}' if word else ''}{SUFFIX}"
