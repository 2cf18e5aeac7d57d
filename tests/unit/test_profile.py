"""The door for device profiles: what a good one becomes, and what each kind of bad one is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.profile import (
    PROFILES,
    ProfileError,
    load_profile,
    profile_schema,
    shipped_profiles,
)
from drivers.profile.blocks import plan_blocks
from drivers.profile.codec import register_writes
from drivers.profile.model import Point, Transport, Write
from drivers.registers import Encoding
from tests.unit.made_up_profile import BATTERY, loaded, refused

METER = """
name = "Test meter"
role = "meter"
source = ["made up"]
confidence = "low"
[transport]
max_gap_registers = 4
[points]
w = {address = 10, type = "s16", scale_point = "sf", unit = "W", gives = "pcc_import_w", every = "fast"}
sf = {address = 12, type = "sunssf"}
volts = {address = 16, type = "u16", scale = 0.1, unit = "V", gives = "phase_voltage_v.1", every = "fast"}
[[examples]]
source = "by hand"
registers.10 = "FF38"
registers.12 = "0001"
reading.pcc_import_w = -2000.0
"""


def test_a_profile_is_found_by_name_or_by_a_path_relative_to_the_site_file(tmp_path: Path) -> None:
    assert load_profile("eastron-sdm630").role == "meter"
    assert loaded(tmp_path, METER).id == "device"
    assert load_profile(str(PROFILES / "sunspec-pv.toml")) == load_profile("sunspec-pv")


def test_an_unknown_name_is_told_the_nearest_known_one() -> None:
    with pytest.raises(ProfileError, match=r'no profile "eastron-sdm360"; did you mean "eastron-sdm630"\?'):
        load_profile("eastron-sdm360")


def test_values_with_their_scale_factors_become_one_block(tmp_path: Path) -> None:
    (block,) = loaded(tmp_path, METER).blocks
    assert (block.kind, block.address, block.count, block.every) == ("holding", 10, 7, "fast")
    assert [point.name for point in block.points] == ["w", "sf", "volts"]


def test_what_a_profile_does_not_say_is_modest(tmp_path: Path) -> None:
    profile = loaded(tmp_path, METER)
    assert profile.transport == Transport(125, 4, 0, 0, 500, None, (5, 6))
    assert profile.response.period_s == 0.0
    assert profile.lease is None
    assert loaded(tmp_path, BATTERY).control.lease == ("timer", 30.0)  # type: ignore[union-attr]  # it has one


def test_a_device_without_a_lease_must_say_what_stays_on(tmp_path: Path) -> None:
    timer = 'timer = "timer"\nfallback = "own program"'
    lease = loaded(
        tmp_path,
        BATTERY.replace(timer, 'none = "charges on"').replace('"12 001E", ', "").replace(', "12 0000"', ""),
    ).lease
    assert lease is not None
    assert (lease.seconds, lease.fallback) == (None, "charges on")
    text = refused(tmp_path, BATTERY.replace(timer, ""))
    assert "lease: takes either a timer point, fixed = true or none = ..., one of them" in text
    assert "lease: is missing" in refused(tmp_path, BATTERY.replace(f"[lease]\n{timer}", ""))
    assert "lease.fallback: is missing" in refused(tmp_path, BATTERY.replace('fallback = "own program"', ""))


def test_a_syntax_error_has_line_and_column(tmp_path: Path) -> None:
    assert "device.toml:3:8: not valid TOML" in refused(tmp_path, METER.replace('"meter"', "meter", 1))


@pytest.mark.parametrize(
    ("found", "instead", "expected"),
    [
        ("scale = 0.1", "scael = 0.1", 'points.volts.scael: is not a known key; did you mean "scale"?'),
        ('"pcc_import_w", ', '"pcc_imprt_w", ', 'not a field of the reading; did you mean "pcc_import_w"?'),
        ('"sf", ', '"sff", ', '"sff" is not a point; did you mean "sf"?'),
        ('unit = "V"', 'unit = "mV"', 'points.volts.unit: is "mV", but phase_voltage_v.1 is in "V"'),
        (
            'every = "fast"}\nsf',
            'every = "slow"}\nsf',
            'pcc_import_w is needed in each reading: every = "fast"',
        ),
        (
            'gives = "phase_voltage_v.1", every = "fast"',
            'gives = "phase_voltage_v.1"',
            "points.volts.every: is missing",
        ),
        ("phase_voltage_v.1", "pcc_import_w", "is given by w already"),
        ("address = 16", "address = -1", "points.volts.address is -1: should be greater than or equal to 0"),
        ("address = 16", "address = 65536", "points.volts.address is 65536"),
        ('type = "u16"', 'type = "u17"', "points.volts.type is"),
        ('type = "u16", ', "", "points.volts: has no type; give it here or in [defaults]"),
        ('type = "u16"', 'type = "string"', "points.volts: is a string; say how many registers"),
        ('type = "u16"', 'type = "u16", words = 2', "leave out words = 2"),
        ("scale = 0.1", "scale = 0", "points.volts: scale is 0; give a number other than 0"),
        ("scale = 0.1", "scale = nan", "points.volts.scale is nan"),
        ("scale = 0.1", "range = [9, 1]", "points.volts.range: is [9.0, 1.0]; the lower bound comes first"),
        ("scale = 0.1", "true_when = [1]", "points.volts.true_when: says which values mean true"),
        ("scale = 0.1", 'kind = "input", access = "rw"', "input registers cannot be written"),
        (
            'type = "sunssf"',
            'type = "sunssf", kind = "input"',
            '"sf" must be a plain number among the holding',
        ),
        ('"meter"', '"gauge"', "role is"),
        ("-2000.0", "2000.0", "pcc_import_w comes out as -2000.0, the example says 2000.0"),
        ("reading.pcc_import_w", 'reading."phase_voltage_v.1"', "cannot be read from the registers given"),
        ('"FF38"', '"FF3"', '"FF3" is not a register; give four hex digits each'),
        ("reading.pcc_import_w = -2000.0", "", "shows either a reading or one of take_w, change_w, release"),
        ("max_gap_registers = 4", "max_read_registers = 2", "w with what belongs to it spans 3 registers"),
        ("[points]", "[lease]\nnone = 'x'\n[points]", "a lease is for orders"),
        (
            "[points]",
            "[response]\nperiod_s = 1.0\n[points]",
            "response.source: is missing: where these times",
        ),
        ("scale = 0.1", "scale = 0.1, quiet = true", "points.volts.quiet: is for terms of [sums]"),
    ],
)
def test_a_wrong_meter_profile_is_told_what_to_do(
    tmp_path: Path, found: str, instead: str, expected: str
) -> None:
    assert found in METER
    text = refused(tmp_path, METER.replace(found, instead, 1))
    assert expected in text
    assert str(tmp_path / "device.toml") in text


@pytest.mark.parametrize(
    ("found", "instead", "expected"),
    [
        ('"enabled_watts"', '"enabled_wats"', 'is not a style; did you mean "enabled_watts"?'),
        ('"enabled_watts"', '"enabled_percent"', "control.percent_of: names the point with the W of 100 %"),
        ('setpoint = "order"', 'setpoint = "odrer"', '"odrer" is not a point; did you mean "order"?'),
        (
            'access = "rw", range',
            "range",
            'control.enable: "on" cannot be written; give the point access = "rw"',
        ),
        (
            ', every = "third"}\non',
            ', every = "slow"}\non',
            'control.setpoint: "order" is never read back in time; give the point every = "third"',
        ),
        ('timer = "timer"', 'timer = "tiemr"', 'lease.timer: "tiemr" is not a point; did you mean "timer"?'),
        ("seconds = 30", "seconds = 0", "lease.seconds"),
        ('"10 0032"', '"10 FFCE"', "the example says ['12 001E', '10 FFCE', '11 0001']"),
        ("release = true", "release = true\nchange_w = 0.0", "one of take_w, change_w, release"),
        ("take_w = -500.0", "take_w = 0.0", "add an example with take_w, not 0"),
        ("take_w = -500.0", "take_w = 400000.0", "order: 400000 does not fit into s16 in steps of 10"),
    ],
)
def test_a_wrong_battery_profile_is_told_what_to_do(
    tmp_path: Path, found: str, instead: str, expected: str
) -> None:
    with_seconds = BATTERY.replace('fallback = "own', 'seconds = 30\nfallback = "own')
    assert found in with_seconds
    assert expected in refused(tmp_path, with_seconds.replace(found, instead, 1))


def test_a_battery_without_control_and_a_meter_with_it_are_refused(tmp_path: Path) -> None:
    start, end = BATTERY.index("[control]"), BATTERY.index("[lease]")
    assert "say how this battery takes orders" in refused(tmp_path, BATTERY[:start] + BATTERY[end:])
    control = BATTERY[start : BATTERY.index("[[examples]]")]
    assert "a meter takes no orders" in refused(
        tmp_path, METER.replace("[[examples]]", f"{control}[[examples]]")
    )


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    both = METER.replace('unit = "V"', 'unit = "kV"').replace('"sf", ', '"fs", ')
    lines = refused(tmp_path, both).splitlines()
    assert len(lines) == 2
    assert all("device.toml:" in line for line in lines)


def test_a_point_on_one_line_is_found_by_its_line(tmp_path: Path) -> None:
    assert "device.toml:11: points.volts.unit" in refused(
        tmp_path, METER.replace('unit = "V"', 'unit = "kV"')
    )


def test_a_write_is_checked_against_the_points_own_range(tmp_path: Path) -> None:
    profile = loaded(tmp_path, BATTERY)
    with pytest.raises(ValueError, match="on is 2; give 0 to 1"):
        register_writes(profile, (("on", 2.0),), {})
    assert register_writes(profile, (("order", 129.0),), {}) == (Write(10, (0x10000 - 12,)),)


def test_the_schema_describes_every_key_and_allows_no_other() -> None:
    schema = profile_schema()
    assert json.loads(json.dumps(schema)) == schema
    assert schema["additionalProperties"] is False
    assert {"points", "control", "lease", "examples"} <= set(schema["properties"])


def test_the_shipped_profiles_are_known_by_name() -> None:
    assert set(shipped_profiles()) >= {"eastron-sdm630", "sunspec-hybrid", "sunspec-pv"}


def a_point(name: str, address: int, words: int, every: str, factor: str | None) -> Point:
    encoding = Encoding({1: "u16", 2: "u32", 4: "u64"}[words], words)  # type: ignore[arg-type]  # three of the types
    rate = every if every in ("fast", "slow") else None
    return Point(name, "holding", address, encoding, "", None, rate, factor, (), None, False, None)  # type: ignore[arg-type]  # a rate


@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.sampled_from((1, 2, 4)), st.booleans()), min_size=1, max_size=30
    ),
    st.integers(4, 125),
    st.integers(0, 40),
)
def test_blocks_keep_to_the_limits_and_split_no_value(
    places: list[tuple[int, int, bool]], most: int, gap: int
) -> None:
    points = {
        f"p{i}": a_point(f"p{i}", address, words, "fast" if fast else "slow", None)
        for i, (address, words, fast) in enumerate(places)
    }
    blocks = plan_blocks(points, Transport(most, gap, 0, 0, 500, None, ()))
    read = [point.name for block in blocks for point in block.points]
    assert sorted(read) == sorted(points)
    for block in blocks:
        assert 1 <= block.count <= most
        covered = sorted((point.address, point.end) for point in block.points)
        assert covered[0][0] == block.address
        assert max(end for _, end in covered) == block.address + block.count
        assert all(point.every == block.every for point in block.points)
        reached = covered[0][1]
        for start, end in covered:
            assert start - reached <= gap
            reached = max(reached, end)


def test_a_scale_factor_shared_by_two_rates_is_read_with_each() -> None:
    points = {
        "a": a_point("a", 0, 1, "fast", "sf"),
        "b": a_point("b", 2, 1, "slow", "sf"),
        "sf": a_point("sf", 4, 1, "never", None),
    }
    blocks = plan_blocks(points, Transport(125, 0, 0, 0, 500, None, ()))
    assert [[point.name for point in block.points] for block in blocks] == [["a", "sf"], ["b", "sf"]]
