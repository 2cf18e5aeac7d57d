"""What is asked on the command line of a study is looked over at the door."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from controller.__main__ import app
from controller.lab.study_command import numbers, wanted_policies, whole_years
from drivers.doors import DoorError
from tests.unit.study.sites import a_site, measured


def test_sizes_years_and_policies_are_read_from_lists() -> None:
    assert numbers(" 5, 10,5", "--sizes", 1000.0) == (5000.0, 10_000.0), "each once"
    assert whole_years("2023,2024") == (2023, 2024)
    assert wanted_policies("standby, economic") == ("standby", "economic")
    assert (numbers(None, "--sizes", 1.0), whole_years(None)) == ((), ())


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--policies", "", 'policies: "" is none; there are self_consumption, economic, schedule, standby'),
        ("--policies", "economic,", 'policies: "" is none'),
        ("--policies", "greedy", 'policies: "greedy" is none'),
        ("--sizes", "", 'sizes: "" is no number; give such as 5,10,15'),
        ("--sizes", "5,0", "sizes: 0 cannot be; give such as 5,10,15"),
        ("--power", "", 'power: "" is no number'),
        ("--power", "nan", "power: nan cannot be"),
        ("--years", "", 'years: "" is no number; give such as 2023,2024'),
        ("--years", "2024.6", "years: 2024.6 is no year; give such as 2023,2024"),
        ("--tariff", "", r"\.: cannot be read"),
    ],
)
def test_what_is_asked_wrongly_is_said_before_anything_is_computed(
    tmp_path: Path, option: str, value: str, said: str
) -> None:
    site, data = a_site(tmp_path), measured(tmp_path, days=1)
    words = ["study", str(site), "--from", str(data), "--out", str(tmp_path / "out"), option, value]
    with pytest.raises(DoorError, match=said):
        CliRunner().invoke(app, words, catch_exceptions=False)
    assert not (tmp_path / "out").exists()
