"""The locks hold everything the project needs, each with hashes, and say nothing about where to get it."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import controller
from tests.tidy.source import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CORE = PROJECT["project"]["dependencies"]
EXTRAS = PROJECT["project"]["optional-dependencies"]
BUILD = PROJECT["dependency-groups"]["build"]
RUN_NEEDS = [*CORE, *EXTRAS["broker"], *EXTRAS["lab"], *BUILD]
DEV_NEEDS = [
    *CORE,
    *(need for name, needs in EXTRAS.items() if name != "reference" for need in needs),
    *BUILD,
    *(need for need in PROJECT["dependency-groups"]["dev"] if isinstance(need, str)),
]
REFERENCE_NEEDS = [*CORE, *EXTRAS["reference"]]


def _locked(name: str) -> dict[str, str]:
    """Package -> its version; every entry must be `name==version [; marker]` with at least one hash."""
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    entries = re.sub(r"(?m)^ *#.*\n", "", text).replace("\\\n", " ").splitlines()
    locked: dict[str, str] = {}
    for entry in entries:
        match = re.fullmatch(r"([a-z0-9.-]+)==(\S+)( ; [^-]*?)?( +--hash=sha256:[0-9a-f]{64})+ *", entry)
        assert match, f"requirements/{name}: not a pinned and hashed package: {entry[:80]!r}; run make lock"
        locked[canonicalize_name(match[1])] = match[2]
    return locked


@pytest.mark.parametrize(
    ("name", "needs"),
    [("run.txt", RUN_NEEDS), ("dev.txt", DEV_NEEDS), ("reference.txt", REFERENCE_NEEDS)],
)
def test_the_lock_holds_what_pyproject_asks_for(name: str, needs: list[str]) -> None:
    locked = _locked(name)
    for need in map(Requirement, needs):
        version = locked.get(canonicalize_name(need.name))
        assert version is not None, f"requirements/{name} lacks {need}; run make lock"
        assert need.specifier.contains(version), (
            f"requirements/{name} has {need.name} {version}, not {need.specifier}"
        )


def test_the_development_lock_holds_the_other_one() -> None:
    run, dev = _locked("run.txt"), _locked("dev.txt")
    assert run == {name: dev.get(name) for name in run}


def test_the_changelog_speaks_of_this_version() -> None:
    assert f"## [{controller.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
