"""A claim that could not fail is refused before anything runs: a verdict is about something that was seen."""

from __future__ import annotations

from math import nan
from pathlib import Path

import pytest

from controller.lab.claims import Calm, Never, Value
from controller.lab.record import Record, signal_names
from tests.unit.test_scenario import CLAIM, HEAD, refusal, scenario

HEADER_LINE = HEAD.count("\n") + 2
"""Of the claim that each test appends: HEAD, an empty line, and there it is."""


SETTLES = ('claim = "settles"', 'signal = "pcc_import_w"', "to = 0", "tolerance = 1")


def claim(*keys: str) -> str:
    return "\n".join(["", "[[claim]]", *keys, ""])


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (('claim = "stays"', 'signal = "soc_pct"'), "checks nothing; give at_most, at_least or both"),
        (
            ('claim = "value"', 'signal = "soc_pct"', "at_s = 5"),
            "checks nothing; give at_most, at_least or both",
        ),
        (('claim = "energy"', 'of = "charged"'), "checks nothing; give at_most_wh, at_least_wh or both"),
        (('claim = "says"', "from_s = 5"), "checks nothing; give limited_by, reason or both"),
    ],
)
def test_a_claim_without_a_bound_checks_nothing_and_is_refused(
    keys: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    assert refusal(tmp_path, HEAD, claim(*keys)) == f"test.toml:{HEADER_LINE}: claim[0]: {told}"


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        # The scenario lasts 60 s.
        (('claim = "never"', 'mode = "FAULT"', "from_s = 70"), "from_s is 70, but the scenario ends at 60 s"),
        (
            ('claim = "writes"', 'device = "bat1"', "at_most = 0", "from_s = 70"),
            "from_s is 70, but the scenario ends at 60 s",
        ),
        (
            ('claim = "energy"', 'of = "load"', "at_most_wh = 1", "to_s = 61"),
            "to_s is 61, but the scenario ends at 60 s",
        ),
        (
            ('claim = "value"', 'signal = "soc_pct"', "at_most = 1", "at_s = 60.5"),
            "at_s is 60.5, but the scenario ends at 60 s",
        ),
        (
            ('claim = "reaches"', 'mode = "SAFE"', "within_s = 1", "after_s = 70"),
            "after_s is 70, but the scenario ends at 60 s",
        ),
        (
            ('claim = "calm"', 'signal = "setpoint_w"', "band = 1", "from_s = 60"),
            "from_s is 60, but the scenario ends at 60 s: nothing lies between",
        ),
        (
            ('claim = "never"', 'mode = "FAULT"', "to_s = 10", "from_s = 20"),
            "from_s is 20, but to_s is 10: nothing lies between",
        ),
        (
            (*SETTLES, "after_s = 30", "within_s = 31"),
            "within_s is 31: after_s + within_s is 61, but the scenario ends at 60 s",
        ),
        (
            (*SETTLES, "after_s = 30", "until_s = 20", "within_s = 5"),
            "within_s is 5: after_s + within_s is 35, but until_s is 20",
        ),
        (
            ('claim = "reaches"', 'mode = "SAFE"', "after_s = 30", "within_s = 20", "stays_s = 11"),
            "stays_s is 11: after_s + within_s + stays_s is 61, but the scenario ends at 60 s",
        ),
        (
            ('claim = "refreshes"', 'device = "bat1"', "from_s = 50", "every_s = 15"),
            "every_s is 15, but only 10 s are looked at: it cannot fail",
        ),
        (
            ('claim = "stays"', 'signal = "soc_pct"', "at_most = 1", "to_s = 30", "longer_than_s = 30"),
            "longer_than_s is 30, but only 30 s are looked at: it cannot fail",
        ),
        (
            ('claim = "stays"', 'signal = "soc_pct"', "at_most = -5", "at_least = 5"),
            "at_least is 5, above at_most -5: no value is within both",
        ),
    ],
)
def test_a_claim_about_what_the_run_does_not_show_is_refused_with_its_line(
    keys: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    line = HEADER_LINE + len(keys)  # the key at fault is the last one
    assert refusal(tmp_path, HEAD, claim(*keys)) == f"test.toml:{line}: claim[0].{told}"


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (('claim = "never"', 'mode = "FAULT"', "from_s = nan"), "from_s is nan"),
        (('claim = "stays"', 'signal = "soc_pct"', "at_most = inf"), "at_most is inf"),
        ((*SETTLES[:3], "after_s = 0", "within_s = 5", "tolerance = -1"), "tolerance is -1"),
        (('claim = "writes"', 'device = "bat1"', "at_most = -1"), "at_most is -1"),
    ],
)
def test_no_number_of_a_claim_is_endless_or_negative_where_that_means_nothing(
    keys: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    line = HEADER_LINE + len(keys)
    assert refusal(tmp_path, HEAD, claim(*keys)).startswith(f"test.toml:{line}: claim[0].{told}: should be ")


@pytest.mark.parametrize(
    ("part", "told"),
    [
        (
            '[[fault]]\ndevice = "grid"\nfault = "frozen"\nat_s = 60\n',
            ":9: fault[0].at_s is 60, but the scenario ends at 60 s",
        ),
        ("[[step]]\nload_w = 5\nat_s = 500\n", ":8: step[0].at_s is 500, but the scenario ends at 60 s"),
        ("[[step]]\nat_s = 5\n", ":6: step[0]: changes nothing; give load_w, sun_w, frequency_hz, voltage_v"),
        ("[[step]]\nat_s = 5\norder = {for_s = 5}\n", ":6: step[0]: changes nothing; give load_w"),
    ],
)
def test_what_never_comes_to_pass_in_a_scenario_is_refused(part: str, told: str, tmp_path: Path) -> None:
    assert refusal(tmp_path, HEAD, part, CLAIM).startswith(f"test.toml{told}")


def test_a_claim_may_look_to_the_very_end(tmp_path: Path) -> None:
    made = scenario(tmp_path, HEAD, CLAIM.replace("within_s = 20", "within_s = 60"))
    assert len(made.claims) == 1


def unseen() -> Record:
    """A record of 3 s in which nothing was decided and nothing was to be seen but the first two samples."""
    record = Record(("bat1",), (), 1)
    signals = len(signal_names(["bat1"], [], 1)) - 3  # three of them are decided
    for at_s, value in enumerate((5.0, 5.0, nan, nan)):
        record.sample(float(at_s), [value] * signals, [0.0] * 8)
    record.duration_s = 3.0
    return record


def test_a_claim_does_not_hold_because_nothing_was_seen() -> None:
    never = Never("FAULT").judge(unseen())
    calm = Calm("pcc_import_w", band=1.0, from_s=2.0).judge(unseen())
    value = Value("pcc_import_w", at_s=3.0, at_most=10.0).judge(unseen())
    assert (never.held, never.text) == (False, "no decision after 0 s was seen")
    assert (calm.held, calm.text) == (False, "pcc_import_w was not seen after 2 s")
    assert (value.held, value.text) == (False, "pcc_import_w was not seen at 3 s")
    assert Value("pcc_import_w", at_s=1.0, at_most=10.0).judge(unseen()).held
