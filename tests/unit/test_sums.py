"""Fields that several registers make up, and values whose sign stands elsewhere."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.control import added
from drivers.profile.model import Sign
from drivers.profile.sums import parsed, shared_out, with_sums

POINTS = ("out_w", "in_w", "l1_w")


def test_a_sum_names_points_to_add_and_to_subtract() -> None:
    assert parsed("out_w - in_w", POINTS) == ((1.0, "out_w"), (-1.0, "in_w"))
    assert parsed(" -in_w+l1_w ", POINTS) == ((-1.0, "in_w"), (1.0, "l1_w"))
    assert parsed("out_w", POINTS) == ((1.0, "out_w"),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("out_w * in_w", "is not a sum of points"),
        ("out_w in_w", "is not a sum of points"),
        ("out_w -", "is not a sum of points"),
        ("2 - in_w", "is not a sum of points"),
        ("__import__('os')", "is not a sum of points"),
        ("out_w - inn_w", '"inn_w" in "out_w - inn_w" is not a point'),
        ("out_w - out_w", "names a point twice or none at all"),
        ("", "names a point twice or none at all"),
    ],
)
def test_anything_else_is_refused(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected.replace("(", r"\(")):
        parsed(text, POINTS)


@given(st.text(max_size=40))
def test_whatever_is_written_is_a_sum_or_refused(text: str) -> None:
    with suppress(ValueError):
        assert parsed(text, POINTS)


def test_a_sum_with_a_missing_term_is_missing() -> None:
    sums = {"battery_discharge_w": parsed("out_w - in_w", POINTS)}
    assert with_sums({"out_w": 0.0, "in_w": 1500.0}, sums)["battery_discharge_w"] == -1500.0
    assert with_sums({"out_w": None, "in_w": 1500.0}, sums)["battery_discharge_w"] is None
    assert "battery_discharge_w" not in with_sums({"in_w": 1500.0}, sums)


@given(
    st.sampled_from(("out_w - in_w", "out_w", "-in_w", "out_w + l1_w", "l1_w - in_w - out_w")),
    st.floats(-1e6, 1e6),
)
def test_what_an_emulator_shares_out_adds_up_again(text: str, value: float) -> None:
    terms = parsed(text, POINTS)
    assert added(terms, shared_out(terms, value)) == value


def test_a_split_pair_is_shared_out_by_its_sign() -> None:
    terms = parsed("out_w - in_w", POINTS)
    assert shared_out(terms, -1500.0) == {"out_w": 0.0, "in_w": 1500.0}
    assert shared_out(terms, 700.0) == {"out_w": 700.0, "in_w": 0.0}
    assert shared_out(terms, None) == {"out_w": None, "in_w": None}


def test_a_sign_in_another_register_is_read_from_its_bits_and_written_into_them() -> None:
    sign = Sign("running", negative=0x2, positive=0x4)
    assert (sign.of(2.0), sign.of(4.0), sign.of(0.0), sign.of(None)) == (-1.0, 1.0, 1.0, None)
    assert sign.bits(-5.0, 32772.0) == 32770.0
    assert sign.bits(5.0, 32770.0) == 32772.0
    assert sign.bits(0.0, 32770.0) == 32768.0
