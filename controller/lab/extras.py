"""What is not installed is said before any work begins, with the extra that has it."""

from __future__ import annotations

from importlib.util import find_spec

from controller.errors import RunError


def installed(*modules: str) -> bool:
    """Whether all of them are."""
    return all(find_spec(one) is not None for one in modules)


def need(what: str, extra: str, *modules: str) -> None:
    """RunError when one of the modules is not installed."""
    for one in modules:
        if not installed(one):
            raise RunError(f"{what} needs {one}: install penstock[{extra}]")
