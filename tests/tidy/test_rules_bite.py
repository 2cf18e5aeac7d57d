"""Each house rule finds what it is there to find, and lets good code pass."""

from __future__ import annotations

import pytest

from tests.tidy import rules
from tests.tidy.source import Source, text_files
from tests.tidy.units import has_unit, names_carry_units

LONG_FUNCTION = "def f() -> None:\n" + "    g()\n" * 60

BAD = [
    (rules.short_file, "x = 1\n" * 401),
    (rules.short_functions, LONG_FUNCTION),
    (rules.short_functions, "class C:\n" + "".join(f"    {line}\n" for line in LONG_FUNCTION.splitlines())),
    (rules.says_what_it_is, "x = 1\n"),
    (rules.named_errors, "try:\n    f()\nexcept:\n    pass\n"),
    (rules.named_errors, "try:\n    f()\nexcept Exception:\n    pass\n"),
    (rules.named_errors, "try:\n    f()\nexcept (ValueError, BaseException):\n    pass\n"),
    (rules.named_errors, "from contextlib import suppress\nwith suppress(Exception):\n    f()\n"),
    (rules.no_banned_calls, "import time\nnow_s = time.time()\n"),
    (rules.no_banned_calls, "import time as t\nnow_s = t.monotonic()\n"),
    (rules.no_banned_calls, "from time import monotonic\nclock = monotonic\n"),
    (rules.no_banned_calls, "from datetime import UTC, datetime\nat = datetime.now(UTC)\n"),
    (rules.no_banned_calls, "import datetime\nday = datetime.date.today()\n"),
    (rules.no_banned_calls, "import random\nx = random.random()\n"),
    (rules.no_banned_calls, "from random import uniform\nx = uniform(0, 1)\n"),
    (rules.no_banned_calls, "import numpy as np\nx = np.random.normal()\n"),
    (rules.no_banned_calls, "x = eval(text)\n"),
    (rules.no_shell, "run('ls', shell=True)\n"),
    (rules.pure, "async def f() -> None: ...\n"),
    (rules.pure, "print(1)\n"),
    (rules.pure, "def f() -> None:\n    global x\n"),
    (rules.no_looking_away, "import pytest\npytest.skip('not here')\n"),
    (rules.no_looking_away, "from pytest import importorskip\nimportorskip('numpy')\n"),
    (rules.no_looking_away, "import pytest\n@pytest.mark.skipif(True, reason='')\ndef test_x(): ...\n"),
    (rules.excused_only_with_reason, "x = 1  # type: " + "ignore[assignment]\n"),
    (rules.excused_only_with_reason, "x = 1  # no" + "qa: E501\n"),
    (rules.no_forbidden_text, "path = '/ho" + "me/pi/penstock'\n"),
    (rules.no_forbidden_text, "see https://py" + "pi.org/project/x\n"),
    (rules.no_forbidden_text, "--index" + "-url https://example.org\n"),
    (rules.no_forbidden_text, "# TO" + "DO: later\n"),
    (names_carry_units, "class Site:\n    load_power: float\n"),
    (names_carry_units, "class Site:\n    soc: float | None = None\n"),
    (names_carry_units, "class Site:\n    phase_current: tuple[float, ...] = ()\n"),
    (names_carry_units, "def f(*, timeout: 'float') -> None: ...\n"),
    (names_carry_units, "async def f(price_per_kwh: float) -> None: ...\n"),
    (names_carry_units, "SETPOINT_REPEAT = 20.0\n"),
]

GOOD = [
    (rules.short_file, "x = 1\n" * 400),
    (rules.short_functions, LONG_FUNCTION.replace("    g()\n", "", 1)),
    (rules.says_what_it_is, '"""What it is."""\n'),
    (rules.named_errors, "try:\n    f()\nexcept (OSError, ValueError):\n    pass\n"),
    (rules.no_banned_calls, "import random\nchance = random.Random(7)\nx = chance.random()\n"),
    (rules.no_banned_calls, "def f(random: Random) -> float:\n    return random.random()\n"),
    (rules.no_banned_calls, "import asyncio\nnow_s = asyncio.get_running_loop().time()\n"),
    (rules.no_banned_calls, "from datetime import UTC, datetime\nat = datetime.fromtimestamp(0.0, UTC)\n"),
    (rules.pure, "def f(x: float) -> float:\n    return x\n"),
    (rules.excused_only_with_reason, "x = 1  # type: " + "ignore[assignment]  # the stub of x is wrong\n"),
    (rules.no_forbidden_text, "topic = 'penstock/home/state'; url = 'http://example.org/" + "work/x'\n"),
    (names_carry_units, "class Site:\n    load_w: float\n    soc_pct: float\n    limited_by: str\n"),
    (names_carry_units, "def f(ramp_w_per_s: float, price_ct_per_kwh: float, limit: Limit) -> None: ...\n"),
]


def _in_the_core(text: str) -> Source:
    return Source("controller/dispatch/example.py", text)


@pytest.mark.parametrize(("rule", "text"), BAD)
def test_a_rule_finds_bad_code_and_says_where(rule: rules.Rule, text: str) -> None:
    findings = list(rule(_in_the_core(text)))
    assert len(findings) == 1
    assert findings[0].startswith("controller/dispatch/example.py:")


@pytest.mark.parametrize(("rule", "text"), GOOD)
def test_a_rule_lets_good_code_pass(rule: rules.Rule, text: str) -> None:
    assert list(rule(_in_the_core(text))) == []


def test_only_the_pure_packages_must_be_pure() -> None:
    assert list(rules.pure(Source("controller/loop.py", "async def f() -> None: ...\n"))) == []


def test_a_unit_after_per_is_needed_on_both_sides() -> None:
    assert has_unit("ramp_w_per_s")
    assert not has_unit("ramp_per_s")


def test_the_text_rule_looks_at_more_than_python() -> None:
    paths = {source.path for source in text_files()}
    assert {"Makefile", "pyproject.toml", ".ci/run", "requirements/run.txt", "tests/tidy/rules.py"} <= paths
