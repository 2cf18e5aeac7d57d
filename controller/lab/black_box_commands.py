"""The commands `replay` and `incident`; what they need is imported when one of them is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DIFFERENT = 1
"""The exit code when decisions differ and nothing was changed."""


def replay(
    recordings: Annotated[
        list[Path],
        typer.Argument(help="Site file, state folder, recordings, packed incidents.", metavar="RECORDING..."),
    ],
    site: Annotated[
        Path | None, typer.Option("--with", help="Decide with the settings of this site file instead.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write a page with plots (HTML).")] = None,
) -> None:
    """Decide a recording again, to the bit.

    Says that every decision is the same, or shows the first that differs, what the controller saw then, and
    both reasons. --with asks "what if": change a setting in a copy of the site file, and compare. Exit code 1
    when decisions differ and nothing was changed.
    """
    from controller.lab.replay_command import replay_files

    if not replay_files(recordings, site, report):
        raise typer.Exit(DIFFERENT)


def incident(
    what: Annotated[
        str, typer.Argument(help="list, latest, now, or a number of the list.", metavar="[list|latest|now|N]")
    ],
    site: Annotated[Path, typer.Argument(help="The site file, or the state folder.", metavar="SITE")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Name of the packed file.")] = None,
) -> None:
    """Pack what happened into one file to send.

    Whenever readings or the grid were lost, or a fault latched, the minutes around it are kept. `list` shows
    them, `latest` packs the newest, `now` packs the last hours. No passwords are in it, nor the site file.
    """
    from controller.lab.incident_command import incident as lines_of

    for line in lines_of(what, site, out):
        typer.echo(line)
