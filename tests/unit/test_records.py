"""Facts to bytes and back: to the bit, only what changed, and nothing but a clear error for damaged bytes."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.dispatch.decision import Decision, Memory
from controller.dispatch.modes import Mode
from controller.dispatch.orders import NO_ORDERS, Orders
from controller.dispatch.settings import BatterySettings, DispatchConfig, PolicySettings, Window
from controller.dispatch.site import Snapshot
from controller.record_types import RecordError
from controller.records import Vocabulary
from drivers.device import BatteryReading, MeterReading
from drivers.fact import kind_of

WORDS = Vocabulary(Snapshot, Decision, Memory, DispatchConfig)
FIRST = Snapshot(10.0, MeterReading(9.9, 459.3, (1.0, 2.0, 3.0)), (BatteryReading(9.8, -200.0, 50.0),))


def there_and_back(*values: Any, described: Any = None) -> list[Any]:
    out, writer, before = bytearray(), WORDS.writer(), None
    for value in values:
        writer.put(out, value, before)
        before = value
    reader, found, at, last = WORDS.reader(described or WORDS.described()), [], 0, None
    while at < len(out):
        last, at = reader.take(bytes(out), at, last)
        found.append(last)
    return found


def size_of(value: Any, before: Any) -> int:
    out = bytearray()
    WORDS.writer().put(out, value, before)
    return len(out)


@given(st.lists(st.from_type(Snapshot), max_size=4))
def test_any_snapshots_come_back_to_the_bit(snapshots: list[Snapshot]) -> None:
    # repr tells -0.0 from 0.0, 1 from 1.0 and True, and nan equals itself.
    assert repr(there_and_back(*snapshots)) == repr(snapshots)


@given(st.lists(st.from_type(Decision), max_size=3), st.from_type(Memory))
def test_any_decision_and_memory_come_back_to_the_bit(decisions: list[Decision], memory: Memory) -> None:
    assert repr(there_and_back(memory, *decisions)) == repr([memory, *decisions])


def test_a_config_with_a_schedule_comes_back() -> None:
    config = DispatchConfig(
        (BatterySettings("bat1", 10_000),),
        policy=PolicySettings("schedule", schedule=(Window(0, 3600, "charge", weekdays=frozenset({6, 0})),)),
    )
    assert repr(there_and_back(config)) == repr([config])


@pytest.mark.parametrize("value", [0.0, -0.0, inf, -inf, nan, 5e-324, 1.7e308, 0.1, 16_777_217.0])
def test_a_float_that_looks_the_same_as_another_is_still_its_own(value: float) -> None:
    snapshots = [replace(FIRST, now_s=was) for was in (value, 0.0, value, -0.0, value)]
    assert repr(there_and_back(*snapshots)) == repr(snapshots)


def test_only_what_changed_is_written() -> None:
    assert size_of(FIRST, FIRST) == 1
    later = replace(FIRST, now_s=11.0)
    # Tag, mask, and a float that fits four bytes with its tag.
    assert size_of(later, FIRST) == 2 + 5
    first, second = there_and_back(FIRST, later)
    assert second.batteries is first.batteries, "what did not change is shared, not copied"


def without(described: Any, name: str, field: str) -> Any:
    """The types as a program described them that had no such field yet."""
    classes = [
        [one, [each for each in names if not (one == name and each == field)]]
        for one, names in described["classes"]
    ]
    return {**described, "classes": classes}


def test_what_an_earlier_program_recorded_is_read_with_the_defaults_of_later_fields() -> None:
    out = bytearray()
    old = WORDS.writer()
    kind = kind_of(MeterReading)
    index, getter = old._classes[kind]
    old._classes[kind] = index, lambda one: getter(one)[:1] + getter(one)[1:3] + getter(one)[4:]
    later = replace(FIRST, meter=MeterReading(11.0, 5.0, (4.0, 5.0, 6.0), frequency_hz=50.0))
    old.put(out, FIRST, None)
    old.put(out, later, FIRST)
    reader = WORDS.reader(without(WORDS.described(), "MeterReading", "phase_voltage_v"))
    first, at = reader.take(bytes(out), 0)
    second, _ = reader.take(bytes(out), at, first)
    assert (first, second) == (FIRST, later)


@pytest.mark.parametrize(
    ("classes", "told"),
    [
        ([["Snapshot", ["now_s", "meter", "batteries", "colour"]]], "Snapshot has no colour in this program"),
        ([["Snapshot", ["now_s", "meter"]]], "Snapshot was recorded without batteries"),
        ([["Robot", []]], 'this program knows no "Robot"'),
        (7, "the list of its types cannot be read"),
    ],
)
def test_what_a_later_program_recorded_is_refused_with_the_reason(classes: Any, told: str) -> None:
    with pytest.raises(RecordError, match=told):
        WORDS.reader({"classes": classes, "enums": []})


@given(st.binary(max_size=60))
def test_damaged_bytes_are_one_clear_error(data: bytes) -> None:
    try:
        _, at = WORDS.reader(WORDS.described()).take(data, 0, FIRST)
    except RecordError:
        return
    assert 0 < at <= len(data)


@given(st.data())
def test_a_flipped_byte_never_ends_in_anything_but_a_value_or_that_error(data: st.DataObject) -> None:
    out = bytearray()
    WORDS.writer().put(out, FIRST, None)
    place = data.draw(st.integers(0, len(out) - 1))
    out[place] ^= data.draw(st.integers(1, 255))
    try:
        _, at = WORDS.reader(WORDS.described()).take(bytes(out), 0)
    except RecordError:
        return
    assert at <= len(out)


def test_a_type_that_is_not_in_the_vocabulary_is_refused() -> None:
    class Colour(Enum):
        RED = 1

    with pytest.raises(RecordError, match="a Colour cannot be recorded"):
        there_and_back(Colour.RED)
    assert there_and_back(Mode.SAFE) == [Mode.SAFE]


def test_what_is_usual_is_read_as_the_very_object_that_others_ask_for() -> None:
    words = Vocabulary(Snapshot, usual=(NO_ORDERS,))
    ordered, quiet = replace(FIRST, orders=Orders(stop=True)), replace(FIRST, orders=Orders())
    out, writer = bytearray(), words.writer()
    for value, before in ((quiet, None), (ordered, quiet), (quiet, ordered)):
        writer.put(out, value, before)
    reader, at, last, found = words.reader(words.described()), 0, None, []
    while at < len(out):
        last, at = reader.take(bytes(out), at, last)
        found.append(last.orders is NO_ORDERS)
    assert found == [True, False, True]
