"""The door for commands: exactly one JSON object with known keys and sane numbers, or a sentence why not."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.commands import COMMANDS, Limits, Policy, RefusedError, Setpoint, Stop, parse


def refusal(name: str, payload: bytes | str) -> str:
    with pytest.raises(RefusedError) as caught:
        parse(name, payload if isinstance(payload, bytes) else payload.encode(), "house-7")
    return str(caught.value)


def test_a_command_as_it_should_be() -> None:
    command = parse("setpoint", b'{"id": "a-1", "battery_discharge_w": -800, "valid_for_s": 30}', "house-7")
    assert command == Setpoint(id="a-1", battery_discharge_w=-800.0, valid_for_s=30.0)


def test_what_has_an_end_and_what_stays() -> None:
    """A setpoint or a limit holds for 60 s unless it says otherwise; a setting until it is changed."""
    assert parse("setpoint", b'{"id": "1"}', "house-7").valid_for_s == 60.0
    assert parse("limits", b'{"id": "1"}', "house-7") == Limits(id="1", valid_for_s=60.0)
    assert parse("stop", b'{"id": "1"}', "house-7") == Stop(id="1", valid_for_s=None)
    assert parse("policy", b'{"id": "1", "policy": "standby"}', "house-7") == Policy(id="1", policy="standby")


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "is not JSON: Expecting value at character 0"),
        (b"{", "is not JSON: Expecting property name enclosed in double quotes at character 1"),
        (b"[1]", "is not a JSON object {...}"),
        (b"17", "is not a JSON object {...}"),
        (b'{"id": "1", "battery_discharge_w": NaN}', "NaN is no number of JSON"),
        (b'{"id": "1", "battery_discharge_w": -Infinity}', "-Infinity is no number of JSON"),
        (b'{"id": "1", "battery_discharge_w": 1e999}', "has a number that is too large"),
        (b'{"id": "1", "battery_discharge_w": ' + b"9" * 1900 + b"}", "has a number that is too long"),
        (b'{"id": "1", "id": "2"}', "has a key twice"),
        (b'{"id": ' + b"[" * 1000 + b"]" * 1000 + b"}", "is nested too deeply"),
        (
            b'\xef\xbb\xbf{"id": "1"}',
            "is not JSON: Unexpected UTF-8 BOM (decode using utf-8-sig) at character 0",
        ),
        (b'{"id": "\xff"}', "is not UTF-8 text"),
        (b'{"id": "1", "pad": "' + b"x" * 2048 + b'"}', "has 2070 bytes, allowed are 2048"),
        (b'{"id": "1"} {"id": "2"}', "is not JSON: Extra data at character 12"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_exactly_one_sane_object_is_refused(payload: bytes, reason: str) -> None:
    assert refusal("setpoint", payload) == reason


@pytest.mark.parametrize(
    ("name", "payload", "reason"),
    [
        ("setpoint", '{"battery_discharge_w": 1}', "id is missing"),
        (
            "setpoint",
            '{"id": "1", "battery_discharge_w": true}',
            "battery_discharge_w: should be a valid number",
        ),
        (
            "setpoint",
            '{"id": "1", "battery_discharge_w": "5"}',
            "battery_discharge_w: should be a valid number",
        ),
        (
            "setpoint",
            '{"id": "1", "battery_discharge_w": 2e9}',
            "battery_discharge_w: should be less than or",
        ),
        (
            "setpoint",
            '{"id": "1", "battery_discharge_kw": 5}',
            "'battery_discharge_kw' is not a known key; did you mean \"battery_discharge_w\"?",
        ),
        (
            "setpoint",
            '{"id": "1", "battery_discharge_w": 1, "pcc_import_w": 1}',
            "give battery_discharge_w or pcc_import_w, not both",
        ),
        ("setpoint", '{"id": "1", "valid_for_s": 0}', "valid_for_s: should be greater than 0"),
        (
            "setpoint",
            '{"id": "1", "valid_for_s": 86401}',
            "valid_for_s: should be less than or equal to 86400",
        ),
        ("setpoint", '{"id": "1", "version": 2}', "version: should be less than or equal to 1"),
        ("setpoint", '{"id": "1", "version": true}', "version: should be a valid integer"),
        ("setpoint", '{"id": "1", "seq": 1.5}', "seq: should be a valid integer"),
        ("setpoint", '{"id": "1", "site": "house-8"}', "is for site 'house-8', this is house-7"),
        ("setpoint", '{"id": "1", "issued_at": "noon"}', "issued_at: give an instant such as"),
        ("setpoint", '{"id": "1", "issued_at": "2026-06-01T12:00:00"}', "issued_at: give an instant such as"),
        ("reserve", '{"id": "1"}', "reserve_pct is missing"),
        ("reserve", '{"id": "1", "reserve_pct": 101}', "reserve_pct: should be less than or equal to 100"),
        (
            "limits",
            '{"id": "1", "import_limit_w": -1}',
            "import_limit_w: should be greater than or equal to 0",
        ),
        ("policy", '{"id": "1", "policy": "greedy"}', "policy: should be 'self_consumption', 'economic',"),
        ("setpiont", '{"id": "1"}', "there is no command 'setpiont'; did you mean \"setpoint\"?"),
    ],
)
def test_a_refusal_says_which_key_and_what_would_be_right(name: str, payload: str, reason: str) -> None:
    assert refusal(name, payload).startswith(reason)


@pytest.mark.parametrize("name", ["setpoint", "limits", "operator", "start", "clear_fault", "inject"])
def test_only_a_setting_may_be_without_an_end(name: str) -> None:
    assert refusal(name, '{"id": "1", "valid_for_s": null}') == "valid_for_s: should be a valid number"
    for lasting in ("reserve", "policy", "stop"):
        payload = f'{{"id": "1", "valid_for_s": null, "{lasting}": true}}'.encode()
        if lasting == "stop":
            assert parse("stop", payload, "house-7").valid_for_s is None
        else:
            assert "valid_for_s" not in refusal(lasting, payload)


@pytest.mark.parametrize(
    ("name", "payload", "id_"),
    [
        ("setpiont", '{"id": "a-1"}', "a-1"),
        ("", '{"id": "a-1"}', "a-1"),
        ("setpoint", '{"id": "a-1", "battery_discharge_w": NaN}', "a-1"),
        ("setpoint", '{"id": "a-1", "battery_discharge_w": 1e999}', "a-1"),
        ("setpoint", '{"battery_discharge_w": ' + "9" * 1900 + ', "id": "a-1"}', "a-1"),
        ("setpoint", '{"id": "a-1", "seq": 1, "seq": 2}', "a-1"),
        ("setpoint", '{"id": "a-1", "x": {"id": "b"}}', "a-1"),
        ("setpoint", '{"id": "a-1", "id": "b"}', ""),
        ("setpoint", '[["id", "a-1"]]', ""),
        ("setpoint", '{"x": {"id": "a-1"}}', ""),
        ("setpoint", '{"id": "a-1"', ""),
        ("setpoint", '{"id": 1}', ""),
    ],
)
def test_a_refusal_goes_to_whoever_the_message_names_whatever_else_is_wrong_with_it(
    name: str, payload: str, id_: str
) -> None:
    with pytest.raises(RefusedError) as caught:
        parse(name, payload.encode(), "house-7")
    assert caught.value.id == id_


@pytest.mark.parametrize("id_", ["", "a/b", "+", "#", "..", "a b", "a\x00", "é", "x" * 65])
def test_an_id_that_is_no_name_is_refused_and_never_made_into_a_topic(id_: str) -> None:
    with pytest.raises(RefusedError, match="id: ") as caught:
        parse("stop", json.dumps({"id": id_}).encode(), "house-7")
    assert caught.value.id == ""


def test_a_refusal_knows_whom_to_answer_when_that_could_be_read() -> None:
    with pytest.raises(RefusedError) as caught:
        parse("setpoint", b'{"id": "a-1", "watts": 5}', "house-7")
    assert caught.value.id == "a-1"


@given(st.sampled_from(sorted(COMMANDS)), st.one_of(st.binary(max_size=100), st.text(max_size=100)))
def test_no_bytes_do_anything_but_be_taken_or_refused(name: str, payload: bytes | str) -> None:
    _try(name, payload if isinstance(payload, bytes) else payload.encode("utf-8", "surrogatepass"))


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_KEYS = sorted({key for model in COMMANDS.values() for key in model.model_fields})


@given(st.sampled_from(sorted(COMMANDS)), st.dictionaries(st.sampled_from(_KEYS), _ANYTHING, max_size=5))
def test_no_object_does_anything_but_be_taken_or_refused(name: str, fields: dict[str, object]) -> None:
    _try(name, json.dumps({"id": "1", **fields}).encode())


def _try(name: str, payload: bytes) -> None:
    reason = ""
    try:
        assert parse(name, payload, "house-7").name == name
    except RefusedError as error:
        reason = str(error)
    assert reason.isprintable()


def test_no_message_keeps_the_program_busy() -> None:
    """Whatever is sent is judged in about the time that an ordinary JSON text of that size takes."""
    pairs = ", ".join(f'"k{number}": {number}' for number in range(140))
    ordinary = f'{{"id": "1", {pairs}}}'.encode()[:2040] + b"}"
    hostile = [
        b"[" * 2048,
        b'{"a":' * 400,
        b'{"id": "1", "battery_discharge_w": ' + b"9" * 2000 + b"}",
        b'{"id": "1", "battery_discharge_w": 1' + b"0" * 1000 + b"." + b"1" * 900 + b"}",
        b'{"id": "' + b"\\u0041" * 330 + b'"}',
        ordinary,
    ]

    def took_s(payload: bytes) -> float:
        begin_s = time.process_time()
        for _ in range(50):
            _try("setpoint", payload)
        return time.process_time() - begin_s

    begin_s = time.process_time()
    for _ in range(50):
        json.loads(f'{{"id": "1", {pairs}}}')
    usual_s = time.process_time() - begin_s
    assert max(took_s(payload) for payload in hostile) < 100 * usual_s
