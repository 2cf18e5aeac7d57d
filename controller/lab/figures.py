"""Plots of time and power, one look for every report: scenario verdicts, replay, studies, commissioning.

Says what is to be seen (panels of lines under one time axis, bands over all of them) and leaves the drawing
to Plotly. Values of None are gaps. Needs the extra `lab`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import plotly.graph_objects as go
from plotly.subplots import make_subplots

COLOURS = {
    "pcc": "#4c5a67",
    "load": "#111827",
    "pv": "#e0a100",
    "battery": "#1b7f5c",
    "soc": "#2563a8",
    "setpoint": "#b0413e",
    "limit": "#9a3fb5",
    "price": "#8a5a2b",
    "mode": "#64748b",
}
"""One colour for one thing, wherever it is drawn."""
OTHERS = ("#1b7f5c", "#2563a8", "#e0a100", "#9a3fb5", "#b0413e", "#0e7c86", "#8a5a2b", "#4c5a67")
"""For lines that are no thing of their own, such as the batteries of a site; the same in every panel."""
BAND_COLOURS = {"fault": "#b0413e", "outage": "#64748b", "window": "#e0a100", "claim": "#9a3fb5"}
PANEL_PX = 230
WORDS_ROOM = 0.15
"""Of the range of a panel, kept free above for words."""
WORDS_PART = 0.6
"""Of the height of a panel that one with words in place of numbers takes."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line; `colour` is a key of COLOURS or a colour, `steps` holds each value until the next."""

    name: str
    x: Sequence[Any]
    y: Sequence[float | None]
    colour: str = ""
    style: Literal["line", "steps", "points", "bars"] = "line"
    dashed: bool = False
    legend: bool = True


@dataclass(frozen=True, slots=True)
class Mark:
    """A point that needs a word, such as the worst moment of a claim."""

    x: Any
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Band:
    """A time in which something held: a fault, an outage, a billing window; drawn over all panels."""

    begin: Any
    end: Any
    text: str
    kind: Literal["fault", "outage", "window", "claim"] = "fault"


@dataclass(frozen=True, slots=True)
class Panel:
    """Lines with one unit."""

    title: str
    unit: str
    lines: Sequence[Line]
    marks: Sequence[Mark] = ()
    words: Sequence[str] = ()
    """What the values 0, 1, 2 ... are called, where they are no numbers."""


def stacked(panels: Sequence[Panel], bands: Sequence[Band] = (), x_title: str = "") -> go.Figure:
    """Panels under each other with one x axis. Raises ValueError without a panel."""
    if not panels:
        raise ValueError("there is nothing to draw: give at least one panel")
    figure = make_subplots(
        rows=len(panels),
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.28 / (len(panels) + 3),
        row_heights=[WORDS_PART if one.words else 1.0 for one in panels],
        subplot_titles=[one.title for one in panels],
    )
    for row, panel in enumerate(panels, start=1):
        _draw(figure, panel, row)
    if bands:
        figure.update_yaxes(autorangeoptions={"include": _headroom(panels[0])}, row=1, col=1)
    for band in bands:
        figure.add_vrect(
            x0=band.begin,
            x1=band.end,
            fillcolor=BAND_COLOURS[band.kind],
            opacity=0.12,
            line_width=0,
            annotation_text=band.text,
            annotation_position="top left",
            annotation_font={"size": 12, "color": BAND_COLOURS[band.kind]},
            row=1,
        )
        for row in range(2, len(panels) + 1):
            figure.add_vrect(
                x0=band.begin,
                x1=band.end,
                fillcolor=BAND_COLOURS[band.kind],
                opacity=0.12,
                line_width=0,
                row=row,
            )
    figure.update_xaxes(title_text=x_title, row=len(panels), col=1)
    shares = sum(WORDS_PART if one.words else 1.0 for one in panels)
    return _styled(figure, round(PANEL_PX * shares) + 90)


def bars(title: str, unit: str, groups: Sequence[str], series: dict[str, Sequence[float]]) -> go.Figure:
    """Values side by side for each group, such as bills by policy."""
    figure = go.Figure([go.Bar(name=name, x=list(groups), y=list(y)) for name, y in series.items()])
    figure.update_layout(title=title, barmode="group")
    figure.update_xaxes(type="category")
    figure.update_yaxes(title_text=unit)
    return _styled(figure, PANEL_PX + 160)


def heat_map(
    title: str, unit: str, x: Sequence[Any], y: Sequence[Any], z: Sequence[Sequence[float | None]]
) -> go.Figure:
    """Values over two axes, such as SoC over day and hour; `z[row]` belongs to `y[row]`."""
    figure = go.Figure(
        go.Heatmap(
            x=list(x), y=list(y), z=[list(row) for row in z], colorscale="Viridis", colorbar={"title": unit}
        )
    )
    figure.update_layout(title=title)
    return _styled(figure, PANEL_PX + 200)


def _headroom(panel: Panel) -> float:
    """A value above all that is drawn there, so that the words of bands cover nothing."""
    values = [y for line in panel.lines for y in line.y if y is not None]
    top = max(values, default=0.0)
    return top + WORDS_ROOM * (top - min(values, default=0.0))


def _draw(figure: go.Figure, panel: Panel, row: int) -> None:
    """A panel with its legend beside it."""
    legend = "legend" if row == 1 else f"legend{row}"
    for line in panel.lines:
        figure.add_trace(_trace(line, legend), row=row, col=1)
    for number, mark in enumerate(panel.marks):
        # Side by side in turn, so that those of one moment do not cover each other.
        shift = {"ax": 18 + 34 * (number % 2), "ay": -26 - 18 * (number % 3)}
        figure.add_annotation(
            x=mark.x, y=mark.y, text=mark.text, showarrow=True, arrowwidth=1, row=row, col=1, **shift
        )
    figure.update_yaxes(title_text=panel.unit, row=row, col=1)
    if panel.words:
        figure.update_yaxes(
            tickvals=list(range(len(panel.words))), ticktext=list(panel.words), row=row, col=1
        )
    top = figure.layout["yaxis" if row == 1 else f"yaxis{row}"].domain[1]
    figure.update_layout({legend: {"y": top, "yanchor": "top", "x": 1.01}})


def _trace(line: Line, legend: str) -> Any:
    colour = COLOURS.get(line.colour, line.colour) or None
    shown = {
        "name": line.name,
        "x": list(line.x),
        "y": list(line.y),
        "legend": legend,
        "showlegend": line.legend,
    }
    if line.style == "bars":
        return go.Bar(**shown, marker_color=colour)
    if line.style == "points":
        return go.Scatter(**shown, mode="markers", marker={"color": colour, "size": 6})
    return go.Scatter(
        **shown,
        mode="lines",
        line={
            "color": colour,
            "width": 1.6,
            "dash": "dot" if line.dashed else "solid",
            "shape": "hv" if line.style == "steps" else "linear",
        },
    )


def _styled(figure: go.Figure, height_px: int) -> go.Figure:
    figure.update_layout(
        template="plotly_white",
        height=height_px,
        margin={"l": 70, "r": 20, "t": 50, "b": 50},
        hovermode="x unified",
        colorway=OTHERS,
        font={"family": "system-ui, sans-serif", "size": 13},
    )
    return figure
