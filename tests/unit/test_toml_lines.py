"""Whatever is wrong in a file is told with its line, however the file is written."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.config import ConfigError, config_of
from drivers.doors import line_of
from drivers.toml_lines import lines

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted([*ROOT.glob("tests/scenarios/*.toml"), *ROOT.glob("drivers/profiles/*.toml")])

WRITTEN = """\
title = "x"  # = y
site.grid.phases = 7
'site'."mqtt" = {url = "mqtt://h", tls = {ca = "a"}}
text = \"\"\"
[[step]]
at_s = 1 \\\"\"\" \"\"\"\"
[[step]]
at_s = 5
order = {for_s = 1.5, foo = [1, {bar = 2}]}
[[step]]
at_s = 6
order.foo = '['
[[site.battery]]
id = "a"
[[site.battery.window]]
begin = 00:30:00
[[site.battery]]
id = "b"
list = [
    1, # one
    [2, 3],
    {x = 4,
     y = 5},
]
[[site.battery.window]]
[[site.battery.window]]
begin = 1
"""


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, inside in entries:
        yield (*path, key)
        yield from places(inside, (*path, key))


@pytest.mark.parametrize(
    ("where", "line"),
    [
        (("title",), 1),
        (("site", "grid", "phases"), 2),
        (("site", "mqtt", "tls", "ca"), 3),
        (("step", 0), 7),
        (("step", 0, "at_s"), 8),
        (("step", 0, "order", "foo", 1, "bar"), 9),
        (("step", 1, "order", "foo"), 12),
        (("site", "battery", 0, "window", 0, "begin"), 16),
        (("site", "battery", 1, "id"), 18),
        (("site", "battery", 1, "list", 1, 1), 21),
        (("site", "battery", 1, "list", 2, "y"), 23),
        (("site", "battery", 1, "window", 1, "begin"), 27),
        # What is missing is told with the table that lacks it.
        (("site", "battery", 1, "unit"), 17),
        (("step", 0, "order", "stop"), 9),
        (("duration_s",), None),
    ],
)
def test_the_line_of_a_key_is_found_in_every_way_of_writing_toml(
    where: tuple[str | int, ...], line: int | None
) -> None:
    assert line_of(WRITTEN, where) == line


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_everything_in_a_file_has_a_line_and_nothing_else_has(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert set(lines(text)) == set(places(tomllib.loads(text)))


def test_a_text_that_is_no_toml_has_no_lines_that_it_does_not_have() -> None:
    chance = random.Random(1)
    for _ in range(300):
        text = "".join(chance.choice("[]{}=,.\"'ab \n#") for _ in range(60))
        assert all(1 <= line <= text.count("\n") + 1 for line in lines(text).values())


def test_an_error_in_an_inline_table_is_told_with_its_line() -> None:
    text = 'site = "a"\ngrid = {fuse_a = 25,\n        phases = 7}\n'
    with pytest.raises(ConfigError, match=r"house\.toml:3: grid\.phases is 7"):
        config_of(Path("house.toml"), text, {"site": "a", "grid": {"fuse_a": 25, "phases": 7}})
