"""The door for what only some devices need: directions, sums, signs, units, probes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.made_up_profile import BATTERY, loaded, refused

DIRECTED = BATTERY.replace('style = "enabled_watts"', 'style = "directed_watts"').replace(
    'enable = "on"', 'direction = "on"\ncharge = 1\ndischarge = 2\nidle = 0\nrestore = {on = 0}'
)


@pytest.mark.parametrize(
    ("found", "instead", "expected"),
    [
        (
            "idle = 0\n",
            "",
            "control.direction: needs charge, discharge and idle: what the point holds for each",
        ),
        ("discharge = 2", "discharge = 1", "control.direction: needs charge, discharge and idle"),
        ('direction = "on"\n', "", "control.direction: names the point that says what the power means"),
        ("idle = 0", 'idle = 0\nbase = "w"', "control.base: adds up what the device would import"),
        ("idle = 0", 'idle = 0\ncharge_setpoint = "w"', 'control.charge_setpoint: "w" cannot be written'),
        ("idle = 0", 'idle = 0\nopposite = "on"', "control.opposite: names the point that limits the other"),
        ("restore = {on = 0}", "restore = {no = 0}", 'control.restore: "no" is not a point'),
        (
            'timer = "timer"',
            'timer = "timer"\nfixed = true',
            "lease: takes either a timer point, fixed = true",
        ),
        (
            "idle = 0",
            'idle = 0\nvolts = "w"',
            "control.volts: names the point with the battery's voltage: for",
        ),
        ("restore = {on = 0}", "restore_found = true", "control.restore_found: has nothing to restore"),
    ],
)
def test_a_wrong_control_is_told_what_to_do(tmp_path: Path, found: str, instead: str, expected: str) -> None:
    assert found in DIRECTED
    assert expected in refused(tmp_path, DIRECTED.replace(found, instead, 1))


SPLIT = """
name = "Split"
role = "meter"
source = ["made up"]
confidence = "low"
[points]
in_w = {address = 0, type = "u32", unit = "W", every = "fast"}
out_w = {address = 2, type = "u32", unit = "W", every = "fast"}
bits = {address = 4, type = "bits16", every = "fast"}
[points.hz]
address = 5
type = "u16"
unit = "Hz"
gives = "frequency_hz"
every = "fast"
sign_point = "bits"
negative_bits = 2
positive_bits = 4
[sums]
pcc_import_w = "in_w - out_w"
[[examples]]
source = "by hand"
registers.0 = "0000 0000 0000 01F4"
reading.pcc_import_w = -500.0
"""


def test_a_field_may_be_the_difference_of_two_points_read_together(tmp_path: Path) -> None:
    profile = loaded(tmp_path, SPLIT)
    assert profile.sums == {"pcc_import_w": ((1.0, "in_w"), (-1.0, "out_w"))}
    assert profile.named("pcc_import_w") == "pcc_import_w"
    assert [(block.address, block.count) for block in profile.blocks] == [(0, 6)]


@pytest.mark.parametrize(
    ("found", "instead", "expected"),
    [
        ('"in_w - out_w"', '"in_w * out_w"', 'sums.pcc_import_w: "in_w * out_w" is not a sum of points'),
        ("pcc_import_w = ", "pcc_imprt_w = ", 'is not a number of the reading; did you mean "pcc_import_w"?'),
        ("pcc_import_w = ", "frequency_hz = ", "sums.frequency_hz: is given by hz already"),
        (
            '"W", every = "fast"}\nbits',
            '"kW", every = "fast"}\nbits',
            'unit: is "kW", but pcc_import_w is in "W"',
        ),
        ('"W", every = "fast"}\nbits', '"W", every = "slow"}\nbits', "must be of one kind and rate"),
        ('sign_point = "bits"', 'sign_point = "bitts"', '"bitts" is not a point; did you mean "bits"?'),
        ('sign_point = "bits"', 'sign_point = "in_w"', "must be one register of bits"),
        ("positive_bits = 4", "positive_bits = 6", "says which bits mean below 0"),
        ("bits = {address = 4", "bits = {unit_id = 7, address = 4", "must be one register of bits among"),
        ("bits = {address = 4", "bits = {unit_id = 7, address = 3", "register 3 is at another unit already"),
        (
            'type = "bits16", every',
            'type = "bits16", when = "new", every',
            'no [[probe]] finds the variant "new"',
        ),
        (
            'type = "bits16", every',
            'type = "bits16", access = "w", every',
            "is w, so it can neither give a field",
        ),
        (
            'type = "bits16", every',
            'type = "bits16", writes_per_day = 9, every',
            "is for registers that are written",
        ),
        (
            'out_w = {address = 2, type = "u32"',
            'out_w = {address = 2, type = "u32", access = "rw", function = 6',
            "is 6, which writes one register; u32 takes more",
        ),
    ],
)
def test_a_wrong_sum_sign_or_unit_is_told_what_to_do(
    tmp_path: Path, found: str, instead: str, expected: str
) -> None:
    assert found in SPLIT
    assert expected in refused(tmp_path, SPLIT.replace(found, instead, 1))


def test_a_profile_with_a_probe_is_one_profile_for_each_variant(tmp_path: Path) -> None:
    text = SPLIT.replace(
        "[points]", '[[probe]]\nvariant = "new"\naddress = 900\nequals = [3]\n[points]'
    ).replace("[points.hz]", '[points.hz]\nwhen = "new"')
    profile = loaded(tmp_path, text)
    assert {tuple(sorted(names)) for names in profile.variants} == {("new",), ()}
    assert "hz" in profile.points
    assert "hz" not in profile.variants[frozenset()].points
