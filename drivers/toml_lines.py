"""On which line of a TOML file a key, a table or an entry of a list is written.

`tomllib` reads values and forgets where they stood. This reads places and no values, of text that `tomllib`
has read; of other text it finds what it can.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

Path = tuple[str | int, ...]

TOKEN = re.compile(
    r'(?P<string>"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\')'
    r"|(?P<newline>\n)|(?P<skip>[ \t\r]+|#[^\n]*)|(?P<mark>[\[\]{}=,.])|(?P<word>[^\s\[\]{}=,.#\"']+|.)",
    re.DOTALL,
)


@lru_cache(maxsize=4)
def lines(text: str) -> dict[Path, int]:
    """The line of everything that is written there, by its path: ("battery", 0, "min_soc_pct")."""
    reader = _Reader()
    line = 1
    for match in TOKEN.finditer(text):
        if match.lastgroup != "skip":
            reader.take(match.lastgroup or "word", match[0], line)
        line += match[0].count("\n")
    return reader.found


@dataclass(slots=True)
class _Open:
    """A list or an inline table that has begun; `index` is of the list's entry, None in a table."""

    path: Path
    index: int | None


class _Reader:
    """Takes one token after the other: keys up to `=`, then what is their value."""

    def __init__(self) -> None:
        self.found: dict[Path, int] = {}
        self._newest: dict[Path, int] = {}
        """The index of the last [[table]] of each name."""
        self._table: Path = ()
        self._brackets = 0
        """How many open a header: one of a table, two of an entry of a list of tables."""
        self._opened: list[_Open] = []
        self._key: list[str] = []
        self._path: Path | None = None
        """Of the key whose value is being read; None while a key is."""

    def take(self, kind: str, text: str, line: int) -> None:
        """One token, which is on that line."""
        inside = self._opened[-1] if self._opened else None
        if kind == "newline":
            if inside is None:
                self._key, self._path, self._brackets = [], None, 0
        elif inside is not None and inside.index is not None:
            self._take_entry(inside, inside.index, text, line)
        elif self._path is not None:
            self._take_value(inside, text)
        elif kind in ("word", "string"):
            self._key.append(text[1:-1] if kind == "string" else text)
        elif text == "=":
            self._path = self._written(inside.path if inside else self._table, line)
        elif text == "[" and not self._key:
            self._brackets += 1
        elif text == "]" and self._brackets:
            self._begin_table(line)
        elif text == "}" and inside is not None:
            self._close()

    def _take_value(self, inside: _Open | None, text: str) -> None:
        """A token after `=`; numbers and words of it say nothing about places."""
        assert self._path is not None
        if text in ("[", "{"):
            self._begin(self._path, text)
        elif inside is not None and text == ",":
            self._key, self._path = [], None
        elif inside is not None and text == "}":
            self._close()

    def _take_entry(self, inside: _Open, index: int, text: str, line: int) -> None:
        """A token within a list."""
        if text == ",":
            inside.index = index + 1
        elif text == "]":
            self._close()
        else:
            self.found.setdefault((*inside.path, index), line)
            if text in ("[", "{"):
                self._begin((*inside.path, index), text)

    def _begin(self, path: Path, bracket: str) -> None:
        self._opened.append(_Open(path, 0 if bracket == "[" else None))
        self._key, self._path = [], None

    def _close(self) -> None:
        self._path = self._opened.pop().path

    def _written(self, path: Path, line: int) -> Path:
        """Note a key, and the tables that its dots imply."""
        for part in self._key[:-1]:
            path = (*path, part)
            self.found.setdefault(path, line)
        path = (*path, *self._key[-1:])
        self.found[path] = line
        return path

    def _begin_table(self, line: int) -> None:
        path: Path = ()
        for part in self._key[:-1]:
            path = (*path, part)
            self.found.setdefault(path, line)
            path = (*path, self._newest[path]) if path in self._newest else path
        path = (*path, *self._key[-1:])
        if self._brackets > 1:
            self.found.setdefault(path, line)
            self._newest[path] = self._newest.get(path, -1) + 1
            path = (*path, self._newest[path])
        self.found[path] = line
        self._table, self._brackets = path, 0
        self._path = path  # nothing more is read of this line
