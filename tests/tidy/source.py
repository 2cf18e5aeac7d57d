"""The files the house rules look at: Python sources with their syntax trees, and all text files."""

from __future__ import annotations

import ast
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("controller", "drivers", "simulators")


@dataclass(frozen=True)
class Source:
    """One Python file; `path` is relative to the root of the tree, with forward slashes."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=self.path)

    @cached_property
    def names(self) -> dict[str, str]:
        """What imported names stand for: {"dt": "datetime.datetime"} and the like."""
        names: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    first = alias.name.partition(".")[0]
                    names[alias.asname or first] = alias.name if alias.asname else first
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        return names

    def dotted(self, node: ast.expr) -> str | None:
        """The full name of a bare name or of something imported, such as `dt.now`; None for all else."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            owner = self.dotted(node.value)
            return f"{owner}.{node.attr}" if owner and self._is_imported(node.value) else None
        return None

    def _is_imported(self, node: ast.expr) -> bool:
        while isinstance(node, ast.Attribute):
            node = node.value
        return isinstance(node, ast.Name) and node.id in self.names

    def at(self, node: ast.expr | ast.stmt | ast.excepthandler | ast.arg, finding: str) -> str:
        return f"{self.path}:{node.lineno}: {finding}"

    @property
    def is_pure(self) -> bool:
        """Whether it belongs to the packages that decide without waiting or looking anything up."""
        return self.path.startswith(("controller/dispatch/", "controller/planning/"))

    @property
    def is_product(self) -> bool:
        return self.path.partition("/")[0] in PACKAGES


def python_sources(*folders: str) -> list[Source]:
    """Every Python file below these folders of the tree."""
    return [
        Source(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
    ]


def text_files() -> list[Source]:
    """Every text file git tracks or would track; without git (an unpacked archive), the usual folders."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        folders = (*PACKAGES, "tests", "deploy", "docs", "requirements", ".ci")
        paths = [path for folder in folders for path in (ROOT / folder).rglob("*")]
        paths += list(ROOT.iterdir())
    found = []
    for path in sorted(set(paths)):
        # A file deleted but not yet committed is still listed.
        if path.is_file() and "__pycache__" not in path.parts:
            content = path.read_bytes()
            if b"\0" not in content:
                found.append(Source(path.relative_to(ROOT).as_posix(), content.decode(errors="replace")))
    return found
