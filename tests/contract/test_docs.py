"""README and docs/: each link leads somewhere, each site file is one, and commands and numbers are true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from controller import backfill, past, price_feed, site_lock, store
from controller.__main__ import app
from controller.checking import describe
from controller.config import load_config

ROOT = Path(__file__).parents[2]
PAGES = sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").glob("*.md"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
SITE = """\
site = "house-7"
[grid]
fuse_a = 25
[[meter]]
id = "grid"
profile = "eastron-sdm630"
connection = "tcp://127.0.0.1:5020"
"""
BATTERY = """\
[[battery]]
id = "bat1"
profile = "sunspec-hybrid"
connection = "tcp://127.0.0.1:5021"
capacity_wh = 10_000
"""


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def snippet(text: str) -> str:
    return re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)[0]


def anchors(path: Path) -> set[str]:
    """What a heading can be linked to by, as GitHub makes it."""
    heads = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_of_a_page_leads_somewhere(path: Path) -> None:
    prose = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        name, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = path.parent / name if name else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_site_file_of_the_readme_is_one_without_a_warning(tmp_path: Path) -> None:
    site = tmp_path / "house.toml"
    site.write_text(snippet(README), encoding="utf-8")
    assert [line for line in describe(load_config(site)) if "warning" in line] == []


def test_the_readme_has_each_command_and_no_other() -> None:
    rows = re.findall(r"^\| (`penstock .*?) \|", README, flags=re.MULTILINE)
    words = {word for row in rows for word in re.findall(r"`(?:penstock )?([a-z]+)", row)}
    assert words == {one.name or one.callback.__name__ for one in app.registered_commands if one.callback}


def test_the_readme_counts_the_scenarios_that_there_are() -> None:
    assert f"{len(list((ROOT / 'tests' / 'scenarios').glob('*.toml')))} scenarios" in README


@pytest.mark.parametrize(
    ("name", "before"),
    [("simulation.md", SITE + BATTERY), ("black-box.md", SITE + BATTERY), ("sunspec.md", SITE)],
)
def test_the_lines_of_a_page_go_into_a_site_file(name: str, before: str, tmp_path: Path) -> None:
    lines = snippet(page(name)).replace("/var/lib/penstock", str(tmp_path))
    site = tmp_path / "house.toml"
    site.write_text(before + lines, encoding="utf-8")
    assert load_config(site).site == "house-7"


@pytest.mark.parametrize(
    "name", [store.NAME, store.BEFORE, backfill.NAME, past.FILE, price_feed.FILE, site_lock.NAME]
)
def test_the_page_of_the_black_box_names_what_is_in_the_state_folder(name: str) -> None:
    assert f"`{name}`" in page("black-box.md")
