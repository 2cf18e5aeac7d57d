"""`penstock incident`: one file to send to somebody who is to find out what happened. No secrets in it.

What goes in is named here, item by item, and all of it is what dispatch itself knows: the recording, the
settings of dispatch, the audit trail, which device profiles. The site file stays at home, with its addresses,
names and comments; so does every password.
"""

from __future__ import annotations

import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from controller import __version__
from controller.config import Config, load_config
from controller.dispatch.site import Snapshot
from controller.errors import RunError
from controller.journal import SUFFIX, JournalError, Segment, number_of, segments
from controller.lab.extras import installed
from controller.lab.replay import Replay, replayed
from controller.lab.replay_words import at, heading, missing, verdict
from controller.recorder import AFTER_S
from controller.settings_text import flat
from controller.store import StoreError, broken_at
from controller.store_read import audit_trail
from drivers.doors import DoorError

if TYPE_CHECKING:
    from controller.lab.replay_report import Page

MOST_AUDIT_LINES = 1000


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the recordings of a site are; `config` is None when only the folder was named."""

    folder: Path
    config: Config | None

    @property
    def incidents(self) -> list[Path]:
        return segments(self.folder / "incidents")

    @property
    def running(self) -> list[Path]:
        return segments(self.folder / "journal")


def incident(what: str, source: Path, out: Path | None) -> list[str]:
    """Do what was asked and return the lines to print: `list`, or pack `latest`, `now` or a file."""
    place = _place(source)
    kept = any((place.folder / name).is_dir() for name in ("journal", "incidents"))
    if what in ("list", "latest", "now") and not kept:
        raise DoorError(
            f"{place.folder} holds no recordings; give the site file of a controller that has run, "
            "or the folder where it keeps its state"
        )
    if what == "list":
        return _listed(place)
    if what == "latest":
        if not place.incidents:
            raise RunError(_none_kept(place))
        chosen = place.incidents[-1:]
    elif what == "now":
        chosen = place.running[-2:]
        if not chosen:
            raise RunError(f"nothing has been recorded in {place.folder / 'journal'} yet")
    else:
        chosen = [_named(place, what)]
    return _packed(place, chosen, out)


def _place(source: Path) -> _Place:
    if source.is_dir():
        return _Place(source, None)
    config = load_config(source)
    return _Place(config.state.folder, config)


def _listed(place: _Place) -> list[str]:
    if not place.incidents:
        return [_none_kept(place)]
    lines = []
    for path in place.incidents:
        try:
            segment = Segment(path)
            moment = _moment(segment)
        except JournalError as error:
            lines.append(f"{number_of(path):6}  {error}")
            continue
        when = "empty" if moment is None else at(moment.utc_s, moment.now_s)
        lines.append(f"{number_of(path):6}  {when}  {segment.start.why}")
    newest = number_of(place.incidents[-1])
    return [*lines, f"to pack one: penstock incident {newest} SITE"]


def _none_kept(place: _Place) -> str:
    where, minutes = place.folder / "incidents", AFTER_S / 60
    return (
        f"no incident has been kept in {where}; one is kept {minutes:g} minutes after it happened. "
        "To send what happens now, type: penstock incident now SITE"
    )


def _moment(segment: Segment) -> Snapshot | None:
    """When it happened: the cycle that `why` tells of, else the last one; None in an empty file."""
    last = None
    for one in segment.cycles():
        last = one.snapshot
        decision = one.decision
        if decision is not None and segment.start.why.endswith(f"{decision.mode.value}: {decision.reason}"):
            break
    return last


def _named(place: _Place, what: str) -> Path:
    """An incident by its number or file name, or any recording by its path."""
    if what.isdecimal():
        for path in place.incidents:
            if number_of(path) == int(what):
                return path
        raise RunError(f"there is no incident {what}; see: penstock incident list SITE")
    for path in (place.folder / "incidents" / what, Path(what)):
        if path.is_file():
            return path
    raise RunError(f'"{what}" is no incident; give latest, list, now, a number from the list, or a file')


def _packed(place: _Place, chosen: list[Path], out: Path | None) -> list[str]:
    """Write the pack; the lines that say what is in it and where it is."""
    page = _page()
    words: list[str] = []
    before: tuple[Segment, Replay] | None = None
    site = ""
    for path in chosen:
        segment = Segment(path)
        site = segment.start.site
        if page is None:
            result = replayed(segment, None)
        else:
            page.begin(segment)
            result = replayed(segment, None, page.watch)
            page.ended(result)
        gap = missing(before, segment, result)
        words += [*gap, heading(segment, result), *verdict(segment, result, False)]
        before = (segment, result) if result.cycles else before
    target = out or Path(f"penstock-{site}-{chosen[-1].name.removesuffix(SUFFIX)}.zip")
    audit, sound = _audit(place)
    words.append(f"  audit      {sound}")
    texts = {
        "what-happened.txt": "\n".join(words) + "\n",
        "settings.txt": _settings(chosen[-1], place.config),
        "audit.txt": audit,
    }
    open_it = "what-happened.txt"
    if page is not None:
        open_it = "what-happened.html"
        texts[open_it] = page.html(f"Incident at {site}")
    _write(target, chosen, texts)
    size_kib = target.stat().st_size / 1024
    return [
        *words,
        "",
        f"packed: {target} ({size_kib:.0f} KiB)",
        "Send this one file. In it are the recording, the settings of the controller and the audit trail; no",
        f"passwords, and not your site file. To look at it yourself, unpack it and open {open_it}.",
        f"Whoever gets it types: penstock replay {target.name}",
    ]


def _page() -> Page | None:
    """What happened with plots, where the extra `lab` is installed; whoever gets the file can make it."""
    if not installed("plotly"):
        return None
    from controller.lab.replay_report import Page

    return Page(None)


def _write(target: Path, recordings: list[Path], texts: dict[str, str]) -> None:
    """First beside it, then in place: a full disk leaves no half pack."""
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".penstock-") as folder:
            made = Path(folder) / target.name
            with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as pack:
                for path in recordings:
                    pack.write(path, path.name)
                for name, text in texts.items():
                    pack.writestr(name, text)
            made.replace(target)
    except OSError as error:
        raise DoorError(f"{target}: {error.strerror}") from None


def _settings(recording: Path, config: Config | None) -> str:
    """Of the recording, with the kind of each device; nothing else of the site file."""
    lines = [f"penstock = {__version__}"]
    for device in () if config is None else config.devices:
        scheme = device.connection.partition("://")[0]
        profile = "sunspec" if device.self_describing else device.profile.id
        lines.append(f"device {device.id} = {device.role}, {profile}, over {scheme}")
    lines += [f"{path} = {value}" for path, value in flat(Segment(recording).start.config).items()]
    return "\n".join(lines) + "\n"


def _audit(place: _Place) -> tuple[str, str]:
    """The last lines of the audit trail, and whether its chain is whole."""
    try:
        entries = audit_trail(place.folder)
    except StoreError as error:
        return f"{error}\n", f"cannot be read: {error}"
    broken = broken_at(entries)
    sound = f"{len(entries)} entries, " + (
        "the chain is whole" if broken is None else f"changed by somebody else at entry {broken}"
    )
    lines = []
    for one in entries[-MOST_AUDIT_LINES:]:
        when = "no clock" if one.utc_s is None else at(one.utc_s, 0.0)
        lines.append(f"{one.seq}  {when}  {one.who}: {one.what}  {one.hash}")
    return "\n".join([sound, *lines]) + "\n", sound
