"""Words and values: each type by hand, what is not available, and what does not fit."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.registers import (
    Encoding,
    Field,
    NotAvailable,
    Type,
    Value,
    WordOrder,
    block_decoder,
    decode,
    encode,
    saturated,
)

BY_HAND: list[tuple[Type, list[int], float]] = [
    ("u16", [0xFDE8], 65000.0),
    ("s16", [0xF380], -3200.0),  # 62336 - 65536
    ("u32", [0x0001, 0x0000], 65536.0),
    ("s32", [0xFFFF, 0xFA24], -1500.0),
    ("u64", [0x0000, 0x0000, 0x0001, 0x0000], 65536.0),
    ("s64", [0xFFFF, 0xFFFF, 0xFFFF, 0xFFFE], -2.0),
    ("f32", [0x43E5, 0x8000], 459.0),
    ("f64", [0x4059, 0x0000, 0x0000, 0x0000], 100.0),  # 1.5625 x 2^6
    ("bits16", [0x0005], 5.0),
    ("enum16", [0x0007], 7.0),
    ("acc32", [0x0001, 0x0001], 65537.0),
    ("sunssf", [0xFFFE], -2.0),
]
NOT_AVAILABLE: list[tuple[Type, list[int]]] = [
    ("u16", [0xFFFF]),
    ("s16", [0x8000]),
    ("u32", [0xFFFF, 0xFFFF]),
    ("s32", [0x8000, 0x0000]),
    ("u64", [0xFFFF] * 4),
    ("s64", [0x8000, 0, 0, 0]),
    ("f32", [0x7FC0, 0x0000]),
    ("f64", [0x7FF8, 0, 0, 0]),
    ("bits16", [0xFFFF]),
    ("enum16", [0xFFFF]),
    ("acc32", [0x0000, 0x0000]),
    ("sunssf", [0x8000]),
    ("string", [0x0000, 0x0000]),
]
ORDERS: tuple[WordOrder, ...] = ("be", "le")
WHOLE: dict[Type, tuple[int, int]] = {  # exact as a float, without what means "not available"
    "u16": (0, 0xFFFE),
    "s16": (-0x7FFF, 0x7FFF),
    "u32": (0, 0xFFFF_FFFE),
    "s32": (-0x7FFF_FFFF, 0x7FFF_FFFF),
    "u64": (0, 2**53),
    "s64": (-(2**53), 2**53),
    "acc32": (1, 0xFFFF_FFFF),
}


def the(
    type_: Type, order: WordOrder = "be", scale: float = 1.0, absent: NotAvailable = "standard"
) -> Encoding:
    words = dict(NOT_AVAILABLE)[type_]
    return Encoding(type_, len(words), order, scale, absent)


@pytest.mark.parametrize(("type_", "words", "value"), BY_HAND)
def test_each_type_decodes_and_encodes_as_worked_out_by_hand(
    type_: Type, words: list[int], value: float
) -> None:
    assert decode(the(type_), words) == value
    assert encode(the(type_), value) == tuple(words)


@pytest.mark.parametrize(("type_", "words", "value"), BY_HAND)
def test_a_device_may_put_the_low_word_first(type_: Type, words: list[int], value: float) -> None:
    assert decode(the(type_, "le"), words[::-1]) == value
    assert encode(the(type_, "le"), value) == tuple(words[::-1])


@pytest.mark.parametrize(("type_", "words"), NOT_AVAILABLE)
def test_what_is_not_available_is_absent_and_never_zero(type_: Type, words: list[int]) -> None:
    assert decode(the(type_), words) is None
    assert encode(the(type_), None) == tuple(words)


@pytest.mark.parametrize("words", [[0x7F80, 0], [0xFF80, 0], [0x7FC0, 0], [0xFFFF, 0xFFFF], [0x7F80, 1]])
def test_infinities_and_every_kind_of_nan_are_absent(words: list[int]) -> None:
    assert decode(the("f32", absent="none"), words) is None


def test_a_vendors_own_words_for_not_available_replace_the_standard_ones() -> None:
    huawei = the("s32", absent=(0x7FFF_FFFF,))
    assert decode(huawei, [0x7FFF, 0xFFFF]) is None
    assert decode(huawei, [0x8000, 0x0000]) == -2147483648.0
    assert encode(huawei, None) == (0x7FFF, 0xFFFF)
    lowest_float = the("f32", absent=(0xFF7F_FFFF,))
    assert decode(lowest_float, [0xFF7F, 0xFFFF]) is None


def test_where_nothing_means_not_available_all_words_are_values() -> None:
    assert decode(the("u16", absent="none"), [0xFFFF]) == 65535.0
    with pytest.raises(ValueError, match="no way to say"):
        encode(the("u16", absent="none"), None)


def test_a_negative_scale_turns_the_vendors_sign() -> None:
    charge_tens = the("s16", scale=-10.0)
    assert decode(charge_tens, [0x00FA]) == -2500.0  # 250 x -10: charging with 2.5 kW
    assert encode(charge_tens, -2500.0) == (0x00FA,)


def test_a_raw_number_may_count_from_another_zero() -> None:
    biased = Encoding("u32", 2, offset=-32_000.0)
    assert decode(biased, [0, 0x7724]) == -1500.0  # 30500 - 32000
    assert encode(biased, -1500.0) == (0, 0x7724)
    assert encode(biased, -1500.7, rounding="toward_zero") == (0, 0x7724)
    assert encode(biased, 1500.7, rounding="toward_zero") == (0, 0x82DC)  # 33500
    assert block_decoder([Field(0, biased)])([0, 0x7724]) == [-1500.0]
    fine = Encoding("u16", 1, scale=0.1, offset=-40.0)
    assert decode(fine, [650]) == 25.0
    assert encode(fine, 25.0) == (650,)
    with pytest.raises(ValueError, match="does not fit"):
        encode(fine, -40.1)


def test_a_scale_factor_is_a_power_of_ten() -> None:
    assert decode(the("u16"), [5000], -2.0) == 50.0
    assert decode(the("u16"), [629], -1.0) == 62.9
    assert decode(the("s16"), [250], 1.0) == 2500.0
    assert encode(the("u16"), 62.9, -1.0) == (629,)


@pytest.mark.parametrize("power", [None, 11.0, -11.0, 0.5, math.nan])
def test_without_a_sensible_scale_factor_there_is_no_value(power: float | None) -> None:
    assert decode(the("u16"), [5000], power) is None
    with pytest.raises(ValueError, match="scale factor"):
        encode(the("u16"), 50.0, power)


@pytest.mark.parametrize(
    ("type_", "value"),
    [("s16", 32768.0), ("s16", -32769.0), ("u16", -1.0), ("u16", 65536.0), ("s32", 2.0**31), ("f32", 1e39)],
)
def test_a_value_that_does_not_fit_is_refused_and_never_wraps(type_: Type, value: float) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        encode(the(type_), value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_not_encoded(value: float) -> None:
    with pytest.raises(ValueError, match="cannot be encoded"):
        encode(the("f32"), value)


def test_a_value_that_would_read_as_not_available_is_refused() -> None:
    with pytest.raises(ValueError, match="not available"):
        encode(the("u16"), 65535.0)


def test_an_order_is_rounded_toward_zero_but_float_noise_costs_no_step() -> None:
    tens = the("s16", scale=10.0)
    assert encode(tens, 2499.0, rounding="toward_zero") == (249,)
    assert encode(tens, -2499.0, rounding="toward_zero") == (0x10000 - 249,)
    assert encode(tens, 2499.999999999, rounding="toward_zero") == (250,)
    assert encode(tens, 2499.0) == (250,)


def test_strings_end_at_the_first_null_and_show_no_unprintable_characters() -> None:
    name = Encoding("string", 4)
    assert decode(name, [0x5065, 0x6E73, 0x746F, 0x636B]) == "Penstock"
    assert decode(name, [0x5065, 0x6E00, 0x5858, 0x5858]) == "Pen"
    assert decode(name, [0x411B, 0x5B32, 0x4AFF, 0x0000]) == "A?[2J?"
    assert encode(name, "Pen") == (0x5065, 0x6E00, 0, 0)
    for wrong in ("Penstock!", "Ü"):
        with pytest.raises(ValueError, match="at most 8 ASCII"):
            encode(name, wrong)


def test_a_number_is_no_string_and_a_string_no_number() -> None:
    for encoding, value in ((Encoding("string", 4), 5.0), (the("u16"), "5")):
        with pytest.raises(ValueError, match="cannot be encoded as"):
            encode(encoding, value)


@pytest.mark.parametrize(
    ("words", "scale", "absent", "match"),
    [
        (2, 1.0, "standard", "takes 1"),
        (1, 0.0, "standard", "other than 0"),
        (1, 1.0, (0x10000,), "does not fit"),
    ],
)
def test_an_impossible_encoding_is_refused(
    words: int, scale: float, absent: NotAvailable, match: str
) -> None:
    with pytest.raises(ValueError, match=match):
        Encoding("u16", words, "be", scale, absent)


@given(st.data())
def test_every_whole_number_that_fits_comes_back(data: st.DataObject) -> None:
    type_ = data.draw(st.sampled_from(sorted(WHOLE)))
    order = data.draw(st.sampled_from(ORDERS))
    value = data.draw(st.integers(*WHOLE[type_]))
    assert decode(the(type_, order), encode(the(type_, order), float(value))) == value


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_every_finite_float_comes_back(value: float) -> None:
    assert decode(the("f32"), encode(the("f32"), value)) == value


@given(
    st.floats(-3e4, 3e4),
    st.integers(-2, 2),
    st.sampled_from((1.0, -1.0, 0.1, -10.0)),
    st.sampled_from((0.0, -32_000.0)),
)
def test_what_is_written_is_never_more_than_ordered(
    order_w: float, power: int, scale: float, offset: float
) -> None:
    encoding = Encoding("s32", 2, scale=scale, offset=offset)
    written = decode(encoding, encode(encoding, order_w, power, "toward_zero"), power)
    step = abs(scale) * 10.0**power
    assert isinstance(written, float)
    assert abs(written) <= abs(order_w) + 2e-6 * step
    assert abs(order_w - written) < step * (1 + 1e-6) + 1e-9


@given(st.floats(allow_nan=True), st.floats(1e-3, 1e3), st.sampled_from(sorted(WHOLE)), st.integers(-3, 3))
def test_encoding_either_fits_to_half_a_step_or_raises(
    value: float, scale: float, type_: Type, power: int
) -> None:
    encoding = the(type_, scale=scale)
    try:
        words = encode(encoding, value, power)
    except ValueError:
        return
    found = decode(encoding, words, power)
    step = scale * 10.0**power
    if type_ != "acc32" or found is not None:
        assert isinstance(found, float)
        assert abs(found - value) <= step * 0.5000001 + abs(value) * 1e-9


@given(st.lists(st.integers(0, 0xFFFF), min_size=14, max_size=14))
def test_a_compiled_block_says_the_same_as_value_by_value(words: list[int]) -> None:
    # offset 0 u16 scaled by 1, 1 sunssf, gap, 3 s32 low word first, 5 f32, 7 string of two, 9 u64, 13 enum
    fields = [
        Field(0, the("u16"), power_index=1),
        Field(1, the("sunssf")),
        Field(3, Encoding("s32", 2, "le", offset=-32_000.0)),
        Field(5, the("f32", scale=0.1)),
        Field(7, Encoding("string", 2)),
        Field(9, the("u64")),
        Field(13, Encoding("enum16", 1, bits=0x00F0)),
    ]
    power = decode(the("sunssf"), words[1:2])
    assert not isinstance(power, str)
    one_by_one: list[Value] = [decode(fields[0].encoding, words[0:1], power)]
    for item in fields[1:]:
        one_by_one.append(decode(item.encoding, words[item.offset : item.offset + item.encoding.words]))
    assert block_decoder(fields)(words) == one_by_one


def test_a_block_of_a_single_register_is_a_block() -> None:
    assert block_decoder([Field(2, the("s16"))])([1, 2, 0xFFFF]) == [-1.0]


@pytest.mark.parametrize(
    ("encoding", "value", "power", "shown"),
    [
        (Encoding("s16", 1), 40_000.0, 0.0, 32_767.0),
        (Encoding("s16", 1), -40_000.0, 0.0, -32_767.0),  # one further is "not available"
        (Encoding("s16", 1, not_available="none"), -40_000.0, 0.0, -32_768.0),
        (Encoding("s16", 1, scale=-10.0), 400_000.0, 0.0, 327_670.0),  # -32768 is "not available"
        (Encoding("s16", 1), 40_000.0, -1.0, 3276.7),
        (Encoding("u16", 1), -5.0, 0.0, 0.0),
        (Encoding("u16", 1), 70_000.0, 0.0, 65_534.0),
        (Encoding("u16", 1, not_available=(32_768,)), 32_768.0, 0.0, 32_767.0),
        (Encoding("u16", 1, offset=-100.0), -200.0, 0.0, -100.0),
        (Encoding("s32", 2, word_order="le"), 3e9, 0.0, 2_147_483_647.0),
        (Encoding("f32", 2), -1e39, 0.0, -3.4028234663852886e38),
    ],
)
def test_a_number_beyond_its_registers_is_shown_as_the_last_that_they_hold(
    encoding: Encoding, value: float, power: float, shown: float
) -> None:
    with pytest.raises(ValueError, match=r"does not fit|not available"):
        encode(encoding, value, power)
    assert decode(encoding, saturated(encoding, value, power), power) == shown


@pytest.mark.parametrize(("value", "power"), [(math.nan, 0.0), (math.inf, 0.0), (1.0, None)])
def test_what_is_no_number_is_not_shown_as_one(value: float, power: float | None) -> None:
    with pytest.raises(ValueError, match="cannot be encoded"):
        saturated(Encoding("s16", 1), value, power)
