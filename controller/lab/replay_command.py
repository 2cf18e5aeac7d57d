"""`penstock replay`: decides recordings again and says, in words for the phone, whether anything differs."""

from __future__ import annotations

import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from lzma import LZMAError
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from controller.config import load_config
from controller.dispatch.settings import DispatchConfig
from controller.journal import SUFFIX, JournalError, Segment, segments
from controller.lab.extras import need
from controller.lab.replay import Replay, WhatIf, replayed, replayed_file
from controller.lab.replay_words import heading, missing, settings_changed, verdict
from drivers.doors import DoorError

if TYPE_CHECKING:
    from controller.lab.replay_report import Page

LARGEST_RECORDING = 256 * 1024 * 1024
NOT_UNPACKED = (
    zipfile.BadZipFile,
    zlib.error,
    LZMAError,
    struct.error,
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
)
"""What comes of a file that was damaged on its way, or that somebody else has packed with a password."""
WORTH_PROCESSES = 256 * 1024
"""Less than so many bytes of recordings are decided in this process."""


def replay_files(sources: list[Path], site: Path | None, report: Path | None) -> bool:
    """Replay each recording and print what came of it; True when every decision was the same.

    With `site` the settings of that site file are taken instead: then differences are what was asked for.
    """
    config = None if site is None else load_config(site).dispatch
    out = Console(highlight=False, soft_wrap=True)
    page = None if report is None else _page(config)
    same, cycles, differing, site_name = True, 0, 0, ""
    with _recordings(sources) as paths, _progress() as bar:
        task = bar.add_task("", total=None)
        found = _segments(paths, out)
        what_if = None
        if config is not None:
            what_if = WhatIf(config)
            for segment in found:
                _check_fits(segment, config, site)

        def show(done: int) -> None:
            bar.update(task, description=f"{cycles + done} cycles")

        before: tuple[Segment, Replay] | None = None
        alone = page is None and what_if is None
        for segment, result in _side_by_side(found) if alone else _in_turn(found, what_if, page, show):
            site_name = segment.start.site
            same = same and result.first is None
            cycles, differing = cycles + result.cycles, differing + result.differing
            show(0)
            for line in missing(before, segment, result):
                out.print(line)
            _print(out, segment, result, config)
            before = (segment, result) if result.cycles else before
    if len(found) > 1:
        out.print(f"\n{len(found)} recordings, {cycles} cycles, {differing} decisions differ")
    if page is not None and report is not None:
        _written(report, page.html(f"Replay of {site_name}"))
        out.print(f"report: {report}")
    return same or config is not None


def _page(config: DispatchConfig | None) -> Page:
    need("--report", "lab", "plotly")
    from controller.lab.replay_report import Page  # its plots take half a second to load, seldom needed

    return Page(config)


def _segments(paths: list[Path], out: Console) -> list[Segment]:
    """Those that can be read; of several, the others are named and left out."""
    found = []
    for path in paths:
        try:
            found.append(Segment(path))
        except JournalError as error:
            if len(paths) == 1:
                raise
            out.print(f"{error}; left out")
    return found


def _in_turn(
    found: list[Segment], what_if: WhatIf | None, page: Page | None, show: Callable[[int], None]
) -> Iterator[tuple[Segment, Replay]]:
    for segment in found:
        if page is not None:
            page.begin(segment)
        result = replayed(segment, what_if, None if page is None else page.watch, show)
        if page is not None:
            page.ended(result)
        yield segment, result


def _side_by_side(found: list[Segment]) -> Iterator[tuple[Segment, Replay]]:
    """Each stands by itself, so all processors can work; not worth it for a few."""
    if sum(one.path.stat().st_size for one in found) < WORTH_PROCESSES or len(found) == 1:
        yield from _in_turn(found, None, None, lambda done: None)
        return
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        results = pool.map(replayed_file, [one.path for one in found])
        for segment, (result, torn) in zip(found, results, strict=True):
            segment.torn = torn
            yield segment, result


def _print(out: Console, segment: Segment, result: Replay, other: DispatchConfig | None) -> None:
    out.print(heading(segment, result))
    if other is not None:
        changed = settings_changed(segment.start.config, other)
        out.print("  changed    " + ("\n             ".join(changed) if changed else "no setting at all"))
    for line in verdict(segment, result, other is not None):
        out.print(line)


def _check_fits(segment: Segment, config: DispatchConfig, site: Path | None) -> None:
    """DoorError when the changed settings describe other devices."""
    was = segment.start.config
    for name in ("batteries", "pvs", "loads"):
        before, after = ([one.id for one in getattr(each, name)] for each in (was, config))
        if before != after:
            raise DoorError(
                f"{site}: {name} are {', '.join(after) or 'none'}, in {segment.path.name} they are "
                f"{', '.join(before) or 'none'}; change settings, not devices"
            )


@contextmanager
def _recordings(sources: list[Path]) -> Iterator[list[Path]]:
    """The recordings that are meant: files, those inside packed incidents, all of a site or folder."""
    with tempfile.TemporaryDirectory(prefix="penstock-replay-") as unpacked:
        found: list[Path] = []
        for number, source in enumerate(sources):
            if source.is_dir() or source.suffix == ".toml":
                folder = source if source.is_dir() else load_config(source).state.folder
                inside = segments(folder / "journal") or segments(folder)
                if not inside:
                    raise JournalError(f"{folder} holds no recordings; they end in {SUFFIX}")
                found += inside
            elif zipfile.is_zipfile(source):
                found += _unpacked(source, Path(unpacked) / str(number))
            else:
                found.append(source)
        yield found


def _unpacked(source: Path, folder: Path) -> list[Path]:
    """The recordings of a packed incident, under their own plain names."""
    folder.mkdir()
    found = []
    try:
        with zipfile.ZipFile(source) as pack:
            for info in pack.infolist():
                if not info.filename.endswith(SUFFIX):
                    continue
                if info.file_size > LARGEST_RECORDING:
                    raise JournalError(f"{source}: {info.filename} is larger than any recording")
                path = folder / Path(info.filename).name
                path.write_bytes(pack.read(info))
                found.append(path)
    except JournalError:
        raise
    except NOT_UNPACKED as error:
        raise JournalError(f"{source} cannot be unpacked ({error}); have it sent again") from None
    if not found:
        raise JournalError(f"{source} holds no recording; give what `penstock incident` has made")
    return found


def _progress() -> Progress:
    console = Console(stderr=True)
    return Progress(
        SpinnerColumn(),
        TextColumn("replaying {task.description}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _written(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DoorError(f"{path}: {error.strerror}") from None
