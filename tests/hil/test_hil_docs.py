"""docs/hil.md: its page alone is enough to build a rig; each of its programs and commands runs here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from controller.lab.rig_messages import MODELS, ClockInput, OrdersInput, PricesInput
from tests.penstock import PATIENCE_S, free_ports, penstock, result_of, wait_for_port

PAGE = (Path(__file__).parents[2] / "docs" / "hil.md").read_text(encoding="utf-8")
SITE = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)[0]
PROGRAMS = {
    text.partition("\n")[0].removeprefix("# "): text
    for text in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of somebody who has only the page."""
    (tmp_path / "house.toml").write_text(SITE, encoding="utf-8")
    for name, text in PROGRAMS.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def python(folder: Path, *words: str) -> str:
    """What a program of the page prints."""
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_explains_all_that_a_rig_may_say() -> None:
    models = [*MODELS.values(), OrdersInput, PricesInput, ClockInput]
    names = {name for model in models for name in model.model_fields}
    assert [name for name in sorted(names) if f"`{name}`" not in PAGE] == []


def test_the_rig_of_the_page_covers_its_house_and_leaves_the_same_trace_twice(folder: Path) -> None:
    first = python(folder, "rig.py")
    assert first.startswith("0 W from the grid: covering the house\n")
    assert python(folder, "rig.py") == first


def test_the_tcp_rig_of_the_page_leaves_the_same_trace_twice(folder: Path) -> None:
    port = free_ports(1)[0]
    assert "penstock rig house.toml --listen 127.0.0.1:5900" in PAGE
    with penstock("rig", str(folder / "house.toml"), "--listen", f"127.0.0.1:{port}"):
        wait_for_port(port)
        first = python(folder, "tcp_rig.py", str(port))
        assert re.fullmatch(r"[0-9a-f]{64}\n", first)
        assert python(folder, "tcp_rig.py", str(port)) == first


def test_the_mosaik_example_of_the_page_runs(folder: Path) -> None:
    assert "0 W from the grid at 1200 s" in python(folder, "cosimulation.py")


def test_the_schema_of_a_rig_is_printed() -> None:
    assert '"pcc_import_w"' in result_of("schema", "rig").stdout


def test_an_address_without_a_port_is_refused(folder: Path) -> None:
    done = result_of("rig", str(folder / "house.toml"), "--listen", "127.0.0.1")
    assert done.returncode == 2
    assert "give HOST:PORT, such as 127.0.0.1:5900" in done.stderr
