"""The bare installation, as a small device has it: what works, and what names the extra it needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.sites import SITE

SCENARIO = Path(__file__).parents[1] / "scenarios" / "zero_export.toml"
BARE = """
import sys
for name in ("plotly", "highspy", "pyarrow", "trustme", "distributed", "bslib", "amqtt"):
    sys.modules[name] = None
from controller.__main__ import main
main()
"""
"""An import of a module that stands as None in `sys.modules` fails as if it were not installed."""


def bare(*words: str) -> subprocess.CompletedProcess[str]:
    """`penstock` in a process that has no extra."""
    return subprocess.run(
        [sys.executable, "-c", BARE, *words],
        capture_output=True,
        text=True,
        timeout=60.0,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_scenarios_run_and_are_judged() -> None:
    result = bare("hil", str(SCENARIO))
    assert result.returncode == 0, result.stderr
    assert "ok   zero_export" in result.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("hil", str(SCENARIO), "--report", "verdicts"), "--report needs plotly: install penstock[lab]"),
        (("replay", "some.penstock", "--report", "it.html"), "--report needs plotly: install penstock[lab]"),
        (("commission", str(SITE), "--report", "it.html"), "--report needs plotly: install penstock[lab]"),
        (("study", str(SITE), "--from", "year.csv"), "a study needs highspy: install penstock[study]"),
        (("study", "--benchmark"), "a benchmark needs highspy: install penstock[study]"),
    ],
)
def test_what_needs_an_extra_says_which_before_it_begins(
    words: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(SCENARIO.parents[2]))
    result = bare(*words)
    assert (result.returncode, result.stderr.strip()) == (1, f"penstock: {told}")
    assert list(tmp_path.iterdir()) == []
