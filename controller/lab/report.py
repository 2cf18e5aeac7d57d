"""One self-contained HTML page: headings, words, tables and plots; opens without a network, for ever.

Plotly's JavaScript stands inside the page, once. All text is escaped: device names and error texts come
from outside. Needs the extra `lab`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from controller import __version__


@dataclass(frozen=True, slots=True)
class Heading:
    """A section begins."""

    text: str


@dataclass(frozen=True, slots=True)
class Words:
    """A paragraph; `tone` colours it."""

    text: str
    tone: str = ""
    """Empty, "good", "bad" or "quiet"."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings; numbers are written out by the caller. `tones` colour whole rows."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    tones: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Plot:
    """A figure of `figures.py`, and what is to be seen in it."""

    figure: go.Figure
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Data:
    """Text to keep with the page, folded away: a configuration, a seed, a trace."""

    title: str
    text: str


Part = Heading | Words | Table | Plot | Data


def page(title: str, parts: Sequence[Part]) -> str:
    """The whole page as text, with this program's version in its foot."""
    script = ""
    if any(isinstance(part, Plot) for part in parts):
        script = f"<script>{get_plotlyjs()}</script>"
    style = files("controller.lab").joinpath("report.css").read_text(encoding="utf-8")
    body = "\n".join(_html(part, number) for number, part in enumerate(parts))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{style}</style>{script}</head>\n'
        f"<body><h1>{escape(title)}</h1>\n{body}\n"
        f'<p class="quiet">Penstock {escape(__version__)}</p></body></html>\n'
    )


_CONFIG = {"displaylogo": False, "displayModeBar": "hover", "responsive": True}


def _html(part: Part, number: int) -> str:
    if isinstance(part, Heading):
        return f"<h2>{escape(part.text)}</h2>"
    if isinstance(part, Words):
        return f"<p{_class(part.tone)}>{escape(part.text)}</p>"
    if isinstance(part, Table):
        return _table(part)
    if isinstance(part, Data):
        return f"<details><summary>{escape(part.title)}</summary><pre>{escape(part.text)}</pre></details>"
    # A fixed id: the same report is the same file, byte for byte.
    drawn = part.figure.to_html(
        full_html=False, include_plotlyjs=False, div_id=f"plot{number}", config=_CONFIG
    )
    return f"<figure>{drawn}<figcaption>{escape(part.caption)}</figcaption></figure>"


def _table(table: Table) -> str:
    head = "".join(
        f"<th{_class('number' if _numbers(table, place) else '')}>{escape(one)}</th>"
        for place, one in enumerate(table.headings)
    )
    thead = f"<thead><tr>{head}</tr></thead>" if any(table.headings) else ""
    rows = []
    for number, row in enumerate(table.rows):
        tone = table.tones[number] if number < len(table.tones) else ""
        cells = "".join(f"<td{_class('number' if _is_number(one) else '')}>{escape(one)}</td>" for one in row)
        rows.append(f"<tr{_class(tone)}>{cells}</tr>")
    return f"<table>{thead}<tbody>{''.join(rows)}</tbody></table>"


def _numbers(table: Table, place: int) -> bool:
    """Whether a column is one of numbers: its heading then stands above their ends."""
    cells = [cell for row in table.rows for cell in row[place : place + 1] if cell]
    return sum(map(_is_number, cells)) * 2 > len(cells)


def _is_number(cell: str) -> bool:
    """A number, with a unit or without, reads best with its end under the others'."""
    return cell.lstrip("-+")[:1].isdigit() and len(cell) <= 14


def _class(tone: str) -> str:
    return f' class="{escape(tone)}"' if tone else ""
