"""The tree keeps the house rules; what a rule finds is listed as `file:line: what to do`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tidy.rules import CALENDAR_FILES, PRODUCT_RULES, PYTHON_RULES, Rule, no_forbidden_text
from tests.tidy.source import PACKAGES, ROOT, python_sources, text_files
from tests.tidy.units import ALLOWED, names_carry_units


def _demand_nothing(findings: list[str]) -> None:
    assert not findings, "\n" + "\n".join(findings)


@pytest.mark.parametrize("rule", PYTHON_RULES, ids=lambda rule: rule.__name__)
def test_every_python_file_keeps_the_rule(rule: Rule) -> None:
    sources = python_sources(*PACKAGES, "tests")
    _demand_nothing([finding for source in sources for finding in rule(source)])


@pytest.mark.parametrize("rule", [*PRODUCT_RULES, names_carry_units], ids=lambda rule: rule.__name__)
def test_every_file_of_the_product_keeps_the_rule(rule: Rule) -> None:
    _demand_nothing([finding for source in python_sources(*PACKAGES) for finding in rule(source)])


def test_no_file_names_this_machine_or_a_package_index_or_is_unfinished() -> None:
    _demand_nothing([finding for source in text_files() for finding in no_forbidden_text(source)])


def test_every_folder_of_the_product_is_a_package_that_says_what_it_is() -> None:
    folders = {path.parent for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    missing = [folder for folder in folders if not (folder / "__init__.py").is_file()]
    empty = [folder for folder in folders - set(missing) if not (folder / "__init__.py").read_text().strip()]
    _demand_nothing(
        [f"{_relative(folder)}: add an __init__.py with a docstring" for folder in sorted(missing + empty)]
    )


def test_no_exception_to_a_rule_outlives_its_use() -> None:
    texts = {source.path: source.text for source in python_sources(*PACKAGES)}
    unused = [path for path in CALENDAR_FILES if "datetime" not in texts.get(path, "")]
    unused += [
        f"{path}: {name}"
        for path, names in ALLOWED.items()
        for name in names
        if name not in texts.get(path, "")
    ]
    _demand_nothing([f"{entry}: no longer needed; take it out of the list of exceptions" for entry in unused])


def _relative(folder: Path) -> str:
    return folder.relative_to(ROOT).as_posix()
