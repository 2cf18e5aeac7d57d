"""The mistakes that people make most often in a site file: each is told with what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.checking import describe
from controller.config import Config, ConfigError, load_config

HOUSE = """\
site = "house"

[grid]
import_limit_w = 17_250
export_limit_w = 0
fuse_a = 25

[[meter]]
id = "grid"
profile = "eastron-sdm630"
connection = "tcp://127.0.0.1:5020"

[[battery]]
id = "bat1"
profile = "sunspec-hybrid"
connection = "tcp://127.0.0.1:5021"
capacity_wh = 10_000

[policy]
reserve_pct = 20
"""
COMMA = "a decimal comma is a point, and thousands have _ or nothing: 0.32, 17_250"
TWICE = "the table is already there: its keys stand together, and [[x]] above its own [x.y]"


def load(tmp_path: Path, right: str, wrong: str) -> Config:
    assert right in HOUSE
    path = tmp_path / "house.toml"
    path.write_text(HOUSE.replace(right, wrong, 1), encoding="utf-8")
    return load_config(path)


def told(tmp_path: Path, right: str, wrong: str) -> str:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, right, wrong)
    return str(refused.value).replace(f"{tmp_path}/", "")


@pytest.mark.parametrize(
    ("right", "wrong", "line", "remedy"),
    [
        ('"house"', "“house”", 1, 'quotes are straight: "..."'),
        ('"sunspec-hybrid"', "sunspec-hybrid", 15, 'words stand in quotes: "..."'),
        ('"sunspec-hybrid"', '"sunspec-hybrid', 15, "a quote is missing at the end"),
        ('"sunspec-hybrid"', '".\\userdata.toml"', 15, r"in double quotes each \ is written \\"),
        ("fuse_a = 25", "fuse_a = 25\nfuse_a = 35", 7, "the key is already there"),
        ("fuse_a = 25", "fuse_a = 24,5", 6, COMMA),
        ("import_limit_w = 17_250", "import_limit_w = 17,250", 4, COMMA),
        ("fuse_a = 25", "fuse_a = 25,", 6, "no comma at the end"),
        ("fuse_a = 25", "fuse_a = 025", 6, "a number does not begin with 0"),
        ("fuse_a = 25", "fuse_a = 25 A", 6, "a number stands alone, its unit is in the key"),
        ("reserve_pct = 20", "reserve_pct = 20%", 20, "a number stands alone, its unit is in the key"),
        ("fuse_a = 25", "fuse_a: 25", 6, "write key = value"),
        ("fuse_a = 25", "fuse_a =", 6, "the value is missing"),
        ("[policy]", "[policy]\ngrid_charging = True", 20, "write true or false"),
        ("[policy]", "[grid]", 19, TWICE),
        ("[[battery]]", "[battery.response]\ndead_time_s = 0.5\n\n[[battery]]", 16, TWICE),
        ("[[battery]]", "[[battery]", 13, "a table is [name], one of several [[name]]"),
    ],
)
def test_what_is_no_toml_is_told_with_its_line_what_stands_there_and_what_would_be_right(
    tmp_path: Path, right: str, wrong: str, line: int, remedy: str
) -> None:
    said = told(tmp_path, right, wrong)
    found = HOUSE.replace(right, wrong, 1).splitlines()[line - 1]
    assert said.startswith(f"house.toml:{line}:")
    assert said.endswith(f" in `{found}`; {remedy}")


def test_a_line_that_may_hold_a_secret_is_not_shown(tmp_path: Path) -> None:
    said = told(tmp_path, "[policy]", "[mqtt]\nurl = mqtt://penstock:garden-17@broker")
    assert said == 'house.toml:20:7: not valid TOML: invalid value; words stand in quotes: "..."'


def test_a_file_in_another_encoding_is_told_to_be_saved_as_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "house.toml"
    path.write_bytes(HOUSE.replace("[grid]", "[grid]  # für alle").encode("latin-1"))
    with pytest.raises(
        ConfigError, match=r"house.toml:3: is not UTF-8 text \(byte 0xfc\); save the file as UTF-8"
    ):
        load_config(path)


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b""])
def test_a_file_from_another_editor_is_read_as_it_stands(tmp_path: Path, mark: bytes) -> None:
    path = tmp_path / "house.toml"
    path.write_bytes(mark + HOUSE.replace("fuse_a = ", "\tfuse_a\t= ").replace("\n", "\r\n").encode())
    assert load_config(path).site == "house"


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        (
            "[[battery]]",
            '[[meter]]\nid = "more"\nprofile = "eastron-sdm630"\nconnection = "tcp://h:1"\n\n[[battery]]',
            "house.toml:13: meter[1] is one too many: 1 at most (one [[meter]] at the PCC)",
        ),
        ("[[meter]]", "[meter]", "house.toml:8: meter should be [[meter]] (one [[meter]] at the PCC)"),
        ("[policy]", "[[policy]]", "house.toml:19: policy should be [policy]"),
        (
            "[policy]",
            "[policy]\ncycle_s = 2",
            "house.toml:20: policy.cycle_s is not a known key; cycle_s stands at the top of the file, above"
            " the first [table]",
        ),
        ("fuse_a = 25", "phases = 2", "house.toml:6: grid.phases is 2: give 1 or 3"),
        (
            "127.0.0.1:5021",
            "127.0.0.1:5020",
            "house.toml:16: battery[0].connection: tcp://127.0.0.1:5020 unit 1 is already meter[0];"
            " give another unit or address",
        ),
    ],
)
def test_what_cannot_be_is_told_in_words_of_the_file(
    tmp_path: Path, right: str, wrong: str, said: str
) -> None:
    assert told(tmp_path, right, wrong) == said


@pytest.mark.parametrize(
    ("right", "wrong", "doubt"),
    [
        ("= 17_250", "= 17.25", "import_limit_w is 17.25; is that meant in kW?"),
        ("export_limit_w = 0", "export_limit_w = 3", "export_limit_w is 3; is that meant in kW?"),
        ("[policy]", "max_charge_w = 5\n[policy]", "bat1: max_charge_w is 5; is that meant in kW?"),
        ("[policy]", "max_discharge_w = 5\n[policy]", "bat1: max_discharge_w is 5; is that meant in kW?"),
        ("= 20", "= 0.2", "reserve_pct is 0.2; 20 % is written 20"),
        ("[policy]", "min_soc_pct = 0.05\n[policy]", "bat1: min_soc_pct is 0.05; 5 % is written 5"),
    ],
)
def test_a_number_that_is_likely_meant_in_another_unit_is_doubted(
    tmp_path: Path, right: str, wrong: str, doubt: str
) -> None:
    assert f"  warning: {doubt}" in describe(load(tmp_path, right, wrong))


def test_usual_numbers_are_not_doubted(tmp_path: Path) -> None:
    doubts = [line for line in describe(load(tmp_path, "= 20", "= 20")) if "warning:" in line]
    assert doubts == [
        "  warning: export_limit_w is set, but no [[pv]] can be curtailed once the batteries are full"
    ]
